"""The backtest: which rows are scored, from which cutoffs, and against which baselines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import tsforecast
from tsforecast.data.frame import Frame
from tsforecast.data.read import read
from tsforecast.errors import DataError
from tsforecast.evaluating.backtest import Backtest, backtest
from tsforecast.forecasting.forecaster import Forecaster
from tsforecast.forecasting.prediction import predict, read_frame
from tsforecast.options import ReadOptions

H, L, SEASON = 4, 12, 24
START = np.datetime64("2024-01-01T00", "us")


def hours(rows: int, *, site: str = "") -> dict[str, Any]:
    t = np.arange(rows)
    power = np.sin(2 * np.pi * t / SEASON) + np.random.default_rng(rows).normal(0, 0.1, rows)
    return {"time": START + t * np.timedelta64(1, "h"), "power": power.astype(np.float32), "site": [site] * rows}


def frame_of(forecaster: Forecaster, table: pa.Table) -> Frame:
    return read_frame(forecaster, read([table], ReadOptions()), ReadOptions())[0]


def run(
    table: pa.Table, *, train: pa.Table | None = None, test: str = "30", **span: Any
) -> tuple[Forecaster, Backtest]:
    sizes = {"horizon": H, "lags": str(L), "season_length": SEASON, "series_id": "site"}
    made = tsforecast.train(table if train is None else train, "power", model="linear", test=test, **sizes).forecaster
    return made, backtest(made, frame_of(made, table), **span)


@pytest.mark.parametrize(("test", "folds"), [("30", 27), ("4", 1), ("0.1", 13)])
def test_all_rows_after_the_last_seen_are_covered(test: str, folds: int) -> None:
    _, made = run(pa.table(hours(160)), test=test)
    rows = folds + H - 1
    assert (made.forecasts[0].actual.shape, made.scored, made.unscored) == ((folds, H), rows, 0)
    np.testing.assert_array_equal(made.forecasts[0].actual[:, 0], hours(160)["power"][160 - rows : 160 - H + 1])


def test_forecasts_are_those_of_predict_at_the_same_cutoff() -> None:
    table = pa.table(hours(160))
    forecaster, made = run(table)
    frame, f = frame_of(forecaster, table), made.forecasts[0]
    for fold in (0, 13, 26):
        again = predict(forecaster, frame, at=int(f.cutoff[fold]))
        np.testing.assert_allclose(f.forecast[fold], again.values[0, :, 0], rtol=1e-6)
        np.testing.assert_array_equal(f.time[fold], again.time[0])


def test_baselines_repeat_the_last_value_the_last_season_and_the_mean_step() -> None:
    values = hours(160)["power"].astype(np.float64)
    _, made = run(pa.table(hours(160)))
    f, steps = made.forecasts[0], np.arange(1, H + 1)
    cutoffs = np.arange(129, 156)
    np.testing.assert_allclose(f.baselines["naive"], np.repeat(values[cutoffs, None], H, axis=1))
    np.testing.assert_allclose(f.baselines["seasonal_naive"], values[cutoffs[:, None] + steps - SEASON])
    slope = (values[129] - values[0]) / 129
    np.testing.assert_allclose(f.baselines["drift"], values[cutoffs, None] + slope * steps, rtol=1e-5)
    seasonal = np.abs(values[SEASON:130] - values[: 130 - SEASON])
    np.testing.assert_allclose(f.scale[0], [seasonal.mean(), (seasonal**2).mean()], rtol=1e-5)


def test_stride_and_n_windows_keep_the_newest_rows() -> None:
    table = pa.table(hours(160))
    strided = run(table, stride=H)[1].forecasts[0]
    assert len(strided.actual) == 7
    assert len(run(table, n_windows=2)[1].forecasts[0].actual) == 2
    for made in (strided, run(table, n_windows=2)[1].forecasts[0]):
        np.testing.assert_array_equal(made.actual[-1], hours(160)["power"][-H:])


def test_each_series_is_scored_after_its_own_end_and_unknown_ones_from_their_start() -> None:
    parts = [pa.table(hours(rows, site=site)) for site, rows in (("a", 160), ("b", 120))]
    longer = [pa.table(hours(rows, site=site)) for site, rows in (("a", 165), ("b", 124), ("new", 60))]
    _, made = run(pa.concat_tables(longer), train=pa.concat_tables(parts), test="0")
    series = np.array(made.forecasts[0].series_names)[made.forecasts[0].series]
    counts = {str(name): int(n) for name, n in zip(*np.unique(series, return_counts=True), strict=True)}
    assert counts == {"a": 5 - H + 1, "b": 1, "new": 60 - L - H + 1}
    assert np.isnan(made.forecasts[0].scale[2]).all()


def test_folds_never_reach_over_a_hole_in_their_lags() -> None:
    columns = hours(160)
    columns["power"][140] = np.nan
    forecaster, made = run(pa.table(columns), train=pa.table(hours(160)))
    f = made.forecasts[0]
    assert forecaster.shape.lags == L
    place = (f.cutoff - columns["time"][0].astype(np.int64)) // 3_600_000_000
    np.testing.assert_array_equal(place, [*range(129, 140), *range(152, 157)][: len(place)])
    assert np.isnan(f.actual).sum() == H
    assert (made.scored, made.unscored) == (13 + 7, 29 - 20)


def test_rows_without_a_target_at_the_end_are_no_folds() -> None:
    columns = hours(160)
    columns["power"][150:] = np.nan
    _, made = run(pa.table(columns), train=pa.table(hours(160)))
    assert len(made.forecasts[0].actual) == 20 - H + 1


@pytest.mark.parametrize(
    ("rows", "span", "message"),
    [
        (130, {}, "has seen every row"),
        (132, {}, "only 2 rows follow those the model has seen, the horizon is 4"),
        (160, {"horizon": 50}, "only 30 rows follow"),
    ],
)
def test_nothing_to_score_says_why(rows: int, span: dict[str, Any], message: str) -> None:
    table = pa.table(hours(160))
    with pytest.raises(DataError, match=message):
        run(table.slice(0, rows), train=table, **span)


def test_no_complete_lags_says_so() -> None:
    table = pa.table(hours(160))
    with pytest.raises(DataError, match="no cutoff in the scored rows has 12 complete lags"):
        run(table.slice(135, 14), train=table)


def test_in_sample_starts_with_the_first_complete_lags() -> None:
    _, made = run(pa.table(hours(160)), in_sample=True)
    assert len(made.forecasts[0].actual) == 160 - L - H + 1
    assert made.unscored == L
