"""What a field expects of a forecast before any learning: darkness, clear-sky persistence and climatology.

All times are wall-clock microseconds; a stamp names the start of its interval. Everything is learned from the history
alone, so nothing after the cutoff leaks in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsforecast.data.almanac import Almanac, cells, usual_step
from tsforecast.data.sun import DAY_US, MINUTE_US, Floats, Times, clear_sky_ghi, sine_of_elevation

SAMPLE_US = 10 * MINUTE_US  # the sun is looked at this often within a step

DARK_SHARE = 0.01  # of the history's peak: below is darkness and sensor offset
STRAY_SHARE = 0.1  # of a season's values may be higher: faults, and the days when the sun rose earlier

CLEAR_LEVEL = 0.9  # quantile that stands for a cloudless sky
DAYLIGHT_SHARE = 0.05  # of the clear-sky peak: lower suns say little about the clouds
RECENT_DAYLIGHT_US = 3 * 60 * MINUTE_US


@dataclass(frozen=True)
class NightTable:
    """When it is dark, by day of the year and time of day.

    Attributes:
        dark: (366, S) True where the target is zero for want of sun.
    """

    dark: NDArray[np.bool_]

    @classmethod
    def build(
        cls,
        time: Times,
        values: NDArray[np.floating],
        latitude: float | None = None,
        longitude: float | None = None,
    ) -> NightTable:
        """Find the night in the history, and in the sun's geometry if the place is known.

        From the history it is dark where, within 15 days of the day of the year, at most 10 % of the values exceed 1 %
        of the peak (their 99.9 % quantile); where nothing is known it is not dark. With a place it is dark where the
        sun stays below the horizon, unless the history shows light: a clock in another zone blots out no daylight.

        Args:
            time: (N,) of the history.
            values: (N,) target, data units; NaN where missing.
            latitude: Degrees, north positive.
            longitude: Degrees, east positive. The clock's distance from UTC is found from the history.
        """
        almanac = Almanac.of(time, values)
        count = almanac.count()
        peak = float(np.quantile(almanac.values, 0.999)) if len(almanac.values) else 0.0
        bright = almanac.values > DARK_SHARE * max(peak, 0.0)
        light = almanac.count(bright.astype(np.float64)) > STRAY_SHARE * count
        if latitude is None or longitude is None:
            return cls((count > 0) & ~light & (peak > 0))
        instants = almanac.instants(SAMPLE_US) - utc_offset(time, values, latitude, longitude)
        return cls((sine_of_elevation(instants, latitude, longitude) <= 0).all(axis=2) & ~light)

    def at(self, time: Times) -> NDArray[np.bool_]:
        """True where it is dark, for times of any shape."""
        return np.asarray(self.dark.ravel()[cells(time, self.dark.shape[1])])


def clear_sky_persistence(
    history_time: Times,
    history_values: NDArray[np.floating],
    past_values: NDArray[np.floating],
    past_time: Times,
    future_time: Times,
    *,
    latitude: float | None = None,
    longitude: float | None = None,
) -> Floats:
    """Forecast that the sky stays as clear as it was: the clear-sky value times the recent clear-sky index.

    The index is the ratio of what came to what a cloudless sky would have given over the last three hours of daylight
    before the cutoff; without any, that of the whole history.

    Args:
        history_time: (N,) of the training rows.
        history_values: (N,) irradiance or solar power in training, data units; NaN where missing.
        past_values: (K, L) values known at each cutoff, oldest first; NaN where missing.
        past_time: (K, L).
        future_time: (K, H).
        latitude: Degrees, north positive; with ``longitude`` the clear sky is Haurwitz's, scaled to the data.
        longitude: Degrees, east positive. The clock's distance from UTC is found from the history.

    Returns:
        (K, H) forecasts, data units.

    Source: "smart persistence", see H. T. C. Pedro & C. F. M. Coimbra, Solar Energy 86 (2012) 2017.
    """
    almanac = Almanac.of(history_time, history_values)
    if latitude is None or longitude is None:
        table = clear_sky_from_history(almanac)
    else:
        offset = utc_offset(history_time, history_values, latitude, longitude)
        table = clear_sky_from_geometry(almanac, latitude, longitude, offset)
    clear = almanac.look_up(table, past_time)
    daylight = np.isfinite(past_values) & (clear > DAYLIGHT_SHARE * table.max())
    steps = max(1, RECENT_DAYLIGHT_US * almanac.slots // DAY_US)
    later = np.cumsum(daylight[:, ::-1], axis=1)[:, ::-1]
    recent = daylight & (later <= steps)
    came = np.where(recent, past_values, 0.0).sum(axis=1)
    possible = np.where(recent, clear, 0.0).sum(axis=1)
    usual = almanac.values.sum() / max(float(table.ravel()[almanac.cell].sum()), np.finfo(float).tiny)
    index = np.where(possible > 0, came / np.where(possible > 0, possible, 1.0), usual)
    return np.asarray(index[:, None] * almanac.look_up(table, future_time))


def climatology(
    history_time: Times, history_values: NDArray[np.floating], future_time: Times, step_us: int | None = None
) -> Floats:
    """Forecast what is usual: the mean of the history within 15 days of the day of the year, at the same time of day.

    Args:
        history_time: (N,) of the training rows.
        history_values: (N,) data units; NaN where missing.
        future_time: (K, H).
        step_us: Spacing of the data in microseconds; found from ``history_time`` by default.

    Returns:
        (K, H) forecasts, data units.

    Source: D. S. Wilks, Statistical Methods in the Atmospheric Sciences (2019), climatological forecasts.
    """
    almanac = Almanac.of(history_time, history_values, step_us)
    return almanac.look_up(almanac.mean(), future_time)


def clear_sky_from_history(almanac: Almanac) -> Floats:
    """(366, S) what a cloudless sky gives: the 90 % quantile of each season and time of day, not below zero."""
    return np.maximum(almanac.quantile(CLEAR_LEVEL), 0.0)


def utc_offset(time: Times, values: NDArray[np.floating], latitude: float, longitude: float) -> int:
    """Wall clock minus UTC in microseconds: the half hours under which the sun explains the history best, else 0.

    Args:
        time: (N,) wall-clock microseconds.
        values: (N,) irradiance or solar power; NaN where missing.
        latitude: Degrees, north positive.
        longitude: Degrees, east positive.
    """
    known = np.flatnonzero(np.isfinite(values))
    known = known[:: max(1, len(known) // 20_000)]  # enough to tell one hour from the next
    if len(known) < 48 or not np.std(values[known]) > 0:
        return 0
    halves = np.arange(-24, 29) * 30 * MINUTE_US
    middle = time[known] + usual_step(time) // 2  # a stamp names the start of its interval
    suns = [np.maximum(sine_of_elevation(middle - offset, latitude, longitude), 0) for offset in halves]
    fits = [np.corrcoef(sun, values[known])[0, 1] if np.std(sun) > 0 else 0.0 for sun in suns]
    return int(halves[int(np.argmax(fits))]) if max(fits) > 0 else 0


def clear_sky_from_geometry(almanac: Almanac, latitude: float, longitude: float, offset: int) -> Floats:
    """(366, S) mean of Haurwitz's irradiance over each step, scaled so that 90 % of the daylight values are below.

    ``offset`` is wall clock minus UTC in microseconds.
    """
    instants = almanac.instants(SAMPLE_US) - offset
    table: Floats = clear_sky_ghi(instants, latitude, longitude).mean(axis=2)
    clear = table.ravel()[almanac.cell]
    daylight = clear > DAYLIGHT_SHARE * table.max()
    if not daylight.any():
        return table
    return np.asarray(table * max(float(np.quantile(almanac.values[daylight] / clear[daylight], CLEAR_LEVEL)), 0.0))
