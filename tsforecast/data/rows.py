"""Rows in order: sorted by series and time, one row per timestamp, on the grid of the frequency."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tsforecast.data.clock import Clock
from tsforecast.data.freq import Freq, detect_freq, fit_anchor, is_weekdays, steps_of
from tsforecast.data.table import Table, and_more
from tsforecast.errors import DataError

Ints = NDArray[np.int64]
MUCH_FINER = 10  # times: what --freq may be finer than the rows, which are then a record full of holes


@dataclass(frozen=True)
class Rows:
    """Which row of a table goes where.

    Attributes:
        rows: (N,) rows of the table, in the order of the frame.
        time: (N,) their microseconds.
        bounds: (S + 1,) series borders.
        twins: (D, 2) rows of the table: one that stays, and one of the same timestamp to be averaged into it.
    """

    rows: Ints
    time: Ints
    bounds: Ints
    twins: Ints

    def keep(self, kept: NDArray[np.bool_]) -> Rows:
        """Return only the rows where ``kept`` is True."""
        before = np.concatenate([[0], np.cumsum(kept)]).astype(np.int64)
        return Rows(self.rows[kept], self.time[kept], before[self.bounds], self.twins)


def sort(time: Ints, codes: Ints | None, count: int, notes: list[str]) -> Rows:
    """Sort rows by series and time.

    Args:
        time: (N,) microseconds in the order read.
        codes: (N,) series of each row, 0 to ``count`` - 1; None when there is one series.
        count: Number of series.
        notes: Gets a line when a series is not in time order.
    """
    rows = np.arange(len(time), dtype=np.int64)
    if codes is None:
        bounds = np.array([0, len(time)], dtype=np.int64)
    else:
        rows = np.argsort(codes, kind="stable")
        bounds = np.searchsorted(codes[rows], np.arange(count + 1)).astype(np.int64)
        time = time[rows]
    falling = time[1:] < time[:-1]
    if count > 1:
        falling[bounds[1:-1] - 1] = False
    if falling.any():
        notes.append(f"rows were not in the order of time ({np.count_nonzero(falling)} steps back); they were sorted")
        order = np.argsort(time, kind="stable") if codes is None else np.lexsort((time, codes[rows]))
        rows, time = rows[order], time[order]
    return Rows(rows, time, bounds, np.zeros((0, 2), dtype=np.int64))


def settle_duplicates(found: Rows, how: str, table: Table, clock: Clock, notes: list[str]) -> Rows:
    """Leave one row per timestamp within each series.

    Raises:
        DataError: There are several and ``how`` is "error".
    """
    same = np.zeros(len(found.time), dtype=np.bool_)
    same[1:] = found.time[1:] == found.time[:-1]
    same &= ~first_rows(found.bounds, len(same))
    count = int(np.count_nonzero(same))
    if count == 0:
        return found
    if how == "error":
        at = np.flatnonzero(same)[0]
        stamp = clock.text(int(found.time[at]))
        first, second = table.places(found.rows[at - 1 : at + 1])
        raise DataError(
            f"{first} and {second}: two rows for {stamp}{and_more(count)}",
            hint="say --duplicates first, last or mean; or --series-id if there are several series",
        )
    notes.append(f"{count} rows repeat a timestamp; --duplicates {how}")
    if how == "mean":
        stays = np.maximum.accumulate(np.where(same, 0, np.arange(len(same))))
        found = replace(found, twins=np.column_stack([found.rows[stays[same]], found.rows[same]]))
        return found.keep(~same)
    return found.keep(~same if how == "first" else ~np.append(same[1:], False))


def choose_freq(found: Rows, alias: str, fitted: bool, clock: Clock) -> Freq:
    """Return the frequency of the rows, or check that they have the one given.

    Args:
        found: Sorted rows without duplicates.
        alias: Frequency that the user or the model gives; "" to find it.
        fitted: It comes from a model.
        clock: No columns: rows are steps.

    Raises:
        DataError: None is found, or the data has another than the one given.
    """
    if not clock.columns:
        return Freq.parse("step")
    if not alias:
        return detect_freq(found.time, found.bounds)
    given = fit_anchor(Freq.parse(alias), found.time)
    try:
        seen = detect_freq(found.time, found.bounds)
    except DataError:
        return given  # too short or too holey to say anything against it
    weekdays = {"business", "trading"}
    daily = given.kind in weekdays and (seen.kind in weekdays or seen.alias == "D") and is_weekdays(found.time)
    steps = steps_of(found.time, found.bounds)
    holey = not fitted and given.kind == "fixed" and not np.any(steps % given.step)
    if holey and steps.min() > MUCH_FINER * given.step:
        what = f"--freq says steps of {alias}, and no two rows are less than {seen.spacing} apart"
        raise DataError(what, hint="leave --freq away")
    if not (daily or holey or (seen.kind, seen.step) == (given.kind, given.step)):
        who = "the model was trained on" if fitted else "--freq says"
        raise DataError(f"{who} steps of {alias}, the data has steps of {seen.alias}", hint="resample the data")
    return given


def snap(found: Rows, freq: Freq, notes: list[str]) -> Rows:
    """Move the stamps of a jittering clock to its grid; of two rows in one slot the nearer stays.

    Each series keeps its own phase: most of its stamps decide, or zero when no phase is usual.
    """
    if freq.kind != "fixed" or np.all(steps_of(found.time, found.bounds) == freq.step):
        return found
    phase = found.time % freq.step
    shared = np.repeat(phase[found.bounds[:-1]], np.diff(found.bounds))
    if np.array_equal(phase, shared):
        return found
    grid = np.concatenate(
        [np.full(b - a, _usual(phase[a:b])) for a, b in zip(found.bounds[:-1], found.bounds[1:], strict=True)]
    )
    slot = (found.time - grid + freq.step // 2) // freq.step * freq.step + grid
    off = np.abs(found.time - slot)
    moved = int(np.count_nonzero(off))
    series = np.repeat(np.arange(len(found.bounds) - 1), np.diff(found.bounds))
    order = np.lexsort((off, slot, series))
    best = np.ones(len(slot), dtype=np.bool_)
    best[1:] = (slot[order][1:] != slot[order][:-1]) | (series[order][1:] != series[order][:-1])
    kept = np.zeros(len(slot), dtype=np.bool_)
    kept[order[best]] = True
    lost = len(slot) - int(np.count_nonzero(kept))
    notes.append(f"{moved} timestamps moved to the {freq.alias} grid" + (f", {lost} rows left out" if lost else ""))
    return replace(found, time=slot).keep(kept)


def _usual(phase: Ints) -> int:
    values, counts = np.unique(phase, return_counts=True)
    return int(values[counts.argmax()]) if counts.max() > 0.5 * len(phase) else 0


def first_rows(bounds: Ints, count: int) -> NDArray[np.bool_]:
    """Return (N,) bool, True at the first of the rows of each series."""
    first = np.zeros(count, dtype=np.bool_)
    first[bounds[:-1]] = True
    return first


def find_breaks(found: Rows, freq: Freq) -> NDArray[np.bool_]:
    """Return (N,) bool, True where a row does not follow the one above by one step.

    Raises:
        DataError: Two rows fall into one step of a calendar frequency.
    """
    breaks = first_rows(found.bounds, len(found.time))
    ahead = np.diff(freq.ordinal(found.time))
    if np.any((ahead < 1) & ~breaks[1:]):
        raise DataError(f"several rows fall into one step of {freq.alias}", hint="give another --freq")
    breaks[1:] |= ahead != 1
    return breaks
