"""What cannot be trained: columns, options and series that do not fit together are refused before the first step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tsforecast.data.frame import Frame
from tsforecast.data.table import Table
from tsforecast.domains import check_domain
from tsforecast.errors import DataError, UsageError
from tsforecast.forecasting.forecaster import Forecaster
from tsforecast.options import FitOptions
from tsforecast.registry import MODELS

if TYPE_CHECKING:
    from tsforecast.trainers.base import Trainer
    from tsforecast.trainers.objective import Objective


def check_values(table: Table, frame: Frame, targets: int, options: FitOptions) -> None:
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
    check_domain(options, frame.clock, targets)


def check_fit(forecaster: Forecaster, objective: Objective, trainer: type[Trainer]) -> None:
    """Refuse a trainer that cannot train this model, and lags that this model would not read as they were meant.

    Raises:
        UsageError: They do not fit together.
    """
    _check_series(forecaster, objective, trainer)
    options, shape, needs = forecaster.options, forecaster.shape, trainer.needs
    if len(shape.lag_set) < shape.lags and not MODELS.get(options.model).reads_lag_set:
        hint = f"use -m narx, or --lags {shape.lags} for all of them"
        raise UsageError(f"--lags {options.lags}: model '{options.model}' reads every lag up to the last", hint=hint)
    usual = MODELS.get(options.model).trainer
    hint = f"leave --trainer away: the one for '{options.model}' is '{usual}'"
    _check_layers(options, trainer)
    if needs == "design" and objective.linear is None:
        raise UsageError(f"trainer '{options.trainer}' needs a model that is linear in its parameters", hint=hint)
    if options.refit and not needs:
        what = f"--refit: model '{options.model}' is not trained"
        raise UsageError(what, hint="leave --refit away: baselines are measured on the training rows")
    check_refit(options, trainer)
    if needs == "parameters" and not forecaster.params:
        raise UsageError(f"model '{options.model}' has no parameters for trainer '{options.trainer}'", hint=hint)


def check_refit(options: FitOptions, trainer: type[Trainer]) -> None:
    """Refuse to train the networks of single series again: how long would have to be known of each by itself.

    Raises:
        UsageError: They were to be.
    """
    if options.refit and options.local and trainer.needs == "parameters":
        raise UsageError(
            f"--refit with --local: trainer '{options.trainer}' ends every series at its own best step",
            hint="leave --refit away",
        )


def _check_layers(options: FitOptions, trainer: type[Trainer]) -> None:
    """Refuse an ensemble and learned cycles where nothing would train them."""
    if options.ensemble > 1 and not trainer.trains_ensembles:
        what, hint = f"trainer '{options.trainer}' trains one network at a time", "use --trainer backprop, or "
        what, hint = (what, hint) if trainer.needs else (f"model '{options.model}' is not trained", "")
        raise UsageError(f"--ensemble: {what}", hint=f"{hint}leave --ensemble away")
    if options.cycle != "none" and trainer.needs != "parameters":
        what, hint = f"trainer '{options.trainer}' cannot learn a cycle", "use --trainer backprop, or "
        raise UsageError(f"--cycle {options.cycle}: {what}", hint=f"{hint}leave --cycle away")


def _check_series(forecaster: Forecaster, objective: Objective, trainer: type[Trainer]) -> None:
    """Refuse to tell apart what is one series, and to train a network for a series without a window."""
    options, series = forecaster.options, forecaster.memory.series
    if options.embedding and forecaster.params and not any(name.endswith(".embedding") for name in forecaster.params):
        what = f"--embedding {options.embedding}: there are no series or channels to tell apart"
        raise UsageError(what, hint="leave it away, or name the column of the series with --series-id")
    if options.embedding and trainer.needs == "design":
        what = f"--embedding {options.embedding}: a learned vector is beyond trainer '{options.trainer}'"
        raise UsageError(what, hint="use --trainer backprop, or leave --embedding away")
    if not options.local:
        return
    if len(series) == 1:
        raise UsageError("--local: there is one series", hint="leave it away, or name a column with --series-id")
    if options.embedding:
        what = f"--embedding {options.embedding}: every series has a network of its own already"
        raise UsageError(what, hint="leave --embedding away, or --local")
    if not trainer.trains_local:
        what = f"--local: trainer '{options.trainer}' does not train one network per series"
        raise UsageError(what, hint="use --trainer backprop, least_squares for the model 'linear', or leave it away")
    empty = np.flatnonzero(np.bincount(objective.series, minlength=len(series)) == 0)
    if len(empty):
        more = f" (and {len(empty) - 1} more)" if len(empty) > 1 else ""
        raise DataError(
            f"series '{series[empty[0]]}'{more} has no complete training window for a network of its own",
            hint="use smaller --lags, leave the series out, or train one network for all, without --local",
        )
