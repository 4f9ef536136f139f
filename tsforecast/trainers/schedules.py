"""How the learning rate changes while training goes on; each schedule is a factor on the configured rate."""

from __future__ import annotations

import math
from collections.abc import Callable

WARM_SHARE = 0.3  # of one_cycle: Smith & Topin (2018)
PLATEAU_STEPS = 3


def constant(share: float, waiting: int) -> float:  # noqa: ARG001
    """Keep the rate."""
    return 1.0


def cosine(share: float, waiting: int) -> float:  # noqa: ARG001
    """Fall to one hundredth along half a cosine: Loshchilov & Hutter (2017), eq. 5 without restarts."""
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))


def plateau(share: float, waiting: int) -> float:  # noqa: ARG001
    """Halve the rate for every ``PLATEAU_STEPS`` steps that the validation loss has not improved."""
    return 0.5 ** (waiting // PLATEAU_STEPS)


def one_cycle(share: float, waiting: int) -> float:  # noqa: ARG001
    """Rise from 1/25 to 1 in the first 30 %, then fall to 1/10000 along a cosine: Smith & Topin (2018)."""
    if share < WARM_SHARE:
        return 0.04 + 0.96 * 0.5 * (1 - math.cos(math.pi * share / WARM_SHARE))
    return 1e-4 + (1 - 1e-4) * 0.5 * (1 + math.cos(math.pi * min((share - WARM_SHARE) / (1 - WARM_SHARE), 1.0)))


SCHEDULES: dict[str, Callable[[float, int], float]] = {
    "constant": constant,
    "cosine": cosine,
    "plateau": plateau,
    "one_cycle": one_cycle,
}
