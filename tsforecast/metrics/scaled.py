"""Scores relative to the seasonal naive forecast on the training rows, comparable between series."""

from __future__ import annotations

import numpy as np

from tsforecast.metrics.base import Floats, Metric, Pairs


def positive(scale: Floats) -> Floats:
    """Return the denominators, NaN where they are zero."""
    return np.where(scale > 0, scale, np.nan)


class MASE(Metric):
    """Mean absolute error over that of the seasonal naive forecast within the training rows of the same series."""

    name = "mase"
    help = "MAE over the MAE of seasonal naive on the training rows: below 1 is better than that."
    unit = "1"
    smaller_is_better = True
    source = "Hyndman & Koehler 2006, section 3"
    excludes = "series whose training rows are unknown or do not vary"

    def terms(self, pairs: Pairs) -> tuple[Floats, ...]:
        """Return the scaled absolute errors."""
        return (pairs.error_abs / positive(pairs.scale_abs),)


class RMSSE(Metric):
    """Root of the mean squared error over that of the seasonal naive forecast within the training rows."""

    name = "rmsse"
    help = "Root of MSE over the MSE of seasonal naive on the training rows: below 1 is better than that."
    unit = "1"
    smaller_is_better = True
    source = "Makridakis, Spiliotis & Assimakopoulos 2022, The M5 accuracy competition, eq. 1"
    excludes = "series whose training rows are unknown or do not vary"

    def terms(self, pairs: Pairs) -> tuple[Floats, ...]:
        """Return the scaled squared errors."""
        return (pairs.error_sq / positive(pairs.scale_sq),)

    def finish(self, *means: Floats) -> Floats:
        """Return the root."""
        return np.sqrt(means[0])
