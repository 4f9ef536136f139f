"""The verdict: is the forecast better than the baselines, is that more than luck, or does it repeat the last value?"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tsforecast.errors import UsageError
from tsforecast.evaluating.forecasts import Forecasts
from tsforecast.metrics.base import Floats, Metric, settled
from tsforecast.metrics.direction import DirectionalAccuracy, moves, wilson_interval
from tsforecast.metrics.lag import Lag, find_lag
from tsforecast.metrics.significance import DM, diebold_mariano
from tsforecast.plain import plain
from tsforecast.registry import METRICS

SIGNIFICANT = 0.05
NEGLIGIBLE = 0.001  # a share: below it a difference is rounding (float32 weights), whatever its p-value
_RANDOM_WALK = {"naive": "the random walk", "drift": "the random walk with drift"}


@dataclass(frozen=True)
class Direction:
    """Directional accuracy over ``n`` rows with its 95 % Wilson interval, which counts a fold as one trial.

    Attributes:
        accuracy: Share of the rows whose direction was called.
        low: Lower end of the interval.
        high: Upper end.
        n: Rows that moved.
        up: Share of them that moved up; NaN where none did.
    """

    accuracy: float
    low: float
    high: float
    n: int
    up: float

    @property
    def usual(self) -> float:
        """Accuracy of always calling the direction that was more frequent: that of a coin, or better."""
        return max(self.up, 1 - self.up)


@dataclass(frozen=True)
class Against:
    """The forecast against one baseline, on the rows that both have; ``skill`` = 1 - score / score of the baseline.

    Of a forecast that diverges it is minus infinity, and there is no test: infinite losses have no mean difference.
    """

    score: float
    skill: float
    dm: DM

    @property
    def diverges(self) -> bool:
        """The forecast is infinite on some of the rows."""
        return math.isnan(self.dm.p_value)


@dataclass(frozen=True)
class Verdict:
    """What an evaluation comes to, for one target.

    Attributes:
        target: Name of the target.
        metric: Registered name of the loss that was compared.
        own_units: Each series was measured in its own unit, see ``Forecasts.comparable``; so are all scores here.
        score: Score of the forecast over all its rows.
        baselines: The comparison with each baseline (``Against.score`` is the score of the baseline).
        best: The strongest baseline; empty when there is none with a score.
        skilled: Better than every baseline, and than the strongest by more than luck; None for a simulation of so few
            runs that there is no test.
        direction: Directional accuracy.
        lag: What the lag detector found; None with too few folds.
        sentence: All of this in one plain sentence.
    """

    target: str
    metric: str
    own_units: bool
    score: float
    baselines: Mapping[str, Against]
    best: str
    skilled: bool | None
    direction: Direction
    lag: Lag | None
    sentence: str

    @property
    def skill(self) -> float:
        """Skill over the strongest baseline; NaN when there is none."""
        return self.baselines[self.best].skill if self.best else math.nan

    @property
    def p_value(self) -> float:
        """Probability of such a difference to the strongest baseline by luck alone; NaN when there is none."""
        return self.baselines[self.best].dm.p_value if self.best else math.nan

    @property
    def loss(self) -> str:
        """The loss in words: ``MAE``, ``MAE in each series' own unit``."""
        return _loss(self.metric, self.own_units)

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as plain JSON values; numbers that are not finite become None."""
        document: dict[str, Any] = plain({**dataclasses.asdict(self), "skill": self.skill})
        return document


def judge(f: Forecasts, metric: str = "mae", *, random_walk: bool = False) -> Verdict:
    """Compare the forecast with every baseline and say what it comes to.

    Args:
        f: The forecasts.
        metric: Registered name of a metric of points where smaller is better; its loss per pair is what is tested.
        random_walk: Prices: name the naive forecast as the random walk that it is.

    Raises:
        UsageError: The metric is unknown, or no such loss.
    """
    chosen: Metric = METRICS.get(metric)()
    if not measures_skill(metric):
        losses = ", ".join(filter(measures_skill, METRICS))
        raise UsageError(f"skill cannot be measured with '{metric}'", hint=f"choose from {losses}")
    ordered = f.in_order().comparable(chosen.unit)
    compared = {name: _compare(ordered, chosen, values) for name, values in ordered.baselines.items()}
    compared = {name: against for name, against in compared.items() if not math.isnan(against.skill)}
    best = min(compared, key=lambda name: (compared[name].skill, compared[name].score), default="")
    skilled = bool(best) and compared[best].skill > NEGLIGIBLE and compared[best].dm.p_value < SIGNIFICANT
    lag = lag_of_best_correlation(ordered)
    own_units = ordered.unlike != f.unlike
    sentence = _sentence(_loss(metric, own_units), compared, best, random_walk)
    if lag is not None and lag.repeats_last and not np.isinf(ordered.forecast).any():
        sentence += f", and it mostly repeats the last value (best correlation at shift {lag.shift})"
    return Verdict(
        target=f.target,
        metric=metric,
        own_units=own_units,
        score=chosen.score(ordered.pairs()),
        baselines=compared,
        best=best,
        skilled=skilled,
        direction=_direction(ordered),
        lag=lag,
        sentence=f"{sentence}.",
    )


def measures_skill(metric: str) -> bool:
    """Tell whether skill can be measured in a metric: a loss of points, which baselines have, too.

    Raises:
        UsageError: The metric is unknown.
    """
    chosen = METRICS.get(metric)
    return chosen.smaller_is_better is True and not chosen.needs


def lag_of_best_correlation(f: Forecasts) -> Lag | None:
    """Return what :func:`tsforecast.metrics.lag.find_lag` finds in the forecasts, in whatever order the folds are."""
    f = f.in_order().comparable()
    return find_lag(f.last, f.actual, f.forecast, f.series)


def _compare(f: Forecasts, metric: Metric, baseline: Floats) -> Against:
    """Compare on the pairs that the forecast and the baseline both have; folds sorted by series and cutoff."""
    either = np.isnan(f.forecast) | np.isnan(baseline)
    forecast = settled(f.forecast, baseline, f.scale[f.series, :1])  # equal forecasts have equal losses
    ours, theirs = f.pairs(np.where(either, np.nan, forecast)), f.pairs(np.where(either, np.nan, baseline))
    score, reference = metric.score(ours), metric.score(theirs)
    known = ~np.isnan(ours.actual) & ~np.isnan(ours.forecast)
    if np.isinf(ours.forecast[known]).any() and not math.isnan(score):
        return Against(reference, -math.inf, DM(math.inf, math.nan, int(known.any(axis=1).sum())))
    skill = 1 - score / reference if reference > 0 else (0.0 if score == reference else -math.inf)
    with np.errstate(all="ignore"):
        losses = metric.terms(ours)[0], metric.terms(theirs)[0]
    dm = diebold_mariano(*losses, series=f.series, overlap=f.shared_folds())
    return Against(reference, math.nan if math.isnan(score) else skill, dm)


def _direction(f: Forecasts) -> Direction:
    metric, rows = DirectionalAccuracy(), f.pairs()
    accuracy, n = metric.score(rows), metric.count(rows)
    # The H rows of a fold share one last value, and are not H independent trials but about one.
    low, high = wilson_interval(accuracy, n / f.actual.shape[1])
    went = moves(rows, rows.actual)[~np.isnan(f.forecast)]
    up, moved = np.count_nonzero(went > 0), np.count_nonzero(np.abs(went) > 0)
    return Direction(accuracy, low, high, n, up / moved if moved else math.nan)


def _loss(metric: str, own_units: bool) -> str:
    return metric.upper() + (" in each series' own unit" if own_units else "")


def _sentence(loss: str, compared: Mapping[str, Against], best: str, random_walk: bool) -> str:
    if not best:
        return f"No verdict: no rows have a forecast, a baseline and a known actual that {loss} can score"
    skill, dm = compared[best].skill, compared[best].dm
    label = _RANDOM_WALK.get(best, best) if random_walk else best
    chance = "p < 0.001" if dm.p_value < 0.001 else f"p = {dm.p_value:.3f}"
    percent = f"{100 * abs(skill):.1f} %"
    if compared[best].diverges:
        return f"Worse than {label}: it diverges; use the {best} forecast"
    if dm.n < 2:
        return f"No verdict: {dm.n} fold is too few for a test; evaluate more windows"
    if dm.p_value >= SIGNIFICANT or abs(skill) <= NEGLIGIBLE:
        over = f" over {label}" if random_walk else ""
        size = "equal" if abs(skill) < 0.0005 else f"{percent} {'lower' if skill > 0 else 'higher'}"
        why = f"{size} {loss}" + (f", Diebold-Mariano {chance}" if dm.p_value >= SIGNIFICANT else ", to 0.1 %")
        return f"No skill{over}: the forecast is not distinguishable from {label} ({why})"
    if skill > 0:
        which = f"the best baseline ({label})" if len(compared) > 1 else label
        return f"Skill: {percent} lower {loss} than {which}, significant (Diebold-Mariano {chance})"
    return f"Worse than {label} by {percent} in {loss} (Diebold-Mariano {chance}): use the {best} forecast"
