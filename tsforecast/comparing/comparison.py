"""Train several models, choose on validation rows, rank on test rows beside the baselines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from tsforecast.artifact import Artifact
from tsforecast.comparing.entries import Entry
from tsforecast.comparing.lineup import FAILURES, Lineup
from tsforecast.comparing.ranking import Ranking, Row, rank
from tsforecast.config import Settings
from tsforecast.data.table import Table
from tsforecast.errors import Interrupted, TrainingError, TSForecastError
from tsforecast.metrics.base import Floats
from tsforecast.training.fitting import OnProgress, Outcome, fit, refit
from tsforecast.training.task import Task

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
    """Trains a lineup, scores everyone on its folds, and ranks them with the baselines.

    The test rows train nobody and choose nobody: the model that is chosen has the best score on the validation folds.

    Args:
        table: What was read.
        settings: What all have in common.

    Attributes:
        lineup: Who takes part, by which metrics, and the folds.

    Raises:
        UsageError: Options that are wrong, or that fit no entry.
        DataError: Data that cannot be used, or no rows to rank on.
    """

    def __init__(self, table: Table, settings: Settings) -> None:
        self.lineup = Lineup(table, settings)
        self._test, self._valid, self._metric = self.lineup.test, self.lineup.valid, self.lineup.metrics[0]

    def run(self, watch: Watch | None = None) -> Ranking:
        """Train and score everyone, then rank. An interrupt ranks who is finished.

        Raises:
            TrainingError: Nobody could be trained.
            Interrupted: Before anybody was.
        """
        watch = watch or Nobody()
        problems: dict[str, tuple[str, str]] = {n: (e.message, e.hint) for n, e in self.lineup.problems.items()}
        tried: list[Tried] = []
        interrupted = False
        for entry in self.lineup.entries:
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
        for seed in range(entry.options.seed, entry.options.seed + self.lineup.chosen.seeds):
            task = self.lineup.task(entry, seed)
            outcome = fit(task, on_progress=watch.started(entry.name, seed, task))
            if outcome.ended == "interrupted":
                raise KeyboardInterrupt
            runs.append(self._score(outcome))
        best = min(runs, key=lambda run: self._order(run.valid))
        losses = np.mean([self._test.losses(run.values, self._metric) for run in runs], axis=0)
        return Tried(entry, best, self._row(entry.name, runs), losses)

    def _score(self, outcome: Outcome) -> Run:
        values = self._test.forecasts(outcome.forecaster)
        if not np.isfinite(values).all():
            raise TrainingError("its forecasts are not finite", hint="use another --scaler, or a smaller learning rate")
        if not len(self._valid):
            return Run(outcome, values, self._test.score(values, self._metric))
        return Run(outcome, values, self._valid.score(self._valid.forecasts(outcome.forecaster), self._metric))

    def _row(self, name: str, runs: list[Run]) -> Row:
        histories = [run.outcome.forecaster.history for run in runs]
        ends = dict.fromkeys(run.outcome.ended for run in runs)
        return replace(
            self._scored(name, [run.values for run in runs]),
            valid=float(np.mean([run.valid for run in runs])) if len(self._valid) else math.nan,
            parameters=int(sum(v.size for v in runs[0].outcome.forecaster.params.values())),
            seconds=float(sum(history[-1]["seconds"] for history in histories)),
            steps=sum(map(len, histories)),
            ended=", ".join(ends),
        )

    def _scored(self, name: str, made: list[Floats]) -> Row:
        """Return a row with the scores of forecasts (K, H, T), of one or several trainings."""
        ground = self._test
        by_target = {m.name: [ground.by_target(values, m) for values in made] for m in self.lineup.metrics}
        first = [ground.score(values, self._metric) for values in made]
        return Row(
            model=name,
            scores={m.name: float(np.mean([ground.score(values, m) for values in made])) for m in self.lineup.metrics},
            by_target={n: {t: float(np.mean([s[t] for s in each])) for t in each[0]} for n, each in by_target.items()},
            spread=float(np.std(first, ddof=1)) if len(first) > 1 else math.nan,
        )

    # --------------------------------------------------------------------------------------------------- ranking

    def leader(self, rows: Sequence[Row]) -> Row:
        """Return the row of the choice: best on the validation folds, or on those of test if there are none."""
        return min(rows, key=lambda r: self._order(r.valid if len(self._valid) else r.scores[self._metric.name]))

    def _order(self, score: float) -> float:
        if math.isnan(score):
            return math.inf
        return score if self._metric.smaller_is_better else -score

    def _ranked(self, tried: list[Tried], problems: Mapping[str, tuple[str, str]], ended: str) -> Ranking:
        metric = self._metric
        leader = self.leader([t.row for t in tried])
        kept = next(t for t in tried if t.row is leader)
        rows = [replace(t.row, chosen=t is kept) for t in tried]
        losses = [t.losses for t in tried]
        for name in self._test.baselines:
            values = self._test.baseline(name)
            rows.append(replace(self._scored(name, [values]), ended="baseline"))
            losses.append(self._test.losses(values, metric))
        order = sorted(range(len(rows)), key=lambda i: self._order(rows[i].scores[metric.name]))
        standings = self._test.standings([losses[i] for i in order], 0)
        chosen = next(place for place, i in enumerate(order) if rows[i].chosen)
        baseline = next(place for place, i in enumerate(order) if rows[i].is_baseline)
        beside = standings if not chosen else self._test.standings([losses[i] for i in order], chosen)
        ranked = rank([rows[i] for i in order], standings, metric.name, loss=metric.smaller_is_better is True)
        artifact, notes, refitted = self._artifact(kept)
        return Ranking(
            rows=(*ranked, *(_failure(e.name, *problems[e.name]) for e in self.lineup.entries if e.name in problems)),
            metrics=tuple(m.name for m in self.lineup.metrics),
            targets=tuple(f.target for f in self._test.targets),
            horizon=self._test.horizon,
            folds=len(self._test),
            valid_folds=len(self._valid),
            seeds=self.lineup.chosen.seeds,
            ended=ended if refitted else "interrupted",
            p_value=beside[baseline].p_value,
            notes=(*self.lineup.notes, *self._overtime(tried), *notes),
            kept=artifact,
        )

    def _overtime(self, tried: list[Tried]) -> list[str]:
        """Say who trained much longer than the budget, as a single step takes longer."""
        allowed = OVERTIME * (self.lineup.budget or math.inf) * self.lineup.chosen.seeds
        names = [t.entry.name for t in tried if t.row.seconds > allowed]
        return [f"over the time budget, as steps are that long: {', '.join(names)}"] if names else []

    def _artifact(self, kept: Tried) -> tuple[Artifact, list[str], bool]:
        """Return the model that is kept, trained once more with ``--refit``; what to say of it; False: interrupted."""
        forecaster, name, notes = kept.best.outcome.forecaster, kept.entry.name, list[str]()
        task, ended = self.lineup.task(kept.entry, forecaster.options.seed), True
        if self.lineup.refit:
            params = refit(task, forecaster.history)
            if params is None:
                notes, ended = [f"{name}: training it again was interrupted; it is kept as it was ranked"], False
            else:
                notes = [f"{name} was trained again, on train and valid together; its scores are from before"]
                params = {**forecaster.params, **params}  # what was measured after training stays
                forecaster = replace(forecaster, params=params, options=replace(forecaster.options, refit=True))
        return Artifact.of(forecaster, task.example()), notes, ended


def _failure(name: str, problem: str, hint: str) -> Row:
    return Row(model=name, problem=problem, hint=hint)


def _nobody(problems: Mapping[str, tuple[str, str]], *, interrupted: bool) -> TSForecastError:
    if interrupted:
        return Interrupted("interrupted before the first model was trained: there is nothing to rank")
    name, (problem, hint) = next(iter(problems.items()))
    return TrainingError(f"no model could be trained; {name}: {problem}", hint=hint or "try other settings")
