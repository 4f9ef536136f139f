"""``tsforecast evaluate``: scores, the verdict, plots."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tsforecast.cli.options import DEBUG, FORMAT, QUIET, VERBOSE, Flags, data_sources, with_options
from tsforecast.cli.report import Reporter
from tsforecast.cli.scores import conclude, draw_plots, print_scores, say, write_backtest
from tsforecast.errors import UsageError
from tsforecast.options import DomainOptions, ReadOptions

if TYPE_CHECKING:
    from tsforecast.config import Settings
    from tsforecast.data.clock import Clock
    from tsforecast.evaluation import Evaluation
    from tsforecast.forecaster import Forecaster

SIMULATE: bool = typer.Option(
    False, "--simulate", help="Run freely over the whole record, from its inputs and first outputs."
)
WARMUP: int = typer.Option(0, "--warmup", min=0, help="Rows whose outputs --simulate knows; the lags by default.")
ADAPTIVE: bool = typer.Option(
    False, "--adaptive", help="Let conformal intervals follow the errors known at each cutoff, in the order of time."
)
PLOT: Path | None = typer.Option(
    None, "--plot", help="Folder for all plots, or one file: forecasts.png, horizon.svg, ..."
)
BACKTEST: Path | None = typer.Option(
    None, "--backtest", help="Write every forecast with its cutoff and step to this file."
)


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
    simulate: bool = SIMULATE,
    warmup: int = WARMUP,
    adaptive: bool = ADAPTIVE,
    in_sample: bool = typer.Option(False, "--in-sample", help="Score all rows, also those that training saw."),
    min_skill: float | None = typer.Option(
        None, "--min-skill", help="Exit with 1 if the skill over the best baseline is lower."
    ),
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
    kind = _checked(by, simulate, plot, format="json" if json else format, output=output)
    settings = flags.settings()
    domain = {name: name in flags.values for name in DomainOptions.__dataclass_fields__}
    metrics = [m.strip() for part in metric or [] for m in part.split(",") if m.strip()]
    span = {"horizon": horizon, "stride": stride, "n_windows": n_windows, "in_sample": in_sample}
    span |= {"simulate": simulate, "warmup": warmup, "adaptive": adaptive}
    forecaster, clock = None, None
    if forecast:
        _refuse_idle("--forecast", span | {"MODEL": model, "backtest": backtest, "stride": stride - 1} | domain)
        made = _from_files(settings, forecast, actual, metrics, target or [], series_id)
    else:
        _refuse_idle("a MODEL", {"actual": actual, "target": target, "series_id": series_id} if model else {})
        made, forecaster, clock = _from_model(settings, report, model, data, metrics, span)
    say(made, report)
    if plot is not None:
        draw_plots(made, forecaster.history if forecaster else (), plot, report)
    if backtest is not None and forecaster and clock:
        write_backtest(made, clock, forecaster.schema.series_id, backtest)
    print_scores(made, by, kind, output)
    conclude(made, min_skill, report)


def _checked(by: str, simulate: bool, plot: Path | None, *, format: str, output: Path | None) -> str:
    """Return the format of the scores; refuse, before any work, what could not be written in the end."""
    from tsforecast.cli.output import format_of_table
    from tsforecast.files import check_plot

    if plot is not None and plot.suffix:
        check_plot(plot)
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
    from tsforecast.prediction import adjusted, changes_of_domain, read_frame

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
    if changes := changes_of_domain(settings):
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
