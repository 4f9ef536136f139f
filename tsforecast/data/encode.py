"""Columns of a table into columns of numbers: one-hot categories, sine and cosine of angles and of the calendar."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tsforecast.data.clock import Clock
from tsforecast.data.freq import DAY, Freq
from tsforecast.data.rows import Ints, Rows
from tsforecast.data.schema import Categories, Schema
from tsforecast.data.table import Table, and_more, listed
from tsforecast.errors import DataError, UsageError, did_you_mean

Floats = NDArray[np.float32]

MOST_CATEGORIES = 50
CALENDAR = ("hour", "dayofweek", "dayofyear", "month")


def find_categories(table: Table, names: Sequence[str]) -> Categories:
    """Return the categories, in order, of those of ``names`` that hold texts.

    Raises:
        DataError: A column has more than 50.
    """
    found: Categories = {}
    for name in names:
        if table.is_numeric(name):
            continue
        texts = sorted(table.codes(name)[1])
        if len(texts) > MOST_CATEGORIES:
            raise DataError(
                f"{table.name}: column '{name}' holds {len(texts)} different texts ({listed(texts, 3)}); "
                f"at most {MOST_CATEGORIES} can be categories",
                hint="leave it out, or say --series-id or --time if it is one of these",
            )
        found[name] = tuple(texts)
    return found


def encode(table: Table, schema: Schema, found: Rows, out: Floats, notes: list[str]) -> None:
    """Fill ``out`` with the targets and covariates of a schema, in the order of its frame columns.

    Args:
        table: Columns as read.
        schema: What to take, with its categories filled.
        found: Which rows, in which order.
        out: (N, C); columns past those of the schema are left as they are.
        notes: Gets a line for texts that are no known category.
    """
    at = 0
    in_order = np.array_equal(found.rows, np.arange(table.n_rows))
    for name in (*schema.target, *schema.past, *schema.future):
        if name in schema.categories:
            columns = _one_hot(table, name, schema.categories[name], notes)
        elif name in schema.circular:
            angle = np.deg2rad(_numbers(table, name, found))
            columns = np.column_stack([np.sin(angle), np.cos(angle)])
        else:
            columns = _numbers(table, name, found)[:, None]
        for column in columns.T:
            out[:, at] = column if in_order else column[found.rows]
            at += 1


def _numbers(table: Table, name: str, found: Rows) -> Floats:
    values: Floats = table.numbers(name)
    infinite = np.isinf(values)
    if infinite.any():
        rows = np.flatnonzero(infinite)
        raise DataError(
            f"{table.where(int(rows[0]))}: column '{name}': the value is infinite{and_more(len(rows))}",
            hint="mend it, or name its text with --null",
        )
    if len(found.twins):
        _average(values, found.twins)
    return values


def _average(values: Floats, twins: Ints) -> None:
    """Replace each staying row by the mean of what is known of it and its twins."""
    stays, group = np.unique(twins[:, 0], return_inverse=True)
    members = np.concatenate([stays, twins[:, 1]])
    groups = np.concatenate([np.arange(len(stays)), group])
    known = ~np.isnan(values[members])
    total = np.bincount(groups[known], weights=values[members[known]], minlength=len(stays))
    count = np.bincount(groups[known], minlength=len(stays))
    values[stays] = np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _one_hot(table: Table, name: str, categories: Sequence[str], notes: list[str]) -> Floats:
    """Return (N, K): 1 in the column of a row's category; NaN where it is missing, zeros where it is unknown."""
    codes, texts = table.codes(name)
    unknown = [text for text in texts if text not in categories]
    if unknown:
        notes.append(f"column '{name}': {listed(map(repr, unknown))} is new; taken as none of the known categories")
    position = {category: k for k, category in enumerate(categories)}
    coded = np.array([*(position.get(text, len(categories)) for text in texts), -1], dtype=np.int64)[codes]
    columns: Floats = (coded[:, None] == np.arange(len(categories))).astype(np.float32)
    columns[coded < 0] = np.nan
    return columns


