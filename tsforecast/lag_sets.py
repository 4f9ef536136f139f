"""Sets of delays, as the user writes them: ``12``, or ``1:24,168``."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from tsforecast.errors import UsageError


def parse_delays(text: str, name: str = "lags") -> tuple[int, ...]:
    """Read a set of delays: ``12`` is 1..12, ``1:24,168`` is 1..24 and 168.

    Args:
        text: What the user wrote.
        name: Name of the option, for the error.

    Raises:
        UsageError: Not whole numbers, negative, or a range that runs backwards.
    """
    if text.strip().isdecimal() and int(text) > 0:
        return tuple(range(1, int(text) + 1))
    delays: set[int] = set()
    for part in text.split(","):
        first, _, last = part.strip().partition(":")
        try:
            low, high = int(first), int(last or first)
        except ValueError:
            low, high = 1, 0
        if low > high or low < 0:
            hint = "write 24 (the last 24 steps) or 1:24,168"
            raise UsageError(f"{name}: '{text}' is not a set of delays", hint=hint)
        delays.update(range(low, high + 1))
    return tuple(sorted(delays))


def write_delays(delays: Sequence[int]) -> str:
    """Return a short text that :func:`parse_delays` reads as these ascending delays."""
    runs = [[d for _, d in run] for _, run in itertools.groupby(enumerate(delays), lambda pair: pair[1] - pair[0])]
    return ",".join(f"{run[0]}:{run[-1]}" if len(run) > 1 or len(delays) == 1 else f"{run[0]}" for run in runs)
