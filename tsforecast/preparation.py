"""From a table and options to a task: every choice made and every problem found before the first training step."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsforecast.config import make
from tsforecast.data.build import Schema, build
from tsforecast.data.clock import parse_time
from tsforecast.data.frame import Frame
from tsforecast.data.scale import Scaler
from tsforecast.data.split import Split, split
from tsforecast.data.table import Table
from tsforecast.data.window import WindowIndex
from tsforecast.defaults import choose_shape
from tsforecast.errors import DataError, UsageError
from tsforecast.fitness import make_fitness
from tsforecast.forecaster import Forecaster, transformed
from tsforecast.memory import remember
from tsforecast.models.base import FloatArray, Inputs
from tsforecast.models.channels import Independent
from tsforecast.models.naive import Naive
from tsforecast.models.normalize import roll_out
from tsforecast.ops.base import Array, Ops
from tsforecast.options import ColumnOptions, FitOptions, ReadOptions
from tsforecast.registry import MODELS, TRAINERS
from tsforecast.trainers.base import Trainer
from tsforecast.trainers.objective import Fitness, Objective

FEW_WINDOWS = 30


@dataclass(frozen=True)
class Task:
    """Everything that is known before the first training step; making one finds every problem of data and options.

    Attributes:
        forecaster: What will be fitted, with its initial parameters.
        objective: What will be minimised.
        whole: The same over train and valid together, with nothing left to validate on: for ``--refit``.
        trainer: What minimises it.
        notes: Things decided on the way that the user may want to know.
        signature: Fingerprint of data and options.
    """

    forecaster: Forecaster
    objective: Objective
    whole: Objective
    trainer: Trainer
    notes: list[str]
    signature: str

    @property
    def steps(self) -> int | None:
        """Training steps at most, if the trainer has such a number."""
        return self.trainer.steps

    def example(self) -> Inputs:
        """Return the newest window of train or valid, scaled, B = 1, zero where unknown: to be fingerprinted."""
        objective, shape = self.objective, self.forecaster.shape
        newest = (objective.valid if len(objective.valid) else objective.train)[-1:]
        last = len(objective.tables.target) - shape.horizon - shape.lags
        steps = np.arange(shape.lags + shape.horizon)
        lags, ahead = steps[: shape.lags], steps[shape.lags :]
        window = objective.tables.cut(np.minimum(newest, max(last, 0)), lags, ahead)
        return Inputs(**{name: np.nan_to_num(array) for name, array in window.items()})

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
    frame, schema, cut, notes = lay_out(table, columns, read_options, options)
    targets = len(schema.target_columns)
    shape = choose_shape(options, frame, int((cut.valid - cut.start).max()))
    model_options, trainer_name, trainer_options = _procedures(options, model_settings, trainer_settings)
    trainer_class = TRAINERS.get(trainer_name)
    options = replace(
        options,
        horizon=shape.horizon,
        season_length=shape.season_length,
        trainer=trainer_name,
        patience=options.patience or trainer_class.patience,
    )
    train = cut.train_rows & ~frame.peeks
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
    whole = replace(objective, train=_whole(forecaster, frame, cut), valid=objective.valid[:0])
    forecaster = replace(forecaster, params=_initial(forecaster, objective))
    _check_fit(forecaster, objective, trainer_class.needs)
    trainer = trainer_class(make(trainer_class.Config, trainer_options, "trainer"))
    trainer.check(forecaster.params)
    task = Task(forecaster, objective, whole, trainer, notes, _signature(forecaster, objective))
    if objective.fitness is not None and not np.isfinite(task.naive_loss()):
        what = f"trainer.fitness={trainer_options['fitness']} has no value for these rows"
        raise UsageError(what, hint="minimise another metric, for example mae")
    return task


def lay_out(
    table: Table, columns: ColumnOptions, read_options: ReadOptions, options: FitOptions
) -> tuple[Frame, Schema, Split, list[str]]:
    """Return the rows of train and valid (those of test are gone), their columns, where they part, and notes.

    Raises:
        UsageError: Options that do not fit together or the data.
        DataError: Data that cannot be used.
    """
    if not columns.target:
        raise UsageError("no target column", hint=f"name one with --target; the data has {', '.join(table.columns)}")
    frame, schema, notes = build(table, Schema.of(columns, read_options), read_options)
    targets = len(schema.target_columns)
    _check_values(table, frame, targets, options)
    frame = _until(frame, frame.ends(targets))
    frame, cut = _without_test(
        frame, split(frame, options.valid, options.test, lambda text: parse_time(text, frame.clock))
    )
    return frame, schema, cut, notes


def _check_values(table: Table, frame: Frame, targets: int, options: FitOptions) -> None:
    """Refuse columns without a value, logarithms of what has none, and nights where there are none.

    Raises:
        DataError: A column holds nothing, or a target is not positive under ``--transform log``.
        UsageError: The options of the domain do not fit the data.
    """
    for c, name in enumerate(frame.columns):
        if not np.isfinite(frame.values[:, c]).any():
            what = "it cannot be forecast" if c < targets else "leave it out"
            raise DataError(f"{table.name}: column '{name}' holds no value", hint=f"{what}; or is --null too wide?")
    if options.transform == "log":
        bad = np.argwhere(frame.values[:, :targets] <= 0)
        if len(bad):
            row, c = int(bad[0, 0]), int(bad[0, 1])
            where, value = table.where(int(frame.rows[row])), frame.values[row, c]
            more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
            what = f"{where}: column '{frame.columns[c]}': {value:g} has no logarithm{more}"
            raise DataError(what, hint="use --transform none, or another --domain")
    if (options.lat is None) != (options.lon is None):
        raise UsageError("--lat and --lon are only a place together", hint="give both, or neither")
    if options.night == "auto" and not frame.clock.columns:
        raise UsageError("there is no night without a clock", hint="use --night none, or data with a time column")
    if options.night == "auto" and targets > 1:
        raise UsageError("--night auto is for one target", hint="train one model per target, or use --night none")


def _check_fit(forecaster: Forecaster, objective: Objective, needs: str) -> None:
    """Refuse a trainer that cannot train this model, and lags that this model would not read as they were meant.

    Raises:
        UsageError: They do not fit together.
    """
    options, shape = forecaster.options, forecaster.shape
    if len(shape.lag_set) < shape.lags and not MODELS.get(options.model).reads_lag_set:
        hint = f"use -m narx, or --lags {shape.lags} for all of them"
        raise UsageError(f"--lags {options.lags}: model '{options.model}' reads every lag up to the last", hint=hint)
    usual = MODELS.get(options.model).trainer
    hint = f"leave --trainer away: the one for '{options.model}' is '{usual}'"
    if needs == "design" and objective.linear is None:
        raise UsageError(f"trainer '{options.trainer}' needs a model that is linear in its parameters", hint=hint)
    if options.refit and not needs:
        what = f"--refit: model '{options.model}' is not trained"
        raise UsageError(what, hint="leave --refit away: baselines are measured on the training rows")
    if needs == "parameters" and not forecaster.params:
        raise UsageError(f"model '{options.model}' has no parameters for trainer '{options.trainer}'", hint=hint)


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


def _objective(forecaster: Forecaster, frame: Frame, cut: Split, notes: list[str]) -> Objective:
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
        tables=forecaster.tables(frame),
        train=train,
        valid=valid,
        lags=shape.lags,
        block=network.block,
        horizon=shape.horizon,
        loss=options.loss,
        forecast=lambda ops, params, batch, horizon: roll_out(ops, network, dict(params), Inputs(**batch), horizon),
        linear=_linear(network),
        teachable=network.teachable,
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


def _linear(network: Any) -> Callable[[Ops, Mapping[str, Array]], tuple[Array, Array]] | None:
    """Return how to lay out the regression of a model that is linear in its parameters, else None."""
    layers = []
    while hasattr(network, "inside"):
        layers.append(network)
        network = network.network
    if not hasattr(network, "design") or any(isinstance(layer, Independent) and layer.embedding for layer in layers):
        return None

    def design(ops: Ops, batch: Mapping[str, Array]) -> tuple[Array, Array]:
        inputs = Inputs(**batch)
        for layer in layers:
            inputs = layer.inside(ops, inputs)
        target = inputs.future_target
        return network.design(ops, inputs), target.reshape((len(target), -1))

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


def _initial(forecaster: Forecaster, objective: Objective) -> dict[str, FloatArray]:
    """Return the parameters to start from; those of the drift model are measured instead of drawn."""
    if forecaster.options.model == "drift":
        starts = objective.train + objective.lags - 1
        change = objective.tables.target[starts + 1] - objective.tables.target[starts]
        return {"slope": change.mean(axis=0, dtype=np.float64).astype(np.float32)}
    return forecaster.network.init(np.random.default_rng(forecaster.options.seed))


def _signature(forecaster: Forecaster, objective: Objective) -> str:
    """Return a fingerprint of data and options: a run can only be resumed under the same one."""
    ignored = {"time_budget", "patience"}
    options = {k: v for k, v in dataclasses.asdict(forecaster.options).items() if k not in ignored}
    document = [options, forecaster.model_options, forecaster.trainer_options, dataclasses.asdict(forecaster.shape)]
    digest = hashlib.sha256(json.dumps(document, sort_keys=True, default=str).encode())
    made = objective.tables
    for array in (made.target, made.covariates, made.static, objective.train, objective.valid):
        digest.update(array.tobytes())
    return digest.hexdigest()
