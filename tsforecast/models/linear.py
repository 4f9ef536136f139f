"""One linear map from the window to every step of the horizon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from tsforecast.config import option
from tsforecast.models.base import SMALL, FloatArray, Inputs, Network, Params, uniform, zeros
from tsforecast.ops.base import Array, Ops


@dataclass(frozen=True)
class LinearConfig:
    """Options of the linear map."""

    block: int = option(
        0,
        "Steps forecast at once; further ones follow from feeding forecasts back (1: recursive). 0: the whole horizon.",
        low=0,
    )


@final
class Linear(Network):
    """y_{t+h} = w_h . window + b_h, a separate map for every step of a block, fitted by ridge regression.

    The features are all past targets and covariates, the static ones and the future ones of the whole block.

    Source: A. Zeng et al., Are Transformers Effective for Time Series Forecasting?, AAAI 2023 (NLinear, with
    ``--normalize last``); A. Hoerl & R. Kennard, Technometrics 12 (1970) for ridge.
    """

    Config: ClassVar[type] = LinearConfig
    summary: ClassVar[str] = "One ridge regression per step of the horizon"
    source: ClassVar[str] = "Zeng et al. (2023), AAAI: NLinear; ridge: Hoerl & Kennard (1970)"
    trainer: ClassVar[str] = "least_squares"

    @property
    def block(self) -> int:
        return min(self.config.block or self.dims.horizon, self.dims.horizon)

    @property
    def features(self) -> int:
        """Width of :meth:`design`."""
        dims = self.dims
        return dims.lags * dims.channels + dims.static + self.block * dims.future

    def init(self, rng: np.random.Generator) -> dict[str, FloatArray]:
        out = self.block * self.dims.targets * self.dims.quantiles
        return {"weight": SMALL * uniform(rng, (self.features, out), self.features), "bias": zeros(out)}

    def design(self, ops: Ops, inputs: Inputs) -> Array:
        """Return the features (B, D) in which the forecast is linear."""
        batch = inputs.past_target.shape[0]
        flat = [inputs.past_target, inputs.past_covariates, inputs.future_covariates]
        parts = [x.reshape((batch, x.shape[1] * x.shape[2])) for x in flat]
        return ops.concat([*parts, inputs.static_covariates], 1)

    def apply(self, ops: Ops, params: Params, inputs: Inputs) -> Array:
        out = self.design(ops, inputs) @ params["weight"] + params["bias"]
        return out.reshape((out.shape[0], self.block, self.dims.targets, self.dims.quantiles))
