"""Nonlinear autoregression with exogenous inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from tsforecast.config import option, parse_delays
from tsforecast.errors import UsageError
from tsforecast.models.base import Dims, FloatArray, Inputs, Network, Params, uniform, zeros
from tsforecast.ops.base import Array, Ops


@dataclass(frozen=True)
class NarxConfig:
    """Options of the NARX network."""

    hidden: tuple[int, ...] = option((32,), "Units of each hidden layer, for example 32,16.", low=1)
    activation: str = option("tanh", "Of the hidden layers.", choices=("tanh", "sigmoid", "relu"))
    input_lags: str = option(
        "", "Delays of the covariates as a set (0:12); by default those of the target. 0 is only for future covariates."
    )
    skip: bool = option(True, "A linear path from the delays to the output beside the hidden layers (cascade-forward).")


@final
class Narx(Network):
    """y_t = f(y_{t-k}, x_{t-j}) with feedback delays k in ``--lags`` and input delays j in ``model.input_lags``.

    f is a feed-forward network with a linear output. One call forecasts one step (block 1), so training on windows of
    one step is the open loop (series-parallel: every delay holds a true output), and a longer forecast is the closed
    loop (parallel: the network's outputs are fed back by ``roll_out``). Past covariates are unknown after the cutoff:
    they hold their last value there.

    Source: S. Chen, S. A. Billings & P. M. Grant, Int. J. Control 51 (1990); K. S. Narendra & K. Parthasarathy, IEEE
    Trans. Neural Networks 1 (1990) for series-parallel and parallel; T. Lin et al., IEEE TNN 7 (1996).
    """

    Config: ClassVar[type] = NarxConfig
    reads_lag_set: ClassVar[bool] = True
    summary: ClassVar[str] = (
        "Tapped delays of target and inputs through a small network; trained open loop, forecasts closed loop"
    )
    source: ClassVar[str] = "Chen, Billings & Grant (1990); Narendra & Parthasarathy (1990); Lin et al. (1996)"

    def __init__(self, config: Any, dims: Dims) -> None:
        super().__init__(config, dims)
        self.feedback = dims.lag_set or tuple(range(1, dims.lags + 1))
        self.input_lags = parse_delays(config.input_lags) if config.input_lags else self.feedback
        if max(self.input_lags) > dims.lags:
            raise UsageError(
                f"model.input_lags={config.input_lags} reaches further back than the window of {dims.lags} lags",
                hint=f"use --lags {max(self.input_lags)} or more, or shorter input delays",
            )
        if 0 in self.input_lags and dims.past and not dims.future:
            raise UsageError(
                "model.input_lags has 0, but past covariates are not known at the step that is forecast",
                hint="name the column with --future if it is known in advance, or start the delays at 1",
            )

    @property
    def block(self) -> int:
        return 1

    @property
    def features(self) -> int:
        """Width of the delay line."""
        dims = self.dims
        behind = [j for j in self.input_lags if j]
        width = len(self.feedback) * dims.targets + len(behind) * (dims.past + dims.future)
        return width + (dims.future if 0 in self.input_lags else 0) + dims.static

    def init(self, rng: np.random.Generator) -> dict[str, FloatArray]:
        out = self.dims.targets * self.dims.quantiles
        params: dict[str, FloatArray] = {}
        width = self.features
        for k, units in enumerate(self.config.hidden):
            params[f"hidden{k}.weight"] = uniform(rng, (width, units), width)
            params[f"hidden{k}.bias"] = uniform(rng, (units,), width)
            width = units
        params["out.weight"] = 0.1 * uniform(rng, (width, out), width)
        params["out.bias"] = zeros(out)
        if self.config.skip and self.config.hidden:
            params["skip.weight"] = 0.1 * uniform(rng, (self.features, out), self.features)
        return params

    def delay_line(self, ops: Ops, inputs: Inputs) -> Array:
        """Return the regressors of the next step (B, D): delayed targets, delayed inputs, inputs of the step itself."""
        lags, batch = inputs.past_target.shape[1], inputs.past_target.shape[0]
        parts = [self._tap(ops, inputs.past_target, [lags - k for k in self.feedback])]
        behind = [lags - j for j in self.input_lags if j]
        if behind and inputs.past_covariates.shape[2]:
            parts.append(self._tap(ops, inputs.past_covariates, behind))
        if 0 in self.input_lags:
            parts.append(inputs.future_covariates[:, 0].reshape((batch, self.dims.future)))
        return ops.concat([*parts, inputs.static_covariates], 1)

    @staticmethod
    def _tap(ops: Ops, x: Array, steps: list[int]) -> Array:
        tapped = ops.take(x, steps, 1)
        return tapped.reshape((x.shape[0], len(steps) * x.shape[2]))

    def apply(self, ops: Ops, params: Params, inputs: Inputs) -> Array:
        line = x = self.delay_line(ops, inputs)
        squash = ops.activation(self.config.activation)
        for k in range(len(self.config.hidden)):
            x = squash(x @ params[f"hidden{k}.weight"] + params[f"hidden{k}.bias"])
        out = x @ params["out.weight"] + params["out.bias"]
        if "skip.weight" in params:
            out = out + line @ params["skip.weight"]
        return out.reshape((line.shape[0], 1, self.dims.targets, self.dims.quantiles))
