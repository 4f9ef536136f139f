"""What a forecaster gives: forecasts in data units, and the scaled ones of its network before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsforecast.data.scale import Scaler
from tsforecast.models.base import FloatArray


@dataclass(frozen=True)
class InUnits:
    """Forecasts from K cutoffs over H steps of T targets, in data units.

    Attributes:
        time: (K, H).
        point: (K, H, T).
        quantiles: (K, H, T, n), n levels in the order that they were asked for; n = 0 without quantiles.
    """

    time: NDArray[np.int64]
    point: NDArray[np.float64]
    quantiles: NDArray[np.float64]


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
