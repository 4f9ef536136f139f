"""Fitting a forecaster to a task. The only owner of patience, stopping, time budget and checkpoints."""

from __future__ import annotations

import dataclasses
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from tsforecast import checkpoint as checkpoints
from tsforecast.checkpoint import Checkpoint
from tsforecast.config import seconds
from tsforecast.errors import TrainingError
from tsforecast.forecaster import Forecaster
from tsforecast.models.base import FloatArray
from tsforecast.preparation import Task
from tsforecast.trainers.base import Progress

CHECKPOINT_SECONDS = 10.0
DIVERGED = 1e6  # scaled units: a loss this many standard deviations large will not come back
MANY_PARAMETERS = 200_000  # from about here on a second thread makes a training step faster

OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class Outcome:
    """How training ended: ``finished``, ``patience``, ``time budget`` or ``interrupted``."""

    forecaster: Forecaster
    ended: str


def fit(
    task: Task, *, on_progress: OnProgress | None = None, checkpoint: Path | None = None, resume: bool = False
) -> Outcome:
    """Train until done, until patience or the time budget ends, or until interrupted; keep the best parameters.

    Args:
        task: From :func:`prepare`.
        on_progress: Called after every step.
        checkpoint: Where the state of the run lies while it has not ended; None: nowhere.
        resume: Continue from the checkpoint.

    Raises:
        TrainingError: The loss is no longer finite.
        UsageError: ``resume`` without a checkpoint of the same run.
    """
    run = _Run(task, checkpoint)
    if resume and checkpoint is not None:
        run.restore(checkpoints.load(checkpoint, task.signature))
    ended = run.loop(on_progress or (lambda _: None))
    if checkpoint is not None and ended != "interrupted":
        checkpoint.unlink(missing_ok=True)
    return Outcome(replace(task.forecaster, params=run.best, history=tuple(run.history)), ended)


class _Run:
    """One run of a trainer: its best parameters, its history and its latest resumable state."""

    def __init__(self, task: Task, path: Path | None) -> None:
        self.task, self.path = task, path
        self.best: dict[str, FloatArray] = {}
        self.history: list[dict[str, float]] = []
        self.waiting = 0
        self.state: Mapping[str, NDArray[Any]] | None = None

    def restore(self, saved: Checkpoint) -> None:
        """Continue where an earlier sitting stopped."""
        self.best, self.history, self.waiting = dict(saved.best), list(saved.history), saved.waiting
        self.state = saved.trainer

    def loop(self, on_progress: OnProgress) -> str:
        """Consume the trainer; return why it ended."""
        options, trainer = self.task.forecaster.options, self.task.trainer
        budget, began, written = seconds(options.time_budget), time.monotonic(), time.monotonic()
        with _threads(self.task):
            stream = trainer.fit(
                self.task.objective,
                dict(self.task.forecaster.params),
                seed=options.seed,
                state=dict(self.state) if self.state is not None else None,
            )
            try:
                if self.state is not None and self.waiting >= options.patience:
                    return "patience"
                progress = next(stream, None)
                while progress is not None:
                    self._take(progress)
                    on_progress(progress)
                    spent = (time.monotonic() - began) / budget if budget else 0.0
                    if self.waiting >= options.patience:
                        return "patience"
                    if spent >= 1 - 0.5 * spent / len(self.history):  # the next step would end more over than under
                        return "time budget"
                    if time.monotonic() - written > CHECKPOINT_SECONDS:
                        self._save()
                        written = time.monotonic()
                    progress = _send(stream, spent)
            except KeyboardInterrupt:
                self._save()
                return "interrupted"
        return "finished"

    def _take(self, progress: Progress) -> None:
        """Note a step: keep its parameters if it is the best, its state always.

        Raises:
            TrainingError: The loss is not finite, or beyond all reason.
        """
        if not progress.train_loss < DIVERGED:
            size = f"{progress.train_loss:.3g} scaled units" if math.isfinite(progress.train_loss) else "not finite"
            raise TrainingError(
                f"training diverged at step {progress.step}: the loss is {size}",
                hint=_remedy(self.task.forecaster.trainer_options),
            )
        if progress.is_best or not self.best:
            self.best = self.task.trainer.params
        self.waiting = 0 if progress.is_best else self.waiting + 1
        self.history.append(dataclasses.asdict(progress))
        self.state = self.task.trainer.state()

    def _save(self) -> None:
        if self.path is not None and self.state is not None:
            saved = Checkpoint(self.task.signature, self.state, self.best, self.history, self.waiting)
            checkpoints.save(self.path, saved)


def _send(stream: Any, spent: float) -> Progress | None:
    """Ask for the next step, telling the trainer how much of the time budget is spent."""
    try:
        progress: Progress = stream.send(spent)
    except StopIteration:
        return None
    return progress


@contextmanager
def _threads(task: Task) -> Iterator[None]:
    """Use as many threads as the network is worth: the cost of handing out work outweighs small products."""
    options = task.forecaster.options
    if "torch" not in sys.modules and options.trainer in ("none", "least_squares"):
        yield
        return
    import torch

    before = torch.get_num_threads()
    size = sum(v.size for v in task.forecaster.params.values())
    torch.set_num_threads(options.threads or (before if size > MANY_PARAMETERS else 1))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _remedy(trainer_options: Mapping[str, Any]) -> str:
    if "learning_rate" in trainer_options:
        rate = trainer_options["learning_rate"]
        return f"use a smaller step, --set trainer.learning_rate={rate / 10:g} (now {rate:g}), or --set trainer.clip=1"
    return "check the data for extreme values, or use another --scaler"
