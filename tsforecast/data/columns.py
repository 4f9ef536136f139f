"""Which columns may hold time, and which must be kept as the text they are, judged by name and by the first rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tsforecast.data.sniff import Dialect
from tsforecast.data.timestyle import looks_like_time

# What Arrow would otherwise turn into something that cannot be written back: "007", "00:10", "...+01:00"
_FRAGILE = re.compile(r"[+-]?0\d+|\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?|\d{4}-\d{2}-\d{2}.*[+-]\d{2}:?\d{2}")
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2})?Z?")
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_TIME_NAMES = {
    *("date", "time", "datetime", "date/time", "timestamp", "ds", "unixtime", "epoch"),
    *("year", "month", "day", "datum", "zeit", "zeitstempel"),
}
_COUNTS_TIME = re.compile(r"time|stamp|epoch|unix")
_TIME_WORDS = re.compile(r"time|date|stamp|epoch|datum|month|utc")
_PART_NAMES = {
    "Y": ("year", "yr", "yyyy", "jahr"),
    "m": ("month", "mo", "mm", "mon", "monat"),
    "d": ("day", "dd", "dy", "dom", "tag"),
    "H": ("hour", "hr", "hh", "stunde"),
    "M": ("minute", "min", "mn"),
    "S": ("second", "sec"),
}
_TIME_OF_DAY = re.compile(r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?( ?[AaPp][Mm])?")


def keep_as_text(dialect: Dialect, names: Sequence[str]) -> dict[str, Any]:
    """Return the columns whose cells must stay texts, with the Arrow type of texts."""
    import pyarrow as pa

    fragile = (name for i, name in enumerate(names) if any(map(_FRAGILE.fullmatch, dialect.cells(i))))
    return dict.fromkeys(fragile, pa.string())


def column_types(dialect: Dialect, names: Sequence[str]) -> dict[str, Any]:
    """Return the Arrow type of every column whose first cells show it.

    Numbers that may be a time or a key are kept in double precision, all others are single.
    """
    import pyarrow as pa

    types = keep_as_text(dialect, names)
    for i, name in enumerate(names):
        cells = dialect.cells(i)
        if name in types or not cells:
            continue
        if all(map(_ISO_DATE.fullmatch, cells)):
            types[name] = pa.date32()
        elif all(map(_ISO.fullmatch, cells)):
            zones = {cell.endswith("Z") for cell in cells}
            if len(zones) == 1:
                types[name] = pa.timestamp("s", "UTC" if zones.pop() else None)
        elif all(_is_plain(cell, dialect.decimal) for cell in cells):
            exact = name_score(name) or part_of(name) or all(cell.strip().isdigit() for cell in cells)
            types[name] = pa.float64() if exact else pa.float32()
        elif not any(map(_looks_numeric, cells)):
            types[name] = pa.string()
    return types


def _is_plain(cell: str, decimal: str) -> bool:
    text = cell.strip()
    exact = len(text) <= 15 or not text.isdigit()  # longer keys do not fit into a double
    return exact and _NUMBER.fullmatch(text.replace(decimal, ".")) is not None


def _looks_numeric(cell: str) -> bool:
    return cell[:4].isdigit() or _NUMBER.match(cell.strip()) is not None


def name_score(name: str) -> int:
    """Return 2 for a column named like a time column and nothing else, 1 if its name mentions time, else 0."""
    folded = name.strip().lower()
    return 2 if folded in _TIME_NAMES else int(_TIME_WORDS.search(folded) is not None)


def counts_time(name: str) -> bool:
    """Tell whether the name of a column of numbers says that they are seconds or the like: "UNIXTime", not "Date"."""
    return _COUNTS_TIME.search(name.lower()) is not None


def is_time_of_day(cells: Sequence[str]) -> bool:
    """Tell whether all of some cells are times of day without a date."""
    return bool(cells) and all(_TIME_OF_DAY.fullmatch(cell.strip()) for cell in cells)


def parts(names: Sequence[str]) -> dict[str, str]:
    """Return {"Y": "year", "m": "month", ...} for the columns named so, from years down without a hole."""
    folded = {name.strip().lower(): name for name in reversed(names)}
    found: dict[str, str] = {}
    for directive, words in _PART_NAMES.items():
        name = next((folded[word] for word in words if word in folded), None)
        if name is None:
            break
        found[directive] = name
    return found


def part_of(name: str) -> str:
    """Return the directive of a column named year, month, ...; "" for others."""
    return next((directive for directive, words in _PART_NAMES.items() if name.strip().lower() in words), "")


def may_be_time(name: str, cells: Sequence[str]) -> bool:
    """Tell whether a column may belong to the time of a row, so that it has to be read."""
    if name_score(name) or part_of(name) or is_time_of_day(cells[:5]):
        return True
    return any(looks_like_time(cell) for cell in cells[:3])
