"""What a command reads: named files or standard input, and what is said of them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tsforecast.cli.report import Reporter
from tsforecast.errors import UsageError
from tsforecast.options import ReadOptions

if TYPE_CHECKING:
    from tsforecast.config import Settings
    from tsforecast.data.table import Table
    from tsforecast.forecasting.forecaster import Forecaster
    from tsforecast.forecasting.prediction import Ready


def data_sources(data: Sequence[str | Path] | None) -> list[str | Path]:
    """Return the inputs: the named files, ``-`` for stdin, stdin when something is piped in.

    Raises:
        UsageError: No file, and nobody is piping.
    """
    if data:
        return list(data)
    if sys.stdin is not None and not sys.stdin.isatty():
        return ["-"]
    raise UsageError("no data", hint="name a file, or pipe one in: cat data.csv | tsforecast ... -")


def read_table(
    data: Sequence[str | Path] | None, options: ReadOptions, *, columns: Sequence[str] | None = None
) -> Table:
    """Read the inputs of a command as one table.

    Args:
        data: Files, ``-`` for stdin; nothing is stdin when something is piped in.
        options: How they are written.
        columns: What is needed; None reads everything.

    Raises:
        DataError: An input is no table, or those of two inputs differ.
        UsageError: There is no input.
    """
    from tsforecast.data.read import read

    stdin = getattr(sys.stdin, "buffer", None)  # None where the shell has closed it: `<&-`
    return read(data_sources(data), options, stdin=stdin, columns=columns)


def read_for(
    forecaster: Forecaster,
    data: Sequence[str | Path] | None,
    settings: Settings,
    report: Reporter,
    *,
    missing: str = "",
    future_data: Path | None = None,
) -> Ready:
    """Read what a forecaster is to be used on, set what was set after training, and say what was done to the rows.

    Args:
        forecaster: Of the model file.
        data: Files with the history, as for :func:`read_table`.
        settings: Options of reading and of the domain.
        report: Says it.
        missing: Another treatment of holes than in training.
        future_data: File of future covariates.

    Raises:
        DataError: The data does not fit the forecaster.
        UsageError: The options do not fit the data, or there is none.
    """
    from tsforecast.forecasting.prediction import make_ready

    options = settings.build(ReadOptions)
    table = read_table(data, options, columns=forecaster.source_columns)
    future = None if future_data is None else read_table([future_data], options)
    ready = make_ready(forecaster, table, settings, missing=missing, future=future)
    tell(report, table, ready.notes)
    return ready


def tell(report: Reporter, table: Table, notes: Iterable[str] = ()) -> None:
    """Say how a table was read, with ``--verbose``, and then what was done to its rows.

    Only when its rows are laid out is all known of a table: which column holds time is found there.
    """
    for text in dict.fromkeys(table.notes):  # rows may be laid out twice: to train on, and to rank on
        report.detail(text)
    for text in notes:
        report.note(text)
