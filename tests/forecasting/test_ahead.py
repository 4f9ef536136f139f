"""Future covariates: holes of known and of future rows are filled as those of one table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import tsforecast
from tsforecast.config import ARGUMENT, Layer, resolve
from tsforecast.data.read import read
from tsforecast.errors import DataError
from tsforecast.forecasting.forecaster import Forecaster
from tsforecast.forecasting.prediction import Ready, make_ready, predict
from tsforecast.options import DomainOptions, ReadOptions

H, L, N = 6, 4, 60
SITES = ("a", "b")


def table(
    first: int, end: int, *, holes: tuple[int, ...] = (), without: tuple[int, ...] = (), site: str = ""
) -> pa.Table:
    """Return hours of power and wind, which is the number of the hour; some winds empty, some rows left out."""
    hours = np.array([hour for hour in range(first, end) if hour not in without])
    wind = np.where(np.isin(hours, holes), np.nan, hours.astype(float))
    time = np.datetime64("2024-01-01T00", "us") + hours * np.timedelta64(1, "h")
    columns = {"time": time, "power": np.sin(hours / 4), "wind": wind}
    return pa.table({**columns, "site": [site] * len(hours)} if site else columns)


@pytest.fixture(scope="module")
def forecaster() -> Forecaster:
    options: dict[str, Any] = {"model": "linear", "horizon": H, "lags": str(L), "calendar": "hour"}
    return tsforecast.train(table(0, N), "power", future="wind", **options).forecaster


def ready(forecaster: Forecaster, known: pa.Table, future: pa.Table, missing: str = "interpolate") -> Ready:
    tables = [read([data], ReadOptions()) for data in (known, future)]
    settings = resolve([Layer(ARGUMENT, {})], (ReadOptions, DomainOptions))
    return make_ready(forecaster, tables[0], settings, missing=missing, future=tables[1])


def forecast(made: Ready, horizon: int = H) -> np.ndarray:
    return predict(made.forecaster, made.frame, horizon=horizon, future=made.future).values


@pytest.mark.parametrize(
    ("future", "inserted", "filled"),
    [
        (table(N, N + H, holes=(N + 2,)), 0, 1),
        (table(N, N + H, holes=(N,)), 0, 1),  # between the last known row and the next one
        (table(N + 2, N + H), 2, 2),
        (table(N, N + H, without=(N + 3,)), 1, 1),
        (table(N - 5, N + H, holes=(N - 2, N + 1)), 0, 1),
    ],
)
def test_holes_of_a_future_file_are_filled(
    forecaster: Forecaster, future: pa.Table, inserted: int, filled: int
) -> None:
    made = ready(forecaster, table(0, N), future)
    expected = forecast(ready(forecaster, table(0, N), table(N, N + H)))
    np.testing.assert_allclose(forecast(made), expected, rtol=1e-6)
    done = f"known and future rows together: {inserted} rows inserted, {filled} values filled"
    assert made.notes[-1] == f"--missing interpolate, {done}"


def test_a_hole_in_the_last_known_row_is_filled_from_the_future(forecaster: Forecaster) -> None:
    expected = forecast(ready(forecaster, table(0, N), table(N, N + H)))
    holey = table(0, N, holes=(N - 1,))
    np.testing.assert_allclose(forecast(ready(forecaster, holey, table(N, N + H))), expected, rtol=1e-6)
    with pytest.raises(DataError, match="'wind' is missing at 2024-01-03 11:00:00, within the 4 steps"):
        forecast(ready(forecaster, holey, table(N, N + H), "skip"))


def test_the_treatment_of_training_and_its_limit_hold(forecaster: Forecaster) -> None:
    future = table(N, N + H, holes=(N + 1, N + 2))
    forward = forecast(ready(forecaster, table(0, N), future, "ffill"))
    held = table(N, N + H).set_column(2, "wind", pa.array([60.0, 60, 60, 63, 64, 65]))
    np.testing.assert_array_equal(forward, forecast(ready(forecaster, table(0, N), held, "skip")))
    with pytest.raises(DataError, match="'wind' is missing at 2024-01-03 13:00:00 \\(and 1 more\\)"):
        forecast(ready(forecaster, table(0, N), future, "interpolate:1"))


def test_what_is_missing_is_said_truly(forecaster: Forecaster) -> None:
    whole = ready(forecaster, table(0, N), table(N, N + H, holes=(N + 3,)), "skip")
    with pytest.raises(DataError, match="future covariate 'wind' is missing at 2024-01-03 15:00:00; fill holes with"):
        forecast(whole)
    both = ready(forecaster, table(0, N), table(N, N + H, holes=(N + 1, N + 5)), "skip")
    with pytest.raises(DataError, match=r"at 2024-01-03 13:00:00 \(and 1 more\).*and add rows until 2024-01-03 17:00"):
        forecast(both)
    assert np.isfinite(forecast(both, horizon=1)).all()
    for missing in ("skip", "interpolate"):
        short = ready(forecaster, table(0, N), table(N, N + 4), missing)
        with pytest.raises(DataError, match="is needed until 2024-01-03 17:00:00 and missing from 2024-01-03 16:00:00"):
            forecast(short)


def test_every_series_is_filled_by_itself() -> None:
    known = pa.concat_tables([table(0, N, site=site) for site in SITES])
    options: dict[str, Any] = {"series_id": "site", "model": "linear", "horizon": H, "lags": str(L)}
    forecaster = tsforecast.train(known, "power", future="wind", **options).forecaster
    whole, holey, new = (table(N, N + H, site="b"), table(N, N + H, holes=(N + 2,), site="a"), table(0, H, site="c"))
    made = ready(forecaster, known, pa.concat_tables([new, whole, holey]))
    expected = ready(forecaster, known, pa.concat_tables([table(N, N + H, site="a"), whole]))
    np.testing.assert_allclose(forecast(made), forecast(expected), rtol=1e-6)
