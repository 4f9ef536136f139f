"""The bench on which all candidates are trained and judged alike: on the same validation windows, in the same units."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsforecast.config import Facts, Settings, effective, make
from tsforecast.data.scale import choose_scaler
from tsforecast.data.table import Table
from tsforecast.data.window import WindowIndex, thinned
from tsforecast.errors import DataError, TrainingError, UsageError
from tsforecast.forecasting.forecaster import Forecaster
from tsforecast.lag_sets import parse_delays
from tsforecast.models.base import Dims
from tsforecast.options import ColumnOptions, FitOptions, ReadOptions
from tsforecast.registry import MODELS, TRAINERS
from tsforecast.trainers.base import finite
from tsforecast.trainers.losses import LOSSES
from tsforecast.trainers.objective import VALID_WINDOWS
from tsforecast.training.defaults import choose_shape
from tsforecast.training.fitting import fit
from tsforecast.training.preparation import lay_out, prepare
from tsforecast.training.task import Task
from tsforecast.tuning.space import COVARIATES, Candidate, Searches, Space, make_space

BASELINES = ("naive", "seasonal_naive")
FEW_SHARE = 0.5  # lags that leave a smaller share of the validation windows are not tried on the bench's own account
LENGTHS = ("steps", "generations")  # the option of a trainer that says how long it trains


@dataclass(frozen=True)
class Trial:
    """A candidate that was tried.

    Attributes:
        number: 1, 2, ... in the order of the search.
        candidate: What was tried.
        loss: Over the validation windows, in standard deviations of the targets; ``inf`` when it failed.
        parameters: Size of the network; ``inf`` likewise.
        seconds: Of training; ``inf`` likewise.
        problem: Why it failed.
        hint: What to do about it.
    """

    number: int
    candidate: Candidate
    loss: float
    parameters: float
    seconds: float
    problem: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Limits:
    """How long a candidate is trained.

    Attributes:
        steps: Training steps at most; 0 for as many as its trainer takes.
        seconds: Training time at most; ``inf`` for no limit.
    """

    steps: int = 0
    seconds: float = math.inf


class Bench:
    """Makes, trains and judges candidates. The rows of the test part are gone before the first one is made.

    Losses can be compared: they are over the windows that even the longest lags have complete, with every covariate;
    forecasts and actual values are brought back to data units, whatever the scaler and transform, and their difference
    is divided by the standard deviation of the target in training, of each series where they are scaled each by itself.

    Args:
        table: What was read.
        columns: Roles of the columns, with all covariates that may be used.
        read_options: How it was read.
        settings: What the user has fixed.
        searches: What the user wants to be searched, and over which values.

    Raises:
        UsageError: Options that do not fit together.
        DataError: Data that cannot be used.
    """

    def __init__(
        self, table: Table, columns: ColumnOptions, read_options: ReadOptions, settings: Settings, searches: Searches
    ) -> None:
        self.table, self.columns, self.read_options, self.settings = table, columns, read_options, settings
        self.options = replace(settings.build(FitOptions), time_budget="")
        self.frame, schema, cut, self.notes = lay_out(table, columns, read_options, self.options)
        targets, past, future = (len(c) for c in (schema.target_columns, schema.past_columns, schema.future_columns))
        shape = choose_shape(self.options, self.frame, cut, (targets, past, future))
        self.shape, self.horizon = shape, shape.horizon
        index = WindowIndex(self.frame, (targets, past, future))

        def windows(lags: int, part: str) -> int:
            return len(index.starts(cut, part, lags, shape.horizon))

        enough = max(1, FEW_SHARE * windows(shape.lags, "valid"))
        facts = Facts(
            season_length=shape.season_length,
            horizon=shape.horizon,
            past=past,
            future=future,
            fits=lambda lags: windows(lags, "valid") >= enough and windows(lags, "train") >= 1,
        )
        self.space: Space = make_space(settings, columns, searches, facts, shape.lags)
        longest = max(self.space.longest_lags, 0 if self._searched("lags") else shape.lags)
        starts = index.starts(cut, "valid", longest, shape.horizon)
        if not len(starts):
            raise DataError(
                f"no complete validation window of {longest} lags and {shape.horizon} steps ahead: nothing to judge by",
                hint="search shorter lags, as in --search lags=24,48, or give more --valid",
            )
        self.possible = max(windows(min(shape.lags, longest), "valid"), len(starts))
        self.judged, self.longest = len(starts), longest
        self.cutoffs: NDArray[np.int64] = thinned(starts, VALID_WINDOWS) + longest - 1
        values, rows = self.frame.values[:, :targets], cut.train_rows & ~self.frame.peeks
        self.unit = choose_scaler(values, self.frame.bounds, rows, targets, "standard", self.options.scale_by)

    def _searched(self, name: str) -> bool:
        return any(setting.name == name for setting in self.space.settings)

    # ------------------------------------------------------------------------------------------------- candidates

    def buildable(self, candidate: Mapping[str, Any]) -> bool:
        """Return whether the model takes the settings of a candidate, which costs next to nothing to find out."""
        columns, lag_set = self.columns_of(candidate), self.shape.lag_set
        if "lags" in candidate:
            lag_set = parse_delays(candidate["lags"])
        dims = Dims(
            lags=lag_set[-1],
            horizon=self.horizon,
            targets=len(columns.target),
            past=len(columns.past),
            future=len(columns.future) + len(columns.calendar),
            static=len(columns.static),
            season_length=self.shape.season_length,
            lag_set=lag_set,
        )
        cls = MODELS.get(self.space.procedures(candidate)[0])
        try:
            cls(make(cls.Config, self._own("model", cls.Config, candidate), "model"), dims)
        except UsageError:
            return False
        return True

    def task(self, candidate: Mapping[str, Any], limits: Limits = Limits()) -> Task:
        """Return the task of a candidate; without limits it is trained as long as ``train`` would.

        Raises:
            UsageError: Settings that do not fit together.
            DataError: Data that cannot be used with them.
        """
        model, trainer = self.space.procedures(candidate)
        top = {name: value for name, value in candidate.items() if "." not in name}
        if math.isfinite(limits.seconds):
            top["time_budget"] = f"{max(limits.seconds, 0.001):g}s"
        trainer_settings = self._own("trainer", TRAINERS.get(trainer).Config, candidate)
        length = next((n for n in LENGTHS if n in _names(TRAINERS.get(trainer).Config)), "")
        if limits.steps and length:
            said = int(trainer_settings.get(length, limits.steps))
            trainer_settings[length] = min(said, limits.steps)
        return prepare(
            self.table,
            self.columns_of(candidate),
            self.read_options,
            replace(self.options, **top),
            self._own("model", MODELS.get(model).Config, candidate),
            trainer_settings,
        )

    def _own(self, section: str, cls: type, candidate: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings of a model or trainer: what is fixed and what is searched, as far as it counts."""
        fixed: Mapping[str, Any] = getattr(self.settings, section)
        start = f"{section}."
        searched = {name.removeprefix(start): v for name, v in candidate.items() if name.startswith(start)}
        return effective(cls, {**fixed, **searched}, section)

    def columns_of(self, candidate: Mapping[str, Any]) -> ColumnOptions:
        """Return the columns without the covariates that a candidate leaves out."""
        kept: dict[str, Any] = {
            role: tuple(c for c in getattr(self.columns, role) if candidate.get(f"{role}.{c}", True))
            for role in COVARIATES
        }
        dropped = {*self.columns.past, *self.columns.future} - {*kept["past"], *kept["future"]}
        circular = tuple(c for c in self.columns.circular if c not in dropped)
        return replace(self.columns, circular=circular, **kept)

    def origins(self, candidate: Mapping[str, Any]) -> Settings:
        """Return the settings of the user with the origins that those of a candidate have."""
        found = {name.partition(".")[0] if name.split(".")[0] in COVARIATES else name for name in candidate}
        limits = {**dict.fromkeys((f"trainer.{n}" for n in LENGTHS), "--trial-steps"), "time_budget": "--trial-budget"}
        origins = {**self.settings.origins, **limits, **dict.fromkeys(found, "found by tune")}
        top = {name: value for name, value in candidate.items() if "." not in name}
        return replace(self.settings, top={**self.settings.top, **top}, origins=origins)

    # --------------------------------------------------------------------------------------------------- judgement

    def run(self, number: int, candidate: Candidate, limits: Limits) -> Trial:
        """Train a candidate and judge it; one that cannot be made or that diverges has failed.

        Raises:
            KeyboardInterrupt: Training was interrupted.
        """
        try:
            task = self.task(candidate, limits)
            options = replace(task.forecaster.options, refit=False)  # the windows that judge must not train
            task = replace(
                task,
                forecaster=replace(task.forecaster, options=options),
                objective=replace(task.objective, valid=self._starts(task.forecaster)),
            )
            began = time.monotonic()
            outcome = fit(task)
            seconds = time.monotonic() - began
            if outcome.ended == "interrupted":
                raise KeyboardInterrupt
            loss = self.judge(replace(task, forecaster=outcome.forecaster))
        except (UsageError, DataError, TrainingError) as error:
            return Trial(number, candidate, math.inf, math.inf, math.inf, error.message, error.hint)
        if not math.isfinite(loss):
            return Trial(number, candidate, math.inf, math.inf, math.inf, "its forecasts are not finite")
        parameters = sum(array.size for array in outcome.forecaster.params.values())
        return Trial(number, candidate, loss, float(parameters), seconds)

    def baseline(self, model: str) -> float:
        """Return the loss of a model without parameters on the same windows."""
        options = replace(self.options, model=model, trainer="", lags=str(self.longest))
        return self.judge(prepare(self.table, self.columns, self.read_options, options))

    def judge(self, task: Task) -> float:
        """Return the loss of a task's forecaster over the common windows, in standard deviations of the targets."""
        forecaster = task.forecaster
        observed = np.stack([self.frame.observed(t) for t in range(forecaster.targets)], axis=-1)

        def loss(scaled: NDArray[np.float32], starts: NDArray[np.int64]) -> NDArray[np.float64]:
            rows = starts[:, None] + forecaster.shape.lags + np.arange(self.horizon)
            series = self.frame.series_of(starts)
            error = forecaster.to_units(scaled, self.frame.time[rows], forecaster.scaler.of(series)) - observed[rows]
            return np.asarray(LOSSES[self.options.loss](error / self.unit.of(series).spread).mean())

        objective = replace(task.objective, fitness=loss)
        return finite(objective.loss_over(forecaster.params, self._starts(forecaster), self.horizon))

    def _starts(self, forecaster: Forecaster) -> NDArray[np.int64]:
        """Return the first rows of the common windows, with as many lags as the forecaster has."""
        return self.cutoffs - forecaster.shape.lags + 1


def _names(cls: type) -> set[str]:
    return {field.name for field in dataclasses.fields(cls)}
