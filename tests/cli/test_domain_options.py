"""``--domain`` end to end on the sample data."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shell import Cli, csv_rows

Train = Callable[..., Path]
TARGETS = {"solar": "solar_power", "wind": "wind_power", "weather": "temperature", "stock": "close"}


@pytest.fixture
def field(cli: Cli, trained: Train) -> Callable[..., tuple[Path, Path]]:
    """Make sample data and a model of a domain."""

    def make(domain: str, *words: Any) -> tuple[Path, Path]:
        data = Path(f"{domain}.csv")
        assert cli("demo", domain, "--rows", 1500, "-o", data).code == 0
        return trained(data, "-t", TARGETS[domain], "--domain", domain, "--test", 200, *words), data

    return make


def forecasts(cli: Cli, model: Path, data: Path, *words: Any) -> list[float]:
    rows = cli("predict", model, data, *words).rows()
    return [float(row[f"{TARGETS[data.stem]}_forecast"]) for row in rows]


def test_solar_is_never_negative_and_zero_at_night(cli: Cli, field: Callable[..., tuple[Path, Path]]) -> None:
    model, data = field("solar", "-H", 24)
    rows = cli("predict", model, data, "--at", "2023-02-10 23:00").rows()
    power = {row["timestamp"][-5:]: float(row["solar_power_forecast"]) for row in rows}
    assert all(value >= 0 for value in power.values())
    assert {power[f"{hour:02d}:00"] for hour in (0, 1, 2, 3, 4, 21, 22, 23)} == {0.0}
    assert power["12:00"] > 50


def test_solar_is_judged_by_day_and_against_clear_sky_persistence(
    cli: Cli, field: Callable[..., tuple[Path, Path]]
) -> None:
    model, data = field("solar")
    scores = json.loads(cli("evaluate", model, data, "--json").out)["scores"]
    kinds = {(score["rows"], score["model"]): score["n"] for score in scores if score["step"] is None}
    assert 0 < kinds["daylight", "forecast"] < kinds["all", "forecast"]
    assert ("daylight", "clear_sky_persistence") in kinds


def test_wind_keeps_between_zero_and_the_rated_power(cli: Cli, field: Callable[..., tuple[Path, Path]]) -> None:
    model, data = field("wind", "--rated", 300, "--shrink", "none")
    command = ["evaluate", model, data, "--metric", "rmse,nrmse", "--json", "--backtest", "bt.csv"]
    plain = json.loads(cli(*command).out)["scores"][0]
    made = [float(row["wind_power_forecast"]) for row in csv_rows(Path("bt.csv").read_text())]
    assert (min(made), max(made)) == (0, 300)
    assert plain["nrmse"] == pytest.approx(plain["rmse"] / 300)


def test_limits_can_be_set_after_training(cli: Cli, field: Callable[..., tuple[Path, Path]]) -> None:
    model, data = field("wind")
    command = ["evaluate", model, data, "--metric", "nrmse", "--json"]
    at_full, at_half = (json.loads(cli(*command, "--rated", kw).out)["scores"][1]["nrmse"] for kw in (2000, 1000))
    assert at_half == pytest.approx(2 * at_full)


def test_predict_keeps_to_limits_that_were_set_after_training(
    cli: Cli, field: Callable[..., tuple[Path, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, data = field("wind", "--shrink", "none")
    free = forecasts(cli, model, data)
    low, high = sorted(free)[len(free) // 3], sorted(free)[-len(free) // 3]
    assert forecasts(cli, model, data, "--floor", low, "--cap", high) == pytest.approx(np.clip(free, low, high))
    assert forecasts(cli, model, data, "--rated", high) == pytest.approx(np.clip(free, None, high))
    monkeypatch.setenv("TSFORECAST_CAP", str(high))
    assert forecasts(cli, model, data) == pytest.approx(np.clip(free, None, high))
    cli("predict", model, data, "--lat", 50).refused(2, "--lat and --lon are only a place together")


def test_what_is_scored_is_what_predict_gives(cli: Cli, field: Callable[..., tuple[Path, Path]]) -> None:
    model, data = field("solar", "--night", "none", "--floor", -1, "-H", 24)
    night = ("--night", "auto", "--floor", 0)
    scored = ("--n-windows", 1, "--stride", 24, "--backtest", "bt.csv")
    assert cli("evaluate", model, data, *night, *scored).code == 0
    rows = csv_rows(Path("bt.csv").read_text())
    made = forecasts(cli, model, data, "--at", rows[0]["cutoff"], *night)
    assert made == pytest.approx([float(row["solar_power_forecast"]) for row in rows], rel=1e-5)
    assert made.count(0) > 5
    assert made != forecasts(cli, model, data, "--at", rows[0]["cutoff"])


def test_weather_is_judged_against_climatology(cli: Cli, field: Callable[..., tuple[Path, Path]]) -> None:
    model, data = field("weather")
    done = cli("evaluate", model, data, "--metric", "mae")
    assert [row["model"] for row in done.rows()] == ["forecast", "naive", "seasonal_naive", "drift", "climatology"]
    assert "temperature: " in done.err


def test_stock_is_forecast_in_logs_and_judged_against_the_random_walk(
    cli: Cli, field: Callable[..., tuple[Path, Path]]
) -> None:
    model, data = field("stock")
    options = json.loads(cli("info", model, "--json").out)["document"]["options"]
    assert (options["transform"], options["normalize"]) == ("log", "last")
    assert min(forecasts(cli, model, data)) > 0
    assert "the random walk" in cli("evaluate", model, data, "--metric", "mae").err


def test_prices_that_have_no_logarithm_are_refused(cli: Cli) -> None:
    Path("stock.csv").write_text("date,close\n" + "".join(f"2024-01-{d:02d},{d - 5}\n" for d in range(1, 31)))
    done = cli("train", "stock.csv", "-t", "close", "--domain", "stock", "-m", "linear", "-H", 2, "-L", 3, "-o", "m")
    done.refused(3, "close")


def test_the_file_that_trained_one_model_does_not_change_another(
    cli: Cli, field: Callable[..., tuple[Path, Path]]
) -> None:
    model, data = field("weather")
    free = forecasts(cli, model, data)
    Path("tsforecast.toml").write_text('domain = "solar"\ncap = -90\n')
    assert forecasts(cli, model, data) == free
    assert forecasts(cli, model, data, "--cap", max(free) - 1) == pytest.approx(np.minimum(free, max(free) - 1))
    assert "climatology" in cli("evaluate", model, data, "--metric", "mae").out
