"""How far a share of forecasts may be from its level by chance, and where along time it was lowest."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tsforecast.metrics.base import Floats
from tsforecast.metrics.significance import bandwidth_of, fold_means, long_run_variance

_CONFIDENCE = 0.95


def tolerance(hits: Floats, level: float, *, series: NDArray[np.int64], overlap: int) -> float:
    """Return how far the share of hits lies from ``level`` by chance alone, in 95 % of evaluations.

    Hits of one fold, and of folds that overlap, come together: the variance of their mean tells how many independent
    forecasts they are worth, no more than there are rows, and that many have a binomial spread around the level (the
    score test behind the interval of Wilson 1927). Where all hits are equal, which has no variance, it is the number of
    folds that do not overlap.

    Args:
        hits: (K, H) 1 for a hit, 0 for none, NaN where unknown; folds sorted by series and cutoff.
        level: Share of hits that is promised.
        series: (K,) series code of each fold.
        overlap: How many later folds share targets with a fold.

    Returns:
        Half the width of the range of chance; 1 where no hit is known.

    Source:
        Kish 1965, Survey sampling, section 8.2 (design effect); long-run variance and degrees of freedom as in
        :func:`tsforecast.metrics.significance.diebold_mariano`, without the bias of the Bartlett window for few folds
        (Kiefer & Vogelsang 2005, A new asymptotic theory for heteroskedasticity-autocorrelation robust tests). Of
        simulated honest intervals 1 to 9 % were called dishonest.
    """
    from scipy.special import stdtrit

    means, code = fold_means(hits, series)
    folds, total = len(means), hits.size - np.count_nonzero(np.isnan(hits))
    if not folds:
        return 1.0
    share = float(np.nansum(hits)) / total
    longest = int(np.unique(code, return_counts=True)[1].max())
    bandwidth = bandwidth_of(longest, overlap)
    part = bandwidth / folds
    variance = long_run_variance(means, code, bandwidth) / folds / (1 - part + part * part / 3) if folds > 1 else 0.0
    shared = 1 + min(overlap, longest - 1)
    rows = max(1.0, total / min(shared, hits.shape[1]))
    worth = min(share * (1 - share) / variance, rows) if variance > 0 else math.ceil(folds / shared)
    freedom = max(1.0, min(folds - 1.0, 1.5 * folds / bandwidth))
    reach = float(stdtrit(freedom, (1 + _CONFIDENCE) / 2)) * math.sqrt(level * (1 - level) / worth)
    return min(1.0, reach)


def lowest_local(hits: Floats, *, series: NDArray[np.int64], window: int) -> float:
    """Return the lowest share of hits among ``window`` consecutive known forecasts of one step and one series.

    An average over all rows hides a month in which every interval missed; this is the worst such stretch.

    Args:
        hits: (K, H) 1 for a hit, 0 for none, NaN where unknown; folds sorted by series and cutoff.
        series: (K,) series code of each fold.
        window: Forecasts in a row.

    Returns:
        NaN where no step of any series has so many.
    """
    lowest = math.nan
    for folds in np.split(hits, np.flatnonzero(np.diff(series)) + 1):
        for column in folds.T if len(folds) >= window else ():
            total = np.cumsum(column[np.isfinite(column)])
            if len(total) >= window:
                inside = np.append(total[window - 1], total[window:] - total[:-window])
                lowest = float(np.fmin(lowest, inside.min() / window))
    return lowest
