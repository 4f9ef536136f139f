"""Forecasting what follows the last row, or any other row, of every series at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsforecast.config import Settings
from tsforecast.data.build import build
from tsforecast.data.clock import Clock
from tsforecast.data.frame import Frame
from tsforecast.data.table import Table
from tsforecast.errors import DataError
from tsforecast.forecaster import Forecaster
from tsforecast.options import DomainOptions, ReadOptions
from tsforecast.reference import NightTable


@dataclass(frozen=True)
class Prediction:
    """Forecasts from one cutoff per series.

    Attributes:
        frame: The rows they follow.
        cutoffs: (K,) rows of the frame.
        time: (K, H).
        values: (K, H, T) in data units.
        quantiles: (K, H, T, n), likewise.
        levels: n quantile levels, in the order of their columns.
        series_id: Name of the id column; empty when there is none.
        targets: T names.
    """

    frame: Frame
    cutoffs: NDArray[np.int64]
    time: NDArray[np.int64]
    values: NDArray[np.float64]
    quantiles: NDArray[np.float64]
    levels: tuple[float, ...]
    series_id: str
    targets: tuple[str, ...]

    def columns(self, clock: Clock, include_history: int = 0) -> dict[str, Any]:
        """Return the table to print: time, id, then of each target ``<target>_forecast`` and ``<target>_q0.1``, ...

        History rows carry ``<target>`` instead.
        """
        series = self._series()
        blocks = [self._series_block(k, int(s), include_history) for k, s in enumerate(series)]
        time = np.concatenate([b[0] for b in blocks])
        names = np.repeat([self.frame.series[s] for s in series], [len(b[0]) for b in blocks])
        out: dict[str, Any] = dict(clock.write(time))
        if self.series_id:
            out[self.series_id] = names.tolist()
        for t, target in enumerate(self.targets):
            if include_history:
                out[target] = np.concatenate([b[1][:, t] for b in blocks])
            for i, name in enumerate(self._forecast_columns(target)):
                out[name] = np.concatenate([b[2][:, t, i] for b in blocks])
        return out

    @property
    def numbers(self) -> list[str]:
        """Columns of the table that hold values of a target."""
        return [name for target in self.targets for name in (target, *self._forecast_columns(target))]

    def _forecast_columns(self, target: str) -> tuple[str, ...]:
        return (f"{target}_forecast", *(quantile_column(target, level) for level in self.levels))

    def _series(self) -> NDArray[np.int64]:
        return self.frame.series_of(self.cutoffs)

    def _series_block(self, k: int, s: int, history: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Return times (n,), actual values (n, T) and forecasts (n, T, 1 + quantiles) of one series."""
        cutoff = int(self.cutoffs[k])
        first = max(int(self.frame.bounds[s]), cutoff + 1 - history)
        known = self.frame.values[first : cutoff + 1, : len(self.targets)]
        hollow = np.full_like(self.values[k], np.nan)
        made = np.concatenate((self.values[k][..., None], self.quantiles[k]), axis=-1)
        return (
            np.concatenate((self.frame.time[first : cutoff + 1], self.time[k])),
            np.concatenate((known, hollow)),
            np.concatenate((np.full((*known.shape, made.shape[-1]), np.nan), made)),
        )


def caveat_of_quantiles(forecaster: Forecaster, horizon: int) -> str:
    """Say what quantiles are worth beyond the horizon of training; empty where there is nothing to say."""
    last = forecaster.shape.horizon
    if horizon <= last or not forecaster.options.quantiles:
        return ""
    what = f"keep the margins of step {last}" if forecaster.margins else "do not know the errors of what is fed back"
    return f"beyond step {last} the quantiles {what}: they are too narrow there"


def quantile_column(target: str, level: float) -> str:
    """Return the name of the column of a quantile: ``power_q0.1``."""
    return f"{target}_q{level:g}"


def predict(
    forecaster: Forecaster, frame: Frame, *, horizon: int = 0, at: int | None = None, future: Frame | None = None
) -> Prediction:
    """Forecast every series from its last row with a known target, or from the last row up to ``at``.

    Args:
        forecaster: Fitted.
        frame: Series built with the forecaster's schema.
        horizon: Steps; the forecaster's own by default.
        at: Time of the last row to use; series without such a row are left out.
        future: Rows with future covariates, where the frame has none.

    Raises:
        DataError: Too few rows, holes in the lags, or future covariates that end too early.
    """
    cutoffs = _last_rows(forecaster, frame, at)
    _check_lags(forecaster, frame, cutoffs)
    made = forecaster.forecast(frame, cutoffs, horizon or forecaster.shape.horizon, future=future)
    return Prediction(
        frame=frame,
        cutoffs=cutoffs,
        time=made.time,
        values=made.point,
        quantiles=made.quantiles,
        levels=forecaster.options.quantiles,
        series_id=forecaster.schema.series_id,
        targets=forecaster.schema.target_columns,
    )


