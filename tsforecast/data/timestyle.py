"""How a timestamp is written: finding its format, reading it, writing it back.

A format is a strptime format with two additions: ``%-d`` is not padded with a zero (as in glibc), and ``%3f`` is a
fraction of three digits. Reading is one regular expression over an Arrow column; each part is then converted once per
distinct text. Unlike strptime it knows 24:00, and it says for every row whether that row could be read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsforecast.errors import UsageError

MINUTE = 60_000_000
DAY = 86_400_000_000
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip

DATES = (
    *("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y-%m", "%Y/%m"),
    *("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d %m %Y", "%m %d %Y"),
    *("%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%d-%m-%y", "%m-%d-%y"),
    *("%b %d %Y", "%b %d, %Y", "%d %b %Y", "%d-%b-%Y", "%d/%b/%Y", "%d-%b-%y", "%b %Y", "%b-%Y"),
    *("%B %d %Y", "%B %d, %Y", "%d %B %Y", "%B %Y"),
    "%Y%m%d",
)
HOURS = ("%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%H:%M:%S,%f")
HALVES = ("%I:%M %p", "%I:%M:%S %p", "%I:%M%p", "%I:%M:%S%p")
TIMES = ("", " %H", "T%H%M", "T%H%M%S", *(s + t for s in (" ", "T") for t in HOURS), *(" " + t for t in HALVES))
COMPACT = {6: "%Y%m", 8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
SHORTHANDS = {"%F": "%Y-%m-%d", "%T": "%H:%M:%S", "%R": "%H:%M", "%D": "%m/%d/%y", "%e": "%-d", "%h": "%b"}

_TOKEN = re.compile(r"%(-?|\d?)([A-Za-z%])|([^%]+)")
_MONTH = "(?i:" + "|".join(m[:3] for m in MONTHS)
_PATTERNS = {
    "Y": r"\d{4}",
    "y": r"\d{2}",
    "b": rf"{_MONTH})\.?",
    "B": "(?i:" + "|".join(MONTHS) + ")",
    "p": r"[AaPp]\.?[Mm]\.?",
    "f": r"\d{1,9}",
    "z": r"Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?",
}
_TWO_DIGITS = "mdHIMS"
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}(?:([T ])(\d{2}):\d{2}(?::(\d{2})(?:([.,])(\d+))?)?(Z|[+-]\d{2}(?::?\d{2})?)?)?")
_DATE = re.compile(
    r"\d{4}[-/.]\d{1,2}\b|\d{1,2}([-/. ])\d{1,2}\1(\d{4}|\d{2})\b|\d{8}T\d{4}"
    rf"|(\d{{1,2}}[-/ ])?{_MONTH})[a-z]*\.?[- ]\d{{1,4}}\b"
)


@lru_cache(maxsize=512)
def tokens(format: str) -> tuple[tuple[str, str, str], ...]:
    """Split a format into (flag, directive, literal) triples; a literal has no directive.

    Raises:
        UsageError: A directive is not known.
    """
    for short, long in SHORTHANDS.items():
        format = format.replace(short, long)
    parts = tuple(_TOKEN.findall(format))
    for _, directive, _ in parts:
        if directive and directive not in _TWO_DIGITS and directive not in _PATTERNS:
            known = ", ".join(f"%{d}" for d in (*_PATTERNS, *_TWO_DIGITS))
            raise UsageError(f"--date-format: %{directive} is not supported", hint=f"use {known}")
    return parts


@lru_cache(maxsize=512)
def pattern(format: str) -> str:
    """Return the regular expression (RE2 and Python) that reads ``format``; groups are named by directive."""
    parts = tokens(format)
    neighbours = ((before, after) for (_, before, _), (_, after, _) in pairwise(parts) if before and after)
    compact = any(before in "Yy" + _TWO_DIGITS and after in _TWO_DIGITS for before, after in neighbours)
    pieces = []
    for _, directive, literal in parts:
        two = r"\d{2}" if compact else r"\d{1,2}"
        if literal:
            pieces.append(re.escape(literal).replace(r"\ ", " +"))
        elif directive == "f":
            mark = pieces.pop()
            pieces.append(f"(?:{mark}(?P<f>{_PATTERNS['f']}))?")
        else:
            pieces.append(f"(?P<{directive}>{_PATTERNS.get(directive, two)})")
    return "".join(pieces)


@lru_cache(maxsize=512)
def reader(format: str) -> re.Pattern[str]:
    """Return the compiled :func:`pattern`."""
    return re.compile(pattern(format))


def formats_of(text: str) -> list[str]:
    """Return every known format that reads ``text``, most usual first; zone included as ``%z``."""
    iso = _ISO.fullmatch(text)
    if iso:
        between, hour, second, mark, fraction, zone = iso.groups()
        clock = f"{between}%H:%M" + (":%S" if second else "") if hour else ""
        return ["%Y-%m-%d" + clock + (f"{mark}%f" if fraction else "") + ("%z" if zone else "")]
    found = []
    for date in DATES:
        start = reader(date).match(text)
        if start is None:
            continue
        rest = text[start.end() :]
        for time in TIMES:
            zones = ("", "%z", " %z") if time else ("",)
            found += [date + time + zone for zone in zones if reader(time + zone).fullmatch(rest)]
    return [f for f in found if f != "%Y%m%d"]


def looks_like_time(text: str) -> bool:
    """Tell at a glance whether ``text`` may be a date, with or without a time of day."""
    return len(text) < 48 and _DATE.match(text.strip()) is not None


def find_formats(texts: Sequence[str]) -> list[str]:
    """Return the formats that read every one of ``texts``, padded and with the digits of fractions as they are there.

    Where some times have a fraction and others none, the format has one.
    """
    if not texts:
        return []
    longest = max(texts, key=len).strip()
    common = [f for f in formats_of(longest) if all(reader(f).fullmatch(t.strip()) for t in texts)]
    return list(dict.fromkeys(fit_padding(f, texts) for f in common))


def fit_padding(format: str, texts: Sequence[str]) -> str:
    """Return ``format`` with ``%-d`` where ``texts`` do not pad with zeros, and ``%3f`` for three digits.

    A day of which only 10, 11, ... are seen goes with the month, and the other way round.
    """
    matches = [m.groupdict() for m in (reader(format).fullmatch(t.strip()) for t in texts) if m]
    seen = {d: [m[d] for m in matches if m.get(d)] for _, d, _ in tokens(format) if d}
    bare = {d for d in _TWO_DIGITS if any(len(text) == 1 for text in seen.get(d, []))}
    padded = {d for d in _TWO_DIGITS if any(text.startswith("0") and len(text) == 2 for text in seen.get(d, []))}
    if bare & {"d", "m"}:
        bare |= {"d", "m"}
    pieces = []
    for flag, directive, literal in tokens(format):
        if directive == "f":
            flag = str(max(map(len, seen["f"]), default=6))
        elif directive in bare - padded:
            flag = "-"
        pieces.append(literal or f"%{flag}{directive}")
    return "".join(pieces)


def parse(texts: Any, format: str) -> tuple[NDArray[np.int64], NDArray[np.bool_], bool]:
    """Read a column of texts.

    Args:
        texts: (N,) Arrow strings.
        format: How they are written.

    Returns:
        Microseconds since 1970 (of UTC where there is a zone); which rows could be read; whether an hour is 24.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(texts.type) or not pa.types.is_string(texts.type):
        texts = texts.cast(pa.string())
    matched = pc.extract_regex(pc.utf8_trim_whitespace(texts), f"^(?:{pattern(format)})$")
    if isinstance(matched, pa.ChunkedArray):
        matched = matched.combine_chunks()
    ok = np.ones(len(texts), dtype=np.bool_)
    if matched.null_count:
        ok = np.asarray(matched.is_valid().to_pylist(), dtype=np.bool_)
    names = [d for _, d, _ in tokens(format) if d]
    parts = {name: _by_text(pc.struct_field(matched, [name]), _MEANING.get(name, _number)) for name in names}
    return _civil(parts, ok)


