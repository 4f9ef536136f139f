"""Sample data to try things on: simulated, seeded, with a few honest gaps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from tsforecast.data.simulate import Floats, Noise
from tsforecast.data.simulate_plant import hours, simulate_plant
from tsforecast.data.simulate_stock import simulate_stock, trading_days
from tsforecast.errors import UsageError

Columns = dict[str, NDArray[Any]]

HOURLY_ROWS = 17_520  # two years
DAILY_ROWS = 2_588  # business days of 2015 to 2024 less holidays
OUTAGES = {"every": 1440, "longest": 30}
BLANKS = {"every": 1800, "longest": 8}
MISSING_VOLUME = {"every": 500, "longest": 2}
DECIMALS = {
    "ghi": 1, "temperature": 2, "humidity": 1, "pressure": 1, "wind_speed": 2, "wind_direction": 0,
    "precipitation": 1, "solar_power": 1, "wind_power": 1, "open": 2, "high": 2, "low": 2, "close": 2, "volume": 0,
}  # fmt: skip


def weather(*, rows: int | None = None, seed: int = 0) -> Columns:
    """Hourly weather: temperature, humidity, pressure, wind speed and direction, precipitation.

    Args:
        rows: Rows to make; two years by default.
        seed: Not negative; the same seed gives the same data, and more rows begin with the fewer.

    Returns:
        Column name to (rows,) array: ``timestamp`` as text (UTC, start of the hour), the rest float64, NaN = missing.

    Raises:
        UsageError: ``rows`` or ``seed`` is out of range.
    """
    names = ("temperature", "humidity", "pressure", "wind_speed", "wind_direction", "precipitation")
    return _hourly(names, rows, seed)


def solar(*, rows: int | None = None, seed: int = 0) -> Columns:
    """Hourly irradiance (W/m2), temperature and the power (kW) of a 1 MW_p solar park; otherwise like ``weather``."""
    return _hourly(("ghi", "temperature", "solar_power"), rows, seed)


def wind(*, rows: int | None = None, seed: int = 0) -> Columns:
    """Hourly wind, temperature and the power (kW) of a 2 MW turbine; otherwise like ``weather``."""
    return _hourly(("wind_speed", "wind_direction", "temperature", "wind_power"), rows, seed)


def solar_wind(*, rows: int | None = None, seed: int = 0) -> Columns:
    """Hourly irradiance, wind and temperature with the power of both plants; otherwise like ``weather``."""
    return _hourly(("ghi", "wind_speed", "temperature", "solar_power", "wind_power"), rows, seed)


def stock(*, rows: int | None = None, seed: int = 0) -> Columns:
    """Daily open, high, low, close and volume of a made-up share.

    Args:
        rows: Trading days to make; ten years by default.
        seed: Not negative; the same seed gives the same data, and more rows begin with the fewer.

    Returns:
        Column name to (rows,) array: ``date`` as text, the rest float64, NaN = missing.

    Raises:
        UsageError: ``rows`` or ``seed`` is out of range.
    """
    rows = _checked(DAILY_ROWS if rows is None else rows, seed)
    steps = rows + rows // 40 + 8
    columns = simulate_stock(steps, seed)
    days, is_open = trading_days(steps)
    columns["volume"][Noise(seed).spells("blank volume", steps, **MISSING_VOLUME)] = np.nan
    return {"date": days[is_open][:rows].astype(str), **_rounded(columns, is_open, rows)}


def to_csv(columns: Mapping[str, NDArray[Any]], stream: TextIO) -> None:
    """Write columns as comma-separated text: a header, shortest decimals that read back the same, blank = missing."""
    stream.write(",".join(columns) + "\n")
    cells = [_texts(values) for values in columns.values()]
    stream.writelines(",".join(row) + "\n" for row in zip(*cells, strict=True))


def _hourly(names: tuple[str, ...], rows: int | None, seed: int) -> Columns:
    rows = _checked(HOURLY_ROWS if rows is None else rows, seed)
    steps = rows + rows // 40 + OUTAGES["longest"]
    simulated = simulate_plant(steps, seed)
    noise = Noise(seed)
    kept = ~noise.spells("outages", steps, **OUTAGES)
    columns = {name: simulated[name] for name in names}
    for name in names:
        columns[name][noise.spells(f"blank {name}", steps, **BLANKS)] = np.nan
    minutes = hours(steps)[kept][:rows].astype("M8[us]").astype("M8[m]")
    stamps = np.char.replace(np.datetime_as_string(minutes), "T", " ")
    return {"timestamp": stamps, **_rounded(columns, kept, rows)}


def _checked(rows: int, seed: int) -> int:
    if rows < 1:
        raise UsageError(f"{rows} rows cannot be made", hint="ask for 1 row or more")
    if seed < 0:
        raise UsageError(f"seed {seed} is negative", hint="use 0 or a positive whole number")
    return rows


def _rounded(columns: Mapping[str, Floats], kept: NDArray[np.bool_], rows: int) -> Columns:
    """Round to what a sensor reports, which also hides the last bit, in which platforms may differ."""
    # Adding zero turns -0.0 into 0.0.
    return {name: np.round(values[kept][:rows], DECIMALS[name]) + 0.0 for name, values in columns.items()}


def _texts(values: NDArray[Any]) -> list[str]:
    if values.dtype.kind != "f":
        return [str(value) for value in values.tolist()]
    return ["" if value != value else repr(value).removesuffix(".0") for value in values.tolist()]
