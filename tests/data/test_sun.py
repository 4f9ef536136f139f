from __future__ import annotations

import numpy as np
import pytest

from tsforecast.data.sun import clear_sky_ghi, sine_of_elevation


def us(*stamps: str) -> np.ndarray:
    return np.array(stamps, dtype="M8[us]").astype(np.int64)


def elevation(time_us: np.ndarray, latitude: float, longitude: float) -> np.ndarray:
    return np.rad2deg(np.arcsin(sine_of_elevation(time_us, latitude, longitude)))


def minutes_of(day: str) -> np.ndarray:
    return us(day)[0] + np.arange(1440) * 60_000_000


@pytest.mark.parametrize(
    ("day", "declination"),
    [("2023-06-21", 23.44), ("2023-12-22", -23.44), ("2023-03-20", 0.0), ("2023-09-23", 0.0), ("2024-06-20", 23.44)],
)
def test_highest_sun_is_90_minus_latitude_plus_declination(day: str, declination: float) -> None:
    assert elevation(minutes_of(day), 50.0, 0.0).max() == pytest.approx(90 - 50 + declination, abs=0.3)


def test_sun_rises_at_six_on_the_equator_at_equinox() -> None:
    day = minutes_of("2023-03-20")
    light = np.flatnonzero(sine_of_elevation(day, 0.0, 0.0) > 0)
    # The equation of time is -7.5 min on 20 March, so the sun is late on the clock.
    assert light[0] == pytest.approx(367.5, abs=2)
    assert light[-1] == pytest.approx(1087.5, abs=2)


def test_noon_moves_with_the_equation_of_time() -> None:
    # Known extremes: -14 min 15 s on 11 February, +16 min 25 s on 3 November.
    for day, minutes in (("2023-02-11", 14.25), ("2023-11-03", -16.4)):
        assert np.argmax(sine_of_elevation(minutes_of(day), 30.0, 0.0)) - 720 == pytest.approx(minutes, abs=1.5)


def test_noon_comes_four_minutes_earlier_per_degree_east() -> None:
    day = minutes_of("2023-05-01")
    west, east = (int(np.argmax(sine_of_elevation(day, 40.0, lon))) for lon in (0.0, 15.0))
    assert west - east == 60


def test_polar_night_and_midnight_sun() -> None:
    assert sine_of_elevation(minutes_of("2023-12-21"), 80.0, 20.0).max() < 0
    assert sine_of_elevation(minutes_of("2023-06-21"), 80.0, 20.0).min() > 0


def test_times_before_1970_work() -> None:
    assert elevation(minutes_of("1950-06-21"), 50.0, 0.0).max() == pytest.approx(63.44, abs=0.2)


def test_clear_sky_is_zero_at_night_and_about_1000_in_high_sun() -> None:
    light = clear_sky_ghi(minutes_of("2023-06-21"), 23.4, 0.0)
    assert light.min() == 0.0
    assert light.max() == pytest.approx(1098 * np.exp(-0.057), rel=1e-3)
    assert np.all(light[sine_of_elevation(minutes_of("2023-06-21"), 23.4, 0.0) <= 0] == 0)


def test_shape_is_kept() -> None:
    assert clear_sky_ghi(minutes_of("2023-06-21").reshape(24, 60), 50.0, 0.0).shape == (24, 60)
