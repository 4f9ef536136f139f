"""Scoring: a forecaster on rows it has not seen, or any forecast file against what happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from tsforecast.data.frame import Frame
from tsforecast.data.table import Table
from tsforecast.domains import DOMAINS
from tsforecast.errors import UsageError
from tsforecast.evaluating.backtest import Backtest, backtest
from tsforecast.evaluating.calibration import Calibration, calibrate
from tsforecast.evaluating.forecast_files import join_files
from tsforecast.evaluating.forecasts import Forecasts
from tsforecast.evaluating.loop import cost_of_closing, drift_of_run
from tsforecast.evaluating.scores import metrics_for, score_table
from tsforecast.evaluating.seen import is_another_record
from tsforecast.evaluating.simulation import Simulation, verdict_of_run
from tsforecast.evaluating.simulation import simulate as run_freely
from tsforecast.evaluating.verdict import Verdict, judge, measures_skill
from tsforecast.forecasting.forecaster import Forecaster
from tsforecast.forecasting.prediction import caveat_of_quantiles
from tsforecast.options import ReadOptions
from tsforecast.registry import METRICS


@dataclass(frozen=True)
class Evaluation:
    """Scores and verdicts.

    Attributes:
        forecasts: One per target.
        records: Long score table, see ``scores.score_table``.
        verdicts: One per target.
        notes: What a reader of the scores must know.
        warnings: What should be changed before the forecaster is used.
    """

    forecasts: tuple[Forecasts, ...]
    records: list[dict[str, Any]]
    verdicts: list[Verdict]
    notes: list[str]
    warnings: list[str] = field(default_factory=list)

    @cached_property
    def calibrations(self) -> list[Calibration]:
        """Whether the quantile forecasts are honest: one per target that has them."""
        return [found for f in self.forecasts if (found := calibrate(f))]


def evaluate(
    forecaster: Forecaster,
    frame: Frame,
    *,
    metrics: Sequence[str] = (),
    horizon: int = 0,
    stride: int = 1,
    n_windows: int = 0,
    in_sample: bool = False,
    simulate: bool = False,
    warmup: int = 0,
    adaptive: bool = False,
    future: Frame | None = None,
) -> Evaluation:
    """Score a forecaster on the rows after those it has seen, by rolling origin or in simulation.

    Args:
        forecaster: Fitted.
        frame: Series with those rows; earlier rows serve as lags.
        metrics: Registered names; all by default, those of quantiles where there are any. Skill is measured in
            the first if it is a loss of points, else in MAE.
        horizon: Steps; the forecaster's own by default.
        stride: Steps between two cutoffs.
        n_windows: Only the last so many cutoffs per series; 0 for all.
        in_sample: Score all rows, also those that training saw.
        simulate: Run freely over the whole record instead, from its inputs and its first outputs.
        warmup: Rows whose outputs a simulation knows; the lags by default.
        adaptive: Let conformal intervals follow the errors that are known at each cutoff.
        future: Rows with future covariates, which count before those of the frame, as in ``prediction.predict``.

    Raises:
        DataError: Nothing to score.
        UsageError: Unknown metric, one that needs quantiles where there are none, or options of the one way of scoring
            with the other.
    """
    for name in metrics:
        METRICS.check(name)
    notes = ["scored in sample: training has seen these rows, the scores are too good"] if in_sample else []
    if not in_sample and is_another_record(forecaster, frame):
        notes.append("training saw none of these rows: another record, scored as a whole")
    if simulate:
        if horizon or stride > 1 or n_windows or adaptive or future is not None:
            raise UsageError(
                "a simulation is one run over the whole record: no horizon, stride, windows, intervals or future data",
                hint="leave --horizon, --stride, --n-windows, --adaptive and --future-data away, or --simulate",
            )
        _check_points(metrics)
        run = run_freely(forecaster, frame, warmup=warmup, in_sample=in_sample)
        drifts = filter(None, (drift_of_run(forecaster, f) for f in run.forecasts))
        return _simulation(replace(run, warnings=[*run.warnings, *drifts]), metrics, notes)
    if warmup:
        raise UsageError("--warmup is for a simulation", hint="add --simulate, or leave it away")
    span = {"horizon": horizon, "stride": stride, "n_windows": n_windows}
    folds = backtest(forecaster, frame, in_sample=in_sample, adaptive=adaptive, future=future, **span)
    notes += filter(None, [caveat_of_quantiles(forecaster, horizon), "" if n_windows else _unscored(folds, stride)])
    costs = [cost_of_closing(forecaster, f) for f in folds.forecasts]
    notes += [note for note, _ in costs if note]
    domain = DOMAINS.get(forecaster.options.domain)
    made = _evaluation(folds.forecasts, metrics, domain is not None and domain.random_walk, notes)
    return replace(made, warnings=[*filter(None, (folds.diverges, *(warning for _, warning in costs)))])


def _unscored(folds: Backtest, stride: int) -> str:
    """Say how many rows no fold covers, and why; empty where all are covered."""
    if not folds.unscored:
        return ""
    why = "no complete lags before them" + (", or left out by the stride" if stride > 1 else "")
    return f"{folds.unscored} of {folds.scored + folds.unscored} rows have no forecast ({why})"


def _check_points(metrics: Sequence[str]) -> None:
    """Refuse, before any work, metrics that a simulation has nothing for.

    Raises:
        UsageError: One needs quantiles.
    """
    if needy := [name for name in metrics if METRICS.get(name).needs]:
        what = f"--metric {','.join(needy)}: a simulation forecasts no quantiles"
        raise UsageError(what, hint="choose metrics of points, for example --metric rmse,fit")


def _simulation(made: Simulation, metrics: Sequence[str], notes: list[str]) -> Evaluation:
    """Score the rows of all runs alike: steps of a run are no steps of a horizon, and there are too many of them."""
    chosen = metrics_for(made.forecasts, metrics)
    records = [record for f in made.forecasts for record in score_table(f.by_row(), chosen)]
    left = [f"{f.target}, one step ahead: {f.diagnosis.sentence}" for f in made.forecasts if f.diagnosis]
    return Evaluation(
        forecasts=made.forecasts,
        records=[record for record in records if record["step"] is None],
        verdicts=[verdict_of_run(f, judge(f, _loss(metrics))) for f in made.forecasts],
        notes=[*notes, *made.notes, *left],
        warnings=made.warnings,
    )


def evaluate_files(
    forecast: Table,
    actual: Table,
    read_options: ReadOptions,
    *,
    metrics: Sequence[str] = (),
    targets: Sequence[str] = (),
    series_id: str = "",
    season_length: int = 0,
    rated: float | None = None,
) -> Evaluation:
    """Score a forecast file against the file with what happened.

    Args:
        forecast: Time, id if any, ``<target>_forecast``, perhaps ``cutoff``.
        actual: Time, id if any, ``<target>``.
        read_options: How both are written.
        metrics: Registered names; all by default, those of quantiles where there are any. Skill is measured in
            the first if it is a loss of points, else in MAE.
        targets: Only these.
        series_id: Id column; a text column that both files share by default.
        season_length: Steps per season; by default the strongest season of the actual rows before the first cutoff.
        rated: Rated value, the denominator of nRMSE; the range of the actuals by default.

    Raises:
        DataError: No target in common, or no timestamp in common.
        UsageError: Unknown metric, or one that needs quantiles where there are none.
    """
    for name in metrics:
        METRICS.check(name)
    made = join_files(
        forecast, actual, read_options, targets=targets, series_id=series_id, season_length=season_length, rated=rated
    )
    return _evaluation(made, metrics, False, [])


def _evaluation(made: tuple[Forecasts, ...], metrics: Sequence[str], random_walk: bool, notes: list[str]) -> Evaluation:
    chosen = metrics_for(made, metrics)
    records = [record for f in made for record in score_table(f, chosen)]
    verdicts = [judge(f, _loss(metrics), random_walk=random_walk) for f in made]
    if random_walk:
        notes += [_direction_note(v) for v in verdicts]
    return Evaluation(made, records, verdicts, notes)


def _loss(metrics: Sequence[str]) -> str:
    """Return the metric that skill is measured in: the first that was named if it can be, else MAE."""
    return metrics[0] if metrics and measures_skill(metrics[0]) else "mae"


def _direction_note(verdict: Verdict) -> str:
    """Say how often the direction of a price was right, with its 95 % interval: the skill that pays.

    The rival is not the coin: prices drift, and who always says "up" is right more often than a coin.
    """
    d = verdict.direction
    if not d.n:
        return f"{verdict.target}: no row moved, so no direction could be right"
    rival = f'always "{"up" if d.up >= 0.5 else "down"}" ({d.usual:.1%})'
    told = f"{'better' if d.low > d.usual else 'no better'} than {rival}"
    return f"{verdict.target}: the direction was right in {d.accuracy:.1%} (95 % {d.low:.1%} to {d.high:.1%}): {told}"
