"""What a trainer is given, what it yields, and what it must be able to say."""

from __future__ import annotations

import dataclasses
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tsforecast.config import NoOptions
from tsforecast.trainers.objective import Objective

FloatArray = NDArray[np.float32]
Arrays = dict[str, NDArray[Any]]
Spent = Callable[[], float]
ProgressStream = Iterator["Progress"]


def endless() -> float:
    """Return the share that is spent of a budget without an end."""
    return 0.0


@dataclass(frozen=True)
class Progress:
    """What a trainer says after every step.

    Attributes:
        step: 1, 2, ...: an epoch, a generation, an iteration.
        train_loss: Mean loss over the training windows of this step; ``inf`` when it was not finite.
        valid_loss: Mean loss over the validation windows, with the parameters after this step; ``inf`` likewise.
        is_best: Whether ``valid_loss`` is lower than at every earlier step.
        seconds: Since training began, over all sittings of a resumed run.
        details: What else the trainer knows of this step, by name: a damping, evaluations per second, ...
    """

    step: int
    train_loss: float
    valid_loss: float
    is_best: bool
    seconds: float
    details: Mapping[str, float] = field(default_factory=dict)

    def record(self) -> dict[str, float]:
        """Return the flat record that the training history keeps."""
        record = dataclasses.asdict(self)
        details: dict[str, float] = record.pop("details")
        return record | details


class Trainer(ABC):
    """One optimisation procedure. Final subclasses set the class attributes and write :meth:`fit`.

    Attributes:
        Config: Frozen dataclass of the trainer's options.
        summary: One line for ``tsforecast trainers``.
        source: Papers.
        uses_torch: Whether it computes with torch (else with NumPy, and torch is not imported).
        needs: What a network must have: ``parameters``, or a ``design`` in which it is linear, or nothing.
        trains_ensembles: Whether it can train several networks side by side, each by its own loss.
        trains_local: Whether it can train one network per series, likewise.
        cuts_steps: Whether it ends a step early once the time budget is spent; else none begins that would mostly lie
            beyond it.
        patience: Steps without a better validation loss after which training stops, unless the user says otherwise.
        point_only: Why it cannot train quantile levels, as it is set; empty where it can.
    """

    Config: ClassVar[type] = NoOptions
    summary: ClassVar[str] = ""
    source: ClassVar[str] = ""
    uses_torch: ClassVar[bool] = True
    needs: ClassVar[str] = "parameters"
    trains_ensembles: ClassVar[bool] = False
    trains_local: ClassVar[bool] = False
    cuts_steps: ClassVar[bool] = False
    patience: ClassVar[int] = 8
    point_only: str = ""

    def __init__(self, config: Any) -> None:
        self.config = config

    @property
    def steps(self) -> int | None:
        """Steps at most; None when there is no such number."""
        return getattr(self.config, "steps", None)

    @property
    def remedy(self) -> str:
        """What to do where training diverges."""
        return "check the data for extreme values, or use another --scaler"

    @property
    def population(self) -> int:
        """Parameter sets that are computed at once: more of them are worth more threads."""
        return 1

    def check(self, params: dict[str, FloatArray]) -> None:  # noqa: B027 - most trainers take any network
        """Refuse what this trainer cannot train.

        Args:
            params: Initial parameters.

        Raises:
            UsageError: There are too many of them, for example.
        """

    @property
    @abstractmethod
    def params(self) -> dict[str, FloatArray]:
        """The current parameters as NumPy arrays of their own; valid between two steps of :meth:`fit`."""

    @abstractmethod
    def fit(
        self,
        objective: Objective,
        params: dict[str, FloatArray],
        *,
        seed: int,
        state: Arrays | None = None,
        spent: Spent = endless,
    ) -> ProgressStream:
        """Improve parameters step by step. Global random state is not touched.

        Args:
            objective: What to minimise.
            params: Where to start.
            seed: Seed of everything random.
            state: What :meth:`state` returned in an earlier sitting, to continue exactly from there.
            spent: Tells at any time the share of a time budget that is spent, over all sittings: 0 to 1, and more once
                it is exceeded. A schedule can end with the budget, and so can a long step.

        Yields:
            One :class:`Progress` per step.
        """

    @abstractmethod
    def state(self) -> Arrays:
        """Return everything that :meth:`fit` needs to continue, as named arrays; valid between two steps."""


class Best:
    """The one definition of best: strictly lower than everything before, and finite."""

    def __init__(self, value: float = math.inf) -> None:
        self.value = value

    def improved_by(self, loss: float) -> bool:
        """Take note of a loss; return whether it is the best so far."""
        if not loss < self.value:
            return False
        self.value = loss
        return True


class Course:
    """How far training has come: what every trainer notes of its steps, over all sittings of a resumed run.

    Attributes:
        step: Steps done.
        best: Their best validation loss.
        seconds: When the last of them was done, since training began.
        spent: Tells the share of the time budget that is spent.

    Args:
        state: What :meth:`state` returned in an earlier sitting, among other arrays; None for the first sitting.
        spent: As in :meth:`Trainer.fit`.
    """

    def __init__(self, state: Arrays | None = None, spent: Spent = endless) -> None:
        step, best, self.seconds = map(float, state["course"]) if state else (0.0, math.inf, 0.0)
        self.step, self.best, self.spent = int(step), Best(best), spent
        self._began = time.monotonic() - self.seconds

    def share(self, steps: int) -> float:
        """Return the share of the training that is done, 0 to 1: of its steps, or of its time budget."""
        return max(self.step / steps, self.spent())

    @property
    def is_over(self) -> bool:
        """Whether the time budget is spent: a step under way should end."""
        return self.spent() >= 1

    def tell(self, train_loss: float, valid_loss: float, details: Mapping[str, float] | None = None) -> Progress:
        """Take note of one more step and return what there is to say of it; what is not finite becomes ``inf``."""
        self.step += 1
        self.seconds = time.monotonic() - self._began
        train_loss, valid_loss = finite(train_loss), finite(valid_loss)
        improved = self.best.improved_by(valid_loss)
        return Progress(self.step, train_loss, valid_loss, improved, self.seconds, details or {})

    def state(self) -> Arrays:
        """Return what the next sitting needs to know."""
        return {"course": np.array([self.step, self.best.value, self.seconds], dtype=np.float64)}


def finite(loss: float) -> float:
    """Return the loss, or ``inf`` when it is not a number, so that nothing ever compares with NaN."""
    return loss if math.isfinite(loss) else math.inf
