"""Scaling of columns, of all series together or of each by itself, and the transform of the target.

Whatever is measured is measured on training rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SCALERS = ("standard", "robust", "minmax", "none")

NOTHING = 1e-8  # a spread that is this part of what it is compared with, or less, is rounding
TINY = float(np.finfo(np.float32).tiny)  # float32 cannot divide by less
APART = 10.0  # series whose levels or spreads differ by more than this factor are scaled each by itself


@dataclass(frozen=True)
class Scaler:
    """x -> (x - center) / spread, per column; constant columns (to eight digits) keep spread 1.

    Attributes:
        center: (C,) float64, one for all series; or (S, C), each series has its own.
        spread: Likewise, positive.
    """

    center: NDArray[np.float64]
    spread: NDArray[np.float64]

    @classmethod
    def fit(cls, values: NDArray[np.float32], kind: str) -> Scaler:
        """Measure the columns.

        Args:
            values: (N, C) training rows, NaN where missing.
            kind: ``standard`` (mean, standard deviation), ``robust`` (median, interquartile range / 1.349), ``minmax``
                (to 0..1) or ``none``.
        """
        columns = [_measure(values[:, c], kind) for c in range(values.shape[1])]
        center, spread = np.array(columns, dtype=np.float64).reshape(-1, 2).T
        return cls(center, spread)

    @classmethod
    def fit_each(
        cls, values: NDArray[np.float32], kind: str, bounds: NDArray[np.int64], counted: NDArray[np.bool_], targets: int
    ) -> Scaler:
        """Measure the columns of every series by itself.

        Covariates that lie between -1 and 1 (flags, shares, sines of the calendar) are measured over all series: they
        mean the same in each. So is a column in a series where it has no known row.

        Args:
            values: (N, C) rows of all series.
            kind: As in :meth:`fit`.
            bounds: (S + 1,) where each series begins and ends.
            counted: (N,) the rows that may be looked at.
            targets: T, the first columns, which are always measured in each series.
        """
        every = cls.fit(values[counted], kind)
        count = len(bounds) - 1
        center, spread = np.tile(every.center, (count, 1)), np.tile(every.spread, (count, 1))
        for c in range(values.shape[1]):
            column = np.where(counted, values[:, c], np.float32(np.nan))
            if c >= targets and not np.nanmax(np.abs(column), initial=0) > 1:
                continue
            known = np.isfinite(column)
            places = np.concatenate(([0], np.cumsum(known)))[bounds]
            column = column[known]
            for s in np.flatnonzero(np.diff(places)):
                center[s, c], spread[s, c] = _measure(column[places[s] : places[s + 1]], kind)
        return cls(center, spread)

    @property
    def per_series(self) -> bool:
        """Whether every series has its own."""
        return self.center.ndim == 2

    def of(self, series: NDArray[np.int64]) -> Scaler:
        """Return the scaler of (K,) series, whose arrays (K, 1, C) fit windows (K, n, C)."""
        return Scaler(self.center[series, None], self.spread[series, None]) if self.per_series else self

    def adapted(
        self,
        codes: NDArray[np.int64],
        values: NDArray[np.float32],
        kind: str,
        bounds: NDArray[np.int64],
        counted: NDArray[np.bool_],
        targets: int,
    ) -> Scaler:
        """Return the scaler of other series: what is known of them, or else what their own rows say.

        Args:
            codes: (S,) number of each series among those of this scaler; -1 for a new one.
            values: (N, C) rows of all these series.
            kind: As in :meth:`fit`.
            bounds: (S + 1,) where each series begins and ends.
            counted: (N,) the rows that may be looked at.
            targets: T; covariates that all known series share a scale of have it in a new one, too.
        """
        out, new = Scaler(self.center[codes], self.spread[codes]), codes < 0
        if new.any():
            counted = counted & np.repeat(new, np.diff(bounds))
            own = Scaler.fit_each(values, kind, bounds, counted, targets)
            shared = np.ptp(self.center, axis=0) + np.ptp(self.spread, axis=0) == 0
            shared[:targets] = False
            out.center[new] = np.where(shared, self.center[0], own.center[new])
            out.spread[new] = np.where(shared, self.spread[0], own.spread[new])
        return out

    def columns(self, chosen: slice) -> Scaler:
        """Return the scaler of some of the columns."""
        return Scaler(self.center[..., chosen], self.spread[..., chosen])

    def apply_each(self, values: NDArray[np.float32], lengths: NDArray[np.int64]) -> NDArray[np.float32]:
        """Scale the (N, C) rows of all series, of which each has so many (S,), to a new float32 array."""
        if not self.per_series:
            return self.apply(values)
        out = values - np.repeat(self.center.astype(np.float32), lengths, axis=0)
        out /= np.repeat(self.spread.astype(np.float32), lengths, axis=0)
        return out

    def apply(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scale (..., C) values to a new float32 array."""
        out = values - self.center.astype(np.float32)
        out /= self.spread.astype(np.float32)
        return out

    def invert(self, values: NDArray[np.float32], columns: slice) -> NDArray[np.float64]:
        """Bring (..., T) forecasts of the given columns back to data units, in float64."""
        return values * self.spread[..., columns] + self.center[..., columns]


