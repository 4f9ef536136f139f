"""Scoring: a forecaster on rows it has not seen, or any forecast file against what happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tsforecast.backtest import backtest
from tsforecast.data.frame import Frame
from tsforecast.data.table import Table
from tsforecast.forecast_files import join_files
from tsforecast.forecaster import Forecaster
from tsforecast.options import ReadOptions
from tsforecast.registry import METRICS
from tsforecast.scores import Forecasts, score_table
from tsforecast.verdict import Verdict, judge


@dataclass(frozen=True)
class Evaluation:
    """Scores and verdicts.

    Attributes:
        forecasts: One per target.
        records: Long score table, see ``scores.score_table``.
        verdicts: One per target.
        notes: What a reader of the scores must know.
    """

    forecasts: tuple[Forecasts, ...]
    records: list[dict[str, Any]]
    verdicts: list[Verdict]
    notes: list[str]


def evaluate(
    forecaster: Forecaster,
    frame: Frame,
    *,
    metrics: Sequence[str] = (),
    horizon: int = 0,
    stride: int = 1,
    n_windows: int = 0,
    in_sample: bool = False,
) -> Evaluation:
    """Score a forecaster by rolling origin on the rows after those it has seen.

    Args:
        forecaster: Fitted.
        frame: Series with those rows; earlier rows serve as lags.
        metrics: Registered names; all by default.
        horizon: Steps; the forecaster's own by default.
        stride: Steps between two cutoffs.
        n_windows: Only the last so many cutoffs per series; 0 for all.
        in_sample: Score all rows, also those that training saw.

    Raises:
        DataError: Nothing to score.
        UsageError: Unknown metric.
    """
    for name in metrics:
        METRICS.check(name)
    made = backtest(forecaster, frame, horizon=horizon, stride=stride, n_windows=n_windows, in_sample=in_sample)
    notes = []
    if in_sample:
        notes.append("scored in sample: training has seen these rows, the scores are too good")
    if made.unscored and not n_windows:
        why = "no complete lags before them" + (", or left out by the stride" if stride > 1 else "")
        notes.append(f"{made.unscored} of {made.scored + made.unscored} rows have no forecast ({why})")
    return _evaluation(made.forecasts, metrics, forecaster.options.domain == "stock", notes)


def evaluate_files(
    forecast: Table,
    actual: Table,
    read_options: ReadOptions,
    *,
    metrics: Sequence[str] = (),
    targets: Sequence[str] = (),
    series_id: str = "",
) -> Evaluation:
    """Score a forecast file against the file with what happened.

    Args:
        forecast: Time, id if any, ``<target>_forecast``, perhaps ``cutoff``.
        actual: Time, id if any, ``<target>``.
        read_options: How both are written.
        metrics: Registered names; all by default.
        targets: Only these.
        series_id: Id column; a text column that both files share by default.

    Raises:
        DataError: No target in common, or no timestamp in common.
        UsageError: Unknown metric.
    """
    for name in metrics:
        METRICS.check(name)
    made = join_files(forecast, actual, read_options, targets=targets, series_id=series_id)
    return _evaluation(made, metrics, False, [])


def _evaluation(made: tuple[Forecasts, ...], metrics: Sequence[str], random_walk: bool, notes: list[str]) -> Evaluation:
    chosen = list(metrics) or list(METRICS)
    records = [record for f in made for record in score_table(f, chosen)]
    verdicts = [judge(f, random_walk=random_walk) for f in made]
    if random_walk:
        notes += [_direction_note(v) for v in verdicts]
    return Evaluation(made, records, verdicts, notes)


def _direction_note(verdict: Verdict) -> str:
    """Say how often the direction of a price was right, with its 95 % interval: the skill that pays."""
    d = verdict.direction
    told = "better than a coin" if d.low > 0.5 else "no better than a coin"
    return f"{verdict.target}: the direction was right in {d.accuracy:.1%} (95 % {d.low:.1%} to {d.high:.1%}): {told}"
