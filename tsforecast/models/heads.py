"""The output layers that networks share: from a state to every step of the horizon at once."""

from __future__ import annotations

import numpy as np

from tsforecast.models.base import SMALL, Dims, FloatArray, Inputs, Params, uniform, zeros
from tsforecast.ops.base import Array, Ops


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
    return params | _init_highway(rng, dims, highway=highway)


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
    return out + _highway(params, inputs, dims)


def init_segments(
    rng: np.random.Generator, state: int, entering: int, ahead: int, dims: Dims, *, highway: bool
) -> dict[str, FloatArray]:
    """Draw the parameters of :func:`enter_segments` and :func:`leave_segments`.

    Args:
        rng: Source of randomness.
        state: D, width of the states that come out of the recurrence.
        entering: I, width of what goes into it.
        ahead: m, segments in the horizon.
        dims: Sizes of the window.
        highway: As for :func:`init_direct`.
    """
    steps = -(-dims.horizon // ahead)
    out = steps * dims.targets * dims.quantiles
    params = {
        "position": rng.normal(size=(ahead, entering)).astype(np.float32),
        "state": SMALL * uniform(rng, (state, out), state),
        "bias": zeros(out),
    }
    if dims.static:
        params["static"] = uniform(rng, (dims.static, entering), dims.static)
    if dims.future:
        params["future"] = uniform(rng, (steps * dims.future, entering), steps * dims.future)
    return params | _init_highway(rng, dims, highway=highway)


def enter_segments(ops: Ops, params: Params, inputs: Inputs, ahead: int) -> Array:
    """Return what the recurrence reads for every segment ahead: which one it is, whose, and its future covariates.

    Args:
        ops: Back end.
        params: From :func:`init_segments`.
        inputs: The windows.
        ahead: m, segments in the horizon.

    Returns:
        (1 or B, m, I).

    Source: S. Lin et al., SegRNN (2023), section 4.2, where the codes are joined instead of added.
    """
    x = params["position"][None]
    if "static" in params:
        x = x + (inputs.static_covariates @ params["static"])[:, None]
    if "future" in params:
        known = inputs.future_covariates
        batch, horizon, width = known.shape
        steps = -(-horizon // ahead)
        whole = ops.take(known, [min(t, horizon - 1) for t in range(ahead * steps)], 1)
        x = x + whole.reshape((batch, ahead, steps * width)) @ params["future"]
    return x


def leave_segments(params: Params, states: Array, inputs: Inputs, dims: Dims) -> Array:
    """Forecast from one state per segment ahead, by one linear map that all segments share.

    Args:
        params: From :func:`init_segments`.
        states: (B, m, D).
        inputs: The windows that they come from.
        dims: Sizes.

    Returns:
        (B, H, T, Q).
    """
    out = states @ params["state"] + params["bias"]
    batch, ahead, width = out.shape
    steps = width // (dims.targets * dims.quantiles)
    out = out.reshape((batch, ahead * steps, dims.targets, dims.quantiles))[:, : dims.horizon]
    return out + _highway(params, inputs, dims)


def _init_highway(rng: np.random.Generator, dims: Dims, *, highway: bool) -> dict[str, FloatArray]:
    shape = (dims.lags, dims.horizon * dims.quantiles)
    return {"highway": SMALL * uniform(rng, shape, dims.lags)} if highway else {}


def _highway(params: Params, inputs: Inputs, dims: Dims) -> Array:
    """Return the linear path (B, H, T, Q), 0 where there is none."""
    if "highway" not in params:
        return 0.0
    linear = inputs.past_target.swapaxes(1, 2) @ params["highway"]  # (B, T, H * Q)
    return linear.reshape((*linear.shape[:2], dims.horizon, dims.quantiles)).swapaxes(1, 2)
