"""``tsforecast evaluate --simulate``: a record from its inputs and its first outputs, and the drift curve beside it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from shell import Cli, Csv, csv_rows, csv_text

Train = Callable[..., Path]
NARX = ("-m", "narx", "--future", "u", "--sampling", "4s", "--normalize", "none", "-L", "1:3", "-H", 5, "-t", "y")
PLAIN = ("--shrink", "none")  # a simulation is never drawn towards a baseline, what predict says may be
QUICK = ("--set", "model.input_lags=0:3", "--set", "model.hidden=4", "--set", "trainer.steps=3")


def tanks(rows: int = 200, seed: int = 0) -> dict[str, list[float]]:
    """A first-order system, with three decimals."""
    u = np.repeat(np.random.default_rng(seed).normal(size=rows // 8 + 1), 8)[:rows]
    y = np.zeros(rows)
    for t in range(1, rows):
        y[t] = 0.9 * y[t - 1] + 0.3 * u[t]
    return {"u": np.round(u, 3).tolist(), "y": np.round(y, 3).tolist()}


@pytest.fixture
def model(csv: Csv, trained: Train) -> Path:
    csv(tanks(150, seed=1), "new.csv")
    return trained(csv(tanks()), *NARX, *QUICK, *PLAIN)


def test_a_record_is_simulated_as_predict_forecasts_it(cli: Cli, csv: Csv, model: Path) -> None:
    done = cli("evaluate", model, "new.csv", "--simulate", "--backtest", "sim.csv", "--metric", "rmse,fit")
    assert done.code == 0
    assert [row["model"] for row in done.rows()] == ["forecast", "open_loop", "naive", "seasonal_naive", "drift"]
    assert {row["n"] for row in done.rows()} == {"147"}
    simulated = csv_rows(Path("sim.csv").read_text())
    assert (simulated[0]["cutoff"], simulated[0]["step"]) == ("8", "1")  # the third row, in seconds
    head = csv_text({name: cells[:3] for name, cells in tanks(150, seed=1).items()})
    made = cli("predict", model, "--future-data", "new.csv", "-H", 1000, stdin=head)
    made.refused(3, "future covariate 'u' is needed until 4008 and missing from 600 on", "--future-data")
    made = cli("predict", model, "--future-data", "new.csv", "-H", 147, stdin=head)
    assert [row["y_forecast"] for row in made.rows()] == [row["y_forecast"] for row in simulated]


def test_a_simulation_has_no_quantiles_to_score(cli: Cli, model: Path) -> None:
    done = cli("evaluate", model, "new.csv", "--simulate", "--metric", "rmse,coverage")
    done.refused(2, "--metric coverage: a simulation forecasts no quantiles", "--metric rmse,fit")


def test_what_was_simulated_and_what_is_left_is_said(cli: Cli, model: Path) -> None:
    done = cli("evaluate", model, "new.csv", "--simulate", "--warmup", 1, "--json")
    document = json.loads(done.out)
    notes = "\n".join(document["notes"])
    for part in (
        "training saw none of these rows",
        "one run of 149 rows",
        "inputs are at their mean",
        "one step ahead: resid",
    ):
        assert part in notes and part in done.err
    assert document["verdicts"][0]["sentence"].startswith("Simulation: fit ")
    assert f"note: y: {document['verdicts'][0]['sentence']}" in done.err
    assert [r["n"] for r in document["scores"][:2]] == [149, 147]
    found = document["diagnoses"]["y"]
    assert found["autocorrelation"]["lags"][0] == 1
    assert [part["name"] for part in found["inputs"]] == ["u"]
    assert len(found["inputs"][0]["values"]) == len(found["inputs"][0]["bounds"]) > 2


def test_a_backtest_has_the_diagnosis_as_well(cli: Cli, model: Path) -> None:
    done = cli("evaluate", model, "new.csv", "--json")
    document = json.loads(done.out)
    assert document["diagnoses"]["y"]["n"] == 147
    assert "lags outside" not in done.err
    assert "lags outside" in cli("evaluate", model, "new.csv", "-v").err
    assert "closing the loop: MAE" in done.err
    steps = cli("evaluate", model, "new.csv", "--by", "step", "--metric", "mae").rows()
    assert [row["step"] for row in steps if row["model"] == "open_loop"] == ["1", "2", "3", "4", "5"]


def test_warnings_are_said_even_quietly(cli: Cli, csv: Csv, trained: Train) -> None:
    csv(tanks(150, seed=1), "new.csv")
    model = trained(csv(tanks()), *NARX, *QUICK, "--set", "model.feedback=target")
    done = cli("evaluate", model, "new.csv", "--simulate", "-q")
    assert done.err.startswith("warning: model.feedback=target: every step saw the true outputs")
    assert [row["model"] for row in done.rows()] == ["forecast", "naive", "seasonal_naive", "drift"]


def test_plots_of_a_simulation(cli: Cli, model: Path) -> None:
    done = cli("evaluate", model, "new.csv", "--simulate", "--plot", "plots")
    names = ["correlations", "forecasts", "residuals", "scatter", "training"]
    assert sorted(os.listdir("plots")) == [f"{name}.png" for name in names]
    assert "no horizon plot" in done.err


def test_what_does_not_go_with_a_simulation_is_refused(cli: Cli, model: Path) -> None:
    command = ["evaluate", model, "new.csv"]
    cli(*command, "--simulate", "--by", "step").refused(2, "a simulation has no horizon", "--by all")
    cli(*command, "--simulate", "--stride", 2).refused(2, "one run over the whole record", "--stride")
    cli(*command, "--warmup", 2).refused(2, "--warmup is for a simulation", "--simulate")
    cli(*command, "--simulate", "--warmup", 150).refused(3, "has 150 rows, the warm-up takes 150")
    cli("evaluate", model, "data.csv", "--simulate").refused(3, "has seen every row", "another record", "--in-sample")
    cli("evaluate", "--simulate", "--forecast", "f.csv", "--actual", "a.csv").refused(2, "--simulate cannot go")
    assert cli("evaluate", model, "data.csv", "--simulate", "--in-sample").rows()[0]["n"] == "197"


def test_the_cascaded_tanks_are_simulated(cli: Cli, trained: Train, shared_data: Callable[[str], Path]) -> None:
    lines = (shared_data("sysid_cascaded_tanks") / "dataBenchmark.csv").read_text().splitlines()[1:]
    cells = [line.split(",") for line in lines if line.strip()]
    for name, columns in (("est.csv", (0, 2)), ("val.csv", (1, 3))):
        Path(name).write_text("u,y\n" + "".join(f"{row[columns[0]]},{row[columns[1]]}\n" for row in cells))
    quick = ("--set", "model.input_lags=0:4", "--time-budget", "3s")
    model = trained(Path("est.csv"), *NARX, "-L", "1:4", *quick)
    rows = cli("evaluate", model, "val.csv", "--simulate", "--metric", "rmse").rows()
    scores = {row["model"]: float(row["rmse"]) for row in rows}
    assert rows[0]["n"] == "1020"
    assert scores["open_loop"] < 0.3 * scores["forecast"] < scores["naive"]
