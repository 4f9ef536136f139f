"""``tsforecast tune``: search for settings, print the Pareto front, write the best as a configuration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tsforecast.cli.inputs import read_table, tell
from tsforecast.cli.options import DATA, DEBUG, FORCE, FORMAT, QUIET, RECIPE, VERBOSE, Flags, with_options
from tsforecast.cli.progress import Line, board
from tsforecast.cli.report import Reporter
from tsforecast.errors import Interrupted
from tsforecast.options import ColumnOptions, FitOptions, ReadOptions, TuneOptions

if TYPE_CHECKING:
    from tsforecast.tuning.bench import Bench, Trial
    from tsforecast.tuning.search import Study


@with_options(TuneOptions, ColumnOptions, FitOptions, ReadOptions)
def tune(
    flags: Flags,
    data: list[str] | None = DATA,
    output: Path | None = typer.Option(
        None, "--output", "-o", help="TOML file to write for `train --config`: the settings with the lowest loss."
    ),
    pairs: list[str] | None = typer.Option(
        None, "--set", help="Option of model or trainer that is not to be searched: model.hidden=64."
    ),
    searches: list[str] | None = typer.Option(
        None, "--search", help="Values to try: model.hidden=8,16 or, with commas in them, 'lags=24|1:6,24'."
    ),
    config: Path | None = typer.Option(None, "--config", help="TOML file of options that are not to be searched."),
    recipe: str = RECIPE,
    print_space: bool = typer.Option(False, "--print-space", help="Print what would be searched and stop."),
    trials: Path | None = typer.Option(None, "--all", help="Write every candidate that was tried to this file."),
    force: bool = FORCE,
    format: str = FORMAT,
    json: bool = typer.Option(False, "--json", help="Print front, best and baselines as one JSON document."),
    quiet: bool = QUIET,
    verbose: bool = VERBOSE,
    debug: bool = DEBUG,  # noqa: ARG001 - read by app
) -> None:
    """Search for model, lags, covariates, sizes and training settings that forecast DATA well.

    tsforecast tune plant.csv -t power --future temperature -o best.toml
    """
    from tsforecast.cli.output import check_outputs, choose_format, format_of_table, write_json

    report = Reporter(quiet=quiet, verbose=verbose)
    kind = format_of_table("json" if json else format)
    check_outputs(output, trials, replace=force, inputs=[*(data or []), config])
    settings = flags.settings(config, pairs or [], recipe)
    options = settings.build(TuneOptions)
    bench = _bench(settings, options, searches or [], data, report)
    if print_space:
        _print_space(bench, kind)
        return
    study, baselines = _search(bench, options, settings.build(FitOptions).time_budget, report)
    if trials is not None:
        _write(study.trials, study, bench, choose_format("", trials), trials)
    if study.ended != "interrupted" or len(study.failed) < len(study.trials):
        best = study.best
        if output is not None:
            _write_config(bench, best, options, output)
        if kind == "json":
            write_json(_document(study, baselines))
        else:
            _write(study.front, study, bench, kind, None)
        _conclude(study, baselines, output, report)
    if study.ended == "interrupted":
        raise Interrupted(f"interrupted: {len(study.trials)} candidates tried", hint=_kept(study, output))


def _kept(study: Study, output: Path | None) -> str:
    if len(study.failed) == len(study.trials):
        return "none of them could be trained, so there is nothing to keep"
    return f"the best of them is in {output}" if output else "name a file with --output to keep the best of them"


def _bench(settings: Any, options: TuneOptions, searches: list[str], data: list[str] | None, report: Reporter) -> Bench:
    from tsforecast.tuning.bench import Bench
    from tsforecast.tuning.search import check
    from tsforecast.tuning.space import parse_searches

    check(options)
    wanted = parse_searches(searches, options.models)
    columns, read_options = settings.build(ColumnOptions), settings.build(ReadOptions)
    table = read_table(data, read_options)
    bench = Bench(table, columns, read_options, settings, wanted)
    tell(report, table, bench.notes)
    text = f"judged on {bench.judged} validation windows, those with {bench.longest} complete lags"
    if bench.judged < bench.possible:
        text += f", of {bench.possible} that the default lags have"
    report.note(text)
    return bench


def _search(bench: Bench, options: TuneOptions, budget: str, report: Reporter) -> tuple[Study, dict[str, float]]:
    from tsforecast.tuning.bench import BASELINES
    from tsforecast.tuning.search import search

    baselines = {name: bench.baseline(name) for name in BASELINES}
    report.note("validation loss of " + ", ".join(f"{name} {loss:.4f}" for name, loss in baselines.items()))
    with board(report) as shown:
        show = _follow(shown.line("tuning"), report, options.population * options.generations)
        study = search(bench, options, budget=budget, on_trial=show)
    return study, baselines


def _follow(line: Line, report: Reporter, most: int) -> Callable[[Trial], None]:
    """Return what to call after each candidate."""
    losses: list[float] = []

    def show(trial: Trial) -> None:
        losses.append(trial.loss)
        text = f"candidate {trial.number} of {most}  loss {trial.loss:.4f}  best {min(losses):.4f}"
        line.show(f"{text}  {line.spark(losses)}", done=trial.number / most)
        report.detail(_line(trial))

    return show


def _line(trial: Trial) -> str:
    said = " ".join(f"{name}={_text(value)}" for name, value in trial.candidate.items())
    if trial.problem:
        return f"candidate {trial.number:3d}  failed: {trial.problem}  {said}"
    return (
        f"candidate {trial.number:3d}  loss {trial.loss:.4f}  {trial.parameters:.0f} parameters  "
        f"{trial.seconds:.1f} s  {said}"
    )


# ------------------------------------------------------------------------------------------------------------ output


def _text(value: Any) -> Any:
    """Return a value of a setting as ``--set`` takes it; numbers stay numbers."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(map(str, value)) if isinstance(value, tuple) else value


