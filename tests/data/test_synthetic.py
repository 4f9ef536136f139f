from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tsforecast.data.simulate import Noise, lagged
from tsforecast.data.simulate_plant import LATITUDE, LONGITUDE, hours, simulate_plant
from tsforecast.data.sun import sine_of_elevation
from tsforecast.data.synthetic import Columns, solar, solar_wind, stock, to_csv, weather, wind
from tsforecast.errors import UsageError
from tsforecast.registry import SYNTHETIC

SAMPLES = Path(__file__).resolve().parents[2] / "sample_data"
EVERY = [SYNTHETIC.get(name) for name in SYNTHETIC]
Generator = Callable[..., Columns]


def csv_text(columns: Columns) -> str:
    stream = io.StringIO()
    to_csv(columns, stream)
    return stream.getvalue()


def correlation(values: np.ndarray, lag: int) -> float:
    return float(np.corrcoef(values[lag:], values[:-lag])[0, 1])


@pytest.fixture(scope="module")
def plant() -> dict[str, np.ndarray]:
    return simulate_plant(17_520, 3)


@pytest.fixture(scope="module")
def prices() -> Columns:
    return stock(rows=5000, seed=1)


@pytest.mark.parametrize(("file", "make"), [("weather", weather), ("solar_wind", solar_wind), ("stocks", stock)])
def test_sample_files_are_what_seed_0_gives(file: str, make: Generator) -> None:
    written = (SAMPLES / f"{file}.csv").read_bytes()
    assert csv_text(make()).encode() == written
    assert len(written) < 1_500_000


@pytest.mark.parametrize("make", EVERY)
@pytest.mark.parametrize("rows", [1, 2, 100, 3000])
def test_exactly_the_rows_asked_for(make: Generator, rows: int) -> None:
    assert {len(values) for values in make(rows=rows).values()} == {rows}


@pytest.mark.parametrize("make", EVERY)
def test_more_rows_begin_with_the_fewer(make: Generator) -> None:
    short, long = csv_text(make(rows=700, seed=5)), csv_text(make(rows=4000, seed=5))
    assert long.startswith(short)


@pytest.mark.parametrize("make", EVERY)
def test_another_seed_is_other_data(make: Generator) -> None:
    assert csv_text(make(rows=50, seed=1)) != csv_text(make(rows=50, seed=2))


@pytest.mark.parametrize("make", [weather, stock])
def test_bad_arguments_are_usage_errors(make: Generator) -> None:
    with pytest.raises(UsageError, match="0 rows"):
        make(rows=0)
    with pytest.raises(UsageError, match="seed -1"):
        make(seed=-1)


def test_global_random_state_is_untouched() -> None:
    before = str(np.random.get_state())  # noqa: NPY002
    weather(rows=10)
    assert str(np.random.get_state()) == before  # noqa: NPY002


@pytest.mark.parametrize("make", [weather, solar, wind, solar_wind])
def test_hourly_data_has_gaps_and_blanks_but_few(make: Generator) -> None:
    columns = make()
    steps = np.diff(columns["timestamp"].astype("M8[h]").astype(np.int64))
    assert steps.min() == 1
    assert 5 <= np.sum(steps > 1) <= 20
    for values in list(columns.values())[1:]:
        assert 0 < np.mean(np.isnan(values)) < 0.01


def test_values_are_possible(plant: dict[str, np.ndarray]) -> None:
    limits = {
        "ghi": (0, 1300), "temperature": (-30, 42), "humidity": (15, 100), "pressure": (960, 1060),
        "wind_speed": (0, 30), "wind_direction": (0, 359), "precipitation": (0, 30), "solar_power": (0, 900),
        "wind_power": (0, 2000),
    }  # fmt: skip
    for name, (low, high) in limits.items():
        assert low <= plant[name].min()
        assert plant[name].max() <= high


def test_sun_shines_only_by_day_and_warms_with_a_lag(plant: dict[str, np.ndarray]) -> None:
    edges = hours(len(plant["ghi"]))[:, None] + np.array([0, 30, 60]) * 60_000_000
    night = (sine_of_elevation(edges, LATITUDE, LONGITUDE) < 0).all(axis=1)
    assert plant["ghi"][night].max() < 1
    day = plant["ghi"].reshape(-1, 24).mean(axis=0), plant["temperature"].reshape(-1, 24).mean(axis=0)
    assert 1 <= np.argmax(day[1]) - np.argmax(day[0]) <= 4


def test_clouds_turn_warm_days_cool_in_summer(plant: dict[str, np.ndarray]) -> None:
    summer = slice(24 * 150, 24 * 240)
    ghi, temperature = (plant[name][summer].reshape(-1, 24).mean(axis=1) for name in ("ghi", "temperature"))
    assert np.corrcoef(ghi, temperature)[0, 1] > 0.2


def test_wind_is_weibull_like_and_persistent(plant: dict[str, np.ndarray]) -> None:
    wind_speed = plant["wind_speed"]
    assert 3.5 < wind_speed.mean() < 6
    assert 0.4 < wind_speed.std() / wind_speed.mean() < 0.6  # 0.52 for shape 2
    assert correlation(wind_speed, 1) > 0.8
    assert correlation(wind_speed, 72) < 0.4


def test_prices_are_ordered_and_positive(prices: Columns) -> None:
    assert np.all(prices["low"] > 0)
    assert np.all(prices["low"] <= np.minimum(prices["open"], prices["close"]))
    assert np.all(prices["high"] >= np.maximum(prices["open"], prices["close"]))


def test_returns_have_heavy_tails_and_clusters_but_no_memory(prices: Columns) -> None:
    moves = np.diff(prices["close"]) / prices["close"][:-1]
    kurtosis = np.mean((moves - moves.mean()) ** 4) / moves.var() ** 2
    assert kurtosis > 4
    assert abs(correlation(moves, 1)) < 0.06
    assert correlation(np.abs(moves), 1) > 0.1


def test_prices_do_not_drift() -> None:
    ends = np.array([stock(rows=250, seed=seed)["close"][-1] / 100 for seed in range(100)])
    assert abs(ends.mean() - 1) < 3 * ends.std() / np.sqrt(len(ends))


def test_noise_has_the_moments_it_promises() -> None:
    noise = Noise(7)
    for values in (noise.normal("a", 50_000), noise.student("b", 50_000, 6)):
        assert values.mean() == pytest.approx(0, abs=0.02)
        assert values.std() == pytest.approx(1, abs=0.03)
    for values in (noise.rough("c", 50_000, 5), noise.smooth("d", 50_000, 5)):
        assert values.std() == pytest.approx(1, abs=0.1)
    assert correlation(noise.rough("e", 50_000, 10), 10) == pytest.approx(np.exp(-1), abs=0.05)


def test_lagged_is_constant_for_a_constant() -> None:
    assert lagged(np.full(5, 3.0), 4).tolist() == [3.0] * 5


def test_csv_leaves_missing_blank_and_numbers_short() -> None:
    columns = {"date": np.array(["a", "b", "c"]), "x": np.array([1.0, np.nan, 2.5])}
    assert csv_text(columns) == "date,x\na,1\nb,\nc,2.5\n"
