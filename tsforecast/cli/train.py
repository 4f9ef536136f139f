"""``tsforecast train``: fit a forecaster and write its model file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tsforecast.cli.inputs import read_table, tell
from tsforecast.cli.options import DATA, DEBUG, FORCE, QUIET, RECIPE, VERBOSE, Flags, with_options
from tsforecast.cli.progress import board
from tsforecast.cli.report import Reporter
from tsforecast.errors import Interrupted, UsageError
from tsforecast.options import ColumnOptions, FitOptions, ReadOptions

if TYPE_CHECKING:
    from tsforecast.training.fitting import Outcome
    from tsforecast.training.task import Task

UNTRAINED = "interrupted before the first step ended: nothing was saved"


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
    path = None if print_config else _model_path([*(data or []), config], output, resume=resume, force=force)

    with _stopping(path):
        from tsforecast import artifact
        from tsforecast.training import checkpoint, fitting, preparation

        table = read_table(data, read_options)
        task = preparation.prepare(table, columns, read_options, options, settings.model, settings.trainer)
        if path is None:
            from tsforecast.cli.output import write_text
            from tsforecast.cli.toml import config_text

            write_text(config_text(task, settings, columns, read_options))
            return
        tell(report, table, task.notes)
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


def _model_path(inputs: list[str | Path | None], output: Path | None, *, resume: bool, force: bool) -> Path:
    """Return the path of the model file; refuse, before any work, what could not be written in the end."""
    from tsforecast.cli.output import check_outputs

    if output is None or str(output) == "-":
        what = "no model file to write" if output is None else "a model is not text: it cannot be written to stdout"
        raise UsageError(what, hint="name a file with --output, for example -o model.safetensors")
    check_outputs(output, replace=force or resume, inputs=inputs)
    return output


@contextmanager
def _stopping(path: Path | None) -> Iterator[None]:
    """Say what Ctrl-C leaves where no model file is written any more: before the first step, or after the last one.

    Args:
        path: Of the model file; None where none was asked for.

    Raises:
        Interrupted: Ctrl-C was pressed.
    """
    try:
        yield
    except KeyboardInterrupt:
        from tsforecast.training.checkpoint import path_beside

        if path is None:
            raise
        beside = path_beside(path)
        if beside.exists():
            what, hint = f"interrupted: what is done is in {beside}", "continue with the same command and --resume"
            raise Interrupted(what, hint=hint) from None
        raise Interrupted(UNTRAINED) from None


def _interruption(path: Path, outcome: Outcome) -> Interrupted:
    history = outcome.forecaster.history
    if not history:
        return Interrupted(UNTRAINED)
    return Interrupted(
        f"interrupted after step {history[-1]['step']:.0f}: the best so far is in {path}",
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
    part, compared = "validation", f"naive {naive:.4g}"
    if not summary["valid_windows"]:  # nothing was kept back: what is below naive there proves nothing
        part, compared = "training", "not validated"
    elif naive > 0:  # a fitness may be negative, and then shares of it mean nothing
        change = 1 - valid / naive
        compared = f"{abs(change):.1%} {'below' if change > 0 else 'ABOVE'} naive" if abs(change) > 5e-4 else "as naive"
    return (
        f"{summary['model']} ({summary['parameters']:,} parameters, freq {summary['freq']}, lags {summary['lags']}, "
        f"horizon {summary['horizon']}): {part} {summary['measure']} {valid:.4g}, {compared}, "
        f"best of {summary['steps']} steps at {summary['best_step']}, {summary['seconds']:.1f} s"
        f"{', then trained again on train and valid' if summary['refit'] else ''}; {summary['model_file']}"
    )
