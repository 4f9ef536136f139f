"""Conformal intervals: what a forecast left over on the validation rows says how far the truth may lie from it.

Everything here is in scaled units. Residuals are actual minus the point forecast; distances are the network's own
output of a level minus the point, zero where it has none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsforecast.metrics.base import Floats

STEP = 0.02  # of a tracked quantile, in mean absolute residuals: a miss of the level 0.95 moves it by 0.019
LEAST = 1e-3  # of the usual size: a unit is never nothing
MEMORIES = (12, 96)  # steps over which the size of recent residuals is averaged: half a day and four days of hours

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Margins:
    """What is added to the forecast of each level.

    Attributes:
        margin: (H, T, n) by step, target and requested level, for a series of spread 1.
        start: (H, T, n) where margins that follow the errors begin: residuals in units of their expected size.
        spread: (S, T) how large the residuals of each training series are, compared with all of them.
        size: (H, T) mean absolute residual, for a series of spread 1 and in units of :func:`widths`.
    """

    margin: NDArray[np.float64]
    start: NDArray[np.float64]
    spread: NDArray[np.float64]
    size: NDArray[np.float64]

    def spreads(self, known: Ints) -> Floats:
        """Return (K, 1, T) the spread of series by their numbers in training (K,); of a new one (-1) the median."""
        usual = np.median(self.spread, axis=0)
        return np.asarray(np.where(known[:, None] >= 0, self.spread[known], usual))[:, None]

    def at(self, known: Ints, horizon: int) -> Floats:
        """Return (K, horizon, T, n) in scaled units; beyond the last step that was calibrated, that of this step."""
        return self.margin[self._steps(horizon)] * self.spreads(known)[..., None]

    def adapted(self, left: Floats, distance: Floats, places: Ints, known: Ints, levels: Sequence[float]) -> Floats:
        """Return (K, H, T, n) margins of one series that follow its own residuals, as far as they are known by then.

        Args:
            left: (K, H, T) residuals; NaN where unknown. In the order of time.
            distance: (K, H, T, n) distances.
            places: (K,) position of each cutoff on the time grid, ascending.
            known: (1,) number of the series in training; -1 for a new one.
            levels: n levels.
        """
        steps, unit = self._steps(left.shape[1]), widths(distance) * self.spreads(known)[..., None]
        unit = unit * self.size[steps][..., None]
        expected = expected_sizes(np.abs(left) / unit.mean(axis=-1), places)
        moved = track(left[..., None] / unit, expected, places, self.start[steps], np.asarray(levels))
        return np.asarray(moved * unit - distance)

    def _steps(self, horizon: int) -> Ints:
        return np.minimum(np.arange(horizon), len(self.margin) - 1)


def measure(left: Floats, distance: Floats, places: Ints, series: Ints, count: int, levels: Sequence[float]) -> Margins:
    """Measure the margins by split conformal prediction, each step of the horizon and each target by itself.

    The margin of the level q is the ceil((n + 1) q)-th smallest of n residuals from that level; below the median, by
    symmetry, the ceil((n + 1)(1 - q))-th largest. If the residuals to come are exchangeable with these, the truth lies
    below the upper quantile with at least the probability q, and at most 1 / (n + 1) more. Residuals of several series
    are pooled after division by each series' mean absolute residual.

    Source: V. Vovk et al., Algorithmic Learning in a Random World (2005); J. Lei et al., JASA 113 (2018), section 2;
    with quantile forecasts: Y. Romano, E. Patterson & E. Candes, Conformalized quantile regression, NeurIPS 2019,
    theorem 2 (each side by itself).

    Args:
        left: (K, H, T) residuals; NaN where unknown.
        distance: (K, H, T, n) distances.
        places: (K,) position of each cutoff on the time grid, ascending within a series.
        series: (K,) number of the series of each window.
        count: S, number of series.
        levels: n levels.
    """
    usual = _mean(np.abs(left), (0, 1))
    spread = np.stack([_mean(np.abs(left[series == s]), (0, 1)) for s in range(count)])
    spread = np.where(np.isfinite(spread) & (spread > 0), spread, usual) if count > 1 else np.ones_like(spread)
    own = spread[series][:, None]
    unit = widths(distance) * own[..., None]
    size = _mean(np.abs(left) / unit.mean(axis=-1), 0)
    size = np.where(size > 0, size, 1.0)  # steps without an error still have a unit
    unit = unit * size[..., None]
    expected = np.empty((len(series), left.shape[2]))
    for s in np.unique(series):
        chosen = series == s
        expected[chosen] = expected_sizes(np.abs(left[chosen]) / unit[chosen].mean(axis=-1), places[chosen])
    margin = _quantiles((left[..., None] - distance) / own[..., None], levels)
    return Margins(margin, _quantiles(left[..., None] / unit / expected[:, None, :, None], levels), spread, size)


def widths(distance: Floats) -> Floats:
    """Return (K, H, T, n) how wide the network itself says that each side is; 1 where it has no levels of its own.

    A level at the point, or next to it, is as wide as the others are on average, or a twentieth of that.
    """
    size = np.abs(distance)
    count = (size > 0).sum(axis=-1, keepdims=True)
    usual = np.where(count > 0, size.sum(axis=-1, keepdims=True) / np.maximum(count, 1), 1.0)
    return np.asarray(np.where(size > 0, np.maximum(size, 0.05 * usual), usual))


def _quantiles(residuals: Floats, levels: Sequence[float]) -> Floats:
    """Return (H, T, n) the conformal quantiles of residuals (K, H, T, n); zero where none is known."""
    ordered = np.sort(residuals, axis=0)  # NaN comes last
    known = np.isfinite(residuals).sum(axis=0)
    made = np.zeros(residuals.shape[1:])
    for i, level in enumerate(levels):
        rank = _rank(known[..., i], level)
        found = np.take_along_axis(ordered[..., i], rank[None] - 1, axis=0)[0]
        made[..., i] = np.where(known[..., i] > 0, found, 0.0)
    return made


def _rank(n: NDArray[np.int64], level: float) -> NDArray[np.int64]:
    """Return which of n sorted values (from 1) is the conformal quantile; the outermost where n is too small."""
    upper = level >= 0.5
    rank = np.ceil(np.round((n + 1) * (level if upper else 1 - level), 9)).astype(np.int64)
    return np.clip(rank if upper else n + 1 - rank, 1, np.maximum(n, 1))


def expected_sizes(sizes: Floats, places: Ints) -> Floats:
    """Return (K, T) how large the errors to come are expected at each cutoff, in units of their usual size.

    The mean of a fast and a slow exponential mean over everything that is known by then, whatever its step: a storm
    that shows in the first steps widens the later ones at once.

    Args:
        sizes: (K, H, T) absolute residuals of one series, in units of their usual size; NaN where unknown.
        places: (K,) positions of the cutoffs on the time grid, ascending.
    """
    fade = np.exp(-1 / np.array(MEMORIES))[:, None]
    recent, out = np.ones((len(MEMORIES), sizes.shape[2])), np.empty((len(sizes), sizes.shape[2]))
    elapsed = np.diff(places, prepend=places[:1])
    for k, arrived in enumerate(_arrivals(places, sizes.shape[1])):
        kept = fade ** (elapsed[k] / max(len(arrived), 1))  # memory is of time, however far apart the cutoffs are
        for fold, step in arrived:
            size = _mean(sizes[fold, step], 0)
            recent = np.where(np.isfinite(size), kept * recent + (1 - kept) * size, recent)
        out[k] = recent.mean(axis=0)
    return np.fmax(out, LEAST)


def track(residuals: Floats, expected: Floats, places: Ints, start: Floats, levels: Floats) -> Floats:
    """Follow the quantiles of residuals online, each step and level by itself.

    The quantile of level q of the residuals, each divided by the size expected when its forecast was made, moves by
    STEP * (q - [residual <= quantile]) with everything that becomes known, so that in the long run the share q lies
    below it, whatever the residuals do.

    Source: quantile tracking: A. Angelopoulos, E. Candes & R. Tibshirani, Conformal PID control for time series
    prediction, NeurIPS 2023, section 2.1, proposition 1 (there of residuals as they are).

    Args:
        residuals: (K, H, T, n) of one series, in units of their usual size; NaN where unknown.
        expected: (K, T) from :func:`expected_sizes`.
        places: (K,) positions of the cutoffs on the time grid, ascending.
        start: (H, T, n) quantiles to begin with, in units of the expected size.
        levels: (n,).

    Returns:
        (K, H, T, n) what to add at each cutoff, in units of the usual size.
    """
    quantile, out = start.copy(), np.empty_like(residuals)
    relative = residuals / expected[:, None, :, None]
    for k, arrived in enumerate(_arrivals(places, residuals.shape[1])):
        for fold, step in arrived:
            found = relative[fold, step]
            moved = STEP * (levels - (found <= quantile[step]))
            quantile[step] += np.where(np.isfinite(found), moved, 0.0)
        out[k] = quantile * expected[k][:, None]
    return out


def _arrivals(places: Ints, horizon: int) -> Iterator[list[tuple[Ints, Ints]]]:
    """Yield at each cutoff what has become known since the one before: folds and their steps (from 0), side by side.

    Step h of a forecast made at place c is known from c + h on. Of each step one fold at a time, in order.
    """
    ahead = np.arange(1, horizon + 1)
    taken = np.zeros(horizon, dtype=np.int64)
    for place in places:
        known = np.searchsorted(places, place - ahead, side="right")
        arrived = []
        while (steps := np.flatnonzero(taken < known)).size:
            arrived.append((taken[steps], steps))
            taken[steps] += 1
        yield arrived


def _mean(values: Floats, axis: int | tuple[int, ...]) -> Floats:
    """Return the mean over what is known; NaN where nothing is."""
    known = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, values, 0.0).sum(axis=axis) / known.sum(axis=axis))
