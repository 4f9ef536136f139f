"""Who is not distinguishable from the best, when several are compared with it at once?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsforecast.metrics.base import Floats
from tsforecast.metrics.significance import diebold_mariano


@dataclass(frozen=True)
class Standing:
    """One forecast compared with the best.

    Attributes:
        p_value: Of the Diebold-Mariano test against the best, adjusted by Holm; NaN for the best itself.
        margin: Half the width of the 95 % interval of the difference, as a share of the difference; not adjusted, so
            it is below 1 exactly where this one comparison alone would be significant.
    """

    p_value: float
    margin: float


def standings(
    losses: Sequence[Floats], best: int, *, series: NDArray[np.int64] | None = None, overlap: int | None = None
) -> list[Standing]:
    """Compare several forecasts with the best of them.

    Args:
        losses: One (K, H) array per forecast, folds sorted by series and cutoff; NaN where unknown.
        best: Number of the forecast that the others are compared with.
        series: (K,) series code of each fold; all one series by default.
        overlap: How many later folds share targets with a fold; H - 1 by default.

    Source:
        Holm 1979, A simple sequentially rejective multiple test procedure; Altman & Bland 2011, How to obtain the
        confidence interval from a P value (the standard error is the difference over the normal quantile of p).
    """
    others = [i for i in range(len(losses)) if i != best]
    raw = [diebold_mariano(losses[i], losses[best], series=series, overlap=overlap).p_value for i in others]
    adjusted = dict(zip(others, zip(holm(raw), raw, strict=True), strict=True))
    out = []
    for i in range(len(losses)):
        p, single = adjusted.get(i, (math.nan, math.nan))
        out.append(Standing(p, _margin(single)))
    return out


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values adjusted so that the chance of any false claim among all of them stays below the level.

    The smallest of m is multiplied by m, the next by m - 1, ...; none becomes smaller than one before it, or above 1.
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    out, highest = [0.0] * len(p_values), 0.0
    for place, i in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - place) * p_values[i]))
        out[i] = highest
    return out


def _margin(p_value: float) -> float:
    from scipy.special import ndtri

    if math.isnan(p_value):
        return math.nan
    deviations = -float(ndtri(p_value / 2))  # of the difference from zero, in standard errors
    return 1.959963984540054 / deviations if deviations > 0 else math.inf
