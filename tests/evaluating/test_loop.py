"""Open and closed loop side by side: the drift curve, what closing costs, and what one step ahead leaves over."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import tsforecast
from tsforecast.data.read import read
from tsforecast.evaluating.backtest import backtest
from tsforecast.evaluating.evaluation import evaluate
from tsforecast.evaluating.forecasts import Forecasts
from tsforecast.evaluating.loop import cost_of_closing
from tsforecast.evaluating.scores import score_table
from tsforecast.evaluating.verdict import judge
from tsforecast.forecasting.prediction import read_frame
from tsforecast.options import ReadOptions

H, SEASON = 12, 16


def sine(rows: int = 400) -> pa.Table:
    noise = np.random.default_rng(0).normal(0, 0.01, rows)
    return pa.table({"y": np.sin(2 * np.pi * np.arange(rows) / SEASON) + noise, "x": noise + np.arange(rows) % 5})


def narx(gain: float = 1.0, **options: Any) -> tuple[Any, Any]:
    """A linear NARX that continues a sine and lets it grow: y_t = 2 g cos(w) y_{t-1} - g^2 y_{t-2}."""
    said: dict[str, Any] = {"lags": "2", "horizon": H, "test": "150", "no_time": True, "normalize": "none"}
    said |= {"season_length": 1, **options}  # no season, as seasonal naive knows a sine better than any loop
    table = sine()
    made = tsforecast.train(table, "y", model="narx", model_options={"hidden": ()}, trainer="none", **said).forecaster
    weights = np.array([[2 * gain * np.cos(2 * np.pi / SEASON)], [-(gain**2)]], np.float32)
    made = replace(made, params={"out.weight": weights, "out.bias": np.zeros(1, np.float32)})
    options_of_reading = ReadOptions(no_time=True)
    return made, read_frame(made, read([table], options_of_reading), options_of_reading)[0]


def test_the_open_loop_is_the_forecast_of_one_step_from_the_row_before() -> None:
    forecaster, frame = narx(1.02)
    f = backtest(forecaster, frame, stride=3).forecasts[0]
    assert f.open_loop is not None
    for fold, step in ((0, 0), (1, 7), (len(f.cutoff) - 1, H - 1)):
        row = np.array([f.cutoff[fold] + step])
        one = forecaster.forecast(frame, row, 1).point
        assert f.open_loop[fold, step] == pytest.approx(one[0, 0, 0], rel=1e-6)
    np.testing.assert_allclose(f.open_loop[:, 0], f.forecast[:, 0], rtol=1e-6)
    curve = [r["mae"] for r in score_table(f, ["mae"]) if r["model"] == "open_loop" and r["step"]]
    np.testing.assert_allclose(curve, np.abs(f.open_loop - f.actual).mean(axis=0))


def test_the_open_loop_is_unknown_where_its_lags_are() -> None:
    forecaster, frame = narx()
    values = frame.values.copy()
    values[300, 0] = np.nan
    f = backtest(forecaster, replace(frame, values=values)).forecasts[0]
    assert f.open_loop is not None
    unknown = np.isin(f.time, [301, 302])  # the row itself has a forecast, the two behind it look at the hole
    np.testing.assert_array_equal(np.isnan(f.open_loop), unknown)
    assert np.isfinite(f.forecast).all()


def test_the_verdict_knows_no_open_loop_and_the_forecast_does_not_depend_on_it() -> None:
    forecaster, frame = narx(1.05)
    f = backtest(forecaster, frame).forecasts[0]
    verdict = judge(f)
    assert set(verdict.baselines) == {"naive", "seasonal_naive", "drift"}
    assert verdict == judge(replace(f, open_loop=None))


def test_a_direct_network_has_no_open_loop_but_a_diagnosis() -> None:
    table, options = sine(), ReadOptions(no_time=True)
    made = tsforecast.train(table, "y", model="linear", lags="4", horizon=3, past=["x"], no_time=True, test="100")
    frame = read_frame(made.forecaster, read([table], options), options)[0]
    f = backtest(made.forecaster, frame).forecasts[0]
    assert f.open_loop is None and cost_of_closing(made.forecaster, f) == ("", "")
    assert f.diagnosis is not None
    assert (f.diagnosis.n, [found.name for found in f.diagnosis.inputs]) == (98, ["x"])


def test_a_loop_that_drifts_is_warned_of_and_one_that_holds_is_not() -> None:
    for gain, drifts in ((1.0, False), (1.15, True)):
        forecaster, frame = narx(gain)
        made = evaluate(forecaster, frame, metrics=["mae"])
        (note,) = [text for text in made.notes if "closing the loop" in text]
        errors = {(r["model"], r["step"]): r["mae"] for r in made.records}
        first, last, opened = errors["forecast", 1], errors["forecast", H], errors["open_loop", H]
        assert f"MAE {first:.4g} at step 1, {last:.4g} at step {H} (open loop {opened:.4g})" in note
        assert len(made.warnings) == drifts
        if drifts:
            assert errors["forecast", 1] < errors["naive", 1]
            assert "fed with its own outputs the network drifts" in made.warnings[0]
            assert "--set model.loop=closed" in made.warnings[0]


def test_a_free_run_that_drifts_is_warned_of() -> None:
    for gain, drifts in ((1.0, False), (1.15, True)):
        forecaster, frame = narx(gain)
        made = evaluate(forecaster, frame, simulate=True, metrics=["mae"])
        without_inputs, *warnings = made.warnings
        assert "has no inputs" in without_inputs
        assert len(warnings) == drifts
        if drifts:
            opened = next(r["mae"] for r in made.records if r["model"] == "open_loop")
            assert f"one step ahead the MAE is {opened:.4g}, run freely" in warnings[0]
            assert "--set model.loop=closed" in warnings[0]


def loops(closed: list[float], opened: float, naive: list[float], folds: int = 5) -> Forecasts:
    """Forecasts of zero whose errors at each step are given."""
    steps = len(closed)
    cutoff = np.arange(folds)
    rows = {
        name: np.tile(values, (folds, 1)) for name, values in (("c", closed), ("n", naive), ("o", [opened] * steps))
    }
    return Forecasts(
        target="y",
        unit_time="step",
        series=np.zeros(folds, np.int64),
        series_names=("",),
        cutoff=cutoff,
        time=cutoff[:, None] + np.arange(1, steps + 1),
        is_clock=False,
        actual=np.zeros((folds, steps)),
        forecast=rows["c"],
        last=np.zeros(folds),
        baselines={"naive": rows["n"], "drift": np.full((folds, steps), np.nan)},
        season_length=1,
        scale=np.full((1, 2), np.nan),
        open_loop=rows["o"],
    )


@pytest.mark.parametrize(
    ("closed", "naive", "warned"),
    [
        ([0.1, 0.5, 0.9], [1.0, 1.0, 1.0], ""),  # nine times the first error, and still the best
        ([0.1, 0.5, 1.1], [1.0, 1.0, 1.0], "90% below every baseline, but at step 3 naive is better"),
        ([0.1, 4.0, 0.9], [1.0, 1.0, 1.0], "over all steps naive is better"),
        ([1.1, 2.0, 3.0], [1.0, 1.0, 1.0], ""),  # no skill to lose: the verdict says that
    ],
)
def test_the_rule_of_the_warning(closed: list[float], naive: list[float], warned: str) -> None:
    forecaster: Any = SimpleNamespace(model_options={"loop": "open", "feedback": "output"})
    note, warning = cost_of_closing(forecaster, loops(closed, closed[0], naive))
    assert note.startswith("y: closing the loop")
    assert warned in warning and bool(warned) == bool(warning)


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        ({"loop": "open", "feedback": "target"}, "model.loop=closed --set model.feedback=output"),
        ({"loop": "closed", "feedback": "output"}, "larger model.loop_steps"),
        ({"decoder": "recursive"}, "model.decoder=direct"),
    ],
)
def test_the_remedy_fits_the_model(options: dict[str, str], remedy: str) -> None:
    forecaster: Any = SimpleNamespace(model_options=options)
    assert remedy in cost_of_closing(forecaster, loops([0.1, 2.0], 0.1, [1.0, 1.0]))[1]


def test_one_step_alone_or_no_feedback_closes_no_loop() -> None:
    forecaster: Any = SimpleNamespace(model_options={})
    assert cost_of_closing(forecaster, loops([0.1], 0.1, [1.0])) == ("", "")
    forecaster.model_options = {"loop": "open", "feedback": "none"}
    assert cost_of_closing(forecaster, loops([0.1, 2.0], 0.1, [1.0, 1.0])) == ("", "")
