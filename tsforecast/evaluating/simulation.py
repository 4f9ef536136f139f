"""Simulation: a whole record from its inputs and its first outputs, run freely, as a model of a system is judged."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsforecast.data.frame import Frame
from tsforecast.errors import DataError
from tsforecast.evaluating.backtest import LOST, assemble, with_open_loop
from tsforecast.evaluating.forecasts import Forecasts
from tsforecast.evaluating.loop import diagnose_one_step, one_step
from tsforecast.evaluating.seen import first_new_rows
from tsforecast.evaluating.verdict import Verdict
from tsforecast.forecasting.ahead import rows_at
from tsforecast.forecasting.divergence import warning_of_divergence
from tsforecast.forecasting.forecaster import Forecaster
from tsforecast.registry import METRICS

FEW_RUNS = 10  # fewer show no skill, however large it is


@dataclass(frozen=True)
class Simulation:
    """Simulated records.

    Attributes:
        forecasts: One per target; a fold is one run, as long as the longest of them, NaN after the end of a shorter.
        notes: What a reader of the scores must know.
        warnings: What makes the scores differ from those of the system in service.
    """

    forecasts: tuple[Forecasts, ...]
    notes: list[str]
    warnings: list[str]


class _Runs(NamedTuple):
    """K stretches without a gap: last row of the warm-up and one past the last row, both (K,)."""

    cutoffs: NDArray[np.int64]
    ends: NDArray[np.int64]


def simulate(forecaster: Forecaster, frame: Frame, *, warmup: int = 0, in_sample: bool = False) -> Simulation:
    """Run a forecaster freely over every series, from its inputs and the first outputs, in one pass.

    Future covariates are the inputs: they are known over the whole record. Where the warm-up is shorter than the lags,
    outputs before the record are held at its first one and inputs are at their mean. A gap, or a hole in an input, ends
    a run; the next begins behind it with a warm-up of its own. A NARX with ``feedback=target`` never sees its own
    outputs: each of its steps is forecast one step ahead. No baseline is mixed in: it is the model that is judged.

    Args:
        forecaster: Fitted.
        frame: The records.
        warmup: Rows with known outputs before each run; the lags of the model by default.
        in_sample: Also run over rows that training saw.

    Raises:
        DataError: No stretch is longer than its warm-up, or training saw all rows.
    """
    base, forecaster = forecaster.shape.base, forecaster.undrawn()
    known = warmup or forecaster.shape.lags
    first = frame.bounds[:-1] if in_sample else first_new_rows(forecaster, frame)
    runs = _runs(forecaster, frame, first, known)
    steps = runs.ends - runs.cutoffs - 1
    since = np.maximum(runs.cutoffs - known + 1, 0)
    rows = rows_at(frame, runs.cutoffs, np.arange(1, steps.max() + 1))
    rows[np.arange(rows.shape[1]) >= steps[:, None]] = -1
    ahead = one_step(forecaster, frame, rows[rows >= 0])
    time, values = _run(forecaster, frame, runs, since, steps)
    taught = forecaster.model_options.get("feedback") == "target"
    if taught:
        values = np.where(rows[..., None] >= 0, ahead[rows], np.nan)
    history = frame.bounds[1:] if in_sample else first
    made = assemble(forecaster, frame, runs.cutoffs, history, time, rows, values)
    made = made if taught else with_open_loop(made, ahead, rows)
    made = tuple(replace(f, diagnosis=diagnose_one_step(forecaster, frame, ahead, t)) for t, f in enumerate(made))
    notes, warnings = _remarks(forecaster, runs, known, taught)
    lost = np.asarray(np.isinf(values).any(axis=2))
    warnings += filter(None, [warning_of_divergence(forecaster.network, frame, runs.cutoffs, time, lost, LOST)])
    if base:
        notes.append(f"predict draws the forecast towards {base.replace('_', ' ')}, a simulation does not")
    return Simulation(made, notes, warnings)


def verdict_of_run(f: Forecasts, verdict: Verdict) -> Verdict:
    """Return the verdict with the fit in its sentence, and with a test only where runs are many: one is one sample."""
    rows = f.by_row().pairs()
    fit, rmse = (METRICS.get(name)().score(rows) for name in ("fit", "rmse"))
    text = f"Simulation: fit {fit:.1f} %, RMSE {rmse:.4g}"
    if not verdict.best:
        return replace(verdict, sentence=f"{text}.")
    against = verdict.baselines[verdict.best]
    count = against.dm.n
    if count >= FEW_RUNS or against.diverges:
        return replace(verdict, sentence=f"{text}. {verdict.sentence}")
    skill = verdict.skill
    size = f"{abs(100 * skill):.1f} % {'lower' if skill > 0 else 'higher'}"
    runs = "one run" if count == 1 else f"{count} runs"
    sentence = f"{text}; {size} {verdict.loss} than the best baseline ({verdict.best}), in {runs}, too few for a test."
    return replace(verdict, skilled=None, sentence=sentence)


def _runs(forecaster: Forecaster, frame: Frame, first: NDArray[np.int64], known: int) -> _Runs:
    """Find the stretches to run over: complete warm-up, inputs without holes, every row new."""
    targets, past, _ = forecaster.columns
    driven = np.asarray(np.isfinite(frame.values[:, targets + past :]).all(axis=1))
    observed = np.any([np.isfinite(frame.observed(t)) for t in range(targets)], axis=0)
    starts = np.flatnonzero(frame.breaks | ~driven | ~np.concatenate(([True], driven[:-1])))
    index, found = forecaster.index(frame), []
    for start, end in zip(starts, np.append(starts[1:], len(frame.time)), strict=True):
        new = int(first[frame.series_of(np.array([start]))[0]])
        scored = np.flatnonzero(observed[start:end])
        if not len(scored) or not driven[start]:
            continue
        last = int(start + scored[-1])
        cutoffs = np.arange(max(int(start) + known - 1, new - 1), last)
        cutoffs = cutoffs[index.complete(cutoffs - known + 1, known, 0)]
        if len(cutoffs):
            found.append((int(cutoffs[0]), last + 1))
    if not found:
        raise _nothing_to_run(frame, first, known)
    return _Runs(*np.array(found, dtype=np.int64).T)


def _nothing_to_run(frame: Frame, first: NDArray[np.int64], known: int) -> DataError:
    if (first >= frame.bounds[1:]).all():
        return DataError(
            "the model has seen every row of this data: there is nothing to simulate",
            hint="train with --test 0.2 to keep rows out, give another record, or use --in-sample",
        )
    longest = int(np.diff(np.append(np.flatnonzero(frame.breaks), len(frame.time))).max())
    if longest <= known:
        return DataError(
            f"the longest stretch without a gap has {longest} rows, the warm-up takes {known}",
            hint="use a shorter --warmup, or fill gaps with --missing interpolate in training",
        )
    return DataError(
        f"no stretch of new rows has {known} complete rows for the warm-up and inputs after it",
        hint="use a shorter --warmup, or fill holes before: a run needs every input",
    )


def _run(
    forecaster: Forecaster, frame: Frame, runs: _Runs, since: NDArray[np.int64], steps: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return times (K, H) and forecasts (K, H, T), NaN after the end of each run; runs of one length go together."""
    values = np.full((len(steps), steps.max(), forecaster.targets), np.nan)
    time = np.empty(values.shape[:2], np.int64)
    for length in np.unique(steps):
        chosen = np.flatnonzero(steps == length)
        made = forecaster.forecast(frame, runs.cutoffs[chosen], int(length), since=since[chosen])
        time[chosen, :length], values[chosen, :length] = made.time, made.point
        time[chosen, length:] = made.time[:, -1:]
    return time, values


def _remarks(forecaster: Forecaster, runs: _Runs, known: int, taught: bool) -> tuple[list[str], list[str]]:
    count = len(runs.cutoffs)
    whole = f"{count} runs" if count > 1 else "one run"
    rows = f"first {known} rows" if known > 1 else "first row"
    schema = forecaster.schema
    inputs = "inputs and " if len(schema.future_columns) > 2 * len(schema.calendar) else ""  # the clock drives nothing
    notes = [f"simulated in {whole} of {int((runs.ends - runs.cutoffs - 1).sum())} rows from {inputs}the {rows}"]
    if known < forecaster.shape.lags:
        notes.append(
            f"the warm-up is shorter than the {forecaster.shape.lags} lags: before it, the first output is held,"
            " and inputs are at their mean"
        )
    warnings = []
    if taught:
        warnings.append("model.feedback=target: every step saw the true outputs before it, this is no free run")
    elif schema.past_columns:
        names = ", ".join(schema.past_columns)
        warnings.append(
            f"past covariates ({names}) hold their last value in a simulation; inputs are named by --future"
        )
    elif not inputs:
        warnings.append("the model has no inputs: a run is one long forecast; inputs are named by --future in training")
    return notes, warnings