def encode_static(table: Table, schema: Schema, found: Rows, notes: list[str]) -> tuple[Floats, tuple[str, ...]]:
    """Return (S, K) static covariates and their K names.

    Raises:
        DataError: One changes within a series, or a series has none.
    """
    pieces: list[Floats] = [np.zeros((len(found.bounds) - 1, 0), dtype=np.float32)]
    names: list[str] = []
    for name in schema.static:
        if name in schema.static_categories:
            columns = _one_hot(table, name, schema.static_categories[name], notes)
            names += [f"{name}={category}" for category in schema.static_categories[name]]
        else:
            columns = _numbers(table, name, found)[:, None]
            names.append(name)
        pieces.append(_constant(table, name, columns[found.rows], found))
    return np.concatenate(pieces, axis=1), tuple(names)


def _constant(table: Table, name: str, columns: Floats, found: Rows) -> Floats:
    starts = found.bounds[:-1]
    low, high = np.fmin.reduceat(columns, starts, axis=0), np.fmax.reduceat(columns, starts, axis=0)
    changing = np.flatnonzero(np.any(low < high, axis=1))
    if len(changing):
        start, end = found.bounds[changing[0]], found.bounds[changing[0] + 1]
        rows = columns[start:end]
        known = np.flatnonzero(~np.isnan(rows[:, 0]))
        differs = known[np.any(rows[known] != rows[known[0]], axis=1)][0]
        raise DataError(
            f"{table.where(int(found.rows[start + differs]))}: static covariate '{name}' changes within its series",
            hint="say --past or --future instead",
        )
    constant: Floats = low
    empty = np.flatnonzero(np.isnan(constant[:, 0]))
    if len(empty):
        place = table.where(int(found.rows[starts[empty[0]]]))
        raise DataError(
            f"{place}: static covariate '{name}' has no value in its series{and_more(len(empty))}",
            hint=f"fill it in, or leave --static {name} away",
        )
    return constant


def calendar_values(clock: Clock, freq: Freq, time: Ints, names: Sequence[str]) -> Floats:
    """Return the calendar covariates at some timestamps.

    Args:
        clock: Says what the wall clock shows; with several offsets, its last one holds for all rows.
        freq: Spacing of time.
        time: (N,) microseconds, as in ``Frame.time``.
        names: K of "hour" (of the day, with its fraction), "dayofweek", "dayofyear", "month".

    Returns:
        (N, 2 K) sine and cosine of each.

    Raises:
        UsageError: A name is not one of these.
        DataError: There is no clock.
    """
    for name in names:
        if name not in CALENDAR:
            raise UsageError(f"--calendar '{name}' is unknown", hint=did_you_mean(name, CALENDAR))
    if names and (freq.kind == "step" or not clock.columns):
        raise DataError("calendar covariates need a clock, and the data has none", hint="leave --calendar away")
    wall = clock.wall(time)
    days, rest = wall // DAY, wall % DAY
    out = np.empty((len(time), 2 * len(names)), dtype=np.float32)
    for k, name in enumerate(names):
        angle = 2 * np.pi * _phase(name, days, rest)
        out[:, 2 * k], out[:, 2 * k + 1] = np.sin(angle), np.cos(angle)
    return out


def _phase(name: str, days: Ints, rest: Ints) -> NDArray[np.float64]:
    """Return the part of the day, week or year that has passed, from 0 to 1."""
    if name == "hour":
        return rest / DAY
    if name == "dayofweek":
        return (days + 3) % 7 / 7  # 1970-01-01 was a Thursday; Monday is 0
    dates = days.astype("M8[D]")
    if name == "month":
        return dates.astype("M8[M]").astype(np.int64) % 12 / 12
    return (days - dates.astype("M8[Y]").astype("M8[D]").astype(np.int64)) / 365.25
