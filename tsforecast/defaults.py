"""Choices made from the data when the user makes none: horizon, lags and season length."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tsforecast.config import parse_delays
from tsforecast.data.frame import Frame
from tsforecast.errors import DataError, UsageError
from tsforecast.options import FitOptions

FALLBACK_HORIZON = 12
LAG_SEASONS = 7  # a week of days, where the season is a day
MOST_LAGS = 336
MOST_SHARE = 6  # the horizon takes at most this fraction of the training rows


@dataclass(frozen=True)
class Shape:
    """Sizes of a window, resolved.

    Attributes:
        horizon: H.
        lags: L.
        lag_set: The lags that count, ascending; all of 1..L unless a set was given.
        season_length: Steps per season; 1 if there is none.
        cycle: Lengths of the learned cycles, in steps.
    """

    horizon: int
    lags: int
    lag_set: tuple[int, ...]
    season_length: int
    cycle: tuple[int, ...] = ()

    @property
    def period(self) -> int:
        """A common multiple of everything that repeats: positions on the time grid are counted modulo this."""
        return math.lcm(self.season_length, *self.cycle)


def choose_shape(options: FitOptions, frame: Frame, train_rows: int) -> Shape:
    """Fill in what the user left open.

    Args:
        options: What the user said.
        frame: The series.
        train_rows: Rows of the longest training part.

    Raises:
        UsageError: The lags are not a set of positive delays.
        DataError: Too few rows for the window that was asked for.
    """
    season = options.season_length or _season(frame, train_rows)
    horizon = options.horizon or _horizon(season, train_rows)
    if options.lags:
        lag_set = parse_delays(options.lags)
        if lag_set[0] < 1:
            raise UsageError(
                f"--lags {options.lags}: the newest lag is 1", hint="0 would be the value that is forecast"
            )
    else:
        lag_set = tuple(range(1, _lags(season, horizon, train_rows) + 1))
    lags = lag_set[-1]
    if lags + horizon > train_rows:
        raise DataError(
            f"{train_rows} training rows are too few for lags {lags} + horizon {horizon} = {lags + horizon}",
            hint="use smaller --lags or --horizon, or a smaller --valid or --test",
        )
    return Shape(horizon, lags, lag_set, season, _cycle(options.cycle, frame, season))


def _cycle(wanted: str, frame: Frame, season: int) -> tuple[int, ...]:
    """Return the lengths of the learned cycles.

    Raises:
        UsageError: Not lengths, or the data has no clock to tell where in a cycle a row is.
    """
    if wanted == "none":
        return ()
    lengths = (season,) if wanted == "auto" else parse_lengths(wanted)
    if frame.freq.kind in ("step", "trading"):
        what = "a learned cycle needs a clock that says where in the cycle a row is"
        raise UsageError(f"--cycle {wanted}: {what}", hint="leave --cycle away, or give --time and --freq")
    return tuple(length for length in lengths if length > 1)


def parse_lengths(text: str) -> tuple[int, ...]:
    """Read the lengths of cycles: ``24`` or ``24,168``.

    Raises:
        UsageError: Not whole numbers above 1.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) > 1 for part in parts):
        raise UsageError(f"--cycle {text}: not lengths of cycles", hint="write 24 or 24,168, auto or none")
    return tuple(int(part) for part in parts)


def _season(frame: Frame, train_rows: int) -> int:
    """Return the shortest usual season of the frequency that fits three times into the training rows."""
    fitting = [s for s in frame.freq.seasons() if 3 * s <= train_rows]
    return fitting[0] if fitting else 1


def _horizon(season: int, train_rows: int) -> int:
    wanted = season if season > 1 else FALLBACK_HORIZON
    return max(1, min(wanted, 144, train_rows // MOST_SHARE))


def _lags(season: int, horizon: int, train_rows: int) -> int:
    wanted = min(max(LAG_SEASONS * season, 2 * horizon), MOST_LAGS)
    wanted = max(wanted, min(2 * season, train_rows // 3))
    most = max(train_rows // 3, 2)
    return max(1, min(wanted, most, train_rows - horizon))
