"""Tables by day of the year and time of day: what is usual, what is the most, what is dark.

A table has one row per day of the year (366) and one column per step of the day. Neighbouring days, up to 15 on either
side and around New Year, count as the same season, so one year of history is enough.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsforecast.data.sun import DAY_US, MINUTE_US, Floats, Times

DAYS = 366
LEAP_YEAR_US = 1_704_067_200_000_000  # 2024-01-01: a year with all of them
NEIGHBOURS = 15  # days on either side
MOST_SLOTS = 1440  # per day: finer data share the slots of one minute


def usual_step(time: Times) -> int:
    """Median spacing of (N,) times in microseconds, at most a day; a day for fewer than two different times."""
    spacing = np.diff(np.sort(time, axis=None))
    spacing = spacing[spacing > 0]
    return min(int(np.median(spacing)), DAY_US) if len(spacing) else DAY_US


@dataclass(frozen=True)
class Almanac:
    """History filed by season and time of day.

    Attributes:
        cell: (N,) table cell ``day * slots + slot`` of each known value.
        values: (N,) float64, finite.
        slots: S, steps per day.
        phase: Usual distance of a stamp from the start of its slot in microseconds (half past the hour in some zones).
    """

    cell: NDArray[np.int64]
    values: Floats
    slots: int
    phase: int = 0

    @classmethod
    def of(cls, time: Times, values: NDArray[np.floating], step_us: int | None = None) -> Almanac:
        """File (N,) values under their wall-clock times (microseconds); NaN is left out.

        Args:
            time: (N,) microseconds.
            values: (N,).
            step_us: Spacing; found from ``time`` by default.
        """
        step = usual_step(time) if step_us is None else step_us
        slots = int(np.clip(DAY_US // max(step, MINUTE_US), 1, MOST_SLOTS))
        known = np.isfinite(values)
        phase = int(np.median(time % (DAY_US // slots))) if len(time) else 0
        return cls(cells(time[known], slots), values[known].astype(np.float64), slots, phase)

    def instants(self, sample_us: int) -> Times:
        """(366, S, P) instants of the steps of 2024, both ends included, at most ``sample_us`` apart."""
        length = DAY_US // self.slots
        within = self.phase + np.linspace(0, length, -(-length // sample_us) + 1).astype(np.int64)
        starts = LEAP_YEAR_US + np.arange(DAYS * self.slots, dtype=np.int64) * DAY_US // self.slots
        instants: Times = (starts[:, None] + within).reshape(DAYS, self.slots, -1)
        return instants

    def look_up(self, table: Floats, time: Times) -> Floats:
        """Values of a (366, S) table at times of any shape."""
        return np.asarray(table.ravel()[cells(time, self.slots)])

    def count(self, weights: Floats | None = None) -> Floats:
        """(366, S) number (or sum of ``weights`` (N,)) of the known values in the season of each cell."""
        sums = np.bincount(self.cell, weights, DAYS * self.slots).reshape(DAYS, self.slots)
        around = np.concatenate([sums[-NEIGHBOURS:], sums, sums[:NEIGHBOURS]])
        running = np.concatenate([np.zeros((1, self.slots)), np.cumsum(around, axis=0)])
        return np.asarray(running[2 * NEIGHBOURS + 1 :] - running[: -2 * NEIGHBOURS - 1])

    def mean(self) -> Floats:
        """(366, S) mean of each season and time of day; where nothing is known, that of the nearest known day."""
        count = self.count()
        mean = np.where(count > 0, self.count(self.values) / np.maximum(count, 1), np.nan)
        return fill_from_nearest_day(mean)

    def quantile(self, level: float) -> Floats:
        """(366, S) quantile (lower of the two neighbours) of each season and time of day, filled like ``mean``."""
        stacked = self._stacked()
        table = np.full((DAYS, self.slots), np.nan)
        for day in range(DAYS):
            near = np.arange(day - NEIGHBOURS, day + NEIGHBOURS + 1) % DAYS
            pool = np.sort(stacked[near].transpose(0, 2, 1).reshape(-1, self.slots), axis=0)  # NaN last
            rank = level * np.maximum(np.sum(~np.isnan(pool), axis=0) - 1, 0)
            table[day] = np.take_along_axis(pool, rank.astype(np.int64)[None], axis=0)[0]
        return fill_from_nearest_day(table)

    def _stacked(self) -> Floats:
        """(366, S, D) the known values of each cell, padded with NaN to the deepest."""
        order = np.argsort(self.cell, kind="stable")
        cell = self.cell[order]
        depth = np.arange(len(cell)) - np.searchsorted(cell, cell)
        stacked = np.full((DAYS * self.slots, int(depth.max(initial=0)) + 1), np.nan)
        stacked[cell, depth] = self.values[order]
        return stacked.reshape(DAYS, self.slots, -1)


def cells(time: Times, slots: int) -> NDArray[np.int64]:
    """Table cell of wall-clock times (microseconds, any shape): ``day of the year * slots + slot of the day``."""
    day = np.floor_divide(time, DAY_US)
    dates = day.astype("M8[D]")
    of_year = (dates - dates.astype("M8[Y]").astype("M8[D]")).astype(np.int64)
    return np.asarray(of_year * slots + (time - day * DAY_US) * slots // DAY_US, dtype=np.int64)


def fill_from_nearest_day(table: Floats) -> Floats:
    """Replace NaN by the value of the same time on the nearest day that has one, else by the mean of the table."""
    filled = table.copy()
    for shift in range(1, DAYS // 2 + 1):
        for neighbour in (np.roll(table, shift, axis=0), np.roll(table, -shift, axis=0)):
            if not np.isnan(filled).any():
                return filled
            filled = np.where(np.isnan(filled), neighbour, filled)
    known = filled[~np.isnan(filled)]
    return np.where(np.isnan(filled), known.mean() if len(known) else 0.0, filled)
