"""Hourly weather at a made-up site in central Europe, and what a solar park and a wind turbine make of it.

One chain of causes: pressure systems bring clouds and wind, clouds dim the sun, the sun warms the air with a lag, and
the power of the plants follows. Every column is therefore predictable from the others as far as it would be outside.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsforecast.data.simulate import Floats, Noise, lagged
from tsforecast.data.sun import DAY_US, MINUTE_US, clear_sky_ghi

LATITUDE = 50.0
LONGITUDE = 10.0
HOUR_US = 60 * MINUTE_US
YEAR_DAYS = 365.2425
START_US = 1_672_531_200_000_000  # 2023-01-01 00:00 UTC

SOLAR_PEAK_KW = 1000.0
SOLAR_INVERTER_KW = 900.0
HUB_HEIGHT_M = 80.0
# Vestas V80-2.0 MW: kW at 3, 4, ... 16 m/s; rated power up to 25 m/s. Source: the Horns Rev 1 data set of PyWake (DTU).
WIND_POWER_KW = (0.0, 66.6, 154.0, 282.0, 460.0, 696.0, 996.0, 1341.0, 1661.0, 1866.0, 1958.0, 1988.0, 1997.0, 1999.0)
WIND_RATED_KW = 2000.0
WIND_CUT_IN = 3.0
WIND_CUT_OUT = 25.0


@dataclass(frozen=True)
class Sky:
    """What drives the rest, each (N,): ``summer`` runs from -1 (January) to 1 (July), ``front`` is low pressure."""

    time: NDArray[np.int64]
    summer: Floats
    front: Floats
    cloud: Floats
    ghi: Floats


def simulate_plant(steps: int, seed: int) -> dict[str, Floats]:
    """Simulate every hourly column without gaps.

    Args:
        steps: N, hours from 2023-01-01 00:00 UTC.
        seed: Not negative.

    Returns:
        (N,) columns in physical units (README of ``sample_data``); row k is the hour that starts at ``hours(N)[k]``.
    """
    noise = Noise(seed)
    sky = simulate_sky(noise, steps)
    temperature = air_temperature(noise, sky)
    wind_speed = wind_at_10m(noise, sky)
    direction = 240 + 60 * noise.smooth("direction", steps, 24) - 30 * sky.front + 8 * noise.rough("veer", steps, 1)
    return {
        "ghi": sky.ghi,
        "temperature": temperature,
        "humidity": relative_humidity(noise, sky, temperature),
        "pressure": 1015.0 - 9.0 * sky.front,
        "wind_speed": wind_speed,
        "wind_direction": np.round(direction) % 360,
        "precipitation": precipitation(noise, sky),
        "solar_power": solar_power(sky.ghi, temperature),
        "wind_power": turbine_power(noise, wind_speed),
    }


def hours(steps: int) -> NDArray[np.int64]:
    """(N,) starts of the simulated hours, UTC microseconds since 1970."""
    return START_US + HOUR_US * np.arange(steps, dtype=np.int64)


def simulate_sky(noise: Noise, steps: int) -> Sky:
    """Pressure systems, cloud cover and the sunlight that is left.

    Source: transmission of clouds 1 - 0.75 c^3.4, F. Kasten & G. Czeplak, Solar Energy 24 (1980) 177.
    """
    time = hours(steps)
    summer = -np.cos(2 * np.pi * (time / DAY_US - 25) / YEAR_DAYS)
    front = noise.smooth("front", steps, 24)
    banks = 0.7 * front + 0.8 * noise.rough("banks", steps, 8) + 0.3 * noise.rough("puffs", steps, 1)
    cloud = 1 / (1 + np.exp(-2.2 * (banks + 0.45 - 0.3 * summer)))
    within_hour = np.arange(5, 60, 10, dtype=np.int64) * MINUTE_US
    clear = clear_sky_ghi(time[:, None] + within_hour, LATITUDE, LONGITUDE).mean(axis=1)
    flicker = 1 + 0.35 * cloud * (1 - cloud) * np.clip(noise.normal("flicker", steps), -3, 3)
    return Sky(time, summer, front, cloud, clear * (1 - 0.75 * cloud**3.4) * flicker)


def air_temperature(noise: Noise, sky: Sky) -> Floats:
    """Degrees Celsius: season, sunshine of the last hours and days, cooling under a clear sky, and the air mass."""
    steps = len(sky.time)
    sunshine = 0.012 * lagged(sky.ghi, 3) + 0.01 * lagged(sky.ghi, 30)
    cooling = lagged(1 - sky.cloud, 5)
    air_mass = noise.smooth("air mass", steps, 60)
    return np.asarray(
        6.5 + 5.5 * sky.summer + sunshine - 2.5 * cooling + 3 * air_mass + 0.3 * noise.rough("breeze", steps, 2)
    )


def relative_humidity(noise: Noise, sky: Sky, temperature: Floats) -> Floats:
    """Percent, from a dew point that hardly follows the day.

    Source: Magnus formula with the constants of O. A. Alduchov & R. E. Eskridge, J. Appl. Meteor. 35 (1996) 601.
    """
    dryness = 1 + 6 * lagged(1 - sky.cloud, 24)
    dew_point = lagged(temperature, 24) - dryness + noise.rough("moisture", len(temperature), 12)
    exponent = 17.625 * dew_point / (243.04 + dew_point) - 17.625 * temperature / (243.04 + temperature)
    return np.asarray(np.clip(100 * np.exp(exponent), 15, 100))


def wind_at_10m(noise: Noise, sky: Sky) -> Floats:
    """m/s, close to a Weibull distribution of shape 2: systems, gusts, a windier winter and a windier afternoon.

    A standard normal z becomes Weibull through sqrt(-ln(1 - Phi(z))), with the logistic approximation
    Phi(z) = 1 / (1 + exp(-1.702 z)) of S. R. Bowling et al., J. Ind. Eng. Manag. 2 (2009) 114.
    """
    steps = len(sky.time)
    systems = 0.8 * noise.smooth("systems", steps, 16) + 0.4 * sky.front
    gusts = 0.45 * noise.rough("gusts", steps, 5) + 0.25 * noise.rough("puff", steps, 1)
    z = systems + gusts - 0.15 - 0.35 * sky.summer + 0.0016 * lagged(sky.ghi, 2)
    return np.asarray(5.2 * np.sqrt(np.logaddexp(0.0, 1.702 * z)))


def precipitation(noise: Noise, sky: Sky) -> Floats:
    """Rain and melted snow in mm per hour; only under thick cloud."""
    showers = 0.9 * sky.front + 0.6 * noise.rough("showers", len(sky.time), 4)
    return np.asarray(np.where(sky.cloud > 0.7, 1.3 * np.maximum(showers - 1.0, 0) ** 1.5, 0.0))


def solar_power(ghi: Floats, temperature: Floats) -> Floats:
    """Power (kW) of a horizontal 1 MW_p park: -0.4 % per kelvin of cell temperature, 10 % losses, inverters of 900 kW.

    Source: cell temperature T + ghi (NOCT - 20) / 800 with NOCT = 45 degrees, R. G. Ross, 12th IEEE PVSC (1976).
    """
    cell = temperature + ghi * (45 - 20) / 800
    return np.asarray(np.clip(0.9 * SOLAR_PEAK_KW * ghi / 1000 * (1 - 0.004 * (cell - 25)), 0, SOLAR_INVERTER_KW))


def turbine_power(noise: Noise, wind_speed: Floats) -> Floats:
    """Power (kW) of a 2 MW turbine: wind taken to hub height by the 1/7 power law, power curve, a stop now and then."""
    hub = wind_speed * (HUB_HEIGHT_M / 10) ** (1 / 7)
    speeds = WIND_CUT_IN + np.arange(len(WIND_POWER_KW) + 1)
    scatter = 1 + 0.04 * np.clip(noise.normal("scatter", len(hub)), -3, 3)
    power = np.minimum(np.interp(hub, speeds, (*WIND_POWER_KW, WIND_RATED_KW)) * scatter, WIND_RATED_KW)
    stopped = noise.spells("stops", len(hub), every=1000, longest=24) | (hub > WIND_CUT_OUT)
    return np.asarray(np.where(stopped, 0.0, power))
