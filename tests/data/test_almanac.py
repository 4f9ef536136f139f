from __future__ import annotations

import numpy as np
import pytest

from tsforecast.data.almanac import DAYS, Almanac, cells, fill_from_nearest_day, usual_step
from tsforecast.data.sun import DAY_US

HOUR_US = DAY_US // 24


def us(stamp: str) -> int:
    return int(np.datetime64(stamp, "us").astype(np.int64))


def hourly(days: int, start: str = "2021-01-01") -> np.ndarray:
    return us(start) + np.arange(24 * days) * HOUR_US


@pytest.mark.parametrize(
    ("stamp", "day", "slot"),
    [
        ("2021-01-01 00:00", 0, 0),
        ("2020-12-31 23:59", 365, 23),
        ("2021-12-31 06:30", 364, 6),
        ("1969-12-31 12:00", 364, 12),
    ],
)
def test_cells_are_day_of_year_and_time_of_day(stamp: str, day: int, slot: int) -> None:
    assert cells(np.array([us(stamp)]), 24)[0] == day * 24 + slot


def test_usual_step_ignores_gaps_and_series_that_overlap() -> None:
    time = np.concatenate([hourly(3), hourly(3) + 10 * DAY_US, hourly(3)])
    assert usual_step(time) == HOUR_US
    assert usual_step(time[:1]) == DAY_US


def test_mean_equals_a_plain_loop_around_new_year() -> None:
    rng = np.random.default_rng(0)
    time = hourly(500)
    values = rng.normal(size=len(time))
    values[rng.random(len(time)) < 0.3] = np.nan
    table = Almanac.of(time, values).mean()
    day, slot = np.divmod(cells(time, 24), 24)
    for d, s in ((0, 0), (3, 7), (100, 12), (364, 23), (365, 1)):
        distance = np.abs(day - d)
        near = (np.minimum(distance, DAYS - distance) <= 15) & (slot == s)
        assert table[d, s] == pytest.approx(np.nanmean(values[near]))


def test_quantile_equals_numpy_lower_quantile() -> None:
    rng = np.random.default_rng(1)
    time = hourly(800)
    values = rng.normal(size=len(time))
    values[::7] = np.nan
    table = Almanac.of(time, values).quantile(0.9)
    day, slot = np.divmod(cells(time, 24), 24)
    for d, s in ((0, 0), (50, 7), (365, 23)):
        distance = np.abs(day - d)
        pool = values[(np.minimum(distance, DAYS - distance) <= 15) & (slot == s)]
        assert table[d, s] == pytest.approx(np.quantile(pool[np.isfinite(pool)], 0.9, method="lower"))


@pytest.mark.parametrize("method", ["mean", "quantile"])
def test_a_short_history_is_stretched_over_the_year(method: str) -> None:
    time = hourly(40)
    almanac = Almanac.of(time, np.where(time // HOUR_US % 24 == 5, 1.0, 0.0))
    table = almanac.mean() if method == "mean" else almanac.quantile(0.5)
    assert np.array_equal(table[:, 5], np.ones(DAYS))
    assert table.sum() == DAYS


@pytest.mark.parametrize("method", ["mean", "quantile"])
def test_an_empty_history_is_finite(method: str) -> None:
    almanac = Almanac.of(hourly(2), np.full(48, np.nan))
    table = almanac.mean() if method == "mean" else almanac.quantile(0.5)
    assert np.array_equal(table, np.zeros((DAYS, 24)))


def test_times_of_day_never_seen_take_the_mean() -> None:
    table = np.full((DAYS, 2), np.nan)
    table[:, 0] = 4.0
    assert np.array_equal(fill_from_nearest_day(table), np.full((DAYS, 2), 4.0))


@pytest.mark.parametrize(
    ("step", "slots"), [(DAY_US, 1), (30 * DAY_US, 1), (HOUR_US, 24), (HOUR_US // 4, 96), (HOUR_US // 3600, 1440)]
)
def test_slots_per_day(step: int, slots: int) -> None:
    assert Almanac.of(np.array([0]), np.array([1.0]), step).slots == slots
