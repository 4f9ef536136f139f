"""Who takes part in a comparison, by which metrics, and the folds that all of them have."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tsforecast.comparing.entries import Entry, parse_entries
from tsforecast.comparing.ground import Ground, common
from tsforecast.config import Settings
from tsforecast.data.frame import Frame
from tsforecast.data.table import Table
from tsforecast.durations import seconds
from tsforecast.errors import DataError, TrainingError, TSForecastError, UsageError
from tsforecast.evaluating.backtest import find_cutoffs
from tsforecast.evaluating.seen import first_new_rows
from tsforecast.forecasting.forecaster import Forecaster
from tsforecast.forecasting.prediction import read_frame
from tsforecast.metrics.base import Metric
from tsforecast.options import ColumnOptions, CompareOptions, FitOptions, ReadOptions
from tsforecast.registry import METRICS
from tsforecast.trainers.objective import VALID_WINDOWS
from tsforecast.training.checks import check_refit
from tsforecast.training.preparation import Laid, lay_out, prepare
from tsforecast.training.task import Task

FAILURES = (UsageError, DataError, TrainingError)


class Lineup:
    """Several models on the same rows, and the folds that every one of them has complete lags for.

    Args:
        table: What was read.
        settings: What all have in common.

    Attributes:
        chosen: What to compare, on which folds, by which score.
        metrics: The first one ranks and chooses.
        budget: Seconds of training of each; 0 for no limit.
        refit: Whether the chosen one is trained again in the end.
        entries: All that the user named.
        problems: Of the entries that cannot take part.
        test: The folds to rank on, of rows that train nobody and choose nobody.
        valid: The folds to choose on; it may have none.
        notes: What a reader must know.

    Raises:
        UsageError: Options that are wrong, or that fit no entry.
        DataError: Data that cannot be used, or no rows to rank on.
    """

    def __init__(self, table: Table, settings: Settings) -> None:
        self._table, self.chosen, common_options = table, settings.build(CompareOptions), settings.build(FitOptions)
        self._columns, self._read_options = settings.build(ColumnOptions), settings.build(ReadOptions)
        self.refit = common_options.refit
        self.budget = seconds(common_options.time_budget)  # refused here, as it is nobody's failure
        self.metrics = parse_metrics(self.chosen)
        self.entries = parse_entries(settings, self.chosen)
        self.problems: dict[str, TSForecastError] = {}
        self._laid: dict[str, Laid] = {}
        usable = self._usable()
        some = next(iter(usable.values()))
        frame, notes = read_frame(some, table, self._read_options)
        first = first_new_rows(some, frame)
        if not np.any(first < frame.ends(some.targets)):
            raise DataError("no rows are kept out of training: there is nothing to rank on", hint="give --test 0.2")
        self.test, self.valid, most = self._grounds(usable, frame, first)
        self._check_scores()
        self.notes = [*notes, *self._remarks(most)]

    @property
    def metric(self) -> str:
        """Name of the metric that ranks and chooses."""
        return self.metrics[0].name

    def task(self, entry: Entry, seed: int) -> Task:
        """Return the task of an entry. Rows are laid out once for all.

        Raises:
            UsageError: Settings that do not fit together.
            DataError: Data that cannot be used with them.
        """
        options = replace(entry.options, seed=seed)
        laid = self._lay_out(options)
        return prepare(self._table, self._columns, self._read_options, options, entry.model, entry.trainer, laid=laid)

    def _lay_out(self, options: FitOptions) -> Laid:
        if options.transform not in self._laid:
            self._laid[options.transform] = lay_out(self._table, self._columns, self._read_options, options)
        return self._laid[options.transform]

    def _usable(self) -> dict[str, Forecaster]:
        """Return the untrained forecaster of every entry that can be made; of the others note the problem.

        Raises:
            TSForecastError: None can: the problem of the first.
        """
        usable = {}
        for entry in self.entries:
            try:
                task = self.task(entry, entry.options.seed)
                check_refit(replace(task.forecaster.options, refit=self.refit), type(task.trainer))
                usable[entry.name] = task.forecaster
            except FAILURES as error:
                self.problems[entry.name] = error
        if not usable:
            raise next(iter(self.problems.values()))
        return usable

    def _grounds(
        self, usable: Mapping[str, Forecaster], frame: Frame, first: NDArray[np.int64]
    ) -> tuple[Ground, Ground, int]:
        """Return the folds of test and valid that all have, and the most test folds of one; note who has none of test.

        Raises:
            DataError: No test fold is left.
        """
        chosen, found = self.chosen, dict[str, NDArray[np.int64]]()
        for name, f in usable.items():
            found[name] = find_cutoffs(f, frame, first, f.shape.horizon, chosen.stride, 0)
            if not len(found[name]):
                what = f"no test fold of {f.shape.horizon} steps has its {f.shape.lags} lags"
                self.problems[name] = DataError(what, hint="use shorter lags, or give more rows with --test")
        able = {name: f for name, f in usable.items() if name not in self.problems}
        if not able:
            raise next(iter(self.problems.values()))
        longest = max(able.values(), key=lambda f: f.shape.lags)
        cutoffs = common([found[name] for name in able], frame, n_windows=chosen.n_windows)
        if not len(cutoffs):
            hint = "give more rows with --test, or one --lags for all"
            raise DataError("no test fold that all can forecast", hint=hint)
        laid = self._lay_out(next(entry.options for entry in self.entries if entry.name in usable))
        judged = [find_cutoffs(f, laid.frame, laid.cut.valid, f.shape.horizon, 1, 0) for f in able.values()]
        valid = Ground(longest, laid.frame, laid.cut.valid, common(judged, laid.frame, most=VALID_WINDOWS))
        return Ground(longest, frame, first, cutoffs), valid, max(len(rows) for rows in found.values())

    def _check_scores(self) -> None:
        """Refuse a metric that says nothing of these rows.

        Raises:
            UsageError: It has no value for a baseline.
        """
        for ground, name in ((self.test, "test"), (self.valid, "validation")):
            if len(ground) and not math.isfinite(ground.score(ground.baseline(ground.baselines[0]), self.metrics[0])):
                what = f"{self.metric} has no value for the {name} rows"
                raise UsageError(what, hint="rank by another metric, for example --metric mae")

    def _remarks(self, most: int) -> list[str]:
        """Return what a reader must know of the folds, of which somebody has ``most``."""
        chosen, test, notes = self.chosen, self.test, list[str]()
        if len(test) < most and not chosen.n_windows:
            notes.append(f"ranked on {len(test)} of {most} test folds: those that have all of {test.lags} lags")
        if test.left_out:
            notes.append(f"not ranked, as it lacks forecasts: {', '.join(test.left_out)}")
        if not len(self.valid) and (len(self.entries) - len(self.problems) > 1 or chosen.seeds > 1):
            notes.append("no validation fold that all can forecast: the test folds choose, too")
        scaled = [m.name for m in self.metrics if any(f.comparable(m.unit) is not f for f in test.targets)]
        if scaled:
            notes.append(f"series differ in size: {', '.join(scaled)} in each series' own unit, that of MASE")
        if len(test.targets) > 1 and self.metrics[0].unit == "target":
            notes.append(f"{self.metric} is the mean over the targets, of each as a share of naive's")
        if chosen.seeds == 1:
            notes.append("one training each: the test does not know what another seed would change (--seeds 3)")
        return notes


def parse_metrics(chosen: CompareOptions) -> list[Metric]:
    """Return the metrics, all of points; the first one can rank, and measure skill if some is asked for.

    Raises:
        UsageError: There is none, one is unknown, or it is not such a one.
    """
    if not chosen.metric:
        raise UsageError("no metric to rank by", hint="leave --metric away for mae")
    metrics: list[Metric] = [METRICS.get(name)() for name in chosen.metric]
    first, rankers = metrics[0], [True, False]
    for metric in metrics:
        if metric.needs:
            what = f"--metric {metric.name}: {metric.name} is for quantiles, and points are compared"
            raise UsageError(what, hint=_choice(rankers))
    if first.smaller_is_better is None:
        what = f"--metric {first.name}: {first.name} is best in the middle and cannot rank"
        raise UsageError(what, hint=_choice(rankers))
    if chosen.min_skill is not None and not first.smaller_is_better:
        what = f"--min-skill: skill cannot be measured with {first.name}, where larger is better"
        raise UsageError(what, hint=f"leave it away, or {_choice([True])}")
    return metrics


def _choice(directions: Sequence[bool]) -> str:
    """Return a hint: the metrics of points with one of these values of ``smaller_is_better``."""
    able = [name for name in METRICS if METRICS.get(name).smaller_is_better in directions]
    return f"choose from {', '.join(name for name in able if not METRICS.get(name).needs)}"
