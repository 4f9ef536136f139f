"""What there is to train: everything that is known before the first training step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsforecast.data.frame import Frame
from tsforecast.data.window import thinned
from tsforecast.forecasting.forecaster import Forecaster
from tsforecast.models.base import FloatArray, Inputs, Network
from tsforecast.models.naive import Naive
from tsforecast.models.normalize import roll_out
from tsforecast.ops.base import Array, Ops
from tsforecast.trainers.base import Trainer
from tsforecast.trainers.objective import Forecast, Objective

MOST_WINDOWS = 1_024  # whose errors tell the quantiles of naive


@dataclass(frozen=True)
class Task:
    """Everything that is known before the first training step; making one finds every problem of data and options.

    Attributes:
        forecaster: What will be fitted, with its initial parameters.
        objective: What will be minimised.
        whole: The same over train and valid together, with nothing left to validate on: for ``--refit``.
        trainer: What minimises it.
        notes: Things decided on the way that the user may want to know.
        signature: Fingerprint of version, data and options.
        frame: The rows of train and valid.
    """

    forecaster: Forecaster
    objective: Objective
    whole: Objective
    trainer: Trainer
    notes: list[str]
    signature: str
    frame: Frame

    @property
    def steps(self) -> int | None:
        """Training steps at most, if the trainer has such a number."""
        return self.trainer.steps

    def example(self) -> Inputs:
        """Return the newest window of train or valid, scaled, B = 1, zero where unknown: to be fingerprinted."""
        objective, shape = self.objective, self.forecaster.shape
        newest = (objective.valid if len(objective.valid) else objective.train)[-1:]
        last = len(objective.tables.target) - shape.horizon - shape.lags
        steps = np.arange(shape.lags + shape.horizon)
        lags, ahead = steps[: shape.lags], steps[shape.lags :]
        window = objective.tables.cut(np.minimum(newest, max(last, 0)), lags, ahead)
        return Inputs(**{name: np.nan_to_num(array) for name, array in window.items()})

    def native(self, params: Mapping[str, FloatArray]) -> Mapping[str, Array]:
        """Return parameters as arrays of the trainer's back end, where forecasts are fastest."""
        if not self.trainer.uses_torch:
            return params
        import torch

        return {name: torch.from_numpy(np.array(value)).to(self.objective.device) for name, value in params.items()}

    def naive_loss(self) -> float:
        """Return the validation loss of repeating the last value, for comparison.

        Where quantiles are trained, naive has the quantiles of its errors on the training windows, step by step: else
        most of the difference would be that of having an interval at all.
        """
        objective, point = self.objective, Naive(None, replace(self.forecaster.dims, levels=()))
        starts = self._whole_windows() if objective.levels else objective.train[:0]
        if not len(starts):
            return self.baseline_loss(point)
        alone = replace(objective, forecast=_repeated(point), levels=())
        errors = [target - out[..., 0] for _, out, target in alone.judged({}, starts)]
        around = np.quantile(np.concatenate(errors), objective.levels, axis=0).astype(np.float32)
        return self.baseline_loss(point, np.moveaxis(around, 0, -1))

    def _whole_windows(self) -> NDArray[np.int64]:
        """Return starts of training windows that hold the whole horizon, not only a block; not more than are needed."""
        objective, series = self.objective, self.objective.tables.series
        starts = thinned(objective.train, MOST_WINDOWS)
        later = starts + objective.horizon - objective.block
        inside = np.isin(later, objective.train)
        inside[inside] = series[starts[inside]] == series[later[inside]]
        ahead = starts[inside][:, None] + np.arange(objective.lags, objective.lags + objective.horizon)
        known = np.isfinite(objective.tables.target[ahead]).all(axis=(1, 2))
        kept: NDArray[np.int64] = starts[inside][known]
        return kept

    def baseline_loss(self, network: Network, around: FloatArray | float = 0.0) -> float:
        """Return the validation loss of a network without parameters.

        Args:
            network: Its point is every quantile.
            around: (H, T, Q) what is added to the point for each quantile.
        """
        return replace(self.objective, forecast=_repeated(network, around)).valid_loss({})


def _repeated(network: Network, around: FloatArray | float = 0.0) -> Forecast:
    """Return the forecast of a network without parameters, for an objective."""

    def forecast(ops: Ops, _: Any, batch: Any, horizon: int) -> Array:
        more = around if isinstance(around, float) else around[:horizon]
        return roll_out(ops, network, {}, Inputs(**batch), horizon) + more

    return forecast
