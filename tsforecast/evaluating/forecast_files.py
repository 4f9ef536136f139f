"""Forecasts that lie in a file, whoever made them, joined with what happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsforecast.data.build import Schema, build
from tsforecast.data.clock import SECONDS, STEP, Clock, find_clock
from tsforecast.data.frame import Frame
from tsforecast.data.scale import choose_scaler
from tsforecast.data.seasons import find_seasons, main_season
from tsforecast.data.split import Split
from tsforecast.data.table import Table
from tsforecast.data.timestyle import MINUTE
from tsforecast.errors import DataError, UsageError
from tsforecast.evaluating.forecasts import Forecasts, Record
from tsforecast.forecasting.baselines import baselines, mean_steps, seasonal_differences
from tsforecast.forecasting.forecast_columns import (
    CUTOFF,
    FORECAST,
    forecast_column,
    forecast_targets,
    quantile_columns,
)
from tsforecast.metrics.base import Floats
from tsforecast.options import ReadOptions


@dataclass(frozen=True)
class _Folds:
    """The folds of a forecast file and the actual rows they meet; K folds, padded to the H steps of the longest.

    Attributes:
        series: (K,) code of each fold's series in the actual file.
        cutoff: (K,) time up to which the actual values are known, before the first forecast.
        time: (K, H) time; the last one again after the end of a shorter fold.
        forecast: (K, H) rows of the forecast file; -1 after the end of a shorter fold.
        actual: (K, H) rows of the actual file at the same times; -1 where it has none.
        last: (K,) last row of the actual file up to the cutoff; -1 where its series begins later.
    """

    series: NDArray[np.int64]
    cutoff: NDArray[np.int64]
    time: NDArray[np.int64]
    forecast: NDArray[np.int64]
    actual: NDArray[np.int64]
    last: NDArray[np.int64]


class _Reference(NamedTuple):
    """What the forecasts are measured by: K folds, H steps, S series, T targets.

    Attributes:
        season: Steps per season.
        scale: (S, T, 2) denominators of MASE and RMSSE.
        unlike: The series are of different orders of magnitude.
        baselines: Name to (K, H, T) forecasts.
    """

    season: int
    scale: Floats
    unlike: bool
    baselines: dict[str, Floats]


def join_files(
    forecast: Table,
    actual: Table,
    read_options: ReadOptions,
    *,
    targets: Sequence[str] = (),
    series_id: str = "",
    season_length: int = 0,
    rated: float | None = None,
) -> tuple[Forecasts, ...]:
    """Pair every forecast row with the actual row of the same series and time.

    Every column ``<target>_forecast`` is taken, with quantiles ``<target>_q0.1``, ... beside it. Forecasts from several
    cutoffs carry a ``cutoff`` column; without one, each series is one fold whose cutoff lies just before its first
    forecast row. The baselines start from the last actual row up to the cutoff and count steps of the actual file's
    grid. The season is that of the first target, for all of them, as in training.

    Args:
        forecast: Time, id if any, ``<target>_forecast``, perhaps ``<target>_q...`` and ``cutoff``.
        actual: Time, id if any, ``<target>``.
        read_options: How both are written.
        targets: Only these.
        series_id: Id column; a text column that both files share by default.
        season_length: Steps per season; by default the strongest season of the actual rows before the first cutoff, or
            the usual one of their frequency where these are too few to tell.
        rated: Rated value, the denominator of nRMSE; the range of the actuals by default.

    Raises:
        DataError: No target in common, no timestamp in common, or a cutoff that is no time.
    """
    names = tuple(targets) or forecast_targets(forecast.columns)
    if not names:
        listed = ", ".join(forecast.columns)
        raise DataError(f"the forecast has no column that ends in {FORECAST}", hint=f"its columns are {listed}")
    clock, time = _times(forecast, read_options)
    identifier = series_id or _shared_id(forecast, actual, {*names, *clock.columns, CUTOFF, STEP})
    schema = Schema(target=names, series_id=identifier, no_time=read_options.rows_are_steps)
    known = build(actual, schema, read_options)[0]
    folds = _folds(forecast, time, identifier, known, read_options)
    by = _reference(known, folds, len(names), season_length)
    made = tuple(
        replace(_pair(known, folds, forecast, t, by), rated=rated, quantiles=_quantiles(forecast, name, folds))
        for t, name in enumerate(names)
    )
    if not any(np.isfinite(f.actual).any() for f in made):
        raise DataError(
            "no forecast row has an actual value: the files share no timestamp",
            hint="forecast from an earlier row with `predict --at TIME`, or give newer actual data",
        )
    return made


def _quantiles(forecast: Table, target: str, folds: _Folds) -> dict[float, Floats]:
    """Return the level, ascending, and the (K, H) values of every column of a target's quantiles."""
    found = quantile_columns(forecast.columns, target)
    return {level: _taken(forecast.numbers(name).astype(np.float64), folds.forecast) for level, name in found.items()}


