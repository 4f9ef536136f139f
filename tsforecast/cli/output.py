"""What goes to stdout or into ``--output``: a table in the format that was asked for."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from tsforecast.config import PROJECT_FILE
from tsforecast.errors import UsageError, did_you_mean
from tsforecast.files import check_writable, write_atomically
from tsforecast.plain import plain

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
        UsageError: Unknown format, or it cannot be written.
    """
    _write(_render(columns, choose_format(format, output)), output)


def write_json(document: Any, output: Path | None = None) -> None:
    """Write a JSON document to a file, or print it on stdout; NaN becomes null.

    Raises:
        UsageError: It cannot be written.
    """
    write_text(f"{json.dumps(plain(document), indent=2, ensure_ascii=False)}\n", output)


def write_text(text: str, output: Path | None = None) -> None:
    """Write a text to a file, or print it on stdout.

    Raises:
        UsageError: It cannot be written.
    """
    _write(text.encode(), output)


def check_outputs(*paths: Path | None, replace: bool, inputs: Iterable[str | Path | None] = ()) -> None:
    """Refuse, before any work, files that could not be written in the end, that are one, or that are read.

    What takes long to make, a model or settings that were searched for, is never replaced unless the user says so;
    tables and plots are, as they are made again with every new row of data.

    Args:
        paths: Files to write; None is none.
        replace: Whether they may exist already.
        inputs: Files that the command reads, beside the settings of the project; None is none.

    Raises:
        UsageError: One cannot be written, is an input or another one of them, or exists and is not to be replaced.
    """
    check_distinct(*paths)
    read = [Path(name) for name in (PROJECT_FILE, *inputs) if name is not None and Path(name).exists()]
    for path in paths:
        if path is None:
            continue
        if path.exists() and any(path.samefile(name) for name in read):
            raise UsageError(f"{path} is read, so it cannot be written, too", hint="name another file for the result")
        check_writable(path, replace=replace)


def check_distinct(*paths: Path | None) -> None:
    """Refuse to write two results to one file; None is none.

    Raises:
        UsageError: Two of the paths are of the same file.
    """
    seen: set[Path] = set()
    for path in paths:
        if path is None:
            continue
        if path.resolve() in seen:
            raise UsageError(f"{path} is named for two results", hint="name a file for each")
        seen.add(path.resolve())


def choose_format(format: str = "", output: Path | None = None) -> str:
    """Return the format that was asked for, else the one that the suffix of ``output`` names, else CSV.

    Raises:
        UsageError: Unknown format, or neither a file nor stdout to write to.
    """
    if output is None:
        _check_stdout()
    kind = format or _by_suffix(output)
    if kind not in FORMATS:
        raise UsageError(f"unknown format '{kind}'", hint=did_you_mean(kind, FORMATS))
    return kind


def format_of_table(format: str = "", output: Path | None = None) -> str:
    """Return the format of what is rather looked at than piped: a table on a terminal, unless another was asked for.

    Raises:
        UsageError: Unknown format, or neither a file nor stdout to write to.
    """
    kind = choose_format(format, output)
    return "table" if output is None and not format and sys.stdout.isatty() else kind


def shortest(values: Any) -> list[float | None]:
    """Return float32 forecasts as the shortest decimal numbers that read back as the same float32; NaN as None."""
    import numpy as np

    return [float(str(x)) if np.isfinite(x) else None for x in np.asarray(values, dtype=np.float32)]


def _write(data: bytes, output: Path | None) -> None:
    if output is not None:
        write_atomically(output, data)
        return
    _check_stdout()
    stream = getattr(sys.stdout, "buffer", None)
    if stream is None:
        sys.stdout.write(data.decode())
    else:
        sys.stdout.flush()
        stream.write(data)
    sys.stdout.flush()


def _check_stdout() -> None:
    if sys.stdout is None:  # as Python finds it after `>&-`
        raise UsageError("there is no standard output to write to", hint="leave >&- away, or write > /dev/null")


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
