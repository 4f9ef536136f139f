"""What a network is, what it sees, and how one is made by its registered name."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tsforecast.config import NoOptions
from tsforecast.ops.base import Array, Ops
from tsforecast.registry import MODELS

Params = dict[str, Array]
FloatArray = NDArray[np.float32]

SMALL = 0.1  # what leads to the output starts small: under window normalisation the forecast is then close to naive


@dataclass(frozen=True)
class Dims:
    """Sizes that a network is made for.

    Attributes:
        lags: L, past steps in a window.
        horizon: H, steps to forecast.
        targets: T.
        past: P, past covariates.
        future: F, future covariates.
        static: S, static covariates.
        season_length: Steps per season, 1 if there is none.
        lag_set: The past steps that count, ascending, 1 is the newest; ``1..L`` unless a set was given.
        levels: Q quantile levels, ascending, 0.5 among them; empty for a point forecast.
        cycle: Lengths of the learned cycles, in steps.
        series: Number of training series.
    """

    lags: int
    horizon: int
    targets: int = 1
    past: int = 0
    future: int = 0
    static: int = 0
    season_length: int = 1
    lag_set: tuple[int, ...] = ()
    levels: tuple[float, ...] = ()
    cycle: tuple[int, ...] = ()
    series: int = 1

    @property
    def channels(self) -> int:
        """Width of one past step: targets, past covariates, past values of future covariates."""
        return self.targets + self.past + self.future

    @property
    def quantiles(self) -> int:
        """Q, 1 for a point forecast."""
        return max(1, len(self.levels))

    @property
    def middle(self) -> int:
        """Which of the Q outputs is the point forecast: the median."""
        return self.levels.index(0.5) if self.levels else 0


@dataclass(frozen=True)
class Inputs:
    """One batch of windows, scaled. What is absent is zero-width, never None.

    Attributes:
        past_target: (B, L, T).
        past_covariates: (B, L, P + F); the past values of the future covariates come last.
        future_covariates: (B, H, F).
        static_covariates: (B, S).
        series: (B,) integer number of the series among those of training; -1 for a new one.
        phase: (B,) integer position of the first forecast step on the time grid; modulo a season, its place in it.
        future_target: (B, H, T) in training, for teacher forcing; (B, 0, T) otherwise.
        teacher: (B, H, 1) in training: 1 where the true value is fed back; (B, 0, 1) otherwise.
    """

    past_target: Array
    past_covariates: Array
    future_covariates: Array
    static_covariates: Array
    series: Array
    phase: Array
    future_target: Array
    teacher: Array

    def replace(self, **changes: Array) -> Inputs:
        """Return a copy with some inputs exchanged."""
        return dataclasses.replace(self, **changes)


class Network(ABC):
    """The equations of one model for given sizes: a pure function of parameters and inputs.

    A final subclass sets the class attributes and writes :meth:`init` and :meth:`apply`.

    Attributes:
        Config: Frozen dataclass of the model's options.
        summary: One line for ``tsforecast models``.
        source: Papers.
        trainer: Name of the trainer that fits it by default.
        equivariant: True when shifting the window shifts the forecast by as much, so that window normalisation has
            nothing to add; it is then left out.
        mixes: Whether several targets are forecast together unless the user says otherwise, else each by itself.
        reads_lag_set: Whether the network reads only the lags of a set such as ``1:24,168`` and not all up to the last.
        design: Of a network that is linear in its parameters, (back end, inputs) -> features (B, D): its forecast is
            ``features @ weight + bias``, reshaped, and it has no parameters but ``weight`` (D, O) and ``bias`` (O,).
    """

    Config: ClassVar[type] = NoOptions
    summary: ClassVar[str] = ""
    source: ClassVar[str] = ""
    trainer: ClassVar[str] = "backprop"
    equivariant: ClassVar[bool] = False
    mixes: ClassVar[bool] = False
    reads_lag_set: ClassVar[bool] = False
    design: Callable[[Ops, Inputs], Array] | None = None

    def __init__(self, config: Any, dims: Dims) -> None:
        self.config = config
        self.dims = dims

    @property
    def block(self) -> int:
        """Steps of a training window, and of one call unless the network is free running."""
        return self.dims.horizon

    @property
    def teachable(self) -> bool:
        """Whether the network feeds its outputs back inside a block and can be shown the true values instead."""
        return False

    @property
    def free_running(self) -> bool:
        """Whether one call forecasts any number of steps, the network feeding its outputs back itself."""
        return False

    def normalizes(self, mode: str) -> bool:  # noqa: ARG002 - for those that override it
        """Take a window normalisation over; return whether there is nothing left to do around the network."""
        return self.equivariant

    def finished(self, ops: Ops, params: Params, inputs: Inputs, out: Array) -> Array:  # noqa: ARG002 - for overriders
        """Return the final forecast, given all steps (B, H, T, Q) that were forecast from inputs, block by block."""
        return out

    @abstractmethod
    def init(self, rng: np.random.Generator) -> dict[str, FloatArray]:
        """Draw initial parameters: name -> float32 array."""

    def measured(self, target: FloatArray, starts: NDArray[np.int64]) -> dict[str, FloatArray]:  # noqa: ARG002
        """Return the parameters that are measured in the training rows instead of drawn.

        Args:
            target: (n, T) scaled rows.
            starts: First rows of the training windows.
        """
        return {}

    @abstractmethod
    def apply(self, ops: Ops, params: Params, inputs: Inputs) -> Array:
        """Forecast one block.

        Returns:
            (B, block, T, Q), in the units of ``past_target``; free running: (B, H, T, Q), as many steps as
            ``future_covariates`` has.
        """


class Around(Network):
    """A network around another: what it does not change is the inner one's.

    Args:
        network: The network inside.
        dims: Sizes that this one is for; the inner one's by default.

    Attributes:
        solvable: Whether a linear network inside can be solved for through this one: the forecast stays linear in its
            ``weight`` and ``bias``, of features that :meth:`inside` leaves as they are after training.
    """

    solvable: bool = False

    def __init__(self, network: Network, dims: Dims | None = None) -> None:
        super().__init__(network.config, dims or network.dims)
        self.network = network

    @property
    def block(self) -> int:
        return self.network.block

    @property
    def teachable(self) -> bool:
        return self.network.teachable

    @property
    def free_running(self) -> bool:
        return self.network.free_running

    def normalizes(self, mode: str) -> bool:
        return self.network.normalizes(mode)

    def init(self, rng: np.random.Generator) -> dict[str, FloatArray]:
        return self.network.init(rng)

    def measured(self, target: FloatArray, starts: NDArray[np.int64]) -> dict[str, FloatArray]:
        return self.network.measured(target, starts)

    def inside(self, ops: Ops, inputs: Inputs) -> Inputs:  # noqa: ARG002 - for those that override it
        """Return what the network inside sees of fresh parameters, but for learned vectors: the same by default."""
        return inputs


def layers(network: Network) -> tuple[list[Around], Network]:
    """Return what is around a network, the outermost first, and the innermost one."""
    found: list[Around] = []
    while isinstance(network, Around):
        found.append(network)
        network = network.network
    return found, network


def make_network(name: str, options: Any, dims: Dims) -> Network:
    """Return the network registered as ``name``.

    Args:
        name: A name in the registry of models.
        options: An instance of that model's ``Config``.
        dims: Sizes of the window.

    Raises:
        UsageError: No such model, or options that do not fit the window.
    """
    network: Network = MODELS.get(name)(options, dims)
    return network


def uniform(rng: np.random.Generator, shape: tuple[int, ...], fan_in: int) -> FloatArray:
    """Draw weights from U(-1/sqrt(fan_in), 1/sqrt(fan_in)).

    Source: the commonly used heuristic of X. Glorot & Y. Bengio, Understanding the difficulty of training deep
    feedforward neural networks, AISTATS 2010, eq. 1.
    """
    bound = 1.0 / np.sqrt(max(fan_in, 1))
    return rng.uniform(-bound, bound, size=shape).astype(np.float32)


def zeros(*shape: int) -> FloatArray:
    """Return float32 zeros, for biases."""
    return np.zeros(shape, dtype=np.float32)


def subset(params: Params, prefix: str) -> Params:
    """Return the parameters whose names start with ``prefix.``, without the prefix."""
    start = f"{prefix}."
    return {name[len(start) :]: value for name, value in params.items() if name.startswith(start)}


def prefixed(params: dict[str, FloatArray], prefix: str) -> dict[str, FloatArray]:
    """Return ``params`` with ``prefix.`` before every name."""
    return {f"{prefix}.{name}": value for name, value in params.items()}
