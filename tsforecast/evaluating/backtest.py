"""Rolling-origin forecasts over the rows that a forecaster has not seen: every cutoff, one batched pass, one model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tsforecast.data.frame import Frame
from tsforecast.data.window import positions
from tsforecast.domains import DOMAINS
from tsforecast.errors import DataError, UsageError
from tsforecast.evaluating.forecasts import Forecasts, Record
from tsforecast.evaluating.loop import diagnose_one_step, one_step
from tsforecast.evaluating.seen import first_new_rows
from tsforecast.forecasting.ahead import Ahead, fill_from, rows_at
from tsforecast.forecasting.baselines import baselines
from tsforecast.forecasting.divergence import warning_of_divergence
from tsforecast.forecasting.forecaster import Forecaster
from tsforecast.forecasting.outputs import InUnits
from tsforecast.forecasting.reference import clear_sky_persistence, climatology
from tsforecast.metrics.base import Floats

LOST = "its errors there count as infinite"


@dataclass(frozen=True)
class Backtest:
    """Forecasts at every cutoff of the scored rows.

    Attributes:
        forecasts: One per target, with actual values and baselines.
        scored: Rows that at least one forecast covers.
        unscored: Rows of the span that none covers (no complete lags before them).
        diverges: From when on forecasts are lost; empty where none is.
    """

    forecasts: tuple[Forecasts, ...]
    scored: int
    unscored: int
    diverges: str


def backtest(
    forecaster: Forecaster,
    frame: Frame,
    *,
    horizon: int = 0,
    stride: int = 1,
    n_windows: int = 0,
    in_sample: bool = False,
    adaptive: bool = False,
    future: Frame | None = None,
) -> Backtest:
    """Forecast from every cutoff whose horizon lies in the rows after those that training saw.

    Args:
        forecaster: Fitted.
        frame: Series with the rows to score; earlier rows serve as lags.
        horizon: Steps; the forecaster's own by default.
        stride: Steps between two cutoffs.
        n_windows: Only the last so many cutoffs per series; 0 for all.
        in_sample: Score all rows, also those that training saw.
        adaptive: Let conformal intervals follow the errors that are known at each cutoff.
        future: Rows with future covariates, which count before those of the frame.

    Raises:
        DataError: No rows to score, or future rows without a clock.
        UsageError: Adaptive, and the forecaster has no conformal intervals.
    """
    if future is not None and frame.freq.kind == "step":
        raise DataError(
            "rows without a clock cannot be placed among those that are scored",
            hint="leave --future-data away, and write its covariates to the data",
        )
    horizon = horizon or forecaster.shape.horizon
    first = frame.bounds[:-1] if in_sample else first_new_rows(forecaster, frame)
    span = np.arange(len(frame.time)) >= np.repeat(first, np.diff(frame.bounds))
    cutoffs = find_cutoffs(forecaster, frame, first, horizon, stride, n_windows, future)
    if not len(cutoffs):
        raise _nothing_to_score(forecaster, frame, first, horizon)
    rows = Ahead(frame, cutoffs, horizon).rows
    if adaptive:
        whole = _adapted(forecaster, frame, cutoffs, rows, future)
    else:
        whole = forecaster.forecast(frame, cutoffs, horizon, future=future)
    time, values = whole.time, whole.point
    history = frame.bounds[1:] if in_sample else first  # in sample the baselines of the domain may see all rows, too
    made = assemble(forecaster, frame, cutoffs, history, time, rows, values)
    made = _with_quantiles(made, forecaster.options.quantiles, whole)
    if forecaster.network.free_running:
        ahead = one_step(forecaster, frame, np.unique(rows[rows >= 0]))
        made = with_open_loop(made, ahead, rows)
    else:
        ahead = np.full((len(frame.time), forecaster.targets), np.nan)
        inside = rows[:, 0] >= 0
        ahead[rows[inside, 0]] = values[inside, 0]
    made = tuple(replace(f, diagnosis=diagnose_one_step(forecaster, frame, ahead, t)) for t, f in enumerate(made))
    observed = np.any([np.isfinite(frame.observed(t)) for t in range(forecaster.targets)], axis=0)
    known = np.flatnonzero(observed & span)
    covered = len(np.intersect1d(known, rows[rows >= 0]))
    diverges = warning_of_divergence(forecaster.network, frame, cutoffs, time, whole.lost, LOST)
    return Backtest(made, covered, len(known) - covered, diverges)


def _adapted(
    forecaster: Forecaster, frame: Frame, cutoffs: NDArray[np.int64], rows: NDArray[np.int64], future: Frame | None
) -> InUnits:
    """Forecast from (K,) cutoffs; the margins of each series follow what is known of (K, H) rows at each cutoff.

    Raises:
        UsageError: There are no margins to begin with.
    """
    if forecaster.margins is None:
        raise UsageError(
            "--adaptive moves conformal intervals, and this model has none", hint="train it with --intervals conformal"
        )
    made = forecaster.outputs(frame, cutoffs, rows.shape[1], future=future)
    left, distance = forecaster.residuals(frame, rows, made), forecaster.distances(made)
    margins, levels = np.empty_like(distance), forecaster.options.quantiles
    place, series = positions(frame)[cutoffs], frame.series_of(cutoffs)
    for s in np.unique(series):
        own = series == s
        margins[own] = forecaster.margins.adapted(left[own], distance[own], place[own], made.known[own][:1], levels)
    return forecaster.finish(made, margins)


def _with_quantiles(made: tuple[Forecasts, ...], levels: Sequence[float], whole: InUnits) -> tuple[Forecasts, ...]:
    """Add the quantiles of each target, in ascending order of the level."""
    places = sorted(range(len(levels)), key=lambda i: levels[i])
    return tuple(
        replace(f, quantiles={levels[i]: whole.quantiles[..., t, i] for i in places}) for t, f in enumerate(made)
    )


def assemble(
    forecaster: Forecaster,
    frame: Frame,
    cutoffs: NDArray[np.int64],
    history: NDArray[np.int64],
    time: NDArray[np.int64],
    rows: NDArray[np.int64],
    values: NDArray[np.float64],
) -> tuple[Forecasts, ...]:
    """Put forecasts beside what happened and beside the baselines.

    Args:
        forecaster: What made them.
        frame: The series.
        cutoffs: (K,) last known rows.
        history: (S,) first row of each series that the baselines of the domain may not learn from.
        time: (K, H) times of the forecasts.
        rows: (K, H) rows at these times; -1 for none.
        values: (K, H, T) the forecasts.

    Returns:
        One per target.
    """
    ahead = np.arange(1, rows.shape[1] + 1)[None]
    slope = _slopes(forecaster, frame)[frame.series_of(cutoffs)]
    base = baselines(frame, cutoffs, ahead, forecaster.shape.season_length, slope)
    made = [_one_target(forecaster, frame, cutoffs, t, time, rows, values, base) for t in range(forecaster.targets)]
    return tuple(_with_domain(forecaster, frame, cutoffs, history, f, t) for t, f in enumerate(made))


def with_open_loop(made: tuple[Forecasts, ...], ahead: Floats, rows: NDArray[np.int64]) -> tuple[Forecasts, ...]:
    """Add forecasts (N, T) of rows one step ahead at (K, H) rows."""
    spread = np.where(rows[..., None] >= 0, ahead[rows], np.nan)
    return tuple(replace(f, open_loop=spread[..., t]) for t, f in enumerate(made))


def find_cutoffs(
    forecaster: Forecaster,
    frame: Frame,
    first: NDArray[np.int64],
    horizon: int,
    stride: int,
    n_windows: int,
    future: Frame | None = None,
) -> NDArray[np.int64]:
    """Return the last known rows of all folds from the (S,) ``first`` on: lags complete, horizon inside the series."""
    parts, place = [], positions(frame)
    for s, end in enumerate(frame.ends(forecaster.targets)):
        rows = np.arange(max(int(first[s]) - 1, int(frame.bounds[s])), end, dtype=np.int64)
        left = place[end - 1] - horizon - place[rows] if len(rows) else rows  # steps from the last possible cutoff
        parts.append(rows[(left >= 0) & (left % stride == 0)])  # counted from the end: the newest are scored
    rows = np.concatenate(parts)
    rows = rows[forecaster.complete(frame, rows)]
    if forecaster.columns[2]:
        rows = rows[_driven(forecaster, frame, Ahead(frame, rows, horizon), future).all(axis=1)]
    return frame.last_of_each(rows, n_windows) if n_windows else rows


def _driven(forecaster: Forecaster, frame: Frame, ahead: Ahead, future: Frame | None) -> NDArray[np.bool_]:
    """Return (K, H) which steps lie on a row of the frame and have all their future covariates."""
    targets, past, _ = forecaster.columns
    rows = ahead.rows
    complete = np.asarray(np.isfinite(frame.values[:, targets + past :]).all(axis=1))
    known = (rows >= 0) & complete[rows]
    if future is not None:
        values = np.where((rows >= 0)[..., None], frame.values[rows, targets + past :], np.float32(np.nan))
        fill_from(future, frame.series, ahead.series, ahead.time(), values)
        known = (rows >= 0) & np.isfinite(values).all(axis=2)
    return known


def _nothing_to_score(forecaster: Forecaster, frame: Frame, first: NDArray[np.int64], horizon: int) -> DataError:
    fresh = int((frame.ends(forecaster.targets) - first).max())
    if fresh <= 0:
        return DataError(
            "the model has seen every row of this data: there is nothing to score",
            hint="train with --test 0.2 to keep rows out, give newer data, or use --in-sample",
        )
    if fresh < horizon:
        return DataError(
            f"only {fresh} rows follow those the model has seen, the horizon is {horizon}",
            hint=f"give more rows, or score with --horizon {fresh}",
        )
    return DataError(
        f"no cutoff in the scored rows has {forecaster.shape.lags} complete lags before it"
        + (" and its future covariates after it" if forecaster.columns[2] else ""),
        hint="keep earlier rows in the data, or train with --missing interpolate",
    )


def _slopes(forecaster: Forecaster, frame: Frame) -> NDArray[np.float64]:
    """Return (S, T) the slopes that the forecaster remembers; 0 for a series that training has not seen."""
    known = dict(zip(forecaster.memory.series, forecaster.memory.slope, strict=True))
    return np.array([known.get(name, np.zeros(forecaster.targets)) for name in frame.series])


def _one_target(
    forecaster: Forecaster,
    frame: Frame,
    cutoffs: NDArray[np.int64],
    target: int,
    time: NDArray[np.int64],
    rows: NDArray[np.int64],
    values: NDArray[np.float64],
    base: dict[str, NDArray[np.float64]],
) -> Forecasts:
    column = frame.observed(target)
    return Forecasts(
        target=frame.columns[target],
        unit_time=frame.clock.sampling or frame.freq.alias,
        series=frame.series_of(cutoffs),
        series_names=frame.series,
        cutoff=frame.time[cutoffs],
        time=time,
        is_clock=frame.freq.kind != "step",
        actual=np.where(rows >= 0, column[rows], np.nan),
        forecast=values[..., target],
        last=column[cutoffs],
        baselines={name: made[..., target] for name, made in base.items()},
        season_length=forecaster.shape.season_length,
        scale=_scales(forecaster, frame, target),
        unlike=forecaster.options.scale_by == "series" and len(frame.series) > 1,
        rated=forecaster.options.rated,
        daylight=None,
        record=Record(frame.time, column, frame.bounds),
    )


def _scales(forecaster: Forecaster, frame: Frame, target: int) -> NDArray[np.float64]:
    """Return (S, 2) denominators of MASE and RMSSE in the order of the frame's series; NaN for unseen series."""
    order = {name: s for s, name in enumerate(forecaster.memory.series)}
    out = np.full((len(frame.series), 2), np.nan)
    for s, name in enumerate(frame.series):
        if name in order:
            out[s] = forecaster.memory.scale[order[name], target]
    return out


