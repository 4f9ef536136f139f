"""Scores in the unit of the target, and those that are these divided by a constant of the evaluation."""

from __future__ import annotations

import numpy as np

from tsforecast.metrics.base import Floats, Metric, Pairs

HYNDMAN = "Hyndman & Koehler 2006, Another look at measures of forecast accuracy, section 2.1"


class MAE(Metric):
    """Mean absolute error."""

    name = "mae"
    help = "Mean absolute error; 0 is perfect."
    unit = "target"
    smaller_is_better = True
    source = HYNDMAN

    def terms(self, pairs: Pairs) -> tuple[Floats, ...]:
        """Return the absolute errors."""
        return (pairs.error_abs,)


class RMSE(Metric):
    """Root mean squared error."""

    name = "rmse"
    help = "Root mean squared error: large errors weigh more; 0 is perfect."
    unit = "target"
    smaller_is_better = True
    source = HYNDMAN

    def terms(self, pairs: Pairs) -> tuple[Floats, ...]:
        """Return the squared errors."""
        return (pairs.error_sq,)

    def finish(self, *means: Floats) -> Floats:
        """Return the root."""
        return np.sqrt(means[0])


class NRMSE(RMSE):
    """Root mean squared error as a share of the rated value or of the range of the actuals."""

    name = "nrmse"
    help = "RMSE divided by the rated value, or by the range of all the actuals if none is given; 0 is perfect."
    unit = "1"
    source = "Zhang et al. 2015, A suite of metrics for assessing the performance of solar power forecasting"
    excludes = "pairs of an evaluation whose actuals are all equal"

    def terms(self, pairs: Pairs) -> tuple[Floats, ...]:
        """Return the squared errors over the squared normalizer."""
        return (pairs.error_sq / (np.square(pairs.normalizer) if pairs.normalizer > 0 else np.nan),)


class R2(Metric):
    """Coefficient of determination: one minus the squared error over the variance of the actuals."""

    name = "r2"
    help = "Coefficient of determination: 1 is perfect, 0 is no better than the mean of the actuals, negative is worse."
    unit = "1"
    smaller_is_better = False
    source = "Kvalseth 1985, Cautionary note about R2, eq. 1"

    def terms(self, pairs: Pairs) -> tuple[Floats, ...]:
        """Return the squared errors, and the actuals with their squares around the center."""
        centered = pairs.actual - pairs.center
        return pairs.error_sq, centered, np.square(centered)

    def finish(self, *means: Floats) -> Floats:
        """Return one minus the ratio of the means; NaN where the actuals do not vary."""
        variance = means[2] - np.square(means[1])
        # Below this share the difference of two squares is rounding, not variance.
        return 1 - means[0] / np.where(variance > 1e-12 * means[2], variance, np.nan)


class Fit(R2):
    """How much of a record is reproduced, in percent: the measure of system identification."""

    name = "fit"
    help = "100 (1 - |error| / |actual - mean|), of norms: 100 is perfect, 0 is no better than the mean of the actuals."
    unit = "%"
    source = "Ljung 1999, System identification, 2nd ed., section 17.3"

    def finish(self, *means: Floats) -> Floats:
        """Return the share from R2 = 1 - |error|^2 / |actual - mean|^2."""
        return 100 * (1 - np.sqrt(1 - super().finish(*means)))


class Bias(Metric):
    """Mean error."""

    name = "bias"
    help = "Mean of forecast minus actual: positive = forecast too high, negative = too low, 0 = balanced."
    unit = "target"
    smaller_is_better = None
    source = HYNDMAN

    def terms(self, pairs: Pairs) -> tuple[Floats, ...]:
        """Return the errors."""
        return (pairs.error,)
