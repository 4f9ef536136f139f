"""What a metric is: averages of terms over pairs of (actual, forecast), and a formula that closes them.

Every metric here is a function of averages, so that one pass over the pairs scores every step, every series and the
whole (``evaluating.scores``), and a new metric is one class with ``terms`` and, if it is no plain average, ``finish``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
_SAME = 1e-6  # two levels this close are one: 1 - 0.9 is not 0.1 in binary
_ROUNDING = 8 * float(np.finfo(np.float32).eps)  # a share; the logarithm of a million and back may lose half of it


@dataclass(frozen=True)
class Pairs:
    """Actuals and forecasts of one shape, with what the metrics need besides; use :func:`pairs` to build one.

    A pair with a NaN on either side is left out of every metric. Infinite values are kept and score as they are: a
    forecast that exploded must not look better for it.

    Attributes:
        actual: Any shape, in the unit of the target.
        forecast: Same shape.
        last: Last actual known when the forecast was made; broadcastable to ``actual``.
        scale_abs: Denominator of MASE, the mean absolute seasonal difference of the training rows; broadcastable.
        scale_sq: Denominator of RMSSE before the root, the mean squared seasonal difference; broadcastable.
        normalizer: Denominator of nRMSE: the rated value, or the range of all the actuals of the evaluation.
        center: Any value within the range of the actuals; keeps the variance of R2 free of cancellation.
        quantiles: Level, ascending, to quantile forecasts of the shape of ``actual``; empty for a point forecast.
    """

    actual: Floats
    forecast: Floats
    last: Floats
    scale_abs: Floats
    scale_sq: Floats
    normalizer: float
    center: float
    quantiles: Mapping[float, Floats] = field(default_factory=dict)

    @cached_property
    def error(self) -> Floats:
        """Forecast minus actual: positive where the forecast is too high."""
        return self.forecast - self.actual

    @cached_property
    def error_abs(self) -> Floats:
        """Absolute error."""
        return np.abs(self.error)

    @cached_property
    def error_sq(self) -> Floats:
        """Squared error."""
        return np.square(self.error)

    @cached_property
    def pinball(self) -> tuple[Floats, ...]:
        """Pinball loss of each quantile forecast: level times the shortfall, 1 - level times the excess."""
        short = ((level, self.actual - quantile) for level, quantile in self.quantiles.items())
        return tuple(np.maximum(level * by, (level - 1) * by) for level, by in short)


def pairs(
    actual: ArrayLike,
    forecast: ArrayLike,
    *,
    last: ArrayLike = np.nan,
    scale_abs: ArrayLike = np.nan,
    scale_sq: ArrayLike = np.nan,
    rated: float | None = None,
    quantiles: Mapping[float, ArrayLike] | None = None,
) -> Pairs:
    """Return the pairs of a whole evaluation; what is not given makes the metrics that need it NaN.

    Args:
        actual: Any shape, NaN where unknown.
        forecast: Same shape.
        last: Last known actual, for directional accuracy.
        scale_abs: Denominator of MASE.
        scale_sq: Squared denominator of RMSSE.
        rated: Denominator of nRMSE, for example the rated power; the range of ``actual`` when None.
        quantiles: Level to quantile forecasts, each of the shape of ``actual``.
    """
    values = np.asarray(actual, dtype=np.float64)
    known = values[~np.isnan(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (np.nan, np.nan)
    return Pairs(
        values,
        np.asarray(forecast, dtype=np.float64),
        last=np.asarray(last, dtype=np.float64),
        scale_abs=np.asarray(scale_abs, dtype=np.float64),
        scale_sq=np.asarray(scale_sq, dtype=np.float64),
        normalizer=high - low if rated is None else rated,
        center=low / 2 + high / 2,
        quantiles={level: np.asarray(value, np.float64) for level, value in sorted((quantiles or {}).items())},
    )


def settled(values: Floats, reference: Floats, spread: Floats) -> Floats:
    """Return values, with those that differ from a reference by rounding alone replaced by the reference.

    Networks compute in float32, on scaled values. So the forecast of a price that does not change comes back a fraction
    of a cent off it: its sign is no direction, and its error is not smaller or larger than that of the last value.

    Args:
        values: Forecasts or actuals.
        reference: What they are compared with, of a shape that fits.
        spread: How much the series varies, which is what a value near zero was scaled with; NaN where unknown.
    """
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        near = np.abs(values - reference) < _ROUNDING * np.fmax(np.abs(reference), spread)
    return np.where(near, reference, values)


def central(levels: Sequence[float]) -> list[tuple[float, float]]:
    """Return the pairs of levels (a, 1 - a) with a < 0.5 among ``levels``: central intervals, the widest first."""
    lower, upper = sorted(a for a in levels if a < 0.5), sorted((b for b in levels if b > 0.5), reverse=True)
    return [(a, b) for a in lower for b in upper if abs(a + b - 1) < _SAME]


class Metric(ABC):
    """One score. Subclasses are stateless and are registered in ``tsforecast.registry.METRICS`` under ``name``.

    Attributes:
        name: The registered name.
        help: One line, with the sign or the direction.
        unit: ``target`` (the unit of the target), ``%`` or ``1`` (a pure number).
        smaller_is_better: True: a loss, and the first of its terms is the loss of each pair; False: larger is better;
            None: best at ``best``.
        best: The best value where neither smaller nor larger is better; zero unless said otherwise.
        source: Where the definition comes from.
        needs: What the metric is NaN without, beside the point forecast: ``quantiles``, a central ``interval`` between
            two of them, or nothing.
        excludes: Which pairs the metric leaves out although both sides are known; empty if none.
    """

    name: ClassVar[str]
    help: ClassVar[str]
    unit: ClassVar[str]
    smaller_is_better: ClassVar[bool | None]
    source: ClassVar[str]
    excludes: ClassVar[str] = ""
    best: ClassVar[str] = "0"
    needs: ClassVar[str] = ""

    @abstractmethod
    def terms(self, pairs: Pairs) -> tuple[Floats, ...]:
        """Return what to average, each of the shape of ``pairs.actual``; a pair with a NaN in any term is left out."""

    def finish(self, *means: Floats) -> Floats:
        """Close the averages of the terms, elementwise over groups of pairs; the first average itself by default."""
        return means[0]

    def score(self, pairs: Pairs) -> float:
        """Return the score over all pairs; NaN when none can be scored."""
        with np.errstate(all="ignore"):
            terms = self.terms(pairs)
            used = self._used(terms)
            if not used.any():
                return float("nan")
            return float(self.finish(*(np.asarray(term[used].mean()) for term in terms)))

    def count(self, pairs: Pairs) -> int:
        """Return how many pairs the score is made of."""
        with np.errstate(all="ignore"):
            return int(self._used(self.terms(pairs)).sum())

    @staticmethod
    def _used(terms: tuple[Floats, ...]) -> NDArray[np.bool_]:
        used: NDArray[np.bool_] = ~np.isnan(terms[0])
        for term in terms[1:]:
            used &= ~np.isnan(term)
        return used
