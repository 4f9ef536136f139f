"""The Python face: data frames in and out, the same results as the command line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tsforecast
from tsforecast import recipes
from tsforecast.artifact import Artifact
from tsforecast.cli.app import run
from tsforecast.errors import DataError, UsageError
from tsforecast.trainers.least_squares import LeastSquares


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    hours = np.arange(200)
    power = 10 + 5 * np.sin(2 * np.pi * hours / 24) + np.random.default_rng(0).normal(0, 0.3, 200)
    return pd.DataFrame({"time": pd.date_range("2024-01-01", periods=200, freq="h"), "power": power.round(2)})


@pytest.fixture(scope="module")
def trained(frame: pd.DataFrame) -> Artifact:
    return tsforecast.train(frame, "power", model="linear", horizon=6, lags=24, test="40")


def test_predict_returns_a_data_frame_that_follows_the_data(trained: Artifact, frame: pd.DataFrame) -> None:
    made = tsforecast.predict(trained, frame)
    assert list(made.columns) == ["time", "power_forecast"]
    following = pd.date_range("2024-01-09 08:00", periods=6, freq="h")
    assert pd.to_datetime(made["time"]).tolist() == following.tolist()


def test_data_may_be_a_frame_with_an_index_of_time_or_a_file(
    trained: Artifact, frame: pd.DataFrame, tmp_path: Path
) -> None:
    frame.to_csv(tmp_path / "data.csv", index=False)
    expected = tsforecast.predict(trained, frame)["power_forecast"]
    for data in (frame.set_index("time"), tmp_path / "data.csv", str(tmp_path / "data.csv"), [tmp_path / "data.csv"]):
        np.testing.assert_allclose(tsforecast.predict(trained, data)["power_forecast"], expected, rtol=1e-6)


def test_the_command_line_and_python_forecast_the_same(
    frame: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame.to_csv(tmp_path / "data.csv", index=False)
    words = ["-t", "power", "-m", "linear", "-H", "6", "-L", "24", "-q", "-o", str(tmp_path / "m")]
    assert run(["train", str(tmp_path / "data.csv"), *words]) == 0
    assert run(["predict", str(tmp_path / "m"), str(tmp_path / "data.csv")]) == 0
    printed = [float(line.split(",")[1]) for line in capsys.readouterr().out.splitlines()[1:]]
    own = tsforecast.train(tmp_path / "data.csv", "power", model="linear", horizon=6, lags="24")
    np.testing.assert_allclose(tsforecast.predict(own, frame)["power_forecast"], printed, rtol=1e-6)
    loaded = tsforecast.load(tmp_path / "m")
    np.testing.assert_allclose(tsforecast.predict(loaded, frame)["power_forecast"], printed, rtol=1e-6)


def test_save_and_load_keep_the_forecast(trained: Artifact, frame: pd.DataFrame, tmp_path: Path) -> None:
    tsforecast.save(trained, tmp_path / "m")
    loaded = tsforecast.load(str(tmp_path / "m"))
    pd.testing.assert_frame_equal(tsforecast.predict(loaded, frame), tsforecast.predict(trained, frame))


def test_options_of_predict(trained: Artifact, frame: pd.DataFrame) -> None:
    assert len(tsforecast.predict(trained, frame, horizon=9)) == 9
    assert tsforecast.predict(trained, frame, at="2024-01-05 00:00")["time"][0].startswith("2024-01-05 01:00")
    assert tsforecast.predict(trained, frame, include_history=3)["power"].notna().sum() == 3
    holey = frame.assign(power=frame["power"].mask(frame.index == 190))
    with pytest.raises(DataError, match="'power' is missing"):
        tsforecast.predict(trained, holey)
    assert tsforecast.predict(trained, holey, missing="interpolate")["power_forecast"].notna().all()


def test_future_data_may_be_a_frame(frame: pd.DataFrame) -> None:
    wind = np.random.default_rng(1).normal(size=206)
    whole = pd.DataFrame({"time": pd.date_range("2024-01-01", periods=206, freq="h"), "wind": wind})
    data = frame.assign(power=2 * wind[:200], wind=wind[:200])
    made = tsforecast.train(data, "power", future="wind", model="linear", horizon=6, lags=12)
    ahead = tsforecast.predict(made, data, future_data=whole[200:])["power_forecast"]
    np.testing.assert_allclose(ahead, 2 * wind[200:], atol=0.3)
    kept = tsforecast.train(data, "power", future="wind", model="linear", horizon=6, lags=12, test="40")
    usual = tsforecast.evaluate(kept, data, metric="mae").records[0]["mae"]
    wrong = tsforecast.evaluate(kept, data, metric="mae", future_data=whole.assign(wind=-wind)).records[0]["mae"]
    assert usual < 0.1 < wrong
    with pytest.raises(UsageError, match="--future-data"):
        tsforecast.evaluate(kept, data, simulate=True, future_data=whole)


def test_evaluate_scores_the_rows_kept_out(trained: Artifact, frame: pd.DataFrame) -> None:
    made = tsforecast.evaluate(trained, frame, metric=["mae"])
    assert made.records[0]["n"] == 35 * 6
    assert made.verdicts[0].skill > 0
    assert tsforecast.evaluate(trained, frame, metric="mae", n_windows=1).records[0]["n"] == 6
    assert {"mae", "rmse"} <= set(tsforecast.evaluate(trained, frame, metric="mae, rmse").records[0])


def test_evaluate_takes_what_is_known_of_the_domain(trained: Artifact, frame: pd.DataFrame) -> None:
    limited = tsforecast.evaluate(trained, frame, rated=11, metric="nrmse")
    assert np.nanmax(limited.forecasts[0].forecast) == pytest.approx(11)
    whole = tsforecast.evaluate(trained, frame, rated=22, metric="nrmse").records[0]["nrmse"]
    rmse = tsforecast.evaluate(trained, frame, metric="rmse").records[0]["rmse"]
    assert whole == pytest.approx(rmse / 22)
    low = tsforecast.evaluate(trained, frame.assign(power=frame.power - 12), domain="wind").forecasts[0]
    assert np.nanmin(low.forecast) == 0


def test_predict_takes_what_is_known_of_the_domain(trained: Artifact, frame: pd.DataFrame) -> None:
    free = tsforecast.predict(trained, frame, horizon=24)["power_forecast"]
    held = tsforecast.predict(trained, frame, horizon=24, floor=8, cap="12")["power_forecast"]
    np.testing.assert_array_equal(held, free.clip(8, 12))
    assert free.min() < 8 < 12 < free.max()
    with pytest.raises(UsageError, match="only a place together"):
        tsforecast.predict(trained, frame, lat=50)


def test_evaluate_fills_holes_as_predict_does(trained: Artifact, frame: pd.DataFrame) -> None:
    holey = frame.assign(power=frame["power"].mask(frame.index == 180))
    skipped, filled = (tsforecast.evaluate(trained, holey, metric="mae", missing=m) for m in ("", "ffill"))
    assert (skipped.forecasts[0].forecast.shape[0], filled.forecasts[0].forecast.shape[0]) == (21, 35)
    assert filled.records[0]["n"] == 35 * 6 - 6  # what was filled in is not scored
    assert "--missing ffill: 0 rows inserted, 1 values filled" in filled.notes


def test_what_the_command_would_say_is_in_the_notes(frame: pd.DataFrame) -> None:
    holey = frame.assign(power=frame["power"].mask(frame.index == 50))
    made = tsforecast.train(holey, "power", model="linear", horizon=6, lags=24, test="40")
    assert any("windows are lost to gaps and holes" in note for note in made.notes)
    assert any(note.startswith("chosen from the data: season 24") for note in made.notes)
    ahead = tsforecast.predict(made, holey, horizon=9, missing="interpolate")
    assert "horizon 9 is beyond the 6 steps of training: forecasts are fed back" in ahead.attrs["notes"]
    assert "--missing interpolate: 0 rows inserted, 1 values filled" in ahead.attrs["notes"]


def test_the_notes_of_training_itself_are_kept(frame: pd.DataFrame) -> None:
    walk = frame.assign(power=np.random.default_rng(0).normal(size=200).cumsum())
    made = tsforecast.train(walk, "power", model="linear", horizon=6, lags=24)
    assert any("--shrink none keeps the network" in note for note in made.notes)


def test_an_interrupt_before_the_first_step_leaves_nothing_to_return(
    frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(LeastSquares, "fit", lambda *_, **__: (interrupted() for _ in range(1)))
    with pytest.raises(KeyboardInterrupt):
        tsforecast.train(frame, "power", model="linear", horizon=6, lags=24)


def test_a_recipe_lies_below_the_arguments(
    frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "mine.toml").write_text(
        'lags = 12\nhorizon = 9\ndomain = "wind"\n[model]\nname = "linear"\n'
        '[recipe]\nsummary = "s"\nsource = "s"\nmeasured = []\n'
    )
    monkeypatch.setattr(recipes, "FOLDER", tmp_path)
    made = tsforecast.train(frame, "power", recipe="mine", horizon=6).forecaster
    assert (made.options.model, made.shape.lags, made.shape.horizon, made.options.floor) == ("linear", 12, 6, 0.0)
    with pytest.raises(UsageError, match="unknown recipe 'mein'"):
        tsforecast.train(frame, "power", recipe="mein")


def test_an_option_that_does_not_exist_is_never_ignored(trained: Artifact, frame: pd.DataFrame) -> None:
    with pytest.raises(UsageError, match="did you mean 'horizon'"):
        tsforecast.train(frame, "power", horizn=3)
    with pytest.raises(UsageError, match=r"did you mean 'model\.hidden'"):
        tsforecast.train(frame, "power", model="gru", model_options={"hiden": 3})
    with pytest.raises(UsageError, match="unknown option 'model'"):
        tsforecast.predict(trained, frame, model="gru")
    with pytest.raises(UsageError, match="unknown option 'metrics'"):
        tsforecast.evaluate(trained, frame, metrics="mae")


@pytest.mark.parametrize(
    ("act", "options", "meant"),
    [
        (tsforecast.predict, {"horizn": 3}, "horizon"),
        (tsforecast.predict, {"futur_data": ""}, "future_data"),
        (tsforecast.evaluate, {"n_window": 3}, "n_windows"),
        (tsforecast.evaluate, {"metrik": "mae"}, "metric"),
    ],
)
def test_the_keywords_of_a_function_are_known_where_it_guesses(
    act: Any, options: dict[str, Any], meant: str, trained: Artifact, frame: pd.DataFrame
) -> None:
    with pytest.raises(UsageError, match=f"did you mean '{meant}'"):
        act(trained, frame, **options)


@pytest.mark.parametrize(
    ("act", "meant"),
    [(tsforecast.train, "model_options"), (tsforecast.compare, "models"), (tsforecast.tune, "searches")],
)
def test_so_they_are_where_something_is_trained(act: Any, meant: str, frame: pd.DataFrame) -> None:
    with pytest.raises(UsageError, match=f"did you mean '{meant}'"):
        act(frame, "power", **{f"{meant}_": 1})


def test_a_horizon_that_is_none_is_refused(trained: Artifact, frame: pd.DataFrame) -> None:
    for act in (tsforecast.predict, tsforecast.evaluate):
        for horizon in (-3, 2.5):
            with pytest.raises(UsageError, match="horizon: "):
                act(trained, frame, horizon=horizon)


def test_a_forecast_that_diverges_is_warned_of(trained: Artifact, frame: pd.DataFrame) -> None:
    params = {name: np.float32(20) * value for name, value in trained.forecaster.params.items()}
    wild = replace(trained, forecaster=replace(trained.forecaster, params=params))
    made = tsforecast.predict(wild, frame, horizon=2000)
    assert made["power_forecast"].isna().iloc[-1]
    assert "is fed back diverges from" in made.attrs["warnings"][0]
    assert tsforecast.predict(trained, frame).attrs["warnings"] == []
