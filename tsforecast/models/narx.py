"""Nonlinear autoregression with exogenous inputs, in open and closed loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from tsforecast.config import Facts, option
from tsforecast.errors import UsageError
from tsforecast.lag_sets import parse_delays, write_delays
from tsforecast.models.base import SMALL, Dims, FloatArray, Inputs, Network, Params, uniform, zeros
from tsforecast.models.delays import DelayLine, Reading
from tsforecast.ops.base import Array, Ops

SPAN = 32  # steps whose known delays are laid out at once: bounds memory over a long record


def _feedback_sets(facts: Facts) -> list[str]:
    """Return the newest few delays with those around one season ago, and with two seasons of them."""
    s = facts.season_length
    return [f"1:3,{s - 1}:{s + 1}", f"1:6,{s},{2 * s}"] if s > 6 else []


def _input_sets(facts: Facts) -> list[str]:
    """Return short and seasonal delays, from the step that is forecast on for covariates known ahead."""
    if not facts.past + facts.future:
        return []
    first = 0 if facts.future else 1
    shortest = 1 if facts.past else first  # 0 alone leaves past covariates unread
    ends = [shortest, 6, facts.season_length] if facts.season_length > 6 else [shortest, 6]
    return [f"{first}:{end}" for end in ends]


@dataclass(frozen=True)
class NarxConfig:
    """Options of the NARX network."""

    hidden: tuple[int, ...] = option(
        (32,), "Units of each hidden layer, for example 32,16.", low=1, tune=((8,), (16,), (64,), (128,), (32, 16))
    )
    activation: str = option(
        "tanh",
        "Of the hidden layers.",
        choices=("tanh", "sigmoid", "relu"),
        tune=("relu",),
        unless={"hidden": ((),)},
    )
    loop: str = option(
        "open",
        "Trained one step ahead on true outputs (open, series-parallel), through its own feedback (closed, parallel), "
        "or from one to the other (mixed).",
        choices=("open", "closed", "mixed"),
        tune=("mixed", "closed"),
    )
    loop_steps: int = option(
        0,
        "Steps that the loop runs freely in training; 0: the horizon.",
        low=0,
        when={"loop": ("closed", "mixed")},
    )
    feedback: str = option(
        "output",
        "What is fed back: its output; the target where one is known, also when it is simulated; with the output the "
        "error where one is known (error: NARMAX); or nothing (none: a time-delay network of the inputs).",
        choices=("output", "target", "error", "none"),
    )
    feedback_lags: str = option(
        "", "Delays of what is fed back, as a set (1:4,24); by default the lags.", tune=_feedback_sets
    )
    error_lags: str = option("1:2", "Delays of the errors.", when={"feedback": ("error",)})
    input_lags: str = option(
        "",
        "Delays of the covariates as a set (0:12); by default those of the target. 0 reads future covariates only: "
        "alone it leaves past covariates unread.",
        tune=_input_sets,
    )
    skip: bool = option(
        True,
        "A linear path from the delays to the output beside the hidden layers (cascade-forward).",
        unless={"hidden": ((),)},
    )


@final
class Narx(Network):
    """y_t = f(y_{t-k}, x_{t-j}, e_{t-i}) with feedback delays k, input delays j and, as NARMAX, error delays i.

    f is a feed-forward network with a linear output. One call runs as many steps as there are future covariates: the
    closed loop (parallel). A training window of one step is therefore the open loop (series-parallel: every delay holds
    a true output). Under window normalisation ``last`` every step is relative to the value before it, in either loop.
    Past covariates are unknown after the cutoff: they hold their last value there.

    The errors e = y - f before the cutoff come from running the network over the end of the window, so ``--lags`` must
    be longer than the delays; after the cutoff they are zero, their expectation.

    Source: S. Chen, S. A. Billings & P. M. Grant, Int. J. Control 51 (1990); K. S. Narendra & K. Parthasarathy, IEEE
    Trans. Neural Networks 1 (1990) for series-parallel and parallel; T. Lin et al., IEEE TNN 7 (1996).
    """

    Config: ClassVar[type] = NarxConfig
    reads_lag_set: ClassVar[bool] = True
    mixes: ClassVar[bool] = True
    summary: ClassVar[str] = "Tapped delays of target and inputs through a small network, in open or closed loop"
    source: ClassVar[str] = "Chen, Billings & Grant (1990); Narendra & Parthasarathy (1990); Lin et al. (1996)"

    def __init__(self, config: Any, dims: Dims) -> None:
        super().__init__(config, dims)
        self.relative = False
        lag_set = dims.lag_set or tuple(range(1, dims.lags + 1))
        own = _delays(config, "feedback_lags") if config.feedback_lags else lag_set
        self.feedback = () if config.feedback == "none" else own
        self.input_lags = _delays(config, "input_lags") if config.input_lags else own
        self.error_lags = _delays(config, "error_lags") if config.feedback == "error" else ()
        self._check(config, dims)
        reach = max(*self.feedback, *self.input_lags, 1)
        self.warm_up = dims.lags - reach if self.error_lags else 0  # steps of the window that are run for their errors
        if self.error_lags and self.warm_up < self.error_lags[-1]:
            shown = write_delays(self.feedback)
            raise UsageError(
                f"model.feedback=error: {dims.lags} lags leave {self.warm_up} steps for {self.error_lags[-1]} errors",
                hint=f"use --lags {reach + self.error_lags[-1]} --set model.feedback_lags={shown}",
            )

    def _check(self, config: Any, dims: Dims) -> None:
        delays = {"feedback_lags": self.feedback, "input_lags": self.input_lags, "error_lags": self.error_lags}
        for name, given in delays.items():
            if given and given[-1] > dims.lags:
                raise UsageError(
                    f"model.{name}={getattr(config, name)} reaches further back than the window of {dims.lags} lags",
                    hint=f"use --lags {given[-1]} or more, or shorter delays",
                )
            if 0 in given and name != "input_lags":
                raise UsageError(f"model.{name} has 0, the value that is forecast", hint="start the delays at 1")
        if 0 in self.input_lags and dims.past and not dims.future:
            raise UsageError(
                "model.input_lags has 0, but past covariates are not known at the step that is forecast",
                hint="name the column with --future if it is known in advance, or start the delays at 1",
            )
        if config.feedback in ("target", "none") and config.loop != "open":
            raise UsageError(
                f"model.loop={config.loop} feeds outputs back, model.feedback={config.feedback} never does",
                hint="use model.feedback=output, or model.loop=open",
            )
        if config.feedback == "none" and not dims.past + dims.future + dims.static:
            raise UsageError(
                "model.feedback=none leaves the network without inputs", hint="name columns with --past or --future"
            )

    @property
    def block(self) -> int:
        return 1 if self.config.loop == "open" else self.config.loop_steps or self.dims.horizon

    @property
    def free_running(self) -> bool:
        return True

    @property
    def teachable(self) -> bool:
        return bool(self.config.loop == "mixed")

    @property
    def fed_back(self) -> tuple[int, ...]:
        """Delays at which the loop reads what it has fed back; a relative one always reads the step before."""
        return tuple(sorted({1, *self.feedback})) if self.relative else self.feedback

    def normalizes(self, mode: str) -> bool:
        """Take ``last`` over: inside the loop every step is relative to the one before, not to the cutoff."""
        self.relative = mode == "last" and bool(self.feedback)
        return self.relative

    @property
    def widths(self) -> tuple[int, ...]:
        """Regressors by kind, in the order of the first layer's rows: outputs, inputs, inputs now, static, errors."""
        dims = self.dims
        behind = sum(j > 0 for j in self.input_lags)
        return (
            len(self.feedback) * dims.targets,
            behind * (dims.past + dims.future),
            dims.future if 0 in self.input_lags else 0,
            dims.static,
            len(self.error_lags) * dims.targets,
        )

    def init(self, rng: np.random.Generator) -> dict[str, FloatArray]:
        out = self.dims.targets * self.dims.quantiles
        params: dict[str, FloatArray] = {}
        width = features = sum(self.widths)
        for k, units in enumerate(self.config.hidden):
            params[f"hidden{k}.weight"] = uniform(rng, (width, units), width)
            params[f"hidden{k}.bias"] = uniform(rng, (units,), width)
            width = units
        params["out.weight"] = SMALL * uniform(rng, (width, out), width)
        params["out.bias"] = zeros(out)
        if self.config.skip and self.config.hidden:
            params["skip.weight"] = SMALL * uniform(rng, (features, out), features)
        return params

    def apply(self, ops: Ops, params: Params, inputs: Inputs) -> Array:
        """Forecast step by step. Inside, features come before windows: (D, B).

        A few rows of weights times many windows is the shape of product that every back end is fast at, one network or
        a population of them.
        """
        lags, steps, batch = self.dims.lags, inputs.future_covariates.shape[1], inputs.past_target.shape[0]
        center = inputs.past_target[:, -1:] * (1.0 if self.relative else 0.0)
        line = DelayLine(ops, self, inputs, center, steps)
        reading = Reading(ops, self, params)
        outputs = []
        for first in range(lags - self.warm_up, lags + steps, SPAN):
            positions = np.arange(first, min(first + SPAN, lags + steps))
            known = reading.known @ line.known(positions)  # the loop is left with what it feeds back
            known = known.reshape((known.shape[0], len(positions), batch))
            for k in range(len(positions)):
                read = known[:, k]
                for weight, fed in reading.of(line):
                    read = read + weight @ fed
                out = reading.output(read, line.last)
                line.feed(out[:, self.dims.middle])
                outputs.append(out.reshape((-1, batch)).T)
        out = ops.stack(outputs[self.warm_up :], 1).reshape((batch, steps, self.dims.targets, self.dims.quantiles))
        return out + center[..., None]


def _delays(config: NarxConfig, name: str) -> tuple[int, ...]:
    return parse_delays(getattr(config, name), f"model.{name}")
