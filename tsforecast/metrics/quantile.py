"""Scores of quantile forecasts: of all levels together, and of the widest central interval between two of them."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tsforecast.metrics.base import Floats, Metric, Pairs, central
from tsforecast.metrics.scaled import positive


class Pinball(Metric):
    """Pinball loss, averaged over the levels: what a quantile of the truth minimises."""

    name = "pinball"
    help = "Mean pinball (quantile) loss over the levels: half the MAE for the level 0.5 alone; 0 is perfect."
    unit = "target"
    smaller_is_better = True
    source = "Koenker & Bassett 1978, Regression quantiles; Gneiting 2011, Quantiles as optimal point forecasts"
    needs: ClassVar[str] = "quantiles"

    def terms(self, pairs: Pairs) -> tuple[Floats, ...]:
        """Return the losses, averaged over the levels."""
        return (_mean_pinball(pairs),)


class WQL(Metric):
    """Weighted quantile loss: twice the sum of the pinball losses over the sum of the absolute actuals."""

    name = "wql"
    help = "Twice the sum of pinball losses over the sum of |actual|, mean over the levels; 0 is perfect."
    unit = "1"
    smaller_is_better = True
    source = "Alexandrov et al. 2020, GluonTS (mean_wQuantileLoss); the CRPS column of GIFT-Eval"
    needs: ClassVar[str] = "quantiles"

    def terms(self, pairs: Pairs) -> tuple[Floats, ...]:
        """Return twice the losses, averaged over the levels, and the absolute actuals."""
        return 2 * _mean_pinball(pairs), np.abs(pairs.actual)

    def finish(self, *means: Floats) -> Floats:
        """Return the ratio; NaN where every actual is zero."""
        return means[0] / np.where(means[1] == 0, np.nan, means[1])


class CRPS(Metric):
    """Continuous ranked probability score: twice the integral of the pinball loss over all levels from 0 to 1.

    The integral is that of straight lines between the given levels (the trapezoid rule), down to a loss of zero at the
    levels 0 and 1, where it vanishes for whatever distribution has a mean. For a normal distribution known at the nine
    deciles that is 1.5 % too low, at 0.05, 0.5 and 0.95 alone 18 % (twice the mean over these levels: 9 % too high and
    28 % too low), so scores from the same levels compare.
    """

    name = "crps"
    help = "Continuous ranked probability score by the trapezoid rule: MAE for a distribution; 0 is perfect."
    unit = "target"
    smaller_is_better = True
    source = "Gneiting & Raftery 2007, Strictly proper scoring rules; Laio & Tamea 2007, eq. 8"
    needs: ClassVar[str] = "quantiles"

    def terms(self, pairs: Pairs) -> tuple[Floats, ...]:
        """Return twice the integrals."""
        levels = np.array([0.0, *pairs.quantiles, 1.0])
        # Twice the trapezoid rule: each level weighs the distance between its two neighbours.
        return (_total(pairs, tuple(levels[2:] - levels[:-2])),)


class Coverage(Metric):
    """Share of the actuals inside the widest central interval, bounds included.

    That is the interval between the lowest level a and 1 - a that are both forecast; it should hold 1 - 2 a of the
    actuals: the nominal coverage. NaN where no two levels are central, as with the level 0.9 alone.
    """

    name = "coverage"
    help = "Share of actuals in the widest central interval: 0.9 is perfect between the levels 0.05 and 0.95."
    unit = "1"
    smaller_is_better = None
    best: ClassVar[str] = "the nominal coverage"
    source = "Christoffersen 1998, Evaluating interval forecasts"
    needs: ClassVar[str] = "interval"

    def terms(self, pairs: Pairs) -> tuple[Floats, ...]:
        """Return 1 inside the interval and 0 outside."""
        lower, upper, _ = _widest(pairs)
        inside = ((pairs.actual >= lower) & (pairs.actual <= upper)).astype(np.float64)
        return (np.where(np.isnan(pairs.actual) | np.isnan(lower) | np.isnan(upper), np.nan, inside),)


class Width(Metric):
    """Mean width of the widest central interval, see ``coverage``: of two honest intervals the narrower is better."""

    name = "width"
    help = "Mean width of the widest central interval: the narrower the better, where coverage is as it should be."
    unit = "target"
    smaller_is_better = None
    source = "Gneiting, Balabdaoui & Raftery 2007, Probabilistic forecasts, calibration and sharpness"
    needs: ClassVar[str] = "interval"

    def terms(self, pairs: Pairs) -> tuple[Floats, ...]:
        """Return the widths, where the actual is known."""
        lower, upper, _ = _widest(pairs)
        return (np.where(np.isnan(pairs.actual), np.nan, _width(lower, upper)),)


class MSIS(Metric):
    """Mean scaled interval score: width of the widest central interval plus fines for what it misses.

    A miss costs its distance to the interval times 2 / a, with a = 1 - nominal coverage; the sum is divided by the MAE
    of the seasonal naive forecast within the training rows of the same series.
    """

    name = "msis"
    help = "Width plus 2 / (1 - nominal) times what lies outside the widest central interval, scaled as in mase."
    unit = "1"
    smaller_is_better = True
    source = "Makridakis, Spiliotis & Assimakopoulos 2020, The M4 Competition; Gneiting & Raftery 2007, eq. 43"
    excludes = "series whose training rows are unknown or do not vary"
    needs: ClassVar[str] = "interval"

    def terms(self, pairs: Pairs) -> tuple[Floats, ...]:
        """Return the scaled interval scores."""
        lower, upper, outside = _widest(pairs)
        missed = np.maximum(lower - pairs.actual, 0) + np.maximum(pairs.actual - upper, 0)
        return ((_width(lower, upper) + 2 / outside * missed) / positive(pairs.scale_abs),)


def _widest(pairs: Pairs) -> tuple[Floats, Floats, float]:
    """Return the bounds of the widest central interval and 1 - its nominal coverage; NaN where there is none."""
    found = central(tuple(pairs.quantiles))
    if not found:
        nothing = np.full_like(pairs.actual, np.nan)
        return nothing, nothing, np.nan
    lower, upper = found[0]
    return pairs.quantiles[lower], pairs.quantiles[upper], 1 - (upper - lower)


def _width(lower: Floats, upper: Floats) -> Floats:
    return np.where(lower == upper, 0.0, upper - lower)  # also where both exploded: the fine for it must not vanish


def _mean_pinball(pairs: Pairs) -> Floats:
    return _total(pairs, (1 / max(1, len(pairs.quantiles)),) * len(pairs.quantiles))


def _total(pairs: Pairs, weights: tuple[float, ...]) -> Floats:
    """Return the weighted sum of the pinball losses over the levels; NaN without quantiles."""
    if not weights:
        return np.full_like(pairs.actual, np.nan)
    total = weights[0] * pairs.pinball[0]
    for weight, loss in zip(weights[1:], pairs.pinball[1:], strict=True):
        total += weight * loss
    return total
