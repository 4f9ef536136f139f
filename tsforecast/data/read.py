"""Reading: CSV, TSV, JSON Lines and Parquet, plain or compressed, files, standard input or data frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from tsforecast.data.columns import may_be_time
from tsforecast.data.lines import LineOrigin, Origin
from tsforecast.data.read_text import read_text
from tsforecast.data.sniff import Dialect
from tsforecast.data.source import DAMAGED, Source, open_source
from tsforecast.data.table import Table, listed
from tsforecast.errors import DataError
from tsforecast.options import ReadOptions

if TYPE_CHECKING:
    import pandas
    import pyarrow

PARQUET = b"PAR1"
SAMPLE = 100


def read(
    sources: Sequence[str | Path | pandas.DataFrame | pyarrow.Table],
    options: ReadOptions,
    *,
    stdin: BinaryIO | None = None,
    columns: Sequence[str] | None = None,
) -> Table:
    """Read one or more inputs and put their rows under each other.

    Args:
        sources: Paths, "-" for standard input, data frames or Arrow tables, all with the same columns.
        options: How they are written; whatever is not set is found out.
        stdin: Standard input.
        columns: What is needed, beside the columns that may hold time; None reads everything.

    Raises:
        DataError: An input is missing, empty, not a table or without rows, or the columns of two inputs differ.
        UsageError: No source was named, or "-" without standard input.
    """
    tables = [_read_one(source, options, stdin, columns) for source in sources]
    if not tables:
        raise DataError("no data was named", hint="name a file, or pipe data in and say -")
    for table in tables:
        if table.n_rows == 0:
            raise DataError(f"{table.name}: has a header and no rows", hint="check what was to write it")
    return tables[0] if len(tables) == 1 else _stack(tables)


def _read_one(source: Any, options: ReadOptions, stdin: BinaryIO | None, columns: Sequence[str] | None) -> Table:
    if not isinstance(source, str | Path):
        return _from_memory(source, options)
    found = open_source(source, stdin)
    if found.codec == "" and found.head(4) == PARQUET:
        return _read_parquet(found, options, columns)
    start = found.head(64).lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if start in (b"{", b"["):
        return _read_json(found, options, whole=start == b"[")

    def choose(dialect: Dialect, names: tuple[str, ...]) -> list[str] | None:
        if columns is None:
            return None
        needed = {*columns, options.time, *options.time.split(",")}
        return [name for i, name in enumerate(names) if name in needed or may_be_time(name, dialect.cells(i))]

    return read_text(found, options, choose)


def _read_parquet(source: Source, options: ReadOptions, columns: Sequence[str] | None) -> Table:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(source.open())
        names = [name for name in file.schema_arrow.names if not name.startswith("__index_level_")]
        needed = None if columns is None else {*columns, options.time, *options.time.split(",")}
        kept = [
            name
            for name in file.schema_arrow.names
            if needed is None or name in needed or may_be_time(name, []) or pa.types.is_temporal(_type(file, name))
        ]
        data = file.read(columns=kept)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{source.name}: cannot be read as Parquet: {error}", hint=DAMAGED) from error
    return _table(data, Origin(source.name, data.num_rows), tuple(names), options)


def _type(file: Any, name: str) -> Any:
    return file.schema_arrow.field(name).type


def _read_json(source: Source, options: ReadOptions, *, whole: bool) -> Table:
    """Read JSON Lines, or one JSON array of objects; texts stay texts, so that times can be written back."""
    import json

    import pyarrow as pa
    from pyarrow import json as arrow_json

    with source.open() as stream:
        content = bytes(stream.read())
    try:
        if whole:
            data = pa.Table.from_pylist(json.loads(content))
            return _table(data, Origin(source.name, data.num_rows), tuple(data.column_names), options)
        first = json.loads(content.lstrip(b"\xef\xbb\xbf\r\n\t ").split(b"\n", 1)[0])
        texts = pa.schema([(key, pa.string()) for key, value in first.items() if isinstance(value, str)])
        data = arrow_json.read_json(
            pa.BufferReader(content.removeprefix(b"\xef\xbb\xbf")),
            parse_options=arrow_json.ParseOptions(explicit_schema=texts),
        )
    except (pa.ArrowException, TypeError, AttributeError, ValueError) as error:
        hint = "give one flat object per line"
        raise DataError(f"{source.name}: cannot be read as JSON: {error}", hint=hint) from error
    # Arrow puts the columns of an explicit schema first
    order = [*(key for key in first if key in data.column_names), *(c for c in data.column_names if c not in first)]
    origin = LineOrigin(source.name, data.num_rows, source)
    return _table(data.select(order), origin, tuple(order), options)


def _from_memory(source: Any, options: ReadOptions) -> Table:
    import pyarrow as pa

    if isinstance(source, pa.Table):
        return _table(source, Origin("table", source.num_rows), tuple(source.column_names), options)
    import pandas as pd

    if not isinstance(source, pd.DataFrame):
        raise DataError(f"data of type {type(source).__name__} cannot be read", hint="give a path or a DataFrame")
    frame = source
    if isinstance(frame.index, pd.DatetimeIndex | pd.PeriodIndex) or frame.index.names != [None]:
        index = frame.index.to_timestamp() if isinstance(frame.index, pd.PeriodIndex) else frame.index
        frame = frame.set_axis(index.rename("timestamp") if index.names == [None] else index).reset_index()
    data = pa.Table.from_pandas(frame, preserve_index=False)
    return _table(data, Origin("data frame", data.num_rows), tuple(data.column_names), options)


def _table(data: Any, origin: Origin, header: tuple[str, ...], options: ReadOptions) -> Table:
    """Make a table of Arrow data that was typed elsewhere: plain types only, further null texts applied."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for i, field in enumerate(data.schema):
        kind, column = field.type, data.column(i)
        if pa.types.is_dictionary(kind):
            column, kind = column.cast(kind.value_type), kind.value_type
        if pa.types.is_decimal(kind):
            column = column.cast(pa.float64())
        elif pa.types.is_large_string(kind) or "string_view" in str(kind):
            column = column.cast(pa.string())
        if pa.types.is_string(column.type) and options.null:
            column = pc.if_else(pc.is_in(column, value_set=pa.array(options.null)), None, column)
        data = data.set_column(i, field.name, column)
    samples = {
        name: [text for text in data[name].slice(0, SAMPLE).to_pylist() if text]
        for name in data.column_names
        if pa.types.is_string(data[name].type)
    }
    return Table(data, [origin], header, options.decimal or ".", options.null, samples)


