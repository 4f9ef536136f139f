"""Reading columns as time: typed by Arrow, texts, several columns joined, or numbers since 1970."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsforecast.data import arrow, timestyle
from tsforecast.data.clock import EPOCH_UNITS, Clock
from tsforecast.data.columns import counts_time, name_score, part_of
from tsforecast.data.freq import detect_freq
from tsforecast.data.table import Table, listed
from tsforecast.errors import DataError
from tsforecast.options import ReadOptions

SAMPLE = 100
PLAUSIBLE = (631_152_000, 4_102_444_800)  # 1990 to 2100, in seconds


@dataclass(frozen=True)
class Reading:
    """One way to read the time of a table.

    Attributes:
        clock: Which columns, and how they are written.
        time: (N,) microseconds.
        ok: (N,) bool; which rows could be read.
        doubt: 1 for numbers that are time only by their name.
    """

    clock: Clock
    time: NDArray[np.int64]
    ok: NDArray[np.bool_]
    doubt: int = 0


def sample(table: Table, name: str) -> list[str]:
    """Return the first texts of a column, as they stand in the input when that is known."""
    if name in table.samples:
        return table.samples[name][:SAMPLE]
    return [str(value) for value in table.column(name).slice(0, SAMPLE).to_pylist() if value is not None]


def guess_formats(texts: list[str]) -> list[str]:
    """Return the formats that read all texts, else (one of them must be wrong) those that read the first."""
    found = timestyle.find_formats(texts) or timestyle.find_formats(texts[:1])
    if not found and texts and texts[0].isdigit() and len(texts[0]) in timestyle.COMPACT:
        return [timestyle.COMPACT[len(texts[0])]]
    return found


def read_columns(table: Table, names: Sequence[str], options: ReadOptions) -> Reading | None:
    """Read some columns as time; None when they are not.

    Raises:
        DataError: Day and month cannot be told apart.
    """
    if len(names) > 1:
        return _read_joined(table, names, options)
    column = table.column(names[0])
    if arrow.is_time(column):
        return _read_typed(table, names[0])
    if arrow.is_number(column) and not options.date_format:
        return _read_number(table, names[0])
    formats = [options.date_format] if options.date_format else guess_formats(sample(table, names[0]))
    return _read_text(table, names, column, formats, options)


def _read_typed(table: Table, name: str) -> Reading:
    """Take a column that is time already; the style is that of the first texts, if they are known."""
    column = table.column(name)
    time, ok = arrow.microseconds(column), ~arrow.nulls(column)
    known = guess_formats(table.samples.get(name, []))
    format = known[0] if known else "%Y-%m-%d"
    units = (("f", 1), ("S", 10**6), ("M", timestyle.MINUTE))
    finest = next((unit for directive, unit in units if directive in format[9:]), timestyle.DAY)
    if finest > arrow.resolution(column) and np.any(time % finest):
        mark = "T" if "T" in format else " "
        seconds = mark + ("%H:%M:%S.%6f" if np.any(time % 10**6) else "%H:%M:%S")
        format = "%Y-%m-%d" + seconds + ("%z" if "%z" in format else "")
    zone, offset = _zone_of_type(table, name, column.type, time)
    if zone and "%z" not in format:
        format += "%z" if "%H" in format else " 00:00%z"
    return Reading(Clock((name,), (format,), (False,), zone, offset), time, ok)


def _zone_of_type(table: Table, name: str, kind: Any, time: NDArray[np.int64]) -> tuple[str, int]:
    tz = getattr(kind, "tz", None)
    if tz is None:
        return "", 0
    if name in table.samples or tz in ("UTC", "Z", "+00:00"):
        return _zone_text(table.samples[name][0]) if table.samples.get(name) else "Z", 0
    from datetime import UTC, datetime
    from zoneinfo import ZoneInfo

    if tz[0] in "+-":
        return tz, timestyle.zone_minutes(tz)
    offset = datetime.fromtimestamp(int(time.max()) // 10**6, UTC).astimezone(ZoneInfo(tz)).utcoffset()
    return "+00:00", int(offset.total_seconds() // 60) if offset else 0


def _zone_text(text: str) -> str:
    match = re.search(r"(Z|UTC|GMT|[+-]\d{2}(:?\d{2})?)\s*$", text)
    return match.group(1) if match else ""


def _read_text(
    table: Table, names: Sequence[str], texts: Any, formats: list[str], options: ReadOptions
) -> Reading | None:
    """Read texts in one of ``formats``; day and month are told apart over the whole column."""
    import pyarrow as pa

    if not formats:
        return None
    texts = texts.cast(pa.string()) if str(texts.type) != "string" else texts
    if options.dayfirst is not None and len(formats) > 1:
        formats = [f for f in formats if _is_day_first(f) == options.dayfirst] or formats
    tried = [(format, *timestyle.parse(texts, format)) for format in formats]
    most = max(int(ok.sum()) for _, _, ok, _ in tried)
    tried = [t for t in tried if t[2].sum() == most]
    if any(not np.array_equal(t[1], tried[0][1]) for t in tried[1:]):
        tried = _regular(table, names, tried)
    format, time, ok, hour_24 = tried[0]
    zone, offset = "", 0
    if "%z" in format and ok.any():
        zone = _zone_text(texts[int(np.where(ok, time, np.iinfo(np.int64).min).argmax())].as_py())
        offset = timestyle.zone_minutes(zone)
    numeric = tuple(arrow.is_number(table.column(name)) for name in names)
    clock = Clock(tuple(names), _split(format, table, names), numeric, zone, offset, hour_24)
    return Reading(clock, time, ok)


def _is_day_first(format: str) -> bool:
    return format.replace("-", "").find("%d") < format.replace("-", "").find("%m")


def _regular(table: Table, names: Sequence[str], tried: list[Any]) -> list[Any]:
    """Return the one reading under which the steps are regular.

    Raises:
        DataError: None is, or several are.
    """
    scored = sorted(((_irregularity(time[ok]), i) for i, (_, time, ok, _) in enumerate(tried)))
    if scored[0][0] < 0.5 * scored[1][0]:
        return [tried[scored[0][1]]]
    first = " ".join(sample(table, name)[0] for name in names)
    raise DataError(
        f"{table.name}: column {listed(names)}: '{first}' may be day first or month first",
        hint="say --dayfirst, --no-dayfirst or --date-format",
    )


def _irregularity(time: NDArray[np.int64]) -> float:
    """Return the share of steps that are not the usual one; 1 when there is no usual one."""
    stamps = np.unique(time)
    try:
        freq = detect_freq(stamps, np.array([0, len(stamps)]))
    except DataError:
        return 1.0
    return float(np.mean(np.diff(freq.ordinal(stamps)) != 1))


def _split(format: str, table: Table, names: Sequence[str]) -> tuple[str, ...]:
    """Cut the format of joined columns into one per column; a column may itself hold blanks."""
    words = format.split(" ")
    formats = []
    for name in names[:-1]:
        count = sample(table, name)[0].strip().count(" ") + 1
        formats.append(" ".join(words[:count]))
        words = words[count:]
    return (*formats, " ".join(words))


def _read_joined(table: Table, names: Sequence[str], options: ReadOptions) -> Reading | None:
    """Read columns as one text each row, joined by blanks: year month day hour, or date and time."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = []
    for name in names:
        column = table.column(name)
        whole = column.cast(pa.int64(), safe=False) if arrow.is_number(column) else column
        columns.append(whole.cast(pa.string()))
    texts = pc.binary_join_element_wise(*columns, " ").fill_null("")
    samples = [" ".join(cells) for cells in zip(*(sample(table, name) for name in names), strict=False)]
    own = [part_of(name) for name in names]
    if options.date_format:
        formats = [options.date_format]
    elif all(own):
        formats = [timestyle.fit_padding(" ".join(f"%{directive}" for directive in own), samples)]
    else:
        formats = guess_formats(samples)
    return _read_text(table, names, texts, formats, options)


