"""What a forecaster gives: forecasts in data units, and the scaled ones of its network before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsforecast.data.scale import Scaler
from tsforecast.models.base import FloatArray

LARGEST = np.finfo(np.float32).max  # a network computes no larger number, and none is printed


@dataclass(frozen=True)
class InUnits:
    """Forecasts from K cutoffs over H steps of T targets, in data units; infinite where they are lost.

    Attributes:
        time: (K, H).
        point: (K, H, T).
        quantiles: (K, H, T, n), n levels in the order that they were asked for; n = 0 without quantiles.
    """

    time: NDArray[np.int64]
    point: NDArray[np.float64]
    quantiles: NDArray[np.float64]

    @classmethod
    def of(cls, made: Scaled, point: NDArray[np.float64], quantiles: NDArray[np.float64]) -> InUnits:
        """Return forecasts that end at the first step where they, or the outputs they come from, are no number.

        What follows was forecast from it, and limits of the domain, which may hide it, make no forecast of it.
        """
        sound = np.isfinite(made.values).all(axis=(2, 3))
        for numbers in (point, *np.moveaxis(quantiles, -1, 0)):
            sound &= (np.abs(numbers) <= LARGEST).all(axis=2)
        lost = np.logical_or.accumulate(~sound, axis=1)
        if not lost.any():
            return cls(made.time, point, quantiles)
        point, quantiles = (np.where(lost[(..., *[None] * (a.ndim - 2))], np.inf, a) for a in (point, quantiles))
        return cls(made.time, point, quantiles)

    @property
    def lost(self) -> NDArray[np.bool_]:
        """(K, H) True where the forecast has diverged."""
        return np.asarray(np.isinf(self.point).any(axis=2))


@dataclass(frozen=True)
class Scaled:
    """The same as the network gives them, in scaled units.

    Attributes:
        time: (K, H).
        values: (K, H, T, Q).
        known: (K,) number of the series among those of training; -1 for a new one.
        scaler: That of the K series.
    """

    time: NDArray[np.int64]
    values: FloatArray
    known: NDArray[np.int64]
    scaler: Scaler
