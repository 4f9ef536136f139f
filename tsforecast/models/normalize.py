"""Window normalisation around any network, and the recursion that reaches any horizon."""

from __future__ import annotations

from typing import final

import numpy as np

from tsforecast.models.base import Around, Dims, FloatArray, Inputs, Network, Params, subset
from tsforecast.ops.base import Array, Ops

USUAL = "last"
NORMALIZATIONS = (USUAL, "mean", "revin", "none")
VARIANCE_FLOOR = 1e-5  # RevIN's epsilon, Kim et al. (2022)


def statistics(ops: Ops, window: Array, mode: str) -> tuple[Array, Array]:
    """Return what a window (B, L, T) is moved and divided by: center (B, 1, T), and spread, likewise or 1."""
    if mode == "none":
        return 0.0, 1.0
    center = window[:, -1:] if mode == "last" else ops.mean(window, 1)
    if mode != "revin":
        return center, 1.0
    centered = window - center
    return center, ops.sqrt(ops.mean(centered * centered, 1) + VARIANCE_FLOOR)


@final
class Normalized(Around):
    """A network that sees windows relative to themselves and whose forecasts are moved back.

    ``last`` subtracts the last observation (NLinear, Zeng et al. 2023), ``mean`` the window mean, ``revin`` divides,
    too, by the window's standard deviation and learns a gain and a bias per target (Kim et al. 2022, eq. 1 to 4).

    Args:
        network: The network inside.
        mode: One of ``NORMALIZATIONS``.
    """

    solvable = True

    def __init__(self, network: Network, mode: str) -> None:
        super().__init__(network)
        self.mode = "none" if network.normalizes(mode) else mode

    def init(self, rng: np.random.Generator) -> dict[str, FloatArray]:
        params = dict(self.network.init(rng))
        if self.mode == "revin":
            params["normalize.gain"] = np.ones(self.dims.targets, dtype=np.float32)
            params["normalize.bias"] = np.zeros(self.dims.targets, dtype=np.float32)
        return params

    def apply(self, ops: Ops, params: Params, inputs: Inputs) -> Array:
        if self.mode == "none":
            return self.network.apply(ops, params, inputs)
        center, spread = statistics(ops, inputs.past_target, self.mode)
        if self.mode != "revin":
            out = self.network.apply(ops, params, self._moved(inputs, center, spread))
            return out + center[..., None]
        own = subset(params, "normalize")
        gain, bias = own["gain"], own["bias"]
        out = self.network.apply(ops, params, self._moved(inputs, center, spread, gain, bias))
        out = (out - bias[:, None]) / (gain[:, None] + VARIANCE_FLOOR)
        return out * spread[..., None] + center[..., None]

    def inside(self, ops: Ops, inputs: Inputs) -> Inputs:
        if self.mode == "none":
            return inputs
        return self._moved(inputs, *statistics(ops, inputs.past_target, self.mode))

    def _moved(self, inputs: Inputs, center: Array, spread: Array, gain: Array = 1.0, bias: Array = 0.0) -> Inputs:
        def moved(x: Array) -> Array:
            return x - center if self.mode != "revin" else (x - center) / spread * gain + bias

        return inputs.replace(past_target=moved(inputs.past_target), future_target=moved(inputs.future_target))


def roll_out(ops: Ops, network: Network, params: Params, inputs: Inputs, horizon: int) -> Array:
    """Forecast ``horizon`` steps, block by block, feeding forecasts back as if they had been observed.

    This is how any network reaches beyond the horizon that it was trained for; one that runs freely, as a NARX in
    closed loop, does so itself. Past covariates are not known after the cutoff: their last values are held. The point
    that is fed back is the middle quantile.

    Args:
        ops: Back end.
        network: Forecasts ``network.block`` steps per call.
        params: Its parameters.
        inputs: Windows; ``future_covariates`` must cover ``horizon`` steps, better whole blocks: a network
            may look at all steps of a block, and the last step is repeated where it ends early.
        horizon: Steps to forecast.

    Returns:
        (B, horizon, T, Q).
    """
    began = inputs
    if network.free_running:
        whole = inputs.replace(future_covariates=inputs.future_covariates[:, :horizon])
        return network.finished(ops, params, began, network.apply(ops, params, whole))
    block = network.block
    blocks = []
    for done in range(0, horizon, block):
        ahead = inputs.future_covariates[:, done : done + block]
        if ahead.shape[1] < block:  # the last block may reach beyond the horizon: what it says there is cut off
            ahead = _pad_by_last(ops, ahead, block)
        window = inputs.replace(future_covariates=ahead, phase=inputs.phase + done)
        out = network.apply(ops, params, window)
        blocks.append(out)
        if done + block < horizon:
            inputs = _advance(ops, network.dims, inputs, out[..., network.dims.middle], ahead)
    out = blocks[0] if len(blocks) == 1 and block == horizon else ops.concat(blocks, 1)[:, :horizon]
    return network.finished(ops, params, began, out)


def _advance(ops: Ops, dims: Dims, inputs: Inputs, forecast: Array, ahead: Array) -> Inputs:
    """Move the windows on by one block: forecasts become past targets, future covariates become past ones."""
    lags, steps = inputs.past_target.shape[1], forecast.shape[1]
    past_target = ops.concat([inputs.past_target, forecast], 1)[:, -lags:]
    covariates = inputs.past_covariates
    if covariates.shape[2]:
        held = ops.expand(covariates[:, -1:, : dims.past], (covariates.shape[0], steps, dims.past))
        covariates = ops.concat([covariates, ops.concat([held, ahead], 2)], 1)[:, -lags:]
    return inputs.replace(past_target=past_target, past_covariates=covariates)


def _pad_by_last(ops: Ops, x: Array, steps: int) -> Array:
    """Repeat the last step of (B, n, F) until there are ``steps``."""
    missing = ops.expand(x[:, -1:], (x.shape[0], steps - x.shape[1], x.shape[2]))
    return ops.concat([x, missing], 1)
