"""From a table and options to a task: every choice made and every problem found before the first training step."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tsforecast.config import make
from tsforecast.data.build import Schema, build
from tsforecast.data.clock import parse_time
from tsforecast.data.frame import Frame
from tsforecast.data.scale import Scaler
from tsforecast.data.split import Split, split
from tsforecast.data.table import Table
from tsforecast.data.window import Tables, WindowIndex
from tsforecast.defaults import choose_shape
from tsforecast.errors import DataError, UsageError
from tsforecast.forecaster import Forecaster, transformed
from tsforecast.memory import remember
from tsforecast.models.base import FloatArray, Inputs
from tsforecast.models.naive import Naive
from tsforecast.models.normalize import Normalized, roll_out
from tsforecast.ops.base import Array, Ops
from tsforecast.options import ColumnOptions, FitOptions, ReadOptions
from tsforecast.registry import MODELS, TRAINERS
from tsforecast.trainers.base import Trainer
from tsforecast.trainers.objective import Objective

FEW_WINDOWS = 30


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
    targets = len(schema.target_columns)
    _check_known(table, frame, targets)
    frame = _known_part(frame, targets)
    cut = split(frame, options.valid, options.test, lambda text: parse_time(text, frame.clock))
    shape = choose_shape(options, frame, int((cut.valid - cut.start).max()))
    model_options, trainer_name, trainer_options = _procedures(options, model_settings, trainer_settings)
    options = replace(options, horizon=shape.horizon, season_length=shape.season_length, trainer=trainer_name)
    train = cut.train_rows
    forecaster = Forecaster(
        options=options,
        model_options=model_options,
        trainer_options=trainer_options,
        shape=shape,
        schema=schema,
        freq=frame.freq,
        clock=frame.clock,
        scaler=Scaler.fit(transformed(frame, options.transform, targets)[train], options.scaler),
        static_scaler=Scaler.fit(frame.static, options.scaler),
        params={},
        memory=remember(frame, cut, options, shape, targets),
    )
    objective = _objective(forecaster, frame, cut, notes)
    forecaster = replace(forecaster, params=_initial(forecaster, objective))
    trainer_class = TRAINERS.get(trainer_name)
    trainer = trainer_class(make(trainer_class.Config, trainer_options, "trainer"))
    return Task(forecaster, objective, trainer, notes, _signature(forecaster, objective.tables))


def _check_known(table: Table, frame: Frame, targets: int) -> None:
    """Refuse columns without a single value: no window could ever be complete."""
    empty = [name for c, name in enumerate(frame.columns) if not np.isfinite(frame.values[:, c]).any()]
    if empty:
        what = "it cannot be forecast" if empty[0] in frame.columns[:targets] else "leave it out"
        raise DataError(f"{table.name}: column '{empty[0]}' holds no value", hint=f"{what}; or is --null too wide?")


def _known_part(frame: Frame, targets: int) -> Frame:
    """Drop rows after the last known target of each series: they only carry future covariates."""
    known = np.asarray(np.isfinite(frame.values[:, :targets]).any(axis=1))
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


def _objective(forecaster: Forecaster, frame: Frame, cut: Split, notes: list[str]) -> Objective:
    """Return the loss over the complete windows of train and valid; note how many gaps and holes cost."""
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
    if lost:
        notes.append(f"{lost} of {lost + len(train) + len(valid)} windows are lost to gaps and holes")
    if len(train) < FEW_WINDOWS:
        notes.append(f"only {len(train)} training windows: expect little of this forecaster")
    if not len(valid):
        notes.append("no complete validation window, so the best step is chosen on train: give more data or --valid")
    return Objective(
        tables=forecaster.tables(frame),
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


def _initial(forecaster: Forecaster, objective: Objective) -> dict[str, FloatArray]:
    """Return the parameters to start from; those of the drift model are measured instead of drawn."""
    if forecaster.options.model == "drift":
        starts = objective.train + objective.lags - 1
        change = objective.tables.target[starts + 1] - objective.tables.target[starts]
        return {"slope": change.mean(axis=0, dtype=np.float64).astype(np.float32)}
    return forecaster.network.init(np.random.default_rng(forecaster.options.seed))


def _signature(forecaster: Forecaster, made: Tables) -> str:
    """Return a fingerprint of data and options: a run can only be resumed under the same one."""
    ignored = {"time_budget", "patience"}
    options = {k: v for k, v in dataclasses.asdict(forecaster.options).items() if k not in ignored}
    document = [options, forecaster.model_options, forecaster.trainer_options, dataclasses.asdict(forecaster.shape)]
    digest = hashlib.sha256(json.dumps(document, sort_keys=True, default=str).encode())
    digest.update(made.target.tobytes())
    digest.update(made.covariates.tobytes())
    return digest.hexdigest()
