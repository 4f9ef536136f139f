"""The forecasts that every other one has to beat: no change, last season again, and a straight line."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from tsforecast.models.base import FloatArray, Inputs, Network, Params, zeros
from tsforecast.ops.base import Array, Ops


@final
class Naive(Network):
    """y_{t+h} = y_t, the random walk forecast.

    Source: R. J. Hyndman & G. Athanasopoulos, Forecasting: Principles and Practice (2021), section 5.2.
    """

    summary: ClassVar[str] = "Repeats the last value (random walk)"
    source: ClassVar[str] = "Hyndman & Athanasopoulos (2021), section 5.2"
    trainer: ClassVar[str] = "none"
    equivariant: ClassVar[bool] = True
    mixes: ClassVar[bool] = True

    def init(self, rng: np.random.Generator) -> dict[str, FloatArray]:  # noqa: ARG002 - nothing to draw
        return {}

    def apply(self, ops: Ops, params: Params, inputs: Inputs) -> Array:  # noqa: ARG002
        last = inputs.past_target[:, -1:, :, None]
        return ops.expand(last, (last.shape[0], self.dims.horizon, self.dims.targets, self.dims.quantiles))


@final
class SeasonalNaive(Network):
    """y_{t+h} = y_{t+h-m ceil(h/m)}: the last season again; with less than a season of lags, the last lags again.

    Source: R. J. Hyndman & G. Athanasopoulos, Forecasting: Principles and Practice (2021), section 5.2.
    """

    summary: ClassVar[str] = "Repeats the last season"
    source: ClassVar[str] = "Hyndman & Athanasopoulos (2021), section 5.2"
    trainer: ClassVar[str] = "none"
    equivariant: ClassVar[bool] = True
    mixes: ClassVar[bool] = True

    def init(self, rng: np.random.Generator) -> dict[str, FloatArray]:  # noqa: ARG002 - nothing to draw
        return {}

    def apply(self, ops: Ops, params: Params, inputs: Inputs) -> Array:  # noqa: ARG002
        lags = inputs.past_target.shape[1]
        season = min(self.dims.season_length, lags)
        steps = [lags - season + h % season for h in range(self.dims.horizon)]
        repeated = ops.take(inputs.past_target, steps, 1)[..., None]
        return ops.expand(repeated, (*repeated.shape[:3], self.dims.quantiles))


@final
class Drift(Network):
    """y_{t+h} = y_t + h * slope, where the slope is the mean step between neighbouring training rows.

    Hyndman & Athanasopoulos draw the line from the first to the last observation; the mean of the training steps is the
    same line for a series without gaps. The slope is in scaled units per step, one per target.
    """

    summary: ClassVar[str] = "Continues the mean slope of the training rows"
    source: ClassVar[str] = "Hyndman & Athanasopoulos (2021), section 5.2"
    trainer: ClassVar[str] = "none"
    equivariant: ClassVar[bool] = True
    mixes: ClassVar[bool] = True

    def init(self, rng: np.random.Generator) -> dict[str, FloatArray]:  # noqa: ARG002 - measured, not drawn
        return {"slope": zeros(self.dims.targets)}

    def measured(self, target: FloatArray, starts: NDArray[np.int64]) -> dict[str, FloatArray]:
        last = starts + self.dims.lags - 1
        change = target[last + 1] - target[last]
        return {"slope": change.mean(axis=0, dtype=np.float64).astype(np.float32)}

    def apply(self, ops: Ops, params: Params, inputs: Inputs) -> Array:
        ahead = ops.asarray(np.arange(1, self.dims.horizon + 1))[:, None]
        line = inputs.past_target[:, -1:] + ahead * params["slope"]
        return ops.expand(line[..., None], (*line.shape, self.dims.quantiles))
