"""The output layers that networks share: from a state to every step of the horizon at once."""

from __future__ import annotations

import numpy as np

from tsforecast.models.base import Dims, FloatArray, Inputs, Params, uniform, zeros
from tsforecast.ops.base import Array, Ops

SMALL = 0.1  # the head starts small: under window normalisation a fresh network is then close to the naive forecast


def init_direct(rng: np.random.Generator, state: int, dims: Dims, *, highway: bool) -> dict[str, FloatArray]:
    """Draw the parameters of :func:`direct`.

    Args:
        rng: Source of randomness.
        state: D, width of the state.
        dims: Sizes of the window.
        highway: Whether a linear path leads from the past targets to the forecast.
    """
    out = dims.targets * dims.quantiles
    params = {
        "state": SMALL * uniform(rng, (state, dims.horizon * out), state),
        "bias": zeros(dims.horizon * out),
    }
    if dims.future:
        params["future_in"] = uniform(rng, (dims.future, state), dims.future)
        params["future_state"] = uniform(rng, (state, state), state)
        params["future_bias"] = zeros(state)
        params["future_out"] = SMALL * uniform(rng, (state, out), state)
    if highway:
        params["highway"] = SMALL * uniform(rng, (dims.lags, dims.horizon * dims.quantiles), dims.lags)
    return params


def direct(ops: Ops, params: Params, state: Array, inputs: Inputs, dims: Dims) -> Array:
    """Forecast all steps from one state.

    y = W s + b, plus, where future covariates f_h exist, V tanh(U s + R f_h + c), plus, with a highway, A y_past with
    the map A shared by the targets (the autoregressive path of LSTNet, Lai et al. 2018, eq. 9).

    Args:
        ops: Back end.
        params: From :func:`init_direct`.
        state: (B, D).
        inputs: The windows that the state comes from.
        dims: Sizes.

    Returns:
        (B, H, T, Q).
    """
    shape = (state.shape[0], dims.horizon, dims.targets, dims.quantiles)
    out = (state @ params["state"] + params["bias"]).reshape(shape)
    if dims.future:
        mixed = (state @ params["future_state"] + params["future_bias"])[:, None]
        hidden = ops.tanh(mixed + inputs.future_covariates @ params["future_in"])
        out = out + (hidden @ params["future_out"]).reshape(shape)
    if "highway" in params:
        linear = inputs.past_target.swapaxes(1, 2) @ params["highway"]  # (B, T, H * Q)
        linear = linear.reshape((shape[0], shape[2], shape[1], shape[3]))
        out = out + linear.swapaxes(1, 2)
    return out
