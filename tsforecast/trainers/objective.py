"""What trainers minimise: the loss of a network's forecasts over training and validation windows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsforecast.data.window import Tables
from tsforecast.errors import UsageError
from tsforecast.ops.base import Array, Ops
from tsforecast.ops.numpy_ops import NumpyOps

VALID_WINDOWS = 4096  # more windows than this are thinned out evenly: they would say the same, later
TAUGHT = 0.5  # share of a training over which a mixed loop closes
CHUNK = 1024  # windows per forward pass without a gradient

Batch = dict[str, Array]
Forecast = Callable[[Ops, Mapping[str, Array], Batch, int], Array]
Fitness = Callable[[Array, NDArray[np.int64]], NDArray[np.float64]]
Design = Callable[[Ops, Batch], tuple[Array, Array]]


def chance_of_truth(share: float) -> float:
    """Return how often a mixed loop is shown the truth when a share of the training is done: 1, falling to 0."""
    return max(0.0, 1 - share / TAUGHT)


def mse(difference: Array) -> Array:
    """Squared error."""
    return difference * difference


def mae(difference: Array) -> Array:
    """Absolute error."""
    return abs(difference)


def huber(difference: Array) -> Array:
    """Quadratic up to one scaled unit, linear beyond: Huber (1964)."""
    size = abs(difference)
    inner = size.clip(max=1.0)
    return inner * (size - 0.5 * inner)


LOSSES = {"mse": mse, "mae": mae, "huber": huber}


@dataclass(frozen=True)
class Objective:
    """The loss over windows. Trainers see neither the model nor the test rows. Losses are in scaled target units.

    Attributes:
        tables: Scaled columns of the frame, NumPy.
        train: (n,) starts of the training windows, whose horizon is ``block``.
        valid: (m,) starts of the validation windows, whose horizon is ``horizon``; may be empty.
        lags: L.
        block: Steps that the network forecasts at once; training windows have this horizon.
        horizon: H.
        loss: A name in ``LOSSES``.
        forecast: (ops, params, inputs by name, horizon) -> (B, horizon, T, Q).
        linear: (ops, inputs by name) -> features (B, D) and targets (B, O); None unless the model is linear.
        teachable: Whether the network feeds its outputs back inside a window and can be shown the true values instead.
        fitness: (scaled forecasts (..., B, horizon, T), starts (B,)) -> (...,), smaller is better; what is minimised
            instead of the loss, by trainers that need no gradient. None: the loss.
        device: Where torch tensors live.
    """

    tables: Tables
    train: NDArray[np.int64]
    valid: NDArray[np.int64]
    lags: int
    block: int
    horizon: int
    loss: str
    forecast: Forecast
    linear: Design | None
    teachable: bool = False
    fitness: Fitness | None = None
    device: str = "cpu"

    @property
    def n_train(self) -> int:
        """Number of training windows."""
        return len(self.train)

    @cached_property
    def _tensors(self) -> tuple[Tables, Any, Any, Any]:
        """Tables, lags, steps ahead and training starts as tensors on the device, without a copy on the CPU."""
        import torch

        def convert(x: NDArray[Any]) -> Any:
            return torch.from_numpy(np.ascontiguousarray(x)).to(self.device)

        steps = torch.arange(self.lags + self.block, device=self.device)
        return self.tables.to(convert), steps[: self.lags], steps[self.lags :], convert(self.train)

    def batch(self, rows: Any) -> Batch:
        """Gather training windows on the device.

        Args:
            rows: (B,) tensor of window numbers, 0..n_train-1.
        """
        tensors, lags, ahead, starts = self._tensors
        return tensors.cut(starts[rows], lags, ahead, taught=True)

    def train_loss(
        self, ops: Ops, params: Mapping[str, Array], batch: Batch, *, teacher: Array | None = None, steps: int = 0
    ) -> Array:
        """Return the mean loss over a batch of training windows as a scalar that carries a gradient.

        Args:
            ops: Back end.
            params: Parameters as tensors.
            batch: From :meth:`batch`.
            teacher: (B, block, 1) ones where a network that feeds itself is shown the true value instead.
            steps: Only the first so many steps of the horizon count; 0 for all.
        """
        difference = self.differences(ops, params, batch, teacher=teacher)
        return LOSSES[self.loss](difference[:, :steps] if steps else difference).mean()

    def differences(
        self, ops: Ops, params: Mapping[str, Array], batch: Batch, *, teacher: Array | None = None
    ) -> Array:
        """Return forecast minus target of a batch of training windows (B, block, T), with a gradient.

        Args:
            ops: Back end.
            params: Parameters as tensors.
            batch: From :meth:`batch`.
            teacher: As in :meth:`train_loss`.
        """
        target = batch["future_target"]
        shown = {"future_target": target[:, :0]} if teacher is None else {"teacher": teacher}
        return self.forecast(ops, params, {**batch, **shown}, self.block)[..., 0] - target

    def draw_teacher(self, rng: np.random.Generator, windows: int, chance: float) -> Any:
        """Draw where a network is shown the true value: ones and zeros (windows, block, 1); None if it never can be.

        Args:
            rng: Source of randomness.
            windows: B.
            chance: Of being shown it, at every step.
        """
        if not self.teachable:
            return None
        import torch

        drawn = rng.random((windows, self.block, 1)) < chance
        return torch.from_numpy(drawn.astype(np.float32)).to(self.device)

    def valid_loss(self, params: Mapping[str, Array]) -> float:
        """Return the loss, or the fitness, over the validation windows (the training windows when there are none)."""
        starts, horizon = (self.valid, self.horizon) if len(self.valid) else (self.train, self.block)
        return self.loss_over(params, starts, horizon)

    def loss_over(self, params: Mapping[str, Array], starts: NDArray[np.int64], horizon: int) -> float:
        """Return the mean loss of forecasts over windows, thinned out evenly when there are many.

        The back end is that of the parameters: torch tensors or NumPy arrays.

        Args:
            params: Parameters by name.
            starts: (n,) first rows of the windows.
            horizon: Steps forecast in each.
        """
        if len(starts) > VALID_WINDOWS:
            starts = starts[np.linspace(0, len(starts) - 1, VALID_WINDOWS).round().astype(np.int64)]
        parts = [starts[i : i + CHUNK] for i in range(0, len(starts), CHUNK)]
        with np.errstate(over="ignore", invalid="ignore"):  # a diverged network is reported as an infinite loss
            if self.fitness is not None:
                made = [np.asarray(self._forecast(params, part, horizon)[0]) for part in parts]
                return float(self.fitness(np.concatenate(made), starts))
            total = 0.0
            for part in parts:
                out, target = self._forecast(params, part, horizon)
                total += float(LOSSES[self.loss](out - target).mean()) * len(part)
        return total / len(starts)

    def _forecast(self, params: Mapping[str, Array], starts: NDArray[np.int64], horizon: int) -> tuple[Array, Array]:
        """Return forecasts and targets (B, horizon, T) without a gradient, in the back end of the parameters."""
        if all(isinstance(v, np.ndarray) for v in params.values()):
            return self._forecast_with(NumpyOps(), params, self.tables, starts, np.arange(self.lags + horizon))
        import torch

        from tsforecast.ops.torch_ops import TorchOps

        with torch.inference_mode():
            steps = torch.arange(self.lags + horizon, device=self.device)
            on_device = torch.from_numpy(starts).to(self.device)
            out, target = self._forecast_with(TorchOps(self.device), params, self._tensors[0], on_device, steps)
            return (out, target) if self.fitness is None else (out.cpu(), target)

    def _forecast_with(
        self, ops: Ops, params: Mapping[str, Array], tables: Tables, starts: Any, steps: Any
    ) -> tuple[Array, Array]:
        batch = tables.cut(starts, steps[: self.lags], steps[self.lags :], taught=True)
        target = batch["future_target"]
        hidden = {**batch, "future_target": target[:, :0]}
        return self.forecast(ops, params, hidden, len(steps) - self.lags)[..., 0], target

    def design(self, rows: NDArray[np.int64]) -> tuple[Array, Array]:
        """Return features (B, D) and targets (B, O) of training windows, for a model that is linear in its parameters.

        Raises:
            UsageError: The model is not linear.
        """
        if self.linear is None:
            raise UsageError(
                "trainer 'least_squares' needs a model that is linear in its parameters", hint="use --trainer backprop"
            )
        steps = np.arange(self.lags + self.block)
        batch = self.tables.cut(self.train[rows], steps[: self.lags], steps[self.lags :], taught=True)
        return self.linear(NumpyOps(), batch)
