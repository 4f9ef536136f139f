"""``tsforecast train``: fit a forecaster and write its model file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tsforecast.cli.options import DATA, DEBUG, FORCE, QUIET, RECIPE, VERBOSE, Flags, data_sources, with_options
from tsforecast.cli.progress import board
from tsforecast.cli.report import Reporter
from tsforecast.errors import Interrupted, UsageError
from tsforecast.files import check_new
from tsforecast.options import ColumnOptions, FitOptions, ReadOptions

if TYPE_CHECKING:
    from tsforecast.fitting import Outcome
    from tsforecast.preparation import Task


@with_options(ColumnOptions, FitOptions, ReadOptions)
def train(
    flags: Flags,
    data: list[str] | None = DATA,
    output: Path | None = typer.Option(
        None, "--output", "-o", help="Model file to write, for example plant.safetensors."
    ),
    pairs: list[str] | None = typer.Option(
        None, "--set", help="Option of model or trainer: model.hidden=64, trainer.optimizer=sgd."
    ),
    config: Path | None = typer.Option(None, "--config", help="TOML file of options."),
    recipe: str = RECIPE,
    print_config: bool = typer.Option(False, "--print-config", help="Print every resolved option as TOML and stop."),
    resume: bool = typer.Option(False, "--resume", help="Continue a run that was stopped, to the same end."),
    force: bool = FORCE,
    json: bool = typer.Option(False, "--json", help="Print a summary as JSON on stdout."),
    quiet: bool = QUIET,
    verbose: bool = VERBOSE,
    debug: bool = DEBUG,  # noqa: ARG001 - read by app
) -> None:
    """Fit a forecaster to DATA and write it to a model file.

    tsforecast train plant.csv -t power -o plant.safetensors
    """
    report = Reporter(quiet=quiet, verbose=verbose)
    settings = flags.settings(config, pairs or [], recipe)
    columns, read_options = settings.build(ColumnOptions), settings.build(ReadOptions)
    options = settings.build(FitOptions)
    path = None if print_config else _model_path(output, resume=resume, force=force)

    from tsforecast import artifact, checkpoint, fitting, preparation
    from tsforecast.data.read import read

    table = read(data_sources(data), read_options, stdin=sys.stdin.buffer)
    task = preparation.prepare(table, columns, read_options, options, settings.model, settings.trainer)
    if path is None:
        from tsforecast.cli.toml import config_text

        typer.echo(config_text(task, settings, columns, read_options), nl=False)
        return
    for text in table.notes:
        report.detail(text)
    for text in task.notes:
        report.note(text)
    with board(report) as shown:
        show, beside = shown.training(shown.line("training"), task), checkpoint.path_beside(path)
        outcome = fitting.fit(task, on_progress=show, checkpoint=beside, resume=resume)
    if outcome.forecaster.history:
        artifact.save(path, outcome.forecaster, artifact.Fingerprint.of(outcome.forecaster, task.example()))
    if outcome.ended == "interrupted":
        raise _interruption(path, outcome)
    beside.unlink(missing_ok=True)
    summary = _summary(task, outcome, path)
    for text in (*outcome.notes, _sentence(summary)):
        report.note(text)
    if json:
        from tsforecast.cli.output import write_json

        write_json(summary)


def _model_path(output: Path | None, *, resume: bool, force: bool) -> Path:
    """Return the path of the model file; refuse, before any work, what could not be written in the end."""
    if output is None:
        raise UsageError("no model file to write", hint="name one with --output, for example -o model.safetensors")
    return check_new(output, force=force or resume)


def _interruption(path: Path, outcome: Outcome) -> Interrupted:
    if not outcome.forecaster.history:
        return Interrupted("interrupted before the first step ended: nothing was saved")
    return Interrupted(
        f"interrupted after step {len(outcome.forecaster.history)}: the best so far is in {path}",
        hint="continue with the same command and --resume",
    )


def _summary(task: Task, outcome: Outcome, path: Path) -> dict[str, Any]:
    """Return what `--json` prints."""
    forecaster = outcome.forecaster
    best = min(forecaster.history, key=lambda record: record["valid_loss"])
    return {
        "schema": 1,
        "model_file": str(path),
        "model": forecaster.options.model,
        "trainer": forecaster.options.trainer,
        "parameters": int(sum(v.size for v in forecaster.params.values())),
        "freq": forecaster.clock.sampling or forecaster.freq.alias,
        "horizon": forecaster.shape.horizon,
        "lags": forecaster.shape.lags,
        "season_length": forecaster.shape.season_length,
        "train_windows": task.objective.n_train,
        "valid_windows": len(task.objective.valid),
        "steps": int(forecaster.history[-1]["step"]),
        "best_step": int(best["step"]),
        "measure": forecaster.trainer_options.get("fitness", "loss"),
        "valid_loss": outcome.shrinkage.loss if outcome.shrinkage and forecaster.shape.base else best["valid_loss"],
        "base": forecaster.shape.base,
        "weight": outcome.shrinkage.weight if outcome.shrinkage else 1.0,
        "naive_valid_loss": task.naive_loss(),
        "seconds": forecaster.history[-1]["seconds"],
        "refit": forecaster.options.refit,
        "ended": outcome.ended,
    }


def _sentence(summary: dict[str, Any]) -> str:
    valid, naive = summary["valid_loss"], summary["naive_valid_loss"]
    compared = f"naive {naive:.4g}"
    if naive > 0:  # a fitness may be negative, and then shares of it mean nothing
        change = 1 - valid / naive
        compared = f"{abs(change):.1%} {'below' if change > 0 else 'ABOVE'} naive" if abs(change) > 5e-4 else "as naive"
    return (
        f"{summary['model']} ({summary['parameters']:,} parameters, freq {summary['freq']}, lags {summary['lags']}, "
        f"horizon {summary['horizon']}): validation {summary['measure']} {valid:.4g}, {compared}, "
        f"best of {summary['steps']} steps at {summary['best_step']}, {summary['seconds']:.1f} s"
        f"{', then trained again on train and valid' if summary['refit'] else ''}; {summary['model_file']}"
    )