def _by_text(texts: Any, meaning: Callable[[str], int]) -> NDArray[np.int64]:
    """Apply ``meaning`` to each distinct text; 0 where null."""
    from tsforecast.data.arrow import integers

    coded = texts.fill_null("").dictionary_encode()
    values = np.array([meaning(text) if text else 0 for text in coded.dictionary.to_pylist()] or [0], dtype=np.int64)
    import pyarrow as pa

    return values[integers(pa.chunked_array([coded.indices]))]


def _number(text: str) -> int:
    return int(text)


def _year(text: str) -> int:
    year = int(text)
    return year + (1900 if year >= 69 else 2000)  # POSIX strptime


def _month(text: str) -> int:
    return next(i + 1 for i, month in enumerate(MONTHS) if month[:3].lower() == text[:3].lower())


def _half(text: str) -> int:
    return 12 if text[0] in "pP" else 0


def _fraction(text: str) -> int:
    return int(text[:6].ljust(6, "0"))


def zone_minutes(text: str) -> int:
    """Return the minutes east of UTC of "Z", "+01:00", "+0100" or "+01"."""
    if text in ("Z", "UTC", "GMT"):
        return 0
    digits = text[1:].replace(":", "").ljust(4, "0")
    return (-1 if text[0] == "-" else 1) * (int(digits[:2]) * 60 + int(digits[2:]))


