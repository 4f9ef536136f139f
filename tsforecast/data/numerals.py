"""Numbers as people write them: decimal commas, thousands, blanks."""

from __future__ import annotations

import re
from collections.abc import Iterable

NULL_TEXTS = ("", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "-", "#N/A")

_PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|infinity|nan)", re.IGNORECASE)
_POINT_THOUSANDS = re.compile(r"[+-]?\d{1,3}([, '\u2019\u00a0\u202f]\d{3})+(\.\d+)?")
_COMMA_THOUSANDS = re.compile(r"[+-]?\d{1,3}([. '\u2019\u00a0\u202f]\d{3})+(,\d+)?")
_COMMA = re.compile(r"[+-]?(\d+,\d*|,\d+)([eE][+-]?\d+)?")
_GROUPING = re.compile(r"[^\d,.+-]")


def to_number(text: str, decimal: str = ".") -> float | None:
    """Read one number; None when ``text`` is not one.

    Args:
        text: What the cell holds; surrounding blanks do not matter.
        decimal: The decimal mark of the file, "." or ",".
    """
    text = text.strip()
    if decimal == ",":
        if _COMMA_THOUSANDS.fullmatch(text):
            return float(_GROUPING.sub("", text).replace(".", "").replace(",", "."))
        if _COMMA.fullmatch(text):
            return float(text.replace(",", "."))
    elif _POINT_THOUSANDS.fullmatch(text):
        return float(_GROUPING.sub("", text).replace(",", ""))
    return float(text) if _PLAIN.fullmatch(text) else None


def find_decimal(cells: Iterable[str], delimiter: str = ",") -> str:
    """Return the decimal mark of some cells: "," only if one cell proves it and none disproves it.

    "1,5" proves a comma; "1.5" and "1,234.5" prove a point; "1,234" and "1.234" prove nothing. Where nothing is proved
    and cells are not separated by commas, commas are decimal marks: that is why the delimiter is another.
    """
    comma = point = False
    marks_seen: set[str] = set()
    for cell in cells:
        text = cell.strip().lstrip("+-")
        marks = [c for c in text if c in ",."]
        if not marks or not text.replace(",", "").replace(".", "").isdigit():
            continue
        marks_seen.update(marks)
        last = marks[-1]
        digits = len(text) - text.rindex(last) - 1
        proof = len(set(marks)) == 2 or (len(marks) == 1 and (digits != 3 or text.startswith(("0", last))))
        comma |= proof and last == ","
        point |= proof and last == "."
    unproved = not comma and not point and delimiter != "," and marks_seen == {","}
    return "," if unproved or (comma and not point) else "."
