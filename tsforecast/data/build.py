"""From a table to a frame: parts, clock, series, order, grid, holes."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsforecast.data.clock import Clock, find_clock
from tsforecast.data.encode import calendar_values, encode, encode_static, find_categories
from tsforecast.data.frame import Frame
from tsforecast.data.freq import Freq
from tsforecast.data.missing import FILLS, Floats, Missing, ends_of_target, fill, insert_missing_rows, refuse
from tsforecast.data.rows import Ints, Rows, choose_freq, find_breaks, settle_duplicates, snap, sort
from tsforecast.data.schema import Schema
from tsforecast.data.table import Table, and_more
from tsforecast.errors import DataError
from tsforecast.options import ReadOptions

__all__ = ["Schema", "build", "calendar_values"]


def build(table: Table, schema: Schema, read_options: ReadOptions) -> tuple[Frame, Schema, list[str]]:
    """Make a frame of a table.

    Args:
        table: Columns as read.
        schema: Which columns play which part; one that has a clock is a model's, and the data must fit it.
        read_options: What the user has decided about time, duplicates and frequency.

    Returns:
        The frame; the schema with frequency, categories and clock filled in; notes for the user.

    Raises:
        DataError: A column is missing or unfit, time is bad, timestamps repeat, or the data is not that of the model.
        UsageError: ``missing``, ``freq`` or ``calendar`` is not understood.
    """
    notes: list[str] = []
    missing = Missing.parse(schema.missing)
    schema.check(table)
    found, series, clock, freq = _place(table, schema, read_options, notes)
    schema = _complete(table, schema, clock, freq)
    static, static_names = encode_static(table, schema, found, notes)
    found, values, filled, peeks = _fill_columns(table, schema, found, freq, missing, notes)
    frame = Frame(
        values=values,
        columns=schema.columns,
        time=found.time,
        freq=freq,
        series=series,
        bounds=found.bounds,
        breaks=find_breaks(found, freq),
        static=static,
        static_columns=static_names,
        clock=clock,
        filled=filled,
        peeks=peeks,
        rows=found.rows,
    )
    return frame, schema, notes


def _place(
    table: Table, schema: Schema, options: ReadOptions, notes: list[str]
) -> tuple[Rows, tuple[str, ...], Clock, Freq]:
    """Find out which row goes where: time, series, order, duplicates, grid."""
    fitted = schema.clock is not None
    alias = schema.freq or options.freq
    if fitted and options.freq and Freq.parse(options.freq) != Freq.parse(schema.freq):
        raise DataError(f"the model was trained on steps of {schema.freq}", hint=f"leave --freq {options.freq} away")
    no_time = schema.no_time or options.rows_are_steps or alias == "step"
    clock, time = find_clock(table, replace(options, no_time=no_time), schema.clock)
    codes, series = _series(table, schema.series_id)
    found = sort(time, codes, len(series), notes)
    if not clock.columns:
        found = replace(found, time=np.arange(len(time)) - np.repeat(found.bounds[:-1], np.diff(found.bounds)))
    how = options.duplicates if options.duplicates != "error" else schema.duplicates
    found = settle_duplicates(found, how, table, clock, notes)
    try:
        freq = choose_freq(found, alias, fitted, clock)
    except DataError as error:
        raise DataError(f"{table.name}: {error.message}", hint=error.hint) from None
    return snap(found, freq, notes), series, clock, freq


def _series(table: Table, name: str) -> tuple[Ints | None, tuple[str, ...]]:
    """Return (N,) series of each row, None when there is one series only, and the ids in order."""
    if not name:
        return None, ("",)
    codes, ids = table.codes(name)
    empty = np.flatnonzero(codes < 0)
    if len(empty):
        place = table.where(int(empty[0]))
        raise DataError(f"{place}: series id '{name}' is empty{and_more(len(empty))}", hint="fill it in")
    order = sorted(range(len(ids)), key=ids.__getitem__)
    rank = np.empty(len(ids), dtype=np.int64)
    rank[order] = np.arange(len(ids))
    return rank[codes], tuple(ids[i] for i in order)


def _complete(table: Table, schema: Schema, clock: Clock, freq: Freq) -> Schema:
    """Return the schema with what the first build finds; a model's schema stays as it is."""
    if schema.clock is not None:
        return schema
    covariates = [name for name in (*schema.past, *schema.future) if name not in schema.circular]
    return replace(
        schema,
        freq=freq.alias,
        no_time=not clock.columns,
        clock=clock,
        categories=find_categories(table, covariates),
        static_categories=find_categories(table, schema.static),
    )


class _Treated(NamedTuple):
    """Rows whose holes were treated: the rows, their (N, C) values, and ``filled`` and ``peeks`` of the frame."""

    found: Rows
    values: Floats
    filled: NDArray[np.bool_]
    peeks: NDArray[np.bool_]


def _fill_columns(
    table: Table, schema: Schema, found: Rows, freq: Freq, missing: Missing, notes: list[str]
) -> _Treated:
    """Encode the columns of the table, treat their holes and add the calendar."""
    values = np.empty((len(found.rows), len(schema.columns)), dtype=np.float32)
    encode(table, schema, found, values, notes)
    treated = _handle_missing(table, schema, found, values, freq, missing, notes)
    if schema.calendar and schema.clock is not None:  # a model's clock: past and future keep to one offset
        calendar = calendar_values(schema.clock, freq, treated.found.time, schema.calendar)
        treated.values[:, -calendar.shape[1] :] = calendar
    return treated


def _handle_missing(
    table: Table,
    schema: Schema,
    found: Rows,
    values: Floats,
    freq: Freq,
    missing: Missing,
    notes: list[str],
) -> _Treated:
    """Skip, refuse or fill the holes."""
    targets = len(schema.target_columns)
    untouched = _Treated(found, values, np.zeros((len(values), targets), dtype=bool), np.zeros(len(values), dtype=bool))
    if missing.how == "skip":
        return untouched
    before = len(found.rows)
    if missing.how in FILLS:
        found, values = insert_missing_rows(found, values, freq, missing.limit)
    breaks = find_breaks(found, freq)
    ends = ends_of_target(values, targets, found.bounds)
    n_known = targets + len(schema.past_columns)
    own = values[:, : values.shape[1] - 2 * len(schema.calendar)]
    if missing.how == "error":
        refuse(own, breaks, found.bounds, ends, n_known, lambda at: table.places(found.rows[at]))
        return untouched
    made_up = fill(own, missing, breaks, ends, n_known)
    count = np.count_nonzero(made_up)
    notes.append(f"--missing {schema.missing}: {len(found.rows) - before} rows inserted, {count} values filled")
    peeks = np.asarray(made_up.any(axis=1)) & (missing.how == "interpolate")  # the other ways only look back
    return _Treated(found, values, made_up[:, :targets].copy(), peeks)