def _times(forecast: Table, read_options: ReadOptions) -> tuple[Clock, NDArray[np.int64]]:
    """Return the clock and (N,) times; without a clock the steps that ``predict`` and ``--backtest`` write."""
    clock, time = find_clock(forecast, read_options)
    if clock.columns:
        return clock, time
    if SECONDS in forecast.columns:
        if not clock.sampling:
            hint = "say how far apart the rows are: --sampling 4s"
            raise UsageError(f"{forecast.name} counts time in {SECONDS}, not in rows", hint=hint)
        time = clock.read_steps(forecast.numbers(SECONDS, np.float64))
    elif STEP in forecast.columns:
        time = forecast.numbers(STEP, np.float64).astype(np.int64)
        if CUTOFF in forecast.columns:
            time += clock.read_steps(forecast.numbers(CUTOFF, np.float64))
    return clock, time


def _shared_id(forecast: Table, actual: Table, taken: set[str]) -> str:
    """Return the first text column that both files have and that plays no other part; empty when there is none."""
    shared = (c for c in forecast.columns if c in actual.columns and c not in taken)
    return next((c for c in shared if not forecast.is_numeric(c)), "")


def _folds(
    forecast: Table, time: NDArray[np.int64], identifier: str, known: Frame, read_options: ReadOptions
) -> _Folds:
    """Sort the rows of known series into folds, and find the actual rows that belong to them."""
    codes = {name: s for s, name in enumerate(known.series)}
    series = forecast.texts(identifier) if identifier else [known.series[0]] * forecast.n_rows
    cutoffs = _cutoffs(forecast, known.clock, read_options)
    members: dict[tuple[int, int], list[int]] = {}
    for row, (name, cutoff) in enumerate(zip(series, cutoffs.tolist(), strict=True)):
        if name in codes:
            members.setdefault((codes[name], cutoff), []).append(row)
    rows = np.full((len(members), max(map(len, members.values()), default=1)), -1, dtype=np.int64)
    for k, member in enumerate(members.values()):
        rows[k, : len(member)] = sorted(member, key=time.__getitem__)
    when = np.maximum.accumulate(np.where(rows >= 0, time[rows], np.iinfo(np.int64).min), axis=1)
    code, given = np.array(list(members), dtype=np.int64).reshape(-1, 2).T
    until = np.minimum(given, when[:, 0] - 1)
    actual, last = _meet(known, code, when, until)
    return _Folds(code, until, when, rows, np.where(rows >= 0, actual, -1), last)


def _cutoffs(forecast: Table, clock: Clock, read_options: ReadOptions) -> NDArray[np.int64]:
    """Return (N,) the times in the ``cutoff`` column, which joins what a clock writes in several columns by a blank.

    Without such a column, the end of time.
    """
    if CUTOFF not in forecast.columns:
        return np.full(forecast.n_rows, np.iinfo(np.int64).max)
    if not clock.columns:
        return clock.read_steps(forecast.numbers(CUTOFF, np.float64))
    style = replace(clock, columns=(CUTOFF,), formats=(" ".join(clock.formats),), numeric=clock.numeric[:1])
    found, time = find_clock(forecast, replace(read_options, time=""), style)
    return time - clock.offset * MINUTE if clock.zone and not found.zone else time


