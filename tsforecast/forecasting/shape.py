"""The sizes of a window, resolved."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """Sizes of a window, resolved.

    Attributes:
        horizon: H.
        lags: L.
        lag_set: The lags that count, ascending; all of 1..L unless a set was given.
        season_length: Steps per season; 1 if there is none.
        cycle: Lengths of the learned cycles, in steps.
        levels: Quantile levels that the network itself forecasts, ascending, 0.5 among them; empty for a point.
        base: The baseline that forecasts are drawn towards; empty for none. It is known after training.
    """

    horizon: int
    lags: int
    lag_set: tuple[int, ...]
    season_length: int
    cycle: tuple[int, ...] = ()
    levels: tuple[float, ...] = ()
    base: str = ""

    @property
    def period(self) -> int:
        """A common multiple of everything that repeats: positions on the time grid are counted modulo this."""
        return math.lcm(self.season_length, *self.cycle)
