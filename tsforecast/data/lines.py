"""Which physical line a row came from, looked up only when an error has to name it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tsforecast.data.sniff import BLANKS, Dialect
from tsforecast.data.source import Source


@dataclass(frozen=True)
class Origin:
    """One input of a table: rows that can only be counted (Parquet, data frames).

    Attributes:
        name: What messages call it.
        n_rows: How many rows of the table came from here.
    """

    name: str
    n_rows: int

    def places(self, rows: set[int]) -> dict[int, str]:
        """Return where each of ``rows`` (0, 1, ... within this input) stands."""
        return {row: f"{self.name}: row {row + 1}" for row in rows}


@dataclass(frozen=True)
class LineOrigin(Origin):
    """One input that has lines: JSON Lines, or the base of a delimited text."""

    source: Source

    def places(self, rows: set[int]) -> dict[int, str]:
        """Return ``name:line`` for each of ``rows``, reading the input again up to the last of them."""
        found: dict[int, str] = {}
        last = max(rows, default=-1)
        for row, line in enumerate(self.lines()):
            if row in rows:
                found[row] = f"{self.name}:{line}"
            if row >= last:
                break
        return found

    def lines(self) -> Iterator[int]:
        """Yield the first physical line of each row, counting from 1; blank lines are no rows."""
        with self.source.open() as stream, io.TextIOWrapper(stream, encoding="utf-8", errors="replace") as text:
            yield from (number for number, line in enumerate(text, start=1) if line.strip())


@dataclass(frozen=True)
class TextOrigin(LineOrigin):
    """One delimited text."""

    dialect: Dialect

    def lines(self) -> Iterator[int]:
        """Yield the first physical line of each row below the header."""
        return (line for line, _ in self.cells())

    def cells(self) -> Iterator[tuple[int, list[str]]]:
        """Yield (first physical line, cells) of each row below the header."""
        dialect = self.dialect
        with (
            self.source.open() as stream,
            io.TextIOWrapper(stream, encoding=dialect.encoding, errors="replace", newline="") as text,
        ):
            for _ in range(dialect.skip_lines):
                text.readline()
            yield from _records(text, dialect.delimiter, dialect.skip_lines)


def _records(text: Iterable[str], delimiter: str, above: int) -> Iterator[tuple[int, list[str]]]:
    if delimiter == BLANKS:
        yield from ((above + i, line.split()) for i, line in enumerate(text, start=1) if line.strip())
        return
    reader = csv.reader(text, delimiter=delimiter)
    line = above + 1
    for row in reader:
        if row:
            yield line, row
        line = above + reader.line_num + 1
