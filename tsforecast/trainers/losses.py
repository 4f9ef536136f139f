"""The losses that trainers minimise, and what the steps of a window weigh in them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsforecast.ops.base import Array


def mse(difference: Array) -> Array:
    """Squared error."""
    return difference * difference


def mae(difference: Array) -> Array:
    """Absolute error."""
    return abs(difference)


def huber(difference: Array) -> Array:
    """Quadratic up to one scaled unit, linear beyond: Huber (1964)."""
    size = abs(difference)
    inner = size.clip(max=1.0)
    return inner * (size - 0.5 * inner)


LOSSES = {"mse": mse, "mae": mae, "huber": huber}


def pinball(difference: Array, tilt: Array) -> Array:
    """Twice the quantile loss of Koenker & Bassett (1978), so that the median alone has the absolute error.

    Args:
        difference: (..., Q) forecast minus target; (..., 1) for a point, which is then every quantile.
        tilt: (Q,) 1 - 2 q of every level q.
    """
    return abs(difference) + tilt * difference


def even(steps: int) -> NDArray[np.float32]:
    """Every step of the horizon counts alike: (steps,) ones."""
    return np.ones(steps, dtype=np.float32)


def near(steps: int) -> NDArray[np.float32]:
    """Near steps count more, 1 + pi/4 - arctan(h) for h = 1, 2, ..., here with a mean of 1: xPatch, AAAI 2025.

    Far steps keep a fifth of the weight of the first one. The paper multiplies forecast and truth by it: that is the
    same for mae; here it multiplies every loss.
    """
    weights: NDArray[np.float64] = 1 + np.pi / 4 - np.arctan(np.arange(1, steps + 1))
    return np.asarray(weights / weights.mean(), dtype=np.float32)


EMPHASES = {"even": even, "near": near}
