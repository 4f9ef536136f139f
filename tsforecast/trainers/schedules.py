"""How the learning rate changes while training goes on; each schedule is a factor on the configured rate."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

WARM_SHARE = 0.3  # of one_cycle: Smith & Topin (2018)
PLATEAU_STEPS = 3


class Reached(NamedTuple):
    """How far training has come.

    Attributes:
        share: Of its steps, or of its time budget, that is spent: 0 to 1, a little more at the very end.
        step: The step (epoch) under way: 1, 2, ...
        plateaus: Times that the validation loss has not improved for ``PLATEAU_STEPS`` steps.
    """

    share: float
    step: int
    plateaus: int


def constant(reached: Reached) -> float:  # noqa: ARG001
    """Keep the rate."""
    return 1.0


def cosine(reached: Reached) -> float:
    """Fall to one hundredth along half a cosine: Loshchilov & Hutter (2017), eq. 5 without restarts."""
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(reached.share, 1.0)))


def plateau(reached: Reached) -> float:
    """Halve the rate, for good, whenever the validation loss has not improved for ``PLATEAU_STEPS`` steps."""
    return 0.5**reached.plateaus


def one_cycle(reached: Reached) -> float:
    """Rise from 1/25 to 1 in the first 30 %, then fall to 1/10000 along a cosine: Smith & Topin (2018)."""
    share = reached.share
    if share < WARM_SHARE:
        return 0.04 + 0.96 * 0.5 * (1 - math.cos(math.pi * share / WARM_SHARE))
    return 1e-4 + (1 - 1e-4) * 0.5 * (1 + math.cos(math.pi * min((share - WARM_SHARE) / (1 - WARM_SHARE), 1.0)))


def step_decay(reached: Reached) -> float:
    """Step 1 at 1/25 of the rate, steps 2 to 4 at the rate, then 0.8 times as much in every step.

    What the published training loop of SegRNN (Lin et al. 2023) and CycleNet (Lin et al. 2024) does: its first
    epoch runs at the starting rate of a one-cycle schedule that is never stepped.
    """
    return 0.04 if reached.step == 1 else 0.8 ** max(0, reached.step - 4)


def sigmoid(reached: Reached) -> float:
    """Rise around step 10, fall ten times as slowly around step 100: Stitsyuk & Choi, xPatch, AAAI 2025."""
    rise, fall = 0.5 * (reached.step - 10), 0.05 * (reached.step - 100)
    return 1 / (1 + math.exp(-rise)) - 1 / (1 + math.exp(-fall))


SCHEDULES: dict[str, Callable[[Reached], float]] = {
    "constant": constant,
    "cosine": cosine,
    "plateau": plateau,
    "one_cycle": one_cycle,
    "step_decay": step_decay,
    "sigmoid": sigmoid,
}