def read_frame(
    forecaster: Forecaster, table: Table, read_options: ReadOptions, *, missing: str = ""
) -> tuple[Frame, list[str]]:
    """Build a frame with the columns, the frequency and the categories that the forecaster was fitted with.

    Args:
        forecaster: Fitted.
        table: What was read.
        read_options: How it was read.
        missing: Another treatment of holes than in training.

    Raises:
        DataError: A column is missing, or the data has another frequency.
    """
    schema = replace(forecaster.schema, missing=missing or forecaster.schema.missing)
    frame, _, notes = build(table, schema, read_options)
    return frame, notes


def read_future(forecaster: Forecaster, table: Table, read_options: ReadOptions) -> Frame:
    """Build a frame of future covariates only; the targets, which such a file need not have, are left out.

    Raises:
        DataError: A future covariate is missing.
    """
    known = forecaster.schema
    circular = tuple(name for name in known.circular if name in known.future)
    schema = replace(known, target=(), past=(), static=(), circular=circular, missing="skip")
    return build(table, schema, read_options)[0]


def changes_of_domain(settings: Settings) -> dict[str, Any]:
    """Return the options of the domain that were set, for :func:`adjusted`."""
    chosen = settings.build(DomainOptions)
    return {name: getattr(chosen, name) for name in settings.top if name in DomainOptions.__dataclass_fields__}


def adjusted(forecaster: Forecaster, frame: Frame, **changes: Any) -> Forecaster:
    """Return the forecaster with some options of the domain changed after training: floor, cap, rated, night, ...

    A night that training did not know is looked for in the rows that training saw.
    """
    options = replace(forecaster.options, **changes)
    memory = forecaster.memory
    changed = any(getattr(options, name) != getattr(forecaster.options, name) for name in ("night", "lat", "lon"))
    if options.night == "auto" and changed:
        seen = dict(zip(memory.series, memory.last_seen, strict=True))
        last = np.repeat([seen.get(name, np.iinfo(np.int64).min) for name in frame.series], np.diff(frame.bounds))
        rows = frame.time <= last
        night = NightTable.build(frame.time[rows], frame.observed(0)[rows], options.lat, options.lon)
        memory = replace(memory, night=night)
    return replace(
        forecaster, options=options, memory=replace(memory, night=None) if options.night == "none" else memory
    )


def _last_rows(forecaster: Forecaster, frame: Frame, at: int | None) -> NDArray[np.int64]:
    known = np.all([np.isfinite(frame.observed(t)) for t in range(forecaster.targets)], axis=0) & ~frame.peeks
    rows = []
    for first, last in zip(frame.bounds[:-1], frame.bounds[1:], strict=True):
        end = last if at is None else first + int(np.searchsorted(frame.time[first:last], at, side="right"))
        seen = np.flatnonzero(known[first:end])
        if at is not None and not len(seen):
            continue
        if not len(seen):
            raise DataError("no row has a value in every target column", hint="check the columns of the data")
        rows.append(int(first + seen[-1]))
    if not rows:
        raise DataError("no series has a row at or before the time of --at", hint="choose a later time")
    return np.array(rows, dtype=np.int64)


def _check_lags(forecaster: Forecaster, frame: Frame, cutoffs: NDArray[np.int64]) -> None:
    """Refuse to forecast from holes, and say which series lacks what."""
    bad = np.flatnonzero(~forecaster.complete(frame, cutoffs))
    if not len(bad):
        return
    cutoff, lags = int(cutoffs[bad[0]]), forecaster.shape.lags
    s = int(frame.series_of(cutoffs[bad[:1]])[0])
    name = f"series '{frame.series[s]}': " if frame.series[s] else ""
    more = f" (and {len(bad) - 1} more series)" if len(bad) > 1 else ""
    rows = cutoff + 1 - int(frame.bounds[s])
    if rows < lags:
        raise DataError(
            f"{name}{rows} rows of history, and the model looks back {lags} steps{more}",
            hint="give more history" + (", or leave the series out" if name else ""),
        )
    window = frame.values[cutoff + 1 - lags : cutoff + 1]
    hole = np.argwhere(~np.isfinite(window))
    when = (
        " ".join(str(c[0]) for c in frame.clock.write(frame.time[cutoff + 1 - lags + hole[:1, 0]]).values())
        if len(hole)
        else ""
    )
    what = f"'{frame.columns[hole[0, 1]]}' is missing at {when}" if len(hole) else "there is a gap in time"
    raise DataError(
        f"{name}{what}, within the {lags} steps that the model looks back{more}",
        hint="fill holes with --missing interpolate, or forecast from an earlier row with --at",
    )
