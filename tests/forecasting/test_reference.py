from __future__ import annotations

import time as clock
from pathlib import Path

import numpy as np
import pytest

from tsforecast.data.sun import DAY_US, MINUTE_US, clear_sky_ghi, sine_of_elevation
from tsforecast.forecasting.reference import NightTable, clear_sky_persistence, climatology

STATION = Path(__file__).resolve().parents[1] / ".." / "shared" / "data" / "dtu_lyngby" / "dtu_hourly_2015_2018.csv"
PLACE = (55.791, 12.525)
HOUR_US = 60 * MINUTE_US
START = 1_577_836_800_000_000  # 2020-01-01
TRAIN = 2 * 8766


def clear_year(place: tuple[float, float] = PLACE, days: int = 731) -> tuple[np.ndarray, np.ndarray]:
    time = START + np.arange(24 * days) * HOUR_US
    return time, clear_sky_ghi(time[:, None] + np.arange(5, 60, 10) * MINUTE_US, *place).mean(axis=1)


def below_horizon(time: np.ndarray) -> np.ndarray:
    instants = time[:, None] + np.arange(0, 61, 10) * MINUTE_US
    return (sine_of_elevation(instants, *PLACE) <= 0).all(axis=1)


@pytest.fixture(scope="module")
def station() -> dict[str, np.ndarray]:
    if not STATION.exists():
        pytest.skip("shared/data/dtu_lyngby is not here")
    rows = [line.split(",") for line in STATION.read_text().splitlines()[1:]]
    number = {"ghi": 1, "temperature": 6}
    columns = {name: np.array([float(row[k] or "nan") for row in rows]) for name, k in number.items()}
    return {"time": np.array([row[0] for row in rows], dtype="M8[us]").astype(np.int64), **columns}


