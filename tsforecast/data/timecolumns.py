"""Finding the time columns of a table: by trying to read them, names only break ties."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tsforecast.data import arrow, timestyle
from tsforecast.data.clock import Clock
from tsforecast.data.columns import is_time_of_day, name_score, part_of, parts
from tsforecast.data.table import Table, and_more, how_to_rename, listed
from tsforecast.data.timeread import Reading, guess_formats, read_columns, sample
from tsforecast.durations import duration
from tsforecast.errors import DataError, UsageError
from tsforecast.options import ReadOptions

SMALLEST_STAMP = 19_000_101  # what numbers without a telling name must reach: a date without marks, or seconds


def find(table: Table, options: ReadOptions, known: Clock | None) -> tuple[Clock, NDArray[np.int64]]:
    """Do what :func:`tsforecast.data.clock.find_clock` says."""
    if options.rows_are_steps:
        return Clock(sampling=_sampling(options, known)), np.arange(table.n_rows, dtype=np.int64)
    timestyle.tokens(options.date_format)  # a typing error should be told even where the format is not needed
    columns = _named(table, options, known)
    reading = None
    if columns and known is not None and not known.formats[0].startswith("@"):
        reading = read_columns(table, columns, replace(options, date_format=" ".join(known.formats)))
    if columns and (reading is None or not reading.ok.all()):
        reading = read_columns(table, columns, options)
        if reading is None:
            values = " ".join(sample(table, name)[0] for name in columns)
            first = int(np.argmax(table.codes(columns[0])[0] >= 0))
            message = (
                f"{table.where(first)}: column {listed(f'{name!r}' for name in columns)}: '{values}' is not a time"
            )
            raise DataError(message, hint="name the column that holds time, or give --date-format")
    if reading is None:
        reading = _best(table, _candidates(table, options))
    if not reading.ok.all():
        raise _bad_time(table, reading)
    clock = reading.clock
    table.notes.append(f"time: column {listed(clock.columns)}, written {' '.join(clock.formats)}")
    return clock, reading.time


def _sampling(options: ReadOptions, known: Clock | None) -> str:
    """Return the time between two rows that the user or the model gives; "" when nobody does."""
    given, fitted = options.sampling.strip(), known.sampling if known else ""
    if not given:
        return fitted
    every = duration(given, "sampling")
    for name, value in (("time", options.time), ("freq", options.freq.removeprefix("step"))):
        if value:
            hint = f"leave --{name} away, or --sampling, which is for a record without a clock"
            raise UsageError(f"--sampling {given} and --{name} {value} exclude each other", hint=hint)
    if fitted and every != duration(fitted, "sampling"):
        raise DataError(f"the model was trained on rows every {fitted}", hint=f"leave --sampling {given} away")
    return given if given[-1].isalpha() else f"{given}s"


def _named(table: Table, options: ReadOptions, known: Clock | None) -> list[str]:
    """Return the time columns that the user or the model names; [] when they are to be found."""
    if options.time:
        names = [options.time] if options.time in table.columns else [n.strip() for n in options.time.split(",")]
        for name in names:
            table.column(name)
        return names
    names = list(known.columns) if known else []
    missing = [name for name in names if name not in table.columns]
    if missing:
        raise DataError(
            f"model needs the time column '{missing[0]}'; {table.name} has {listed(table.header, 20)}",
            hint=f"{how_to_rename(missing[0], table)}, or give --time",
        )
    return names


def _best(table: Table, readings: list[Reading]) -> Reading:
    """Choose the reading that tells most rows apart; then by name; then the first column."""
    if not readings:
        raise DataError(f"{table.name}: no column holds time", hint="name it with --time, or give --no-time")
    if len(readings) == 1:
        return readings[0]

    def rank(reading: Reading) -> tuple[int, int, int, int]:
        score = max(map(name_score, reading.clock.columns))
        distinct = len(np.unique(reading.time[reading.ok]))
        return -reading.doubt, distinct, score, -table.columns.index(reading.clock.columns[0])

    return max(readings, key=rank)


def _candidates(table: Table, options: ReadOptions) -> list[Reading]:
    """Read every column, or group of columns, that may be the time."""
    groups: list[list[str]] = []
    named = parts(table.columns)
    if len(named) > 1:
        groups.append(list(named.values()))
    for name, following in zip(table.columns, (*table.columns[1:], ""), strict=True):
        if not part_of(name) or name_score(name) == 2:
            groups.append([name])
            if following and _is_time_of_day(table, following) and _is_date(table, name):
                groups.append([name, following])
    groups = [group for group in groups if len(group) > 1 or _plausible(table, group[0])]
    readings = (read_columns(table, group, options) for group in groups)
    return [reading for reading in readings if reading is not None]


def _plausible(table: Table, name: str) -> bool:
    column = table.column(name)
    if str(column.type) == "string":
        return bool(guess_formats(sample(table, name)[:1]))
    if arrow.is_number(column):
        first = arrow.floats(column.slice(0, 10), np.float64)
        return bool(name_score(name) or part_of(name) == "Y" or np.all(first >= SMALLEST_STAMP))
    return arrow.is_time(column)


def _is_date(table: Table, name: str) -> bool:
    formats = timestyle.find_formats(sample(table, name)[:1])
    return bool(formats) and not re.search("%-?[HI]", formats[0])


def _is_time_of_day(table: Table, name: str) -> bool:
    return part_of(name) == "H" or is_time_of_day(sample(table, name)[:5])


def _bad_time(table: Table, reading: Reading) -> DataError:
    rows = np.flatnonzero(~reading.ok)
    names = reading.clock.columns
    cells = [table.column(name)[int(rows[0])].as_py() for name in names]
    value = " ".join("" if cell is None else str(cell) for cell in cells)
    good = np.flatnonzero(reading.ok)
    example = " ".join(str(table.column(name)[int(good[0])].as_py()) for name in names) if len(good) else ""
    what = "is empty" if not value.strip() else f"'{value}' is not a time" + (f" like '{example}'" if example else "")
    return DataError(
        f"{table.where(int(rows[0]))}: column {listed(f'{name!r}' for name in names)}: {what}{and_more(len(rows))}",
        hint="mend it, or say --date-format",
    )
