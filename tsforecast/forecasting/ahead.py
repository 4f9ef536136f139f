"""What lies ahead of a row: the rows and the times of the steps that are forecast, and what is known of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tsforecast.data.frame import Frame
from tsforecast.data.missing import Missing, fill, insert_missing_rows
from tsforecast.data.rows import Rows, find_breaks
from tsforecast.data.window import positions


class Ahead:
    """The grid positions after given rows: which rows of the frame lie there, and at what times.

    Args:
        frame: The series.
        cutoffs: (K,) row numbers.
        horizon: H.
    """

    def __init__(self, frame: Frame, cutoffs: NDArray[np.int64], horizon: int) -> None:
        self.frame, self.cutoffs, self.horizon = frame, cutoffs, horizon
        self.series = frame.series_of(cutoffs)

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """(K, H) row of the frame at each step ahead; -1 where the frame has none (a gap, or past its end)."""
        return rows_at(self.frame, self.cutoffs, np.arange(1, self.horizon + 1))

    def time(self) -> NDArray[np.int64]:
        """(K, H) times ahead."""
        frame, freq = self.frame, self.frame.freq
        origin = frame.time[self.cutoffs]
        if freq.kind == "fixed":
            return origin[:, None] + freq.step * np.arange(1, self.horizon + 1)
        out = np.where(self.rows >= 0, frame.time[self.rows], 0)
        for k in np.flatnonzero((self.rows < 0).any(axis=1)):
            out[k] = self._continued(self.rows[k], out[k], int(origin[k]))
        return out

    def _continued(self, rows: NDArray[np.int64], time: NDArray[np.int64], origin: int) -> NDArray[np.int64]:
        """Fill in the times after the last known row of one fold."""
        known = int((rows >= 0).argmin()) if (rows < 0).any() else len(rows)
        last = int(time[known - 1]) if known else origin
        return np.concatenate((time[:known], self.frame.freq.after(last, len(rows) - known)))


def rows_at(frame: Frame, origins: NDArray[np.int64], steps: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (K, n) rows that lie given numbers of steps from (K,) rows on the time grid; -1 where there is none."""
    place = positions(frame)
    series = frame.series_of(origins)
    out = np.full((len(origins), len(steps)), -1, dtype=np.int64)
    order = np.argsort(series, kind="stable")
    borders = np.searchsorted(series[order], np.arange(len(frame.series) + 1))
    for s in np.flatnonzero(np.diff(borders)):
        chosen = order[borders[s] : borders[s + 1]]
        first, last = frame.bounds[s], frame.bounds[s + 1]
        own = place[first:last]
        wanted = place[origins[chosen]][:, None] + steps
        found = np.minimum(np.searchsorted(own, wanted), len(own) - 1)
        out[chosen] = np.where(own[found] == wanted, first + found, -1)
    return out


def fill_from(
    future: Frame,
    names: Sequence[str],
    series: NDArray[np.int64],
    time: NDArray[np.int64],
    values: NDArray[np.float32],
) -> None:
    """Put what future rows know into values, by series name and time; what they do not know stays.

    Args:
        future: Rows with F columns, or more behind them.
        names: Series of the frame that is forecast.
        series: (K,) their numbers.
        time: (K, H) times ahead.
        values: (K, H, F), changed in place.
    """
    codes = {name: s for s, name in enumerate(future.series)}
    for k, s in enumerate(series):
        code = codes.get(names[s])
        if code is None:
            continue
        first, last = future.bounds[code], future.bounds[code + 1]
        own = future.time[first:last]
        found = np.minimum(np.searchsorted(own, time[k]), len(own) - 1)
        hit = own[found] == time[k]
        given = future.values[first + found[hit]][:, : values.shape[2]]
        values[k, hit] = np.where(np.isfinite(given), given, values[k, hit])


