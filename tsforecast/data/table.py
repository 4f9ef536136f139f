"""The table: columns as they were read, before anything is decided about the parts they play."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsforecast.data import arrow
from tsforecast.data.lines import Origin
from tsforecast.data.numerals import to_number
from tsforecast.errors import DataError, closest, did_you_mean


@dataclass
class Table:
    """Columns as read.

    Attributes:
        data: ``pyarrow.Table`` of the columns that were read.
        origins: The inputs, in the order of their rows.
        header: All column names of the input, read or not.
        decimal: Decimal mark of texts that hold numbers.
        null: Further texts that mean "missing"; those that are numbers are missing wherever that number stands.
        samples: Column name to the texts of its first rows, as they stand in the input.
        notes: What was decided while reading, for ``--verbose``.
    """

    data: Any
    origins: list[Origin]
    header: tuple[str, ...]
    decimal: str = "."
    null: tuple[str, ...] = ()
    samples: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that were read."""
        return tuple(self.data.column_names)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self.data.num_rows)

    @property
    def name(self) -> str:
        """What messages call the input as a whole."""
        first = self.origins[0].name
        return first if len(self.origins) == 1 else f"{first} and {len(self.origins) - 1} more"

    def column(self, name: str) -> Any:
        """Return the Arrow column ``name``.

        Raises:
            DataError: There is none.
        """
        if name not in self.columns:
            raise DataError(f"{self.name}: there is no column '{name}'", hint=did_you_mean(name, self.header))
        return self.data.column(name)

    def numbers(self, name: str, dtype: Any = np.float32) -> NDArray[Any]:
        """Return (N,) numbers of a column, NaN where missing.

        Raises:
            DataError: There is no such column, or a text in it is not a number; every place is counted.
        """
        column = self.column(name)
        if arrow.is_number(column) or str(column.type) == "bool":
            values = arrow.floats(column, dtype)
        elif str(column.type) == "null":
            values = np.full(self.n_rows, np.nan, dtype=dtype)
        elif str(column.type) == "string":
            values = self._read_numbers(name).astype(dtype)
        else:
            raise DataError(
                f"{self.name}: column '{name}' holds {column.type}, not numbers", hint="name another column"
            )
        for sentinel in self._sentinels:
            values[values == dtype(sentinel)] = np.nan
        return values

    def _read_numbers(self, name: str) -> NDArray[np.float64]:
        codes, texts = self.codes(name)
        read = [np.nan if not text.strip() else to_number(text, self.decimal) for text in texts]
        bad = np.array([number is None for number in read], dtype=np.bool_)
        if bad.any():
            rows = np.flatnonzero((codes >= 0) & bad[codes])
            first = texts[codes[rows[0]]]
            raise DataError(
                f"{self.where(int(rows[0]))}: column '{name}': '{first}' is not a number{and_more(len(rows))}",
                hint=f"use --null '{first}' if it means missing",
            )
        values = np.array([*read, np.nan], dtype=np.float64)  # code -1 takes the last
        return values[codes]

    def texts(self, name: str) -> list[str]:
        """Return the N texts of a column; "" where null."""
        codes, texts = self.codes(name)
        return [texts[code] if code >= 0 else "" for code in codes.tolist()]

    def codes(self, name: str) -> tuple[NDArray[np.int64], list[str]]:
        """Return (N,) index into the distinct texts of a column (-1 where null), and these texts as they appear."""
        import pyarrow as pa

        column = self.column(name)
        if arrow.is_number(column) and arrow.is_whole(column):
            column = column.cast(pa.int64())  # a key is "7", not "7.0"
        if str(column.type) != "string":
            column = column.cast(pa.string())
        coded = column.combine_chunks().dictionary_encode()
        if isinstance(coded, pa.ChunkedArray):
            coded = coded.chunk(0) if coded.num_chunks else pa.array([], pa.string()).dictionary_encode()
        codes = arrow.integers(pa.chunked_array([coded.indices]))
        codes[arrow.nulls(pa.chunked_array([coded.indices]))] = -1
        return codes, coded.dictionary.to_pylist()

    def is_numeric(self, name: str) -> bool:
        """Tell whether a column holds numbers; of texts, at least half of the distinct ones must be."""
        column = self.column(name)
        if arrow.is_number(column) or str(column.type) in ("bool", "null"):
            return True
        if str(column.type) != "string":
            return False
        texts = [text for text in self.codes(name)[1] if text.strip()]
        return sum(to_number(text, self.decimal) is not None for text in texts) >= 0.5 * len(texts)

    def where(self, row: int) -> str:
        """Return the place of a row, for messages: ``data.csv:1843``."""
        return self.places([row])[0]

    def places(self, rows: Sequence[int] | NDArray[np.int64]) -> list[str]:
        """Return the place of each of ``rows``, reading each input again at most once."""
        found: dict[int, str] = {}
        start = 0
        for origin in self.origins:
            own = {int(row) - start for row in rows if start <= row < start + origin.n_rows}
            if own:
                found |= {row + start: place for row, place in origin.places(own).items()}
            start += origin.n_rows
        return [found.get(int(row), f"{self.name}: row {int(row) + 1}") for row in rows]

    @cached_property
    def _sentinels(self) -> list[float]:
        return [number for number in (to_number(text) for text in self.null) if number is not None]


def how_to_rename(name: str, table: Table) -> str:
    """Return what to do about a column that a model needs and a table lacks."""
    near = closest(name, table.header)
    return f"did you mean '{near}'? call it '{name}' in the data" if near else "rename the column of the data"


def and_more(count: int) -> str:
    """Return `` (and 211 more)`` for 212 findings of which one is shown."""
    return f" (and {count - 1} more)" if count > 1 else ""


def listed(items: Iterable[str], limit: int = 5) -> str:
    """Return the first ``limit`` items, joined by commas, and how many more there are."""
    texts = list(items)
    rest = f" and {len(texts) - limit} more" if len(texts) > limit else ""
    return ", ".join(texts[:limit]) + rest
