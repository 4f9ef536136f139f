"""``tsforecast compare``: train several models, rank them beside the baselines, keep one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tsforecast.cli.inputs import read_table, tell
from tsforecast.cli.options import DATA, DEBUG, FORCE, FORMAT, QUIET, RECIPE, VERBOSE, Flags, with_options
from tsforecast.cli.progress import DONE, FAILED, LEADER, Board, board
from tsforecast.cli.report import Reporter
from tsforecast.cli.scores import check_skill, why_luck
from tsforecast.errors import Interrupted
from tsforecast.options import ColumnOptions, CompareOptions, FitOptions, ReadOptions

if TYPE_CHECKING:
    from tsforecast.comparing.comparison import Comparison
    from tsforecast.comparing.ranking import Ranking, Row
    from tsforecast.trainers.base import Progress
    from tsforecast.training.task import Task


@with_options(CompareOptions, ColumnOptions, FitOptions, ReadOptions)
def compare(
    flags: Flags,
    data: list[str] | None = DATA,
    output: Path | None = typer.Option(
        None, "--output", "-o", help="Model file for the best on the validation rows, for example best.safetensors."
    ),
    plot: Path | None = typer.Option(None, "--plot", help="Draw the ranking to this file: ranking.png, .svg or .pdf."),
    pairs: list[str] | None = typer.Option(
        None, "--set", help="Option of model or trainer, for all that have it: model.hidden=64."
    ),
    config: Path | None = typer.Option(None, "--config", help="TOML file of options that all have in common."),
    recipe: str = RECIPE,
    force: bool = FORCE,
    format: str = FORMAT,
    json: bool = typer.Option(False, "--json", help="Print ranking and claims as one JSON document."),
    quiet: bool = QUIET,
    verbose: bool = VERBOSE,
    debug: bool = DEBUG,  # noqa: ARG001 - read by app
) -> None:
    """Train models under one --time-budget each and rank them, with the baselines, on the same test folds.

    tsforecast compare plant.csv -t power --models gru,tdnn,linear --time-budget 30s -o best.safetensors
    """
    from tsforecast.cli.output import format_of_table
    from tsforecast.comparing.entries import toml_files

    report = Reporter(quiet=quiet, verbose=verbose)
    kind = format_of_table("json" if json else format)
    settings = flags.settings(config, pairs or [], recipe)
    inputs = [*(data or []), config, *toml_files(settings.build(CompareOptions).models)]
    _check_paths(inputs, output, plot, force=force)

    from tsforecast import artifact
    from tsforecast.comparing.comparison import Comparison

    table = read_table(data, settings.build(ReadOptions))
    contest = Comparison(table, settings)
    tell(report, table)
    with board(report) as shown:
        ranking = contest.run(_Live(shown, contest, report))
    _print(ranking, kind)
    if plot is not None:
        from tsforecast.plots.ranking import draw
        from tsforecast.plots.save import save

        save(draw(ranking), plot)
        report.note(f"plot {plot}")
    if output is not None:
        artifact.save(output, ranking.kept.forecaster, ranking.kept.fingerprint)
    _conclude(ranking, contest.lineup.chosen.min_skill, output, report)


class _Live:
    """Follows a comparison on the board: a line for every entry, with a star at who leads by now."""

    def __init__(self, shown: Board, contest: Comparison, report: Reporter) -> None:
        self._board, self._contest, self._lineup, self._report = shown, contest, contest.lineup, report
        waiting = [entry.name for entry in self._lineup.entries if entry.name not in self._lineup.problems]
        self._lines = {name: shown.line(name, begun=False) for name in waiting}
        self._done: list[Row] = []

    def started(self, name: str, seed: int, task: Task) -> Callable[[Progress], None]:
        """Start the line of an entry."""
        several = f" (seed {seed})" if self._lineup.chosen.seeds > 1 else ""
        self._report.detail(f"{name}{several}: lags {task.forecaster.shape.lags}")
        self._lines[name].begin(f"{name}{several}")
        return self._board.training(self._lines[name], task)

    def finished(self, row: Row) -> None:
        """Show a score or a problem, and mark who leads now."""
        if row.problem:
            if row.model in self._lines:
                self._lines[row.model].end(row.problem, mark=FAILED)
            self._report.detail(f"{row.model}: {row.problem}")
            return
        self._done.append(row)
        self._report.detail(f"{row.model}: {_score(row, self._lineup.metric)}")
        leader = self._contest.leader(self._done)
        for other in self._done:
            mark = LEADER if other is leader else DONE
            self._lines[other.model].end(_score(other, self._lineup.metric), mark=mark)


def _score(row: Row, metric: str) -> str:
    valid = f"validation {metric} {row.valid:.4g}, " if row.valid == row.valid else ""
    return f"{valid}test {metric} {row.scores[metric]:.4g}"


def _check_paths(inputs: list[str | Path | None], output: Path | None, plot: Path | None, *, force: bool) -> None:
    """Refuse, before any work, what could not be written in the end."""
    from tsforecast.cli.output import check_distinct, check_outputs
    from tsforecast.files import check_plot

    if plot is not None:
        check_plot(plot)
    check_distinct(output, plot)
    check_outputs(output, replace=force, inputs=inputs)
    check_outputs(plot, replace=True, inputs=inputs)


def _print(ranking: Ranking, kind: str) -> None:
    """Print the ranking."""
    from tsforecast.cli.output import write_json, write_table

    if kind == "json":
        write_json(ranking.to_json())
        return
    columns = {name: [_rounded(cell) for cell in cells] for name, cells in ranking.columns().items()}
    if kind == "table":
        columns.pop("problem", None)  # it is said below
    write_table(columns, format=kind)


def _rounded(cell: Any) -> Any:
    """Return a number with the six digits that a score is good for."""
    return float(f"{cell:.6g}") if isinstance(cell, float) else cell


def _conclude(ranking: Ranking, least: float | None, output: Path | None, report: Reporter) -> None:
    """Say what was found, what may be claimed of the choice, and what failed."""
    for text in ranking.notes:
        report.note(text)
    for row in ranking.failed:
        report.warning(f"{row.model}: {row.problem}" + (f"; {row.hint}" if row.hint else ""))
    report.note(ranking.groups)
    report.note(ranking.sentence + (f"; kept in {output}" if output else ""))
    if ranking.ended == "interrupted":
        finished = sum(not row.is_baseline for row in ranking.ranked)
        kept = f"the best of them is in {output}" if output else "name a file with --output to keep the best of them"
        raise Interrupted(f"interrupted: {finished} of {finished + len(ranking.failed)} models are ranked", hint=kept)
    over = f"the skill of {ranking.chosen.model} over {ranking.baseline.model} is"
    luck = "" if ranking.skilled else why_luck(ranking.p_value, ranking.folds)
    check_skill(over, ranking.chosen.skill, luck, least, more="give more --time-budget, ")
