"""Maps from the window of one target to its forecast, with weights that all targets share, and the split of a window.

A map takes windows (B, T, L), the newest step last, and returns (B, T, H * Q): the Q quantiles of a step side by side.
"""

from __future__ import annotations

from typing import Any, Protocol, final

import numpy as np

from tsforecast.errors import UsageError
from tsforecast.models.base import SMALL, Dims, FloatArray, Params, prefixed, subset, uniform, zeros
from tsforecast.ops.base import Array, Ops

HIDDEN = 512  # CycleNet/MLP, Lin et al. (2024)
AVERAGED = 25  # steps of DLinear's moving average, Zeng et al. (2023)
ALPHA = 0.3  # xPatch's smoothing factor, Stitsyuk & Choi (2025)
MEMORY = 48  # steps after which (1 - ALPHA)^n is less than a rounding of float32
STRIDE = 8  # of the patches, which are twice as long: xPatch
BREADTH = 4  # features per step of a patch; xPatch has 16, at four times the cost


class Map(Protocol):
    """From windows to forecasts; a pure function of its parameters."""

    def init(self, rng: np.random.Generator) -> dict[str, FloatArray]:
        """Draw initial parameters."""

    def apply(self, ops: Ops, params: Params, window: Array) -> Array:
        """Return (B, T, out) of windows (B, T, L)."""


@final
class LinearMap:
    """y = A x + b.

    Args:
        lags: L, width of the input.
        out: Width of the output.
    """

    def __init__(self, lags: int, out: int) -> None:
        self.lags, self.out = lags, out

    def init(self, rng: np.random.Generator) -> dict[str, FloatArray]:
        return {"weight": SMALL * uniform(rng, (self.lags, self.out), self.lags), "bias": zeros(self.out)}

    def apply(self, ops: Ops, params: Params, window: Array) -> Array:  # noqa: ARG002 - as every map
        return window @ params["weight"] + params["bias"]


@final
class HiddenMap:
    """y = A act(B x + c) + b, with dropout before A.

    Args:
        lags: L, width of the input.
        hidden: Units.
        out: Width of the output.
        config: Gives ``activation`` and ``dropout``.
    """

    def __init__(self, lags: int, hidden: int, out: int, config: Any) -> None:
        self.lags, self.hidden, self.config = lags, hidden, config
        self.top = LinearMap(hidden, out)

    def init(self, rng: np.random.Generator) -> dict[str, FloatArray]:
        own = {"hidden.weight": uniform(rng, (self.lags, self.hidden), self.lags), "hidden.bias": zeros(self.hidden)}
        return own | self.top.init(rng)

    def apply(self, ops: Ops, params: Params, window: Array) -> Array:
        act = ops.activation(self.config.activation)
        hidden = act(window @ params["hidden.weight"] + params["hidden.bias"])
        return self.top.apply(ops, params, ops.dropout(hidden, self.config.dropout))