def _stack(tables: list[Table]) -> Table:
    """Put tables with the same columns under each other; a column typed differently becomes text."""
    import pyarrow as pa

    first = tables[0]
    for table in tables[1:]:
        if set(table.header) != set(first.header):
            differing = sorted(set(table.header) ^ set(first.header))
            raise DataError(
                f"{table.name}: its columns differ from those of {first.name}: {listed(differing)}",
                hint="give files with the same columns",
            )
    names = [name for name in first.columns if all(name in table.columns for table in tables)]
    pieces = []
    for name in names:
        columns = [table.data[name] for table in tables]
        kind = _common([column.type for column in columns])
        pieces.append(pa.chunked_array([chunk for column in columns for chunk in column.cast(kind).chunks], type=kind))
    return Table(
        pa.table(pieces, names=names),
        [origin for table in tables for origin in table.origins],
        first.header,
        first.decimal,
        first.null,
        {name: [text for table in tables for text in table.samples.get(name, [])] for name in names},
        [note for table in tables for note in table.notes],
    )


def _common(kinds: list[Any]) -> Any:
    import pyarrow as pa

    distinct = [kind for kind in dict.fromkeys(kinds) if not pa.types.is_null(kind)]
    if len(distinct) <= 1:
        return distinct[0] if distinct else pa.null()
    if all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in distinct):
        return pa.float64()
    if all(pa.types.is_timestamp(kind) and kind.tz == distinct[0].tz for kind in distinct):
        return pa.timestamp("us", distinct[0].tz)
    return pa.string()
