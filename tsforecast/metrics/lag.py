"""Is the forecast only a copy of the last value, right in shape and late by the horizon?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsforecast.metrics.base import Floats

_STEPS = 8  # steps of the horizon examined
_FOLDS = 20_000  # latest folds examined
_LEAST = 20  # fewest pairs of folds from which a correlation is taken
_NEAR = 0.5  # a copy is at most this share of its distance to the actual away from the last value
_MARGIN = 0.1  # by which the correlation with the last value must exceed that with the actual


@dataclass(frozen=True)
class Lag:
    """Result of the lag detector at one ``step`` of the horizon, see :func:`find_lag`.

    Attributes:
        step: Step of the horizon, 1 to H.
        shift: Shift (in steps) at which the forecast correlates best with the actuals before it; 0 is a forecast,
            ``step`` a copy of the last known value.
        correlation: Correlation at that shift.
        correlation_at_zero: Correlation with the actual it was made for.
        distance: Mean distance of the forecast to the last value over its mean distance to the actual; 0 is a copy.
        repeats_last: True when most steps examined look like copies of the last value.
    """

    step: int
    shift: int
    correlation: float
    correlation_at_zero: float
    distance: float
    repeats_last: bool


def find_lag(last: Floats, actual: Floats, forecast: Floats, series: NDArray[np.int64]) -> Lag | None:
    """Look for forecasts that repeat the last known value.

    At step h, the forecasts of successive folds are a series over target time, and so are the actuals s steps earlier,
    for each s from 0 to h (s = h is the last value known to the fold). Both are differenced from fold to fold before
    they are correlated: the levels of a persistent series correlate near 1 at every shift. A good forecast can be made
    of little but the recent past and correlate best there, so a step counts as a copy only if it also lies much nearer
    to the last value than to the actual. The forecast repeats the last value if most of up to 8 steps, spread over the
    horizon, are copies: at a single step the last value may be the right forecast (a daily cycle, 24 hours ahead).

    Args:
        last: (K,) last known actual, folds sorted by series and cutoff.
        actual: (K, H), NaN where unknown.
        forecast: (K, H); what is not finite is left out.
        series: (K,) series code.

    Returns:
        The longest examined step that agrees with most of them; None where no step has enough pairs of folds.
    """
    known = np.column_stack([last, actual])[-_FOLDS:]
    forecast = np.where(np.isfinite(forecast), forecast, np.nan)[-_FOLDS:]
    together = np.flatnonzero(np.diff(series[-_FOLDS:]) == 0)
    horizon = forecast.shape[1]
    steps = np.unique(np.linspace(1, horizon, min(horizon, _STEPS)).astype(int))
    found = [lag for step in steps if (lag := _at_step(int(step), known, forecast, together)) is not None]
    if not found:
        return None
    copies = sum(lag.repeats_last for lag in found) > len(found) / 2
    return max((lag for lag in found if lag.repeats_last == copies), key=lambda lag: lag.step)


def _at_step(step: int, known: Floats, forecast: Floats, together: NDArray[np.intp]) -> Lag | None:
    """Examine one step; ``together`` are the folds that are followed by one of the same series."""
    shifted = known[:, step::-1]  # column s: the actual s steps before the target time
    made = forecast[:, step - 1]
    changes = shifted[together + 1] - shifted[together]
    change = made[together + 1] - made[together]
    usable = np.isfinite(change) & np.isfinite(changes).all(axis=1)
    if usable.sum() < _LEAST:
        return None
    correlations = _correlations(change[usable], changes[usable])
    shift = int(np.argmax(correlations))
    distance = _distance(made, shifted[:, -1], shifted[:, 0])
    copy = shift == step and distance < _NEAR and correlations[shift] > correlations[0] + _MARGIN
    return Lag(step, shift, float(correlations[shift]), float(correlations[0]), distance, bool(copy))


def _correlations(change: Floats, changes: Floats) -> Floats:
    """Return the correlation of (n,) with each column of (n, m), 0 where one of them does not vary."""
    change, changes = change - change.mean(), changes - changes.mean(axis=0)
    scale = np.sqrt((change @ change) * np.square(changes).sum(axis=0))
    correlations: Floats = np.divide(change @ changes, scale, out=np.zeros(len(scale)), where=scale > 0)
    return correlations


def _distance(made: Floats, last: Floats, actual: Floats) -> float:
    usable = np.isfinite(made) & np.isfinite(last) & np.isfinite(actual)
    missed = float(np.abs(made - actual)[usable].mean())
    return float(np.abs(made - last)[usable].mean()) / missed if missed > 0 else math.inf