@final
class SparseMap:
    """Each step of the season is forecast from the same step of earlier seasons, by a map that all of them share.

    Before that, every step gathers its neighbours within half a season by a learned filter, added to the window. The
    oldest L mod P steps are not used.

    Source: S. Lin et al., SparseTSF: Modeling Long-term Time Series Forecasting with 1k Parameters, ICML 2024, section
    3.2; with a hidden layer SparseTSF/MLP. The bias is ours: without it quantiles could not spread.

    Args:
        dims: Sizes of the window.
        config: Gives ``hidden``, ``activation`` and ``dropout``.
    """

    def __init__(self, dims: Dims, config: Any) -> None:
        self.dims = dims
        self.season = dims.season_length
        if self.season > dims.lags:
            raise UsageError(
                f"the sparse tdnn looks back whole seasons of {self.season} steps, the window has {dims.lags}",
                hint=f"use --lags {self.season} or more, or a smaller --season-length",
            )
        self.seasons = dims.lags // self.season
        out = -(-dims.horizon // self.season) * dims.quantiles
        wide = config.hidden
        self.map = HiddenMap(self.seasons, wide, out, config) if wide else LinearMap(self.seasons, out)

    def init(self, rng: np.random.Generator) -> dict[str, FloatArray]:
        return {"gather": zeros(1 + 2 * (self.season // 2))} | self.map.init(rng)

    def apply(self, ops: Ops, params: Params, window: Array) -> Array:
        batch, targets = window.shape[:2]
        quantiles = self.dims.quantiles
        window = window[..., -self.seasons * self.season :]
        half = ops.zeros((batch, targets, self.season // 2))
        window = window + filtered(ops, ops.concat([half, window, half], 2), params["gather"])
        phases = window.reshape((batch, targets, self.seasons, self.season)).swapaxes(2, 3)
        out = self.map.apply(ops, params, phases)  # (B, T, P, seasons ahead * Q)
        out = out.reshape((batch, targets, self.season, out.shape[3] // quantiles, quantiles)).swapaxes(2, 3)
        out = out.reshape((batch, targets, out.shape[2] * self.season * quantiles))
        return out[..., : self.dims.horizon * quantiles]


@final
class PatchMap:
    """Overlapping patches of the window, a depthwise and a pointwise convolution over them, and one hidden layer.

    e_n = act(E p_n), d_n = act(D_n * e_n) + R e_n, z = act(P d): E and R are shared by the patches p_n, D_n is a
    filter for each, and P mixes patches.

    Source: A. Stitsyuk & J. Choi, xPatch, AAAI 2025, section 3.3 (the non-linear stream); without its batch
    normalisation, since a network is a pure function of one window.

    Args:
        dims: Sizes of the window.
        config: Gives ``hidden``, ``activation`` and ``dropout``.
    """

    def __init__(self, dims: Dims, config: Any) -> None:
        self.config = config
        self.stride = max(1, min(STRIDE, dims.lags // 2))
        self.length = 2 * self.stride
        self.count = (dims.lags + self.stride) // self.stride - 1
        hidden = config.hidden or 2 * dims.horizon
        self.map = HiddenMap(self.count * self.length, hidden, dims.horizon * dims.quantiles, config)

    def init(self, rng: np.random.Generator) -> dict[str, FloatArray]:
        count, length, width = self.count, self.length, self.length * BREADTH
        return {
            "embed.weight": uniform(rng, (length, width), length),
            "embed.bias": zeros(width),
            "depth.weight": uniform(rng, (count, BREADTH, 1), BREADTH),
            "depth.bias": zeros(count, 1),
            "residual": uniform(rng, (width, length), width),
            "point.weight": uniform(rng, (count, count), count),
            "point.bias": zeros(count),
        } | prefixed(self.map.init(rng), "out")

    def apply(self, ops: Ops, params: Params, window: Array) -> Array:
        act = ops.activation(self.config.activation)
        batch, targets = window.shape[:2]
        last = ops.expand(window[..., -1:], (batch, targets, self.stride))
        halves = ops.concat([window, last], 2)[..., : (self.count + 1) * self.stride]
        halves = halves.reshape((batch, targets, self.count + 1, self.stride))
        patches = ops.concat([halves[:, :, :-1], halves[:, :, 1:]], 3)
        embedded = act(patches @ params["embed.weight"] + params["embed.bias"])
        groups = embedded.reshape((batch, targets, self.count, BREADTH, self.length))
        deep = BREADTH * ops.mean(groups * params["depth.weight"], 3)[:, :, :, 0]
        deep = act(deep + params["depth.bias"]) + embedded @ params["residual"]
        mixed = act(deep.swapaxes(2, 3) @ params["point.weight"] + params["point.bias"])
        flat = mixed.reshape((batch, targets, self.count * self.length))
        return self.map.apply(ops, subset(params, "out"), flat)


def make_map(form: str, dims: Dims, config: Any) -> Map:
    """Return the map called ``form``: linear, mlp, sparse or patch."""
    out = dims.horizon * dims.quantiles
    if form == "sparse":
        return SparseMap(dims, config)
    if form == "patch":
        return PatchMap(dims, config)
    return HiddenMap(dims.lags, config.hidden or HIDDEN, out, config) if form == "mlp" else LinearMap(dims.lags, out)


def trend_of(ops: Ops, window: Array, kind: str) -> Array:
    """Return the trend (B, T, L) of windows (B, T, L); what is left of the window is the rest.

    ``average`` is the mean of the 25 steps around each one (DLinear, Zeng et al. 2023), ``exponential`` is
    s_t = 0.3 x_t + 0.7 s_{t-1}, s_0 = x_0 (xPatch). Both see the window continued by its ends.
    """
    batch, targets = window.shape[:2]
    before, after = (AVERAGED // 2, AVERAGED // 2) if kind == "average" else (MEMORY, 0)
    first = ops.expand(window[..., :1], (batch, targets, before))
    last = ops.expand(window[..., -1:], (batch, targets, after))
    return filtered(ops, ops.concat([first, window, last], 2), ops.asarray(_smoothing(kind)))


def _smoothing(kind: str) -> FloatArray:
    """Return the weights of a trend, the oldest step first; they sum to 1."""
    if kind == "average":
        return np.full(AVERAGED, 1 / AVERAGED, dtype=np.float32)
    weights = (1 - ALPHA) ** np.arange(MEMORY, -1, -1.0)
    weights[1:] *= ALPHA  # the oldest step stands for all before it
    return weights.astype(np.float32)


def filtered(ops: Ops, x: Array, weights: Array) -> Array:
    """Return y_t = sum_k w_k x_{t+k} wherever x reaches: (B, T, n + K - 1) and K weights make (B, T, n).

    A banded matrix times blocks of 2 K steps: far fewer operations than the whole matrix, and one call instead of K.
    """
    batch, targets, length = x.shape
    taps = weights.shape[0]
    steps, block = length - taps + 1, 2 * taps
    count = -(-steps // block)
    x = ops.concat([x, ops.zeros((batch, targets, (count + 1) * block - length))], 2)
    blocks = x.reshape((batch, targets, count + 1, block))
    reach = ops.concat([blocks[:, :, :-1], blocks[:, :, 1:, : taps - 1]], 3)
    place = np.arange(block + taps - 1)[:, None] - np.arange(block)  # of the weight between input and output
    inside = (place >= 0) & (place < taps)
    band = ops.take(weights, np.where(inside, place, 0).ravel(), 0).reshape(place.shape) * ops.asarray(inside)
    return (reach @ band).reshape((batch, targets, count * block))[..., :steps]
