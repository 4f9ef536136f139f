"""Fitting a forecaster: from a table to parameters. The only owner of patience, stopping, time budget and checkpoints."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsforecast import checkpoint as checkpoints
from tsforecast.checkpoint import Checkpoint
from tsforecast.config import ColumnOptions, FitOptions, ReadOptions, make, seconds
from tsforecast.data.build import Schema, build
from tsforecast.data.clock import parse_time
from tsforecast.data.frame import Frame
from tsforecast.data.scale import Scaler
from tsforecast.data.split import Split, split
from tsforecast.data.table import Table
from tsforecast.data.window import Tables, WindowIndex, positions
from tsforecast.defaults import Shape, choose_shape
from tsforecast.errors import DataError, TrainingError, UsageError
from tsforecast.forecaster import Forecaster, Memory, scaled_tables, transformed
from tsforecast.models.base import FloatArray, Inputs
from tsforecast.models.naive import Naive
from tsforecast.models.normalize import Normalized, roll_out
from tsforecast.ops.base import Array, Ops
from tsforecast.reference import NightTable
from tsforecast.registry import MODELS, TRAINERS
from tsforecast.trainers.base import Progress, Trainer
from tsforecast.trainers.objective import Objective

CHECKPOINT_SECONDS = 10.0
MANY_PARAMETERS = 200_000  # from about here on a second thread makes a training step faster

OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class Task:
    """Everything that is known before the first training step; making one finds every problem of data and options.

    Attributes:
        forecaster: What will be fitted, with its initial parameters.
        objective: What will be minimised.
        trainer: What minimises it.
        notes: Things decided on the way that the user may want to know.
        signature: Fingerprint of data and options.
    """

    forecaster: Forecaster
    objective: Objective
    trainer: Trainer
    notes: list[str]
    signature: str

    @property
    def steps(self) -> int | None:
        """Training steps at most, if the trainer has such a number."""
        return self.forecaster.trainer_options.get("steps")

    def example(self) -> Inputs:
        """Return the newest window of train or valid, scaled, B = 1: for the fingerprint of the model file."""
        objective, shape = self.objective, self.forecaster.shape
        newest = objective.valid[-1:] if len(objective.valid) else objective.train[-1:]
        last = len(objective.tables.target) - shape.horizon - shape.lags
        steps = np.arange(shape.lags + shape.horizon)
        lags, ahead = steps[: shape.lags], steps[shape.lags :]
        return Inputs(**objective.tables.cut(np.minimum(newest, max(last, 0)), lags, ahead, shape.season_length))

    def naive_loss(self) -> float:
        """Return the validation loss of repeating the last value, for comparison."""
        naive = Naive(None, self.forecaster.dims)

        def repeat(ops: Ops, _: Any, batch: Any, horizon: int) -> Array:
            return roll_out(ops, naive, {}, Inputs(**batch), horizon)

        return replace(self.objective, forecast=repeat).valid_loss({})


@dataclass(frozen=True)
class Outcome:
    """How training ended: ``finished``, ``patience``, ``time budget`` or ``interrupted``."""

    forecaster: Forecaster
    ended: str


# ------------------------------------------------------------------------------------------------------ preparation


def prepare(
    table: Table,
    columns: ColumnOptions,
    read_options: ReadOptions,
    options: FitOptions,
    model_settings: Mapping[str, Any] | None = None,
    trainer_settings: Mapping[str, Any] | None = None,
) -> Task:
    """Turn a table and options into a task, with every check made.

    Args:
        table: What was read.
        columns: Roles of the columns.
        read_options: How it was read.
        options: What to train.
        model_settings: Options of the model that differ from its defaults.
        trainer_settings: Options of the trainer, likewise.

    Raises:
        UsageError: Options that are wrong or do not fit together.
        DataError: Data that cannot be used.
    """
    if not columns.target:
        raise UsageError("no target column", hint=f"name one with --target; the data has {', '.join(table.columns)}")
    frame, schema, notes = build(table, Schema.of(columns, read_options), read_options)
    counts = (len(schema.target_columns), len(schema.past_columns), len(schema.future_columns))
    frame = _known_part(frame, counts[0])
    cut = split(frame, options.valid, options.test, lambda text: parse_time(text, frame.clock))
    shape = choose_shape(options, frame, int((cut.valid - cut.start).max()))
    options = replace(options, horizon=shape.horizon, season_length=shape.season_length)
    train = cut.train_rows
    values = transformed(frame, options.transform, counts[0])
    scaler, static_scaler = Scaler.fit(values[train], options.scaler), Scaler.fit(frame.static, options.scaler)
    made = scaled_tables(frame, options.transform, scaler, static_scaler, counts, shape)
    model_options, trainer_name, trainer_options = _procedures(options, model_settings, trainer_settings)
    options = replace(options, trainer=trainer_name)
    forecaster = Forecaster(
        options=options,
        model_options=model_options,
        trainer_options=trainer_options,
        shape=shape,
        schema=schema,
        freq=frame.freq,
        clock=frame.clock,
        scaler=scaler,
        static_scaler=static_scaler,
        params={},
        memory=remember(frame, cut, options, shape, counts[0]),
    )
    objective, lost = _objective(forecaster, frame, cut, made)
    forecaster = replace(forecaster, params=_initial(forecaster, _mean_step(frame, cut, made.target)))
    if lost:
        notes.append(f"{lost} of {lost + objective.n_train + len(objective.valid)} windows are lost to gaps and holes")
    if not len(objective.valid):
        notes.append(
            "no complete validation window: the best step is chosen on train; more data or a larger --valid helps"
        )
    trainer_class = TRAINERS.get(trainer_name)
    trainer = trainer_class(make(trainer_class.Config, trainer_options, "trainer"))
    return Task(forecaster, objective, trainer, notes, _signature(forecaster, made))


def _known_part(frame: Frame, targets: int) -> Frame:
    """Drop rows after the last known target of each series: they only carry future covariates."""
    known = np.isfinite(frame.values[:, :targets]).any(axis=1)
    keep = np.zeros(len(known), dtype=bool)
    ends = []
    for first, last in zip(frame.bounds[:-1], frame.bounds[1:], strict=True):
        seen = np.flatnonzero(known[first:last])
        end = int(first + seen[-1] + 1) if len(seen) else int(first)
        keep[first:end] = True
        ends.append(end - int(first))
    if keep.all():
        return frame
    return dataclasses.replace(
        frame,
        values=frame.values[keep],
        time=frame.time[keep],
        breaks=frame.breaks[keep],
        rows=frame.rows[keep],
        filled=frame.filled[keep],
        bounds=np.concatenate(([0], np.cumsum(ends))).astype(np.int64),
    )


def _procedures(
    options: FitOptions, model_settings: Mapping[str, Any] | None, trainer_settings: Mapping[str, Any] | None
) -> tuple[dict[str, Any], str, dict[str, Any]]:
    """Return the complete options of the model, the trainer's name and its complete options."""
    model = MODELS.get(options.model)
    model_options = dataclasses.asdict(make(model.Config, model_settings or {}, "model"))
    name = options.trainer or model.trainer
    trainer = TRAINERS.get(name)
    trainer_options = dataclasses.asdict(make(trainer.Config, trainer_settings or {}, "trainer"))
    return model_options, name, trainer_options


