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
from tsforecast.evaluating.backtest import backtest
from tsforecast.forecasting.forecaster import Forecaster
from tsforecast.forecasting.prediction import Ready, make_ready, predict, read_frame
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


def ready(
    forecaster: Forecaster, known: pa.Table, future: pa.Table, missing: str = "interpolate", **options: Any
) -> Ready:
    tables = [read([data], ReadOptions(**options)) for data in (known, future)]
    settings = resolve([Layer(ARGUMENT, options)], (ReadOptions, DomainOptions))
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


# ---------------------------------------------------------------------------------------------------- without a clock


def steps(first: int, end: int, *, shift: int = 0, site: str = "", hole: int = -1) -> pa.Table:
    """Return rows without a clock, whose wind is like no other row's; one wind may be empty."""
    rows = np.arange(first, end)
    wind = np.where(rows == hole, np.nan, np.sin(rows * rows + shift))
    columns = {"power": np.sin(rows / 4 + shift) + wind, "wind": wind}
    return pa.table({**columns, "site": [site] * len(rows)} if site else columns)


@pytest.fixture(scope="module")
def stepper() -> Forecaster:
    options: dict[str, Any] = {"model": "linear", "horizon": H, "lags": str(L), "no_time": True}
    return tsforecast.train(steps(0, N), "power", future="wind", **options).forecaster


def appended(forecaster: Forecaster, known: pa.Table, ahead: pa.Table) -> np.ndarray:
    """Forecast with the covariates in the data itself, in rows whose target is empty."""
    unknown = ahead.set_column(0, "power", pa.nulls(len(ahead), pa.float64()))
    frame = read_frame(forecaster, read([pa.concat_tables([known, unknown])], ReadOptions()), ReadOptions())[0]
    return predict(forecaster, frame).values


@pytest.mark.parametrize("missing", ["skip", "interpolate"])
@pytest.mark.parametrize(
    ("first", "end", "where"),
    [
        (N, N + H, "follow the last known row"),
        (N, 3 * N, "follow the last known row"),
        (0, N + H, "repeat the known rows"),
    ],
)
def test_future_rows_without_a_clock_follow_or_repeat_the_known_ones(
    stepper: Forecaster, missing: str, first: int, end: int, where: str
) -> None:
    made = ready(stepper, steps(0, N), steps(first, end), missing)
    assert sum(f"have no clock: they {where}" in note for note in made.notes) == 1
    np.testing.assert_allclose(forecast(made), appended(stepper, steps(0, N), steps(N, N + H)), rtol=1e-6)


def test_rows_that_repeat_the_known_ones_may_have_holes(stepper: Forecaster) -> None:
    """As the first rows of a record that is simulated on, even where the known rows are few."""
    expected = appended(stepper, steps(0, L), steps(L, L + H))
    made = ready(stepper, steps(0, L), steps(0, N, hole=1), "skip")
    np.testing.assert_allclose(forecast(made), expected, rtol=1e-6)


def test_holes_of_rows_that_follow_are_filled_from_the_known_ones(stepper: Forecaster) -> None:
    made = ready(stepper, steps(0, N), steps(N, N + H, hole=N), "ffill")
    held = steps(N, N + H)["wind"].to_numpy().copy()
    held[0] = steps(N - 1, N)["wind"][0].as_py()
    expected = appended(stepper, steps(0, N), steps(N, N + H).set_column(1, "wind", pa.array(held)))
    np.testing.assert_allclose(forecast(made), expected, rtol=1e-6)
    assert made.notes[-1].endswith("known and future rows together: 0 rows inserted, 1 values filled")


@pytest.mark.parametrize("missing", ["skip", "interpolate"])
def test_future_rows_without_a_clock_follow_their_own_series(missing: str) -> None:
    sizes = {"a": N, "b": N - 7}
    known = pa.concat_tables([steps(0, n, site=site, shift=n) for site, n in sizes.items()])
    options: dict[str, Any] = {"series_id": "site", "model": "linear", "horizon": H, "lags": str(L), "no_time": True}
    forecaster = tsforecast.train(known, "power", future="wind", **options).forecaster
    ahead = {site: steps(n, n + H, site=site, shift=n) for site, n in sizes.items()}
    made = ready(forecaster, known, pa.concat_tables([ahead["b"], steps(0, H, site="new"), ahead["a"]]), missing)
    expected = appended(forecaster, known, pa.concat_tables(list(ahead.values())))
    np.testing.assert_allclose(forecast(made), expected, rtol=1e-6)


def test_a_backtest_cannot_place_rows_without_a_clock(stepper: Forecaster) -> None:
    made = ready(stepper, steps(0, N), steps(0, N, shift=1), "skip")
    with pytest.raises(DataError, match="rows without a clock cannot be placed among") as refused:
        backtest(made.forecaster, made.frame, in_sample=True, future=made.future)
    assert "to the data" in refused.value.hint
