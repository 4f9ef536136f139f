"""Holes: missing timestamps and missing values, skipped, filled or refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tsforecast.data.freq import Freq
from tsforecast.data.rows import Ints, Rows, find_breaks
from tsforecast.errors import DataError, UsageError

Floats = NDArray[np.float32]

FILLS = ("interpolate", "ffill", "zero")
MOST_GROWTH = 10


@dataclass(frozen=True)
class Missing:
    """What to do with holes.

    Attributes:
        how: "skip", "error", "interpolate", "ffill" or "zero".
        limit: Longest hole to fill, in steps; 0 for any.
    """

    how: str
    limit: int = 0

    @classmethod
    def parse(cls, text: str) -> Missing:
        """Read ``skip``, ``error``, ``interpolate``, ``ffill:6``, ...

        Raises:
            UsageError: It is none of these.
        """
        match = re.fullmatch(r"(skip|error)|(interpolate|ffill|zero)(?::([1-9]\d*))?", text)
        if match is None:
            hint = "say skip, error, interpolate, ffill or zero; a limit may follow: ffill:6"
            raise UsageError(f"--missing '{text}' is unknown", hint=hint)
        return cls(match.group(1) or match.group(2), int(match.group(3) or 0))


def insert_missing_rows(found: Rows, values: Floats, freq: Freq, limit: int) -> tuple[Rows, Floats]:
    """Insert a row of NaN for each missing timestamp of the gaps of at most ``limit`` steps (0: all gaps).

    An inserted row carries the table row that follows the gap.

    Raises:
        DataError: The table would become more than ten times as long.
    """
    breaks = find_breaks(found, freq)
    breaks[found.bounds[:-1]] = False
    at = np.flatnonzero(breaks)
    position = freq.ordinal(found.time)
    gaps = position[at] - position[at - 1] - 1
    if limit:
        at, gaps = at[gaps <= limit], gaps[gaps <= limit]
    count = len(found.time)
    if len(at) == 0:
        return found, values
    if gaps.sum() > MOST_GROWTH * count:
        hint = "give a limit in steps, for example interpolate:6"
        raise DataError(f"filling the gaps would add {gaps.sum()} rows to {count}", hint=hint)
    sizes = np.ones(count, dtype=np.int64)
    sizes[at] += gaps
    real = np.cumsum(sizes) - 1  # where each old row goes
    rows, time = np.repeat(found.rows, sizes), np.repeat(found.time, sizes)
    for row, gap in zip(at.tolist(), gaps.tolist(), strict=True):
        time[real[row] - gap : real[row]] = freq.after(int(found.time[row - 1]), gap)
    wide = np.full((len(rows), values.shape[1]), np.nan, dtype=np.float32)
    wide[real] = values
    bounds = np.concatenate([[0], np.cumsum(sizes)])[found.bounds].astype(np.int64)
    return replace(found, rows=rows, time=time, bounds=bounds), wide


def ends_of_target(values: Floats, n_targets: int, bounds: Ints) -> Ints:
    """Return (N,): one past the last row of each row's series that has a target; rows from there on are the future."""
    known = ~np.isnan(values[:, :n_targets]).all(axis=1)
    last = np.where(known, np.arange(1, len(values) + 1), 0)
    return np.repeat(np.maximum.reduceat(last, bounds[:-1]), np.diff(bounds)).astype(np.int64)


def fill(values: Floats, missing: Missing, starts: NDArray[np.bool_], ends: Ints, n_known: int) -> NDArray[np.bool_]:
    """Fill runs of NaN in place, never across a gap or a series border.

    Args:
        values: (N, C).
        missing: How, and up to which length.
        starts: (N,) bool, True where a stretch without gaps begins.
        ends: (N,) see :func:`ends_of_target`.
        n_known: How many columns (targets and past covariates) end where the target ends.

    Returns:
        (N, C) bool, True where a value was filled.
    """
    index = np.arange(len(values))
    begin = np.maximum.accumulate(np.where(starts, index, 0))
    stop = np.append(np.flatnonzero(starts)[1:], len(values))[np.cumsum(starts) - 1]
    filled = np.zeros(values.shape, dtype=np.bool_)
    for column in range(values.shape[1]):
        end = np.minimum(stop, ends) if column < n_known else stop
        filled[:, column] = _fill_column(values[:, column], missing, begin, end)
    return filled


def _fill_column(column: Floats, missing: Missing, begin: Ints, end: Ints) -> NDArray[np.bool_]:
    """Fill the holes of one column in place; return (N,) which ones."""
    hole = np.isnan(column)
    if not hole.any():
        return hole
    count = len(column)
    index = np.arange(count)
    before = np.maximum.accumulate(np.where(hole, -1, index))
    after = np.minimum.accumulate(np.where(hole, count, index)[::-1])[::-1]
    has_before, has_after = before >= begin, after < end
    length = np.minimum(after, end) - np.maximum(before, begin - 1) - 1
    hole &= index < end
    if missing.limit:
        hole &= length <= missing.limit
    if missing.how == "interpolate":
        hole &= has_before & has_after
        a, b = before[hole], after[hole]
        weight = (index[hole] - a) / (b - a)
        column[hole] = column[a] * (1 - weight) + column[b] * weight
    elif missing.how == "ffill":
        hole &= has_before
        column[hole] = column[before[hole]]
    else:
        column[hole] = 0
    return hole


def refuse(
    values: Floats,
    breaks: NDArray[np.bool_],
    bounds: Ints,
    ends: Ints,
    n_known: int,
    places: Callable[[Ints], list[str]],
) -> None:
    """Raise a DataError that names the rows with holes, if there are any.

    Args:
        values: (N, C).
        breaks: (N,) bool, True where a row does not follow the one above.
        bounds: (S + 1,) series borders.
        ends: (N,) see :func:`ends_of_target`.
        n_known: How many columns end where the target ends.
        places: Turns positions in ``values`` into places in the input.
    """
    past = np.arange(len(values)) < ends
    holes = (np.isnan(values[:, :n_known]).any(axis=1) & past) | np.isnan(values[:, n_known:]).any(axis=1)
    gaps = breaks.copy()
    gaps[bounds[:-1]] = False
    for found, what in ((holes, "a value is missing"), (gaps, "timestamps are missing before")):
        rows = np.flatnonzero(found)
        if len(rows):
            shown = ", ".join(places(rows[:5])) + (f" and {len(rows) - 5} more" if len(rows) > 5 else "")
            raise DataError(f"{what}: {shown}", hint="--missing error refuses holes; say --missing skip or interpolate")
