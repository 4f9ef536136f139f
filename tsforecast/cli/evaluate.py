"""``tsforecast evaluate``: scores, the verdict, plots."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tsforecast.cli.options import DEBUG, QUIET, Flags, data_sources, with_options
from tsforecast.cli.report import Reporter
from tsforecast.errors import AnswerNo, UsageError
from tsforecast.options import DomainOptions, ReadOptions

if TYPE_CHECKING:
    from tsforecast.config import Settings
    from tsforecast.data.clock import Clock
    from tsforecast.evaluation import Evaluation
    from tsforecast.forecaster import Forecaster


@with_options(DomainOptions, ReadOptions)
def evaluate(
    flags: Flags,
    model: Path | None = typer.Argument(None, help="Model file; not with --forecast."),
    data: list[str] | None = typer.Argument(
        None, help="Files with history and the rows to score; - or nothing is stdin."
    ),
    forecast: str = typer.Option("", "--forecast", help="Score this forecast file (- is stdin) instead of a model."),
    actual: Path | None = typer.Option(None, "--actual", help="What happened, for --forecast."),
    target: list[str] | None = typer.Option(None, "--target", "-t", help="With --forecast: only these targets."),
    series_id: str = typer.Option("", "--series-id", help="With --forecast: column that tells series apart."),
    horizon: int = typer.Option(0, "--horizon", "-H", min=0, help="Steps; those of training by default."),
    stride: int = typer.Option(1, "--stride", min=1, help="Steps between two cutoffs."),
    n_windows: int = typer.Option(0, "--n-windows", min=0, help="Only the last N cutoffs of every series."),
    metric: list[str] | None = typer.Option(
        None, "--metric", help="Metrics, by comma or repetition; `tsforecast metrics` lists them."
    ),
    by: str = typer.Option("all", "--by", help="Rows of the table: all, series or step."),
    in_sample: bool = typer.Option(False, "--in-sample", help="Score all rows, also those that training saw."),
    min_skill: float | None = typer.Option(
        None, "--min-skill", help="Exit with 1 if the skill over the best baseline is lower."
    ),
    plot: Path | None = typer.Option(
        None, "--plot", help="Folder for all plots, or one file: forecasts.png, horizon.svg, ..."
    ),
    backtest: Path | None = typer.Option(
        None, "--backtest", help="Write every forecast with its cutoff and step to this file."
    ),
    output: Path | None = typer.Option(None, "--output", "-o", help="File for the scores; stdout by default."),
    format: str = typer.Option(
        "", "--format", "-f", help="csv, tsv, json, jsonl, parquet or table [default: table on a terminal]"
    ),
    json: bool = typer.Option(False, "--json", help="Print scores and verdicts as one JSON document."),
    quiet: bool = QUIET,
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Say what was detected."),
    debug: bool = DEBUG,  # noqa: ARG001 - read by app
) -> None:
    """Score a model on the rows it has not seen, or a forecast file, and say whether there is skill.

    tsforecast evaluate plant.safetensors plant.csv --plot plots/
    """
    report = Reporter(quiet=quiet, verbose=verbose)
    kind = _checked(by, format="json" if json else format, output=output)
    settings = flags.settings()
    metrics = [m.strip() for part in metric or [] for m in part.split(",") if m.strip()]
    span = {"horizon": horizon, "stride": stride, "n_windows": n_windows, "in_sample": in_sample}
    forecaster, clock = None, None
    if forecast:
        if model is not None or backtest is not None:
            raise UsageError("--forecast needs no MODEL and makes no --backtest", hint="leave one of them out")
        made = _from_files(settings, forecast, actual, metrics, target or [], series_id)
    else:
        made, forecaster, clock = _from_model(settings, report, model, data, metrics, span)
    for text in made.notes:
        report.note(text)
    if plot is not None:
        _draw(made, forecaster.history if forecaster else (), plot, report)
    if backtest is not None and forecaster and clock:
        _write_backtest(made, clock, forecaster.schema.series_id, backtest)
    _print(made, by, kind, output)
    _conclude(made, min_skill, report)


def _checked(by: str, *, format: str, output: Path | None) -> str:
    """Return the format of the scores; refuse, before any work, what could not be written in the end."""
    from tsforecast.cli.output import choose_format

    if by not in ("all", "series", "step"):
        raise UsageError(f"--by {by}: not known", hint="choose from all, series, step")
    on_terminal = output is None and not format and sys.stdout.isatty()
    return "table" if on_terminal else choose_format(format, output)


def _from_model(
    settings: Settings,
    report: Reporter,
    model: Path | None,
    data: list[str] | None,
    metrics: list[str],
    span: dict[str, Any],
) -> tuple[Evaluation, Forecaster, Clock]:
    from tsforecast import artifact
    from tsforecast.data.read import read
    from tsforecast.evaluation import evaluate as score
    from tsforecast.prediction import adjusted, read_frame

    if model is None:
        raise UsageError("nothing to score", hint="name a MODEL and DATA, or use --forecast F --actual A")
    read_options = settings.build(ReadOptions)
    forecaster = artifact.load(model).forecaster
    table = read(data_sources(data), read_options, stdin=sys.stdin.buffer, columns=forecaster.source_columns)
    frame, notes = read_frame(forecaster, table, read_options)
    for text in table.notes:
        report.detail(text)
    for text in notes:
        report.note(text)
    changes = {
        k: getattr(settings.build(DomainOptions), k) for k in settings.top if k in DomainOptions.__dataclass_fields__
    }
    if changes:
        forecaster = adjusted(forecaster, frame, **changes)
    return score(forecaster, frame, metrics=metrics, **span), forecaster, frame.clock


def _from_files(
    settings: Settings, forecast: str, actual: Path | None, metrics: list[str], targets: list[str], series_id: str
) -> Evaluation:
    from tsforecast.data.read import read
    from tsforecast.evaluation import evaluate_files

    if actual is None:
        raise UsageError("--forecast needs --actual", hint="name the file with what happened: --actual plant.csv")
    read_options = settings.build(ReadOptions)
    made, happened = (read([source], read_options, stdin=sys.stdin.buffer) for source in (forecast, actual))
    return evaluate_files(made, happened, read_options, metrics=metrics, targets=targets, series_id=series_id)


def _print(made: Evaluation, by: str, format: str, output: Path | None) -> None:
    from tsforecast.cli.output import write_json, write_table

    if format == "json":
        verdicts = [v.to_json() for v in made.verdicts]
        write_json({"schema": 1, "scores": made.records, "verdicts": verdicts, "notes": made.notes}, output)
        return
    groups = {
        kind: [
            r
            for r in made.records
            if (r["step"] is not None) == (kind == "step") and (r["series"] is not None) == (kind == "series")
        ]
        for kind in ("all", by)
    }
    records = groups[by] or groups["all"]  # a single series has no records of its own
    keys = ["target", "rows", "series", "step", "model", "n"]
    kept = [k for k in keys if k in ("target", "model", "n") or len({r[k] for r in records}) > 1]
    names = kept + [k for k in records[0] if k not in keys] if records else keys
    write_table({name: [r.get(name) for r in records] for name in names}, format=format, output=output)


def _draw(made: Evaluation, history: Sequence[Mapping[str, Any]], plot: Path, report: Reporter) -> None:
    """Draw every registered plot into a folder, or the one that a file is named after (``forecasts`` by default)."""
    from tsforecast.plots.save import save
    from tsforecast.registry import PLOTS

    one_file = bool(plot.suffix)
    chosen = [plot.stem if plot.stem in PLOTS else "forecasts"] if one_file else list(PLOTS)
    if not one_file:
        try:
            plot.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"cannot make the folder {plot}: {error.strerror}", hint="name another one") from None
    for f in made.forecasts:
        target = f"-{_safe(f.target)}" if len(made.forecasts) > 1 else ""
        for name in chosen:
            if name == "training" and not history:
                report.note("no training plot: nothing was trained")
                continue
            path = plot.with_stem(plot.stem + target) if one_file else plot / f"{name}{target}.png"
            save(PLOTS.get(name)(f, history), path)
            report.note(f"plot {path}")


def _safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)


def _write_backtest(made: Evaluation, clock: Clock, series_id: str, path: Path) -> None:
    """Write one row per fold and step: time, id, cutoff, step, actual and forecast of every target.

    Without a clock there is no time column: the row forecast is ``cutoff`` + ``step``.
    """
    import numpy as np

    from tsforecast.cli.output import shortest, write_table

    first = made.forecasts[0]
    folds, steps = first.time.shape
    columns: dict[str, Any] = dict(clock.write(first.time.ravel())) if clock.columns else {}
    if series_id:
        columns[series_id] = [first.series_names[s] for s in np.repeat(first.series, steps)]
    cutoffs = clock.write(np.repeat(first.cutoff, steps)).values()
    columns["cutoff"] = [" ".join(map(str, cells)) for cells in zip(*cutoffs, strict=True)]
    columns["step"] = np.tile(np.arange(1, steps + 1), folds).tolist()
    for f in made.forecasts:
        columns[f.target] = shortest(f.actual.ravel())
        columns[f"{f.target}_forecast"] = shortest(f.forecast.ravel())
    write_table(columns, output=path)


def _conclude(made: Evaluation, least: float | None, report: Reporter) -> None:
    """Say the verdicts; raise the answer no if a skill is too low."""
    for verdict in made.verdicts:
        report.note(f"{verdict.target}: {verdict.sentence}")
    for verdict in made.verdicts:
        if least is not None and not verdict.skill >= least:
            raise AnswerNo(
                f"{verdict.target}: the skill over {verdict.best or 'any baseline'} is {verdict.skill:.3f}, "
                f"less than {least:g}",
                hint="see `tsforecast models` for other models, or lower --min-skill",
            )
