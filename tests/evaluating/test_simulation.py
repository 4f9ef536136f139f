"""Simulation equals a loop over the record by hand, and says what was known, where it starts and where it ends."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import tsforecast
from tsforecast.data.frame import Frame
from tsforecast.data.read import read
from tsforecast.errors import DataError, UsageError
from tsforecast.evaluating.evaluation import Evaluation, evaluate
from tsforecast.evaluating.loop import one_step
from tsforecast.evaluating.simulation import FEW_RUNS, simulate, verdict_of_run
from tsforecast.evaluating.verdict import judge
from tsforecast.forecasting.forecaster import Forecaster
from tsforecast.forecasting.prediction import read_frame
from tsforecast.options import ReadOptions
from tsforecast.training.shrinkage import Shrinkage

LAGS, INPUT_LAGS = 4, (0, 1, 3)


def record(rows: int, seed: int) -> dict[str, Any]:
    """A second-order system at noise, driven by random steps."""
    rng = np.random.default_rng(seed)
    u = np.repeat(rng.normal(size=rows // 5 + 1), 5)[:rows]
    y = np.zeros(rows)
    for t in range(rows):
        y[t] = 3 + 1.5 * (y[t - 1] - 3) - 0.7 * (y[t - 2] - 3) + 0.3 * u[t] if t > 1 else 3 + u[t]
    return {"u": u, "w": rng.normal(size=rows), "y": y + 0.01 * rng.normal(size=rows)}


def trained(seed: int = 0, **options: Any) -> Forecaster:
    """A NARX with weights as they are drawn: whatever it computes, both loops must compute the same."""
    model = {"hidden": (6,), "input_lags": "0:1,3", **options.pop("model_options", {})}
    said = {"no_time": True, "future": ["u"], "lags": str(LAGS), "horizon": 8, "normalize": "none", "trainer": "none"}
    return tsforecast.train(
        pa.table(record(300, seed)), "y", model="narx", model_options=model, **{**said, **options}
    ).forecaster


def frame_of(forecaster: Forecaster, columns: dict[str, Any]) -> Frame:
    options = ReadOptions(no_time=True)
    return read_frame(forecaster, read([pa.table(columns)], options), options)[0]


def by_hand(forecaster: Forecaster, columns: dict[str, Any], warmup: int) -> np.ndarray:
    """Run row after row; before the record the first output is held, and inputs are at the mean of the run."""
    scaler, params = forecaster.scaler, forecaster.params
    y, u = ((np.asarray(columns[name]) - scaler.center[c]) / scaler.spread[c] for c, name in enumerate("yu"))
    y, mean = y.copy(), u[warmup:].mean()
    for t in range(warmup, len(y)):
        x = [y[max(t - k, 0)] for k in range(1, LAGS + 1)]
        x = np.array(x + [u[t - j] if t >= j else mean for j in INPUT_LAGS if j] + [u[t]] * (0 in INPUT_LAGS))
        hidden = np.tanh(x @ params["hidden0.weight"] + params["hidden0.bias"])
        y[t] = (hidden @ params["out.weight"] + params["out.bias"] + x @ params["skip.weight"])[0]
    return y[warmup:] * scaler.spread[0] + scaler.center[0]


@pytest.mark.parametrize("warmup", [1, 2, LAGS, LAGS + 3])
def test_a_simulation_equals_a_loop_by_hand(warmup: int) -> None:
    forecaster, columns = trained(), record(120, 1)
    made = simulate(forecaster, frame_of(forecaster, columns), warmup=warmup)
    (f,) = made.forecasts
    np.testing.assert_allclose(f.forecast[0], by_hand(forecaster, columns, warmup), atol=1e-5)
    np.testing.assert_allclose(f.actual[0], columns["y"][warmup:], rtol=1e-6)
    np.testing.assert_array_equal(f.time[0], np.arange(warmup, 120))
    np.testing.assert_allclose(f.baselines["naive"][0], np.float32(columns["y"][warmup - 1]))
    assert any("inputs are at their mean" in note for note in made.notes) == (warmup < LAGS)


@pytest.mark.parametrize("feedback", ["output", "target"])
def test_a_simulation_is_of_the_network_not_of_what_it_is_drawn_towards(feedback: str) -> None:
    forecaster, columns = trained(model_options={"feedback": feedback}), record(120, 1)
    drawn = Shrinkage("naive", 0.3, 0.0).applied(forecaster)
    frame = frame_of(forecaster, columns)
    (own,), (f,) = (simulate(made, frame).forecasts for made in (forecaster, drawn))
    assert "towards naive, a simulation does not" in simulate(drawn, frame).notes[-1]
    assert not np.array_equal(
        drawn.forecast(frame, np.array([50]), 8).point, forecaster.forecast(frame, np.array([50]), 8).point
    )
    np.testing.assert_array_equal(f.forecast, own.forecast)
    np.testing.assert_array_equal(one_step(drawn, frame, np.array([60])), one_step(forecaster, frame, np.array([60])))


def test_the_lags_are_the_warm_up_by_default_and_later_outputs_change_nothing() -> None:
    forecaster, columns = trained(), record(120, 1)
    plain = simulate(forecaster, frame_of(forecaster, columns)).forecasts[0]
    assert plain.forecast.shape == (1, 120 - LAGS)
    columns["y"][LAGS:] += np.random.default_rng(0).normal(size=120 - LAGS)
    again = simulate(forecaster, frame_of(forecaster, columns)).forecasts[0]
    np.testing.assert_array_equal(again.forecast, plain.forecast)
    assert plain.open_loop is not None and again.open_loop is not None
    assert not np.allclose(again.open_loop, plain.open_loop)


def test_feedback_of_the_target_is_one_step_ahead_and_says_so() -> None:
    forecaster, columns = trained(model_options={"feedback": "target"}), record(120, 1)
    frame = frame_of(forecaster, columns)
    made = simulate(forecaster, frame)
    one = forecaster.forecast(frame, np.arange(LAGS - 1, 119), 1).point[:, 0, 0]
    np.testing.assert_allclose(made.forecasts[0].forecast[0], one, rtol=1e-6)
    assert made.forecasts[0].open_loop is None
    assert "no free run" in made.warnings[0]


def test_past_covariates_are_held_with_a_warning() -> None:
    forecaster, columns = trained(past=["w"]), record(120, 1)
    made = simulate(forecaster, frame_of(forecaster, columns))
    assert "(w) hold their last value" in made.warnings[0]
    columns["w"][LAGS:] = 0
    again = simulate(forecaster, frame_of(forecaster, columns))
    np.testing.assert_array_equal(again.forecasts[0].forecast, made.forecasts[0].forecast)


def test_a_model_without_inputs_is_told_that_it_only_forecasts_far() -> None:
    made = simulate(trained(future=[]), frame_of(trained(future=[]), record(120, 1)))
    assert made.notes[0] == "simulated in one run of 116 rows from the first 4 rows"
    assert "the model has no inputs" in made.warnings[0]
    assert simulate(trained(), frame_of(trained(), record(120, 1))).warnings == []


def test_a_hole_in_an_input_ends_a_run_and_another_begins_behind_it() -> None:
    forecaster, columns = trained(), record(120, 1)
    holed = {name: values.copy() for name, values in columns.items()}
    holed["u"][50] = np.nan
    holed["y"][80] = np.nan  # an output is only missed by the score
    made = simulate(forecaster, frame_of(forecaster, holed))
    (f,) = made.forecasts
    np.testing.assert_array_equal(f.cutoff, [LAGS - 1, 51 + LAGS - 1])
    np.testing.assert_allclose(f.forecast[0, : 50 - LAGS], by_hand(forecaster, columns, LAGS)[: 50 - LAGS], atol=1e-5)
    behind = {name: values[51:] for name, values in columns.items()}
    np.testing.assert_allclose(f.forecast[1], by_hand(forecaster, behind, LAGS), atol=1e-5)
    assert np.isnan(f.forecast[0, 50 - LAGS :]).all() and np.isnan(f.actual[0, 50 - LAGS :]).all()
    assert np.isnan(f.actual).sum() - np.isnan(f.forecast).sum() == 1
    assert "in 2 runs of 111 rows" in made.notes[0]
    assert len(f.by_row().actual) == 111
    single = verdict_of_run(f, judge(f))
    assert "in 2 runs, too few for a test" in single.sentence
    assert single.skilled is None and json.loads(json.dumps(single.to_json()))["skilled"] is None
    many = f.take(np.arange(FEW_RUNS) % 2)
    assert "Diebold-Mariano" in verdict_of_run(many, judge(many)).sentence


def test_every_series_is_a_record() -> None:
    parts = [pa.table({**record(n, s), "id": [name] * n}) for name, n, s in (("a", 300, 0), ("b", 200, 5))]
    forecaster = trained_on(pa.concat_tables(parts))
    new = {name: record(n, s) for name, n, s in (("a", 60, 7), ("b", 90, 8))}
    table = pa.concat_tables([pa.table({**columns, "id": [name] * len(columns["y"])}) for name, columns in new.items()])
    options = ReadOptions(no_time=True)
    (f,) = simulate(forecaster, read_frame(forecaster, read([table], options), options)[0]).forecasts
    for k, columns in enumerate(new.values()):
        want = by_hand(forecaster, columns, LAGS)
        np.testing.assert_allclose(f.forecast[k, : len(want)], want, atol=1e-5)


def trained_on(table: pa.Table) -> Forecaster:
    said = {"lags": str(LAGS), "horizon": 8, "normalize": "none", "trainer": "none", "future": ["u"], "series_id": "id"}
    options = {"hidden": (6,), "input_lags": "0:1,3"}
    return tsforecast.train(table, "y", model="narx", model_options=options, no_time=True, **said).forecaster


def test_a_record_longer_than_training_is_simulated_where_it_is_new() -> None:
    columns = record(300, 0)
    forecaster = trained(test="100")
    (f,) = simulate(forecaster, frame_of(forecaster, columns)).forecasts
    np.testing.assert_array_equal(f.time[0], np.arange(200, 300))
    (whole,) = simulate(forecaster, frame_of(forecaster, columns), in_sample=True).forecasts
    assert whole.time.shape == (1, 300 - LAGS)


def test_what_cannot_be_simulated_is_refused() -> None:
    forecaster, columns = trained(), record(120, 1)
    with pytest.raises(DataError, match="has seen every row"):
        simulate(forecaster, frame_of(forecaster, record(300, 0)))
    with pytest.raises(DataError, match="has 120 rows, the warm-up takes 120"):
        simulate(forecaster, frame_of(forecaster, columns), warmup=120)
    columns["u"][::5] = np.nan
    with pytest.raises(DataError, match="no stretch of new rows has 4 complete rows"):
        simulate(forecaster, frame_of(forecaster, columns))
    for wrong in ({"simulate": True, "stride": 2}, {"simulate": True, "horizon": 3}, {"warmup": 3}):
        with pytest.raises(UsageError, match="simulat"):
            evaluate(forecaster, frame_of(forecaster, columns), **wrong)


def test_the_evaluation_scores_all_rows_alike_and_tells_the_fit() -> None:
    forecaster, columns = trained(), record(120, 1)
    made: Evaluation = evaluate(forecaster, frame_of(forecaster, columns), simulate=True)
    assert [r["model"] for r in made.records] == ["forecast", "open_loop", "naive", "seasonal_naive", "drift"]
    assert {(r["step"], r["series"]) for r in made.records} == {(None, None)}
    error = columns["y"][LAGS:] - by_hand(forecaster, columns, LAGS)
    spread = columns["y"][LAGS:] - columns["y"][LAGS:].mean()
    fit = 100 * (1 - np.linalg.norm(error) / np.linalg.norm(spread))
    assert made.records[0]["fit"] == pytest.approx(fit, rel=1e-4)
    assert made.verdicts[0].sentence.startswith(f"Simulation: fit {fit:.1f} %, RMSE ")
    assert set(made.verdicts[0].baselines) == {"naive", "seasonal_naive", "drift"}
    diagnosis = made.forecasts[0].diagnosis
    assert diagnosis is not None
    assert [found.name for found in diagnosis.inputs] == ["u"]
    assert f"y, one step ahead: {diagnosis.sentence}" in made.notes
    assert "training saw none of these rows" in made.notes[0]


def test_a_network_that_is_no_loop_is_fed_back_from_outside() -> None:
    table, options = pa.table(record(300, 0)), ReadOptions(no_time=True)
    forecaster = tsforecast.train(
        table, "y", model="linear", lags="4", horizon=3, future=["u"], no_time=True
    ).forecaster
    columns = record(120, 1)
    frame = read_frame(forecaster, read([pa.table(columns)], options), options)[0]
    (f,) = simulate(forecaster, frame, warmup=10).forecasts
    want = forecaster.forecast(frame, np.array([9]), 110).point
    np.testing.assert_allclose(f.forecast[0], want[0, :, 0], rtol=1e-6)
    assert f.open_loop is not None
    np.testing.assert_allclose(f.open_loop[0, 0], f.forecast[0, 0], rtol=1e-6)
