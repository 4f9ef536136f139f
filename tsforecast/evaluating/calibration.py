"""Are the quantile forecasts honest: does each level, and each interval, hold the share of the actuals it promises?"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsforecast.evaluating.forecasts import Forecasts
from tsforecast.metrics.base import Floats, central
from tsforecast.metrics.coverage import lowest_local, tolerance

IN_A_ROW = 200  # forecasts: the lowest coverage is that of so many in a row
_VAGUE = 0.25  # a range of chance this wide on either side tells nothing


@dataclass(frozen=True)
class Share:
    """What share of the actuals is not above a quantile forecast; chance may move it ``tolerance`` off the level."""

    level: float
    share: float
    tolerance: float


@dataclass(frozen=True)
class Interval:
    """A central interval, between two levels.

    Attributes:
        lower: Level of its lower bound.
        upper: Level of its upper bound.
        nominal: Share of the actuals that it should hold: ``upper - lower``.
        coverage: Share that it holds, bounds included.
        tolerance: How far chance may move the coverage off ``nominal``.
        lowest: Lowest coverage of 200 consecutive forecasts of one step and series; NaN where there are fewer.
        width: Mean width, in the unit of the target.
    """

    lower: float
    upper: float
    nominal: float
    coverage: float
    tolerance: float
    lowest: float
    width: float


@dataclass(frozen=True)
class Calibration:
    """What the quantile forecasts of one target promise and keep.

    Attributes:
        target: Name of the target.
        n: Pairs of a known actual and its quantile forecasts; by day only where the night is known.
        levels: Every level.
        intervals: Every central interval, the widest first; none where no two levels are a and 1 - a.
        honest: Whether the widest interval, else the level that is farthest off, holds what it promises up to chance;
            None when there are too few folds to tell.
        sentence: All of this in one plain sentence.
    """

    target: str
    n: int
    levels: tuple[Share, ...]
    intervals: tuple[Interval, ...]
    honest: bool | None
    sentence: str

    def to_json(self) -> dict[str, Any]:
        """Return the numbers and the sentence as a tree of dicts and lists."""
        return dataclasses.asdict(self)


def calibrate(f: Forecasts) -> Calibration | None:
    """Compare every level and every central interval with the actuals; None for a point forecast.

    Args:
        f: The forecasts, with their quantiles.
    """
    if not f.quantiles:
        return None
    f = f.by_day().in_order()  # the zeros of the night are no forecast
    overlap = f.shared_folds()
    levels = tuple(_share(f, level, overlap) for level in f.quantiles)
    intervals = tuple(_interval(f, *pair, overlap) for pair in central(tuple(f.quantiles)))
    n = int(np.isfinite(below(f, levels[0].level)).sum())
    if not n:
        nothing = "No verdict on the quantiles: no rows have both them and a known actual."
        return Calibration(f.target, 0, levels, intervals, None, nothing)
    honest, sentence = _of_interval(intervals[0], levels, n) if intervals else _of_levels(levels, n)
    return Calibration(f.target, n, levels, intervals, honest, sentence)


def below(f: Forecasts, level: float) -> Floats:
    """Return (K, H) 1 where the actual is not above the quantile forecast, 0 where it is, NaN where unknown."""
    return _known(f.actual <= f.quantiles[level], f.actual, f.quantiles[level])


def inside(f: Forecasts, lower: float, upper: float) -> Floats:
    """Return (K, H) 1 where the actual is between two quantile forecasts, 0 where it is not, NaN where unknown."""
    low, high = f.quantiles[lower], f.quantiles[upper]
    return _known((low <= f.actual) & (f.actual <= high), f.actual, low, high)


def by_step(f: Forecasts, lower: float, upper: float, steps: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return the coverage of a central interval at some steps, and how far chance may move each off its nominal value.

    Args:
        f: Forecasts in order.
        lower: Level of the lower bound.
        upper: Level of the upper bound.
        steps: From 1 to H.
    """
    hits, overlap = inside(f, lower, upper), f.shared_folds()
    each = [(hits[:, h - 1 : h], min(h - 1, overlap)) for h in steps.tolist()]  # later folds know what step 1 foretold
    reach = [tolerance(column, upper - lower, series=f.series, overlap=shared) for column, shared in each]
    return np.array([_mean(column) for column, _ in each]), np.array(reach)


def _share(f: Forecasts, level: float, overlap: int) -> Share:
    hits = below(f, level)
    return Share(level, _mean(hits), tolerance(hits, level, series=f.series, overlap=overlap))


def _interval(f: Forecasts, lower: float, upper: float, overlap: int) -> Interval:
    hits, nominal = inside(f, lower, upper), upper - lower
    with np.errstate(invalid="ignore"):  # an interval that has diverged holds nothing, and has no width
        width = f.quantiles[upper] - f.quantiles[lower]
    return Interval(
        lower,
        upper,
        round(nominal, 12),
        _mean(hits),
        tolerance(hits, nominal, series=f.series, overlap=overlap),
        lowest_local(hits, series=f.series, window=IN_A_ROW),
        _mean(np.where(np.isfinite(hits), width, np.nan)),
    )


def _of_interval(widest: Interval, levels: Sequence[Share], n: int) -> tuple[bool | None, str]:
    off = widest.coverage - widest.nominal
    verdict = _honest(off, widest.tolerance)
    words = {None: "too few folds to tell", True: "honest", False: "too narrow" if off < 0 else "too wide"}[verdict]
    worst = "" if math.isnan(widest.lowest) else f"; never below {widest.lowest:.0%} in {IN_A_ROW} in a row"
    text = (
        f"{_percent(widest.nominal)} interval: {words}: covers {widest.coverage:.1%} of {n:,} actuals "
        f"({_chance(widest.nominal, widest.tolerance)}{worst}), mean width {widest.width:.4g}"
    )
    low, high = (s for s in levels if s.level in (widest.lower, widest.upper))
    under = max(0.0, high.share - widest.coverage)  # an actual on the lower bound is inside
    ends = (under - low.level, low.tolerance), (high.share - high.level, high.tolerance)
    if verdict and any(_honest(*end) is False for end in ends):
        text += f", but lopsided: {under:.1%} lie below it and {1 - high.share:.1%} above"
    return verdict, f"{text}.".replace("%", " %")


def _of_levels(levels: Sequence[Share], n: int) -> tuple[bool | None, str]:
    farthest = max(levels, key=lambda s: abs(s.share - s.level) / s.tolerance)
    off = farthest.share - farthest.level
    verdict = _honest(off, farthest.tolerance)
    words = {None: "too few folds to tell", True: "honest", False: "too low" if off < 0 else "too high"}[verdict]
    share = f"{farthest.share:.1%} of {n:,} actuals are not above it ({_chance(farthest.level, farthest.tolerance)})"
    return verdict, f"quantile {farthest.level:g}: {words}: {share}.".replace("%", " %")


def _honest(off: float, reach: float) -> bool | None:
    return bool(abs(off) <= reach) if reach < _VAGUE else None


def _chance(level: float, reach: float) -> str:
    return f"by chance {_percent(max(0.0, level - reach))} to {_percent(min(1.0, level + reach))}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"


def _known(hits: Any, *values: Floats) -> Floats:
    unknown = np.isnan(values[0])
    for more in values[1:]:
        unknown = unknown | np.isnan(more)
    return np.where(unknown, np.nan, hits)


def _mean(values: Floats) -> float:
    known = int(np.count_nonzero(~np.isnan(values)))
    return float(np.nansum(values)) / known if known else math.nan
