"""Many networks at once: parameters as rows of one array, and their losses in a few batched passes."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
import torch

from tsforecast.ops.torch_ops import TorchOps
from tsforecast.trainers.base import Arrays, FloatArray, Spent, endless
from tsforecast.trainers.individuals import Losses
from tsforecast.trainers.objective import Objective

FLOOR = 0.3  # smallest scale of a tensor, as a share of that of all parameters: biases begin at zero
WORK = 1 << 24  # windows x steps x width of one pass on a CPU: less costs calls, more falls out of the cache
GPU = 1 << 6  # times as much on a GPU
TRIES = 4  # passes of either way, of which the fastest counts: the first one warms up, another may be interrupted
MARGIN = 1.25  # times as fast must one by one be: where the ways are alike, the clock shall not decide
SAMPLE, FEWEST = 3072, 64  # values and windows of a sample
LESSONS = 16  # windows to learn from for every one to be judged by


WAYS = {"auto": None, "together": True, "one_by_one": False}  # auto: by trial


class Genome:
    """How the parameters of a network become a row of genes, each in units of its tensor's initial spread.

    Args:
        params: Initial parameters.
    """

    def __init__(self, params: Mapping[str, FloatArray]) -> None:
        self.shapes = {name: value.shape for name, value in params.items()}
        sizes = [value.size for value in params.values()]
        self.ends = np.cumsum(sizes).tolist()
        flat = self._flat(params)
        floor = FLOOR * float(np.sqrt(np.mean(np.square(flat, dtype=np.float64)))) or 1.0
        spread = [float(np.sqrt(np.mean(np.square(v, dtype=np.float64)))) if v.size else 0.0 for v in params.values()]
        self.scale = np.repeat(np.maximum(spread, floor), sizes).astype(np.float32)

    @property
    def size(self) -> int:
        """Number of genes d."""
        return len(self.scale)

    def _flat(self, params: Mapping[str, FloatArray]) -> FloatArray:
        return np.concatenate([params[name].ravel() for name in self.shapes])

    def row(self, params: Mapping[str, FloatArray]) -> FloatArray:
        """Return parameters as genes (d,)."""
        return self._flat(params) / self.scale

    def params(self, row: FloatArray) -> dict[str, FloatArray]:
        """Return genes (d,) as parameters, arrays of their own."""
        parts = np.split(row * self.scale, self.ends[:-1])
        return {
            name: part.reshape(shape).copy() for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
        }

    def tensors(self, values: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return parameters (n, d) by name, each (n, ...) and contiguous; differentiable."""
        parts = torch.tensor_split(values, self.ends[:-1], dim=1)
        named = zip(self.shapes.items(), parts, strict=True)
        return {name: part.reshape((len(values), *shape)).contiguous() for (name, shape), part in named}

    def initial(
        self, params: Mapping[str, FloatArray], count: int, sigma: float, rng: np.random.Generator
    ) -> FloatArray:
        """Return a first population (count, d): the given network, then others of the same make.

        Those permute the entries of each tensor, which keeps every spread that the model's own initialisation chose,
        and add noise of ``sigma`` units, which also moves what began at zero.
        """
        start = self.row(params)
        rows = np.tile(start, (count, 1))
        for first, last in zip([0, *self.ends[:-1]], self.ends, strict=True):
            rows[1:, first:last] = rng.permuted(rows[1:, first:last], axis=1)
        rows[1:] += np.float32(sigma) * rng.standard_normal(rows[1:].shape, dtype=np.float32)
        return rows


