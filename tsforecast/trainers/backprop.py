"""Gradient descent by backpropagation, through time for networks that have it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, final

import numpy as np
import torch

from tsforecast.config import option
from tsforecast.errors import UsageError
from tsforecast.ops.torch_ops import TorchOps
from tsforecast.trainers.averaging import Average
from tsforecast.trainers.base import Arrays, Best, FloatArray, Progress, ProgressStream, Trainer, finite
from tsforecast.trainers.objective import Objective
from tsforecast.trainers.sampling import LEAST_WINDOWS, Sampler
from tsforecast.trainers.schedules import SCHEDULES, Reached
from tsforecast.trainers.separate import Separate, clip_each

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
    "adadelta": torch.optim.Adadelta,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}


@dataclass(frozen=True)
class BackpropConfig:
    """Options of gradient descent."""

    optimizer: str = option("adam", "Update rule.", choices=tuple(OPTIMIZERS), tune=("adamw", "rmsprop"))
    learning_rate: float = option(0.001, "Step size at the schedule's height.", low=0, tune=(0.0003, 0.003, 0.01))
    momentum: float = option(0.9, "Momentum of sgd.", low=0, high=1)
    beta1: float = option(0.9, "Decay of the mean gradient in adam and adamw.", low=0, high=0.9999)
    beta2: float = option(0.999, "Decay of the mean squared gradient in adam and adamw.", low=0, high=0.99999)
    nesterov: bool = option(False, "Nesterov's momentum for sgd.")
    weight_decay: float = option(0.0, "L2 penalty (decoupled in adamw).", low=0)
    schedule: str = option("cosine", "Course of the learning rate.", choices=tuple(SCHEDULES))
    steps: int = option(40, "Steps (epochs) at most.", low=1)
    epoch_size: int = option(
        16384,
        "Windows per step at most, with --local of each series; more are sampled. 0: every window once.",
        low=0,
    )
    draw: str = option(
        "windows",
        "What is drawn alike often: every window, so that long series count more, or every series.",
        choices=("windows", "series"),
    )
    batch_size: int = option(
        0,
        "Windows per update, with --local of each series; 0: 16 to 256, by the number of windows.",
        low=0,
        tune=(32, 128, 512),
    )
    average: float = option(
        0.0,
        "Keep an exponential moving average of the parameters with this decay, for example 0.999; 0: the newest ones.",
        low=0,
        high=0.999999,
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
    trains_ensembles: ClassVar[bool] = True
    trains_local: ClassVar[bool] = True
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
            valid = finite(
                objective.valid_loss(self._kept) if self._separate is None else self._separate.take(self._kept)
            )
            improved = self._best.improved_by(valid)
            self._waiting = 0 if improved else self._waiting + 1
            self._seconds = earlier + time.monotonic() - began
            self._spent = (yield Progress(self._step, loss, valid, improved, self._seconds)) or 0.0

    def _begin(self, objective: Objective, params: dict[str, FloatArray], seed: int) -> None:
        device = objective.device
        self._tensors = {k: torch.tensor(v, device=device, requires_grad=True) for k, v in params.items()}
        self._optimizer = self._make_optimizer()
        self._average = Average(self._tensors, self.config.average) if self.config.average else None
        self._members = _by_member(self._tensors, objective.members)
        self._shuffle = torch.Generator().manual_seed(seed)
        self._separate = Separate(objective, self._kept) if objective.local else None
        self._networks = len(objective.tables.known) if objective.local else 1
        fair = self.config.draw == "series" or objective.local
        self._sampler = Sampler(
            objective.series,
            self.config.epoch_size * self._networks,
            fair,
            self._shuffle,
            least=LEAST_WINDOWS * self._networks,
        )
        self._noise = torch.Generator(device).manual_seed(seed + 1)
        self._ops = TorchOps(device, training=True, generator=self._noise, truncate=self.config.truncate)
        each = objective.n_train / self._networks
        usual = int(np.clip(2 ** round(math.log2(each / 64 + 1)), 16, 256))
        self._batch_size = (self.config.batch_size or usual) * self._networks

    def _make_optimizer(self) -> torch.optim.Optimizer:
        config = self.config
        extra: dict[str, Any] = {"weight_decay": config.weight_decay}
        if config.optimizer == "sgd":
            extra |= {"momentum": config.momentum, "nesterov": config.nesterov}
        if config.optimizer in ("adam", "adamw"):
            extra |= {"betas": (config.beta1, config.beta2)}
        tensors = list(self._tensors.values())
        return OPTIMIZERS[config.optimizer](tensors, lr=config.learning_rate, **extra)  # type: ignore[call-arg]

    def _epoch(self, objective: Objective, share: float) -> float:
        """Run one step; return its mean training loss, ``inf`` once it is not finite."""
        rows = self._sampler.draw()
        per_step = 1.0 / self.config.steps
        total = torch.zeros((), device=objective.device)
        for first in range(0, len(rows), self._batch_size):
            chosen = rows[first : first + self._batch_size]
            now = share + per_step * first / len(rows)
            total += self._update(objective, chosen.to(objective.device), now) * len(chosen)
        return finite(float(total) / len(rows))

    def _update(self, objective: Objective, rows: torch.Tensor, share: float) -> torch.Tensor:
        config = self.config
        rate = config.learning_rate * SCHEDULES[config.schedule](Reached(share, self._step + 1, self._waiting))
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        batch = objective.batch(rows)
        steps = 0
        if config.curriculum > share:
            steps = max(1, math.ceil(objective.block * share / config.curriculum))
        loss: torch.Tensor = objective.train_loss(
            self._ops, self._tensors, batch, teacher=self._teacher(objective, len(rows), share), steps=steps
        )
        self._optimizer.zero_grad(set_to_none=True)
        (loss * objective.members * self._networks).backward()  # type: ignore[no-untyped-call]
        for member in self._members if config.clip else ():
            if objective.local:
                clip_each(member, config.clip)
            else:
                torch.nn.utils.clip_grad_norm_(member, config.clip)
        self._optimizer.step()
        if self._average is not None:
            self._average.update()
        return loss.detach()

    def _teacher(self, objective: Objective, windows: int, share: float) -> torch.Tensor | None:
        """Draw where the true value is fed back; the chance moves to ``teacher_forcing_end`` as training goes on."""
        config = self.config
        chance = config.teacher_forcing + (config.teacher_forcing_end - config.teacher_forcing) * min(share, 1.0)
        draw = partial(torch.rand, generator=self._noise, device=self._noise.device)
        shown: torch.Tensor | None = objective.draw_teacher(draw, windows, chance)
        return shown

    @property
    def _kept(self) -> dict[str, torch.Tensor]:
        """What is judged: the average if there is one, else the parameters themselves."""
        return self._tensors if self._average is None else self._average.params

    @property
    def params(self) -> dict[str, FloatArray]:
        return _arrays(self._kept if self._separate is None else self._separate.params)

    def state(self) -> Arrays:
        counters = [self._step, self._waiting, self._best.value, self._seconds, self._spent]
        out: Arrays = {
            "counters": np.array(counters, dtype=np.float64),
            "shuffle": self._shuffle.get_state().numpy(),
            "noise": self._noise.get_state().numpy(),
        }
        out |= {f"param/{k}": v for k, v in _arrays(self._tensors).items()}
        if self._average is not None:
            out["average_updates"] = np.array(self._average.updates)
            out |= {f"average/{k}": v for k, v in _arrays(self._average.params).items()}
        if self._separate is not None:
            out["lowest"] = self._separate.lowest.copy()
            out |= {f"best/{k}": v for k, v in _arrays(self._separate.params).items()}
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
            if self._average is not None:
                self._average.updates = int(state["average_updates"])
                for name, tensor in self._average.params.items():
                    tensor.copy_(torch.from_numpy(state[f"average/{name}"]))
            if self._separate is not None:
                self._separate.lowest = state["lowest"].copy()
                for name, tensor in self._separate.params.items():
                    tensor.copy_(torch.from_numpy(state[f"best/{name}"]))
        slots: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in state.items():
            if key.startswith("optimizer/"):
                _, index, name = key.split("/")
                slots.setdefault(int(index), {})[name] = torch.tensor(value)
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": slots, "param_groups": groups})
        return seconds


def _arrays(tensors: dict[str, torch.Tensor]) -> dict[str, FloatArray]:
    """Return tensors as NumPy arrays of their own."""
    return {k: v.detach().cpu().numpy().copy() for k, v in tensors.items()}


def _by_member(tensors: dict[str, torch.Tensor], members: int) -> list[list[torch.Tensor]]:
    """Return the tensors of each network that trains beside others: the gradient of one says nothing of another's."""
    if members == 1:
        return [list(tensors.values())]
    names = [f"member{k}." for k in range(members)]
    return [[value for key, value in tensors.items() if key.startswith(name)] for name in names]
