"""From a table and options to a task: every choice made and every problem found before the first training step."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsforecast.config import make
from tsforecast.data.build import Schema, build
from tsforecast.data.clock import parse_time
from tsforecast.data.frame import Frame
from tsforecast.data.scale import Scaler, choose_scaler
from tsforecast.data.split import Split, split
from tsforecast.data.table import Table
from tsforecast.data.window import Tables, WindowIndex
from tsforecast.durations import seconds
from tsforecast.errors import DataError, UsageError
from tsforecast.forecasting.forecaster import Forecaster, transformed
from tsforecast.forecasting.memory import remember
from tsforecast.models.base import Inputs, Network, layers
from tsforecast.models.normalize import USUAL, roll_out
from tsforecast.ops.base import Array, Ops
from tsforecast.options import ColumnOptions, FitOptions, ReadOptions
from tsforecast.registry import MODELS, TRAINERS
from tsforecast.trainers.objective import Fitness, Objective
from tsforecast.training.checks import check_fit, check_values
from tsforecast.training.defaults import choose_shape, explain, look
from tsforecast.training.fitness import make_fitness
from tsforecast.training.probe import choose_normalization
from tsforecast.training.quantile_levels import blind, check_windows, resolve
from tsforecast.training.start import initial
from tsforecast.training.task import Task
from tsforecast.versions import version_of

FEW_WINDOWS = 30


class Laid(NamedTuple):
    """The rows of train and valid (those of test are gone), their columns, where they part, and notes."""

    frame: Frame
    schema: Schema
    cut: Split
    notes: list[str]


def prepare(
    table: Table,
    columns: ColumnOptions,
    read_options: ReadOptions,
    options: FitOptions,
    model_settings: Mapping[str, Any] | None = None,
    trainer_settings: Mapping[str, Any] | None = None,
    *,
    laid: Laid | None = None,
) -> Task:
    """Turn a table and options into a task, with every check made.

    Args:
        table: What was read.
        columns: Roles of the columns.
        read_options: How it was read.
        options: What to train.
        model_settings: Options of the model that differ from its defaults.
        trainer_settings: Options of the trainer, likewise.
        laid: What :func:`lay_out` returned for this table, these columns and transform, and this test part, if known.

    Raises:
        UsageError: Options that are wrong or do not fit together.
        DataError: Data that cannot be used.
    """
    seconds(options.time_budget)  # refused before any work
    frame, schema, cut, notes = laid or lay_out(table, columns, read_options, options)
    notes = list(notes)
    forecaster = _unfitted(frame, schema, cut, options, notes, model_settings, trainer_settings)
    tables = forecaster.tables(frame)
    forecaster = _normalized(forecaster, frame, tables, cut, notes)
    options, trainer_options = forecaster.options, forecaster.trainer_options
    trainer_class = TRAINERS.get(options.trainer)
    objective = _objective(forecaster, frame, tables, cut, notes)
    whole = replace(objective, train=_whole(forecaster, frame, cut), valid=objective.valid[:0])
    forecaster = replace(forecaster, params=initial(forecaster, objective))
    check_fit(forecaster, objective, trainer_class)
    check_windows(options, len(objective.valid))
    notes += filter(None, [blind(options, objective.levels, objective.block, objective.horizon)])
    trainer = trainer_class(make(trainer_class.Config, trainer_options, "trainer"))
    trainer.check(forecaster.params)
    task = Task(forecaster, objective, whole, trainer, notes, _signature(forecaster, objective), frame)
    if objective.fitness is not None and not np.isfinite(task.naive_loss()):
        what = f"trainer.fitness={trainer_options['fitness']} has no value for these rows"
        raise UsageError(what, hint="minimise another metric, for example mae")
    return task


def _unfitted(
    frame: Frame,
    schema: Schema,
    cut: Split,
    options: FitOptions,
    notes: list[str],
    model_settings: Mapping[str, Any] | None,
    trainer_settings: Mapping[str, Any] | None,
) -> Forecaster:
    """Return a forecaster without parameters: every option resolved, scalers and memory measured; note the choices."""
    targets = len(schema.target_columns)
    seasons = look(options, frame, cut)
    columns_of = (targets, len(schema.past_columns), len(schema.future_columns))
    shape = choose_shape(options, frame, cut, columns_of, seasons)
    notes += filter(None, [explain(options, shape, seasons)])
    model_options, trainer_name, trainer_options = _procedures(options, model_settings, trainer_settings)
    trainer_class = TRAINERS.get(trainer_name)
    options = replace(
        options,
        horizon=shape.horizon,
        lags=options.lags or str(shape.lags),
        season_length=shape.season_length,
        cycle=",".join(map(str, shape.cycle)) or "none",
        trainer=trainer_name,
        patience=options.patience or trainer_class.patience,
    )
    trainer = trainer_class(make(trainer_class.Config, trainer_options, "trainer"))
    options, levels = resolve(options, trainer.point_only, notes)
    shape = replace(shape, levels=levels)
    values, train = transformed(frame, options.transform, targets), cut.train_rows & ~frame.peeks
    scaler = choose_scaler(values, frame.bounds, train, targets, options.scaler, options.scale_by)
    if scaler.per_series and not options.scale_by:
        notes.append("series differ by orders of magnitude: each is scaled by itself (--scale-by column: all together)")
    options = replace(options, scale_by="series" if scaler.per_series else "column")
    return Forecaster(
        options=options,
        model_options=model_options,
        trainer_options=trainer_options,
        shape=shape,
        schema=schema,
        freq=frame.freq,
        clock=frame.clock,
        scaler=scaler,
        static_scaler=Scaler.fit(frame.static, options.scaler),
        params={},
        memory=remember(frame, cut, options, shape, targets),
    )


def lay_out(table: Table, columns: ColumnOptions, read_options: ReadOptions, options: FitOptions) -> Laid:
    """Return the rows of train and valid (those of test are gone), their columns, where they part, and notes.

    Raises:
        UsageError: Options that do not fit together or the data.
        DataError: Data that cannot be used.
    """
    if not columns.target:
        raise UsageError("no target column", hint=f"name one with --target; the data has {', '.join(table.columns)}")
    frame, schema, notes = build(table, Schema.of(columns, read_options), read_options)
    targets = len(schema.target_columns)
    check_values(table, frame, targets, options)
    frame = _until(frame, frame.ends(targets))
    frame, cut = _without_test(
        frame, split(frame, options.valid, options.test, lambda text: parse_time(text, frame.clock))
    )
    return Laid(frame, schema, cut, notes)


def _until(frame: Frame, ends: NDArray[np.int64]) -> Frame:
    """Return the frame with each series ending before its row in ``ends`` (S,)."""
    if np.array_equal(ends, frame.bounds[1:]):
        return frame
    lengths = ends - frame.bounds[:-1]
    keep = np.zeros(len(frame.time), dtype=bool)
    for first, last in zip(frame.bounds[:-1], ends, strict=True):
        keep[first:last] = True
    by_row = ("values", "time", "breaks", "filled", "peeks", "rows")
    changed: dict[str, Any] = {name: getattr(frame, name)[keep] for name in by_row}
    return dataclasses.replace(frame, **changed, bounds=np.concatenate(([0], np.cumsum(lengths))).astype(np.int64))


def _without_test(frame: Frame, cut: Split) -> tuple[Frame, Split]:
    """Take the test rows away: what comes after this cannot look at them, whatever it does."""
    shorter = _until(frame, cut.test)
    start, end = shorter.bounds[:-1], shorter.bounds[1:]
    return shorter, Split(start, start + (cut.valid - cut.start), end, end)


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


def _normalized(forecaster: Forecaster, frame: Frame, tables: Tables, cut: Split, notes: list[str]) -> Forecaster:
    """Return the forecaster with the window normalisation that the rows advise, if the user left it open."""
    options, shape = forecaster.options, forecaster.shape
    if options.normalize:
        return forecaster
    chosen = USUAL
    if TRAINERS.get(options.trainer).needs:
        index = WindowIndex(frame, forecaster.columns)
        train, valid = (index.starts(cut, part, shape.lags, shape.horizon) for part in ("train", "valid"))
        chosen = choose_normalization(tables, train, valid, shape.lags, shape.horizon, options.loss)
    if chosen != USUAL:
        notes.append(f"chosen from the data: normalize {chosen}, with which a ridge regression is clearly better")
    return replace(forecaster, options=replace(options, normalize=chosen))


def _objective(forecaster: Forecaster, frame: Frame, tables: Tables, cut: Split, notes: list[str]) -> Objective:
    """Return the loss over the complete windows of train and valid; note how many gaps and holes cost."""
    options, shape, network = forecaster.options, forecaster.shape, forecaster.network
    index = WindowIndex(frame, forecaster.columns)
    train = index.starts(cut, "train", shape.lags, network.block)
    valid = index.starts(cut, "valid", shape.lags, shape.horizon)
    if not len(train):
        raise DataError(
            f"no complete window of {shape.lags} lags and {network.block} steps ahead in the training rows",
            hint="use smaller --lags, fewer steps ahead, or --missing interpolate to fill holes",
        )
    lost = index.lost(cut, shape.lags, (network.block, shape.horizon), (len(train), len(valid)))
    if lost:
        notes.append(f"{lost} of {lost + len(train) + len(valid)} windows are lost to gaps and holes")
    if len(train) < FEW_WINDOWS:
        notes.append(f"only {len(train)} training windows: expect little of this forecaster")
    if not len(valid):
        notes.append("no complete validation window, so the best step is chosen on train: give more data or --valid")
    return Objective(
        tables=tables,
        train=train,
        valid=valid,
        lags=shape.lags,
        block=network.block,
        horizon=shape.horizon,
        loss=options.loss,
        levels=shape.levels,
        emphasis=options.emphasis,
        forecast=lambda ops, params, batch, horizon: roll_out(ops, network, dict(params), Inputs(**batch), horizon),
        linear=_linear(network),
        teachable=network.teachable,
        local=options.local,
        members=options.ensemble,
        fitness=_fitness(forecaster, frame),
        device=_device(options),
    )


def _whole(forecaster: Forecaster, frame: Frame, cut: Split) -> NDArray[np.int64]:
    """Return the starts of all complete training windows when the rows of valid train, too."""
    together = replace(cut, valid=cut.test)
    return WindowIndex(frame, forecaster.columns).starts(
        together, "train", forecaster.shape.lags, forecaster.network.block
    )


def _fitness(forecaster: Forecaster, frame: Frame) -> Fitness | None:
    """Return what the trainer minimises instead of the loss, when it was told to."""
    name = forecaster.trainer_options.get("fitness", "loss")
    return None if name == "loss" else make_fitness(name, forecaster, frame)


def _linear(network: Network) -> Callable[[Ops, Mapping[str, Array]], tuple[Array, Array]] | None:
    """Return how to lay out the regression of a model that is linear in its parameters, else None."""
    around, innermost = layers(network)
    features = innermost.design
    if features is None or not all(layer.solvable for layer in around):
        return None

    def design(ops: Ops, batch: Mapping[str, Array]) -> tuple[Array, Array]:
        inputs = Inputs(**batch)
        for layer in around:
            inputs = layer.inside(ops, inputs)
        target = inputs.future_target
        return features(ops, inputs), target.reshape((len(target), -1))

    return design


def _device(options: FitOptions) -> str:
    if options.device == "cpu" or not TRAINERS.get(options.trainer).uses_torch:
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if options.device == "cuda":
        raise UsageError("--device cuda: no CUDA device is available", hint="use --device auto")
    return "cpu"


def _signature(forecaster: Forecaster, objective: Objective) -> str:
    """Return a fingerprint of version, data and options: a run can only be resumed under the same one.

    What a trainer keeps of a run is its own affair: another version may keep something else.
    """
    ignored = {"time_budget", "patience"}
    options = {k: v for k, v in dataclasses.asdict(forecaster.options).items() if k not in ignored}
    own = [forecaster.model_options, forecaster.trainer_options, dataclasses.asdict(forecaster.shape)]
    document = [version_of("tsforecast"), options, *own]
    digest = hashlib.sha256(json.dumps(document, sort_keys=True, default=str).encode())
    made = objective.tables
    for array in (made.target, made.covariates, made.static, objective.train, objective.valid):
        digest.update(array.tobytes())
    return digest.hexdigest()
