"""What the recurrent networks share: segments, layers, directions, initial states and the two decoders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tsforecast.config import option
from tsforecast.errors import UsageError
from tsforecast.models.base import SMALL, Dims, FloatArray, Inputs, Network, Params, prefixed, subset, uniform, zeros
from tsforecast.models.heads import direct, enter_segments, init_direct, init_segments, leave_segments
from tsforecast.ops.base import CELLS, GATES, Array, Ops, State

MOST_STEPS = 15  # of the recurrence over a window in segments of a chosen length


@dataclass(frozen=True)
class RecurrentConfig:
    """Options of every recurrent network."""

    hidden: int = option(64, "Units per layer and direction.", low=1, tune=(16, 32, 128))
    layers: int = option(1, "Stacked recurrent layers.", low=1, tune=(2,))
    dropout: float = option(0.0, "Dropout between layers and before the output.", low=0, high=0.95, tune=(0.1, 0.3))
    skip: bool = option(
        False, "Add each layer's input to its output, from the second layer on.", unless={"layers": (1,)}
    )
    bidirectional: bool = option(False, "Also read the past window backwards (never the future).")
    learn_state: bool = option(False, "Learn the initial state instead of starting from zero.")
    segment: int = option(
        0,
        "Steps of the window that are embedded as one recurrent step; 0: a season, or several where the window would "
        "take more than 15 steps; a twelfth of the lags where there is no season in it.",
        low=0,
    )
    decoder: str = option(
        "direct",
        "All steps at once from the last state (direct), each segment by one more recurrent step from it (segments), "
        "or one step after the other (recursive).",
        choices=("direct", "segments", "recursive"),
    )
    highway: bool = option(
        True,
        "A linear path from the window to the forecast beside the network.",
        when={"decoder": ("direct", "segments")},
    )


def usual_segment(dims: Dims) -> int:
    """Return the length of a segment: few, long recurrent steps.

    A season where the window holds at least four, or as many of them as leave at most fifteen steps; else a twelfth of
    the window.
    """
    if 1 < dims.season_length <= dims.lags // 4:
        return dims.season_length * -(-dims.lags // (MOST_STEPS * dims.season_length))
    return max(1, dims.lags // 12)


class RecurrentNetwork(Network):
    """A recurrent encoder over the window and a decoder over the horizon; subclasses only name their cell.

    The window (B, L, C) may be cut into segments of w steps, each embedded by a linear map and a rectifier, so that the
    recurrence takes L/w steps (SegRNN, Lin et al. 2023, section 3.2); the oldest L mod w steps are then not used.
    Static covariates are seen at every step.
    """

    Config: ClassVar[type] = RecurrentConfig
    cell: ClassVar[str]

    def __init__(self, config: Any, dims: Dims) -> None:
        super().__init__(config, dims)
        self.segment = config.segment or usual_segment(dims)
        if self.segment > dims.lags:
            raise UsageError(
                f"model.segment={config.segment} is longer than the window of {dims.lags} lags",
                hint=f"use --lags {config.segment} or more, or a shorter model.segment",
            )
        self.directions = 2 if config.bidirectional else 1

    @property
    def teachable(self) -> bool:
        return bool(self.config.decoder == "recursive")

    @property
    def free_running(self) -> bool:
        return bool(self.config.decoder == "recursive")

    def init(self, rng: np.random.Generator) -> dict[str, FloatArray]:
        config, dims = self.config, self.dims
        params: dict[str, FloatArray] = {}
        width = dims.channels + dims.static
        if self.segment > 1:
            fan_in = dims.channels * self.segment
            params["embed.weight"] = uniform(rng, (fan_in, config.hidden), fan_in)
            params["embed.bias"] = zeros(config.hidden)
            if dims.static:
                params["embed.static"] = uniform(rng, (dims.static, config.hidden), dims.static)
            width = config.hidden
        entering = width
        for layer in range(config.layers):
            for way in range(self.directions):
                params |= prefixed(self._init_cell(rng, width), f"layer{layer}.{way}")
            width = config.hidden * self.directions
        if config.decoder == "direct":
            head = init_direct(rng, width, dims, highway=config.highway)
        elif config.decoder == "segments":
            head = init_segments(rng, width, entering, self.ahead, dims, highway=config.highway)
        else:
            head = self._init_recursive(rng, width)
        return params | prefixed(head, "head")

    def _init_cell(self, rng: np.random.Generator, width: int) -> dict[str, FloatArray]:
        size, gates = self.config.hidden, GATES[self.cell]
        params = {
            "w_in": uniform(rng, (gates * size, width), size),
            "w_rec": uniform(rng, (gates * size, size), size),
            "bias": zeros(gates * size),
        }
        if self.cell == "gru":
            params["bias_rec"] = zeros(gates * size)
        if self.cell == "lstm":
            params["bias"][size : 2 * size] = 1.0  # remember at first: Jozefowicz et al. (2015), section 2.2
            if self.config.peepholes:
                params["peephole"] = uniform(rng, (3, size), size)
        if self.config.learn_state:
            params["start"] = zeros(self._memories, size)
        return params

    def _init_recursive(self, rng: np.random.Generator, width: int) -> dict[str, FloatArray]:
        dims, size = self.dims, self.config.hidden
        out = dims.targets * dims.quantiles
        params = prefixed(self._init_cell(rng, dims.targets + dims.future + dims.static), "cell")
        params.pop("cell.start", None)
        return params | {
            "enter": uniform(rng, (width, size), width),
            "enter_bias": zeros(size),
            "out": SMALL * uniform(rng, (size, out), size),
            "out_bias": zeros(out),
        }

    @property
    def _memories(self) -> int:
        """Arrays in the cell's state: h, and for an lstm c."""
        return 2 if self.cell == "lstm" else 1

    def apply(self, ops: Ops, params: Params, inputs: Inputs) -> Array:
        state, finals = self._encode(ops, params, inputs)
        head = subset(params, "head")
        if self.config.decoder == "direct":
            return direct(ops, head, ops.dropout(state, self.config.dropout), inputs, self.dims)
        if self.config.decoder == "segments":
            states = self._go_on(ops, params, finals, enter_segments(ops, head, inputs, self.ahead))
            return leave_segments(head, ops.dropout(states, self.config.dropout), inputs, self.dims)
        return self._decode(ops, head, state, inputs)

    @property
    def ahead(self) -> int:
        """Segments in the horizon; the last one may reach beyond it."""
        return -(-self.dims.horizon // self.segment)

    def _encode(self, ops: Ops, params: Params, inputs: Inputs) -> tuple[Array, list[list[State]]]:
        """Read the window; return the last layer's final output (B, directions * D) and every final state."""
        x = self._steps(ops, params, inputs)
        states: list[list[State]] = []
        for layer in range(self.config.layers):
            if layer:
                x = ops.dropout(x, self.config.dropout)
            outputs, finals = [], []
            for way in range(self.directions):
                weights = subset(params, f"layer{layer}.{way}")
                ordered = self._reverse(ops, x) if way else x
                out, final = ops.recurrence(self.cell, ordered, self._start(ops, weights, x), weights)
                outputs.append(self._reverse(ops, out) if way else out)
                finals.append(final)
            states.append(finals)
            y = _joined(ops, outputs, 2)
            last = _joined(ops, [final[0] for final in finals], 1)
            if self.config.skip and layer:
                last, y = last + self._ends(ops, x), y + x
            x = y
        return last, states

    def _go_on(self, ops: Ops, params: Params, finals: list[list[State]], x: Array) -> Array:
        """Take one more step from the final states for every segment ahead: (1 or B, m, I) -> (B, m, directions * D).

        All segments leave from the same states (parallel decoding), so what these contribute is computed once.
        """
        for layer, ways in enumerate(finals):
            if layer:
                x = ops.dropout(x, self.config.dropout)
            outputs = []
            for way, final in enumerate(ways):
                weights = subset(params, f"layer{layer}.{way}")
                projected = x @ weights["w_in"].T + weights["bias"]
                outputs.append(CELLS[self.cell](ops, projected, tuple(part[:, None] for part in final), weights)[0])
            y = _joined(ops, outputs, 2)
            x = y + x if self.config.skip and layer else y
        return x

    def _ends(self, ops: Ops, x: Array) -> Array:
        """Return where each direction ends in (B, L, directions * D): the last step, and going backwards the first."""
        if self.directions == 1:
            return x[:, -1]
        size = self.config.hidden
        return ops.concat([x[:, -1, :size], x[:, 0, size:]], 1)

    def _steps(self, ops: Ops, params: Params, inputs: Inputs) -> Array:
        """Return what the recurrence reads: (B, L, C) or, in segments, (B, L / w, D)."""
        x = ops.concat([inputs.past_target, inputs.past_covariates], 2)
        batch, lags, width = x.shape
        constant = inputs.static_covariates[:, None]
        if self.segment == 1:
            return ops.concat([x, ops.expand(constant, (batch, lags, self.dims.static))], 2) if self.dims.static else x
        count = lags // self.segment
        x = x[:, lags - count * self.segment :].reshape((batch, count, self.segment * width))
        entered = x @ params["embed.weight"] + params["embed.bias"]
        return ops.relu(entered + constant @ params["embed.static"] if self.dims.static else entered)

    def _start(self, ops: Ops, weights: Params, x: Array) -> State:
        shape = (x.shape[0], self.config.hidden)
        if "start" in weights:
            return tuple(ops.expand(weights["start"][k], shape) for k in range(self._memories))
        return tuple(ops.zeros(shape) for _ in range(self._memories))

    @staticmethod
    def _reverse(ops: Ops, x: Array) -> Array:
        return ops.take(x, range(x.shape[1] - 1, -1, -1), 1)

    def _decode(self, ops: Ops, params: Params, state: Array, inputs: Inputs) -> Array:
        """Forecast step by step; ``inputs.teacher`` says where the true value is fed back instead of the own one.

        Teacher forcing: Williams & Zipser (1989); mixing both by chance: Bengio et al. (2015), scheduled sampling.
        """
        dims = self.dims
        h = ops.tanh(state @ params["enter"] + params["enter_bias"])
        cell = subset(params, "cell")
        carried: State = (h, h * 0.0) if self.cell == "lstm" else (h,)
        previous = inputs.past_target[:, -1]
        taught = inputs.teacher.shape[1] > 0
        steps = []
        for t in range(inputs.future_covariates.shape[1]):
            x = ops.concat([previous, inputs.future_covariates[:, t], inputs.static_covariates], 1)
            out, carried = ops.recurrence(self.cell, x[:, None], carried, cell)
            change = ops.dropout(out[:, 0], self.config.dropout) @ params["out"] + params["out_bias"]
            step = change.reshape((x.shape[0], dims.targets, dims.quantiles)) + previous[..., None]
            steps.append(step)
            previous = step[..., dims.middle]
            if taught:
                previous = previous + inputs.teacher[:, t] * (inputs.future_target[:, t] - previous)
        return ops.stack(steps, 1)


def _joined(ops: Ops, parts: list[Array], axis: int) -> Array:
    return parts[0] if len(parts) == 1 else ops.concat(parts, axis)