def _objective(forecaster: Forecaster, frame: Frame, cut: Split, made: Tables) -> tuple[Objective, int]:
    """Return the objective and how many windows gaps and holes cost."""
    options, shape, network = forecaster.options, forecaster.shape, forecaster.network
    index = WindowIndex(frame, forecaster.columns)
    train = index.starts(cut, "train", shape.lags, network.block)
    valid = index.starts(cut, "valid", shape.lags, shape.horizon)
    if not len(train):
        raise DataError(
            f"no complete window of {shape.lags} lags and {network.block} steps ahead in the training rows",
            hint="use smaller --lags, or --missing interpolate to fill holes",
        )
    lost = index.lost(cut, shape.lags, (network.block, shape.horizon), (len(train), len(valid)))
    objective = Objective(
        tables=made,
        train=train,
        valid=valid,
        lags=shape.lags,
        block=network.block,
        horizon=shape.horizon,
        season_length=shape.season_length,
        loss=options.loss,
        forecast=lambda ops, params, batch, horizon: roll_out(ops, network, dict(params), Inputs(**batch), horizon),
        linear=_linear(network),
        device=_device(options),
    )
    return objective, lost


def _linear(network: Any) -> Callable[[Ops, Mapping[str, Array]], tuple[Array, Array]] | None:
    """Return how to lay out the regression of a model that is linear in its parameters, else None."""
    if not isinstance(network, Normalized) or not hasattr(network.network, "design"):
        return None
    inner = network.network

    def design(ops: Ops, batch: Mapping[str, Array]) -> tuple[Array, Array]:
        inside = network.inside(ops, Inputs(**batch))
        target = inside.future_target
        return inner.design(ops, inside), target.reshape((len(target), -1))

    return design


