"""A fitted forecaster: what it remembers, and forecasting with NumPy alone, from any row of any series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsforecast.config import make
from tsforecast.data.build import Schema, calendar_values
from tsforecast.data.clock import Clock
from tsforecast.data.frame import Frame
from tsforecast.data.freq import Freq
from tsforecast.data.scale import Scaler, transform, untransform
from tsforecast.data.window import Tables, WindowIndex, positions, tables
from tsforecast.defaults import Shape
from tsforecast.errors import DataError
from tsforecast.memory import Memory
from tsforecast.models.base import Dims, FloatArray, Inputs, Network, make_network
from tsforecast.models.channels import Independent, single_channel
from tsforecast.models.cycle import Cycled
from tsforecast.models.normalize import Normalized, roll_out
from tsforecast.ops.numpy_ops import NumpyOps
from tsforecast.options import FitOptions
from tsforecast.registry import MODELS

CHUNK = 1024  # windows per forward pass


@dataclass(frozen=True)
class Forecaster:
    """A network with its parameters and everything needed to turn rows into forecasts in the user's units.

    Attributes:
        options: What was asked for, resolved.
        model_options: Options of the model, complete.
        trainer_options: Options of the trainer, complete.
        shape: Sizes of a window.
        schema: The columns.
        freq: Spacing of time.
        clock: How the training data wrote time.
        scaler: Fitted on train.
        params: Parameters of the normalised network.
        memory: What is known of the training rows.
        history: One record per training step.
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
        """The network inside its window normalisation."""
        return build_network(self.options, self.model_options, self.dims)

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
            levels=self.levels,
            cycle=self.shape.cycle,
        )

    @property
    def levels(self) -> tuple[float, ...]:
        """Quantile levels that the network itself forecasts, ascending, 0.5 among them; empty for a point forecast."""
        return tuple(sorted({*self.options.quantiles, 0.5})) if self.options.quantiles else ()

    def tables(self, frame: Frame) -> Tables:
        """Return the frame's columns transformed, scaled and sorted by role."""
        targets, past, _ = self.columns
        values = self.scaler.apply(transformed(frame, self.options.transform, targets))
        static = self.static_scaler.apply(frame.static)
        return tables(frame, values, static, targets, past, period=self.shape.period, known=self._known(frame))

    def _known(self, frame: Frame) -> NDArray[np.int64]:
        """Return (S,) the number of each series of a frame among those of training; -1 for a new one."""
        codes = {name: code for code, name in enumerate(self.memory.series)}
        return np.array([codes.get(name, -1) for name in frame.series], dtype=np.int64)

    def complete(self, frame: Frame, cutoffs: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return whether the lags that end at each cutoff row hold no missing value and no gap."""
        starts = cutoffs - self.shape.lags + 1
        series = frame.series_of(cutoffs)
        inside = starts >= frame.bounds[series]
        out = inside.copy()
        out[inside] = WindowIndex(frame, self.columns).complete(starts[inside], self.shape.lags, 0)
        return out

    def forecast(
        self,
        frame: Frame,
        cutoffs: NDArray[np.int64],
        horizon: int,
        *,
        future: Frame | None = None,
        since: NDArray[np.int64] | None = None,
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Forecast what follows given rows.

        Args:
            frame: The series, built with this forecaster's schema.
            cutoffs: (K,) row numbers of the last known rows; the lags up to there must be complete.
            horizon: Steps; more than the network forecasts at once are reached by recursion.
            future: Rows after the cutoffs with future covariates, where the frame itself has none.
            since: (K,) first rows that may be looked at. Lags before them see that row, and the mean that future
                covariates have over the horizon: a neutral guess at what drove the system to where it was.

        Returns:
            Times (K, horizon) and forecasts (K, horizon, T) in the units of the data.

        Raises:
            DataError: Future covariates are not known far enough.
        """
        block = 1 if self.network.free_running else self.network.block
        ahead = Ahead(frame, cutoffs, -(-horizon // block) * block)  # the last block is computed whole, then cut off
        time = ahead.time()
        covariates = self._future_covariates(frame, ahead, time, future, horizon)
        time = time[:, :horizon]
        scaled = self.tables(frame)
        lags = np.arange(1 - self.shape.lags, 1)
        first_known = np.zeros(len(cutoffs), np.int64) if since is None else since
        out = np.empty((len(cutoffs), horizon, self.targets), dtype=np.float32)
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
            out[part] = roll_out(NumpyOps(), self.network, dict(self.params), inputs, horizon)[..., 0]
        return time, self.to_units(out, time)

    def to_units(self, scaled: FloatArray, time: NDArray[np.int64]) -> NDArray[np.float64]:
        """Undo scaling and transform of (..., K, H, T) at times (K, H), then keep to what is physically possible."""
        values = untransform(self.scaler.invert(scaled, slice(0, self.targets)), self.options.transform)
        high = min((x for x in (self.options.cap, self.options.rated) if x is not None), default=None)
        if self.options.floor is not None or high is not None:
            values = np.clip(values, self.options.floor, high)
        if self.memory.night is not None:
            values[..., self.memory.night.at(time), :] = 0.0
        return values

    def _future_covariates(
        self, frame: Frame, ahead: Ahead, time: NDArray[np.int64], future: Frame | None, needed: int
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
                _fill_from(future, frame.series, ahead.series, time, values)
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
        own = Scaler(self.scaler.center[targets + past :], self.scaler.spread[targets + past :])
        return own.apply(values)

    def _check_known(self, frame: Frame, ahead: Ahead, time: NDArray[np.int64], values: NDArray[np.float32]) -> None:
        missing = np.argwhere(~np.isfinite(values))
        if not len(missing):
            return
        fold, step, column = (int(x) for x in missing[0])
        name = self.schema.future_columns[column]
        series = frame.series[ahead.series[fold]]
        where = f" of series '{series}'" if series else ""
        need, lack = self._written(time[fold, -1]), self._written(time[fold, step])
        raise DataError(
            f"future covariate '{name}'{where} is needed until {need} and missing from {lack} on",
            hint="add rows with the covariate to the data, or give them with --future-data FILE",
        )

    def _written(self, moment: int) -> str:
        cells = self.clock.write(np.array([moment], dtype=np.int64)).values()
        return " ".join(str(cell[0]) for cell in cells)


class Ahead:
    """The grid positions after given rows: which rows of the frame lie there, and at what times.

    Args:
        frame: The series.
        cutoffs: (K,) row numbers.
        horizon: H.
    """

    def __init__(self, frame: Frame, cutoffs: NDArray[np.int64], horizon: int) -> None:
        self.frame, self.cutoffs, self.horizon = frame, cutoffs, horizon
        self.series = frame.series_of(cutoffs)

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """(K, H) row of the frame at each step ahead; -1 where the frame has none (a gap, or past its end)."""
        return rows_at(self.frame, self.cutoffs, np.arange(1, self.horizon + 1))

    def time(self) -> NDArray[np.int64]:
        """(K, H) times ahead."""
        frame, freq = self.frame, self.frame.freq
        origin = frame.time[self.cutoffs]
        if freq.kind == "fixed":
            return origin[:, None] + freq.step * np.arange(1, self.horizon + 1)
        out = np.where(self.rows >= 0, frame.time[self.rows], 0)
        for k in np.flatnonzero((self.rows < 0).any(axis=1)):
            out[k] = self._continued(self.rows[k], out[k], int(origin[k]))
        return out

    def _continued(self, rows: NDArray[np.int64], time: NDArray[np.int64], origin: int) -> NDArray[np.int64]:
        """Fill in the times after the last known row of one fold."""
        known = int((rows >= 0).argmin()) if (rows < 0).any() else len(rows)
        last = int(time[known - 1]) if known else origin
        return np.concatenate((time[:known], self.frame.freq.after(last, len(rows) - known)))


def rows_at(frame: Frame, origins: NDArray[np.int64], steps: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (K, n) rows that lie given numbers of steps from (K,) rows on the time grid; -1 where there is none."""
    place = positions(frame)
    series = frame.series_of(origins)
    out = np.full((len(origins), len(steps)), -1, dtype=np.int64)
    for s in np.unique(series):
        chosen = np.flatnonzero(series == s)
        first, last = frame.bounds[s], frame.bounds[s + 1]
        own = place[first:last]
        wanted = place[origins[chosen]][:, None] + steps
        found = np.minimum(np.searchsorted(own, wanted), len(own) - 1)
        out[chosen] = np.where(own[found] == wanted, first + found, -1)
    return out


def _fill_from(
    future: Frame,
    names: Sequence[str],
    series: NDArray[np.int64],
    time: NDArray[np.int64],
    values: NDArray[np.float32],
) -> None:
    """Put the values of the future rows into ``values`` (K, H, F), by series name and time."""
    codes = {name: s for s, name in enumerate(future.series)}
    for k, s in enumerate(series):
        code = codes.get(names[s])
        if code is None:
            continue
        first, last = future.bounds[code], future.bounds[code + 1]
        own = future.time[first:last]
        found = np.minimum(np.searchsorted(own, time[k]), len(own) - 1)
        hit = own[found] == time[k]
        values[k, hit] = future.values[first + found[hit]][:, : values.shape[2]]


def build_network(options: FitOptions, model_options: Mapping[str, Any], dims: Dims) -> Network:
    """Return the network that options describe, inside its window normalisation."""
    cls = MODELS.get(options.model)
    config = make(cls.Config, model_options, "model")
    mixed = options.channels == "mixed" or (cls.mixes and not options.channels)
    if dims.targets > 1 and not mixed:
        single = make_network(options.model, config, single_channel(dims, options.embedding))
        network: Network = Independent(single, dims, options.embedding)
    else:
        network = make_network(options.model, config, dims)
    if dims.cycle:
        network = Cycled(network)
    return Normalized(network, options.normalize)


def transformed(frame: Frame, kind: str, targets: int) -> NDArray[np.float32]:
    """Return the frame's values with the transform of the target applied (the values themselves when there is none)."""
    if kind == "none":
        return frame.values
    values = frame.values.copy()
    values[:, :targets] = transform(values[:, :targets], kind, frame.columns[:targets])
    return values
