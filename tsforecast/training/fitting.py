"""Fitting a forecaster to a task. The only owner of patience, stopping, time budget and checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tsforecast.data.window import positions
from tsforecast.durations import seconds
from tsforecast.errors import TrainingError
from tsforecast.forecasting.ahead import Ahead
from tsforecast.forecasting.forecaster import Forecaster
from tsforecast.forecasting.intervals import Margins, measure
from tsforecast.models.base import FloatArray
from tsforecast.trainers.base import Progress, Spent, endless
from tsforecast.trainers.objective import judged_windows
from tsforecast.training import checkpoint as checkpoints
from tsforecast.training import shrinkage
from tsforecast.training.checkpoint import Checkpoint
from tsforecast.training.quantile_levels import needed_windows
from tsforecast.training.shrinkage import Shrinkage
from tsforecast.training.start import initial, is_solved
from tsforecast.training.task import Task

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
    if forecaster.options.intervals != "conformal":
        return None
    frame, levels, horizon = task.frame, forecaster.options.quantiles, forecaster.shape.horizon
    values = horizon * forecaster.targets * len(levels)
    starts = judged_windows(task.objective.valid, values, least=needed_windows(levels))
    cutoffs = starts + forecaster.shape.lags - 1
    made = forecaster.outputs(frame, cutoffs, horizon)
    left = forecaster.residuals(frame, Ahead(frame, cutoffs, horizon).rows, made)
    place, series = positions(frame)[cutoffs], frame.series_of(cutoffs)
    return measure(left, forecaster.distances(made), place, series, len(frame.series), levels)


def refit(task: Task, history: Sequence[Mapping[str, float]]) -> Mapping[str, FloatArray] | None:
    """Train from the same start on train and valid together, for as many steps as were best; None when interrupted.

    Where no step was better than the start, the start is solved again, with the penalty that the validation windows
    chose when they were not trained on. The trainer is told that its budget ends with those steps, so that a falling
    learning rate has fallen by then. It takes no longer than the time budget, as the first training did not: its last
    step may have been cut short.

    Raises:
        TrainingError: Training diverged.
    """
    best = min(history, key=lambda record: record["valid_loss"])["step"]
    if best == 0:
        return initial(task.forecaster, task.whole, task.objective)
    trainer, clock, done = type(task.trainer)(task.trainer.config), _clock(task), 0
    with _threads(task):
        stream = trainer.fit(
            task.whole,
            dict(task.forecaster.params),
            seed=task.forecaster.options.seed,
            spent=lambda: max(done / best, clock()),
        )
        try:
            for progress in stream:
                done = progress.step
                if done >= best or clock() >= 1:
                    break
        except KeyboardInterrupt:
            return None
    params = trainer.params
    if not all(np.isfinite(value).all() for value in params.values()):
        raise TrainingError("the refit diverged", hint=trainer.remedy)
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
        task, patience, written = self.task, self.task.forecaster.options.patience, time.monotonic()
        earlier = self.reached.history[-1]["seconds"] if self.reached.history else 0.0
        sitting, spent = len(self.reached.history), _clock(task, earlier)
        before = spent()
        with _threads(task):
            try:
                if is_solved(task.forecaster, task.objective):
                    self.start = task.objective.valid_loss(task.native(task.forecaster.params))
                if self.reached.waiting >= patience:
                    return "patience"
                if sitting and spent() >= 1:
                    return "time budget"
                for progress in self._stream(spent):
                    self._take(progress)
                    on_progress(progress)
                    if self.reached.waiting >= patience:
                        return "patience"
                    step = (spent() - before) / (len(self.reached.history) - sitting)
                    over = 0.0 if task.trainer.cuts_steps else 0.5 * step  # what is not cut ends over or under
                    if spent() + over >= 1:
                        return "time budget"
                    if time.monotonic() - written > CHECKPOINT_SECONDS:
                        self.save()
                        written = time.monotonic()
            except KeyboardInterrupt:
                return "interrupted"
        return "finished"

    def _stream(self, spent: Spent) -> Iterator[Progress]:
        """Return the steps of the trainer, from where the run is."""
        forecaster, state = self.task.forecaster, dict(self.reached.trainer) or None
        seed = forecaster.options.seed
        return self.task.trainer.fit(self.task.objective, dict(forecaster.params), seed=seed, state=state, spent=spent)

    def _take(self, progress: Progress) -> None:
        """Note a step: keep its parameters if it is the best, its state always.

        Raises:
            TrainingError: The loss is not finite, or beyond all reason.
        """
        if not progress.train_loss < self.limit:
            size = f"{progress.train_loss:.3g} scaled units" if math.isfinite(progress.train_loss) else "not finite"
            what = f"training diverged at step {progress.step}: the loss is {size}"
            raise TrainingError(what, hint=self.task.trainer.remedy)
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


def _clock(task: Task, earlier: float = 0.0) -> Spent:
    """Return what tells, from now on, the share of the time budget that is spent, some seconds of it earlier."""
    budget, began = seconds(task.forecaster.options.time_budget), time.monotonic() - earlier
    return (lambda: (time.monotonic() - began) / budget) if budget else endless


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
