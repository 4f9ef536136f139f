"""``tsforecast demo``: write a simulated series, to try things on."""

from __future__ import annotations

import io
from pathlib import Path

import typer

from tsforecast.cli.options import DEBUG, with_options
from tsforecast.registry import SYNTHETIC


@with_options()
def demo(
    kind: str = typer.Argument("solar_wind", help="weather, solar, wind, solar_wind or stock."),
    rows: int | None = typer.Option(
        None, "--rows", min=1, help="Rows; about two years of hours or ten of days by default."
    ),
    seed: int = typer.Option(0, "--seed", min=0, help="Seed of the simulation."),
    output: Path | None = typer.Option(None, "--output", "-o", help="File to write; stdout by default."),
    debug: bool = DEBUG,  # noqa: ARG001 - read by app
) -> None:
    """Write a simulated, seeded sample series as CSV.

    tsforecast demo solar | tsforecast train -t ghi -o solar.safetensors
    """
    SYNTHETIC.check(kind)

    from tsforecast.cli.output import write_text
    from tsforecast.data.synthetic import to_csv

    text = io.StringIO()
    to_csv(SYNTHETIC.get(kind)(rows=rows, seed=seed), text)
    write_text(text.getvalue(), output)
