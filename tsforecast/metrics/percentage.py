"""Scores in percent of the actuals."""

from __future__ import annotations

import numpy as np

from tsforecast.metrics.base import Floats, Metric, Pairs


class MAPE(Metric):
    """Mean absolute percentage error over the pairs whose actual is not zero."""

    name = "mape"
    help = "Mean of |error| / |actual|; zero actuals are left out and counted; punishes forecasts that are too high."
    unit = "%"
    smaller_is_better = True
    source = "Hyndman & Koehler 2006, section 2.2"
    excludes = "zero actuals"

    def terms(self, pairs: Pairs) -> tuple[Floats, ...]:
        """Return the percentage errors."""
        return (100 * pairs.error_abs / np.where(pairs.actual == 0, np.nan, np.abs(pairs.actual)),)


class SMAPE(Metric):
    """Symmetric mean absolute percentage error, from 0 to 200."""

    name = "smape"
    help = "Mean of 2 |error| / (|actual| + |forecast|), from 0 (perfect) to 200; 0 where both are zero."
    unit = "%"
    smaller_is_better = True
    source = "Makridakis, Spiliotis & Assimakopoulos 2020, The M4 Competition"

    def terms(self, pairs: Pairs) -> tuple[Floats, ...]:
        """Return the symmetric percentage errors."""
        size = np.abs(pairs.actual) + np.abs(pairs.forecast)
        ratio = pairs.error_abs / np.where(size == 0, 1.0, size)
        return (200 * np.where(np.isinf(size), 1.0, ratio),)


class WAPE(Metric):
    """Weighted absolute percentage error: the sum of absolute errors over the sum of absolute actuals."""

    name = "wape"
    help = "Sum of |error| over sum of |actual|: a percentage that zeros do not break; 0 is perfect."
    unit = "%"
    smaller_is_better = True
    source = "Kolassa & Schuetz 2007, Advantages of the MAD/Mean ratio over the MAPE"

    def terms(self, pairs: Pairs) -> tuple[Floats, ...]:
        """Return the absolute errors and the absolute actuals."""
        return pairs.error_abs, np.abs(pairs.actual)

    def finish(self, *means: Floats) -> Floats:
        """Return the ratio; NaN where every actual is zero."""
        return 100 * means[0] / np.where(means[1] == 0, np.nan, means[1])
