"""Did the forecast call the direction: up or down from the last known value?"""

from __future__ import annotations

import math

import numpy as np

from tsforecast.metrics.base import Floats, Metric, Pairs, settled


class DirectionalAccuracy(Metric):
    """Share of pairs where forecast and actual lie on the same side of the last known value, by more than rounding."""

    name = "directional_accuracy"
    help = "Share of rows whose up or down from the last known value was called: 0.5 is a coin, 1 is perfect."
    unit = "1"
    smaller_is_better = False
    source = "Pesaran & Timmermann 1992, A simple nonparametric test of predictive performance"
    excludes = "actuals equal to the last known value"

    def terms(self, pairs: Pairs) -> tuple[Floats, ...]:
        """Return 1 where the direction was called and 0 where not; a forecast of no change is never right."""
        move, called = moves(pairs, pairs.actual), moves(pairs, pairs.forecast)
        hit = (move == called).astype(np.float64)
        return (np.where((move == 0) | np.isnan(move) | np.isnan(called), np.nan, hit),)


def moves(pairs: Pairs, values: Floats) -> Floats:
    """Return 1 where values lie above the last known one, -1 below it, 0 where only rounding tells them from it."""
    signs: Floats = np.sign(settled(values, pairs.last, pairs.scale_abs) - pairs.last)
    return signs


def wilson_interval(share: float, n: float, z: float = 1.959963984540054) -> tuple[float, float]:
    """Return the Wilson score interval of a share.

    Args:
        share: Share of successes, 0 to 1.
        n: Number of independent trials (an effective number may be fractional); 0 gives the whole range.
        z: Normal quantile of the confidence; 95 % by default.

    Source:
        Wilson 1927, Probable inference, the law of succession, and statistical inference.
    """
    if not n > 0 or math.isnan(share):
        return 0.0, 1.0
    center = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, center - half), min(1.0, center + half)
