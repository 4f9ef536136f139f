"""The folds on which several forecasters are compared: the same for all, with what happened and the baselines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from tsforecast.data.frame import Frame
from tsforecast.data.window import thinned
from tsforecast.evaluating.backtest import assemble
from tsforecast.evaluating.forecasts import Forecasts
from tsforecast.forecasting.ahead import Ahead
from tsforecast.forecasting.forecaster import Forecaster
from tsforecast.metrics.base import Floats, Metric, settled
from tsforecast.metrics.groups import Standing, standings

FEW = 0.9  # a baseline that has a forecast for a smaller share of the pairs is left out, rather than they for its sake


def common(found: Sequence[NDArray[np.int64]], frame: Frame, *, n_windows: int = 0, most: int = 0) -> NDArray[np.int64]:
    """Return the cutoffs that all have, sorted by series and time.

    Args:
        found: The rows that each can forecast from.
        frame: Their series.
        n_windows: Only the last so many of each series; 0 for all.
        most: More than this are thinned out evenly; 0 for no limit.
    """
    rows = reduce(np.intersect1d, found)
    if n_windows:
        rows = frame.last_of_each(rows, n_windows)
    return thinned(rows, most) if most else rows


class Ground:
    """Folds with what happened and what the baselines say, and scores on them. K folds, H steps, T targets.

    Where a baseline has no forecast, nobody is scored: all scores are over the same pairs.

    Args:
        reference: The forecaster with the longest lags; nothing of it matters but its sizes, columns and memory.
        frame: Series with the rows to score; earlier rows serve as lags.
        first: (S,) first row of each series that the baselines of the domain may not learn from.
        cutoffs: (K,) last known rows of the folds, sorted.

    Attributes:
        lags: Known steps before every fold, at least.
        horizon: H.
        targets: One per target, without forecasts; empty when there are no folds.
        left_out: Baselines that lack too many forecasts.
    """

    def __init__(
        self, reference: Forecaster, frame: Frame, first: NDArray[np.int64], cutoffs: NDArray[np.int64]
    ) -> None:
        self.frame, self.cutoffs = frame, cutoffs
        self.lags, self.horizon = reference.shape.lags, reference.shape.horizon
        self.targets: tuple[Forecasts, ...] = ()
        self.left_out: list[str] = []
        if not len(cutoffs):
            return
        ahead = Ahead(frame, cutoffs, self.horizon)
        nothing = np.full((*ahead.rows.shape, reference.targets), np.nan)
        made = assemble(reference, frame, cutoffs, first, ahead.time(), ahead.rows, nothing)
        self.left_out = [name for name in made[0].baselines if _coverage(made, name) < FEW]
        self.targets = tuple(_on_common_pairs(f, self.left_out) for f in made)
        self._overlap = made[0].shared_folds()

    def __len__(self) -> int:
        """K."""
        return len(self.cutoffs)

    @property
    def baselines(self) -> list[str]:
        """Names of the baselines that are ranked."""
        return list(self.targets[0].baselines)

    def forecasts(self, forecaster: Forecaster) -> Floats:
        """Return the forecasts (K, H, T) of a forecaster; those of a baseline that only rounding tells them from."""
        values = forecaster.forecast(self.frame, self.cutoffs, self.horizon).point
        spread = np.stack([f.scale[f.series, :1] for f in self.targets], axis=-1)
        for name in self.baselines:
            values = settled(values, self.baseline(name), spread)
        return values

    def baseline(self, name: str) -> Floats:
        """Return the forecasts (K, H, T) of a baseline."""
        return np.stack([f.baselines[name] for f in self.targets], axis=-1)

    def score(self, values: Floats, metric: Metric) -> float:
        """Score forecasts (K, H, T), of unlike series each in its own unit.

        Of several targets it is the mean, in shares of naive if the metric has their unit.
        """
        made = [self._comparable(t, values, metric) for t in range(len(self.targets))]
        return float(np.mean([metric.score(f.pairs()) / self._unit(f, metric) for f in made]))

    def by_target(self, values: Floats, metric: Metric) -> dict[str, float]:
        """Return the score of each target, in its own unit; of unlike series in theirs."""
        made = [self._comparable(t, values, metric) for t in range(len(self.targets))]
        return {f.target: metric.score(f.pairs()) for f in made}

    def losses(self, values: Floats, metric: Metric) -> Floats:
        """Return the loss (K, 1) of each fold; NaN where nothing of it is known."""
        total = np.zeros((len(self), 1))
        for t in range(len(self.targets)):
            f = self._comparable(t, values, metric)
            loss = pair_losses(metric, f) / self._unit(f, metric)
            known = np.isfinite(loss)
            count = known.sum(axis=1, keepdims=True)
            mean = np.where(known, loss, 0.0).sum(axis=1, keepdims=True) / np.maximum(count, 1)
            total += np.where(count > 0, mean, np.nan)
        return total / len(self.targets)

    def standings(self, losses: Sequence[Floats], best: int) -> list[Standing]:
        """Compare (K, 1) losses with the best of them."""
        return standings(losses, best, series=self.targets[0].series, overlap=self._overlap)

    def _comparable(self, target: int, values: Floats, metric: Metric) -> Forecasts:
        """Return the forecasts (K, H, T) of one target in the units that a metric averages."""
        return replace(self.targets[target], forecast=values[..., target]).comparable(metric.unit)

    def _unit(self, f: Forecasts, metric: Metric) -> float:
        """Return what the scores of a target are divided by, so that several targets can be averaged."""
        if len(self.targets) == 1 or metric.unit != "target":
            return 1.0
        naive = metric.score(f.pairs(f.baselines["naive"]))
        return naive if naive > 0 else math.nan


def pair_losses(metric: Metric, f: Forecasts) -> Floats:
    """Return the loss (K, H) of each pair of a forecast that a metric averages.

    Where larger is better: the negative of what is averaged, or, of a metric made from squared errors, these.
    """
    with np.errstate(all="ignore"):
        first = metric.terms(f.pairs())[0]
    plain = type(metric).finish is Metric.finish
    return first if metric.smaller_is_better or not plain else -first


def _coverage(made: Sequence[Forecasts], name: str) -> float:
    """Return the share of the pairs with a known actual that a baseline has a forecast for, of the worst target."""
    shares = [np.isfinite(f.baselines[name])[np.isfinite(f.actual)] for f in made]
    return min(float(share.mean()) if len(share) else 0.0 for share in shares)


def _on_common_pairs(f: Forecasts, left_out: Sequence[str]) -> Forecasts:
    """Return the forecasts with the actuals unknown wherever a baseline that is kept has no forecast."""
    kept = {name: values for name, values in f.baselines.items() if name not in left_out}
    known = reduce(np.logical_and, (np.isfinite(values) for values in kept.values()), np.isfinite(f.actual))
    return replace(f, actual=np.where(known, f.actual, np.nan), baselines=kept)
