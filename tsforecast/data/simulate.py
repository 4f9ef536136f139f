"""What simulated data is made of: random sequences that are the same on every platform, and memory."""

from __future__ import annotations

from itertools import accumulate
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BURN_IN = 12  # memories simulated before the first value, so that the start is as good as the rest


class Noise:
    """Named, mutually independent random sequences; a longer one begins with the shorter one.

    Only the raw bits of PCG64 are taken from NumPy: they are the part whose stream NEP 19 promises to keep, so a seed
    gives the same data under every release.

    Args:
        seed: Not negative.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def uniform(self, name: str, count: int) -> Floats:
        """(count,) values in [0, 1)."""
        bits = np.random.PCG64([self._seed, crc32(name.encode())]).random_raw(count)
        return np.asarray((bits >> np.uint64(11)) * 2.0**-53, dtype=np.float64)

    def normal(self, name: str, count: int) -> Floats:
        """(count,) standard normal values.

        Source: G. E. P. Box & M. E. Muller, Ann. Math. Statist. 29 (1958) 610.
        """
        pairs = self.uniform(name, 2 * count).reshape(count, 2)
        radius = np.sqrt(-2.0 * np.log(1.0 - pairs[:, 0]))
        return np.asarray(radius * np.cos(2.0 * np.pi * pairs[:, 1]), dtype=np.float64)

    def student(self, name: str, count: int, freedom: int) -> Floats:
        """(count,) values of Student's t, scaled to unit variance; ``freedom`` > 2."""
        normal = self.normal(name, count * (freedom + 1)).reshape(count, freedom + 1)
        chi_square = np.sum(normal[:, 1:] ** 2, axis=1)
        return np.asarray(normal[:, 0] * np.sqrt((freedom - 2) / chi_square), dtype=np.float64)

    def rough(self, name: str, count: int, memory: float) -> Floats:
        """(count,) unit-variance AR(1) values whose correlation falls to 1/e within ``memory`` steps."""
        decay = float(np.exp(-1.0 / memory))
        burn = int(BURN_IN * memory)
        shocks = np.sqrt(1.0 - decay**2) * self.normal(name, burn + count)
        return remember(shocks, decay)[burn:]

    def smooth(self, name: str, count: int, memory: float) -> Floats:
        """(count,) unit-variance AR(2) values with a double root at exp(-1 / memory): no sudden turns."""
        decay = float(np.exp(-1.0 / memory))
        burn = int(BURN_IN * memory)
        shocks = np.sqrt((1.0 - decay**2) ** 3 / (1.0 + decay**2)) * self.normal(name, burn + count)
        return remember(remember(shocks, decay), decay)[burn:]

    def spells(self, name: str, count: int, *, every: int, longest: int) -> NDArray[np.bool_]:
        """(count,) True during one spell of 1 to ``longest`` steps placed at random in each ``every`` steps."""
        blocks = -(-count // every)
        draws = self.uniform(name, 2 * blocks).reshape(blocks, 2)
        length = 1 + (draws[:, 1] * longest).astype(np.int64)
        start = np.arange(blocks) * every + (draws[:, 0] * (every - longest)).astype(np.int64)
        step = np.arange(count)
        block = step // every
        return np.asarray((step >= start[block]) & (step < (start + length)[block]), dtype=np.bool_)


def remember(values: Floats, decay: float) -> Floats:
    """y_t = decay * y_{t-1} + x_t, shape (N,), started at x_0."""
    return np.fromiter(accumulate(values.tolist(), lambda kept, new: decay * kept + new), np.float64, len(values))


def lagged(values: Floats, memory: float) -> Floats:
    """Exponentially weighted mean of the last ``memory`` steps, shape (N,), started at its first value."""
    decay = float(np.exp(-1.0 / memory))
    return np.asarray(remember((values - values[0]) * (1.0 - decay), decay) + values[0])
