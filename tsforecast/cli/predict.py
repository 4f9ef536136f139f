"""``tsforecast predict``: forecast what follows the last row of the data."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from tsforecast.cli.inputs import read_for
from tsforecast.cli.options import DEBUG, FORMATS, FUTURE_DATA, HORIZON, MISSING, QUIET, VERBOSE, Flags, with_options
from tsforecast.cli.report import Reporter
from tsforecast.options import DomainOptions, ReadOptions


@with_options(DomainOptions, ReadOptions)
def predict(
    flags: Flags,
    model: Path = typer.Argument(..., help="Model file written by `tsforecast train`."),
    data: list[str] | None = typer.Argument(None, help="Files with the history; - or nothing is stdin."),
    horizon: int | None = HORIZON,
    at: str = typer.Option("", "--at", help="Forecast from the last row up to this time instead of the last row."),
    future_data: Path | None = FUTURE_DATA,
    include_history: int = typer.Option(0, "--include-history", min=0, help="Also print the last N known rows."),
    missing: str = MISSING,
    output: Path | None = typer.Option(None, "--output", "-o", help="File to write; stdout by default."),
    format: str = typer.Option("", "--format", "-f", help=f"{FORMATS} [default: csv]"),
    json: bool = typer.Option(False, "--json", help="The same as --format json."),
    quiet: bool = QUIET,
    verbose: bool = VERBOSE,
    debug: bool = DEBUG,  # noqa: ARG001 - read by app
) -> None:
    """Forecast what follows the last row of DATA, for every series, in its own columns and time style.

    cat plant.csv | tsforecast predict plant.safetensors | head -3
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # starting threads costs more than one forecast
    report = Reporter(quiet=quiet, verbose=verbose)
    settings = flags.settings()

    from tsforecast import artifact
    from tsforecast.cli.output import check_outputs, choose_format, shortest, write_table
    from tsforecast.data.clock import parse_time
    from tsforecast.forecasting import prediction

    kind = choose_format("json" if json else format, output)
    check_outputs(output, replace=True, inputs=[model, *(data or []), future_data])
    loaded = artifact.load(model).forecaster
    forecaster, frame, future, _ = read_for(loaded, data, settings, report, missing=missing, future_data=future_data)
    moment = parse_time(at, frame.clock) if at else None
    made = prediction.predict(forecaster, frame, horizon=horizon or 0, at=moment, future=future)
    for text in made.notes:
        report.note(text)
    for text in made.warnings:
        report.warning(text)
    columns = made.columns(frame.clock, include_history)
    for name in made.numbers:
        if name in columns:
            columns[name] = shortest(columns[name])
    write_table(columns, format=kind, output=output)
