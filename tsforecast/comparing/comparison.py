"""Train several models, choose on validation rows, rank on test rows beside the baselines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tsforecast.artifact import Artifact, Fingerprint
from tsforecast.backtest import find_cutoffs
from tsforecast.checks import check_refit
from tsforecast.comparing.entries import Entry, parse_entries
from tsforecast.comparing.ground import Ground, common
from tsforecast.comparing.ranking import Ranking, Row, rank
from tsforecast.config import Settings
from tsforecast.data.frame import Frame
from tsforecast.data.table import Table
from tsforecast.durations import seconds
from tsforecast.errors import DataError, Interrupted, TrainingError, TSForecastError, UsageError
from tsforecast.fitting import OnProgress, Outcome, fit, refit
from tsforecast.forecaster import Forecaster
from tsforecast.metrics.base import Floats, Metric
from tsforecast.options import ColumnOptions, CompareOptions, FitOptions, ReadOptions
from tsforecast.prediction import read_frame
from tsforecast.preparation import Laid, Task, lay_out, prepare
from tsforecast.registry import METRICS
from tsforecast.seen import first_new_rows
from tsforecast.trainers.objective import VALID_WINDOWS

FAILURES = (UsageError, DataError, TrainingError)
OVERTIME = 1.5  # times the budget: more than this is said


class Watch(Protocol):
    """Who follows a comparison."""

    def started(self, name: str, seed: int, task: Task) -> OnProgress:
        """Hear that a training starts; return what to call after every step of it."""

    def finished(self, row: Row) -> None:
        """Hear how an entry did: a row with its scores, or with its problem, not yet ranked."""


class Nobody:
    """Follows nothing."""

    def started(self, name: str, seed: int, task: Task) -> OnProgress:  # noqa: ARG002 - of the protocol
        """Return what does nothing."""
        return lambda _: None

    def finished(self, row: Row) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Run:
    """One training: how it ended, its forecasts (K, H, T) of the test folds, and its score on the validation folds."""

    outcome: Outcome
    values: Floats
    valid: float


@dataclass(frozen=True)
class Tried:
    """All trainings of an entry, its figures, and the (K, 1) losses of the test folds, means over the trainings."""

    entry: Entry
    best: Run
    row: Row
    losses: Floats


class Comparison:
    """Several models on the same rows with the same folds.

    The test rows train nobody and choose nobody: the model that is kept has the best score on the validation folds.
    Folds are those that every entry has complete lags for.

    Args:
        table: What was read.
        settings: What all have in common.

    Raises:
        UsageError: Options that are wrong, or that fit no entry.
        DataError: Data that cannot be used, or no rows to rank on.
    """

    def __init__(self, table: Table, settings: Settings) -> None:
        self.table, self.chosen, fit_options = table, settings.build(CompareOptions), settings.build(FitOptions)
        self.columns, self.read_options = settings.build(ColumnOptions), settings.build(ReadOptions)
        self.refit = fit_options.refit
        self.budget = seconds(fit_options.time_budget)  # refused here, as it is nobody's failure
        self.metrics = [_metric(name, ranks=not place) for place, name in enumerate(self.chosen.metric)]
        if not self.metrics:
            raise UsageError("no metric to rank by", hint="leave --metric away for mae")
        self.entries = parse_entries(settings, self.chosen)
        self.problems: dict[str, TSForecastError] = {}
        self._laid: dict[str, Laid] = {}
        usable = self._usable()
        some = next(iter(usable.values()))
        frame, self.notes = read_frame(some, table, self.read_options)
        self.notes = list(self.notes)
        first = first_new_rows(some, frame)
        if not np.any(first < frame.ends(some.targets)):
            raise DataError("no rows are kept out of training: there is nothing to rank on", hint="give --test 0.2")
        self._make_grounds(usable, frame, first)
        for ground, name in ((self.test, "test"), (self.valid, "validation")):
            if len(ground) and not math.isfinite(ground.score(ground.baseline(ground.baselines[0]), self.metrics[0])):
                what = f"{self.metric} has no value for the {name} rows"
                raise UsageError(what, hint="rank by another metric, for example --metric mae")

    @property
    def metric(self) -> str:
        """Name of the metric that ranks and chooses."""
        return self.metrics[0].name

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

    def _make_grounds(self, usable: dict[str, Forecaster], frame: Frame, first: NDArray[np.int64]) -> None:
        """Find the folds of test and valid that all have; who has none of test is no longer usable.

        Raises:
            DataError: No test fold is left.
        """
        usual = next(entry.options for entry in self.entries if entry.name in usable)
        chosen, whole, cut = self.chosen, *self._lay_out(usual)[::2]
        found = {}
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
        self.test = Ground(longest, frame, first, cutoffs)
        judged = [find_cutoffs(f, whole, cut.valid, f.shape.horizon, 1, 0) for f in able.values()]
        self.valid = Ground(longest, whole, cut.valid, common(judged, whole, most=VALID_WINDOWS))
        most = max(len(rows) for rows in found.values())
        if len(cutoffs) < most and not chosen.n_windows:
            lags = longest.shape.lags
            self.notes.append(f"ranked on {len(cutoffs)} of {most} test folds: those that have all of {lags} lags")
        if self.test.left_out:
            self.notes.append(f"not ranked, as it lacks forecasts: {', '.join(self.test.left_out)}")
        if not len(self.valid):
            self.notes.append("no validation fold that all can forecast: the test folds choose, too")
        if len(self.test.targets) > 1 and self.metrics[0].unit == "target":
            self.notes.append(f"{self.metric} is the mean over the targets, of each as a share of naive's")
        if chosen.seeds == 1:
            self.notes.append("one training each: the test does not know what another seed would change (--seeds 3)")

    # -------------------------------------------------------------------------------------------------- training

    def task(self, entry: Entry, seed: int) -> Task:
        """Return the task of an entry. Rows are laid out once for all.

        Raises:
            UsageError: Settings that do not fit together.
            DataError: Data that cannot be used with them.
        """
        options = replace(entry.options, seed=seed)
        laid = self._lay_out(options)
        return prepare(self.table, self.columns, self.read_options, options, entry.model, entry.trainer, laid=laid)

    def _lay_out(self, options: FitOptions) -> Laid:
        if options.transform not in self._laid:
            self._laid[options.transform] = lay_out(self.table, self.columns, self.read_options, options)
        return self._laid[options.transform]

    def run(self, watch: Watch | None = None) -> Ranking:
        """Train and score everyone, then rank. An interrupt ranks who is finished.

        Raises:
            TrainingError: Nobody could be trained.
            Interrupted: Before anybody was.
        """
        watch = watch or Nobody()
        problems: dict[str, tuple[str, str]] = {n: (e.message, e.hint) for n, e in self.problems.items()}
        tried: list[Tried] = []
        interrupted = False
        for entry in self.entries:
            if interrupted:
                problems.setdefault(entry.name, ("not begun", ""))
            elif entry.name not in problems:
                try:
                    tried.append(self._try(entry, watch))
                except FAILURES as error:
                    problems[entry.name] = error.message, error.hint
                except KeyboardInterrupt:
                    problems[entry.name], interrupted = ("interrupted", ""), True
            if entry.name in problems:
                watch.finished(_failure(entry.name, *problems[entry.name]))
            else:
                watch.finished(tried[-1].row)
        if not tried:
            raise _nobody(problems, interrupted=interrupted)
        return self._ranked(tried, problems, "interrupted" if interrupted else "finished")

    def _try(self, entry: Entry, watch: Watch) -> Tried:
        runs = []
        for seed in range(entry.options.seed, entry.options.seed + self.chosen.seeds):
            task = self.task(entry, seed)
            outcome = fit(task, on_progress=watch.started(entry.name, seed, task))
            if outcome.ended == "interrupted":
                raise KeyboardInterrupt
            runs.append(self._score(outcome))
        best = min(runs, key=lambda run: self._order(run.valid))
        losses = np.mean([self.test.losses(run.values, self.metrics[0]) for run in runs], axis=0)
        return Tried(entry, best, self._row(entry.name, runs), losses)

    def _score(self, outcome: Outcome) -> Run:
        values = self.test.forecasts(outcome.forecaster)
        if not np.isfinite(values).all():
            raise TrainingError("its forecasts are not finite", hint="use another --scaler, or a smaller learning rate")
        if not len(self.valid):
            return Run(outcome, values, self.test.score(values, self.metrics[0]))
        return Run(outcome, values, self.valid.score(self.valid.forecasts(outcome.forecaster), self.metrics[0]))

    def _row(self, name: str, runs: list[Run]) -> Row:
        histories = [run.outcome.forecaster.history for run in runs]
        ends = dict.fromkeys(run.outcome.ended for run in runs)
        return replace(
            self._scored(name, [run.values for run in runs]),
            valid=float(np.mean([run.valid for run in runs])) if len(self.valid) else math.nan,
            parameters=int(sum(v.size for v in runs[0].outcome.forecaster.params.values())),
            seconds=float(sum(history[-1]["seconds"] for history in histories)),
            steps=sum(map(len, histories)),
            ended=", ".join(ends),
        )

    def _scored(self, name: str, made: list[Floats]) -> Row:
        """Return a row with the scores of forecasts (K, H, T), of one or several trainings."""
        ground = self.test
        by_target = {m.name: [ground.by_target(values, m) for values in made] for m in self.metrics}
        first = [ground.score(values, self.metrics[0]) for values in made]
        return Row(
            model=name,
            scores={m.name: float(np.mean([ground.score(values, m) for values in made])) for m in self.metrics},
            by_target={n: {t: float(np.mean([s[t] for s in each])) for t in each[0]} for n, each in by_target.items()},
            spread=float(np.std(first, ddof=1)) if len(first) > 1 else math.nan,
        )

    # --------------------------------------------------------------------------------------------------- ranking

    def leader(self, rows: Sequence[Row]) -> Row:
        """Return the row of the model to keep: best on the validation folds, or on those of test if there are none."""
        return min(rows, key=lambda r: self._order(r.valid if len(self.valid) else r.scores[self.metric]))

    def _order(self, score: float) -> float:
        if math.isnan(score):
            return math.inf
        return score if self.metrics[0].smaller_is_better else -score

    def _ranked(self, tried: list[Tried], problems: Mapping[str, tuple[str, str]], ended: str) -> Ranking:
        first = self.metrics[0]
        leader = self.leader([t.row for t in tried])
        kept = next(t for t in tried if t.row is leader)
        rows = [replace(t.row, chosen=t is kept) for t in tried]
        losses = [t.losses for t in tried]
        for name in self.test.baselines:
            values = self.test.baseline(name)
            rows.append(replace(self._scored(name, [values]), ended="baseline"))
            losses.append(self.test.losses(values, first))
        order = sorted(range(len(rows)), key=lambda i: self._order(rows[i].scores[self.metric]))
        standings = self.test.standings([losses[i] for i in order], 0)
        ranked = rank([rows[i] for i in order], standings, self.metric, loss=first.smaller_is_better is True)
        artifact, notes, refitted = self._artifact(kept)
        return Ranking(
            rows=(*ranked, *(_failure(e.name, *problems[e.name]) for e in self.entries if e.name in problems)),
            metrics=tuple(m.name for m in self.metrics),
            targets=tuple(f.target for f in self.test.targets),
            horizon=self.test.horizon,
            folds=len(self.test),
            valid_folds=len(self.valid),
            seeds=self.chosen.seeds,
            ended=ended if refitted else "interrupted",
            notes=(*self.notes, *self._overtime(tried), *notes),
            kept=artifact,
        )

    def _overtime(self, tried: list[Tried]) -> list[str]:
        """Say who trained much longer than the budget, as a single step takes longer."""
        allowed = OVERTIME * (self.budget or math.inf) * self.chosen.seeds
        names = [t.entry.name for t in tried if t.row.seconds > allowed]
        return [f"over the time budget, as steps are that long: {', '.join(names)}"] if names else []

    def _artifact(self, kept: Tried) -> tuple[Artifact, list[str], bool]:
        """Return the model that is kept, trained once more with ``--refit``; what to say of it; False: interrupted."""
        forecaster, name, notes = kept.best.outcome.forecaster, kept.entry.name, list[str]()
        task, ended = self.task(kept.entry, forecaster.options.seed), True
        if self.refit:
            params = refit(task, forecaster.history)
            if params is None:
                notes, ended = [f"{name}: training it again was interrupted; it is kept as it was ranked"], False
            else:
                notes = [f"{name} was trained again, on train and valid together; its scores are from before"]
                params = {**forecaster.params, **params}  # what was measured after training stays
                forecaster = replace(forecaster, params=params, options=replace(forecaster.options, refit=True))
        return Artifact(forecaster, Fingerprint.of(forecaster, task.example()), {}), notes, ended


def _metric(name: str, *, ranks: bool) -> Metric:
    """Return a metric of points, the first one such that it can rank.

    Raises:
        UsageError: Unknown, or it is not such a one.
    """
    metric: Metric = METRICS.get(name)()
    if metric.needs or (ranks and metric.smaller_is_better is None):
        able = [n for n in METRICS if METRICS.get(n).smaller_is_better is not None and not METRICS.get(n).needs]
        why = "is for quantiles, and points are compared" if metric.needs else "is best in the middle and cannot rank"
        raise UsageError(f"--metric {name}: {name} {why}", hint=f"choose from {', '.join(able)}")
    return metric


def _failure(name: str, problem: str, hint: str) -> Row:
    return Row(model=name, problem=problem, hint=hint)


def _nobody(problems: Mapping[str, tuple[str, str]], *, interrupted: bool) -> TSForecastError:
    if interrupted:
        return Interrupted("interrupted before the first model was trained: there is nothing to rank")
    name, (problem, hint) = next(iter(problems.items()))
    return TrainingError(f"no model could be trained; {name}: {problem}", hint=hint or "try other settings")
