"""Delimited text (CSV, TSV, ...) into Arrow columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from tsforecast.data.columns import column_types, keep_as_text
from tsforecast.data.lines import TextOrigin
from tsforecast.data.numerals import NULL_TEXTS
from tsforecast.data.sniff import BLANKS, Dialect, sniff
from tsforecast.data.source import Source
from tsforecast.data.table import Table, and_more, listed
from tsforecast.errors import DataError
from tsforecast.options import ReadOptions

HEAD = 1 << 16
WIDE_HEAD = 1 << 22
Chooser = Callable[[Dialect, tuple[str, ...]], list[str] | None]


def read_text(source: Source, options: ReadOptions, choose: Chooser) -> Table:
    """Read a delimited text.

    Args:
        source: Where it is.
        options: How it is written, as far as the user has decided.
        choose: Given the dialect and all names, the columns to read (None: all of them).

    Raises:
        DataError: It is not a table, a row has too many or too few cells, or a name stands twice.
    """
    dialect = _sniff(source, options)
    names = tuple(name or f"c{i + 1}" for i, name in enumerate(dialect.names))
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"{source.name}: column names stand twice: {listed(twice)}", hint="rename them in the header")
    wanted = choose(dialect, names)
    data = _read(source, dialect, names, wanted, options)
    header = names
    if not dialect.names[-1] and data.column_names[-1] == names[-1] and _is_empty(data[names[-1]]):
        header = names[:-1]  # every row ends in a delimiter
        data = data.drop_columns([names[-1]])
    samples = {name: dialect.cells(i) for i, name in enumerate(names)}
    origin = TextOrigin(source.name, data.num_rows, source, dialect)
    return Table(data, [origin], header, dialect.decimal, options.null, samples, _notes(source, dialect))


def _sniff(source: Source, options: ReadOptions) -> Dialect:
    head = source.head(HEAD)
    if len(head) == HEAD and head.count(b"\n") < 20 + max(options.skip_lines, 0):
        head = source.head(WIDE_HEAD)
        return sniff(head, len(head) < WIDE_HEAD, options, source.name)
    return sniff(head, len(head) < HEAD, options, source.name)


def _is_empty(column: Any) -> bool:
    return bool(column.null_count == len(column))


def _notes(source: Source, dialect: Dialect) -> list[str]:
    notes = []
    if dialect.delimiter != "," or dialect.decimal != ".":
        shown = {"\t": "tab", BLANKS: "blanks"}.get(dialect.delimiter, f"'{dialect.delimiter}'")
        notes.append(f"{source.name}: delimiter {shown}, decimal '{dialect.decimal}'")
    if dialect.encoding != "utf-8-sig":
        notes.append(f"{source.name}: encoding {dialect.encoding}")
    if dialect.skip_lines > 1:
        notes.append(f"{source.name}: data from line {dialect.skip_lines + 1}")
    return notes


def _read(
    source: Source, dialect: Dialect, names: tuple[str, ...], wanted: list[str] | None, options: ReadOptions
) -> Any:
    """Call Arrow with the types of the first rows; let it infer them, or give way otherwise, only if that fails.

    While Arrow infers the type of any column it keeps the text of the whole file in memory.
    """
    import pyarrow as pa

    types = column_types(dialect, names)
    quoted_newlines = False
    encoding = "utf8" if dialect.encoding == "utf-8-sig" else dialect.encoding
    while True:
        try:
            return _call_arrow(source, dialect, names, wanted, options, types, quoted_newlines, encoding)
        except pa.ArrowInvalid as error:
            problem = str(error)
            if "UTF8" in problem and encoding == "utf8" and not options.encoding:
                encoding = "latin-1"
            elif "conversion error" in problem and types != (fragile := keep_as_text(dialect, names)):
                types = fragile
            elif "parse error" in problem and not quoted_newlines:
                quoted_newlines = True
            else:
                raise _explain(source, dialect, error) from error
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(
                f"{source.name}: cannot be read: {error}", hint="give its --encoding, or write it again"
            ) from error


def _call_arrow(
    source: Source,
    dialect: Dialect,
    names: tuple[str, ...],
    wanted: list[str] | None,
    options: ReadOptions,
    types: dict[str, Any],
    quoted_newlines: bool,
    encoding: str,
) -> Any:
    from pyarrow import csv

    blanks = dialect.delimiter == BLANKS
    convert = csv.ConvertOptions(
        null_values=[*NULL_TEXTS, *options.null],
        strings_can_be_null=True,
        decimal_point=dialect.decimal,
        include_columns=wanted,
        column_types=types,
    )
    parse = csv.ParseOptions(delimiter="\t" if blanks else dialect.delimiter, newlines_in_values=quoted_newlines)
    read = csv.ReadOptions(
        column_names=list(names), skip_rows=dialect.skip_lines, encoding="utf8" if blanks else encoding
    )
    with _blanks_as_tabs(source, dialect) if blanks else source.open() as stream:
        return csv.read_csv(stream, read_options=read, parse_options=parse, convert_options=convert)


def _blanks_as_tabs(source: Source, dialect: Dialect) -> Any:
    import pyarrow as pa

    with source.open() as stream:
        text = bytes(stream.read()).decode(dialect.encoding)
    return pa.BufferReader("\n".join("\t".join(line.split()) for line in text.splitlines()).encode())


def _explain(source: Source, dialect: Dialect, error: Exception) -> DataError:
    """Find the first row with too many or too few cells; Arrow does not say which line it is on."""
    width = len(dialect.names)
    wrong = [(line, len(row)) for line, row in TextOrigin(source.name, 0, source, dialect).cells() if len(row) != width]
    if not wrong:
        return DataError(f"{source.name}: cannot be read: {error}", hint="try --delimiter, --encoding or --skip-lines")
    line, cells = wrong[0]
    return DataError(
        f"{source.name}:{line}: has {cells} cells, the header has {width}{and_more(len(wrong))}",
        hint="mend the row, or say --delimiter or --skip-lines",
    )
