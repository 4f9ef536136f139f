"""Fitting a forecaster to a task. The only owner of patience, stopping, time budget and checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tsforecast import checkpoint as checkpoints
from tsforecast.checkpoint import Checkpoint
from tsforecast.durations import seconds
from tsforecast.errors import TrainingError
from tsforecast.forecaster import Forecaster
from tsforecast.models.base import FloatArray
from tsforecast.preparation import Task
from tsforecast.trainers.base import Progress

CHECKPOINT_SECONDS = 10.0
DIVERGED = 1e4  # times the loss of repeating the last value: a loss this large will not come back
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

    With ``--refit`` those of a second training on train and valid together take their place.

    Args:
        task: From :func:`prepare`.
        on_progress: Called after every step.
        checkpoint: Where the state of the run lies while it has not ended; None: nowhere. It is for the caller to
            delete, once the outcome is safe.
        resume: Continue from the checkpoint.

    Raises:
        TrainingError: The loss is no longer finite, or beyond all reason; or the refit has diverged.
        UsageError: ``resume`` without a checkpoint of the same run.
    """
    run = _Run(task, checkpoint)
    if resume and checkpoint is not None:
        run.reached = checkpoints.load(checkpoint, task.signature)
    ended = run.loop(on_progress or (lambda _: None))
    params = run.reached.best
    if task.forecaster.options.refit and ended != "interrupted":
        again = _refit(task, run.reached.history)
        if again is None:
            run.save()
            ended = "interrupted"
        params = again or params
    return Outcome(replace(task.forecaster, params=params, history=tuple(run.reached.history)), ended)


def _refit(task: Task, history: Sequence[Mapping[str, float]]) -> Mapping[str, FloatArray] | None:
    """Train from the same start on train and valid together, for as many steps as were best; None when interrupted.

    The trainer is told that its budget ends with those steps, so that a falling learning rate has fallen by then.

    Raises:
        TrainingError: Training diverged.
    """
    best = min(history, key=lambda record: record["valid_loss"])["step"]
    trainer = type(task.trainer)(task.trainer.config)
    with _threads(task):
        stream = trainer.fit(task.whole, dict(task.forecaster.params), seed=task.forecaster.options.seed)
        try:
            progress = next(stream, None)
            while progress is not None and progress.step < best:
                progress = _send(stream, progress.step / best)
        except KeyboardInterrupt:
            return None
    params = trainer.params
    if not all(np.isfinite(value).all() for value in params.values()):
        raise TrainingError("the refit diverged", hint=_remedy(task.forecaster.trainer_options))
    return params


class _Run:
    """One run of a trainer, and how far it has come."""

    def __init__(self, task: Task, path: Path | None) -> None:
        self.task, self.path = task, path
        self.reached = Checkpoint(task.signature, {}, {}, [], 0)
        fitness = task.objective.fitness is not None  # of any sign and size: only what is not finite has diverged
        self.limit = math.inf if fitness else DIVERGED * (task.naive_loss() or 1.0)

    def loop(self, on_progress: OnProgress) -> str:
        """Consume the trainer; return why it ended."""
        options, trainer = self.task.forecaster.options, self.task.trainer
        budget, written = seconds(options.time_budget), time.monotonic()
        history = self.reached.history
        earlier, sitting = history[-1]["seconds"] if history else 0.0, len(history)
        began = written - earlier
        with _threads(self.task):
            stream = trainer.fit(
                self.task.objective,
                dict(self.task.forecaster.params),
                seed=options.seed,
                state=dict(self.reached.trainer) or None,
            )
            try:
                if self.reached.waiting >= options.patience:
                    return "patience"
                progress = next(stream, None)
                while progress is not None:
                    self._take(progress)
                    on_progress(progress)
                    spent = (time.monotonic() - began) / budget if budget else 0.0
                    if self.reached.waiting >= options.patience:
                        return "patience"
                    step = (spent - (earlier / budget if budget else 0.0)) / (len(self.reached.history) - sitting)
                    if spent + 0.5 * step >= 1:  # the next step would end more over the budget than under it
                        return "time budget"
                    if time.monotonic() - written > CHECKPOINT_SECONDS:
                        self.save()
                        written = time.monotonic()
                    progress = _send(stream, spent)
            except KeyboardInterrupt:
                self.save()
                return "interrupted"
        return "finished"

    def _take(self, progress: Progress) -> None:
        """Note a step: keep its parameters if it is the best, its state always.

        Raises:
            TrainingError: The loss is not finite, or beyond all reason.
        """
        if not progress.train_loss < self.limit:
            size = f"{progress.train_loss:.3g} scaled units" if math.isfinite(progress.train_loss) else "not finite"
            raise TrainingError(
                f"training diverged at step {progress.step}: the loss is {size}",
                hint=_remedy(self.task.forecaster.trainer_options),
            )
        before, trainer = self.reached, self.task.trainer
        # one assignment: an interrupt finds the step before or this one, never half of each
        self.reached = Checkpoint(
            signature=before.signature,
            trainer=trainer.state(),
            best=trainer.params if progress.is_best or not before.best else before.best,
            history=[*before.history, progress.record()],
            waiting=0 if progress.is_best else before.waiting + 1,
        )

    def save(self) -> None:
        """Write the checkpoint, if there is a place for it and anything to keep."""
        if self.path is not None and self.reached.history:
            checkpoints.save(self.path, self.reached)


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
    if not task.trainer.uses_torch:
        yield
        return
    import torch

    before = torch.get_num_threads()
    size = sum(v.size for v in task.forecaster.params.values()) * task.trainer.population
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
