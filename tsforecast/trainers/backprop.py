"""Gradient descent by backpropagation, through time for networks that have it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
import torch

from tsforecast.config import option
from tsforecast.errors import UsageError
from tsforecast.ops.torch_ops import TorchOps
from tsforecast.trainers.base import Arrays, Best, FloatArray, Progress, ProgressStream, Trainer, finite
from tsforecast.trainers.objective import Objective
from tsforecast.trainers.schedules import SCHEDULES

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
    "adadelta": torch.optim.Adadelta,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}
LEAST_WINDOWS = 1024  # per step: smaller training sets are passed through several times


@dataclass(frozen=True)
class BackpropConfig:
    """Options of gradient descent."""

    optimizer: str = option("adam", "Update rule.", choices=tuple(OPTIMIZERS), tune=("adamw", "rmsprop"))
    learning_rate: float = option(0.001, "Step size at the schedule's height.", low=0, tune=(0.0003, 0.003, 0.01))
    momentum: float = option(0.9, "Momentum of sgd.", low=0, high=1)
    nesterov: bool = option(False, "Nesterov's momentum for sgd.")
    weight_decay: float = option(0.0, "L2 penalty (decoupled in adamw).", low=0)
    schedule: str = option("cosine", "Course of the learning rate.", choices=tuple(SCHEDULES))
    steps: int = option(40, "Steps (epochs) at most.", low=1)
    epoch_size: int = option(16384, "Windows per step at most; a larger training set is sampled.", low=1)
    batch_size: int = option(
        0, "Windows per update; 0: 16 to 256, by the number of windows.", low=0, tune=(32, 128, 512)
    )
    clip: float = option(1.0, "Largest norm of the gradient; 0: no clipping.", low=0)
    truncate: int = option(0, "Backpropagate through at most this many recurrent steps; 0: all.", low=0)
    curriculum: float = option(
        0.0, "Share of the training over which the horizon that counts grows from one step to all.", low=0, high=1
    )
    teacher_forcing: float = option(
        1.0,
        "Chance that a recursive decoder or a mixed loop is shown the true value, when training begins.",
        low=0,
        high=1,
    )
    teacher_forcing_end: float = option(0.0, "The same when training ends (scheduled sampling).", low=0, high=1)


@final
class Backprop(Trainer):
    """Minibatch gradient descent; one step is an epoch of at most ``epoch_size`` windows.

    Source: D. Rumelhart, G. Hinton & R. Williams, Nature 323 (1986); through time: P. Werbos, Proc. IEEE 78 (1990);
    clipping by norm: R. Pascanu et al., ICML 2013; scheduled sampling: S. Bengio et al., NeurIPS 2015.
    """

    Config: ClassVar[type] = BackpropConfig
    summary: ClassVar[str] = "Gradient descent: sgd, rmsprop, adagrad, adadelta, adam, adamw"
    source: ClassVar[str] = "Rumelhart, Hinton & Williams (1986); Werbos (1990); Kingma & Ba (2015)"

    def __init__(self, config: BackpropConfig) -> None:
        super().__init__(config)
        if config.optimizer == "sgd" and config.nesterov and not config.momentum:
            raise UsageError("trainer.nesterov needs momentum", hint="use --set trainer.momentum=0.9")
        self._best = Best()
        self._step, self._waiting, self._seconds, self._spent = 0, 0, 0.0, 0.0

    def fit(
        self, objective: Objective, params: dict[str, FloatArray], *, seed: int, state: Arrays | None = None
    ) -> ProgressStream:
        began = time.monotonic()
        self._begin(objective, params, seed)
        earlier = self._restore(state) if state else 0.0
        while self._step < self.config.steps:
            share = max(self._step / self.config.steps, self._spent)
            loss = self._epoch(objective, share)
            self._step += 1
            valid = finite(objective.valid_loss(self._tensors))
            improved = self._best.improved_by(valid)
            self._waiting = 0 if improved else self._waiting + 1
            self._seconds = earlier + time.monotonic() - began
            self._spent = (yield Progress(self._step, loss, valid, improved, self._seconds)) or 0.0

    def _begin(self, objective: Objective, params: dict[str, FloatArray], seed: int) -> None:
        device = objective.device
        self._tensors = {k: torch.tensor(v, device=device, requires_grad=True) for k, v in params.items()}
        self._optimizer = self._make_optimizer()
        self._shuffle = torch.Generator().manual_seed(seed)
        self._noise = torch.Generator(device).manual_seed(seed + 1)
        self._ops = TorchOps(device, training=True, generator=self._noise, truncate=self.config.truncate)
        self._batch_size = self.config.batch_size or int(
            np.clip(2 ** round(math.log2(objective.n_train / 64 + 1)), 16, 256)
        )

    def _make_optimizer(self) -> torch.optim.Optimizer:
        config = self.config
        extra: dict[str, Any] = {"weight_decay": config.weight_decay}
        if config.optimizer == "sgd":
            extra |= {"momentum": config.momentum, "nesterov": config.nesterov}
        tensors = list(self._tensors.values())
        return OPTIMIZERS[config.optimizer](tensors, lr=config.learning_rate, **extra)  # type: ignore[call-arg]

    def _epoch(self, objective: Objective, share: float) -> float:
        """Run one step; return its mean training loss, ``inf`` once it is not finite."""
        rows = self._draw(objective.n_train)
        per_step = 1.0 / self.config.steps
        total = torch.zeros((), device=objective.device)
        for first in range(0, len(rows), self._batch_size):
            chosen = rows[first : first + self._batch_size]
            now = share + per_step * first / len(rows)
            total += self._update(objective, chosen.to(objective.device), now) * len(chosen)
        return finite(float(total) / len(rows))

    def _draw(self, windows: int) -> torch.Tensor:
        """Choose the windows of one step, in random order.

        A set much larger than a step is sampled with replacement; a small one is passed through several times, so that
        a step means a useful number of updates whatever the size of the data.
        """
        size = min(windows, self.config.epoch_size)
        if windows > 4 * size:
            return torch.randint(windows, (size,), generator=self._shuffle)
        passes = max(1, min(LEAST_WINDOWS, self.config.epoch_size) // windows)
        return torch.cat([torch.randperm(windows, generator=self._shuffle)[:size] for _ in range(passes)])

    def _update(self, objective: Objective, rows: torch.Tensor, share: float) -> torch.Tensor:
        config = self.config
        rate = config.learning_rate * SCHEDULES[config.schedule](share, self._waiting)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        batch = objective.batch(rows)
        steps = 0
        if config.curriculum > share:
            steps = max(1, math.ceil(objective.block * share / config.curriculum))
        loss: torch.Tensor = objective.train_loss(
            self._ops, self._tensors, batch, teacher=self._teacher(objective, batch, share), steps=steps
        )
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if config.clip:
            torch.nn.utils.clip_grad_norm_(list(self._tensors.values()), config.clip)
        self._optimizer.step()
        return loss.detach()

    def _teacher(self, objective: Objective, batch: dict[str, Any], share: float) -> torch.Tensor | None:
        """Draw where the true value is fed back; the chance moves to ``teacher_forcing_end`` as training goes on."""
        if not objective.teachable:
            return None
        config = self.config
        chance = config.teacher_forcing + (config.teacher_forcing_end - config.teacher_forcing) * min(share, 1.0)
        shape = (*batch["future_target"].shape[:2], 1)
        drawn: torch.Tensor = torch.rand(shape, generator=self._noise, device=self._noise.device)
        shown: torch.Tensor = (drawn < chance).to(torch.float32)
        return shown

    @property
    def params(self) -> dict[str, FloatArray]:
        return {k: v.detach().cpu().numpy().copy() for k, v in self._tensors.items()}

    def state(self) -> Arrays:
        counters = [self._step, self._waiting, self._best.value, self._seconds, self._spent]
        out: Arrays = {
            "counters": np.array(counters, dtype=np.float64),
            "shuffle": self._shuffle.get_state().numpy(),
            "noise": self._noise.get_state().numpy(),
        }
        out |= {f"param/{k}": v for k, v in self.params.items()}
        for index, slots in self._optimizer.state_dict()["state"].items():
            for name, value in slots.items():
                if value is not None:
                    out[f"optimizer/{index}/{name}"] = torch.as_tensor(value).cpu().numpy().copy()
        return out

    def _restore(self, state: Arrays) -> float:
        """Continue from :meth:`state`; return the seconds already spent."""
        step, waiting, best, seconds, self._spent = map(float, state["counters"])
        self._step, self._waiting, self._best = int(step), int(waiting), Best(best)
        self._shuffle.set_state(torch.from_numpy(state["shuffle"]))
        self._noise.set_state(torch.from_numpy(state["noise"]))
        with torch.no_grad():
            for name, tensor in self._tensors.items():
                tensor.copy_(torch.from_numpy(state[f"param/{name}"]))
        slots: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in state.items():
            if key.startswith("optimizer/"):
                _, index, name = key.split("/")
                slots.setdefault(int(index), {})[name] = torch.tensor(value)
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": slots, "param_groups": groups})
        return seconds
