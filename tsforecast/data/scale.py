"""Scaling of columns, fitted on training rows only, and the transform of the target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsforecast.errors import DataError

SCALERS = ("standard", "robust", "minmax", "none")

NOTHING = 1e-8  # a spread that is this part of what it is compared with, or less, is rounding
TINY = float(np.finfo(np.float32).tiny)  # float32 cannot divide by less


@dataclass(frozen=True)
class Scaler:
    """x -> (x - center) / spread, per column; constant columns (to eight digits) keep spread 1.

    Attributes:
        center: (C,) float64.
        spread: (C,) float64, positive.
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

    def apply(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scale (..., C) values to a new float32 array."""
        out = values - self.center.astype(np.float32)
        out /= self.spread.astype(np.float32)
        return out

    def invert(self, values: NDArray[np.float32], columns: slice) -> NDArray[np.float64]:
        """Bring (..., T) forecasts of the given columns back to data units, in float64."""
        return values * self.spread[columns] + self.center[columns]


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


def transform(values: NDArray[np.float32], kind: str, names: tuple[str, ...]) -> NDArray[np.float32]:
    """Apply the transform of the target: ``none``, or ``log`` (cumulative log returns, once windows are normalised).

    Args:
        values: (N, T) target columns.
        kind: ``none`` or ``log``.
        names: T names, for the error.

    Raises:
        DataError: ``log`` of a value that is not positive.
    """
    if kind == "none":
        return values
    for c, name in enumerate(names):
        bad = np.flatnonzero(values[:, c] <= 0)
        if len(bad):
            raise DataError(
                f"column '{name}': {values[bad[0], c]:g} has no logarithm ({len(bad)} rows are not positive)",
                hint="use --transform none, or another --domain",
            )
    return np.log(values.astype(np.float64)).astype(np.float32)


def untransform(values: NDArray[np.float64], kind: str) -> NDArray[np.float64]:
    """Undo :func:`transform`; the forecast of a logarithm becomes the median of the value."""
    return np.exp(values) if kind == "log" else values
