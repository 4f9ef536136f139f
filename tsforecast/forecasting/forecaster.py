"""A fitted forecaster: what it remembers, and forecasting with NumPy alone, from any row of any series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsforecast.data.build import Schema, calendar_values
from tsforecast.data.clock import Clock
from tsforecast.data.frame import Frame
from tsforecast.data.freq import Freq
from tsforecast.data.scale import Scaler, transform, untransform
from tsforecast.data.window import Tables, WindowIndex, tables
from tsforecast.errors import DataError
from tsforecast.forecasting.ahead import Ahead, fill_from
from tsforecast.forecasting.intervals import Margins
from tsforecast.forecasting.memory import Memory
from tsforecast.forecasting.networks import build_network
from tsforecast.forecasting.outputs import InUnits, Scaled
from tsforecast.forecasting.shape import Shape
from tsforecast.models.base import Dims, FloatArray, Inputs, Network
from tsforecast.models.normalize import roll_out
from tsforecast.models.shrunk import WEIGHT
from tsforecast.ops.numpy_ops import NumpyOps
from tsforecast.options import FitOptions

Floating = NDArray[np.floating[Any]]

CHUNK = 1024  # windows per forward pass


@dataclass(frozen=True)
class Forecaster:
    """A network with its parameters and everything needed to turn rows into forecasts in the user's units.

    Attributes:
        options: What was asked for. What was left open and chosen from the data is filled in: horizon, lags, season
            length, cycles, scaling; trainer and patience, too. Only what model and machine decide may still be open.
        model_options: Options of the model, complete.
        trainer_options: Options of the trainer, complete.
        shape: Sizes of a window.
        schema: The columns.
        freq: Spacing of time.
        clock: How the training data wrote time.
        scaler: Of all columns but the static ones, fitted on train.
        static_scaler: Of the static covariates.
        params: Parameters of the network with all its layers.
        memory: What is known of the training rows.
        history: One record per training step.
        margins: What conformal intervals add to the forecast, if ``--intervals`` asked for it.
    """

    options: FitOptions
    model_options: Mapping[str, Any]
    trainer_options: Mapping[str, Any]
    shape: Shape
    schema: Schema
    freq: Freq
    clock: Clock
    scaler: Scaler
    static_scaler: Scaler
    params: Mapping[str, FloatArray]
    memory: Memory
    history: Sequence[Mapping[str, float]] = field(default=())
    margins: Margins | None = None

    @property
    def targets(self) -> int:
        """T."""
        return len(self.schema.target_columns)

    @property
    def columns(self) -> tuple[int, int, int]:
        """T, P and F."""
        return self.targets, len(self.schema.past_columns), len(self.schema.future_columns)

    @property
    def source_columns(self) -> tuple[str, ...]:
        """Columns of the input that are needed."""
        return (*self.clock.columns, *self.schema.used)

    @cached_property
    def network(self) -> Network:
        """The network with all layers that the options ask for."""
        return build_network(self.options, self.model_options, self.dims, self.shape.base)

    def undrawn(self) -> Forecaster:
        """Return the forecaster whose forecasts are the network's own, not drawn towards a baseline."""
        if not self.shape.base:
            return self
        params = {name: value for name, value in self.params.items() if name != WEIGHT}
        return replace(self, params=params, shape=replace(self.shape, base=""))

    @property
    def dims(self) -> Dims:
        """Sizes the network was made for."""
        targets, past, future = self.columns
        return Dims(
            lags=self.shape.lags,
            horizon=self.shape.horizon,
            targets=targets,
            past=past,
            future=future,
            static=len(self.static_scaler.center),
            season_length=self.shape.season_length,
            lag_set=self.shape.lag_set,
            levels=self.shape.levels,
            cycle=self.shape.cycle,
            series=len(self.memory.series),
        )

    def scaler_of(self, frame: Frame, cutoffs: NDArray[np.int64] | None = None) -> Scaler:
        """Return the scaler of the series of a frame, one for each if each has its own.

        A series that training has not seen is measured on its own rows: up to the first of its cutoffs (K,) if there
        are any, so that no forecast knows what comes after it.
        """
        if not self.scaler.per_series:
            return self.scaler
        until = frame.bounds[1:].copy()
        if cutoffs is not None:
            np.minimum.at(until, frame.series_of(cutoffs), cutoffs + 1)
        known = (np.arange(len(frame.time)) < np.repeat(until, np.diff(frame.bounds))) & ~frame.peeks
        values = transformed(frame, self.options.transform, self.targets)
        return self.scaler.adapted(self._known(frame), values, self.options.scaler, frame.bounds, known, self.targets)

    def tables(self, frame: Frame, scaler: Scaler | None = None) -> Tables:
        """Return the frame's columns transformed, scaled (by its own scaler unless one is given) and sorted by role."""
        targets, past, _ = self.columns
        values = transformed(frame, self.options.transform, targets)
        values = (scaler or self.scaler_of(frame)).apply_each(values, np.diff(frame.bounds))
        static = self.static_scaler.apply(frame.static)
        return tables(frame, values, static, targets, past, period=self.shape.period, known=self._known(frame))

    def _known(self, frame: Frame) -> NDArray[np.int64]:
        """Return (S,) the number of each series of a frame among those of training; -1 for a new one."""
        codes = {name: code for code, name in enumerate(self.memory.series)}
        return np.array([codes.get(name, -1) for name in frame.series], dtype=np.int64)

    def complete(self, frame: Frame, cutoffs: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return whether the lags that end at each cutoff row hold no gap and nothing missing, see :meth:`index`."""
        starts = cutoffs - self.shape.lags + 1
        series = frame.series_of(cutoffs)
        inside = starts >= frame.bounds[series]
        out = inside.copy()
        out[inside] = self.index(frame).complete(starts[inside], self.shape.lags, 0)
        return out

    def index(self, frame: Frame) -> WindowIndex:
        """Return the windows of a frame; what the transform of the target has no value for is missing."""
        return WindowIndex(
            replace(frame, values=transformed(frame, self.options.transform, self.targets)), self.columns
        )

    def forecast(
        self,
        frame: Frame,
        cutoffs: NDArray[np.int64],
        horizon: int,
        *,
        future: Frame | None = None,
        since: NDArray[np.int64] | None = None,
    ) -> InUnits:
        """Forecast what follows given rows, in the units of the data; arguments as in :meth:`outputs`."""
        return self.finish(self.outputs(frame, cutoffs, horizon, future=future, since=since))

    @np.errstate(over="ignore", invalid="ignore")
    def finish(self, made: Scaled, margins: NDArray[np.float64] | None = None) -> InUnits:
        """Return outputs in the units of the data, the quantiles with their margins added and in order.

        Args:
            made: From :meth:`outputs`.
            margins: (K, H, T, n), in scaled units; those that were measured in training, if any, by default.
        """
        levels, middle = self.options.quantiles, made.values[..., self.dims.middle]
        base = middle[..., None] + self.distances(made)
        if margins is None and self.margins is not None:
            margins = self.margins.at(made.known, middle.shape[1])
        if margins is not None:
            base = base + margins
        rank = np.argsort(np.argsort(levels))  # the lowest value belongs to the lowest level, wherever it stands
        ordered = np.moveaxis(np.sort(base, axis=-1)[..., rank], -1, 0) if levels else base.transpose(3, 0, 1, 2)
        point = self.to_units(middle, made.time, made.scaler)
        quantiles = self.to_units(ordered, made.time, made.scaler)
        return InUnits.of(made, point, np.moveaxis(quantiles, 0, -1))

    def distances(self, made: Scaled) -> NDArray[np.float64]:
        """Return (K, H, T, n) output of each requested level minus point; 0 for those that the network has not."""
        own, middle = self.shape.levels, self.dims.middle
        places = [own.index(level) if level in own else middle for level in self.options.quantiles]
        values = made.values.astype(np.float64)
        return np.asarray(values[..., places] - values[..., middle, None])

    def residuals(self, frame: Frame, rows: NDArray[np.int64], made: Scaled) -> NDArray[np.float64]:
        """Return actual minus point (K, H, T) in scaled units.

        NaN where the actual is not known or the transform has no value for it, and by night, when nothing is left to
        chance.

        Args:
            frame: The series.
            rows: (K, H) rows of the forecasts' times; -1 for none.
            made: The outputs.
        """
        observed = np.stack([frame.observed(t) for t in range(self.targets)], axis=1)
        actual = transform(observed.astype(np.float32), self.options.transform)[rows]
        scaled = made.scaler.columns(slice(0, self.targets)).apply(actual).astype(np.float64)
        hidden = rows < 0
        if self.memory.night is not None:
            hidden = hidden | self.memory.night.at(made.time)
        scaled[hidden] = np.nan
        return np.asarray(scaled - made.values[..., self.dims.middle])

    @np.errstate(over="ignore", invalid="ignore")  # a forecast that is fed back may diverge: who reads it says so
    def outputs(
        self,
        frame: Frame,
        cutoffs: NDArray[np.int64],
        horizon: int,
        *,
        future: Frame | None = None,
        since: NDArray[np.int64] | None = None,
    ) -> Scaled:
        """Return what the network says about what follows given rows.

        Args:
            frame: The series, built with this forecaster's schema.
            cutoffs: (K,) row numbers of the last known rows; the lags up to there must be complete.
            horizon: Steps; more than the network forecasts at once are reached by recursion.
            future: Rows after the cutoffs with future covariates, where the frame itself has none.
            since: (K,) first rows that may be looked at. Lags before them see that row, and the mean that future
                covariates have over the horizon: a neutral guess at what drove the system to where it was.

        Raises:
            DataError: Future covariates are not known far enough.
        """
        block = 1 if self.network.free_running else self.network.block
        ahead = Ahead(frame, cutoffs, -(-horizon // block) * block)  # the last block is computed whole, then cut off
        time = ahead.time()
        self._check_series(frame, ahead.series)
        scaler = self.scaler_of(frame, cutoffs)
        covariates = self._future_covariates(frame, ahead, time, future, horizon, scaler.of(ahead.series))
        time = time[:, :horizon]
        scaled = self.tables(frame, scaler)
        lags = np.arange(1 - self.shape.lags, 1)
        first_known = np.zeros(len(cutoffs), np.int64) if since is None else since
        out = np.empty((len(cutoffs), horizon, self.targets, self.dims.quantiles), dtype=np.float32)
        for first in range(0, len(cutoffs), CHUNK):
            part = slice(first, first + CHUNK)
            last = scaled.cut(cutoffs[part], np.arange(1), np.arange(0))
            wanted = cutoffs[part, None] + lags
            rows = np.maximum(wanted, first_known[part, None])
            behind = scaled.covariates[rows]
            usual = covariates[part].mean(axis=1, keepdims=True)
            before = (wanted < first_known[part, None])[..., None]
            behind[..., scaled.past :] = np.where(before, usual, behind[..., scaled.past :])
            inputs = Inputs(**last).replace(
                past_target=scaled.target[rows], past_covariates=behind, future_covariates=covariates[part]
            )
            out[part] = roll_out(NumpyOps(), self.network, dict(self.params), inputs, horizon)
        return Scaled(time, out, self._known(frame)[ahead.series], scaler.of(ahead.series))

    def to_units(self, scaled: Floating, time: NDArray[np.int64], scaler: Scaler) -> NDArray[np.float64]:
        """Undo scaling and transform of (..., K, H, T) at times (K, H), then keep to what is physically possible.

        The scaler is that of the K rows' series: ``scaler_of(frame).of(series)``.
        """
        values = untransform(scaler.invert(scaled, slice(0, self.targets)), self.options.transform)
        high = min((x for x in (self.options.cap, self.options.rated) if x is not None), default=None)
        if self.options.floor is not None or high is not None:
            values = np.clip(values, self.options.floor, high)
        if self.memory.night is not None:
            values[..., self.memory.night.at(time), :] = 0.0
        return values

    def _future_covariates(
        self, frame: Frame, ahead: Ahead, time: NDArray[np.int64], future: Frame | None, needed: int, scaler: Scaler
    ) -> NDArray[np.float32]:
        """Return scaled future covariates (K, H, F): from rows of the frame, from ``future``, or from the clock.

        Beyond the first ``needed`` steps, where they may be unknown, the last known ones are held.
        """
        targets, past, count = self.columns
        values = np.full((*time.shape, count), np.nan, dtype=np.float32)
        if count:
            known = ahead.rows >= 0
            values[known] = frame.values[ahead.rows[known], targets + past :]
            if future is not None:
                fill_from(future, frame.series, ahead.series, time, values)
            names = self.schema.calendar
            if names:
                columns = 2 * len(names)
                values[..., -columns:] = calendar_values(self.clock, self.freq, time.ravel(), names).reshape(
                    *time.shape, -1
                )
            self._check_known(frame, ahead, time[:, :needed], values[:, :needed])
            for step in range(needed, values.shape[1]):
                unknown = ~np.isfinite(values[:, step])
                values[:, step][unknown] = values[:, step - 1][unknown]
        return scaler.columns(slice(targets + past, None)).apply(values)

    def _check_series(self, frame: Frame, series: NDArray[np.int64]) -> None:
        new = np.unique(series[self._known(frame)[series] < 0])
        if len(new) and self.options.local:
            more = f" (and {len(new) - 1} more)" if len(new) > 1 else ""
            raise DataError(
                f"series '{frame.series[new[0]]}'{more} is new: the model has one network per series of its training",
                hint="leave it out, or train one network for all series, without --local",
            )

    def _check_known(self, frame: Frame, ahead: Ahead, time: NDArray[np.int64], values: NDArray[np.float32]) -> None:
        missing = np.argwhere(~np.isfinite(values))
        if not len(missing):
            return
        fold, step, column = (int(x) for x in missing[0])
        name = self.schema.future_columns[column]
        series = frame.series[ahead.series[fold]]
        what = f"future covariate '{name}'" + (f" of series '{series}'" if series else "")
        holes = ~np.isfinite(values[fold, :, column])
        need, lack = self.clock.text(int(time[fold, -1])), self.clock.text(int(time[fold, step]))
        if holes[step:].all():
            raise DataError(
                f"{what} is needed until {need} and missing from {lack} on",
                hint="add rows with the covariate to the data, or give them with --future-data FILE",
            )
        count = np.count_nonzero(holes)
        more = f" (and {count - 1} more)" if count > 1 else ""
        also = f", and add rows until {need}" if holes[-1] else ""
        raise DataError(f"{what} is missing at {lack}{more}", hint=f"fill holes with --missing interpolate{also}")


def transformed(frame: Frame, kind: str, targets: int) -> NDArray[np.float32]:
    """Return the frame's values with the transform of the target applied (the values themselves when there is none).

    Where it has no value for a target that is NaN.
    """
    if kind == "none":
        return frame.values
    values = frame.values.copy()
    values[:, :targets] = transform(values[:, :targets], kind)
    return values