def _meet(
    known: Frame, series: NDArray[np.int64], time: NDArray[np.int64], cutoff: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (K, H) rows of the frame at the times of each fold and (K,) its last row up to the cutoff; -1 for none."""
    rows, last = np.full(time.shape, -1, dtype=np.int64), np.full(len(series), -1, dtype=np.int64)
    for s in np.unique(series):
        chosen = series == s
        first, end = known.bounds[s], known.bounds[s + 1]
        own = known.time[first:end]
        found = np.minimum(np.searchsorted(own, time[chosen]), len(own) - 1)
        rows[chosen] = np.where(own[found] == time[chosen], first + found, -1)
        passed = np.searchsorted(own, cutoff[chosen], side="right")
        last[chosen] = np.where(passed > 0, first + passed - 1, -1)
    return rows, last


def _pair(known: Frame, folds: _Folds, forecast: Table, target: int, by: _Reference) -> Forecasts:
    """Return one target's forecasts with their actual values and the baselines that the actual file allows."""
    column = known.observed(target)
    values = forecast.numbers(forecast_column(known.columns[target]))
    return Forecasts(
        target=known.columns[target],
        unit_time=known.clock.sampling or known.freq.alias,
        series=folds.series,
        series_names=known.series,
        cutoff=np.where(folds.last >= 0, known.time[folds.last], folds.cutoff),
        time=folds.time,
        is_clock=known.freq.kind != "step",
        actual=_taken(column, folds.actual),
        forecast=_taken(values.astype(np.float64), folds.forecast),
        last=_taken(column, folds.last),
        baselines={name: made[..., target] for name, made in by.baselines.items()},
        season_length=by.season,
        scale=by.scale[:, target],
        unlike=by.unlike,
        record=Record(known.time, column, known.bounds),
    )


def _reference(known: Frame, folds: _Folds, targets: int, season_length: int) -> _Reference:
    """Measure the actual rows up to the first cutoff of each series, which training could have seen, and no others."""
    first = known.bounds[1:].copy()
    np.minimum.at(first, folds.series, np.where(folds.last >= 0, folds.last + 1, known.bounds[folds.series]))
    forecast = np.isin(np.arange(len(known.series)), folds.series)
    first = np.where(forecast, first, known.bounds[:-1])
    cut = Split(known.bounds[:-1], first, first, known.bounds[1:])
    season = season_length or main_season(find_seasons(known, cut), known.freq.seasons())
    slope = mean_steps(known, cut.train_rows, targets)[folds.series]
    values = known.values[:, :targets]
    return _Reference(
        season=season,
        scale=seasonal_differences(known, cut.train_rows, season, targets),
        unlike=choose_scaler(values, known.bounds, cut.train_rows, targets, "standard", "").per_series,
        baselines=baselines(known, folds.last, _steps_ahead(known, folds), season, slope),
    )


def _steps_ahead(known: Frame, folds: _Folds) -> NDArray[np.int64]:
    """Return (K, H) steps from the last actual row on the time grid; 0 or less where they are unknown."""
    start = np.maximum(folds.last, 0)[:, None]
    if known.freq.kind in ("trading", "step"):  # no grid: these count rows, and -1 lies before every row
        ahead = folds.actual - start
    else:
        ahead = known.freq.ordinal(folds.time) - known.freq.ordinal(known.time[start])
    return np.where(folds.last[:, None] >= 0, ahead, 0)


def _taken(column: Floats, rows: NDArray[np.int64]) -> Floats:
    """Return the values at rows of any shape; NaN where the row is -1."""
    return np.where(rows >= 0, column[rows], np.nan)
