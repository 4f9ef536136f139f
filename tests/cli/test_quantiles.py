"""Quantiles on the command line: from training to columns, scores and what is said of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from shell import Cli, Csv, csv_text, hours, stamps

from tsforecast import artifact

Train = Callable[..., Path]
CONFORMAL = ("--intervals", "conformal")
QUICK = ("-m", "gru", "--set", "model.hidden=4", "--set", "trainer.steps=1", "--set", "trainer.epoch_size=64")


def test_columns_follow_the_forecast_in_the_order_asked_for(cli: Cli, csv: Csv, trained: Train) -> None:
    model = trained(csv(), *CONFORMAL, "--quantiles", "0.9,0.1,0.5")
    done = cli("predict", model, "data.csv")
    rows = done.rows()
    assert (done.code, done.err) == (0, "")
    assert list(rows[0]) == ["timestamp", "power_forecast", "power_q0.9", "power_q0.1", "power_q0.5"]
    for row in rows:
        assert float(row["power_q0.1"]) <= float(row["power_q0.5"]) <= float(row["power_q0.9"])
        assert all(str(np.float32(text)) == text for name, text in row.items() if name != "timestamp")


def test_a_network_of_several_targets_prints_its_quantiles(cli: Cli, csv: Csv, trained: Train) -> None:
    model = trained(csv(), "-t", "power", "-t", "wind", *QUICK, "--quantiles", "0.1,0.9")
    done = cli("predict", "--include-history", 2, model, "data.csv")
    names = [f"{t}{end}" for t in ("power", "wind") for end in ("", "_forecast", "_q0.1", "_q0.9")]
    assert list(done.rows()[0]) == ["timestamp", *names]
    assert done.rows()[0]["power_q0.1"] == "" and done.rows()[2]["power"] == ""
    assert [row["timestamp"] for row in done.rows()] == stamps(206)[198:]


def test_the_model_file_keeps_everything(cli: Cli, csv: Csv, trained: Train) -> None:
    model = trained(csv(), *QUICK, *CONFORMAL, "--quantiles", "0.1,0.9")
    loaded = artifact.load(model)
    margins = loaded.forecaster.margins
    assert margins is not None and loaded.forecaster.shape.levels == (0.1, 0.5, 0.9)
    assert (margins.margin.shape, margins.spread.shape, margins.size.shape) == ((6, 1, 2), (1, 1), (6, 1))
    assert margins.start.shape == margins.margin.shape
    artifact.save(Path("again.safetensors"), loaded.forecaster, loaded.fingerprint)
    assert cli("predict", "again.safetensors", "data.csv") == cli("predict", model, "data.csv")
    done = cli("info", model, "--verify")
    assert "0.1, 0.9 (of the network, conformal)" in done.out
    assert done.code == 0
    point = trained(csv(), name="point.safetensors")
    assert "quantiles" not in cli("info", point).out


def test_a_model_file_without_its_margins_is_refused(cli: Cli, csv: Csv, trained: Train) -> None:
    loaded = artifact.load(trained(csv(), *CONFORMAL))
    margins = loaded.forecaster.margins
    assert margins is not None
    for name in ("margin", "start"):
        forecaster = replace(loaded.forecaster, margins=replace(margins, **{name: np.zeros((5, 1, 2))}))
        artifact.save(Path("broken.safetensors"), forecaster, loaded.fingerprint)
        cli("predict", "broken.safetensors", "data.csv").refused(4, f"'{name}' has shape", "train it again")


def test_default_levels_are_said_and_a_few_windows_are_too_few(cli: Cli, csv: Csv) -> None:
    said = ["train", csv(), "-t", "power", "-m", "linear", "-H", 6, "-L", 24, "-o", "m.safetensors", "--force"]
    done = cli(*said, *CONFORMAL)
    assert "note: --intervals conformal: quantile levels 0.05 and 0.95" in done.err
    assert list(cli("predict", "m.safetensors", "data.csv").rows()[0])[2:] == ["power_q0.05", "power_q0.95"]
    cli(*said, *CONFORMAL, "--valid", 20).refused(2, "needs 19 validation windows, there are 15", "--valid")
    cli(*said, "--quantiles", "0.1").refused(2, "trainer 'least_squares'", "--intervals conformal")
    cli(*said, "--quantiles", "1.5").refused(2, "quantiles")
    done = cli(*said, "-m", "narx", "--set", "trainer.steps=1", "--trainer", "backprop", "--quantiles", "0.1,0.9")
    assert "learns quantiles one step ahead" in done.err


def test_beyond_the_horizon_of_training_it_says_what_the_quantiles_are_worth(
    cli: Cli, csv: Csv, trained: Train
) -> None:
    model = trained(csv(), *CONFORMAL)
    done = cli("predict", model, "data.csv", "-H", 8)
    assert "beyond step 6 the quantiles keep the margins of step 6: they are too narrow there" in done.err
    rows = [{k: float(v) for k, v in row.items() if k != "timestamp"} for row in done.rows()]
    width = [row["power_q0.95"] - row["power_q0.05"] for row in rows]
    assert len(rows) == 8
    np.testing.assert_allclose(width[6:], width[5], rtol=1e-4)
    network = trained(csv(), *QUICK, "--quantiles", "0.1,0.9")
    assert "do not know the errors of what is fed back" in cli("predict", network, "data.csv", "-H", 8).err
    assert "quantiles" not in cli("predict", network, "data.csv", "-H", 6).err


def test_evaluate_adaptive_moves_only_the_quantiles(cli: Cli, csv: Csv, trained: Train) -> None:
    model = trained(csv(hours(400)), *CONFORMAL, "--test", "0.5")
    fixed, moved = "fixed.csv", "moved.csv"
    assert cli("evaluate", model, "data.csv", "--metric", "mae", "--backtest", fixed).code == 0
    assert cli("evaluate", model, "data.csv", "--metric", "mae", "--backtest", moved, "--adaptive").code == 0
    one, two = (np.genfromtxt(name, delimiter=",", names=True, usecols=range(2, 7)) for name in (fixed, moved))
    assert one.dtype.names == ("step", "power", "power_forecast", "power_q005", "power_q095")
    np.testing.assert_array_equal(one["power_forecast"], two["power_forecast"])
    assert not np.array_equal(one["power_q095"], two["power_q095"])
    cli("evaluate", trained(csv(hours(400)), "--test", "0.5"), "data.csv", "--adaptive").refused(
        2, "this model has none", "--intervals conformal"
    )
    cli("evaluate", model, "data.csv", "--simulate", "--adaptive").refused(2, "a simulation is one run")


def test_a_forecast_file_is_scored_with_its_quantiles(cli: Cli, csv: Csv, trained: Train) -> None:
    model = trained(csv(hours(400)), *CONFORMAL, "--test", "0.5")
    assert cli("evaluate", model, "data.csv", "--metric", "mae", "--backtest", "made.csv").code == 0
    said = ["--actual", "data.csv", "--json"]
    whole = json.loads(cli("evaluate", "--forecast", "made.csv", *said).out)
    own = json.loads(cli("evaluate", model, "data.csv", "--json").out)
    score = {
        name: next(r for r in found["scores"] if r["model"] == "forecast" and r["step"] is None)
        for name, found in (("file", whole), ("model", own))
    }
    assert "pinball" in score["file"]
    assert score["file"]["pinball"] == pytest.approx(score["model"]["pinball"], rel=1e-5)


def test_quantiles_come_through_a_pipe(cli: Cli, csv: Csv, trained: Train) -> None:
    model = trained(csv(), *CONFORMAL)
    plain = cli("predict", model, "data.csv")
    assert cli("predict", model, stdin=csv_text(hours())) == plain
    records = json.loads(cli("predict", model, "-", "--json", stdin=csv_text(hours())).out)
    assert [r["power_q0.95"] for r in records] == [float(row["power_q0.95"]) for row in plain.rows()]
