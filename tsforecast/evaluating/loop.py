"""Open and closed loop: forecasts one step ahead, what they leave over, and what closing the loop costs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsforecast.data.frame import Frame
from tsforecast.evaluating.diagnosis import Diagnosis, diagnose
from tsforecast.evaluating.forecasts import Forecasts
from tsforecast.forecasting.forecaster import Forecaster
from tsforecast.metrics.base import Floats


def one_step(forecaster: Forecaster, frame: Frame, rows: NDArray[np.int64]) -> Floats:
    """Forecast rows from the true values up to the row before, as the network does: not drawn towards a baseline.

    What it leaves over says what the network has not learned of the system; a share of a baseline would hide it.

    Args:
        forecaster: Fitted.
        frame: The series.
        rows: Row numbers.

    Returns:
        (N, T) in the units of the data; NaN for all other rows, and where lags or future covariates are not complete.
    """
    out = np.full((len(frame.time), forecaster.targets), np.nan)
    targets, past, _ = forecaster.columns
    known = np.asarray(np.isfinite(frame.values[rows, targets + past :]).all(axis=1))
    cutoffs = rows[known & ~frame.breaks[rows]] - 1
    cutoffs = cutoffs[forecaster.complete(frame, cutoffs)]
    if len(cutoffs):
        out[cutoffs + 1] = forecaster.undrawn().forecast(frame, cutoffs, 1).point[:, 0]
    return out


def diagnose_one_step(forecaster: Forecaster, frame: Frame, made: Floats, target: int) -> Diagnosis:
    """Diagnose what forecasts (N, T) one step ahead leave over of a target, against all covariates of the frame."""
    residuals = frame.observed(target) - made[:, target]
    known = np.flatnonzero(np.isfinite(residuals))
    span = slice(int(known[0]), int(known[-1]) + 1) if len(known) else slice(0, 0)
    last = len(frame.columns) - 2 * len(forecaster.schema.calendar)  # the sines of a calendar are no inputs of a system
    inputs = slice(forecaster.targets, last)
    return diagnose(
        residuals[span],
        frame.values[span, inputs].astype(np.float64),
        frame.columns[inputs],
        series=np.cumsum(frame.breaks, dtype=np.int64)[span],
    )


def cost_of_closing(forecaster: Forecaster, f: Forecasts) -> tuple[str, str]:
    """Say how the error of the closed loop grows, and whether closing the loop is too dear.

    It is when the forecast is better than every baseline one step ahead, where the network sees no output of its own,
    and worse than one of them at the last step or over all steps: then the network has learnt the system and its own
    errors mislead it. Growth alone is no fault, as a small error at the first step makes any later one look large.

    Returns:
        A note and a warning; empty where there is nothing to say.
    """
    if f.open_loop is None or f.actual.shape[1] == 1 or forecaster.model_options.get("feedback") == "none":
        return "", ""
    closed, opened = _errors(f, f.forecast), _errors(f, f.open_loop)
    steps = len(closed) - 1
    if not np.isfinite([closed[1], closed[-1], opened[-1]]).all():
        return "", ""
    note = (
        f"{f.target}: closing the loop: MAE {closed[1]:.4g} at step 1, {closed[-1]:.4g} at step {steps} "
        f"(open loop {opened[-1]:.4g})"
    )
    baselines = {name: _errors(f, values) for name, values in f.baselines.items()}
    for place, where in ((-1, f"at step {steps}"), (0, "over all steps")):
        known = {name: errors for name, errors in baselines.items() if np.isfinite(errors[[1, place]]).all()}
        if not known:
            continue
        best = min(known, key=lambda name: known[name][place])
        first = min(errors[1] for errors in known.values())
        if closed[1] < first and closed[place] >= known[best][place]:
            return note, (
                f"{f.target}: one step ahead the MAE is {1 - closed[1] / first:.0%} below every baseline, but {where} "
                f"{best} is better: fed with its own outputs the network drifts; {_remedy(forecaster)}"
            )
    return note, ""


def drift_of_run(forecaster: Forecaster, f: Forecasts) -> str:
    """Warn of a network whose free run is worse than a baseline from its start, which its open loop is better than."""
    if f.open_loop is None or not forecaster.network.free_running:
        return ""
    closed, opened = _errors(f, f.forecast)[0], _errors(f, f.open_loop)[0]
    overall = {name: float(_errors(f, values)[0]) for name, values in f.baselines.items()}
    best = min((name for name in overall if np.isfinite(overall[name])), key=lambda name: overall[name], default="")
    if not best or not closed >= overall[best] > opened:
        return ""
    return (
        f"{f.target}: one step ahead the MAE is {opened:.4g}, run freely {closed:.4g}, and {best} has "
        f"{overall[best]:.4g}: fed with its own outputs the network drifts; {_remedy(forecaster)}"
    )


def _errors(f: Forecasts, values: Floats) -> Floats:
    """Return (1 + H,) mean absolute errors, first over all steps, then at each; NaN where there are none.

    Infinite where the forecast has diverged.

    Counted are the pairs that forecast and open loop have, too.
    """
    assert f.open_loop is not None
    error = np.abs(np.where(~np.isnan(f.forecast) & np.isfinite(f.open_loop), values - f.actual, np.nan))
    known = ~np.isnan(error)
    total, count = np.where(known, error, 0.0).sum(axis=0), known.sum(axis=0)
    with np.errstate(invalid="ignore"):
        mean: Floats = np.concatenate(([total.sum()], total)) / np.concatenate(([count.sum()], count))
    return mean


def _remedy(forecaster: Forecaster) -> str:
    options = forecaster.model_options
    if options.get("loop") == "open":
        feedback = " --set model.feedback=output" if options["feedback"] == "target" else ""
        return f"train with --set model.loop=closed{feedback}"
    if "loop" in options:
        return "train it to run for longer, with a larger model.loop_steps, or forecast fewer steps"
    return "train with --set model.decoder=direct"