def _print_space(bench: Bench, kind: str) -> None:
    from tsforecast.cli.output import write_table

    rows = bench.space.settings
    columns: dict[str, list[Any]] = {
        "setting": [setting.name for setting in rows],
        "of": [" ".join(sorted(setting.owners)) or None for setting in rows],
        "values": ["|".join(str(_text(value)) for value in setting.values) for setting in rows],
    }
    write_table(columns, format=kind)


def _write(trials: Sequence[Trial], study: Study, bench: Bench, kind: str, path: Path | None) -> None:
    """Write candidates, a row each: the objectives, then every setting that was searched."""
    from tsforecast.cli.output import write_table

    measured = list(dict.fromkeys((*study.objectives, "loss", "parameters", "seconds")) if path else study.objectives)
    columns: dict[str, list[Any]] = {}
    if path is not None:
        columns["candidate"] = [trial.number for trial in trials]
        columns["problem"] = [trial.problem or None for trial in trials]
    for name in measured:
        numbers = [getattr(trial, name) for trial in trials]
        columns[name] = [int(n) if name == "parameters" and n < float("inf") else float(f"{n:.6g}") for n in numbers]
    for name in dict.fromkeys(setting.name for setting in bench.space.settings):
        columns[name] = [_text(trial.candidate.get(name)) for trial in trials]
    write_table(columns, format=kind, output=path)


def _write_config(bench: Bench, best: Trial, options: TuneOptions, path: Path) -> None:
    """Write a configuration that trains as the trial did: a learning rate is only good with the steps it was for."""
    from tsforecast.cli.toml import config_text
    from tsforecast.files import write_atomically
    from tsforecast.tuning.search import limits_of

    task, columns = bench.task(best.candidate, limits_of(options)), bench.columns_of(best.candidate)
    text = config_text(task, bench.origins(best.candidate), columns, bench.read_options)
    write_atomically(path, text.encode())


def _document(study: Study, baselines: dict[str, float]) -> dict[str, Any]:
    def entry(trial: Trial) -> dict[str, Any]:
        measured = {"loss": trial.loss, "parameters": int(trial.parameters), "seconds": trial.seconds}
        return {**measured, "settings": trial.candidate}

    return {
        "schema": 1,
        "candidates": len(study.trials),
        "failed": len(study.failed),
        "ended": study.ended,
        "objectives": study.objectives,
        "baselines": baselines,
        "best": entry(study.best),
        "front": [entry(trial) for trial in study.front],
    }


def _conclude(study: Study, baselines: dict[str, float], path: Path | None, report: Reporter) -> None:
    """Say what was found, how much it is worth, and what failed."""
    best = study.best
    if study.failed:
        first = study.failed[0]
        report.note(f"{len(study.failed)} of {len(study.trials)} candidates failed; the first: {first.problem}")
    name, lowest = min(baselines.items(), key=lambda item: item[1])
    skill = 1 - best.loss / lowest if lowest else 0.0
    compared = f"{skill:.1%} below {name}" if skill > 0 else f"no better than {name}"
    text = f"best of {len(study.trials)} candidates ({study.ended}): loss {best.loss:.4f}, {compared}"
    report.note(text + (f"; {path}" if path else ""))
    if skill <= 0:
        report.note("there may be nothing to learn here, or the trials are too short: see --trial-steps")
