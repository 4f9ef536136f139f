"""Forecasting what follows the last row, or any other row, of every series at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsforecast.config import THIS_CALL, Settings, make, types_of
from tsforecast.data.build import build
from tsforecast.data.clock import Clock
from tsforecast.data.frame import Frame
from tsforecast.data.missing import FILLS, Missing
from tsforecast.data.table import Table
from tsforecast.domains import check_domain, find_domain
from tsforecast.errors import DataError, TrainingError
from tsforecast.forecasting.ahead import fill_together, place_without_clock
from tsforecast.forecasting.cutoffs import last_rows
from tsforecast.forecasting.divergence import warning_of_divergence
from tsforecast.forecasting.forecast_columns import forecast_column, quantile_column
from tsforecast.forecasting.forecaster import Forecaster
from tsforecast.forecasting.reference import NightTable
from tsforecast.options import DomainOptions, ReadOptions


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
        notes: What a reader of the forecasts must know.
        warnings: What is wrong with them.
    """

    frame: Frame
    cutoffs: NDArray[np.int64]
    time: NDArray[np.int64]
    values: NDArray[np.float64]
    quantiles: NDArray[np.float64]
    levels: tuple[float, ...]
    series_id: str
    targets: tuple[str, ...]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def columns(self, clock: Clock, include_history: int = 0) -> dict[str, Any]:
        """Return the table to print: time, id, then of each target ``<target>_forecast`` and ``<target>_q0.1``, ...

        History rows carry ``<target>`` instead, as it was observed: what ``--missing`` filled in is empty.
        """
        series = self.frame.series_of(self.cutoffs)
        observed = np.stack([self.frame.observed(t) for t in range(len(self.targets))], axis=1)
        blocks = [self._series_block(k, int(s), include_history, observed) for k, s in enumerate(series)]
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
        return (forecast_column(target), *(quantile_column(target, level) for level in self.levels))

    def _series_block(
        self, k: int, s: int, history: int, observed: NDArray[np.float64]
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Return times (n,), actual values (n, T) and forecasts (n, T, 1 + quantiles) of one series."""
        cutoff = int(self.cutoffs[k])
        first = max(int(self.frame.bounds[s]), cutoff + 1 - history)
        known = observed[first : cutoff + 1]
        hollow = np.full_like(self.values[k], np.nan)
        made = np.concatenate((self.values[k][..., None], self.quantiles[k]), axis=-1)
        return (
            np.concatenate((self.frame.time[first : cutoff + 1], self.time[k])),
            np.concatenate((known, hollow)),
            np.concatenate((np.full((*known.shape, made.shape[-1]), np.nan), made)),
        )


def _caveat_of_feedback(forecaster: Forecaster, horizon: int) -> str:
    """Say that steps beyond the horizon of training are forecast from forecasts; empty where none are."""
    last = forecaster.shape.horizon
    if horizon <= last or forecaster.network.free_running:
        return ""
    return f"horizon {horizon} is beyond the {last} steps of training: forecasts are fed back"


def caveat_of_quantiles(forecaster: Forecaster, horizon: int) -> str:
    """Say what quantiles are worth beyond the horizon of training; empty where there is nothing to say."""
    last = forecaster.shape.horizon
    if horizon <= last or not forecaster.options.quantiles:
        return ""
    what = f"keep the margins of step {last}" if forecaster.margins else "do not know the errors of what is fed back"
    return f"beyond step {last} the quantiles {what}: they are too narrow there"


def predict(
    forecaster: Forecaster, frame: Frame, *, horizon: int = 0, at: int | None = None, future: Frame | None = None
) -> Prediction:
    """Forecast every series from its last row with a known target, or from the last row up to ``at``.

    Args:
        forecaster: Fitted.
        frame: Series built with the forecaster's schema.
        horizon: Steps; the forecaster's own by default.
        at: Time of the last row to use.
        future: Rows with future covariates, where the frame has none.

    Returns:
        The forecasts, with a note on the series that are left out, as they have no row to start from or too few, and
        a warning where they diverge, and so end early.

    Raises:
        DataError: No series can be forecast or reaches ``at``, holes in the lags, or future covariates that are not
            known far enough.
        TrainingError: No forecast is finite.
    """
    cutoffs, notes = last_rows(forecaster, frame, at)
    horizon = horizon or forecaster.shape.horizon
    made = forecaster.forecast(frame, cutoffs, horizon, future=future)
    lost = made.lost
    if lost.all():
        raise TrainingError(
            "the forecast is not finite from its first step on: the model diverges on these rows",
            hint="look for wild values in the last rows of the data, or train again with smaller weights "
            "(a smaller trainer.learning_rate, --normalize last)",
        )
    where = (forecaster.network, frame, cutoffs, made.time, lost)
    notes += filter(None, (_caveat_of_feedback(forecaster, horizon), caveat_of_quantiles(forecaster, horizon)))
    return Prediction(
        frame=frame,
        cutoffs=cutoffs,
        time=made.time,
        values=np.where(lost[..., None], np.nan, made.point),
        quantiles=np.where(lost[..., None, None], np.nan, made.quantiles),
        levels=forecaster.options.quantiles,
        series_id=forecaster.schema.series_id,
        targets=forecaster.schema.target_columns,
        notes=tuple(notes),
        warnings=tuple(filter(None, [warning_of_divergence(*where, "its values are left empty")])),
    )


class Ready(NamedTuple):
    """A forecaster and the data to use it on.

    Attributes:
        forecaster: With the options of the domain that were set after training.
        frame: The series.
        future: Rows with future covariates; None where there are none.
        notes: What was done to the data.
    """

    forecaster: Forecaster
    frame: Frame
    future: Frame | None
    notes: list[str]


def make_ready(
    forecaster: Forecaster, table: Table, settings: Settings, *, missing: str = "", future: Table | None = None
) -> Ready:
    """Load data for a forecaster and apply the options that were set after training: every use of one begins here.

    What was decided while reading is in the notes of the tables, and not repeated here.

    Args:
        forecaster: Fitted.
        table: What was read, of the forecaster's ``source_columns``.
        settings: The options of reading (how both tables were read) and of the domain; all others are ignored.
        missing: Another treatment of holes than in training.
        future: The file of future covariates; where there is no clock, what follows the data.

    Raises:
        UsageError: The options of the domain do not fit together, or not the data.
        DataError: A column is missing, the data has another frequency, or no row says when it is night.
    """
    read_options = settings.build(ReadOptions)
    frame, notes = read_frame(forecaster, table, read_options, missing=missing)
    ahead = None if future is None else read_future(forecaster, future, read_options)
    if ahead is not None and frame.freq.kind == "step":
        ahead, where = place_without_clock(frame, ahead)
        notes.append(where)
    how, count = missing or forecaster.schema.missing, forecaster.columns[2] - 2 * len(forecaster.schema.calendar)
    if ahead is not None and count and Missing.parse(how).how in FILLS:
        frame, ahead, done = fill_together(frame, ahead, Missing.parse(how), count)
        notes.append(f"--missing {how}, known and future rows together: {done}")
    changes = changes_of_domain(settings)
    return Ready(adjusted(forecaster, frame, **changes) if changes else forecaster, frame, ahead, notes)


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
    """Return the options of the domain that were set for this use of a forecaster, for :func:`adjusted`.

    A file of options, and the preset of a domain that it names, is for training: what the forecaster knows is more.
    """
    names = types_of(DomainOptions)
    said = {name: settings.top[name] for name in names if settings.origins.get(name) in THIS_CALL}
    preset = find_domain(said["domain"]).settings if said.get("domain") else {}
    changes = {name: value for name, value in preset.items() if name in names} | said
    chosen = make(DomainOptions, changes)
    return {name: getattr(chosen, name) for name in changes}


def adjusted(forecaster: Forecaster, frame: Frame, **changes: Any) -> Forecaster:
    """Return the forecaster with some options of the domain changed after training: floor, cap, rated, night, ...

    A night that training did not know is looked for in the rows that training saw.

    Raises:
        UsageError: The options do not fit together, or not the data.
        DataError: A night is to be found, and the data has no row that training saw.
    """
    options = replace(forecaster.options, **changes)
    check_domain(options, frame.clock, forecaster.targets)
    memory = forecaster.memory
    changed = any(getattr(options, name) != getattr(forecaster.options, name) for name in ("night", "lat", "lon"))
    if options.night == "none":
        memory = replace(memory, night=None)
    elif changed:
        memory = replace(memory, night=_night(forecaster, frame, options))
    return replace(forecaster, options=options, memory=memory)


def _night(forecaster: Forecaster, frame: Frame, options: DomainOptions) -> NightTable:
    """Return when it is night, found in the rows that training saw."""
    seen = dict(zip(forecaster.memory.series, forecaster.memory.last_seen, strict=True))
    last = np.repeat([seen.get(name, np.iinfo(np.int64).min) for name in frame.series], np.diff(frame.bounds))
    rows = (frame.time <= last) & np.isfinite(frame.observed(0))
    if not rows.any():
        raise DataError(
            "--night auto after training looks for the night in the rows that training saw, and the data has none",
            hint="add them to the data, train with --night auto, or use --night none",
        )
    return NightTable.build(frame.time[rows], frame.observed(0)[rows], options.lat, options.lon)
