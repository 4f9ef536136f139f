"""Prediction: cutoffs, steps beyond training, future covariates, limits of a domain."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import tsforecast
from tsforecast.data.frame import Frame
from tsforecast.data.read import read
from tsforecast.errors import DataError
from tsforecast.forecaster import Forecaster
from tsforecast.options import ReadOptions
from tsforecast.prediction import adjusted, predict, read_frame, read_future

H, L = 4, 12
HOUR = 3_600_000_000


def table(rows: int, **columns: Any) -> pa.Table:
    time = np.datetime64("2024-01-01T00", "us") + np.arange(rows) * np.timedelta64(1, "h")
    power = np.sin(np.arange(rows) / 4) + np.random.default_rng(0).normal(0, 0.1, rows)
    return pa.table({"time": time, "power": power, **columns})


def train(data: pa.Table, **options: Any) -> Forecaster:
    return tsforecast.train(data, "power", **{"model": "linear", "horizon": H, "lags": str(L), **options}).forecaster


def frame_of(forecaster: Forecaster, data: pa.Table) -> Frame:
    return read_frame(forecaster, read([data], ReadOptions()), ReadOptions())[0]


def test_the_cutoff_is_the_last_row_with_a_known_target() -> None:
    forecaster = train(table(120))
    trailing = pa.concat_tables([table(120), table(126).slice(120)])
    power = trailing["power"].to_numpy().copy()
    power[120:] = np.nan
    made = predict(forecaster, frame_of(forecaster, trailing.set_column(1, "power", pa.array(power))))
    assert made.cutoffs.tolist() == [119]
    np.testing.assert_array_equal(np.diff(made.time[0]), HOUR)
    np.testing.assert_array_equal(made.values, predict(forecaster, frame_of(forecaster, table(120))).values)


def test_a_longer_horizon_begins_with_the_shorter_one() -> None:
    forecaster = train(table(120))
    frame = frame_of(forecaster, table(120))
    long, short = predict(forecaster, frame, horizon=11), predict(forecaster, frame, horizon=2)
    assert long.values.shape == (1, 11, 1)
    np.testing.assert_array_equal(long.values[:, :2], short.values)


def test_later_rows_do_not_change_a_forecast_from_an_earlier_one() -> None:
    forecaster = train(table(120))
    whole, part = frame_of(forecaster, table(120)), frame_of(forecaster, table(90))
    earlier = predict(forecaster, part).values
    for at in (int(part.time[-1]), int(part.time[-1]) + HOUR // 2):
        np.testing.assert_array_equal(predict(forecaster, whole, at=at).values, earlier)
    with pytest.raises(DataError, match="no series has a row at or before"):
        predict(forecaster, whole, at=int(whole.time[0]) - 1)


def test_a_future_file_needs_no_target_and_fills_what_the_data_lack() -> None:
    wind = np.random.default_rng(1).normal(size=124)
    whole = table(124, wind=wind)
    forecaster = train(whole.slice(0, 120), future="wind")
    frame = frame_of(forecaster, whole.slice(0, 120))
    with pytest.raises(DataError, match="future covariate 'wind' is needed until 2024-01-06 03:00:00"):
        predict(forecaster, frame)
    expected = predict(forecaster, frame_of(forecaster, whole), at=int(frame.time[-1])).values
    for ahead in (whole.slice(120).drop_columns(["power"]), whole.slice(110)):
        future = read_future(forecaster, read([ahead], ReadOptions()), ReadOptions())
        assert future.columns == ("wind",)
        np.testing.assert_array_equal(predict(forecaster, frame, future=future).values, expected)


def test_an_empty_cell_of_a_future_file_hides_nothing_that_the_data_have() -> None:
    """The data know the first two steps, the file the last two."""
    wind = np.random.default_rng(1).normal(size=124)
    power = np.sin(np.arange(124) / 4)
    power[120:] = np.nan
    forecaster = train(table(120, wind=wind[:120]), future="wind")
    known, given = (np.where(keep, wind, np.nan) for keep in (np.arange(124) < 122, np.arange(124) >= 122))
    frame = frame_of(forecaster, table(124, wind=known).set_column(1, "power", pa.array(power)))
    ahead = table(124, wind=given).slice(120).drop_columns(["power"])
    future = read_future(forecaster, read([ahead], ReadOptions()), ReadOptions())
    made = predict(forecaster, frame, future=future).values
    whole = frame_of(forecaster, table(124, wind=wind).set_column(1, "power", pa.array(power)))
    np.testing.assert_array_equal(made, predict(forecaster, whole).values)


def test_a_future_file_needs_no_past_covariate_even_if_that_is_an_angle() -> None:
    rng = np.random.default_rng(2)
    angles = {"wind_dir": rng.uniform(0, 360, 124), "sea_dir": rng.uniform(0, 360, 124)}
    whole = table(124, **angles)
    forecaster = train(whole.slice(0, 120), past="wind_dir", future="sea_dir", circular="wind_dir,sea_dir")
    ahead = whole.slice(120).select(["time", "sea_dir"])
    future = read_future(forecaster, read([ahead], ReadOptions()), ReadOptions())
    assert future.columns == ("sea_dir#sin", "sea_dir#cos")
    made = predict(forecaster, frame_of(forecaster, whole.slice(0, 120)), future=future).values
    expected = predict(forecaster, frame_of(forecaster, whole), at=int(future.time[0]) - HOUR).values
    np.testing.assert_array_equal(made, expected)


def test_holes_are_named_by_series_and_column() -> None:
    forecaster = train(table(120, site=["a"] * 120), series_id="site")
    power = np.sin(np.arange(60.0))
    power[55] = np.nan
    with pytest.raises(DataError, match="series 'b': 'power' is missing at 2024-01-03 07:00:00, within the 12 steps"):
        predict(forecaster, frame_of(forecaster, table(60, site=["b"] * 60).set_column(1, "power", pa.array(power))))
    with pytest.raises(DataError, match="series 'c': 5 rows of history"):
        predict(forecaster, frame_of(forecaster, table(5, site=["c"] * 5)))


def test_limits_hold_and_can_be_changed_after_training() -> None:
    forecaster = train(table(120))
    frame = frame_of(forecaster, table(120))
    free = predict(forecaster, frame, horizon=30).values
    for changes in ({"floor": 0.0, "cap": 0.5}, {"floor": 0.0, "rated": 0.5}, {"floor": 0.0, "cap": 0.5, "rated": 9.0}):
        held = predict(adjusted(forecaster, frame, **changes), frame, horizon=30).values
        assert (held.min(), held.max()) == (0.0, 0.5)
    assert free.min() < 0 < 0.5 < free.max()


def test_history_stands_before_the_forecast_of_each_series() -> None:
    two = pa.concat_tables([table(120, site=["a"] * 120), table(100, site=["b"] * 100)])
    forecaster = train(two, series_id="site")
    frame = frame_of(forecaster, two)
    columns = predict(forecaster, frame).columns(frame.clock, include_history=3)
    assert list(columns) == ["time", "site", "power", "power_forecast"]
    assert columns["site"] == ["a"] * (3 + H) + ["b"] * (3 + H)
    known = np.isfinite(columns["power"])
    np.testing.assert_array_equal(known, ([True] * 3 + [False] * H) * 2)
    np.testing.assert_array_equal(known, np.isnan(columns["power_forecast"]))
