"""``tsforecast predict``: forecast what follows the last row of the data."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import typer

from tsforecast.cli.options import DEBUG, FORMATS, QUIET, VERBOSE, Flags, data_sources, with_options
from tsforecast.cli.report import Reporter
from tsforecast.options import ReadOptions


@with_options(ReadOptions)
def predict(
    flags: Flags,
    model: Path = typer.Argument(..., help="Model file written by `tsforecast train`."),
    data: list[str] | None = typer.Argument(None, help="Files with the history; - or nothing is stdin."),
    horizon: int = typer.Option(0, "--horizon", "-H", min=0, help="Steps to forecast; those of training by default."),
    at: str = typer.Option("", "--at", help="Forecast from the last row up to this time instead of the last row."),
    future_data: Path | None = typer.Option(
        None, "--future-data", help="File with the future covariates over the horizon."
    ),
    include_history: int = typer.Option(0, "--include-history", min=0, help="Also print the last N known rows."),
    missing: str = typer.Option("", "--missing", help="Treat holes otherwise than in training (interpolate:6, ...)."),
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
    read_options = flags.settings().build(ReadOptions)

    from tsforecast import artifact, prediction
    from tsforecast.cli.output import choose_format, shortest, write_table
    from tsforecast.data.clock import parse_time
    from tsforecast.data.read import read

    kind = choose_format("json" if json else format, output)
    forecaster = artifact.load(model).forecaster
    table = read(data_sources(data), read_options, stdin=sys.stdin.buffer, columns=forecaster.source_columns)
    frame, notes = prediction.read_frame(forecaster, table, read_options, missing=missing)
    for text in table.notes:
        report.detail(text)
    for text in notes:
        report.note(text)
    future = None
    if future_data is not None:
        future = prediction.read_future(
            forecaster, read([future_data], read_options, stdin=sys.stdin.buffer), read_options
        )
    if horizon > forecaster.shape.horizon and not forecaster.network.free_running:
        report.note(
            f"horizon {horizon} is beyond the {forecaster.shape.horizon} steps of training: forecasts are fed back"
        )
    if caveat := prediction.caveat_of_quantiles(forecaster, horizon):
        report.note(caveat)
    moment = parse_time(at, frame.clock) if at else None
    made = prediction.predict(forecaster, frame, horizon=horizon, at=moment, future=future)
    columns = made.columns(frame.clock, include_history)
    for name in made.numbers:
        if name in columns:
            columns[name] = shortest(columns[name])
    write_table(columns, format=kind, output=output)
