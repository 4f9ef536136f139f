"""The baselines of every evaluation: naive, seasonal naive and drift, and what they are measured by.

Where the slope of the drift and the denominators of MASE and RMSSE come from: the rows of each series before all that
are scored. For a forecaster these are its training and validation rows (``memory``), for a forecast file the actual
rows up to the first cutoff of the series (``forecast_files``), so that both say the same of the same forecasts.

Source: R. J. Hyndman & G. Athanasopoulos, Forecasting: Principles and Practice (2021), section 5.2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsforecast.data.frame import Frame
from tsforecast.data.window import positions
from tsforecast.forecasting.ahead import rows_at

Floats = NDArray[np.float64]


def baselines(
    frame: Frame, origins: NDArray[np.int64], ahead: NDArray[np.int64], season: int, slope: Floats
) -> dict[str, Floats]:
    """Forecast with naive, seasonal naive and drift, in the units of the data.

    Args:
        frame: The series; the targets are its first columns.
        origins: (K,) last known rows; -1 where a fold has none.
        ahead: (K, H) steps from there on the time grid, or (1, H) where all folds are alike; below 1 where unknown.
        season: Steps per season.
        slope: (K, T) change per step, see :func:`mean_steps`.

    Returns:
        Name to (K, H, T); NaN where the rows that a baseline repeats are missing, and where it would have to know how
        far ahead it forecasts but does not.
    """
    values, known = frame.values[:, : slope.shape[1]], (origins >= 0)[:, None]
    start, shape = np.maximum(origins, 0), (len(origins), ahead.shape[1])
    last = np.where(known, values[start].astype(np.float64), np.nan)[:, None]
    back, which = np.unique((ahead - 1) % season + 1 - season, return_inverse=True)
    behind = rows_at(frame, start, back)
    rows = np.take_along_axis(behind, np.broadcast_to(which.reshape(ahead.shape), shape), axis=1)
    rows = np.where(known & (ahead > 0), rows, -1)
    steps = np.where(ahead > 0, ahead.astype(np.float64), np.nan)[..., None]
    return {
        "naive": np.repeat(last, shape[1], axis=1),
        "seasonal_naive": np.where(rows[..., None] >= 0, values[rows].astype(np.float64), np.nan),
        "drift": last + steps * slope[:, None],
    }


def mean_steps(frame: Frame, rows: NDArray[np.bool_], targets: int) -> Floats:
    """Return (S, T) the slope of the drift: the mean change from one row to the next; NaN where there is none.

    Hyndman & Athanasopoulos draw the line from the first to the last observation; without gaps this is the same line.

    Args:
        frame: The series.
        rows: (N,) which rows count.
        targets: T.
    """
    follows = np.flatnonzero(rows & ~frame.breaks)
    known = _observed(frame, targets)
    return _mean_of_series(known[follows] - known[follows - 1], frame.series_of(follows), len(frame.series))


def seasonal_differences(frame: Frame, rows: NDArray[np.bool_], season: int, targets: int) -> Floats:
    """Return (S, T, 2) mean absolute and mean squared difference one season apart, the denominators of MASE and RMSSE.

    Rows with a gap between them do not count; NaN where no others are.

    Source: Hyndman & Koehler 2006, Another look at measures of forecast accuracy.

    Args:
        frame: The series.
        rows: (N,) which rows count.
        season: Steps per season.
        targets: T.
    """
    place, series = positions(frame), frame.series_of(np.arange(len(frame.time)))
    known = _observed(frame, targets)
    change = np.abs(known[season:] - known[:-season])
    spaced = (place[season:] - place[:-season] == season) & (series[season:] == series[:-season]) & rows[season:]
    chosen = change[spaced], series[season:][spaced], len(frame.series)
    return np.stack([_mean_of_series(*chosen), _mean_of_series(chosen[0] ** 2, *chosen[1:])], axis=2)


def _observed(frame: Frame, targets: int) -> Floats:
    return np.stack([frame.observed(t) for t in range(targets)], axis=1)


def _mean_of_series(values: Floats, series: NDArray[np.int64], count: int) -> Floats:
    """Return (S, T) means of the known values (n, T) of each of ``count`` series; NaN where there is none."""
    means = np.full((count, values.shape[1]), np.nan)
    for t, column in enumerate(values.T):
        known = np.isfinite(column)
        numbers = np.bincount(series[known], minlength=count)
        sums = np.bincount(series[known], weights=column[known], minlength=count)
        np.divide(sums, numbers, out=means[:, t], where=numbers > 0)
    return means
