"""The frame: one contiguous float32 table, sorted by series and time, with what is needed to window and print it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsforecast.data.clock import Clock
from tsforecast.data.freq import Freq


@dataclass(frozen=True)
class Frame:
    """Series in one float32 table.

    Attributes:
        values: (N, C) float32, C-contiguous, NaN where missing; rows sorted by (series, time), no duplicate times.
        columns: C column names: the user's own; a one-hot column is ``wd=NNW``, a circular one ``dir#sin``/``dir#cos``,
            a calendar one ``hour#sin``/``hour#cos``.
        time: (N,) int64. Microseconds since 1970 (of UTC when the input has offsets, else of the wall clock); the step
            index 0, 1, ... per series when ``freq.kind == "step"``.
        freq: Spacing of time.
        series: S series ids as text; one empty string when there is no id column.
        bounds: (S + 1,) int64; the rows of series ``s`` are ``bounds[s]:bounds[s + 1]``.
        breaks: (N,) bool; True where a row does not follow the row above it by exactly one step (first row of each
            series, first row after a gap).
        static: (S, K) float32 static covariates.
        static_columns: K names.
        clock: How the input writes time, so that output can write it the same way.
        filled: (N, T) bool, T the number of targets; True where ``--missing`` filled in a target: it is no observation
            and nothing is scored against it.
        peeks: (N,) bool; True where a value of the row was interpolated from a later one: no forecast may start from
            it, no statistic may count it. The calendar aside, any column counts.
        rows: (N,) int64 index of each row in the order read, so that an error can name its line (see ``Table.where``).
    """

    values: NDArray[np.float32]
    columns: tuple[str, ...]
    time: NDArray[np.int64]
    freq: Freq
    series: tuple[str, ...]
    bounds: NDArray[np.int64]
    breaks: NDArray[np.bool_]
    static: NDArray[np.float32]
    static_columns: tuple[str, ...]
    clock: Clock
    filled: NDArray[np.bool_]
    peeks: NDArray[np.bool_]
    rows: NDArray[np.int64]

    def observed(self, target: int) -> NDArray[np.float64]:
        """Return (N,) a target column where it was observed; NaN where it is missing or was filled in."""
        return np.where(self.filled[:, target], np.nan, self.values[:, target].astype(np.float64))

    def series_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the number of the series that each row belongs to."""
        return np.searchsorted(self.bounds, rows, side="right") - 1

    def last_of_each(self, rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
        """Return those of some ascending rows that are among the last ``count`` of them in their series."""
        series = self.series_of(rows)
        left = np.searchsorted(series, series, side="right") - np.arange(len(rows))
        return rows[left <= count]

    def ends(self, targets: int) -> NDArray[np.int64]:
        """Return (S,) one past the last row of each series with a known target: the rest only carries covariates."""
        known = np.asarray(np.isfinite(self.values[:, :targets]).any(axis=1))
        after = np.where(known, np.arange(1, len(known) + 1), 0)
        pairs = zip(self.bounds[:-1], self.bounds[1:], strict=True)
        return np.array([after[first:last].max(initial=first) for first, last in pairs], dtype=np.int64)
