"""Prediction: cutoffs, steps beyond training, future covariates, limits of a domain."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import tsforecast
from tsforecast.config import Layer, Settings, resolve
from tsforecast.data.frame import Frame
from tsforecast.data.read import read
from tsforecast.domains import resolve_with_domain
from tsforecast.errors import DataError, TrainingError, UsageError
from tsforecast.evaluating.evaluation import evaluate
from tsforecast.evaluating.simulation import simulate
from tsforecast.forecasting.forecaster import Forecaster
from tsforecast.forecasting.prediction import adjusted, changes_of_domain, make_ready, predict, read_frame, read_future
from tsforecast.options import ColumnOptions, DomainOptions, FitOptions, ReadOptions

H, L = 4, 12
HOUR = 3_600_000_000


def table(rows: int, **columns: Any) -> pa.Table:
    time = np.datetime64("2024-01-01T00", "us") + np.arange(rows) * np.timedelta64(1, "h")
    power = np.sin(np.arange(rows) / 4) + np.random.default_rng(0).normal(0, 0.1, rows)
    return pa.table({"time": time, "power": power, **columns})


def train(data: pa.Table, **options: Any) -> Forecaster:
    chosen = {"target": "power", "model": "linear", "horizon": H, "lags": str(L), **options}
    return tsforecast.train(data, **chosen).forecaster


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
    with pytest.raises(DataError, match="no series has a row at or before the time of --at with a value of 'power'"):
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


def sites(**first: int) -> pa.Table:
    """Return series of 60 rows by name, with values from a row on: ``b=60`` has none."""
    power = np.sin(np.arange(60) / 4)
    known = {name: np.where(np.arange(60) >= row, power, np.nan) for name, row in first.items()}
    parts = [table(60, site=[name] * 60).set_column(1, "power", pa.array(values)) for name, values in known.items()]
    return pa.concat_tables(parts)


def test_series_without_a_value_are_left_out_and_named() -> None:
    forecaster = train(table(120, site=["a"] * 120), series_id="site")
    frame = frame_of(forecaster, sites(a=0, b=60, c=60, d=40))
    made = predict(forecaster, frame)
    assert made.frame.series_of(made.cutoffs).tolist() == [0, 3]
    assert made.notes == ("2 series (b, c) have no row with a value of 'power': left out",)
    early = predict(forecaster, frame, at=int(frame.time[30]))
    lacking = "row at or before the time of --at with a value of 'power'"
    assert early.frame.series_of(early.cutoffs).tolist() == [0]
    assert early.notes == (f"3 series (b, c, d) have no {lacking}: left out",)
    one = predict(forecaster, frame_of(forecaster, sites(a=0, b=60)))
    assert one.notes == ("series b has no row with a value of 'power': left out",)
    assert predict(forecaster, frame_of(forecaster, sites(a=0))).notes == ()
    with pytest.raises(DataError, match="no series has a row with a value of 'power'"):
        predict(forecaster, frame_of(forecaster, sites(b=60, c=60)))


def test_options_set_after_training_are_checked_as_in_training() -> None:
    two = train(table(120, wind=np.arange(120.0)), target=["power", "wind"])
    with pytest.raises(UsageError, match="--night auto is for one target"):
        adjusted(two, frame_of(two, table(120, wind=np.arange(120.0))), night="auto")
    one = train(table(120))
    with pytest.raises(UsageError, match="only a place together"):
        adjusted(one, frame_of(one, table(120)), lat=50.0)
    steps = train(table(120).drop_columns(["time"]), no_time=True)
    with pytest.raises(UsageError, match="no night without a clock"):
        adjusted(steps, frame_of(steps, table(120).drop_columns(["time"])), night="auto")


def test_a_night_is_not_looked_for_in_rows_that_training_has_not_seen() -> None:
    forecaster = train(table(150).slice(0, 100))
    with pytest.raises(DataError, match="the rows that training saw, and the data has none"):
        adjusted(forecaster, frame_of(forecaster, table(150).slice(100)), night="auto")
    assert adjusted(forecaster, frame_of(forecaster, table(150)), night="auto").memory.night is not None


def priced(**changed: float) -> pa.Table:
    """Return 120 hours of prices, some of them changed: ``h50=0.0``."""
    price = 10 + np.sin(np.arange(120) / 4)
    for hour, value in changed.items():
        price[int(hour[1:])] = value
    return table(120).set_column(1, "power", pa.array(price))


def test_what_has_no_logarithm_is_missing_and_matters_only_within_the_lags() -> None:
    forecaster = train(priced(), transform="log")
    expected = predict(forecaster, frame_of(forecaster, priced())).values
    for value in (0.0, -3.0):
        made = predict(forecaster, frame_of(forecaster, priced(h50=value)))
        np.testing.assert_array_equal(made.values, expected)
    with pytest.raises(DataError, match="'power' is 0 at 2024-01-05 14:00:00 and has no logarithm, within the 12"):
        predict(forecaster, frame_of(forecaster, priced(h110=0.0)))


def test_each_series_is_scaled_by_what_has_a_logarithm() -> None:
    """A series that training has not seen is measured on its own rows."""
    data = pa.concat_tables([priced().append_column("site", pa.array([name] * 120)) for name in "ab"])
    forecaster = train(data, series_id="site", transform="log", scale_by="series")
    new = priced(h50=0.0).append_column("site", pa.array(["new"] * 120))
    assert np.isfinite(predict(forecaster, frame_of(forecaster, new)).values).all()


@pytest.mark.parametrize("options", [{}, {"quantiles": "0.1,0.9", "intervals": "conformal"}])
def test_folds_whose_lags_have_no_logarithm_are_left_out(options: dict[str, Any]) -> None:
    forecaster = train(priced(), transform="log", test="40", **options)
    frame = frame_of(forecaster, priced(h100=0.0))
    made = evaluate(forecaster, frame, metrics=["mae"], adaptive=bool(options))
    (f,) = made.forecasts
    held = [t for t in range(79, 116) if not t - L < 100 <= t]
    assert ((f.cutoff - frame.time[0]) // HOUR).tolist() == held
    assert np.isfinite(f.forecast).all()
    assert (f.actual == 0).sum() == H  # what came is known and scored, whatever the model can make of it


def test_a_run_begins_behind_what_has_no_logarithm() -> None:
    made = train(priced(), transform="log", test="40")
    whole, later = (simulate(made, frame_of(made, priced(**h))).forecasts[0] for h in ({}, {"h75": 0.0}))
    assert later.cutoff[0] - whole.cutoff[0] == (75 + L - 79) * HOUR
    assert np.isfinite(later.forecast).all()


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


@pytest.mark.parametrize("missing", ["interpolate", "ffill", "zero"])
def test_history_is_what_was_observed_not_what_was_filled_in(missing: str) -> None:
    forecaster = train(table(120))
    power = table(120)["power"].to_numpy().copy()
    power[118] = np.nan
    holey = table(120).set_column(1, "power", pa.array(power))
    frame = read_frame(forecaster, read([holey], ReadOptions()), ReadOptions(), missing=missing)[0]
    history = predict(forecaster, frame).columns(frame.clock, include_history=3)["power"][:3]
    np.testing.assert_array_equal(history, np.float32([power[117], np.nan, power[119]]))


def grown(forecaster: Forecaster, factor: float) -> Forecaster:
    """Return a forecaster whose weights are larger than any training makes them."""
    params = {name: np.float32(factor) * value for name, value in forecaster.params.items()}
    return replace(forecaster, params=params)


@pytest.mark.parametrize("limits", [{}, {"floor": -1.0, "cap": 1.0}])
def test_a_forecast_that_diverges_when_it_is_fed_back_ends_and_is_told(limits: dict[str, float]) -> None:
    forecaster = grown(train(table(120), quantiles="0.1,0.9", intervals="conformal", shrink="none", **limits), 20)
    made = predict(forecaster, frame_of(forecaster, table(120)), horizon=400)
    known = np.isfinite(made.values[0, :, 0])
    count = int(known.sum())
    assert H < count < 400
    assert known[:count].all()
    np.testing.assert_array_equal(np.isfinite(made.quantiles[0, :, 0]), np.stack([known, known], axis=1))
    since = np.datetime64(int(made.time[0, count]), "us").item()
    (said,) = made.warnings
    assert said == f"the forecast that is fed back diverges from {since} on: its values are left empty"


def test_what_is_too_large_to_be_printed_has_diverged() -> None:
    rising = table(120).set_column(1, "power", pa.array(np.exp(np.arange(120) / 20)))
    forecaster = grown(train(rising, transform="log", normalize="none", shrink="none"), 1.5)
    made = predict(forecaster, frame_of(forecaster, rising), horizon=400)
    known = made.values[0, :, 0][np.isfinite(made.values[0, :, 0])]
    assert np.isfinite(known.astype(np.float32)).all()
    assert 1e30 < known.max() < 3.5e38
    assert "diverges from" in made.warnings[0]


def test_of_several_series_those_that_diverge_are_named() -> None:
    two = pa.concat_tables([table(120, site=["a"] * 120), table(120, site=["b"] * 120)])
    flat = np.where(np.arange(240) < 120, 0.0, two["power"].to_numpy())
    forecaster = train(two, series_id="site", shrink="none", normalize="last")
    zero = {name: value * (20 if value.ndim > 1 else 0) for name, value in forecaster.params.items()}
    forecaster = replace(forecaster, params=zero)  # of a flat line it says nothing but that line
    made = predict(forecaster, frame_of(forecaster, two.set_column(1, "power", pa.array(flat))), horizon=400)
    assert np.isfinite(made.values).all(axis=(1, 2)).tolist() == [True, False]
    assert made.warnings[0].startswith("the forecast of series b that is fed back diverges from 2024-01")


def test_forecasts_none_of_which_is_finite_are_refused() -> None:
    forecaster = grown(train(table(120)), np.nan)
    with pytest.raises(TrainingError, match="not finite from its first step on") as caught:
        predict(forecaster, frame_of(forecaster, table(120)))
    assert caught.value.exit_code == 5


KNOWN = (ReadOptions, ColumnOptions, FitOptions)


def said(*layers: tuple[str, dict[str, Any]]) -> Settings:
    return resolve_with_domain([Layer(origin, values) for origin, values in layers], KNOWN)


def test_only_what_is_said_for_this_use_changes_a_domain() -> None:
    file = ("tsforecast.toml", {"domain": "solar", "cap": 7, "night": "none"})
    assert changes_of_domain(said(file)) == {}
    assert changes_of_domain(said(("command line", {"floor": "-2"}), file)) == {"floor": -2.0}
    assert changes_of_domain(said(("environment", {"rated": "5"}), file)) == {"rated": 5.0}
    assert changes_of_domain(said(("argument", {"domain": "wind"}), file)) == {"domain": "wind", "floor": 0.0}
    solar = changes_of_domain(said(("command line", {"domain": "solar", "floor": 1}), file))
    assert solar == {"domain": "solar", "floor": 1.0, "night": "auto"}
    with pytest.raises(UsageError, match=r"rated: -1\.0 is too small"):
        changes_of_domain(said(("command line", {"rated": "-1"})))


def test_the_options_of_the_model_win_over_a_file() -> None:
    forecaster = train(table(120), floor=-0.5)
    settings = resolve([Layer("tsforecast.toml", {"domain": "solar", "floor": 0.0})], (ReadOptions, DomainOptions))
    assert make_ready(forecaster, read([table(120)], ReadOptions()), settings).forecaster is forecaster
