"""Which quantile levels a training is to forecast: who learns them, and whether the validation windows reach them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from tsforecast.errors import UsageError
from tsforecast.options import FitOptions

USUAL = (0.05, 0.95)  # levels of conformal intervals when none are given


def resolve(options: FitOptions, point_only: str, notes: list[str]) -> tuple[FitOptions, tuple[float, ...]]:
    """Return the options with the levels that are forecast, and the levels that the network itself learns.

    Args:
        options: What the user said, with the trainer's name.
        point_only: Why that trainer can only train a point forecast, with its options; empty where it can train levels.
        notes: Gets a line when levels are chosen here.

    Raises:
        UsageError: A level is named twice, or there is no way to train the levels.
    """
    conformal = options.intervals == "conformal"
    if not options.quantiles:
        if not conformal:
            return options, ()
        notes.append("--intervals conformal: quantile levels 0.05 and 0.95, a 90 % interval (--quantiles for others)")
        return replace(options, quantiles=USUAL), ()
    if len(set(options.quantiles)) < len(options.quantiles):
        raise UsageError("--quantiles names a level twice", hint="write each level once: --quantiles 0.1,0.9")
    if not point_only and options.loss == "mae":
        return options, tuple(sorted({*options.quantiles, 0.5}))
    if conformal:
        return options, ()
    if point_only:
        what = f"trainer '{options.trainer}' cannot train --quantiles: {point_only}"
        another = "" if options.trainer == "none" else ", or --trainer backprop"
        raise UsageError(what, hint=f"put intervals around the point with --intervals conformal{another}")
    raise UsageError(
        f"--quantiles train by their own loss, not by --loss {options.loss}",
        hint="use --loss mae, or put intervals around the point with --intervals conformal",
    )


def blind(options: FitOptions, levels: tuple[float, ...], block: int, horizon: int) -> str:
    """Say what the quantiles of a network are worth that forecasts fewer steps at once than are asked for."""
    if not levels or block >= horizon or options.intervals == "conformal":
        return ""
    ahead = f"{block} steps" if block > 1 else "one step"
    return (
        f"the network learns quantiles {ahead} ahead: further ahead they do not know the error of what is fed back and "
        "are too narrow (--intervals conformal measures it)"
    )


def needed_windows(levels: Sequence[float]) -> int:
    """Return how many residuals it takes for the outermost level to have a rank among them."""
    edge = min(min(level, 1 - level) for level in levels)
    return math.ceil(round((1 - edge) / edge, 6))


def check_windows(options: FitOptions, windows: int) -> None:
    """Refuse levels further out than the residuals of so many validation windows reach.

    Raises:
        UsageError: There are too few windows.
    """
    if options.intervals != "conformal":
        return
    level = max(options.quantiles, key=lambda level: abs(level - 0.5))
    needed = needed_windows(options.quantiles)
    if windows < needed:
        raise UsageError(
            f"--intervals conformal: the level {level:g} needs {needed} validation windows, there are {windows}",
            hint="give more rows to --valid, or choose --quantiles nearer to 0.5",
        )
