"""Forecast files: pairing with what happened, by series, time and cutoff."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tsforecast.data.read import read
from tsforecast.data.table import Table
from tsforecast.errors import DataError, UsageError
from tsforecast.evaluating.forecast_files import join_files
from tsforecast.evaluating.forecasts import Forecasts
from tsforecast.options import ReadOptions

VALUES = np.arange(60.0)


def table(columns: dict[str, Any]) -> Table:
    return read([pa.table(columns)], ReadOptions())


def times(first: int, count: int) -> Any:
    return np.datetime64("2024-01-01T00", "us") + np.arange(first, first + count) * np.timedelta64(1, "h")


def actual(**more: Any) -> Table:
    return table({"time": times(0, 60), "power": VALUES, **more})


def join(columns: dict[str, Any], known: Table | None = None, **options: Any) -> tuple[Forecasts, ...]:
    return join_files(table(columns), actual() if known is None else known, ReadOptions(), **options)


def test_rows_meet_by_time_and_baselines_start_before_the_first() -> None:
    (f,) = join({"time": times(50, 4), "power_forecast": [1.0, 2.0, 3.0, 4.0]})
    assert f.target == "power"
    np.testing.assert_array_equal(f.forecast, [[1, 2, 3, 4]])
    np.testing.assert_array_equal(f.actual, [VALUES[50:54]])
    np.testing.assert_array_equal(f.baselines["naive"], [[49] * 4])
    np.testing.assert_array_equal(f.baselines["seasonal_naive"], [VALUES[26:30]])
    assert f.last.tolist() == [49]


def test_the_order_of_rows_does_not_matter() -> None:
    (f,) = join({"time": times(50, 4)[::-1], "power_forecast": [4.0, 3.0, 2.0, 1.0]})
    np.testing.assert_array_equal(f.forecast, [[1, 2, 3, 4]])


def test_cutoffs_make_folds_of_their_own_length() -> None:
    when = np.concatenate([times(50, 3), times(51, 2)])
    cutoff = ["2024-01-03 01:00"] * 3 + ["2024-01-03 02:00"] * 2
    (f,) = join({"time": when, "cutoff": cutoff, "power_forecast": [1.0, 2.0, 3.0, 4.0, 5.0]})
    np.testing.assert_array_equal(f.forecast, [[1, 2, 3], [4, 5, np.nan]])
    np.testing.assert_array_equal(f.actual, [[50, 51, 52], [51, 52, np.nan]])
    assert f.last.tolist() == [49, 50]


def test_seasons_are_counted_on_the_clock_and_not_in_rows_of_the_file() -> None:
    """Only the hours of the day are forecast, two days ahead: what is skipped counts all the same."""
    known = table({"time": times(0, 96), "power": np.arange(96) % 24})
    hours = np.concatenate([times(48 + 6, 12), times(72 + 6, 12)])
    for cutoff in ({}, {"cutoff": ["2024-01-02 23:00"] * 24}):
        (f,) = join({"time": hours, **cutoff, "power_forecast": np.zeros(24)}, known)
        np.testing.assert_array_equal(f.baselines["seasonal_naive"], f.actual)
    assert f.last.tolist() == [23]


def test_months_are_counted_as_months() -> None:
    month = np.arange("2020-01", "2023-01", dtype="M8[M]").astype("M8[us]")
    known = table({"time": month, "power": np.arange(36) % 12})
    (f,) = join({"time": month[[26, 29, 35]], "cutoff": ["2021-12-01"] * 3, "power_forecast": np.zeros(3)}, known)
    np.testing.assert_array_equal(f.baselines["seasonal_naive"], f.actual)


def test_without_a_grid_rows_of_the_actual_file_are_counted() -> None:
    """Trading days with a holiday: the week is five rows, whatever the calendar says."""
    days = np.arange("2024-01-01", "2024-05-01", dtype="M8[D]")
    days = days[np.is_busday(days, holidays=["2024-01-15", "2024-02-19", "2024-03-29", "2024-04-10"])]
    known = table({"time": days.astype("M8[us]"), "power": np.arange(len(days)) % 5})
    ahead = {"time": days[[40, 42, 44]].astype("M8[us]"), "power_forecast": np.zeros(3)}
    (f,) = join({**ahead, "cutoff": [str(days[38])] * 3}, known)
    assert f.unit_time == "trading"
    np.testing.assert_array_equal(f.baselines["seasonal_naive"], f.actual)


def test_drift_continues_the_mean_step_before_the_cutoff() -> None:
    power = np.concatenate([2 * VALUES[:50], np.zeros(10)])
    (f,) = join(
        {"time": times(50, 10)[[0, 2, 9]], "power_forecast": np.zeros(3)}, table({"time": times(0, 60), "power": power})
    )
    np.testing.assert_allclose(f.baselines["drift"], [[100, 104, 118]])
    (f,) = join({"time": times(1, 2), "power_forecast": np.zeros(2)})
    assert np.isnan(f.baselines["drift"]).all() and np.isfinite(f.baselines["naive"]).all()


def test_the_slope_of_all_folds_comes_from_the_rows_before_the_first() -> None:
    power = np.concatenate([2 * VALUES[:50], np.full(10, 7.0)])
    made = {"time": times(50, 10), "cutoff": np.repeat(times(49, 10)[[0, 5]], 5), "power_forecast": np.zeros(10)}
    (f,) = join(made, table({"time": times(0, 60), "power": power}))
    np.testing.assert_allclose(f.baselines["drift"], [[100, 102, 104, 106, 108], [9, 11, 13, 15, 17]])


def test_the_slope_of_each_series_comes_from_before_its_own_first_cutoff() -> None:
    both = {
        "time": np.tile(times(0, 30), 2),
        "site": ["a"] * 30 + ["b"] * 30,
        "power": np.r_[VALUES[:30], -VALUES[:30]],
    }
    made = {"time": np.r_[times(20, 1), times(9, 1)], "site": ["a", "b"], "power_forecast": [0.0, 0.0]}
    (f,) = join(made, table(both))
    np.testing.assert_allclose(f.baselines["drift"], [[20], [-9]])
    np.testing.assert_allclose(f.scale, [[np.nan] * 2] * 2)  # no row has another a day before it


def season(rows: int, length: int) -> Any:
    noise = np.random.default_rng(rows).normal(0, 0.1, rows)
    return np.sin(2 * np.pi * np.arange(rows) / length) + noise


def ahead(first: int, count: int) -> dict[str, Any]:
    return {"time": times(first, count), "power_forecast": np.zeros(count)}


def test_the_season_is_the_one_that_the_actual_rows_have() -> None:
    power = season(600, 36)
    (f,) = join(ahead(500, 40), table({"time": times(0, 600), "power": power}))
    assert f.season_length == 36
    np.testing.assert_allclose(f.baselines["seasonal_naive"], [[*power[464:500], *power[464:468]]], rtol=1e-6)
    change = np.abs(power[36:500] - power[:464])
    np.testing.assert_allclose(f.scale, [[change.mean(), (change**2).mean()]], rtol=1e-5)


def test_no_season_is_the_answer_where_there_is_none() -> None:
    noise = np.random.default_rng(0).normal(size=600).cumsum()
    (f,) = join(ahead(500, 40), table({"time": times(0, 600), "power": noise}))
    assert f.season_length == 1
    np.testing.assert_array_equal(f.baselines["seasonal_naive"], f.baselines["naive"])


def test_what_is_forecast_says_nothing_about_the_season() -> None:
    power = np.concatenate([season(500, 36), 100 * season(3000, 24)])
    (f,) = join(ahead(500, 40), table({"time": times(0, 3500), "power": power}))
    assert f.season_length == 36


def test_the_season_of_all_targets_is_that_of_the_first_unless_given() -> None:
    known = table({"time": times(0, 600), "power": season(600, 36), "wind": season(600, 24)})
    made = {**ahead(500, 40), "wind_forecast": np.zeros(40)}
    assert [f.season_length for f in join(made, known)] == [36, 36]
    assert [f.season_length for f in join(made, known, season_length=12)] == [12, 12]
    given = join(made, known, season_length=24)[1]
    np.testing.assert_allclose(given.baselines["seasonal_naive"][0, :24], season(600, 24)[476:500], rtol=1e-6)


def test_the_rated_value_is_the_denominator_of_nrmse() -> None:
    (f,) = join(ahead(50, 4), rated=200.0)
    (unrated,) = join(ahead(50, 4))
    assert (f.rated, unrated.rated) == (200.0, None)


def test_a_cutoff_may_lie_far_before_the_first_row() -> None:
    (f,) = join({"time": times(53, 2), "cutoff": ["2024-01-03T01:00"] * 2, "power_forecast": [1.0, 2.0]})
    assert f.last.tolist() == [49]
    np.testing.assert_array_equal(f.baselines["seasonal_naive"], [[29, 30]])
    np.testing.assert_allclose(f.baselines["drift"], [[53, 54]])


def test_cutoffs_are_written_like_the_time_of_the_actual_file() -> None:
    """Date and time stand in two columns; the cutoff joins them with a blank."""
    parts = [str(t).split("T") for t in times(0, 60)]
    both = {"date": [day for day, _ in parts], "time": [clock[:5] for _, clock in parts]}
    made = {name: cells[50:53] for name, cells in both.items()}
    made |= {"cutoff": ["2024-01-03 01:00"] * 3, "power_forecast": [1.0, 2.0, 3.0]}
    (f,) = join(made, table({**both, "power": VALUES}))
    assert f.last.tolist() == [49]
    np.testing.assert_array_equal(f.actual, [VALUES[50:53]])


@pytest.mark.parametrize("cutoff", ["2024-01-03T01:00-05:00", "2024-01-03 01:00", "2024-01-03T06:00Z"])
def test_cutoffs_with_and_without_an_offset_are_one_moment(cutoff: str) -> None:
    written = [f"{t}-05:00" for t in times(0, 60).astype("M8[m]")]
    made = {"time": written[53:55], "cutoff": [cutoff] * 2, "power_forecast": [1.0, 2.0]}
    (f,) = join(made, table({"time": written, "power": VALUES}))
    assert f.last.tolist() == [49]


def test_a_cutoff_may_be_a_timestamp_and_is_never_after_the_forecast() -> None:
    """Else the naive forecast would know what it should forecast."""
    made = {"time": times(50, 4), "cutoff": times(48, 1).repeat(2).tolist() + times(55, 1).repeat(2).tolist()}
    (f,) = join({**made, "power_forecast": [1.0, 2.0, 3.0, 4.0]})
    assert f.last.tolist() == [48, 51]


def test_a_cutoff_that_is_no_time_is_named() -> None:
    with pytest.raises(DataError, match="row 2: column 'cutoff': 'soon' is not a time"):
        join({"time": times(50, 2), "cutoff": ["2024-01-03 01:00", "soon"], "power_forecast": [1.0, 2.0]})


def test_rows_beyond_the_actual_file_have_no_actual_value() -> None:
    (f,) = join({"time": times(58, 4), "power_forecast": [1.0] * 4})
    np.testing.assert_array_equal(f.actual, [[58, 59, np.nan, np.nan]])


def test_forecasts_from_the_first_row_have_no_baseline() -> None:
    (f,) = join({"time": times(0, 3), "power_forecast": [1.0] * 3})
    assert np.isfinite(f.actual).all()
    assert np.isnan(f.baselines["naive"]).all() and np.isnan(f.baselines["seasonal_naive"]).all()


@pytest.mark.parametrize("named", [True, False])
def test_series_meet_by_name_and_unknown_ones_are_left_out(named: bool) -> None:
    both = {"time": np.tile(times(0, 30), 2), "site": ["a"] * 30 + ["b"] * 30, "power": VALUES}
    made = {"time": np.tile(times(20, 2), 3), "site": [*"bbaacc"], "power_forecast": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]}
    (f,) = join(made, table(both), series_id="site" if named else "")
    rows = {f.series_names[s]: (f.forecast[k].tolist(), f.actual[k].tolist()) for k, s in enumerate(f.series)}
    assert rows == {"a": ([3, 4], [20, 21]), "b": ([1, 2], [50, 51])}


def test_the_series_id_may_come_first() -> None:
    both = {"unique_id": ["a"] * 30 + ["b"] * 30, "time": np.tile(times(0, 30), 2).astype(str), "y": VALUES}
    made = {"unique_id": ["b", "b"], "time": times(20, 2).astype(str), "y_forecast": [1.0, 2.0]}
    (f,) = join(made, table(both))
    assert [f.series_names[s] for s in f.series] == ["b"]
    np.testing.assert_array_equal(f.actual, [[50, 51]])


def test_several_targets_are_several_forecasts() -> None:
    made = {"time": times(50, 2), "power_forecast": [1.0, 2.0], "wind_forecast": [3.0, 4.0]}
    known = actual(wind=-VALUES)
    assert [f.target for f in join(made, known)] == ["power", "wind"]
    (f,) = join(made, known, targets=["wind"])
    np.testing.assert_array_equal(f.actual, [[-50, -51]])


def test_without_a_clock_rows_meet_by_step_and_by_cutoff_plus_step() -> None:
    options, known = ReadOptions(no_time=True), table({"power": VALUES})
    plain = table({"step": [50, 51], "power_forecast": [1.0, 2.0]})
    folds = table({"cutoff": [49, 49, 50, 50], "step": [1, 2, 1, 2], "power_forecast": [1.0, 2.0, 3.0, 4.0]})
    np.testing.assert_array_equal(join_files(plain, known, options)[0].actual, [[50, 51]])
    np.testing.assert_array_equal(join_files(folds, known, options)[0].actual, [[50, 51], [51, 52]])


def test_without_a_clock_rows_meet_by_seconds() -> None:
    options, known = ReadOptions(sampling="0.1s"), table({"power": VALUES})
    plain = table({"seconds": [5.0, 5.1], "power_forecast": [1.0, 2.0]})
    folds = table({"cutoff": [4.9, 4.9, 5.0, 5.0], "step": [1, 2, 1, 2], "power_forecast": [1.0, 2.0, 3.0, 4.0]})
    both = table({"seconds": [5.0, 5.1, 5.1], "cutoff": [4.9, 4.9, 5.0], "power_forecast": [1.0, 2.0, 3.0]})
    np.testing.assert_array_equal(join_files(plain, known, options)[0].actual, [[50, 51]])
    (f,) = join_files(folds, known, options)
    np.testing.assert_array_equal(f.actual, [[50, 51], [51, 52]])
    assert (f.unit_time, f.is_clock, f.cutoff.tolist()) == ("0.1s", False, [49, 50])
    np.testing.assert_array_equal(join_files(both, known, options)[0].actual, [[50, 51], [51, np.nan]])
    with pytest.raises(UsageError, match=r"counts time in seconds, not in rows; say .*--sampling 4s"):
        join_files(plain, known, ReadOptions(no_time=True))


def test_files_that_do_not_meet_are_refused() -> None:
    with pytest.raises(DataError, match="share no timestamp"):
        join({"time": times(100, 3), "power_forecast": [1.0] * 3})
    with pytest.raises(DataError, match="no column that ends in _forecast"):
        join({"time": times(50, 3), "power": [1.0] * 3})
    with pytest.raises(DataError, match="there is no column 'load'"):
        join({"time": times(50, 3), "load_forecast": [1.0] * 3})


def test_quantile_columns_come_along_in_ascending_order() -> None:
    made = {"power_forecast": [1.0, 2.0], "power_q0.9": [2.0, 3.0], "power_q0.1": [0.5, 1.5], "power_quiet": [7.0, 7.0]}
    (f,) = join({"time": times(50, 2)[::-1], **made})
    assert list(f.quantiles) == [0.1, 0.9]
    np.testing.assert_array_equal(f.quantiles[0.1], [[1.5, 0.5]])
    (plain,) = join({"time": times(50, 2), "power_forecast": [1.0, 2.0]})
    assert plain.quantiles == {}
