"""The time-delay neural network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from tsforecast.config import option
from tsforecast.errors import UsageError
from tsforecast.models.base import Dims, FloatArray, Inputs, Network, Params, prefixed, subset, uniform
from tsforecast.models.heads import direct, init_direct
from tsforecast.ops.base import Array, Ops


@dataclass(frozen=True)
class TdnnConfig:
    """Options of the time-delay network."""

    channels: tuple[int, ...] = option(
        (32,), "Channels of each layer; one number is used for every layer.", low=1, tune=((16,), (64,))
    )
    kernel: int = option(3, "Taps per layer.", low=1, tune=(2, 5))
    dilations: tuple[int, ...] = option(
        (), "Spacing of the taps of each layer; by default powers of the kernel within the lags.", low=1
    )
    activation: str = option("relu", "Of the layers.", choices=("relu", "tanh", "sigmoid"))
    dropout: float = option(0.0, "Dropout before the output.", low=0, high=0.95, tune=(0.1, 0.3))
    highway: bool = option(True, "A linear path from the window to the forecast beside the layers.")


@final
class Tdnn(Network):
    """A tapped delay line as stacked dilated convolutions with a direct head.

    x^l_t = act(sum_k W^l_k x^{l-1}_{t - k d_l} + b^l). The response is finite: a forecast depends on the last
    1 + (kernel - 1) * sum(dilations) steps only (and, through the highway, on the window's lags).

    Source: A. Waibel et al., IEEE Trans. ASSP 37 (1989), 328-339; dilations: van den Oord et al. (2016), WaveNet.
    """

    Config: ClassVar[type] = TdnnConfig
    summary: ClassVar[str] = "Tapped delay line as stacked dilated convolutions"
    source: ClassVar[str] = "Waibel et al. (1989), IEEE Trans. ASSP 37; dilations: van den Oord et al. (2016)"

    def __init__(self, config: Any, dims: Dims) -> None:
        super().__init__(config, dims)
        self.kernel = config.kernel if config.dilations else min(config.kernel, dims.lags)
        self.dilations = config.dilations or self._fill(self.kernel, dims.lags)
        count = len(self.dilations)
        if len(config.channels) not in (1, count):
            raise UsageError(
                f"model.channels has {len(config.channels)} entries for {count} layers",
                hint=f"give one number, or {count}",
            )
        self.channels = config.channels * count if len(config.channels) == 1 else config.channels
        self.reach = 1 + (self.kernel - 1) * sum(self.dilations)
        if self.reach > dims.lags:
            raise UsageError(
                f"the taps of the tdnn reach back {self.reach} steps, the window has {dims.lags}",
                hint=f"use --lags {self.reach} or more, or smaller model.dilations or model.kernel",
            )

    @staticmethod
    def _fill(kernel: int, lags: int) -> tuple[int, ...]:
        """Grow the dilation by the kernel's length as long as the taps stay inside the window."""
        dilations: list[int] = []
        step = 1
        while kernel > 1 and 1 + (kernel - 1) * (sum(dilations) + step) <= lags:
            dilations.append(step)
            step *= kernel
        return tuple(dilations) or (1,)

    def init(self, rng: np.random.Generator) -> dict[str, FloatArray]:
        params: dict[str, FloatArray] = {}
        width = self.dims.channels + self.dims.static
        for layer, channels in enumerate(self.channels):
            fan_in = width * self.kernel
            params[f"layer{layer}.weight"] = uniform(rng, (self.kernel, width, channels), fan_in)
            params[f"layer{layer}.bias"] = uniform(rng, (channels,), fan_in)
            width = channels
        return params | prefixed(init_direct(rng, width, self.dims, highway=self.config.highway), "head")

    def apply(self, ops: Ops, params: Params, inputs: Inputs) -> Array:
        x = ops.concat([inputs.past_target, inputs.past_covariates], 2)[:, -self.reach :]
        if self.dims.static:
            constant = inputs.static_covariates[:, None]
            x = ops.concat([x, ops.expand(constant, (*x.shape[:2], self.dims.static))], 2)
        act = ops.activation(self.config.activation)
        for layer, dilation in enumerate(self.dilations):
            weight, bias = params[f"layer{layer}.weight"], params[f"layer{layer}.bias"]
            length = x.shape[1] - (self.kernel - 1) * dilation
            taps = [x[:, k * dilation : k * dilation + length] for k in range(self.kernel)]
            x = act(sum(tap @ weight[k] for k, tap in enumerate(taps)) + bias)
        state = ops.dropout(x[:, -1], self.config.dropout)
        return direct(ops, subset(params, "head"), state, inputs, self.dims)
