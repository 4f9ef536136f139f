"""The time-delay neural network, from one linear map of the window to convolutions and patches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from tsforecast.config import option
from tsforecast.errors import UsageError
from tsforecast.models.base import Dims, FloatArray, Inputs, Network, Params, prefixed, subset, uniform, zeros
from tsforecast.models.heads import direct, init_direct
from tsforecast.models.maps import make_map, trend_of
from tsforecast.ops.base import Array, Ops

FORMS = ("conv", "linear", "mlp", "sparse", "patch")
TRENDS = ("none", "average", "exponential")
CONV = {"form": ("conv",)}


@dataclass(frozen=True)
class TdnnConfig:
    """Options of the time-delay network."""

    form: str = option(
        "conv",
        "From the window to the forecast: dilated convolutions, one linear map, one hidden layer, a map from season to "
        "season, or convolutions over patches.",
        choices=FORMS,
    )
    trend: str = option(
        "none",
        "Split the window into a trend, moving average or exponential, and the rest, and map each by itself.",
        choices=TRENDS,
    )
    hidden: int = option(
        0,
        "Units of the hidden layer; 0: of mlp 512, of sparse none (a linear map), of patch twice the horizon.",
        low=0,
        when={"form": ("mlp", "sparse", "patch")},
    )
    channels: tuple[int, ...] = option(
        (32,),
        "Channels of each layer of conv; one number is used for every layer. In other forms, the last: units that read "
        "the covariates, if there are any.",
        low=1,
        tune=((16,), (64,)),
    )
    kernel: int = option(3, "Taps per layer.", low=1, tune=(2, 5), when=CONV)
    dilations: tuple[int, ...] = option(
        (), "Spacing of the taps of each layer; by default powers of the kernel within the lags.", low=1, when=CONV
    )
    activation: str = option("relu", "Of the layers.", choices=("relu", "tanh", "sigmoid"))
    dropout: float = option(0.0, "Dropout before the output.", low=0, high=0.95, tune=(0.1, 0.3))
    highway: bool = option(True, "A linear path from the window to the forecast beside the convolutions.", when=CONV)


@final
class Tdnn(Network):
    """A tapped delay line: the past steps of the window side by side, and what maps them to the forecast.

    ``conv``: stacked dilated convolutions over targets and covariates with a direct head, x^l_t = act(sum_k W^l_k
    x^{l-1}_{t - k d_l} + b^l). The response is finite: a forecast depends on the last 1 + (kernel - 1) * sum(dilations)
    steps only (and, through the highway, on the window's lags).

    The other forms map the window of each target to its forecast, with weights that the targets share. ``linear`` is
    y = A x + b (NLinear with ``--normalize last``, CycleNet/Linear with ``--cycle``), ``mlp`` y = A act(B x + c) + b.
    ``sparse`` maps the same step of past seasons to that of coming ones, by one map for all steps of the season.
    ``patch`` runs a depthwise and a pointwise convolution over overlapping patches of 16 steps. Covariates, if there
    are any, join by one hidden layer over the whole window and a direct head, whose forecast is added.

    With a ``trend`` the form sees the rest of the window, and the trend has a linear map of its own: ``linear`` with
    ``average`` is DLinear, ``patch`` with ``exponential`` is xPatch with one linear map for its linear stream.

    Source: A. Waibel et al., IEEE Trans. ASSP 37 (1989), 328-339; dilations: van den Oord et al. (2016), WaveNet;
    linear: A. Zeng et al., AAAI 2023; mlp: S. Lin et al., CycleNet, NeurIPS 2024; sparse: S. Lin et al., SparseTSF,
    ICML 2024; patch: A. Stitsyuk & J. Choi, xPatch, AAAI 2025.
    """

    Config: ClassVar[type] = TdnnConfig
    summary: ClassVar[str] = "Tapped delay line: dilated convolutions, linear, mlp, sparse or patches"
    source: ClassVar[str] = (
        "Waibel et al. (1989), IEEE Trans. ASSP 37; dilations: van den Oord et al. (2016); linear and average: Zeng et "
        "al. (2023), AAAI; mlp: Lin et al. (2024), CycleNet; sparse: Lin et al. (2024), SparseTSF; patch and "
        "exponential: Stitsyuk & Choi (2025), xPatch"
    )

    def __init__(self, config: Any, dims: Dims) -> None:
        super().__init__(config, dims)
        self.map = None if config.form == "conv" else make_map(config.form, dims, config)
        self.trend = None if config.trend == "none" else make_map("linear", dims, config)
        self.joined = bool(dims.past or dims.future or dims.static)
        if self.map is None:
            self._lay_taps(config, dims)

    def _lay_taps(self, config: Any, dims: Dims) -> None:
        """Choose kernel, dilations and channels of the convolutions.

        Raises:
            UsageError: They do not fit each other or the window.
        """
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
        self.tree = self._lay_tree()

    @staticmethod
    def _fill(kernel: int, lags: int) -> tuple[int, ...]:
        """Grow the dilation by the kernel's length as long as the taps stay inside the window."""
        dilations: list[int] = []
        step = 1
        while kernel > 1 and 1 + (kernel - 1) * (sum(dilations) + step) <= lags:
            dilations.append(step)
            step *= kernel
        return tuple(dilations) or (1,)

    def _lay_tree(self) -> tuple[NDArray[np.int64], list[NDArray[np.int64]]]:
        """Find what the newest output of the last layer depends on: few of the outputs of the layers below.

        Returns:
            The steps of the window that the first layer reads, counted from its start; and of every layer, (n, kernel)
            places of each output's taps among what is below.
        """
        needed = np.array([self.dims.lags - 1])
        places: list[NDArray[np.int64]] = []
        for dilation in reversed(self.dilations):
            taps = needed[:, None] - dilation * np.arange(self.kernel)[::-1]
            needed = np.unique(taps)
            places.insert(0, np.searchsorted(needed, taps))
        return needed, places

    def init(self, rng: np.random.Generator) -> dict[str, FloatArray]:
        params: dict[str, FloatArray] = {}
        if self.map is None:
            params |= self._init_convolutions(rng)
        else:
            params |= prefixed(self.map.init(rng), "map")
            if self.joined:
                params |= self._init_joined(rng)
        if self.trend is not None:
            params |= prefixed(self.trend.init(rng), "trend")
        return params

    def _init_convolutions(self, rng: np.random.Generator) -> dict[str, FloatArray]:
        params: dict[str, FloatArray] = {}
        width = self.dims.channels + self.dims.static
        for layer, channels in enumerate(self.channels):
            fan_in = width * self.kernel
            params[f"layer{layer}.weight"] = uniform(rng, (self.kernel, width, channels), fan_in)
            params[f"layer{layer}.bias"] = uniform(rng, (channels,), fan_in)
            width = channels
        return params | prefixed(init_direct(rng, width, self.dims, highway=self.config.highway), "head")

    def _init_joined(self, rng: np.random.Generator) -> dict[str, FloatArray]:
        fan_in = self.dims.lags * self.dims.channels + self.dims.static
        units = self.config.channels[-1]
        params = {"join.weight": uniform(rng, (fan_in, units), fan_in), "join.bias": zeros(units)}
        return params | prefixed(init_direct(rng, units, self.dims, highway=False), "head")

    def apply(self, ops: Ops, params: Params, inputs: Inputs) -> Array:
        window = inputs.past_target.swapaxes(1, 2)
        parts = []
        if self.trend is not None:
            trend = trend_of(ops, window, self.config.trend)
            parts.append(self._steps(self.trend.apply(ops, subset(params, "trend"), trend)))
            window = window - trend
        if self.map is None:
            rest = inputs.replace(past_target=window.swapaxes(1, 2))
            state = self._convolved(ops, params, rest)
            parts.append(direct(ops, subset(params, "head"), state, rest, self.dims))
        else:
            parts.append(self._steps(self.map.apply(ops, subset(params, "map"), window)))
            if self.joined:
                state = self._join(ops, params, inputs)
                parts.append(direct(ops, subset(params, "head"), state, inputs, self.dims))
        return sum(parts[1:], parts[0])

    def _steps(self, out: Array) -> Array:
        """(B, T, H * Q) -> (B, H, T, Q)."""
        batch, targets = out.shape[:2]
        return out.reshape((batch, targets, self.dims.horizon, self.dims.quantiles)).swapaxes(1, 2)

    def _convolved(self, ops: Ops, params: Params, inputs: Inputs) -> Array:
        """Return the state (B, D) that the convolutions leave at the end of the window."""
        steps, places = self.tree
        x = ops.take(ops.concat([inputs.past_target, inputs.past_covariates], 2), steps, 1)
        if self.dims.static:
            constant = inputs.static_covariates[:, None]
            x = ops.concat([x, ops.expand(constant, (*x.shape[:2], self.dims.static))], 2)
        act = ops.activation(self.config.activation)
        for layer, place in enumerate(places):
            weight, bias = params[f"layer{layer}.weight"], params[f"layer{layer}.bias"]
            _, width, channels = weight.shape
            taps = ops.take(x, place.ravel(), 1).reshape((x.shape[0], len(place), self.kernel * width))
            x = act(taps @ weight.reshape((self.kernel * width, channels)) + bias)
        return ops.dropout(x[:, -1], self.config.dropout)

    def _join(self, ops: Ops, params: Params, inputs: Inputs) -> Array:
        """Return the state (B, D) of one hidden layer over targets, covariates and static covariates."""
        x = ops.concat([inputs.past_target, inputs.past_covariates], 2)
        x = ops.concat([x.reshape((x.shape[0], x.shape[1] * x.shape[2])), inputs.static_covariates], 1)
        state = ops.activation(self.config.activation)(x @ params["join.weight"] + params["join.bias"])
        return ops.dropout(state, self.config.dropout)