def _device(options: FitOptions) -> str:
    if options.device == "cpu" or options.trainer in ("none", "least_squares"):
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if options.device == "cuda":
        raise UsageError("--device cuda: no CUDA device is available", hint="use --device auto")
    return "cpu"


def _initial(forecaster: Forecaster, slope: NDArray[np.float64]) -> dict[str, FloatArray]:
    """Return the parameters to start from; the slope of the drift model is measured, (T,) in scaled units."""
    params = forecaster.network.init(np.random.default_rng(forecaster.options.seed))
    if forecaster.options.model == "drift":
        params["slope"] = slope.astype(np.float32)
    return params


def remember(frame: Frame, cut: Split, options: FitOptions, shape: Shape, targets: int) -> Memory:
    """Measure what evaluation and prediction need to know of the rows before the test part."""
    seen = cut.rows(cut.start, cut.test)
    ends = np.maximum(cut.test - 1, 0)
    known = frame.values[seen]
    night = None
    if options.night == "auto":
        night = NightTable.build(frame.time[seen], known[:, 0], options.lat, options.lon)
    return Memory(
        series=frame.series,
        last_seen=np.where(cut.test > cut.start, frame.time[ends], np.iinfo(np.int64).min),
        scale=_seasonal_differences(frame, cut, shape.season_length, targets),
        slope=_mean_step(frame, cut, frame.values[:, :targets]),
        ranges=np.stack([_reduce(np.nanmin, known), _reduce(np.nanmax, known)], axis=1),
        night=night,
        rows=int(seen.sum()),
    )


def _seasonal_differences(frame: Frame, cut: Split, season: int, targets: int) -> NDArray[np.float64]:
    """Return (S, T, 2) mean absolute and mean squared difference one season apart (Hyndman & Koehler 2006)."""
    place = positions(frame)
    scale = np.full((len(frame.series), targets, 2), np.nan)
    for s, (first, last) in enumerate(zip(cut.start, cut.test, strict=True)):
        known = frame.values[first:last, :targets].astype(np.float64)
        spaced = place[first + season : last] - place[first : max(last - season, first)] == season
        change = np.abs(known[season:] - known[: len(spaced)])[spaced]
        scale[s] = np.stack([_reduce(np.nanmean, change), _reduce(np.nanmean, change**2)], axis=1)
    return scale


def _mean_step(frame: Frame, cut: Split, values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return (T,) mean change from one row to the next before the test part; 0 when nothing is known."""
    before = cut.rows(cut.start, cut.test)
    joined = before[1:] & before[:-1] & ~frame.breaks[1:]
    change = np.diff(values.astype(np.float64), axis=0)[joined]
    return np.nan_to_num(_reduce(np.nanmean, change))


def _reduce(how: Callable[..., Any], values: NDArray[Any]) -> NDArray[np.float64]:
    """Reduce (N, C) over the rows; NaN for a column without a known value."""
    columns = [values[np.isfinite(values[:, c]), c] for c in range(values.shape[1])]
    return np.array([how(column) if len(column) else np.nan for column in columns], dtype=np.float64)


def _signature(forecaster: Forecaster, made: Tables) -> str:
    """Return a fingerprint of data and options: a run can only be resumed under the same one."""
    ignored = {"time_budget", "patience"}
    options = {k: v for k, v in dataclasses.asdict(forecaster.options).items() if k not in ignored}
    document = [options, forecaster.model_options, forecaster.trainer_options, dataclasses.asdict(forecaster.shape)]
    digest = hashlib.sha256(json.dumps(document, sort_keys=True, default=str).encode())
    digest.update(made.target.tobytes())
    digest.update(made.covariates.tobytes())
    return digest.hexdigest()


# --------------------------------------------------------------------------------------------------------- training


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
            TrainingError: The loss is not finite.
        """
        if not math.isfinite(progress.train_loss):
            raise TrainingError(
                f"training diverged at step {progress.step}: the loss is not finite",
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