def _read_number(table: Table, name: str) -> Reading | None:
    """Read numbers: a year, 20240131, or the time since 1970."""
    column = table.column(name)
    missing = arrow.nulls(column)
    values = arrow.floats(column, np.float64)
    known = values[~missing]
    if len(known) == 0 or not np.all(np.isfinite(known)):
        return None
    low, high = float(known.min()), float(known.max())
    whole = bool(np.all(known == np.floor(known)))
    digits = len(str(int(high)))
    if whole and part_of(name) == "Y" and low >= 1500 and high <= 2200:
        return _read_digits(table, name, "%Y")
    if whole and low > 0 and digits in timestyle.COMPACT and (digits > 6 or name_score(name)):
        compact = _read_digits(table, name, timestyle.COMPACT[digits])
        if compact and compact.ok.sum() > 0.9 * len(known) and len(str(int(low))) == digits:
            return compact
    rising = bool(np.all(known[1:] > known[:-1]))
    for unit, scale in (("s", 1), ("ms", 10**3), ("us", 10**6)):
        plausible = PLAUSIBLE[0] * scale <= low and high <= PLAUSIBLE[1] * scale
        if plausible and (name_score(name) or rising or bool(np.all(known[1:] < known[:-1]))):
            return _read_epoch(table, name, unit)
    if counts_time(name) and rising and len(known) > 1 and high < PLAUSIBLE[1]:
        return replace(_read_epoch(table, name, "s"), doubt=1)
    return None


def _read_digits(table: Table, name: str, format: str) -> Reading | None:
    return _read_joined(table, [name], ReadOptions(date_format=format))


def _read_epoch(table: Table, name: str, unit: str) -> Reading:
    column = table.column(name)
    missing, size = arrow.nulls(column), EPOCH_UNITS[unit]
    if arrow.is_integer(column):
        time = arrow.integers(column) * size
    else:
        values = np.where(missing, 0.0, arrow.floats(column, np.float64))
        time = np.round(values * size).astype(np.int64)
    digits = len(str(size)) - 1
    decimals = next(d for d in range(digits + 1) if not np.any(time[~missing] % (size // 10**d)))
    return Reading(Clock((name,), (f"@{unit}{decimals or ''}",), (True,)), time, ~missing)
