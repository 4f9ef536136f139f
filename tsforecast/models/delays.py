"""The tapped delays of a NARX network: what they hold while its loop runs, and the weights that read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tsforecast.models.base import Inputs, Params
from tsforecast.ops.base import Array, Ops

if TYPE_CHECKING:
    from tsforecast.models.narx import Narx


class DelayLine:
    """All delayed values on one axis of time: 0 is the oldest lag, ``lags`` the first step that is forecast.

    What is known before the loop runs is laid out for many steps at once; what the loop feeds back is kept newest
    first. A delay k at step t is position t - k; each position is in exactly one of the two.

    Args:
        ops: Back end.
        network: Whose delays.
        inputs: As the network sees them.
        center: (B, 1, T) value that all others are relative to.
        steps: Steps after the window.

    Attributes:
        done: Steps that have been fed back.
        last: (T, B) value before the next step.
    """

    def __init__(self, ops: Ops, network: Narx, inputs: Inputs, center: Array, steps: int) -> None:
        self.ops, self.network, self.dims = ops, network, network.dims
        first = self.dims.lags - network.warm_up
        known = inputs.past_target - center
        axis = ops.concat([known[:, :first], _hollow(ops, known, steps + network.warm_up)], 1)
        self.target = axis.swapaxes(0, 2)
        self.last = known[:, first - 1].T
        self.inputs = self._input_axis(inputs, steps).swapaxes(0, 2)
        self.static = inputs.static_covariates
        self.recent: Array = None
        self.errors: Array = None
        self.done = 0
        self.shown = [(known[:, t].T, 1.0) for t in range(first, self.dims.lags)]
        if network.teachable and inputs.teacher.shape[1]:
            future = inputs.future_target - center
            self.shown += [(future[:, t].T, inputs.teacher[:, t].T) for t in range(steps)]

    def _input_axis(self, inputs: Inputs, steps: int) -> Array:
        """Return covariates over window and horizon (B, L + H, P + F), past ones held at their last value."""
        past, ahead = inputs.past_covariates, inputs.future_covariates
        if not past.shape[2]:
            return past
        held = self.ops.expand(past[:, -1:, : self.dims.past], (past.shape[0], steps, self.dims.past))
        return self.ops.concat([past, self.ops.concat([held, ahead], 2)], 1)

    def known(self, positions: NDArray[np.int64]) -> Array:
        """Return the regressors of some steps (D + 1, n * B) without the errors, and ones for the biases.

        They are zero where the loop itself must tell.
        """
        net, batch = self.network, self.target.shape[2]
        behind = np.array([j for j in net.input_lags if j], dtype=np.int64)
        parts = []
        if net.widths[0]:
            parts.append(self._taken(self.target, positions - np.array(net.feedback)[:, None]))
        if net.widths[1]:
            parts.append(self._taken(self.inputs, positions - behind[:, None]))
        if net.widths[2]:
            parts.append(self._taken(self.inputs[self.dims.past :], positions[None]))
        if net.widths[3]:
            shape = (self.dims.static, len(positions), batch)
            parts.append(self.ops.expand(self.static.T[:, None], shape).reshape((self.dims.static, -1)))
        return self.ops.concat([*parts, self.ops.zeros((1, len(positions) * batch)) + 1.0], 0)

    def _taken(self, x: Array, index: NDArray[np.int64]) -> Array:
        """Return values at positions (k, n) of (M, L + H, B) as (k * M, n * B)."""
        taken = self.ops.take(x, index.ravel(), 1).reshape((x.shape[0], *index.shape, x.shape[2]))
        return taken.swapaxes(0, 1).reshape((x.shape[0] * len(index), -1))

    def tapped(self, buffer: Array, delays: tuple[int, ...]) -> list[Array]:
        """Return the values (k * T, B) that lie those delays back which the loop has reached, if any."""
        size, count = self.dims.targets, sum(k <= self.done for k in delays)
        if not count:
            return []
        if delays[count - 1] == count:  # 1, 2, ..., k
            return [buffer[: count * size]]
        return [self.ops.take(buffer, [(k - 1) * size + c for k in delays[:count] for c in range(size)], 0)]

    def feed(self, output: Array) -> None:
        """Feed the output (T, B) of the next step back, or the truth where it is shown."""
        self.last = output
        if self.done < len(self.shown):
            true, share = self.shown[self.done]
            self.last = share * true + (1.0 - share) * output  # exactly one of the two, however far they are apart
        self.done += 1
        if self.network.fed_back:
            self.recent = self._newest_first(self.last, self.recent, self.network.fed_back)
        if self.network.error_lags:
            self.errors = self._newest_first(self.last - output, self.errors, self.network.error_lags)

    def _newest_first(self, new: Array, buffer: Array, delays: tuple[int, ...]) -> Array:
        if buffer is None:
            return new
        return self.ops.concat([new, buffer[: (delays[-1] - 1) * self.dims.targets]], 0)


class Reading:
    """The parameters, arranged once per call for the loop: weights are (units, D), biases (units, 1).

    Args:
        ops: Back end.
        network: Whose parameters.
        params: By name.

    Attributes:
        known: (units, D + 1) weights of what :meth:`DelayLine.known` returns.
    """

    def __init__(self, ops: Ops, network: Narx, params: Params) -> None:
        self.network, self.squash = network, ops.activation(network.config.activation)
        hidden, skip = network.config.hidden, "skip.weight" in params
        readers = ["hidden0", "skip"] if skip else ["hidden0"] if hidden else ["out"]
        first = [params[f"{name}.weight"].T for name in readers]  # of everything that reads the delays
        bias = [params["out.bias" if name == "skip" else f"{name}.bias"][:, None] for name in readers]
        weight = ops.concat(first, 0) if skip else first[0]
        size, fed, outside = network.dims.targets, network.widths[0], sum(network.widths[:-1])
        self.known = ops.concat([weight[:, :outside], ops.concat(bias, 0) if skip else bias[0]], 1)
        layers = [f"hidden{k}" for k in range(1, len(hidden))]
        self.hidden = [(params[f"{name}.weight"].T, params[f"{name}.bias"][:, None]) for name in layers]
        self.out = params["out.weight"].T
        self.out_bias = None if skip else params["out.bias"][:, None]
        self.taps, self.errors = weight[:, :fed], weight[:, outside:]
        self.last: Array = None
        if network.relative:  # W (y - y_last) = W y - (sum of W over the delays) y_last, the tap of delay 1
            self.last = -1.0 * self.taps.reshape((-1, fed // size, size)).sum(1)
            own = network.feedback[0] == 1
            newest = self.last + self.taps[:, :size] if own else self.last
            self.taps = ops.concat([newest, self.taps[:, size:] if own else self.taps], 1)

    def of(self, line: DelayLine) -> list[tuple[Array, Array]]:
        """Return the weights (units, D) that read what the loop has fed back so far, with those values (D, B)."""
        if line.done == 0:
            return [] if self.last is None else [(self.last, line.last)]
        net = self.network
        out = [(self.taps[:, : len(fed)], fed) for fed in line.tapped(line.recent, net.fed_back)]
        return out + [(self.errors[:, : len(fed)], fed) for fed in line.tapped(line.errors, net.error_lags)]

    def output(self, read: Array, last: Array) -> Array:
        """Return one step (T, Q, B) from what the first layer reads and the value before (T, B)."""
        net, out = self.network, read
        if net.config.hidden:
            width = net.config.hidden[0]
            x = self.squash(read[:width])
            for weight, bias in self.hidden:
                x = self.squash(weight @ x + bias)
            out = self.out @ x + (read[width:] if self.out_bias is None else self.out_bias)
        out = out.reshape((net.dims.targets, net.dims.quantiles, -1))
        return out + last[:, None] if net.relative else out


def _hollow(ops: Ops, like: Array, steps: int) -> Array:
    """Return zeros (B, steps, T) beside (B, L, T)."""
    return ops.expand(like[:, :1] * 0.0, (like.shape[0], steps, like.shape[2]))
