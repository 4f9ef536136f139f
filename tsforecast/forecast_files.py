"""Forecasts that lie in a file, whoever made them, joined with what happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsforecast.data.build import Schema, build
from tsforecast.data.clock import find_clock
from tsforecast.data.frame import Frame
from tsforecast.data.table import Table
from tsforecast.errors import DataError
from tsforecast.forecaster import rows_at
from tsforecast.options import ReadOptions
from tsforecast.scores import Forecasts

SUFFIX = "_forecast"
CUTOFF = "cutoff"
STEP = "step"


@dataclass(frozen=True)
class _Folds:
    """The rows of a forecast file, one line per fold, padded with row -1 to the longest.

    Attributes:
        series: (K,) name of each fold's series.
        rows: (K, H) row of the file at each step; -1 after the end of a shorter fold.
        time: (K, H) microseconds; the last time again where the row is -1.
    """

    series: list[str]
    rows: NDArray[np.int64]
    time: NDArray[np.int64]


def join_files(
    forecast: Table, actual: Table, read_options: ReadOptions, *, targets: Sequence[str] = (), series_id: str = ""
) -> tuple[Forecasts, ...]:
    """Pair every forecast row with the actual row of the same series and time.

    Every column ``<target>_forecast`` is taken. Forecasts from several cutoffs carry a ``cutoff`` column. The cutoff
    itself is the last actual row before the first forecast row of a fold; naive and seasonal naive start there.

    Args:
        forecast: Time, id if any, ``<target>_forecast``, perhaps ``cutoff``.
        actual: Time, id if any, ``<target>``.
        read_options: How both are written.
        targets: Only these.
        series_id: Id column; a text column that both files share by default.

    Raises:
        DataError: No target in common, or no timestamp in common.
    """
    names = tuple(targets) or tuple(c.removesuffix(SUFFIX) for c in forecast.columns if c.endswith(SUFFIX))
    if not names:
        listed = ", ".join(forecast.columns)
        raise DataError(f"the forecast has no column that ends in {SUFFIX}", hint=f"its columns are {listed}")
    identifier = series_id or _shared_id(forecast, actual, names)
    schema = Schema(target=names, series_id=identifier, no_time=read_options.no_time)
    known = build(actual, schema, read_options)[0]
    folds = _folds(forecast, identifier, read_options)
    made = tuple(_pair(known, folds, forecast.numbers(f"{name}{SUFFIX}"), t) for t, name in enumerate(names))
    if not any(np.isfinite(f.actual).any() for f in made):
        raise DataError(
            "no forecast row has an actual value: the files share no timestamp",
            hint="forecast from an earlier row with `predict --at TIME`, or give newer actual data",
        )
    return made


def _shared_id(forecast: Table, actual: Table, names: Sequence[str]) -> str:
    """Return the text column, not first, that both files have: the series id; empty when there is none."""
    taken = {*names, CUTOFF, STEP}
    shared = [c for c in forecast.columns[1:] if c in actual.columns and c not in taken]
    return next((c for c in shared if not forecast.is_numeric(c)), "")


def _folds(forecast: Table, identifier: str, read_options: ReadOptions) -> _Folds:
    time = _times(forecast, read_options)
    none = [""] * forecast.n_rows
    series = list(forecast.texts(identifier)) if identifier else none
    cutoff = list(forecast.texts(CUTOFF)) if CUTOFF in forecast.columns else none
    members: dict[tuple[str, str], list[int]] = {}
    for row, key in enumerate(zip(series, cutoff, strict=True)):
        members.setdefault(key, []).append(row)
    longest = max(len(m) for m in members.values())
    rows = np.full((len(members), longest), -1, dtype=np.int64)
    for k, member in enumerate(members.values()):
        rows[k, : len(member)] = sorted(member, key=lambda row: time[row])
    last = np.maximum.accumulate(np.where(rows >= 0, time[rows], np.iinfo(np.int64).min), axis=1)
    return _Folds([key[0] for key in members], rows, last)


def _times(forecast: Table, read_options: ReadOptions) -> NDArray[np.int64]:
    """Return (N,) the time of each row; without a clock the step that ``predict`` and ``--backtest`` write."""
    if not read_options.no_time or STEP not in forecast.columns:
        return find_clock(forecast, read_options)[1]
    step = forecast.numbers(STEP, np.float64).astype(np.int64)
    return step + forecast.numbers(CUTOFF, np.float64).astype(np.int64) if CUTOFF in forecast.columns else step


def _pair(known: Frame, folds: _Folds, values: NDArray[np.float32], target: int) -> Forecasts:
    """Return one target's forecasts with their actual values and the baselines that the actual file allows."""
    codes = {name: s for s, name in enumerate(known.series)}
    series = np.array([codes.get(name, -1) for name in folds.series])
    column = known.values[:, target].astype(np.float64)
    actual = np.full(folds.rows.shape, np.nan)
    cutoffs = np.full(len(series), -1, dtype=np.int64)
    for k, s in enumerate(series):
        if s >= 0:
            first, last = known.bounds[s], known.bounds[s + 1]
            own = known.time[first:last]
            found = np.searchsorted(own, folds.time[k])
            hit = (own[np.minimum(found, len(own) - 1)] == folds.time[k]) & (folds.rows[k] >= 0)
            actual[k, hit] = column[first + found[hit]]
            cutoffs[k] = first + found[0] - 1 if found[0] else -1
    kept = series >= 0
    start = np.maximum(cutoffs, 0)
    season = next(iter(known.freq.seasons()), 1)
    last_known = np.where(cutoffs >= 0, column[start], np.nan)
    steps = np.arange(folds.rows.shape[1]) % season - season + 1
    behind = rows_at(known, start, steps)
    seasonal = np.where((behind >= 0) & (cutoffs >= 0)[:, None], column[behind], np.nan)
    made = {"naive": np.repeat(last_known[:, None], folds.rows.shape[1], axis=1), "seasonal_naive": seasonal}
    return Forecasts(
        target=known.columns[target],
        unit_time=known.freq.alias,
        series=series[kept],
        series_names=known.series,
        cutoff=known.time[start][kept],
        time=folds.time[kept],
        is_clock=known.freq.kind != "step",
        actual=actual[kept],
        forecast=np.where(folds.rows >= 0, values[folds.rows].astype(np.float64), np.nan)[kept],
        last=last_known[kept],
        baselines={name: made[name][kept] for name in made},
        season_length=season,
        scale=np.full((len(known.series), 2), np.nan),
    )
