"""The baselines of an evaluation are the models of the same name, wherever a forecast comes from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tsforecast.data.build import Schema, build
from tsforecast.data.frame import Frame
from tsforecast.data.read import read
from tsforecast.forecasting.baselines import baselines, mean_steps, seasonal_differences
from tsforecast.models.base import Dims, Inputs
from tsforecast.models.naive import Drift, Naive, SeasonalNaive
from tsforecast.ops.numpy_ops import NumpyOps
from tsforecast.options import ReadOptions

ROWS, SEASON, H, TARGETS = 40, 5, 8, 2
RNG = np.random.default_rng(0)
VALUES = {"power": RNG.normal(size=2 * ROWS), "wind": RNG.normal(size=2 * ROWS)}


def make(keep: Any = slice(None)) -> Frame:
    """Return two series of forty hours each, or only some of their rows."""
    hours = np.datetime64("2024-01-01T00", "us") + np.tile(np.arange(ROWS), 2) * np.timedelta64(1, "h")
    columns = {"time": hours, "site": np.repeat(["a", "b"], ROWS), **VALUES}
    table = read([pa.table({name: cells[keep] for name, cells in columns.items()})], ReadOptions())
    return build(table, Schema(target=("power", "wind"), series_id="site"), ReadOptions())[0]


def test_they_are_the_models_of_the_same_name() -> None:
    origins, slope = np.array([20, 39, 60]), RNG.normal(size=(3, TARGETS))
    past = np.stack([make().values[k + 1 - SEASON : k + 1] for k in origins])
    empty = past[:, :, :0]
    inputs = Inputs(past, empty, empty[:, :0], past[:, 0, :0], origins, origins, empty, empty)
    dims = Dims(lags=SEASON, horizon=H, targets=TARGETS, past=0, future=0, static=0, season_length=SEASON)
    params = {"drift": {"slope": slope[:, None].astype(np.float32)}}
    found = baselines(make(), origins, np.arange(1, H + 1)[None], SEASON, slope)
    for name, model in {"naive": Naive, "seasonal_naive": SeasonalNaive, "drift": Drift}.items():
        made = model(None, dims).apply(NumpyOps(), params.get(name, {}), inputs)[..., 0]
        np.testing.assert_allclose(found[name], made, rtol=1e-5, atol=1e-6, err_msg=name)


def test_steps_may_lie_apart_and_be_unknown() -> None:
    ahead = np.array([[1, 3, 11], [2, 0, -4]])
    found = baselines(make(), np.array([20, 60]), ahead, SEASON, np.ones((2, TARGETS)))
    values = make().values.astype(np.float64)
    np.testing.assert_array_equal(found["seasonal_naive"][0], values[[16, 18, 16]])
    np.testing.assert_array_equal(found["seasonal_naive"][1], [values[57], *np.full((2, TARGETS), np.nan)])
    np.testing.assert_allclose(found["drift"][0], values[20] + np.array([[1], [3], [11]]))
    assert np.isnan(found["drift"][1, 1:]).all() and np.isfinite(found["naive"]).all()


def test_a_fold_without_a_known_row_has_none() -> None:
    found = baselines(make(), np.array([-1]), np.arange(1, H + 1)[None], SEASON, np.ones((1, TARGETS)))
    assert all(made.shape == (1, H, TARGETS) and np.isnan(made).all() for made in found.values())


def test_no_season_reaches_over_a_gap_or_into_another_series() -> None:
    frame = make(np.r_[0:20, 22 : 2 * ROWS])  # rows 0 to 19 of the first series, then its hours 22 to 39
    found = baselines(frame, np.array([21, 39]), np.arange(1, SEASON + 1)[None], SEASON, np.ones((2, TARGETS)))
    known = np.isfinite(found["seasonal_naive"][..., 0])
    assert known.tolist() == [[True, False, False, True, True], [False, False, False, True, True]]


@pytest.mark.parametrize("season", [1, SEASON, 3 * ROWS])
def test_slope_and_scale_are_those_of_a_plain_loop(season: int) -> None:
    frame = make(np.r_[0:20, 22 : 2 * ROWS])
    rows = np.arange(len(frame.time)) % ROWS < 30
    place = np.r_[0:20, 22 : 2 * ROWS]  # hours of both series, one after the other
    for s in range(2):
        own = [r for r in np.flatnonzero(rows) if frame.bounds[s] <= r < frame.bounds[s + 1]]
        for t in range(TARGETS):
            value = {int(place[r]): float(frame.values[r, t]) for r in range(len(place))}
            first = s * ROWS
            gone = [abs(value[p] - value[p - d]) for p, d in _pairs(place[own], season, first, value)]
            steps = [value[p] - value[p - d] for p, d in _pairs(place[own], 1, first, value)]
            scale = seasonal_differences(frame, rows, season, TARGETS)[s, t]
            expected = [np.mean(gone), np.mean(np.square(gone))] if gone else [np.nan] * 2
            np.testing.assert_allclose(scale, expected, rtol=1e-6)
            np.testing.assert_allclose(mean_steps(frame, rows, TARGETS)[s, t], np.mean(steps), rtol=1e-5, atol=1e-7)


def _pairs(places: Any, distance: int, first: int, value: dict[int, float]) -> list[tuple[int, int]]:
    """Return the places that have every step of the distance before them, in the series that begins at ``first``."""
    return [
        (int(p), distance)
        for p in places
        if p - distance >= first and all(int(p) - d in value for d in range(distance + 1))
    ]