def choose_scaler(
    values: NDArray[np.float32], bounds: NDArray[np.int64], train: NDArray[np.bool_], targets: int, kind: str, by: str
) -> Scaler:
    """Measure training rows, over all series or in each.

    Args:
        values: (N, C) rows of all series.
        bounds: (S + 1,) where each series begins and ends.
        train: (N,) the rows that may be looked at.
        targets: T.
        kind: As in :meth:`Scaler.fit`.
        by: ``column``, ``series``, or empty: by series if the targets of the series are of different orders of
            magnitude, so that of those scaled together the small ones would be flat lines.
    """
    if by != "series" and (by == "column" or kind == "none" or len(bounds) == 2):
        return Scaler.fit(values[train], kind)
    scaler = Scaler.fit_each(values, kind, bounds, train, targets)
    if by == "series" or _differ(scaler.columns(slice(0, targets))):
        return scaler
    return Scaler.fit(values[train], kind)


def _differ(scaler: Scaler) -> bool:
    """Return whether the middle four fifths of the series differ much in spread, or in level for their spread."""
    narrow, low = (np.quantile(x, 0.1, axis=0, method="lower") for x in (scaler.spread, scaler.center))
    wide, high = (np.quantile(x, 0.9, axis=0, method="higher") for x in (scaler.spread, scaler.center))
    return bool(((wide > APART * narrow) | (high - low > APART * np.median(scaler.spread, axis=0))).any())


def _measure(column: NDArray[np.float32], kind: str) -> tuple[float, float]:
    known = column[np.isfinite(column)]
    if kind == "none" or not len(known):
        return 0.0, 1.0
    if kind == "standard":
        center, spread = float(known.mean(dtype=np.float64)), float(known.std(dtype=np.float64))
    elif kind == "robust":
        low, center, high = (float(q) for q in np.quantile(known, (0.25, 0.5, 0.75)))
        spread = (high - low) / 1.349  # the interquartile range of a normal distribution is 1.349 deviations
        deviation = float(known.std(dtype=np.float64))
        if spread <= NOTHING * deviation:  # half the values are the same: rain, the sun at night
            spread = deviation
    else:
        center, spread = float(known.min()), float(known.max()) - float(known.min())
    return center, spread if spread > max(NOTHING * abs(center), TINY) else 1.0


def transform(values: NDArray[np.float32], kind: str) -> NDArray[np.float32]:
    """Apply the transform of the target: ``none``, or ``log`` (cumulative log returns, once windows are normalised).

    Args:
        values: (N, T) target columns, NaN where missing.
        kind: ``none`` or ``log``.

    Returns:
        (N, T); NaN also where a value is not positive and has no logarithm: what needs it is refused or left out, as
        where a value is missing.
    """
    if kind == "none":
        return values
    return np.log(np.where(values > 0, values, np.nan).astype(np.float64)).astype(np.float32)


def untransform(values: NDArray[np.float64], kind: str) -> NDArray[np.float64]:
    """Undo :func:`transform`; the forecast of a logarithm becomes the median of the value."""
    return np.exp(values) if kind == "log" else values