def folds(time: np.ndarray, lags: int, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the past (K, L) and of the future (K, H) of cutoffs after the training rows."""
    cutoffs = np.arange(TRAIN, len(time) - horizon, 7)
    return cutoffs[:, None] + np.arange(-lags, 0), cutoffs[:, None] + np.arange(horizon)


def test_night_from_data_agrees_with_the_sun(station: dict[str, np.ndarray]) -> None:
    for rows in (8766, TRAIN):
        dark = NightTable.build(station["time"][:rows], station["ghi"][:rows]).at(station["time"])
        assert np.mean(dark == below_horizon(station["time"])) > 0.97
        lost = np.nansum(np.where(dark, station["ghi"].clip(0), 0)[TRAIN:]) / np.nansum(station["ghi"][TRAIN:])
        assert lost < 0.001


def test_night_from_the_place_is_the_sun_below_the_horizon(station: dict[str, np.ndarray]) -> None:
    dark = NightTable.build(station["time"][:TRAIN], station["ghi"][:TRAIN], *PLACE).at(station["time"])
    night = below_horizon(station["time"])
    assert np.mean(dark == night) > 0.995
    assert not np.any(dark & ~night)


def test_night_knows_unseen_seasons_only_from_the_place() -> None:
    time, ghi = clear_year()
    seen = slice(0, 24 * 60)
    summer = time[24 * 180 : 24 * 181]
    assert not NightTable.build(time[seen], ghi[seen]).at(summer).any()
    assert 4 <= NightTable.build(time[seen], ghi[seen], *PLACE).at(summer).sum() <= 8


@pytest.mark.parametrize("offset", [-480, 0, 330])
def test_night_follows_the_wall_clock(offset: int) -> None:
    time, ghi = clear_year()
    dark = NightTable.build(time + offset * MINUTE_US, ghi, *PLACE)
    assert np.mean(dark.at(time + offset * MINUTE_US) == below_horizon(time)) > 0.97


def test_a_wrong_zone_blots_out_no_daylight() -> None:
    time, ghi = clear_year()
    dark = NightTable.build(time + 8 * HOUR_US, ghi, *PLACE).at(time + 8 * HOUR_US)
    assert ghi[dark].max() < 0.1 * ghi.max()


@pytest.mark.parametrize("values", [np.full(48, np.nan), np.zeros(48), np.full(48, -1.0)])
def test_no_light_at_all_is_not_called_night(values: np.ndarray) -> None:
    time = START + np.arange(48) * HOUR_US
    assert not NightTable.build(time, values).at(time).any()


def test_a_sensor_offset_and_a_stray_reading_do_not_hide_the_night() -> None:
    time, ghi = clear_year()
    spoiled = np.where(ghi > 0, ghi, -2.0)
    spoiled[24 * 100] = 400.0
    assert NightTable.build(time, spoiled).at(time[24 * 100 : 24 * 100 + 1]).all()


def test_night_is_fast() -> None:
    table = NightTable.build(START + np.arange(100_000) * 5 * MINUTE_US, np.random.default_rng(0).random(100_000))
    started = clock.perf_counter()
    assert table.at(START + np.arange(1_000_000).reshape(1000, 1000) * MINUTE_US).shape == (1000, 1000)
    assert clock.perf_counter() - started < 5  # guards against a loop over the times, not a benchmark


@pytest.mark.parametrize("place", [{}, {"latitude": PLACE[0], "longitude": PLACE[1]}])
def test_clear_sky_persistence_beats_naive_and_seasonal_naive(
    station: dict[str, np.ndarray], place: dict[str, float]
) -> None:
    time, ghi = station["time"], station["ghi"]
    past, future = folds(time, 48, 24)
    forecast = clear_sky_persistence(time[:TRAIN], ghi[:TRAIN], ghi[past], time[past], time[future], **place)
    naive, seasonal = np.nan_to_num(ghi[past[:, -1:]]), np.nan_to_num(ghi[past[:, -24:]])
    error, naive_error, seasonal_error = (np.nanmean(np.abs(f - ghi[future])) for f in (forecast, naive, seasonal))
    assert error < 0.5 * naive_error
    assert error < 0.9 * seasonal_error


@pytest.mark.parametrize("place", [{}, {"latitude": PLACE[0], "longitude": PLACE[1]}])
def test_half_the_clear_sky_stays_half(place: dict[str, float]) -> None:
    time, ghi = clear_year()
    future = time[24 * 540 : 24 * 541][None]
    past = time[24 * 539 : 24 * 540][None]
    known = 0.5 * ghi[24 * 539 : 24 * 540][None]
    forecast = clear_sky_persistence(time, ghi, known, past, future, **place)
    day = ghi[24 * 540 : 24 * 541]
    assert forecast.sum() == pytest.approx(0.5 * day.sum(), rel=0.15)
    assert np.abs(forecast[0] - 0.5 * day).max() < 0.1 * day.max()


def test_only_the_last_daylight_counts_and_gaps_do_not() -> None:
    time, ghi = clear_year()
    rows = np.arange(24 * 540, 24 * 542)
    known = np.where(rows < 24 * 541, 0.1, 0.8) * ghi[rows]
    known[-8:] = np.nan
    future = time[24 * 542 : 24 * 543][None]
    recent = clear_sky_persistence(time, ghi, known[None], time[rows][None], future)
    constant = clear_sky_persistence(time, ghi, 0.8 * ghi[rows][None], time[rows][None], future)
    assert np.allclose(recent, constant, rtol=0.1, atol=1)


def test_without_daylight_the_usual_sky_is_forecast() -> None:
    time, ghi = clear_year()
    future = time[24 * 540 : 24 * 541][None]
    for known in (np.full((1, 24), np.nan), np.zeros((1, 0))):
        past = time[24 * 539 : 24 * 539 + known.shape[1]][None]
        forecast = clear_sky_persistence(time, 0.4 * ghi, known, past, future)
        assert forecast.sum() == pytest.approx(0.4 * ghi[24 * 540 : 24 * 541].sum(), rel=0.15)


def test_a_dead_history_forecasts_zero() -> None:
    time, ghi = clear_year(days=30)
    for values in (np.zeros_like(ghi), np.full_like(ghi, np.nan)):
        forecast = clear_sky_persistence(time, values, values[None, :24], time[None, :24], time[None, 24:48])
        assert np.array_equal(forecast, np.zeros((1, 24)))


def test_climatology_is_the_mean_of_season_and_hour() -> None:
    time = START + np.arange(24 * 731) * HOUR_US
    hour = time // HOUR_US % 24
    values = 10 * np.cos(2 * np.pi * time / (365.25 * DAY_US)) + hour
    values[::5] = np.nan
    future = (time[-1] + HOUR_US * np.arange(1, 49)).reshape(2, 24)
    expected = 10 * np.cos(2 * np.pi * future / (365.25 * DAY_US)) + future // HOUR_US % 24
    assert np.abs(climatology(time, values, future, HOUR_US) - expected).max() < 0.5


def test_climatology_of_real_temperature_beats_the_overall_mean(station: dict[str, np.ndarray]) -> None:
    time, temperature = station["time"], station["temperature"]
    future = np.arange(TRAIN, len(time))
    forecast = climatology(time[:TRAIN], temperature[:TRAIN], time[future][None])[0]
    error = np.nanmean(np.abs(forecast - temperature[future]))
    assert error < 0.6 * np.nanmean(np.abs(np.nanmean(temperature[:TRAIN]) - temperature[future]))


def test_climatology_of_days_and_months() -> None:
    months = np.arange("2000-01", "2010-01", dtype="M8[M]").astype("M8[us]").astype(np.int64)
    values = np.arange(120) % 12.0
    assert climatology(months[:108], values[:108], months[None, 108:])[0].tolist() == values[108:].tolist()
