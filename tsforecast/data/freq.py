"""Spacing of time: its name, its grid, what comes next, and how to find it."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsforecast.errors import DataError, UsageError, did_you_mean

SECOND = 1_000_000
HOUR = 3_600 * SECOND
DAY = 24 * HOUR
WEEK = 7 * DAY
UNITS = {"D": DAY, "h": HOUR, "min": 60 * SECOND, "s": SECOND, "ms": 1_000, "us": 1}
MONTHS = {"MS": (1, 1), "ME": (1, 0), "QS": (3, 1), "QE": (3, 0), "YS": (12, 1), "YE": (12, 0)}  # (months, anchor)
WORDS = (("year", 12), ("month", 1), ("week", WEEK), ("day", DAY), ("hour", HOUR), ("minute", 60 * SECOND),
         ("second", SECOND), ("millisecond", 1_000), ("microsecond", 1))  # fmt: skip
OLD = {"H": "h", "T": "min", "S": "s", "L": "ms", "U": "us", "d": "D", "M": "ME", "Q": "QE", "Y": "YE", "A": "YE"}
NICE = tuple(
    n * unit
    for unit, counts in ((1_000, (1, 2, 5, 10, 20, 50, 100, 200, 500)), (SECOND, (1, 2, 5, 10, 15, 20, 30)),
                         (60 * SECOND, (1, 2, 3, 5, 10, 15, 20, 30)), (HOUR, (1, 2, 3, 4, 6, 8, 12)), (DAY, (1, 7)))
    for n in counts
)  # fmt: skip
HINT = "give --freq, or --no-time to take rows as steps"


@dataclass(frozen=True)
class Freq:
    """Spacing of time.

    Attributes:
        kind: "fixed", "month", "business" (Monday to Friday), "trading" (Monday to Friday with holidays that nobody
            knows ahead) or "step" (no clock).
        alias: Its pandas alias; "trading" and "step" have none in pandas.
        step: Microseconds when fixed, months when monthly, else 1.
        anchor: Day of the month when monthly; 0 is its last day.
    """

    kind: str
    alias: str
    step: int
    anchor: int = 1

    @classmethod
    def parse(cls, alias: str) -> Freq:
        """Read a pandas alias (``h``, ``15min``, ``W-SUN``, ``MS``, ``B``), ``trading`` or ``step``.

        Raises:
            UsageError: It is not one.
        """
        if alias in ("trading", "step"):
            return cls(alias, alias, 1)
        match = re.fullmatch(r"(\d*)([A-Za-z]+)(-[A-Z]{3})?", alias.strip())
        count = int(match.group(1) or 1) if match else 0
        unit = OLD.get(match.group(2), match.group(2)) if match else ""
        if unit == "B" and count == 1:
            return cls("business", "B", 1)
        if unit == "W" and count:
            return fixed(count * WEEK)
        if unit in UNITS and count:
            return fixed(count * UNITS[unit])
        if unit in MONTHS and count:
            months, anchor = MONTHS[unit]
            return monthly(count * months, anchor)
        known = [*UNITS, *MONTHS, "W", "B", "15min", "trading", "step"]
        raise UsageError(f"--freq '{alias}' is not a frequency", hint=did_you_mean(alias, known))

    @property
    def spacing(self) -> str:
        """The step in words: ``a month``, ``15 minutes``."""
        if self.kind not in ("fixed", "month"):
            return {"business": "a business day", "trading": "a trading day"}.get(self.kind, "a step")
        sizes = WORDS[:2] if self.kind == "month" else WORDS[2:]
        word, size = next((word, size) for word, size in sizes if self.step % size == 0)
        return f"a{'n' * (word == 'hour')} {word}" if self.step == size else f"{self.step // size} {word}s"

    def after(self, last: int, count: int) -> NDArray[np.int64]:
        """Return the ``count`` timestamps after ``last``, in microseconds."""
        ahead = np.arange(1, count + 1, dtype=np.int64)
        if self.kind in ("fixed", "step"):
            return last + ahead * self.step
        day, rest = divmod(last, DAY)
        if self.kind in ("business", "trading"):
            days = np.busday_offset(np.datetime64(day, "D"), ahead, roll="backward")
            return days.astype(np.int64) * DAY + rest
        months = _months(np.array([last]))[0] + ahead * self.step
        first = months.astype("M8[M]").astype("M8[D]").astype(np.int64)
        length = (months + 1).astype("M8[M]").astype("M8[D]").astype(np.int64) - first
        following: NDArray[np.int64] = (first + np.minimum(self.anchor or 31, length) - 1) * DAY + rest
        return following

    def ordinal(self, time: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return (N,) positions on the grid: one step later is one more. Rows of "trading" and "step" just count."""
        if self.kind == "fixed":
            return time // self.step
        if self.kind == "month":
            return _months(time) // self.step
        if self.kind == "business":
            return _business_days(time)
        return np.arange(len(time), dtype=np.int64)

    def seasons(self) -> tuple[int, ...]:
        """Return plausible season lengths in steps, shortest first; () where none is."""
        if self.kind == "month":
            return (12 // self.step,) if 12 % self.step == 0 and self.step < 12 else ()
        if self.kind in ("business", "trading"):
            return (5,)
        if self.kind == "step" or self.step > WEEK:
            return ()
        if self.step == WEEK:
            return (52,)
        if self.step == DAY:
            return (7, 365)
        lengths = [period // self.step for period in (DAY, WEEK) if period % self.step == 0]
        return tuple(length for length in lengths if 2 <= length <= 2_016)


def fixed(step: int) -> Freq:
    """Return the frequency of ``step`` microseconds."""
    unit, size = ("W", WEEK) if step % WEEK == 0 else next((u, s) for u, s in UNITS.items() if step % s == 0)
    return Freq("fixed", f"{step // size if step > size else ''}{unit}", step)


def monthly(step: int, anchor: int) -> Freq:
    """Return the frequency of ``step`` months on day ``anchor`` (0: the last)."""
    unit, size = next((u, n) for u, n in (("Y", 12), ("Q", 3), ("M", 1)) if step % n == 0)
    return Freq("month", f"{step // size if step > size else ''}{unit}{'S' if anchor else 'E'}", step, anchor)


def fit_anchor(freq: Freq, time: NDArray[np.int64]) -> Freq:
    """Return a monthly frequency with the day of the month (and so the alias) of the data; others as they are."""
    return monthly(freq.step, _anchor(time)) if freq.kind == "month" and len(time) else freq


def is_weekdays(time: NDArray[np.int64]) -> bool:
    """Tell whether no timestamp falls on a Saturday or Sunday."""
    return bool(np.all((time // DAY + 3) % 7 < 5))  # 1970-01-01 was a Thursday


def steps_of(time: NDArray[np.int64], bounds: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the differences of neighbours in time, none across a series border."""
    steps = np.diff(time)
    if len(bounds) > 2:
        inside = np.ones(len(time), dtype=np.bool_)
        inside[bounds[:-1][bounds[:-1] < len(time)]] = False
        steps = steps[inside[1:]]
    return steps


def detect_freq(time: NDArray[np.int64], bounds: NDArray[np.int64]) -> Freq:
    """Find the spacing of time by majority.

    Args:
        time: (N,) microseconds, ascending within each series.
        bounds: (S + 1,) series borders.

    Raises:
        DataError: There are too few rows, or no spacing fits most of them.
    """
    steps = steps_of(time, bounds)
    if len(steps) == 0:
        raise DataError("no series has two rows, so the spacing of time is unknown", hint=HINT)
    step = int(np.partition(steps, len(steps) // 2)[len(steps) // 2])
    share = np.count_nonzero(steps == step) / len(steps)
    if share < 0.5:
        values, counts = np.unique(steps, return_counts=True)
        step, share = int(values[counts.argmax()]), counts.max() / len(steps)
    found = None
    if step == DAY:
        found = _trading(time, steps, bounds)
    elif step >= 25 * DAY:
        found = _monthly(time, bounds)
    if found is None and step > 0:
        found = _fixed(steps, step, share)
    if found is None:
        raise DataError(f"timestamps follow no regular spacing (the most frequent step is {_say(step)})", hint=HINT)
    return found


def _fixed(steps: NDArray[np.int64], step: int, share: float) -> Freq | None:
    """Accept a step that divides most others; or a clock that jitters about a round step; or else a majority."""
    if share > 0.9 or (share > 0.2 and np.mean(steps % step == 0) > 0.9):
        return fixed(step)
    median = float(np.median(steps))
    nice = min(NICE, key=lambda n: abs(n - median))
    near = np.abs(steps - nice) < 0.25 * nice
    if abs(nice - median) < 0.1 * nice and np.mean(near) > 0.8:
        return fixed(nice)
    return fixed(step) if share > 0.5 else None


def _trading(time: NDArray[np.int64], steps: NDArray[np.int64], bounds: NDArray[np.int64]) -> Freq | None:
    """Return business or trading days when weekends, and only they, are missing week after week."""
    if not is_weekdays(time) or not np.any(steps == 3 * DAY):
        return None
    ahead = steps_of(_business_days(time), bounds)
    holes = ahead[ahead > 1]
    holidays = len(holes) > 0 and np.mean(holes <= 5) > 0.9
    return Freq("trading", "trading", 1) if holidays else Freq("business", "B", 1)


def _monthly(time: NDArray[np.int64], bounds: NDArray[np.int64]) -> Freq | None:
    """Return a monthly frequency when most rows are a whole number of months apart, on one day of the month."""
    anchor = _anchor(time)
    if anchor and np.mean(_month_days(time)[0] == anchor) < 0.9:
        return None
    months = steps_of(_months(time), bounds)
    values, counts = np.unique(months, return_counts=True)
    step = int(values[counts.argmax()])
    return monthly(step, anchor) if step > 0 and counts.max() > 0.5 * len(months) else None


def _anchor(time: NDArray[np.int64]) -> int:
    """Return the usual day of the month; 0 for the end of the month."""
    days, length = _month_days(time)
    if np.mean(days == length) > 0.9 or (np.all(days >= 25) and np.ptp(days) > 0):
        return 0
    return int(np.bincount(days).argmax())


def _month_days(time: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the day of the month, from 1, and the length of that month."""
    months = _months(time)
    first, following = (m.astype("M8[M]").astype("M8[D]").astype(np.int64) for m in (months, months + 1))
    return time // DAY - first + 1, following - first


def _months(time: NDArray[np.int64]) -> NDArray[np.int64]:
    return (time // DAY).astype("M8[D]").astype("M8[M]").astype(np.int64)


def _business_days(time: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.busday_count(np.datetime64(0, "D"), (time // DAY).astype("M8[D]")).astype(np.int64)


def _say(step: int) -> str:
    return "zero" if step <= 0 else fixed(step).alias
