"""What goes to stdout or into ``--output``: a table in the format that was asked for."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from tsforecast.errors import UsageError, did_you_mean
from tsforecast.files import write_atomically

FORMATS = ("csv", "tsv", "json", "jsonl", "parquet", "table")
Columns = Mapping[str, Sequence[Any]]


def write_table(columns: Columns, *, format: str = "", output: Path | None = None) -> None:
    """Write columns of equal length.

    Args:
        columns: Name to cells; None and NaN are written as missing, a Decimal with all its digits where
            the format is text.
        format: One of ``FORMATS``; by the suffix of ``output``, else CSV.
        output: A file, written atomically; stdout by default.

    Raises:
        UsageError: Unknown format.
    """
    data = _render(columns, choose_format(format, output))
    if output is not None:
        write_atomically(output, data)
        return
    stream = getattr(sys.stdout, "buffer", None)
    if stream is None:
        sys.stdout.write(data.decode())
    else:
        sys.stdout.flush()
        stream.write(data)
    sys.stdout.flush()


def choose_format(format: str = "", output: Path | None = None) -> str:
    """Return the format that was asked for, else the one that the suffix of ``output`` names, else CSV.

    Raises:
        UsageError: Unknown format.
    """
    kind = format or _by_suffix(output)
    if kind not in FORMATS:
        raise UsageError(f"unknown format '{kind}'", hint=did_you_mean(kind, FORMATS))
    return kind


def format_of_table(format: str = "", output: Path | None = None) -> str:
    """Return the format of what is rather looked at than piped: a table on a terminal, unless another was asked for.

    Raises:
        UsageError: Unknown format.
    """
    on_terminal = output is None and not format and sys.stdout.isatty()
    return "table" if on_terminal else choose_format(format, output)


def write_json(document: Any, output: Path | None = None) -> None:
    """Write a JSON document to a file, or print it on stdout; NaN becomes null."""
    text = json.dumps(plain(document), indent=2, ensure_ascii=False)
    if output is not None:
        write_atomically(output, f"{text}\n".encode())
    else:
        print(text, flush=True)


def plain(value: Any) -> Any:
    """Return ``value`` as JSON can hold it: numbers of NumPy as Python's, NaN and infinities as None."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def shortest(values: Any) -> list[float | None]:
    """Return float32 forecasts as the shortest decimal numbers that read back as the same float32; NaN as None."""
    import numpy as np

    return [float(str(x)) if np.isfinite(x) else None for x in np.asarray(values, dtype=np.float32)]


def _by_suffix(output: Path | None) -> str:
    suffix = output.suffix.lstrip(".").lower() if output is not None else ""
    return suffix if suffix in FORMATS else {"ndjson": "jsonl", "txt": "table"}.get(suffix, "csv")


def _render(columns: Columns, kind: str) -> bytes:
    cleaned = {name: plain(list(cells)) for name, cells in columns.items()}
    if kind == "parquet":
        return _parquet(cleaned)
    rows = list(zip(*cleaned.values(), strict=True))
    if kind in ("json", "jsonl"):
        records = [dict(zip(cleaned, row, strict=True)) for row in rows]
        if kind == "json":
            return (json.dumps(records, ensure_ascii=False, indent=1, default=float) + "\n").encode()
        return "".join(json.dumps(r, ensure_ascii=False, default=float) + "\n" for r in records).encode()
    if kind == "table":
        return aligned(list(cleaned), rows).encode()
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t" if kind == "tsv" else ",", lineterminator="\n")
    writer.writerow(cleaned)
    writer.writerows(["" if cell is None else cell for cell in row] for row in rows)
    return text.getvalue().encode()


def _parquet(columns: Columns) -> bytes:
    import pyarrow
    import pyarrow.parquet

    sink = pyarrow.BufferOutputStream()
    cells = {k: [float(x) if isinstance(x, Decimal) else x for x in v] for k, v in columns.items()}
    pyarrow.parquet.write_table(pyarrow.table(cells), sink)
    return bytes(sink.getvalue())


def aligned(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a table for the eye: texts to the left, numbers to the right with four significant digits."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max([len(name), *(len(row[i]) for row in cells)]) for i, name in enumerate(names)]
    numbers = (int, float, Decimal, type(None))
    numeric = [all(isinstance(row[i], numbers) for row in rows) for i in range(len(names))]

    def line(row: Sequence[str]) -> str:
        parts = [c.rjust(w) if n else c.ljust(w) for c, w, n in zip(row, widths, numeric, strict=True)]
        return "  ".join(parts).rstrip() + "\n"

    return line(list(names)) + "".join(line(row) for row in cells)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e5 else f"{value:.0f}"
    return str(value)
