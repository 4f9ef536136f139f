"""Did the forecast call the direction: up or down from the last known value?"""

from __future__ import annotations

import math

import numpy as np

from tsforecast.metrics.base import Floats, Metric, Pairs


class DirectionalAccuracy(Metric):
    """Share of pairs where forecast and actual lie on the same side of the last known value."""

    name = "directional_accuracy"
    help = "Share of rows whose up or down from the last known value was called: 0.5 is a coin, 1 is perfect."
    unit = "1"
    smaller_is_better = False
    source = "Pesaran & Timmermann 1992, A simple nonparametric test of predictive performance"
    excludes = "actuals equal to the last known value"

    def terms(self, pairs: Pairs) -> tuple[Floats, ...]:
        """Return 1 where the direction was called and 0 where not; a forecast of no change is never right."""
        move = np.sign(pairs.actual - pairs.last)
        called = np.sign(pairs.forecast - pairs.last)
        hit = (move == called).astype(np.float64)
        return (np.where((move == 0) | np.isnan(move) | np.isnan(called), np.nan, hit),)


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
