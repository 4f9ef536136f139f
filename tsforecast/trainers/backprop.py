"""Gradient descent by backpropagation, through time for networks that have it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, final

import numpy as np
import torch

from tsforecast.config import option
from tsforecast.ops.torch_ops import TorchOps
from tsforecast.trainers.averaging import Average
from tsforecast.trainers.base import Arrays, Course, FloatArray, ProgressStream, Spent, Trainer, endless, finite
from tsforecast.trainers.objective import Objective, chance_of_truth
from tsforecast.trainers.sampling import LEAST_WINDOWS, Sampler
from tsforecast.trainers.schedules import PLATEAU_STEPS, SCHEDULES, Reached
from tsforecast.trainers.separate import Separate, clip_each

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
    "adadelta": torch.optim.Adadelta,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}
RATES = {"sgd": 0.05, "rmsprop": 0.001, "adagrad": 0.01, "adadelta": 1.0, "adam": 0.001, "adamw": 0.001}


@dataclass(frozen=True)
class BackpropConfig:
    """Options of gradient descent."""

    optimizer: str = option("adam", "Update rule.", choices=tuple(OPTIMIZERS), tune=("adamw", "rmsprop"))
    learning_rate: float = option(
        0.0,
        "Step size at the schedule's height; 0: the optimizer's own "
        f"({', '.join(f'{name} {rate:g}' for name, rate in RATES.items())}).",
        low=0,
        tune=(0.0003, 0.003, 0.01),
    )
    momentum: float = option(0.9, "Momentum.", low=0, high=1, when={"optimizer": ("sgd",)})
    beta1: float = option(0.9, "Decay of the mean gradient.", low=0, high=0.9999, when={"optimizer": ("adam", "adamw")})
    beta2: float = option(
        0.999, "Decay of the mean squared gradient.", low=0, high=0.99999, when={"optimizer": ("adam", "adamw")}
    )
    nesterov: bool = option(False, "Nesterov's momentum.", when={"optimizer": ("sgd",)}, unless={"momentum": (0.0,)})
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
    truncate: int = option(
        0,
        "Backpropagate through at most this many steps of a recurrent encoder, its last ones (through all steps of a "
        "decoder, or of a NARX loop); 0: all.",
        low=0,
    )
    curriculum: float = option(
        0.0, "Share of the training over which the horizon that counts grows from one step to all.", low=0, high=1
    )
    teacher_forcing: float = option(
        1.0,
        "Chance that a recursive decoder or a mixed loop is shown the true value, when training begins.",
        low=0,
        high=1,
    )
    teacher_forcing_end: float = option(
        0.0, "The same from the middle of the training on, reached step by step (scheduled sampling).", low=0, high=1
    )

    @property
    def rate(self) -> float:
        """Step size at the schedule's height, also where none was given."""
        return self.learning_rate or RATES[self.optimizer]


@final
class Backprop(Trainer):
    """Minibatch gradient descent; one step is an epoch of at most ``epoch_size`` windows.

    Source: D. Rumelhart, G. Hinton & R. Williams, Nature 323 (1986); through time: P. Werbos, Proc. IEEE 78 (1990);
    clipping by norm: R. Pascanu et al., ICML 2013; scheduled sampling: S. Bengio et al., NeurIPS 2015.
    """

    Config: ClassVar[type] = BackpropConfig
    trains_ensembles: ClassVar[bool] = True
    trains_local: ClassVar[bool] = True
    cuts_steps: ClassVar[bool] = True
    summary: ClassVar[str] = "Gradient descent: sgd, rmsprop, adagrad, adadelta, adam, adamw"
    source: ClassVar[str] = "Rumelhart, Hinton & Williams (1986); Werbos (1990); Kingma & Ba (2015)"

    def fit(
        self,
        objective: Objective,
        params: dict[str, FloatArray],
        *,
        seed: int,
        state: Arrays | None = None,
        spent: Spent = endless,
    ) -> ProgressStream:
        course = self._course = Course(state, spent)
        self._waiting, self._plateaus = map(int, state["plateaus"]) if state else (0, 0)
        self._begin(objective, params, seed)
        if state:
            self._restore(state)
        while course.step < self.config.steps:
            loss = self._epoch(objective, course.share(self.config.steps))
            valid = objective.valid_loss(self._kept) if self._separate is None else self._separate.take(self._kept)
            progress = course.tell(loss, valid)
            self._waiting = 0 if progress.is_best else self._waiting + 1
            if self._waiting == PLATEAU_STEPS:
                self._waiting, self._plateaus = 0, self._plateaus + 1
            yield progress

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
        return OPTIMIZERS[config.optimizer](tensors, lr=config.rate, **extra)  # type: ignore[call-arg]

    def _epoch(self, objective: Objective, share: float) -> float:
        """Run one step, or what of it the time budget allows; return its mean loss, ``inf`` once it is not finite."""
        rows = self._sampler.draw()
        per_step, done = 1.0 / self.config.steps, 0
        total = torch.zeros((), device=objective.device)
        while done < len(rows) and not (done and self._course.is_over):
            chosen = rows[done : done + self._batch_size]
            now = max(share + per_step * done / len(rows), self._course.spent())
            total += self._update(objective, chosen.to(objective.device), now) * len(chosen)
            done += len(chosen)
        return finite(float(total) / done)

    def _update(self, objective: Objective, rows: torch.Tensor, share: float) -> torch.Tensor:
        config = self.config
        rate = config.rate * SCHEDULES[config.schedule](Reached(share, self._course.step + 1, self._plateaus))
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
        """Draw where the true value is fed back: a mixed loop closes over the same share as under other trainers."""
        end = self.config.teacher_forcing_end
        chance = end + (self.config.teacher_forcing - end) * chance_of_truth(share)
        draw = partial(torch.rand, generator=self._noise, device=self._noise.device)
        shown: torch.Tensor | None = objective.draw_teacher(draw, windows, chance)
        return shown

    @property
    def remedy(self) -> str:
        rate = self.config.rate
        smaller = f"use a smaller step, --set trainer.learning_rate={rate / 10:g} (now {rate:g})"
        return smaller if 0 < self.config.clip <= 1 else f"{smaller}, or --set trainer.clip=1"

    @property
    def _kept(self) -> dict[str, torch.Tensor]:
        """What is judged: the average if there is one, else the parameters themselves."""
        return self._tensors if self._average is None else self._average.params

    @property
    def params(self) -> dict[str, FloatArray]:
        return _arrays(self._kept if self._separate is None else self._separate.params)

    def state(self) -> Arrays:
        out: Arrays = self._course.state() | {
            "plateaus": np.array([self._waiting, self._plateaus]),
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

    def _restore(self, state: Arrays) -> None:
        """Continue from :meth:`state`."""
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


def _arrays(tensors: dict[str, torch.Tensor]) -> dict[str, FloatArray]:
    """Return tensors as NumPy arrays of their own."""
    return {k: v.detach().cpu().numpy().copy() for k, v in tensors.items()}


def _by_member(tensors: dict[str, torch.Tensor], members: int) -> list[list[torch.Tensor]]:
    """Return the tensors of each network that trains beside others: the gradient of one says nothing of another's."""
    if members == 1:
        return [list(tensors.values())]
    names = [f"member{k}." for k in range(members)]
    return [[value for key, value in tensors.items() if key.startswith(name)] for name in names]