class Evaluator:
    """Computes losses of rows of genes over one sample of training windows, the same windows for all.

    Networks are computed together, some tens per pass, or one by one through the fused kernels. The first generation
    tries both ways and keeps the faster, which is part of the state: the last bits of a loss depend on it.

    Args:
        objective: What is minimised.
        genome: How rows become parameters.
        windows: Training windows in a sample; 0: as many as hold ``SAMPLE`` values to forecast.
        way: One of ``WAYS``.
        spent: Share of the time budget that is spent; once it is, not all that are given are judged, or learn.
    """

    def __init__(
        self, objective: Objective, genome: Genome, windows: int, way: str = "auto", spent: Spent = endless
    ) -> None:
        self.objective, self.genome, self._spent = objective, genome, spent
        values = objective.block * objective.tables.target.shape[1]
        self.windows = min(windows or max(SAMPLE // values, FEWEST), objective.n_train)
        self.device = torch.device(objective.device)
        self.batched = WAYS[way]
        self.chunk = self._networks_per_pass()
        self.evaluations, self.seconds = 0, 0.0
        self._scale = torch.from_numpy(genome.scale).to(self.device)

    def draw(self, rng: np.random.Generator, chance: float = 0.0) -> None:
        """Choose the windows of the next losses, and where a network that feeds itself is shown the truth.

        Whoever learns does so on ``lessons``, more windows than those of the sample: a network that learns a small
        sample by heart would win on it and forecast badly.

        Args:
            rng: Source of randomness.
            chance: Of being shown the truth, at every step of a window; only for teachable networks.
        """
        count = self.objective.n_train
        self.sample = np.arange(count) if self.windows == count else rng.choice(count, self.windows, replace=False)
        self.batch = self.objective.batch(torch.from_numpy(self.sample).to(self.device))
        self.teacher = self.objective.draw_teacher(rng.random, self.windows, chance)
        self.lessons = np.sort(rng.choice(count, min(count, LESSONS * self.windows), replace=False))
        self.lesson_teacher = self.objective.draw_teacher(rng.random, len(self.lessons), chance)

    def losses(self, rows: FloatArray) -> Losses:
        """Return the losses, or the fitness, of rows (n, d) over the sample; ``inf`` where they are no number.

        Of whoever is left when the time budget is spent, too: they come last, and training ends here.
        """
        began = time.perf_counter()
        values = torch.from_numpy(np.ascontiguousarray(rows)).to(self.device) * self._scale
        with torch.inference_mode():
            if self.batched is None:
                self._choose(values)
                began = time.perf_counter()
            out, done = np.full(len(rows), np.inf), 0
            for part in torch.split(values, self.chunk if self.batched else 1):
                if done and self.is_over:
                    break
                out[done : done + len(part)] = self._pass(part)
                done += len(part)
        self.evaluations += done
        self.seconds += time.perf_counter() - began
        return np.where(np.isfinite(out), out, np.inf)

    @property
    def is_over(self) -> bool:
        """Whether the time budget is spent."""
        return self._spent() >= 1

    def _choose(self, values: torch.Tensor) -> None:
        """Compute some networks (n, d) together and one by one; keep the way that takes less time for each."""
        seconds = {}
        for self.batched in (True, False):
            part = values[: self.chunk if self.batched else 1]
            clock = [time.perf_counter()]
            for _ in range(TRIES):
                self._pass(part)
                clock.append(time.perf_counter())
                if self.is_over:
                    break
            seconds[self.batched] = float(np.diff(clock).min()) / len(part)
        self.batched = seconds[True] < MARGIN * seconds[False]

    @property
    def _ops(self) -> TorchOps:
        return TorchOps(self.device, fused=not self.batched)

    def lesson(self, values: torch.Tensor, number: int) -> torch.Tensor:
        """Return the losses (n,) of a few parameters (n, d), in their own units, with a gradient.

        They are over a part of the lessons, as many windows as in the sample: another part for another number.
        """
        parts = -(-len(self.lessons) // self.windows)
        part = slice(number % parts, None, parts)
        batch = self.objective.batch(torch.from_numpy(self.lessons[part]).to(self.device))
        teacher = None if self.lesson_teacher is None else self.lesson_teacher[part]

        def loss(params: Mapping[str, torch.Tensor]) -> torch.Tensor:
            out: torch.Tensor = self.objective.train_loss(self._ops, params, batch, teacher=teacher)
            return out

        params = self.genome.tensors(values)
        if self.batched:
            losses: torch.Tensor = torch.func.vmap(loss)(params)
            return losses
        return torch.stack([loss({k: v[i] for k, v in params.items()}) for i in range(len(values))])

    def valid_loss(self, row: FloatArray) -> float:
        """Return the validation loss of one row: with NumPy, twice as fast for a network small enough to be batched."""
        params = self.genome.params(row)
        if self.batched and self.device.type == "cpu":
            return self.objective.valid_loss(params)
        return self.objective.valid_loss({k: torch.from_numpy(v).to(self.device) for k, v in params.items()})

    def _networks_per_pass(self) -> int:
        steps = self.objective.lags + self.objective.block
        work = self.windows * steps * np.sqrt(self.genome.size)  # a matrix of weights is about as wide as its root
        return max(1, int((WORK if self.device.type == "cpu" else GPU * WORK) / work))

    def _pass(self, values: torch.Tensor) -> Losses:
        """Return the losses of some parameters (n, d), computed together."""
        params = self.genome.tensors(values)
        function = self._difference if self.objective.fitness else self._loss
        if self.batched:
            out = torch.func.vmap(function)(params)
        else:
            out = function({name: value[0] for name, value in params.items()})[None]
        if self.objective.fitness is None:
            return out.cpu().numpy()
        forecasts = (out + self.batch["future_target"]).cpu().numpy()
        with np.errstate(all="ignore"):  # what a diverged network says becomes inf
            return self.objective.fitness(forecasts, self.objective.train[self.sample])

    def _difference(self, params: Mapping[str, torch.Tensor]) -> torch.Tensor:
        out: torch.Tensor = self.objective.differences(self._ops, params, self.batch, teacher=self.teacher)
        return out

    def _loss(self, params: Mapping[str, torch.Tensor]) -> torch.Tensor:
        out: torch.Tensor = self.objective.train_loss(self._ops, params, self.batch, teacher=self.teacher)
        return out

    @property
    def details(self) -> dict[str, float]:
        """What there is to know of the evaluations so far."""
        return {
            "evaluations_per_second": self.evaluations / self.seconds,
            "networks_per_pass": float(self.chunk if self.batched else 1),
        }

    def state(self) -> Arrays:
        """Return what has been counted, and which way was chosen."""
        return {"evaluations": np.array([self.evaluations, self.seconds, bool(self.batched)])}

    def restore(self, state: Arrays) -> None:
        """Continue as :meth:`state` says."""
        count, self.seconds, batched = map(float, state["evaluations"])
        self.evaluations, self.batched = int(count), bool(batched)
