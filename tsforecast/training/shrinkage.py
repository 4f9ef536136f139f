"""How far a trained forecast is drawn towards a baseline: as far as the validation windows advise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tsforecast.forecasting.forecaster import Forecaster
from tsforecast.metrics.significance import beyond_noise
from tsforecast.models.base import FloatArray, Inputs, Network
from tsforecast.models.normalize import roll_out
from tsforecast.models.shrunk import BASES, WEIGHT, drawn
from tsforecast.ops.base import Array
from tsforecast.ops.numpy_ops import NumpyOps
from tsforecast.trainers.objective import Objective, independent, judged_windows
from tsforecast.training.task import Task

WEIGHTS = np.linspace(0.0, 1.0, 21)
LEAST = 0.01  # share of the loss that a change must gain: validation and test differ by more than chance alone
LITTLE = 0.5  # a weight below this leaves more of the baseline than of the network


@dataclass(frozen=True)
class Shrinkage:
    """What is left of a network's difference from a baseline.

    Attributes:
        base: Name of the baseline.
        weight: Share of the difference that is kept, 0 to 1.
        loss: Validation loss of the forecast so drawn.
    """

    base: str
    weight: float
    loss: float

    def applied(self, forecaster: Forecaster) -> Forecaster:
        """Return the forecaster, its forecasts drawn towards the baseline; itself where all is kept."""
        if self.weight == 1:
            return forecaster
        params = {**forecaster.params, WEIGHT: np.array([self.weight], dtype=np.float32)}
        return replace(forecaster, params=params, shape=replace(forecaster.shape, base=self.base))

    @property
    def note(self) -> str:
        """What the user should know of it; empty where all is kept."""
        name = self.base.replace("_", " ")
        if self.weight == 0:
            why = "the validation windows confirm nothing learned beyond it"
            return f"the forecast is {name}: {why} (--shrink none keeps the network)"
        if self.weight < 1:
            kept = f"{self.weight:.0%} of its difference from {name}"
            why = "little was learned beyond it" if self.weight < LITTLE else "it is better on the validation windows"
            return f"the forecast is shrunk to {kept}: {why} (--shrink none keeps the network as it is)"
        return ""


def measure(task: Task, params: Mapping[str, FloatArray]) -> Shrinkage | None:
    """Return the weight that the validation windows advise; None where they cannot, or are not asked.

    They are not asked about the baselines themselves, nor where something else than the loss is minimised.

    Args:
        task: Whose objective has the windows.
        params: Of the trained network.
    """
    objective, options = task.objective, task.forecaster.options
    if options.shrink == "none" or not task.trainer.needs or objective.fitness is not None or len(objective.valid) < 2:
        return None
    base, network = _base(task)
    values = objective.horizon * task.forecaster.targets * task.forecaster.dims.quantiles
    starts = judged_windows(objective.valid, values)
    losses = _losses(objective, task.native(params), starts, network)
    chosen = choose(losses, independent(starts, objective.horizon))
    return Shrinkage(base, float(WEIGHTS[chosen]), float(losses[chosen].mean()))


def choose(losses: NDArray[np.float64], independent: int) -> int:
    """Return the number of the weight to use.

    The baseline, unless the best weight is better beyond noise; then the network as it is, likewise; else the best
    weight. Noise is one standard error of the mean difference between windows.

    Args:
        losses: (W, m) of every weight, in order from 0 to 1, on every window.
        independent: How many of the windows do not overlap.
    """
    best = int(losses.mean(axis=1).argmin())

    def worse(weight: int) -> bool:
        return beyond_noise(losses[weight], losses[best], independent, least=LEAST)

    last = len(losses) - 1
    if not np.isfinite(losses).all():  # a network that has diverged is to be seen as such
        return last
    if not worse(0):
        return 0
    return best if worse(last) else last


def _base(task: Task) -> tuple[str, Network]:
    """Return the baseline with the lower validation loss; seasonal naive only where the lags hold a season."""
    dims, found = replace(task.forecaster.dims, levels=()), {}
    for name, cls in BASES.items():
        if name == "naive" or 1 < dims.season_length <= dims.lags:
            network = cls(None, dims)
            found[name] = task.baseline_loss(network), network
    base = min(found, key=lambda name: found[name][0])
    return base, found[base][1]


def _losses(
    objective: Objective, params: Mapping[str, Array], starts: NDArray[np.int64], base: Network
) -> NDArray[np.float64]:
    """Return (W, m) the loss of every weight on every window; the network forecasts each of them once."""
    steps, parts = np.arange(objective.lags + objective.horizon), []
    with np.errstate(over="ignore", invalid="ignore"):
        for part, out, target in objective.judged(params, starts):
            batch = objective.tables.cut(part, steps[: objective.lags], steps[objective.lags :])
            level = roll_out(NumpyOps(), base, {}, Inputs(**batch), objective.horizon)
            each = [drawn(out, level, np.float32(w), objective.middle) for w in WEIGHTS]
            parts.append([objective.each(made, target) for made in each])
    return np.concatenate(parts, axis=1)
