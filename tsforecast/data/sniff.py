"""How a text table is written: encoding, delimiter, decimal mark, preamble and header, from its first rows."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, islice

from tsforecast.data.numerals import NULL_TEXTS, find_decimal, to_number
from tsforecast.data.timestyle import looks_like_time
from tsforecast.errors import DataError
from tsforecast.options import ReadOptions

DELIMITERS = (",", ";", "\t", "|")
BLANKS = " "
ROWS = 100
CELLS = 2_000  # enough to judge by

Rows = list[list[str]]


@dataclass(frozen=True)
class Dialect:
    """How one text table is written.

    Attributes:
        encoding: Python name of the encoding; "utf-8-sig" for UTF-8 with or without a byte order mark.
        delimiter: One character; " " stands for runs of blanks.
        decimal: "." or ",".
        skip_lines: Physical lines above the first row of data.
        names: Column names; "" for a column without one.
        sample: The first rows of data, as text.
    """

    encoding: str
    delimiter: str
    decimal: str
    skip_lines: int
    names: tuple[str, ...]
    sample: tuple[tuple[str, ...], ...]

    def cells(self, column: int) -> list[str]:
        """Return the non-empty sample cells of one column."""
        return [row[column] for row in self.sample if len(row) > column and row[column].strip() not in NULL_TEXTS]


def sniff(head: bytes, whole: bool, options: ReadOptions, name: str) -> Dialect:
    """Find out how a text table is written.

    Args:
        head: Its first bytes.
        whole: They are all there is (else the last line may be cut short).
        options: What the user has decided already.
        name: What messages call it.

    Raises:
        DataError: It is not text, or there is no row of data.
    """
    encoding = options.encoding or find_encoding(head, name)
    lines = _decode(head, encoding, name).splitlines(keepends=True)
    if not whole and len(lines) > 1:
        lines.pop()
    lines = lines[: ROWS + max(options.skip_lines, 0) + 20]
    delimiter = {"\\t": "\t", "tab": "\t"}.get(options.delimiter, options.delimiter) or find_delimiter(lines)
    rows, ends = split(lines, delimiter)
    if options.skip_lines >= 0:
        kept = [i for i, end in enumerate(ends) if end > options.skip_lines]
        rows, ends = [rows[i] for i in kept], [ends[i] for i in kept]
    if not rows:
        raise DataError(f"{name}: holds no rows", hint="use a smaller --skip-lines, or check what was to write it")
    first = 0 if options.skip_lines >= 0 else _first_row(rows)
    body = rows[first + 1 :]
    header, skip = rows[first], ends[first]
    if options.no_header or (options.skip_lines < 0 and first == 0 and _is_data(header, body)):
        skip = ends[first - 1] if first else max(options.skip_lines, 0)
        header, body = [f"c{i + 1}" for i in range(len(header))], [header, *body]
    if not body:
        raise DataError(
            f"{name}: has a header and no rows",
            hint="say --no-header if that line is data, or check what was to write it",
        )
    names = _fit_header([cell.strip() for cell in header], body)
    decimal = options.decimal or find_decimal(_some_cells(body), delimiter)
    sample = tuple(map(tuple, body[: max(10, 10 * CELLS // len(names))]))
    return Dialect(encoding, delimiter, decimal, skip, tuple(names), sample)


def find_encoding(head: bytes, name: str) -> str:
    """Return the encoding of some text: byte order mark first, then UTF-8 if it decodes, else Latin-1."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\x00" in head:
        half = len(head) // 2
        if head[1::2].count(0) > 0.8 * half:
            return "utf-16-le"
        if head[0::2].count(0) > 0.8 * half:
            return "utf-16-be"
        raise DataError(
            f"{name}: holds zero bytes; it is not a table of text", hint="export it as CSV, or give its --encoding"
        )
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8-sig"


def _decode(head: bytes, encoding: str, name: str) -> str:
    try:
        return codecs.getincrementaldecoder(encoding)().decode(head)
    except (UnicodeDecodeError, LookupError) as error:
        raise DataError(f"{name}: cannot be read as {encoding}: {error}", hint="try --encoding latin-1") from error


def split(lines: list[str], delimiter: str) -> tuple[Rows, list[int]]:
    """Split lines into rows of cells, leaving out blank lines and ``#`` comments at the top.

    Returns:
        The rows, and for each the number of its last physical line (a quoted cell may span lines).
    """
    rows: Rows = []
    ends: list[int] = []
    if delimiter == BLANKS:
        numbered = ((i + 1, line.split()) for i, line in enumerate(lines))
    else:
        reader = csv.reader(io.StringIO("".join(lines), newline=""), delimiter=delimiter)
        numbered = ((reader.line_num, row) for row in reader)
    try:
        for end, row in numbered:
            if row and (rows or not row[0].lstrip().startswith("#")):
                rows.append(row)
                ends.append(end)
    except csv.Error:
        return rows, ends
    return rows, ends


def find_delimiter(lines: list[str]) -> str:
    """Return the delimiter under which the rows are most alike and their cells most often numbers or times."""
    best, best_score = ",", 0.0
    for delimiter in (*DELIMITERS, BLANKS):
        rows, _ = split(lines, delimiter)
        width, count = _width(rows)
        if width < 2 or (delimiter == BLANKS and best_score > 0):
            continue
        cells = _some_cells(row for row in rows if len(row) == width)
        typed = sum(_is_value(cell) for cell in cells) / len(cells)
        score = count / len(rows) * (0.1 + typed) if delimiter != BLANKS or typed > 0.5 else 0.0
        if score > best_score + 1e-9:
            best, best_score = delimiter, score
    return best


def _some_cells(rows: Iterable[list[str]]) -> list[str]:
    return list(islice(chain.from_iterable(rows), CELLS))


def _width(rows: Rows) -> tuple[int, int]:
    """Return the most frequent number of cells in a row, and how many rows have it."""
    return Counter(map(len, rows)).most_common(1)[0] if rows else (0, 0)


def _is_value(cell: str) -> bool:
    text = cell.strip()
    if text in NULL_TEXTS or looks_like_time(text):
        return True
    return to_number(text) is not None or to_number(text, ",") is not None


def _first_row(rows: Rows) -> int:
    """Return the index of the header (or of the first row, if there is none): rows above are a preamble."""
    width, _ = _width(rows)
    first = next(i for i, row in enumerate(rows) if len(row) == width)
    above = rows[first - 1] if first else []
    # "a,b" over "1,2," (a trailing comma), or a table of R, whose row names have no header
    if len(above) == width - 1 > 0 and _is_data(rows[first], []) and not any(map(_is_value, above)):
        return first - 1
    return first


def _is_data(row: list[str], below: Rows) -> bool:
    """Tell whether a first row holds data: every cell a value, one of them not empty.

    A lone empty corner, as pandas writes it above its index, makes it a header all the same.
    """
    corner = not row[0].strip() and bool(below) and all(other[0].strip() for other in below)
    return not corner and all(map(_is_value, row)) and any(re.search(r"\d", cell) for cell in row)


def _fit_header(names: list[str], body: Rows) -> list[str]:
    """Give each column a name: a header one short is that of row names, unless the last column is empty."""
    width, _ = _width(body)
    if len(names) == width - 1:
        trailing = all(not row[-1].strip() for row in body if len(row) == width)
        return [*names, ""] if trailing else ["", *names]
    return names
