"""Where forecasts start: the last known row of every series, with everything behind it that the model looks at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tsforecast.data.frame import Frame
from tsforecast.data.table import listed
from tsforecast.errors import DataError
from tsforecast.forecasting.forecaster import Forecaster, transformed

Rows = NDArray[np.int64]


def last_rows(forecaster: Forecaster, frame: Frame, at: int | None) -> tuple[Rows, list[str]]:
    """Return the row that each series is forecast from, and notes on the series that are left out.

    A series without a known target or with fewer rows than the model looks back is left out: nobody can mend that.

    Args:
        forecaster: Fitted.
        frame: Series built with its schema.
        at: Time of the last row to use; the last row with a known target by default.

    Returns:
        (K,) rows, and the notes.

    Raises:
        DataError: No series can be forecast, all end before ``at``, or there are holes in the lags.
    """
    early = _early(frame, at)
    cutoffs, without = _with_target(forecaster, frame, at)
    cutoffs, short = _with_history(forecaster, frame, cutoffs)
    _check_lags(forecaster, frame, cutoffs)
    named = [frame.series[s] for s in frame.series_of(cutoffs) if s in early]
    return cutoffs, [note for note in (_from_own_last(named), without, short) if note]


def _early(frame: Frame, at: int | None) -> set[int]:
    """Return which series end a step or more before a time that was asked for; refuse it where all do."""
    ends = frame.bounds[1:][np.diff(frame.bounds) > 0] - 1
    if at is None or not len(ends):
        return set()
    early = ends[[int(frame.freq.after(int(last), 1)[0]) <= at for last in frame.time[ends]]]
    if len(early) == len(ends):
        last = frame.clock.text(int(frame.time[ends].max()))
        raise DataError(
            f"--at {frame.clock.text(at)} is beyond the data, whose last row is at {last}",
            hint="choose a time up to there, or leave --at away to forecast from the last row",
        )
    return set(frame.series_of(early).tolist())


def _from_own_last(names: Sequence[str]) -> str:
    """Say which series do not reach the time of ``--at``; empty where all do."""
    if len(names) == 1:
        return f"series {names[0]} ends before the time of --at: forecast from its own last row"
    what = f"{len(names)} series ({listed(names)}) end before the time of --at: forecast from their own last rows"
    return what if names else ""


def _with_target(forecaster: Forecaster, frame: Frame, at: int | None) -> tuple[Rows, str]:
    """Return the last row with known targets of each series that has one, up to a time, and a note on the others."""
    known = np.all([np.isfinite(frame.observed(t)) for t in range(forecaster.targets)], axis=0) & ~frame.peeks
    if at is not None:
        known &= frame.time <= at
    rows, without = [], []
    for name, first, end in zip(frame.series, frame.bounds[:-1], frame.bounds[1:], strict=True):
        found = np.flatnonzero(known[first:end])
        if len(found):
            rows.append(int(first + found[-1]))
        else:
            without.append(name)
    values = f"a value of {' and '.join(map(repr, forecaster.schema.target_columns))}"
    if at is None:
        lacking, hint = f"row with {values}", "check the columns of the data"
    else:
        lacking, hint = f"row at or before the time of --at with {values}", "choose a later time"
    if not rows:
        raise DataError(f"no series has a {lacking}", hint=hint)
    return np.array(rows, dtype=np.int64), _left_out(without, lacking)


def _left_out(names: Sequence[str], lacking: str) -> str:
    """Say which series are not forecast, for want of what; empty where all are."""
    if len(names) == 1:
        return f"series {names[0]} has no {lacking}: left out"
    return f"{len(names)} series ({listed(names)}) have no {lacking}: left out" if names else ""


def _with_history(forecaster: Forecaster, frame: Frame, cutoffs: Rows) -> tuple[Rows, str]:
    """Return the cutoffs with as many rows behind them as the model looks back, and a note on the others.

    Raises:
        DataError: There is none.
    """
    lags, series = forecaster.shape.lags, frame.series_of(cutoffs)
    rows = cutoffs + 1 - frame.bounds[series]
    short = np.flatnonzero(rows < lags)
    if not len(short):
        return cutoffs, ""
    needed = f"the model looks back {lags} steps"
    if len(short) < len(cutoffs):
        names = [f"{frame.series[series[k]]}: {rows[k]}" for k in short]
        if len(names) == 1:
            note = (
                f"series {frame.series[series[short[0]]]} has {rows[short[0]]} rows of history, and {needed}: left out"
            )
        else:
            note = f"{len(names)} series have too few rows of history ({listed(names)}), as {needed}: left out"
        return np.delete(cutoffs, short), note
    first = frame.series[series[0]]
    name = f"series '{first}': " if first else ""
    more = f" (and {len(short) - 1} more series)" if len(short) > 1 else ""
    raise DataError(
        f"{name}{rows[0]} rows of history, and {needed}{more}",
        hint="give more history",
    )


def _check_lags(forecaster: Forecaster, frame: Frame, cutoffs: Rows) -> None:
    """Refuse to forecast from holes, and say which series lacks what."""
    bad = np.flatnonzero(~forecaster.complete(frame, cutoffs))
    if not len(bad):
        return
    cutoff, lags = int(cutoffs[bad[0]]), forecaster.shape.lags
    s = int(frame.series_of(cutoffs[bad[:1]])[0])
    name = f"series '{frame.series[s]}': " if frame.series[s] else ""
    more = f" (and {len(bad) - 1} more series)" if len(bad) > 1 else ""
    what, remedy = _hole(forecaster, frame, slice(cutoff + 1 - lags, cutoff + 1))
    raise DataError(
        f"{name}{what}, within the {lags} steps that the model looks back{more}",
        hint=f"{remedy}, or forecast from an earlier row with --at",
    )


def _hole(forecaster: Forecaster, frame: Frame, rows: slice) -> tuple[str, str]:
    """Say what is wrong with the first row of a window that has anything wrong, and what to do about it."""
    values = transformed(frame, forecaster.options.transform, forecaster.targets)[rows]
    found = np.argwhere(~np.isfinite(values))
    if not len(found):
        return "there is a gap in time", "fill gaps with --missing interpolate"
    row, column = int(rows.start + found[0, 0]), int(found[0, 1])
    when = frame.clock.text(int(frame.time[row]))
    value = frame.values[row, column]
    if np.isfinite(value):
        what = f"'{frame.columns[column]}' is {value:g} at {when} and has no logarithm"
        return what, "empty the cell and fill it with --missing interpolate, train with --transform none"
    return f"'{frame.columns[column]}' is missing at {when}", "fill holes with --missing interpolate"
