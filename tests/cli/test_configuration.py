"""Where settings come from: flag > environment > --config > --recipe > tsforecast.toml > domain preset > default."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shell import Cli, Csv

COMMAND = ("train", "data.csv", "-t", "power", "-m", "linear", "--print-config")


def settings(cli: Cli, *words: Any) -> dict[str, Any]:
    done = cli(*COMMAND, *words)
    assert (done.code, done.err) == (0, "")
    return tomllib.loads(done.out)


def test_every_layer_overrides_the_ones_below(cli: Cli, csv: Csv, monkeypatch: pytest.MonkeyPatch) -> None:
    csv()
    assert settings(cli)["horizon"] > 6
    Path("tsforecast.toml").write_text("horizon = 3\nfloor = -1\n")
    assert settings(cli)["horizon"] == 3
    Path("own.toml").write_text("horizon = 4\n")
    assert settings(cli, "--config", "own.toml")["horizon"] == 4
    monkeypatch.setenv("TSFORECAST_HORIZON", "5")
    assert settings(cli, "--config", "own.toml")["horizon"] == 5
    assert settings(cli, "--config", "own.toml", "-H", 6)["horizon"] == 6


def test_evaluate_takes_its_folds_from_the_same_places(
    cli: Cli, csv: Csv, trained: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = trained(csv(), "--test", 40)

    def scored(*words: Any) -> tuple[list[str], int]:
        done = cli("evaluate", model, "data.csv", *words)
        assert done.code == 0, done.err
        first = done.rows()[0]
        return list(first)[3:], int(first["n"])

    Path("tsforecast.toml").write_text("stride = 6\nmetric = ['mae', 'rmse']\n")
    assert scored() == (["mae", "rmse"], 6 * 6)
    monkeypatch.setenv("TSFORECAST_N_WINDOWS", "3")
    monkeypatch.setenv("TSFORECAST_METRIC", "bias")
    assert scored() == (["bias"], 3 * 6)
    assert scored("--n-windows", 2, "--metric", "mae") == (["mae"], 2 * 6)
    monkeypatch.setenv("TSFORECAST_MIN_SKILL", "0.99")
    cli("evaluate", model, "data.csv", "-o", "scores.csv").refused(1, "less than 0.99")
    assert scored("--min-skill", -5) == (["bias"], 3 * 6)
    cli("evaluate", model, "data.csv", "--stride", 0).refused(2, "stride: 0 is too small")
    # where the folds lie is said for other runs: a simulation and a forecast file have none to place
    assert cli("evaluate", model, "data.csv", "--simulate", "--in-sample", "--min-skill", -99).code == 0
    made = cli("predict", model, "data.csv", "--at", "2024-01-08 00:00").out
    assert cli("evaluate", "--forecast", "-", "--actual", "data.csv", "--min-skill", -99, stdin=made).code == 0


def test_a_time_budget_that_is_none_is_refused_by_print_config_too(cli: Cli, csv: Csv) -> None:
    csv()
    cli(*COMMAND, "--time-budget", "abc").refused(2, "--time-budget: 'abc' is not a duration")


def test_a_domain_only_sets_what_nobody_else_set(cli: Cli, csv: Csv) -> None:
    csv()
    assert settings(cli, "--domain", "wind")["floor"] == 0
    assert settings(cli, "--domain", "wind", "--floor", -2)["floor"] == -2
    Path("tsforecast.toml").write_text("floor = -1\ndomain = 'wind'\n")
    assert settings(cli)["floor"] == -1
    assert settings(cli, "--domain", "stock")["transform"] == "log"


def test_options_of_model_and_trainer_are_merged_key_by_key(cli: Cli, csv: Csv) -> None:
    csv()
    Path("own.toml").write_text("[model]\nname = 'gru'\nhidden = 7\nlayers = 2\n[trainer]\nsteps = 9\n")
    made = settings(cli, "--config", "own.toml", "-m", "lstm", "--set", "model.hidden=5")
    assert (made["model"]["name"], made["model"]["hidden"], made["model"]["layers"]) == ("lstm", 5, 2)
    assert made["trainer"]["steps"] == 9


def test_every_value_says_where_it_comes_from(cli: Cli, csv: Csv, monkeypatch: pytest.MonkeyPatch) -> None:
    csv()
    Path("own.toml").write_text("lags = 12\n")
    monkeypatch.setenv("TSFORECAST_SEED", "3")
    text = cli(*COMMAND, "--config", "own.toml", "--domain", "solar").out
    for line in ('lags = "12"  # own.toml', "seed = 3  # environment", "floor = 0.0  # --domain solar"):
        assert line in text.splitlines()
    assert 'target = ["power"]  # command line' in text.splitlines()


def test_what_is_left_open_comes_from_the_data(cli: Cli, csv: Csv) -> None:
    csv()
    text = cli(*COMMAND, "--horizon", 3, "--cycle", "auto").out
    assert "horizon = 3  # command line" in text.splitlines()
    marked = [line.partition(" = ")[0] for line in text.splitlines() if line.endswith("# from the data")]
    assert marked == ["lags", "season_length", "scale_by", "normalize", "cycle"]


def test_a_recipe_lies_between_config_and_project_file(cli: Cli, csv: Csv) -> None:
    csv()
    Path("tsforecast.toml").write_text("patience = 3\nseed = 4\n")
    Path("own.toml").write_text("lags = 12\nhorizon = 2\n")
    made = settings(cli, "--recipe", "many-series", "--config", "own.toml", "-m", "gru")
    assert (made["lags"], made["seed"], made["scale_by"], made["normalize"]) == ("12", 4, "series", "mean")
    cli(*COMMAND, "--recipe", "many-serie").refused(2, "unknown recipe 'many-serie'", "did you mean 'many-series'")


def test_recipes_are_listed_and_printed_as_files_for_config(cli: Cli, csv: Csv) -> None:
    listed = cli("recipes").out
    assert "cycle-linear" in listed
    assert "CycleNet" in listed
    told = {words[0]: words[1] for words in map(str.split, listed.splitlines())}
    entries = json.loads(cli("recipes", "--json").out)
    assert told["m4-hourly"] == "yes"
    for entry in entries:
        assert told[entry["name"]] == ("yes" if entry["measured"] else "no")
    Path("own.toml").write_text(cli("recipes", "cycle-linear").out)
    printed = cli("train", csv(), "-t", "power", "--config", "own.toml", "--lags", 24, "-H", 2, "--print-config").out
    assert tomllib.loads(printed)["model"]["form"] == "linear"
    assert {"name", "summary", "source", "measured", "options", "model", "trainer"} == set(entries[0])


def test_a_printed_configuration_reads_back_the_same(cli: Cli, csv: Csv) -> None:
    csv()
    chosen = ["-m", "gru", "--set", "model.hidden=4", "--domain", "solar", "--null", "-99", "--lags", "1:24,48"]
    printed = cli("train", "data.csv", "-t", "power", "--future", "wind", *chosen, "--print-config")
    Path("own.toml").write_text(printed.out)
    again = cli("train", "data.csv", "--config", "own.toml", "--print-config")
    assert tomllib.loads(again.out) == tomllib.loads(printed.out)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("horizn = 3", ["bad.toml: unknown option 'horizn'", "did you mean 'horizon'"]),
        ("horizon = ", ["bad.toml is not valid TOML", "line 1"]),
        ("horizon = 'many'", ["horizon: 'many' is not a whole number"]),
        ("[model]\nhiden = 3", ["unknown option 'model.hiden'"]),
        ("model = 'lstn'", ["unknown model 'lstn'"]),
        ("scaler = 'std'", ["scaler: 'std' is not known", "standard"]),
    ],
)
def test_a_wrong_file_of_options_is_refused(cli: Cli, csv: Csv, text: str, parts: list[str]) -> None:
    Path("bad.toml").write_text(text + "\n")
    cli("train", csv(), "-t", "power", "--config", "bad.toml", "-o", "m").refused(2, *parts)


def test_a_missing_file_and_an_unknown_variable_are_refused(
    cli: Cli, csv: Csv, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("train", csv(), "-t", "power", "--config", "none.toml", "-o", "m").refused(2, "cannot read none.toml")
    monkeypatch.setenv("TSFORECAST_HORIZN", "5")
    cli("train", "data.csv", "-t", "power", "-o", "m").refused(
        2, "unknown option 'TSFORECAST_HORIZN'", "'TSFORECAST_HORIZON'"
    )
    monkeypatch.delenv("TSFORECAST_HORIZN")
    for name in ("TSFORECAST_QUIET", "TSFORECAST_OUTPUT", "TSFORECAST_FORCE", "TSFORECAST_FORMAT"):
        monkeypatch.setenv(name, "1")
        done = cli("train", "data.csv", "-t", "power", "-o", "m")
        done.refused(2, f"unknown option '{name}'", "choose from TSFORECAST_")
        assert "did you mean" not in done.err
        monkeypatch.delenv(name)
