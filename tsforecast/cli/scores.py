"""What ``tsforecast evaluate`` gives out: the score table, plots, the file of a backtest, the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tsforecast.cli.report import Reporter
from tsforecast.errors import VERY_ALIKE, AnswerNo, UsageError, closest
from tsforecast.registry import PLOTS

if TYPE_CHECKING:
    from tsforecast.data.clock import Clock
    from tsforecast.evaluating.evaluation import Evaluation


_OF_QUANTILES = ("fan", "calibration")
MORE_FOLDS = "score more folds: more rows with --test, a smaller --stride, no --n-windows"
MORE_CUTOFFS = "give forecasts from more cutoffs"
MORE_RUNS = "simulate more series"


def say(made: Evaluation, report: Reporter) -> None:
    """Say what a reader of the scores must know."""
    for text in made.warnings:
        report.warning(text)
    for text in made.notes:
        report.note(text)
    for f in made.forecasts:
        if f.diagnosis is not None:
            report.detail(f"{f.target}, one step ahead: {f.diagnosis.sentence}")


def print_scores(made: Evaluation, by: str, format: str, output: Path | None) -> None:
    """Print the table of one grouping, or everything as one JSON document."""
    from tsforecast.cli.output import write_json, write_table

    if format == "json":
        document: dict[str, Any] = {"schema": 1, "scores": made.records}
        document["verdicts"] = [v.to_json() for v in made.verdicts]
        document["calibrations"] = [c.to_json() for c in made.calibrations]
        document["diagnoses"] = {f.target: f.diagnosis.to_json() for f in made.forecasts if f.diagnosis}
        write_json({**document, "notes": made.notes, "warnings": made.warnings}, output)
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


def draw_plots(made: Evaluation, history: Sequence[Mapping[str, Any]], plot: Path, report: Reporter) -> None:
    """Draw every registered plot into a folder, or the one that a file is for."""
    from tsforecast.plots.save import save

    one_file = bool(plot.suffix)
    chosen = [plot_of(plot)] if one_file else list(PLOTS)
    simulated = all(record["step"] is None for record in made.records)
    known = {"trained": bool(history), "simulated": simulated}
    if one_file:
        check_drawable(plot, quantiles=any(f.quantiles for f in made.forecasts), **known)
    else:
        try:
            plot.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"cannot make the folder {plot}: {error.strerror}", hint="name another one") from None
    for f in made.forecasts:
        target = f"-{_safe(f.target)}" if len(made.forecasts) > 1 else ""
        for name in chosen:
            why = _nothing_to_draw(name, quantiles=bool(f.quantiles), **known)
            if why:
                if one_file or name not in _OF_QUANTILES:  # a point forecast lacks nothing
                    report.note(f"no {name} plot: {why}")
                continue
            path = plot.with_stem(plot.stem + target) if one_file else plot / f"{name}{target}.png"
            save(PLOTS.get(name)(f, history), path)
            report.note(f"plot {path}" + (f" (of {name})" if one_file and plot.stem != name else ""))


def plot_of(path: Path) -> str:
    """Return the name of the plot that a file is for: its own, if a plot has it, else ``forecasts``.

    Raises:
        UsageError: It is almost that of another plot.
    """
    if path.stem in PLOTS:
        return path.stem
    near = closest(path.stem, PLOTS, VERY_ALIKE)
    if near not in ("", "forecasts"):
        raise UsageError(f"--plot {path}: there is no plot '{path.stem}'", hint=f"did you mean {path.with_stem(near)}?")
    return "forecasts"


def check_drawable(plot: Path, *, quantiles: bool, trained: bool, simulated: bool) -> None:
    """Refuse a file for a plot that nothing can be drawn in; a folder is for those that there are.

    Args:
        plot: The file or folder.
        quantiles: Whether there are quantiles.
        trained: Whether there is a history of training.
        simulated: Whether the model runs freely.

    Raises:
        UsageError: There is nothing to draw.
    """
    if plot.suffix:
        name = plot_of(plot)
        if why := _nothing_to_draw(name, quantiles=quantiles, trained=trained, simulated=simulated):
            hint = "name another plot, or a folder for all that there are"
            raise UsageError(f"--plot {plot}: no {name} plot: {why}", hint=hint)


def _nothing_to_draw(name: str, *, quantiles: bool, trained: bool, simulated: bool) -> str:
    if name == "training" and not trained:
        return "nothing was trained"
    if name == "horizon" and simulated:
        return "a simulation has no horizon"
    if name in _OF_QUANTILES and not quantiles and simulated:
        return "a simulation forecasts no quantiles"
    if name in _OF_QUANTILES and not quantiles:
        return "there are no quantiles (train with --quantiles 0.05,0.95)"
    return ""


def _safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)


def write_backtest(made: Evaluation, clock: Clock, series_id: str, path: Path) -> None:
    """Write one row per fold and step: time, id, cutoff, step, actual, forecast and quantiles of every target.

    Without a clock there is no time column: the row forecast is ``cutoff`` + ``step``. Steps without a forecast
    are left out.
    """
    import numpy as np

    from tsforecast.cli.output import shortest, write_table
    from tsforecast.forecasting.forecast_columns import CUTOFF, forecast_column, quantile_column

    first = made.forecasts[0]
    fold, step = np.nonzero(np.any([np.isfinite(f.forecast) for f in made.forecasts], axis=0))
    columns: dict[str, Any] = dict(clock.write(first.time[fold, step])) if clock.columns else {}
    if series_id:
        columns[series_id] = [first.series_names[s] for s in first.series[fold]]
    cutoffs = clock.write(first.cutoff[fold]).values()
    columns[CUTOFF] = [" ".join(map(str, cells)) for cells in zip(*cutoffs, strict=True)]
    columns["step"] = (step + 1).tolist()
    for f in made.forecasts:
        columns[f.target] = shortest(f.actual[fold, step])
        columns[forecast_column(f.target)] = shortest(f.forecast[fold, step])
        for level, values in f.quantiles.items():
            columns[quantile_column(f.target, level)] = shortest(values[fold, step])
    write_table(columns, output=path)


def conclude(made: Evaluation, least: float | None, report: Reporter, hint: str) -> None:
    """Say the verdicts; raise the answer no if a skill is too low, or, with the hint, if it may be luck."""
    for verdict in made.verdicts:
        report.note(f"{verdict.target}: {verdict.sentence}")
    for calibration in made.calibrations:
        report.note(f"{calibration.target}: {calibration.sentence}")
    for verdict in made.verdicts:
        over = f"{verdict.target}: the skill over {verdict.best or 'any baseline'} in {verdict.loss} is"
        tested = verdict.best and verdict.skilled is False
        luck = why_luck(verdict.p_value, verdict.baselines[verdict.best].dm.n) if tested else ""
        check_skill(over, verdict.skill, luck, least, hint=hint)


def why_luck(p_value: float, folds: int) -> str:
    """Say why a difference in so many folds may be luck; of one fold there is no test."""
    if folds < 2:
        return f"{folds} fold is too few to tell"
    return f"the two are not distinguishable (Diebold-Mariano p = {p_value:.3f})"


def check_skill(
    over: str, skill: float, luck: str, least: float | None, *, more: str = "", hint: str = MORE_FOLDS
) -> None:
    """Raise the answer no where a skill is too low, or may be luck.

    A number below zero allows a forecast to be worse by so much, so that its skill need not be more than luck.

    Args:
        over: What the skill is over, in words.
        skill: The skill.
        luck: Why it may be luck; empty where it is more than that.
        least: What was asked for; None: nothing.
        more: What else may raise the skill.
        hint: What may tell it from luck.

    Raises:
        AnswerNo: It is not reached.
    """
    if least is None:
        return
    if not skill >= least:
        other = f"see `tsforecast models` for other models, {more}or lower --min-skill"
        raise AnswerNo(f"{over} {skill:.3f}, less than {least:g}", hint=other)
    if least >= 0 and luck:
        raise AnswerNo(f"{over} {skill:.3f}, which is enough, but {luck}", hint=hint)
