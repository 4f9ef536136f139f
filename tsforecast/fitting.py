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
from tsforecast import shrinkage
from tsforecast.ahead import Ahead
from tsforecast.checkpoint import Checkpoint
from tsforecast.data.window import positions, thinned
from tsforecast.durations import seconds
from tsforecast.errors import TrainingError
from tsforecast.forecaster import Forecaster
from tsforecast.intervals import Margins, measure
from tsforecast.models.base import FloatArray
from tsforecast.preparation import Task
from tsforecast.shrinkage import Shrinkage
from tsforecast.start import initial, is_solved
from tsforecast.trainers.base import Progress
from tsforecast.trainers.objective import VALID_WINDOWS

CHECKPOINT_SECONDS = 10.0
DIVERGED = 1e4  # times the loss of repeating the last value, or times 1: a loss this large will not come back
MANY_PARAMETERS = 200_000  # from about here on a second thread makes a training step faster

OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class Outcome:
    """A fitted forecaster and how its training ended.

    Attributes:
        forecaster: With the best parameters.
        ended: ``finished``, ``patience``, ``time budget`` or ``interrupted``.
        shrinkage: How far its forecasts are drawn towards a baseline; None where that was not asked.
        notes: What the user may want to know of it.
    """

    forecaster: Forecaster
    ended: str
    shrinkage: Shrinkage | None = None
    notes: tuple[str, ...] = ()


def fit(
    task: Task, *, on_progress: OnProgress | None = None, checkpoint: Path | None = None, resume: bool = False
) -> Outcome:
    """Train until done, until patience or the time budget ends, or until interrupted; keep the best parameters.

    With ``--refit`` those of a second training on train and valid together take their place. The forecast is drawn
    towards a baseline as far as the validation windows advise, by what the first training learned.

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
    if task.trainer.uses_torch:
        _load_optimizers()
    run = _Run(task, checkpoint)
    if resume and checkpoint is not None:
        run.reached = checkpoints.load(checkpoint, task.signature)
    ended = run.loop(on_progress or (lambda _: None))
    history = run.history
    fitted = replace(task.forecaster, params=run.reached.best, history=history)
    if not history:
        return Outcome(fitted, ended)
    run.save()  # what follows can take a while, too: an interrupt must not cost the training
    with _threads(task):
        found = shrinkage.measure(task, run.reached.best)
    fitted = found.applied(fitted) if found else fitted
    fitted = replace(fitted, margins=measure_margins(task, fitted))
    if fitted.options.refit and ended != "interrupted":
        again = refit(task, history)
        if again is None:
            ended = "interrupted"
        fitted = replace(fitted, params={**fitted.params, **(again or {})})
    kept = any(record["step"] == 0 for record in history)
    notes = ["no step was better than the start, a ridge regression: it is kept"] if kept else []
    notes += [found.note] if found and found.note else []
    return Outcome(fitted, ended, found, tuple(notes))


def measure_margins(task: Task, forecaster: Forecaster) -> Margins | None:
    """Return what conformal intervals add to a forecast, measured on the validation windows; None without them.

    With ``--refit`` these are the margins of the first training, as the second one has seen the rows.
    """
    frame, starts = task.frame, thinned(task.objective.valid, VALID_WINDOWS)
    if forecaster.options.intervals != "conformal":
        return None
    cutoffs, horizon = starts + forecaster.shape.lags - 1, forecaster.shape.horizon
    made = forecaster.outputs(frame, cutoffs, horizon)
    left = forecaster.residuals(frame, Ahead(frame, cutoffs, horizon).rows, made)
    place, series = positions(frame)[cutoffs], frame.series_of(cutoffs)
    levels = forecaster.options.quantiles
    return measure(left, forecaster.distances(made), place, series, len(frame.series), levels)


def refit(task: Task, history: Sequence[Mapping[str, float]]) -> Mapping[str, FloatArray] | None:
    """Train from the same start on train and valid together, for as many steps as were best; None when interrupted.

    Where no step was better than the start, the start is solved again, with the penalty that the validation windows
    chose when they were not trained on. The trainer is told that its budget ends with those steps, so that a falling
    learning rate has fallen by then.

    Raises:
        TrainingError: Training diverged.
    """
    best = min(history, key=lambda record: record["valid_loss"])["step"]
    if best == 0:
        return initial(task.forecaster, task.whole, task.objective)
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
        # scaled targets have a spread of one: where validation rows are nearly flat, naive's loss says nothing of train
        self.limit = math.inf if fitness else DIVERGED * max(task.naive_loss(), 1.0)
        self.start = math.inf  # validation loss of parameters that are worth something before training

    @property
    def history(self) -> tuple[Mapping[str, float], ...]:
        """The steps; before them the start, if none of them was better."""
        history = self.reached.history
        if not history or not math.isfinite(self.start) or self.start > min(step["valid_loss"] for step in history):
            return tuple(history)
        objective = self.task.objective
        train_loss = objective.loss_over(self.reached.best, objective.train, objective.block)
        start = Progress(0, train_loss, self.start, is_best=True, seconds=0.0)
        return start.record(), *({**record, "is_best": False} for record in history)

    def loop(self, on_progress: OnProgress) -> str:
        """Consume the trainer; return why it ended."""
        options, trainer = self.task.forecaster.options, self.task.trainer
        budget, written = seconds(options.time_budget), time.monotonic()
        history = self.reached.history
        earlier, sitting = history[-1]["seconds"] if history else 0.0, len(history)
        began = written - earlier
        with _threads(self.task):
            if is_solved(self.task.forecaster, self.task.objective):
                self.start = self.task.objective.valid_loss(self.task.native(self.task.forecaster.params))
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
        best = before.best or (self.task.forecaster.params if math.isfinite(self.start) else {})
        # one assignment: an interrupt finds the step before or this one, never half of each
        self.reached = Checkpoint(
            signature=before.signature,
            trainer=trainer.state(),
            best=trainer.params if (progress.is_best and progress.valid_loss < self.start) or not best else best,
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


def _load_optimizers() -> None:
    """Load what torch loads with its first optimizer, seconds of a cold start, before the clock of a budget runs."""
    import torch

    torch.optim.Adam([torch.zeros(1, requires_grad=True)])


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