def place_without_clock(frame: Frame, future: Frame) -> tuple[Frame, str]:
    """Say when future rows are that have no clock: each series of them counts from 0.

    They are what follows the last known row of their series; or, where they repeat the known rows of every series and
    go on, the whole record from its first row.

    Args:
        frame: Known rows without a clock, their future covariates last.
        future: Rows with future covariates.

    Returns:
        The future rows at their steps, and where they were placed.
    """
    known = frame.values[:, frame.values.shape[1] - future.values.shape[1] :]
    codes, time, repeats = {name: s for s, name in enumerate(frame.series)}, future.time.copy(), []
    for name, first, end in zip(future.series, future.bounds[:-1], future.bounds[1:], strict=True):
        if name in codes:
            own = slice(int(frame.bounds[codes[name]]), int(frame.bounds[codes[name] + 1]))
            repeats.append(_goes_on(known[own], future.values[first:end]))
            time[first:end] += int(frame.time[own][-1]) + 1
    if repeats and all(repeats):
        return future, "future rows have no clock: they repeat the known rows, and count from the first of them"
    return replace(future, time=time), "future rows have no clock: they follow the last known row of their series"


def _goes_on(known: NDArray[np.float32], given: NDArray[np.float32]) -> bool:
    """Tell whether given rows (M, F) are known ones (N, F) and more: where both have a value, it is the same."""
    if len(given) <= len(known):
        return False
    both = np.isfinite(known) & np.isfinite(given[: len(known)])
    return bool(both.any() and (known[both] == given[: len(known)][both]).all())


def fill_together(frame: Frame, future: Frame, missing: Missing, count: int) -> tuple[Frame, Frame, str]:
    """Fill the holes in the future covariates of known and of future rows together, as those of one table.

    Args:
        frame: Known rows, their future covariates last but for the calendar.
        future: Rows with F future covariates, the calendar last.
        missing: One of ``FILLS``.
        count: How many of the F are not of the calendar.

    Returns:
        The known rows; the future rows with the known ones of their series among them; and what was done.
    """
    codes = {name: s for s, name in enumerate(frame.series)}
    known = slice(frame.values.shape[1] - future.values.shape[1], None)
    times, blocks = [], []
    for name, first, end in zip(future.series, future.bounds[:-1], future.bounds[1:], strict=True):
        s = codes.get(name)
        own = slice(0, 0) if s is None else slice(int(frame.bounds[s]), int(frame.bounds[s + 1]))
        time = np.union1d(frame.time[own], future.time[first:end])
        block = np.full((len(time), future.values.shape[1]), np.nan, dtype=np.float32)
        block[np.searchsorted(time, frame.time[own])] = frame.values[own, known]
        at, given = np.searchsorted(time, future.time[first:end]), future.values[first:end]
        block[at] = np.where(np.isfinite(given), given, block[at])
        times.append(time)
        blocks.append(block)
    lengths = [len(time) for time in times]
    bounds = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    found = Rows(np.zeros(bounds[-1], np.int64), np.concatenate(times), bounds, np.zeros((0, 2), np.int64))
    found, values = insert_missing_rows(found, np.concatenate(blocks), frame.freq, missing.limit)
    breaks = find_breaks(found, frame.freq)
    ends = np.repeat(found.bounds[1:], np.diff(found.bounds))
    made = np.count_nonzero(fill(values[:, :count], missing, breaks, ends, 0))
    rows = len(found.time)
    joined = replace(
        future,
        values=values,
        time=found.time,
        bounds=found.bounds,
        breaks=breaks,
        filled=np.zeros((rows, 0), dtype=bool),
        peeks=np.zeros(rows, dtype=bool),
        rows=found.rows,
    )
    return _taken(frame, joined, known), joined, f"{rows - bounds[-1]} rows inserted, {made} values filled"


def _taken(frame: Frame, joined: Frame, columns: slice) -> Frame:
    """Return the frame with the holes in some of its columns filled from the rows of the same time."""
    if np.isfinite(frame.values[:, columns]).all():
        return frame
    values, codes = frame.values.copy(), {name: s for s, name in enumerate(frame.series)}
    for name, first, end in zip(joined.series, joined.bounds[:-1], joined.bounds[1:], strict=True):
        if name in codes:
            own = slice(int(frame.bounds[codes[name]]), int(frame.bounds[codes[name] + 1]))
            there = joined.values[first + np.searchsorted(joined.time[first:end], frame.time[own])]
            values[own, columns] = np.where(np.isfinite(values[own, columns]), values[own, columns], there)
    return replace(frame, values=values)
