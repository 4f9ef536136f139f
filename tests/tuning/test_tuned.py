"""Tuning from Python: the front as a data frame, the best as arguments to train with, as the command finds them."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tsforecast
from tsforecast.cli.app import run
from tsforecast.errors import TrainingError, UsageError
from tsforecast.tuning.bench import Bench

SEARCH: dict[str, Any] = {"horizon": 6, "past": "wind", "test": "0.2", "population": 4, "generations": 2}
LINEAR: dict[str, Any] = {**SEARCH, "model": "linear", "searches": ["lags=6,12,24", "scaler=standard"]}


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    hours, rng = np.arange(240), np.random.default_rng(0)
    power = 10 + 5 * np.sin(2 * np.pi * hours / 24) + rng.normal(0, 0.3, 240)
    time = pd.date_range("2024-01-01", periods=240, freq="h")
    return pd.DataFrame({"time": time, "power": power.round(2), "wind": rng.normal(size=240).round(2)})


def test_it_finds_what_the_command_finds(
    frame: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tuned = tsforecast.tune(frame, "power", **LINEAR)
    frame.to_csv(tmp_path / "data.csv", index=False)
    words = [
        "-t",
        "power",
        "-m",
        "linear",
        "-H",
        "6",
        "--past",
        "wind",
        "--test",
        "0.2",
        "-q",
        "--search",
        "lags=6,12,24",
    ]
    small = ["--search", "scaler=standard", "--population", "4", "--generations", "2"]
    assert run(["tune", str(tmp_path / "data.csv"), *words, *small]) == 0
    printed = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert list(tuned.front) == list(printed[0])
    assert [str(n) for n in tuned.front["parameters"]] == [row["parameters"] for row in printed]
    assert tuned.front["loss"].tolist() == pytest.approx([float(row["loss"]) for row in printed], rel=1e-5)
    assert tuned.front["lags"].tolist() == [row["lags"] for row in printed]
    assert (tuned.loss, tuned.ended) == (tuned.front["loss"].min(), "finished")
    assert set(tuned.baselines) == {"naive", "seasonal_naive"}
    assert sorted(tuned.notes) == sorted(set(tuned.notes)) != []


def test_the_best_trains_as_the_trial_did(frame: pd.DataFrame) -> None:
    searches = ["lags=6,12", "model.hidden=2,4", "model.layers=1", "scaler=standard", "past.wind=no"]
    tuned = tsforecast.tune(frame, "power", **SEARCH, model="gru", searches=searches, trial_steps=2)
    forecaster = tsforecast.train(frame, **tuned.best).forecaster
    first = tuned.front.iloc[0]
    assert (len(forecaster.history), forecaster.shape.lags) == (2, int(first["lags"]))
    assert forecaster.model_options["hidden"] == first["model.hidden"]
    assert sum(array.size for array in forecaster.params.values()) == first["parameters"]
    assert (forecaster.schema.past, forecaster.options.test) == ((), "0.2")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"population": 6}, "use --population 8"),
        ({"lags": "24"}, "lags is both fixed and searched"),
        ({"searches": ["lag=3"]}, "did you mean 'lags'"),
        ({"generation": 3}, "unknown option 'generation'"),
    ],
)
def test_mistakes_are_named_with_the_next_step(frame: pd.DataFrame, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        tsforecast.tune(frame, "power", **{**LINEAR, **options})


def test_when_no_candidate_can_be_trained_that_is_an_error(frame: pd.DataFrame) -> None:
    options = {**SEARCH, "model": "tdnn", "searches": ["lags=6,8", "trainer=least_squares"], "generations": 1}
    with pytest.raises(TrainingError, match="no candidate could be trained"):
        tsforecast.tune(frame, "power", **options)


def test_an_interrupt_before_the_first_candidate_leaves_nothing_to_return(
    frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Bench, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tsforecast.tune(frame, "power", **LINEAR)
