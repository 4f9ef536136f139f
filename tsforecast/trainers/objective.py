"""What trainers minimise: the loss of a network's forecasts over training and validation windows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsforecast.data.window import Tables, thinned
from tsforecast.errors import UsageError
from tsforecast.ops.base import Array, Ops
from tsforecast.ops.numpy_ops import NumpyOps
from tsforecast.trainers.losses import EMPHASES, LOSSES, pinball

VALID_WINDOWS = 4096  # more windows than this are thinned out evenly: they would say the same, later
MOST_VALUES = 1 << 23  # likewise where every value that is forecast is kept
TAUGHT = 0.5  # share of a training over which a mixed loop closes
LEAST_EACH = 4  # validation windows of a series that are kept whatever the number of series
CHUNK = 1024  # windows per forward pass without a gradient, at most
CACHED = 1 << 18  # values in the windows of such a pass on a CPU: what a network makes of more falls out of the cache

Batch = dict[str, Array]
Forecast = Callable[[Ops, Mapping[str, Array], Batch, int], Array]
Fitness = Callable[[Array, NDArray[np.int64]], NDArray[np.float64]]
Design = Callable[[Ops, Batch], tuple[Array, Array]]


def judged_windows(starts: NDArray[np.int64], values_each: int, *, least: int = 2) -> NDArray[np.int64]:
    """Return the validation windows (n,) that measure something after training, evenly spread.

    Args:
        starts: (m,) first rows of all of them.
        values_each: Values that are kept of every window, so that long horizons of many targets do not fill memory.
        least: Windows that are needed in any case, if there are so many.
    """
    return thinned(starts, min(VALID_WINDOWS, max(MOST_VALUES // values_each, least)))


def independent(starts: NDArray[np.int64], horizon: int) -> int:
    """Return how many of the windows (n,) do not overlap."""
    return len(np.unique(starts // horizon))


def chance_of_truth(share: float) -> float:
    """Return how often a mixed loop is shown the truth when a share of the training is done: 1, falling to 0."""
    return max(0.0, 1 - share / TAUGHT)


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
        levels: Q quantile levels of the forecasts, whose mean pinball loss then replaces ``loss``; empty for a point.
        emphasis: A name in ``EMPHASES``: what the steps of training windows weigh. Validation weighs all alike, so that
            it says what a forecast is worth, whichever way it was trained.
        forecast: (ops, params, inputs by name, horizon) -> (B, horizon, T, Q).
        linear: (ops, inputs by name) -> features (B, D) and targets (B, O); None unless the model is linear.
        teachable: Whether the network feeds its outputs back inside a window and can be shown the true values instead.
        members: N networks that train side by side, each by its own loss; their parameters' names begin with
            ``member0.`` to ``member<N-1>.`` unless N is 1. In training ``forecast`` returns (N * B, horizon, T, Q).
        local: Whether every series has a network of its own: parameters are (S, ...), and no loss is shared.
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
    levels: tuple[float, ...] = ()
    emphasis: str = "even"
    teachable: bool = False
    members: int = 1
    local: bool = False
    fitness: Fitness | None = None
    device: str = "cpu"

    @property
    def series(self) -> NDArray[np.int32]:
        """(n,) series of every training window."""
        series: NDArray[np.int32] = self.tables.series[self.train]
        return series

    @property
    def _chunk(self) -> int:
        """Windows per forward pass without a gradient."""
        fitting = CACHED // (self.lags * self.tables.target.shape[1])
        return CHUNK if self.device != "cpu" else min(CHUNK, max(fitting, CHUNK // 16))

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
        """Return the mean loss over a batch of training windows, weighed by step, as a scalar that carries a gradient.

        Args:
            ops: Back end.
            params: Parameters as tensors.
            batch: From :meth:`batch`.
            teacher: (B, block, 1) ones where a network that feeds itself is shown the true value instead.
            steps: Only the first so many steps of the horizon count; 0 for all.
        """
        difference = self._differences(ops, params, batch, teacher)
        return self.weighed(self._losses(ops, difference[:, :steps] if steps else difference)).mean()

    def _losses(self, ops: Ops, difference: Array) -> Array:
        """Return the losses of forecasts minus target (..., Q): one per target and level, or per target."""
        if not self.levels:
            return LOSSES[self.loss](difference[..., 0])
        return pinball(difference, ops.asarray([1 - 2 * level for level in self.levels]))

    def weighed(self, losses: Array) -> Array:
        """Multiply tensors (B, steps, ...) by what each step of a training window weighs, on average 1."""
        if self.emphasis == "even":
            return losses
        import torch

        weights = torch.from_numpy(EMPHASES[self.emphasis](losses.shape[1])).to(self.device)
        return losses * weights.reshape((-1,) + (1,) * (losses.ndim - 2))

    def differences(
        self, ops: Ops, params: Mapping[str, Array], batch: Batch, *, teacher: Array | None = None
    ) -> Array:
        """Return point forecast minus target of a batch of training windows (B, block, T), with a gradient.

        Of several networks in training it is (N * B, block, T).

        Args:
            ops: Back end.
            params: Parameters as tensors.
            batch: From :meth:`batch`.
            teacher: As in :meth:`train_loss`.
        """
        return self._differences(ops, params, batch, teacher)[..., self.middle]

    @property
    def middle(self) -> int:
        """Which of the outputs is the point forecast: the median."""
        return self.levels.index(0.5) if self.levels else 0

    def _differences(self, ops: Ops, params: Mapping[str, Array], batch: Batch, teacher: Array | None) -> Array:
        """Return all outputs minus target, (B, block, T, Q)."""
        target = batch["future_target"]
        shown = {"future_target": target[:, :0]} if teacher is None else {"teacher": teacher}
        out = self.forecast(ops, params, {**batch, **shown}, self.block)
        target = target[..., None]
        return out - (ops.concat([target] * self.members, 0) if len(out) > len(target) else target)

    def draw_teacher(self, draw: Callable[[tuple[int, ...]], Any], windows: int, chance: float) -> Any:
        """Draw where a network is shown the true value: ones and zeros (windows, block, 1); None if it never can be.

        Args:
            draw: Makes random numbers in [0, 1) of a given shape, as an array or a tensor.
            windows: B.
            chance: Of being shown it, at every step.
        """
        if not self.teachable:
            return None
        import torch

        drawn = draw((windows, self.block, 1)) < chance
        return torch.as_tensor(drawn, dtype=torch.float32, device=self.device)

    def valid_loss(self, params: Mapping[str, Array]) -> float:
        """Return the loss, or the fitness, over the validation windows (the training windows when there are none)."""
        starts, horizon = (self.valid, self.horizon) if len(self.valid) else (self.train, self.block)
        return self.loss_over(params, starts, horizon)

    def valid_losses(self, params: Mapping[str, Array]) -> NDArray[np.float64]:
        """Return (S,) the validation loss of every series, ``inf`` where not finite, NaN where there is no window.

        Each series is thinned out by itself, so that the cost does not grow with the rows.
        """
        starts, horizon = (self.valid, self.horizon) if len(self.valid) else (self.train, self.block)
        count = len(self.tables.known)
        series = self.tables.series[starts]
        place = np.arange(len(starts)) - np.searchsorted(series, series)  # in its series, as windows are in order
        each = np.bincount(series, minlength=count)
        most = max(LEAST_EACH, VALID_WINDOWS // count)
        shown = (place * most) // each[series] != ((place - 1) * most) // each[series]
        starts, series = starts[shown], series[shown]
        total = np.zeros(count)
        with np.errstate(over="ignore", invalid="ignore"):
            for i in range(0, len(starts), self._chunk):
                part = slice(i, i + self._chunk)
                ops, out, target = self._forecast(params, starts[part], horizon)
                losses = self._losses(ops, out - target[..., None]).reshape((len(starts[part]), -1))
                total += np.bincount(series[part], ops.mean(losses, 1)[:, 0].tolist(), minlength=count)
            each = np.bincount(series, minlength=count)
            mean = np.where(np.isfinite(total), total, np.inf) / each
        return np.where(each > 0, mean, np.nan)

    def loss_over(self, params: Mapping[str, Array], starts: NDArray[np.int64], horizon: int) -> float:
        """Return the mean loss of forecasts over windows, thinned out evenly when there are many.

        The back end is that of the parameters: torch tensors or NumPy arrays.

        Args:
            params: Parameters by name.
            starts: (n,) first rows of the windows.
            horizon: Steps forecast in each.
        """
        starts = thinned(starts, VALID_WINDOWS)
        parts = [starts[i : i + self._chunk] for i in range(0, len(starts), self._chunk)]
        with np.errstate(over="ignore", invalid="ignore"):  # a diverged network is reported as an infinite loss
            if self.fitness is not None:
                made = [np.asarray(self._forecast(params, part, horizon)[1][..., self.middle]) for part in parts]
                return float(self.fitness(np.concatenate(made), starts))
            total = 0.0
            for part in parts:
                ops, out, target = self._forecast(params, part, horizon)
                total += float(self._losses(ops, out - target[..., None]).mean()) * len(part)
        return total / len(starts)

    def judged(
        self, params: Mapping[str, Array], starts: NDArray[np.int64]
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]]:
        """Yield starts, forecasts (B, H, T, Q) and targets (B, H, T) of validation windows, chunk by chunk."""
        for i in range(0, len(starts), self._chunk):
            part = starts[i : i + self._chunk]
            _, out, target = self._forecast(params, part, self.horizon)
            if not isinstance(out, np.ndarray):
                out, target = out.cpu().numpy(), target.cpu().numpy()
            yield part, out, target

    def each(self, out: NDArray[np.float32], target: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return (B,) the mean loss of every window, for what :meth:`judged` yields."""
        losses = self._losses(NumpyOps(), out - target[..., None])
        return np.asarray(losses.reshape((len(out), -1)).mean(axis=1, dtype=np.float64))

    def _forecast(
        self, params: Mapping[str, Array], starts: NDArray[np.int64], horizon: int
    ) -> tuple[Ops, Array, Array]:
        """Return back end, forecasts (B, horizon, T, Q) and targets (B, horizon, T), without a gradient.

        The back end is that of the parameters.
        """
        if all(isinstance(v, np.ndarray) for v in params.values()):
            return self._forecast_with(NumpyOps(), params, self.tables, starts, np.arange(self.lags + horizon))
        import torch

        from tsforecast.ops.torch_ops import TorchOps

        with torch.inference_mode():
            steps = torch.arange(self.lags + horizon, device=self.device)
            on_device = torch.from_numpy(starts).to(self.device)
            ops, out, target = self._forecast_with(TorchOps(self.device), params, self._tensors[0], on_device, steps)
            return ops, out if self.fitness is None else out.cpu(), target

    def _forecast_with(
        self, ops: Ops, params: Mapping[str, Array], tables: Tables, starts: Any, steps: Any
    ) -> tuple[Ops, Array, Array]:
        batch = tables.cut(starts, steps[: self.lags], steps[self.lags :], taught=True)
        target = batch["future_target"]
        hidden = {**batch, "future_target": target[:, :0]}
        return ops, self.forecast(ops, params, hidden, len(steps) - self.lags), target

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