def _with_domain(
    forecaster: Forecaster,
    frame: Frame,
    cutoffs: NDArray[np.int64],
    first: NDArray[np.int64],
    f: Forecasts,
    target: int,
) -> Forecasts:
    """Add what the domain compares with: its own baselines, and which rows are in daylight."""
    name = forecaster.options.domain
    if not name or not f.is_clock:
        return f
    extra = {b: _domain_baseline(b, forecaster, frame, cutoffs, first, f, target) for b in DOMAINS[name].baselines}
    daylight = None if forecaster.memory.night is None else ~forecaster.memory.night.at(f.time)
    return replace(f, baselines={**f.baselines, **extra}, daylight=daylight)


def _domain_baseline(
    name: str,
    forecaster: Forecaster,
    frame: Frame,
    cutoffs: NDArray[np.int64],
    first: NDArray[np.int64],
    f: Forecasts,
    target: int,
) -> NDArray[np.float64]:
    """Forecast with a baseline of a domain, series by series, from the rows before those that are scored."""
    out = np.full(f.forecast.shape, np.nan)
    lags = rows_at(frame, cutoffs, np.arange(1 - forecaster.shape.lags, 1))
    column = frame.observed(target)
    for s in np.unique(f.series):
        history = slice(frame.bounds[s], first[s])
        chosen = f.series == s
        if not np.isfinite(column[history]).any():
            continue  # nothing came before the rows that are scored: no baseline, rather than one that knows them
        past = np.where(lags[chosen] >= 0, column[lags[chosen]], np.nan)
        past_time = frame.time[np.maximum(lags[chosen], 0)]
        known = (frame.time[history], column[history])
        if name == "climatology":
            out[chosen] = climatology(*known, f.time[chosen])
        else:
            north, east = forecaster.options.lat, forecaster.options.lon
            out[chosen] = clear_sky_persistence(*known, past, past_time, f.time[chosen], latitude=north, longitude=east)
    return out
