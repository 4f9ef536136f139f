"""Arrow columns as NumPy arrays, straight from their buffers.

``ChunkedArray.to_numpy`` and ``pyarrow.compute`` cost an import of pandas or 40 ms; a cold ``predict`` needs neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1}
DAY = 86_400_000_000


def _chunks(column: Any) -> Iterator[tuple[slice, Any]]:
    start = 0
    for chunk in column.chunks:
        yield slice(start, start + len(chunk)), chunk
        start += len(chunk)


def nulls(column: Any) -> NDArray[np.bool_]:
    """Return (N,) bool, True where ``column`` is null."""
    missing = np.zeros(len(column), dtype=np.bool_)
    for where, chunk in _chunks(column):
        if chunk.null_count == len(chunk):
            missing[where] = True
        elif chunk.null_count:
            bits = np.frombuffer(chunk.buffers()[0], dtype=np.uint8)
            valid = np.unpackbits(bits, bitorder="little")[chunk.offset : chunk.offset + len(chunk)]
            missing[where] = valid == 0
    return missing


def _fill(column: Any, dtype: str, out: NDArray[Any]) -> NDArray[Any]:
    """Copy the stored values (of storage type ``dtype``) into ``out``; what stands at nulls is arbitrary."""
    for where, chunk in _chunks(column):
        data = chunk.buffers()[1]
        if data is None:
            out[where] = 0
        else:
            out[where] = np.frombuffer(data, dtype=dtype)[chunk.offset : chunk.offset + len(chunk)]
    return out


def is_number(column: Any) -> bool:
    """Tell whether the column has an integer or floating type that NumPy shares."""
    import pyarrow.types as t

    return bool(t.is_integer(column.type) or t.is_floating(column.type))


def is_integer(column: Any) -> bool:
    """Tell whether the column has an integer type."""
    import pyarrow.types as t

    return bool(t.is_integer(column.type))


def is_whole(column: Any) -> bool:
    """Tell whether every number of a column is a whole one."""
    values = floats(column, np.float64)
    values = values[~np.isnan(values)]
    return bool(np.all(np.isfinite(values)) and np.all(values == np.floor(values)) and np.all(np.abs(values) < 2**53))


def is_time(column: Any) -> bool:
    """Tell whether the column has a timestamp or date type."""
    import pyarrow.types as t

    return bool(t.is_timestamp(column.type) or t.is_date(column.type))


def floats(column: Any, dtype: Any = np.float32) -> NDArray[Any]:
    """Return the numbers of an integer, floating or boolean column, NaN where null; beyond float32 is infinite."""
    import pyarrow.types as t

    out = np.empty(len(column), dtype=dtype)
    if t.is_boolean(column.type):
        out[:] = [np.nan if value is None else value for value in column.to_pylist()]
        return out
    with np.errstate(over="ignore"):
        _fill(column, _storage(column.type), out)
    if column.null_count:
        out[nulls(column)] = np.nan
    return out


def integers(column: Any) -> NDArray[np.int64]:
    """Return an integer column as int64; what stands at nulls is arbitrary."""
    return _fill(column, _storage(column.type), np.empty(len(column), dtype=np.int64))


def resolution(column: Any) -> int:
    """Return the microseconds to which a timestamp or date column is exact, 1 at least."""
    import pyarrow.types as t

    return DAY if t.is_date(column.type) else MICROSECONDS.get(column.type.unit, 1)


def microseconds(column: Any) -> NDArray[np.int64]:
    """Return a timestamp or date column as microseconds since 1970; what stands at nulls is arbitrary."""
    import pyarrow.types as t

    out = np.empty(len(column), dtype=np.int64)
    if t.is_date(column.type):
        days = t.is_date32(column.type)
        _fill(column, "i4" if days else "i8", out)
        out *= DAY if days else 1_000
    elif column.type.unit == "ns":
        _fill(column, "i8", out)
        out //= 1_000
    else:
        _fill(column, "i8", out)
        out *= MICROSECONDS[column.type.unit]
    return out


def _storage(kind: Any) -> str:
    return {"halffloat": "f2", "float": "f4", "double": "f8"}.get(str(kind)) or np.dtype(str(kind)).str
