"""Choices made from the data when the user makes none: season length, learned cycles, horizon and lags.

The season length, by which seasonal naive repeats and MASE divides, is the strongest season that the training rows
confirm (``data/seasons.py``); 1, so that seasonal naive is naive, where they are long enough to show the usual seasons
of the frequency and show none; the shortest usual one where they are too short to tell. Horizon and lags go by the
shortest usual season of the frequency whether it is confirmed or not: a forecast of hourly data is for a day, of daily
data for a week. Without a clock they go by the season that was found.
"""

from __future__ import annotations

import math

from tsforecast.data.frame import Frame
from tsforecast.data.seasons import Seasons, find_seasons, main_season
from tsforecast.data.split import Split
from tsforecast.data.window import WindowIndex
from tsforecast.errors import DataError, UsageError
from tsforecast.forecasting.shape import Shape
from tsforecast.lag_sets import parse_delays
from tsforecast.options import FitOptions

FALLBACK_HORIZON = 12
LAG_SEASONS, FEW_SEASONS = 14, 7  # a fortnight of days where the season is a day, a week where rows are few
LAG_TIMES = 30  # training rows per lag for the longer window
KEPT = 0.75  # share of the windows that a longer one must leave
MOST_LAGS = 672
MOST_SHARE = 6  # the horizon takes at most this fraction of the training rows
CYCLE_TIMES = 10  # a table of values per step of a cycle needs to see each of them this often
MOST_CYCLE_ROWS = 2_048  # of all tables together
MOST_PERIOD = 2**31 - 1  # the positions of rows are kept in 32 bits


def choose_shape(
    options: FitOptions, frame: Frame, cut: Split, columns: tuple[int, int, int], seasons: Seasons | None = None
) -> Shape:
    """Fill in what the user left open.

    Args:
        options: What the user said.
        frame: The series.
        cut: Which rows are for training.
        columns: T, P and F.
        seasons: From :func:`look`, if known.

    Raises:
        UsageError: The lags are not a set of positive delays, or the cycles no lengths.
        DataError: Too few rows for the window that was asked for.
    """
    train_rows = int((cut.valid - cut.start).max())
    seasons = seasons or look(options, frame, cut)
    usual = [s for s in frame.freq.seasons() if 3 * s <= train_rows]
    season = options.season_length or main_season(seasons, usual)
    rhythm = options.season_length or (usual[0] if usual else season)
    horizon = options.horizon or _horizon(rhythm, train_rows)
    if options.lags:
        lag_set = parse_delays(options.lags)
        if lag_set[0] < 1:
            raise UsageError(
                f"--lags {options.lags}: the newest lag is 1", hint="0 would be the value that is forecast"
            )
    else:
        few, many = (_lags(rhythm, horizon, train_rows, seasons=n) for n in (FEW_SEASONS, LAG_SEASONS))
        affordable = LAG_TIMES * many <= train_rows and _keeps(frame, cut, columns, few, many, horizon)
        lag_set = tuple(range(1, (many if affordable else few) + 1))
    lags = lag_set[-1]
    if lags + horizon > train_rows:
        raise DataError(
            f"{train_rows} training rows are too few for lags {lags} + horizon {horizon} = {lags + horizon}",
            hint="use smaller --lags or --horizon, or a smaller --valid or --test",
        )
    return Shape(horizon, lags, lag_set, season, _cycle(options.cycle, frame, seasons, train_rows, season))


def look(options: FitOptions, frame: Frame, cut: Split) -> Seasons:
    """Return what the training rows say about seasons; nothing where nothing that is left open depends on it."""
    if options.season_length and options.cycle != "auto":
        return Seasons((), ())
    return find_seasons(frame, cut)


def explain(options: FitOptions, shape: Shape, seasons: Seasons) -> str:
    """Return one line on what was chosen for options that the user left open; empty if nothing was."""
    said = []
    if not options.season_length:
        lengths = " and ".join(map(str, seasons.lengths))
        said.append(f"season {lengths}" if lengths else "no season" if shape.season_length == 1 else "")
    if options.cycle == "auto":
        said.append("cycle " + (",".join(map(str, shape.cycle)) or "none"))
    said += ["" if options.horizon else f"horizon {shape.horizon}", "" if options.lags else f"lags {shape.lags}"]
    return f"chosen from the data: {', '.join(filter(None, said))}" if any(said) else ""


def _cycle(wanted: str, frame: Frame, seasons: Seasons, train_rows: int, season: int) -> tuple[int, ...]:
    """Return the lengths of the learned cycles.

    Raises:
        UsageError: Not lengths, longer than the training rows, without a common multiple that can be counted to, or the
            data has no clock to tell where in a cycle a row is.
    """
    if wanted == "none":
        return ()
    lengths = () if wanted == "auto" else parse_lengths(wanted)
    if frame.freq.kind in ("step", "trading"):
        if wanted == "auto":
            return ()
        what = "a learned cycle needs a clock that says where in the cycle a row is"
        raise UsageError(f"--cycle {wanted}: {what}", hint="leave --cycle away, or give --time and --freq")
    if lengths and max(lengths) > train_rows:
        what = f"{train_rows} training rows do not show a whole cycle of {max(lengths)} steps"
        raise UsageError(f"--cycle {wanted}: {what}", hint="write --cycle auto for those that they show")
    if math.lcm(season, *lengths) > MOST_PERIOD:
        what = f"together with the season of {season} they repeat too rarely to count"
        raise UsageError(f"--cycle {wanted}: {what}", hint="give fewer lengths, 24,168")
    for length in seasons.lengths if wanted == "auto" else ():
        fits = sum(lengths) + length <= MOST_CYCLE_ROWS and math.lcm(season, length, *lengths) <= MOST_PERIOD
        if CYCLE_TIMES * length <= train_rows and fits:
            lengths = (*lengths, length)
    return lengths


def parse_lengths(text: str) -> tuple[int, ...]:
    """Read the lengths of cycles: ``24`` or ``24,168``.

    Raises:
        UsageError: Not whole numbers above 1.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) > 1 for part in parts):
        raise UsageError(f"--cycle {text}: not lengths of cycles", hint="write 24 or 24,168, auto or none")
    return tuple(dict.fromkeys(int(part) for part in parts))


def _horizon(season: int, train_rows: int) -> int:
    wanted = season if season > 1 else FALLBACK_HORIZON
    return max(1, min(wanted, 144, train_rows // MOST_SHARE))


def _lags(rhythm: int, horizon: int, train_rows: int, *, seasons: int) -> int:
    most = MOST_LAGS * seasons // LAG_SEASONS
    wanted = min(max(seasons * rhythm, 2 * horizon), most)
    wanted = max(wanted, min(2 * rhythm, train_rows // 3))
    return max(1, min(wanted, max(train_rows // 3, 2), train_rows - horizon))


def _keeps(frame: Frame, cut: Split, columns: tuple[int, int, int], few: int, many: int, horizon: int) -> bool:
    """Tell whether gaps and short series leave most windows complete with many lags that are complete with few."""
    index = WindowIndex(frame, columns)
    return all(
        len(index.starts(cut, part, many, horizon)) >= KEPT * len(index.starts(cut, part, few, horizon))
        for part in ("train", "valid")
    )
