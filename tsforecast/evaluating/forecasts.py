"""The forecasts of an evaluation, beside what happened and what the baselines say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsforecast.evaluating.diagnosis import Diagnosis
from tsforecast.metrics.base import Floats, Pairs, pairs


class Record(NamedTuple):
    """All that is known of one target, whether it was forecast or not; N rows, those of a series together.

    Attributes:
        time: (N,) microseconds since 1970, or step indices.
        values: (N,) NaN where unknown.
        bounds: (S + 1,) where each series begins and ends.
    """

    time: NDArray[np.int64]
    values: Floats
    bounds: NDArray[np.int64]


@dataclass(frozen=True)
class Forecasts:
    """Everything that scoring and plotting need of one target, in the units of the input. K folds, H steps, S series.

    Attributes:
        target: Name of the target; several targets are several of these.
        unit_time: Alias of the freq, for axis labels (``h``, ``15min``); without a clock the time between two rows
            (``4s``) where it is known, else ``step``.
        series: (K,) code of the series of each fold.
        series_names: S names; one empty string when there is no id column.
        cutoff: (K,) time of the last known row: microseconds since 1970, or a step index.
        time: (K, H) time of each forecast, likewise.
        is_clock: False when time is a step index.
        actual: (K, H), NaN where unknown.
        forecast: (K, H), infinite where it has diverged, NaN where there is none.
        last: (K,) last known actual at the cutoff.
        baselines: Name to (K, H) forecasts: ``naive``, ``seasonal_naive``, ``drift`` and those of the domain.
        season_length: Steps per season.
        scale: (S, 2) mean absolute and mean squared seasonal difference of the training rows (the denominators of MASE
            and RMSSE) per series, NaN where unknown.
        unlike: The series are of different orders of magnitude (that is how they were scaled), so that a mean over all
            of them in the unit of the input is that of the largest.
        rated: Rated value, the denominator of nRMSE; None: the range of the actuals.
        daylight: (K, H) True by day, for solar power; None elsewhere.
        open_loop: (K, H) each step forecast one step ahead, from true values, NaN where these are unknown; None for a
            model that feeds nothing back.
        diagnosis: What is left in the residuals one step ahead, where they were diagnosed.
        quantiles: Level, ascending, to (K, H) quantile forecasts; empty for a point forecast.
        record: All that is known of the series, to be drawn before a cutoff.
    """

    target: str
    unit_time: str
    series: NDArray[np.int64]
    series_names: tuple[str, ...]
    cutoff: NDArray[np.int64]
    time: NDArray[np.int64]
    is_clock: bool
    actual: Floats
    forecast: Floats
    last: Floats
    baselines: Mapping[str, Floats]
    season_length: int
    scale: Floats
    unlike: bool = False
    rated: float | None = None
    daylight: NDArray[np.bool_] | None = None
    open_loop: Floats | None = None
    diagnosis: Diagnosis | None = None
    quantiles: Mapping[float, Floats] = field(default_factory=dict)
    record: Record | None = None

    def pairs(self, forecast: Floats | None = None) -> Pairs:
        """Return the (K, H) pairs of the actuals with ``forecast`` (a baseline, say, which has no quantiles).

        By default with the forecast and its quantiles.
        """
        return pairs(
            self.actual,
            self.forecast if forecast is None else forecast,
            last=self.last[:, None],
            scale_abs=self.scale[self.series, 0][:, None],
            scale_sq=self.scale[self.series, 1][:, None],
            rated=self.rated,
            quantiles=self.quantiles if forecast is None else None,
        )

    def take(self, folds: NDArray[np.int64]) -> Forecasts:
        """Return these folds only, in this order."""
        return replace(
            self,
            series=self.series[folds],
            cutoff=self.cutoff[folds],
            time=self.time[folds],
            actual=self.actual[folds],
            forecast=self.forecast[folds],
            last=self.last[folds],
            baselines={name: values[folds] for name, values in self.baselines.items()},
            daylight=None if self.daylight is None else self.daylight[folds],
            open_loop=None if self.open_loop is None else self.open_loop[folds],
            quantiles={level: values[folds] for level, values in self.quantiles.items()},
        )

    def in_order(self) -> Forecasts:
        """Return the folds sorted by series and cutoff; the same object where they are already."""
        order = np.lexsort((self.cutoff, self.series))
        return self if (np.diff(order) == 1).all() else self.take(order)

    def comparable(self, unit: str = "target") -> Forecasts:
        """Return the same forecasts in units in which errors can be averaged over all series.

        Of unlike series each has its own: the denominator of MASE. Where that is not known, as of a series that
        training has not seen, or zero, as of one that was flat, it is the error of the naive forecast on the folds of
        the series; where that is zero, too, as of a series that stays flat, its mean absolute actual, or else 1: a
        wrong forecast of it counts.

        Args:
            unit: Of the metric that is averaged; only those in the unit of the ``target`` ask for it.

        Returns:
            The same object where nothing has to be done.
        """
        if not self.unlike or unit != "target":
            return self
        units = np.ones(len(self.scale))
        for known in (self._means(self.actual), self._means(self.actual - self.last[:, None]), self.scale[:, 0]):
            units = np.where(known > 0, known, units)  # the last that is known
        units = units[:, None]
        own = units[self.series]
        return replace(
            self,
            actual=self.actual / own,
            forecast=self.forecast / own,
            last=self.last / own[:, 0],
            baselines={name: values / own for name, values in self.baselines.items()},
            scale=self.scale / units ** [1, 2],
            unlike=False,
            rated=None,
            open_loop=None if self.open_loop is None else self.open_loop / own,
            quantiles={level: values / own for level, values in self.quantiles.items()},
            record=None,
        )

    def _means(self, values: Floats) -> Floats:
        """Return (S,) mean absolute values of (K, H) by series; NaN where none is known."""
        known = np.isfinite(values)
        code = np.broadcast_to(self.series[:, None], values.shape)[known]
        total = np.bincount(code, weights=np.abs(values[known]), minlength=len(self.scale))
        count = np.bincount(code, minlength=len(self.scale))
        mean: Floats = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
        return mean

    def shared_folds(self) -> int:
        """Return how many later folds begin before the targets of a fold end, at most; folds :meth:`in_order`."""
        borders = np.flatnonzero(np.diff(self.series)) + 1
        most = 0
        for cutoff, end in zip(np.split(self.cutoff, borders), np.split(self.time[:, -1], borders), strict=True):
            later = np.searchsorted(cutoff, end) - np.arange(1, len(cutoff) + 1)
            most = max(most, int(later.max(initial=0)))
        return most

    def by_row(self) -> Forecasts:
        """Return every forecast that was made as a fold of one step: K' rows in order, H = 1."""
        fold, step = np.nonzero(~np.isnan(self.forecast))

        def column(values: NDArray[Any]) -> NDArray[Any]:
            return values[fold, step][:, None]

        return replace(
            self,
            series=self.series[fold],
            cutoff=self.cutoff[fold],
            last=self.last[fold],
            time=column(self.time),
            actual=column(self.actual),
            forecast=column(self.forecast),
            baselines={name: column(values) for name, values in self.baselines.items()},
            daylight=None if self.daylight is None else column(self.daylight),
            open_loop=None if self.open_loop is None else column(self.open_loop),
            quantiles={level: column(values) for level, values in self.quantiles.items()},
        )

    def by_day(self) -> Forecasts:
        """Return the same forecasts with the actuals of the night unknown; the same object without ``daylight``."""
        if self.daylight is None:
            return self
        return replace(self, actual=np.where(self.daylight, self.actual, np.nan), daylight=None)
