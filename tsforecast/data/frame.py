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
        filled: (N,) bool; True where ``--missing`` filled in a value: such a row is no observation, nothing is scored
            against it, and no forecast starts from it.
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
    rows: NDArray[np.int64]
