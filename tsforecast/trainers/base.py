"""What a trainer is given, what it yields, and what it must be able to say."""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tsforecast.trainers.objective import Objective

FloatArray = NDArray[np.float32]
Arrays = dict[str, NDArray[Any]]
ProgressStream = Generator["Progress", float, None]


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


@dataclass(frozen=True)
class NoOptions:
    """A trainer without options."""


class Trainer(ABC):
    """One optimisation procedure. Final subclasses set the class attributes and write :meth:`fit`.

    Attributes:
        Config: Frozen dataclass of the trainer's options.
        summary: One line for ``tsforecast trainers``.
        source: Papers.
        uses_torch: Whether it computes with torch (else with NumPy, and torch is not imported).
        needs: What a network must have: ``parameters``, or a ``design`` in which it is linear, or nothing.
        trains_ensembles: Whether it can train several networks side by side, each by its own loss.
        point_only: Whether it minimises the loss of a point forecast only, and cannot train quantile levels.
        trains_local: Whether it can train one network per series, likewise.
        patience: Steps without a better validation loss after which training stops, unless the user says otherwise.
    """

    Config: ClassVar[type] = NoOptions
    summary: ClassVar[str] = ""
    source: ClassVar[str] = ""
    uses_torch: ClassVar[bool] = True
    needs: ClassVar[str] = "parameters"
    trains_ensembles: ClassVar[bool] = False
    point_only: ClassVar[bool] = False
    trains_local: ClassVar[bool] = False
    patience: ClassVar[int] = 8

    def __init__(self, config: Any) -> None:
        self.config = config

    @property
    def steps(self) -> int | None:
        """Steps at most; None when there is no such number."""
        return getattr(self.config, "steps", None)

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
        self, objective: Objective, params: dict[str, FloatArray], *, seed: int, state: Arrays | None = None
    ) -> ProgressStream:
        """Improve parameters step by step.

        The consumer may send the share of a time budget that is spent (0 to 1) after each step, so that a schedule can
        end with the budget; a resumed run begins with the share that it knew. Global random state is not touched.

        Args:
            objective: What to minimise.
            params: Where to start.
            seed: Seed of everything random.
            state: What :meth:`state` returned in an earlier sitting, to continue exactly from there.

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


def finite(loss: float) -> float:
    """Return the loss, or ``inf`` when it is not a number, so that nothing ever compares with NaN."""
    return loss if math.isfinite(loss) else math.inf
