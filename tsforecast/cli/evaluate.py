"""``tsforecast evaluate``: scores, the verdict, plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tsforecast.cli.inputs import read_for, read_table
from tsforecast.cli.options import DEBUG, FORMAT, FUTURE_DATA, HORIZON, MISSING, QUIET, VERBOSE, Flags, with_options
from tsforecast.cli.report import Reporter
from tsforecast.cli.scores import (
    MORE_CUTOFFS,
    MORE_FOLDS,
    MORE_RUNS,
    check_drawable,
    conclude,
    draw_plots,
    plot_of,
    print_scores,
    say,
    write_backtest,
)
from tsforecast.errors import UsageError
from tsforecast.options import DomainOptions, FoldOptions, ReadOptions

if TYPE_CHECKING:
    from tsforecast.config import Settings
    from tsforecast.evaluating.evaluation import Evaluation
    from tsforecast.forecasting.prediction import Ready

CUTS = ("stride", "n_windows")  # where the folds lie, which a simulation has not got
SCORED: list[str] | None = typer.Argument(None, help="Files with history and the rows to score; - or nothing is stdin.")
SEASON_LENGTH: int = typer.Option(
    0, "--season-length", min=0, help="With --forecast: steps per season; found in the actual rows by default."
)
SIMULATE: bool = typer.Option(
    False, "--simulate", help="Run freely over the whole record, from its inputs and first outputs."
)
WARMUP: int = typer.Option(0, "--warmup", min=0, help="Rows whose outputs --simulate knows; the lags by default.")
ADAPTIVE: bool = typer.Option(
    False, "--adaptive", help="Let conformal intervals follow the errors known at each cutoff, in the order of time."
)
PLOT: Path | None = typer.Option(
    None,
    "--plot",
    help="Folder for all plots, or a file for one: horizon.png, fan.svg, ...; forecasts by another name.",
)
BACKTEST: Path | None = typer.Option(
    None, "--backtest", help="Write every forecast with its cutoff and step to this file."
)


@with_options(FoldOptions, DomainOptions, ReadOptions)
def evaluate(
    flags: Flags,
    model: Path | None = typer.Argument(None, help="Model file; not with --forecast."),
    data: list[str] | None = SCORED,
    forecast: str = typer.Option("", "--forecast", help="Score this forecast file (- is stdin) instead of a model."),
    actual: Path | None = typer.Option(None, "--actual", help="What happened, for --forecast."),
    target: list[str] | None = typer.Option(None, "--target", "-t", help="With --forecast: only these targets."),
    series_id: str = typer.Option("", "--series-id", help="With --forecast: column that tells series apart."),
    season_length: int = SEASON_LENGTH,
    horizon: int | None = HORIZON,
    by: str = typer.Option("all", "--by", help="Rows of the table: all, series or step."),
    simulate: bool = SIMULATE,
    warmup: int = WARMUP,
    adaptive: bool = ADAPTIVE,
    missing: str = MISSING,
    future_data: Path | None = FUTURE_DATA,
    in_sample: bool = typer.Option(False, "--in-sample", help="Score all rows, also those that training saw."),
    plot: Path | None = PLOT,
    backtest: Path | None = BACKTEST,
    output: Path | None = typer.Option(None, "--output", "-o", help="File for the scores; stdout by default."),
    format: str = FORMAT,
    json: bool = typer.Option(False, "--json", help="Print scores and verdicts as one JSON document."),
    quiet: bool = QUIET,
    verbose: bool = VERBOSE,
    debug: bool = DEBUG,  # noqa: ARG001 - read by app
) -> None:
    """Score a model on the rows it has not seen, or a forecast file, and say whether there is skill.

    tsforecast evaluate plant.safetensors plant.csv --plot plots/
    """
    report = Reporter(quiet=quiet, verbose=verbose)
    inputs = [model, *(data or []), forecast or None, actual, future_data]
    kind = _checked(by, simulate, "json" if json else format, inputs, plot=plot, backtest=backtest, output=output)
    settings = flags.settings()
    from tsforecast.evaluating.evaluation import evaluate as score

    folds = settings.build(FoldOptions)
    cuts = {name: said for name, said in flags.said(FoldOptions).items() if name in CUTS}
    span: dict[str, Any] = {"horizon": horizon or 0, "in_sample": in_sample, "simulate": simulate, "warmup": warmup}
    span["adaptive"] = adaptive
    layout: dict[str, Any] = {"target": target, "series_id": series_id, "season_length": season_length}
    ready = None
    if forecast:
        domain = {name: said for name, said in flags.said(DomainOptions).items() if name != "rated"}
        idle = {"MODEL": model, "backtest": backtest, "missing": missing, "future_data": future_data}
        _refuse_idle("--forecast", span | cuts | idle | domain)
        made = _from_files(settings, forecast, actual, folds.metric, **layout)
    else:
        _refuse_idle("a MODEL", {"actual": actual} | layout if model else {})
        # what a file or the environment says of folds is no mistake in a simulation
        span |= {name: getattr(folds, name) for name in CUTS if name in cuts or not simulate}
        ready = _ready(model, data, settings, report, missing, future_data, plot=plot, simulate=simulate)
        made = score(ready.forecaster, ready.frame, metrics=folds.metric, future=ready.future, **span)
    say(made, report)
    if plot is not None:
        draw_plots(made, ready.forecaster.history if ready else (), plot, report)
    if backtest is not None and ready:
        write_backtest(made, ready.frame.clock, ready.forecaster.schema.series_id, backtest)
    print_scores(made, by, kind, output)
    conclude(made, folds.min_skill, report, MORE_CUTOFFS if forecast else MORE_RUNS if simulate else MORE_FOLDS)


def _checked(
    by: str,
    simulate: bool,
    format: str,
    inputs: list[str | Path | None],
    *,
    plot: Path | None,
    backtest: Path | None,
    output: Path | None,
) -> str:
    """Return the format of the scores; refuse, before any work, what could not be written in the end."""
    from tsforecast.cli.output import check_outputs, format_of_table
    from tsforecast.files import check_folder, check_plot

    if plot is not None and plot.suffix:
        plot_of(check_plot(plot))
    elif plot is not None:
        check_folder(plot)
    picture = plot if plot is not None and plot.suffix else None
    check_outputs(picture, backtest, output, replace=True, inputs=inputs)
    if by not in ("all", "series", "step"):
        raise UsageError(f"--by {by}: not known", hint="choose from all, series, step")
    if simulate and by == "step":
        raise UsageError("--by step: a simulation has no horizon", hint="use --by all or --by series")
    return format_of_table(format, output)


def _refuse_idle(way: str, given: Mapping[str, Any]) -> None:
    """Refuse flags that would change nothing in this way of scoring."""
    idle = [name if name.isupper() else f"--{name.replace('_', '-')}" for name, said in given.items() if said]
    if idle:
        raise UsageError(f"{' and '.join(idle)} cannot go with {way}", hint="leave one of them out")


def _ready(
    model: Path | None,
    data: list[str] | None,
    settings: Settings,
    report: Reporter,
    missing: str,
    future_data: Path | None,
    *,
    plot: Path | None,
    simulate: bool,
) -> Ready:
    from tsforecast import artifact

    if model is None:
        raise UsageError("nothing to score", hint="name a MODEL and DATA, or use --forecast F --actual A")
    forecaster = artifact.load(model).forecaster
    if plot is not None:
        quantiles = bool(forecaster.options.quantiles) and not simulate
        check_drawable(plot, quantiles=quantiles, trained=bool(forecaster.history), simulated=simulate)
    return read_for(forecaster, data, settings, report, missing=missing, future_data=future_data)


def _from_files(
    settings: Settings,
    forecast: str,
    actual: Path | None,
    metrics: Sequence[str],
    *,
    target: list[str] | None,
    series_id: str,
    season_length: int,
) -> Evaluation:
    from tsforecast.evaluating.evaluation import evaluate_files

    if actual is None:
        raise UsageError("--forecast needs --actual", hint="name the file with what happened: --actual plant.csv")
    options, rated = settings.build(ReadOptions), settings.build(DomainOptions).rated
    made, happened = (read_table([source], options) for source in (forecast, actual))
    known: dict[str, Any] = {"series_id": series_id, "season_length": season_length, "rated": rated}
    return evaluate_files(made, happened, options, metrics=metrics, targets=target or [], **known)