_MEANING: dict[str, Callable[[str], int]] = {
    "y": _year, "b": _month, "B": _month, "p": _half, "f": _fraction, "z": zone_minutes,
}  # fmt: skip


def _civil(
    parts: dict[str, NDArray[np.int64]], ok: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.bool_], bool]:
    """Turn year, month, day, ... into microseconds; impossible values clear ``ok``."""
    zero = np.zeros(len(ok), dtype=np.int64)
    year = parts.get("Y", parts.get("y", zero + 1970))
    month = parts.get("m", parts.get("b", parts.get("B", zero + 1)))
    day = parts.get("d", zero + 1)
    hour = parts.get("H", zero)
    if "I" in parts:
        ok = ok & (parts["I"] >= 1) & (parts["I"] <= 12)
        hour = parts["I"] % 12 + parts.get("p", zero)
    minute, second = parts.get("M", zero), parts.get("S", zero)
    months = (year - 1970) * 12 + month - 1
    first = months.astype("M8[M]").astype("M8[D]").astype(np.int64)
    length = (months + 1).astype("M8[M]").astype("M8[D]").astype(np.int64) - first
    ok = ok & (month >= 1) & (month <= 12) & (day >= 1) & (day <= length)
    ok &= (minute < 60) & (second < 60) & ((hour < 24) | ((hour == 24) & (minute == 0) & (second == 0)))
    minutes = ((first + day - 1) * 24 + hour) * 60 + minute - parts.get("z", zero)
    time = (minutes * 60 + second) * 1_000_000 + parts.get("f", zero)
    return time, ok, bool(np.any(ok & (hour == 24)))


def write(time: NDArray[np.int64], format: str, *, zone: str = "", hour_24: bool = False) -> list[str]:
    """Write wall-clock microseconds in ``format``.

    Args:
        time: (N,) microseconds.
        format: How to write.
        zone: The text of ``%z``.
        hour_24: Write midnight as 24:00 of the day before.
    """
    days = time // DAY
    rest = time - days * DAY
    if hour_24:
        days, rest = np.where(rest == 0, days - 1, days), np.where(rest == 0, DAY, rest)
    months = days.astype("M8[D]").astype("M8[M]")
    year = months.astype("M8[Y]").astype(np.int64) + 1970
    month = months.astype(np.int64) % 12
    day = days - months.astype("M8[D]").astype(np.int64) + 1
    hour = rest // (60 * MINUTE)
    template, columns = "", []
    numbers = {
        "Y": (year, "{:04d}"), "y": (year % 100, "{:02d}"), "m": (month + 1, "{:02d}"), "d": (day, "{:02d}"),
        "H": (hour, "{:02d}"), "I": ((hour - 1) % 12 + 1, "{:02d}"), "M": (rest // MINUTE % 60, "{:02d}"),
        "S": (rest // 1_000_000 % 60, "{:02d}"),
    }  # fmt: skip
    words = {"b": [m[:3] for m in MONTHS], "B": list(MONTHS), "p": ["AM", "PM"]}
    for flag, directive, literal in tokens(format):
        if directive in words:
            template += "{}"
            columns.append([words[directive][i] for i in (hour // 12 if directive == "p" else month).tolist()])
        elif directive == "f":
            digits = int(flag or 6)
            template += f"{{:0{digits}d}}"
            columns.append((rest % 1_000_000 * 10 ** max(digits - 6, 0) // 10 ** max(6 - digits, 0)).tolist())
        elif directive in numbers:
            values, padded = numbers[directive]
            template += "{:d}" if flag == "-" else padded
            columns.append(values.tolist())
        else:
            template += (literal or zone).replace("{", "{{").replace("}", "}}")
    return list(map(template.format, *columns)) if columns else [template] * len(time)
