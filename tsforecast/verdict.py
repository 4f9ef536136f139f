"""The verdict: is the forecast better than the baselines, is that more than luck, or does it repeat the last value?"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tsforecast.errors import UsageError
from tsforecast.metrics.base import Floats, Metric
from tsforecast.metrics.direction import DirectionalAccuracy, wilson_interval
from tsforecast.metrics.lag import Lag, find_lag
from tsforecast.metrics.significance import DM, diebold_mariano
from tsforecast.registry import METRICS
from tsforecast.scores import Forecasts

SIGNIFICANT = 0.05
NEGLIGIBLE = 0.001  # a share: below it a difference is rounding (float32 weights), whatever its p-value
_RANDOM_WALK = {"naive": "the random walk", "drift": "the random walk with drift"}


@dataclass(frozen=True)
class Direction:
    """Directional accuracy over ``n`` rows with its 95 % Wilson interval, which counts a fold as one trial."""

    accuracy: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Against:
    """The forecast against one baseline, on the rows that both have; ``skill`` = 1 - score / score of the baseline."""

    score: float
    skill: float
    dm: DM


@dataclass(frozen=True)
class Verdict:
    """What an evaluation comes to, for one target.

    Attributes:
        target: Name of the target.
        metric: Registered name of the loss that was compared.
        score: Score of the forecast over all its rows.
        baselines: The comparison with each baseline (``Against.score`` is the score of the baseline).
        best: The strongest baseline; empty when there is none with a score.
        skilled: Better than every baseline, and than the strongest by more than luck.
        direction: Directional accuracy.
        lag: What the lag detector found; None with too few folds.
        sentence: All of this in one plain sentence.
    """

    target: str
    metric: str
    score: float
    baselines: Mapping[str, Against]
    best: str
    skilled: bool
    direction: Direction
    lag: Lag | None
    sentence: str

    @property
    def skill(self) -> float:
        """Skill over the strongest baseline; NaN when there is none."""
        return self.baselines[self.best].skill if self.best else math.nan

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as plain JSON values; numbers that are not finite become None."""
        document: dict[str, Any] = _plain({**dataclasses.asdict(self), "skill": self.skill})
        return document


def judge(f: Forecasts, metric: str = "mae", *, random_walk: bool = False) -> Verdict:
    """Compare the forecast with every baseline and say what it comes to.

    Args:
        f: The forecasts.
        metric: Registered name of a metric where smaller is better; its loss per pair is what is tested.
        random_walk: Prices: name the naive forecast as the random walk that it is.

    Raises:
        UsageError: The metric is unknown, or smaller is not better.
    """
    chosen: Metric = METRICS.get(metric)()
    if not chosen.smaller_is_better:
        losses = ", ".join(name for name in METRICS if METRICS.get(name).smaller_is_better)
        raise UsageError(f"skill cannot be measured with '{metric}'", hint=f"choose from {losses}")
    ordered = f.take(np.lexsort((f.cutoff, f.series)))
    compared = {name: _compare(ordered, chosen, values) for name, values in ordered.baselines.items()}
    compared = {name: against for name, against in compared.items() if not math.isnan(against.skill)}
    best = min(compared, key=lambda name: compared[name].skill, default="")
    skilled = bool(best) and compared[best].skill > NEGLIGIBLE and compared[best].dm.p_value < SIGNIFICANT
    lag = lag_of_best_correlation(ordered)
    sentence = _sentence(chosen.name.upper(), compared, best, random_walk)
    if lag is not None and lag.repeats_last:
        sentence += f", and it mostly repeats the last value (best correlation at shift {lag.shift})"
    return Verdict(
        target=f.target,
        metric=metric,
        score=chosen.score(ordered.pairs()),
        baselines=compared,
        best=best,
        skilled=skilled,
        direction=_direction(ordered),
        lag=lag,
        sentence=f"{sentence}.",
    )


def lag_of_best_correlation(f: Forecasts) -> Lag | None:
    """Return what :func:`tsforecast.metrics.lag.find_lag` finds in the forecasts, in whatever order the folds are."""
    order = np.lexsort((f.cutoff, f.series))
    return find_lag(f.last[order], f.actual[order], f.forecast[order], f.series[order])


def _compare(f: Forecasts, metric: Metric, baseline: Floats) -> Against:
    """Compare on the pairs that the forecast and the baseline both have; folds sorted by series and cutoff."""
    either = np.isnan(f.forecast) | np.isnan(baseline)
    ours, theirs = f.pairs(np.where(either, np.nan, f.forecast)), f.pairs(np.where(either, np.nan, baseline))
    score, reference = metric.score(ours), metric.score(theirs)
    skill = 1 - score / reference if reference > 0 else (0.0 if score == reference else -math.inf)
    with np.errstate(all="ignore"):
        losses = metric.terms(ours)[0], metric.terms(theirs)[0]
    dm = diebold_mariano(*losses, series=f.series, overlap=shared_folds(f))
    return Against(reference, math.nan if math.isnan(score) else skill, dm)


def shared_folds(f: Forecasts) -> int:
    """Return how many later folds begin before the targets of a fold end, at most; folds sorted."""
    borders = np.flatnonzero(np.diff(f.series)) + 1
    most = 0
    for cutoff, end in zip(np.split(f.cutoff, borders), np.split(f.time[:, -1], borders), strict=True):
        later = np.searchsorted(cutoff, end) - np.arange(1, len(cutoff) + 1)
        most = max(most, int(later.max(initial=0)))
    return most


def _direction(f: Forecasts) -> Direction:
    metric, rows = DirectionalAccuracy(), f.pairs()
    accuracy, n = metric.score(rows), metric.count(rows)
    # The H rows of a fold share one last value, and are not H independent trials but about one.
    low, high = wilson_interval(accuracy, n / f.actual.shape[1])
    return Direction(accuracy, low, high, n)


def _sentence(metric: str, compared: Mapping[str, Against], best: str, random_walk: bool) -> str:
    if not best:
        return "No verdict: no rows have a forecast, a baseline and a known actual"
    skill, dm = compared[best].skill, compared[best].dm
    label = _RANDOM_WALK.get(best, best) if random_walk else best
    chance = "p < 0.001" if dm.p_value < 0.001 else f"p = {dm.p_value:.3f}"
    percent = f"{100 * abs(skill):.1f} %"
    if dm.n < 2:
        return f"No verdict: {dm.n} fold is too few for a test; evaluate more windows"
    if dm.p_value >= SIGNIFICANT or abs(skill) <= NEGLIGIBLE:
        over = f" over {label}" if random_walk else ""
        size = "equal" if abs(skill) < 0.0005 else f"{percent} {'lower' if skill > 0 else 'higher'}"
        why = f"{size} {metric}, Diebold-Mariano {chance}"
        return f"No skill{over}: the forecast is not distinguishable from {label} ({why})"
    if skill > 0:
        which = f"the best baseline ({label})" if len(compared) > 1 else label
        return f"Skill: {percent} lower {metric} than {which}, significant (Diebold-Mariano {chance})"
    return f"Worse than {label} by {percent} in {metric} (Diebold-Mariano {chance}): use the {best} forecast"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
