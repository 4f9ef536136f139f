"""The forecasts of an evaluation: the order of their folds, and how far these overlap."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tsforecast.evaluating.forecasts import Forecasts


def make(cutoffs: dict[int, list[int]], steps: int) -> Forecasts:
    """Return folds of one step per unit of time at the cutoffs of each series."""
    series = np.concatenate([np.full(len(at), s) for s, at in cutoffs.items()])
    cutoff = np.concatenate([np.array(at) for at in cutoffs.values()])
    time = cutoff[:, None] + np.arange(1, steps + 1)
    values = 1000.0 * series[:, None] + time
    return Forecasts(
        target="power",
        unit_time="step",
        series=series,
        series_names=("a", "b"),
        cutoff=cutoff,
        time=time,
        is_clock=False,
        actual=values,
        forecast=values + 0.5,
        last=values[:, 0] - 1,
        baselines={"naive": values - 1},
        season_length=1,
        scale=np.ones((2, 2)),
        quantiles={0.5: values + 0.25},
    )


def test_folds_are_put_in_the_order_of_series_and_cutoff() -> None:
    f = make({1: [5, 3], 0: [9, 7, 8]}, 2)
    ordered = f.in_order()
    assert ordered.series.tolist() == [0, 0, 0, 1, 1]
    assert ordered.cutoff.tolist() == [7, 8, 9, 3, 5]
    np.testing.assert_array_equal(ordered.forecast[:, 0], [8.5, 9.5, 10.5, 1004.5, 1006.5])
    np.testing.assert_array_equal(ordered.quantiles[0.5], ordered.forecast - 0.25)
    np.testing.assert_array_equal(ordered.baselines["naive"], ordered.actual - 1)


def test_folds_in_order_stay_as_they_are() -> None:
    for f in (make({0: [7, 8, 9], 1: [3, 5]}, 2), make({0: [7]}, 2), make({0: []}, 2)):
        assert f.in_order() is f


@pytest.mark.parametrize(("stride", "steps"), [(1, 1), (1, 6), (2, 6), (5, 6), (6, 6), (9, 6)])
def test_shared_folds_are_those_of_a_plain_count(stride: int, steps: int) -> None:
    at = {0: [*range(0, 40, stride)], 1: [*range(100, 120, stride)]}
    f = make(at, steps)
    counts = [sum(c < later < c + steps for later in own) for own in at.values() for c in own]
    assert f.shared_folds() == max(counts)


def test_unlike_series_are_brought_to_their_own_units() -> None:
    """Those of MASE; where that is not known the error of naive; of what stays flat its level, or 1."""
    f = make({0: [7, 8], 1: [3, 5], 2: [4]}, 2)
    f = replace(f, series_names=("a", "b", "c"), scale=np.array([[4.0, 9.0], [0.0, 0.0], [np.nan, np.nan]]))
    f.last[4] = f.actual[4, 0]
    f.actual[4] = f.last[4]
    assert f.comparable() is f
    f = replace(f, unlike=True)
    assert f.comparable("%") is f
    made = f.comparable("target")
    np.testing.assert_array_equal(made.actual[:2], f.actual[:2] / 4)
    np.testing.assert_array_equal(made.quantiles[0.5][:2], f.quantiles[0.5][:2] / 4)
    np.testing.assert_array_equal(made.scale[0], [1, 9 / 16])
    naive = np.abs(f.actual - f.last[:, None])[2:4].mean()
    for name in ("forecast", "actual"):
        np.testing.assert_allclose(getattr(made, name)[2:4], getattr(f, name)[2:4] / naive)
    np.testing.assert_allclose(made.last[2:4], f.last[2:4] / naive)
    np.testing.assert_allclose(made.baselines["naive"][2:4], f.baselines["naive"][2:4] / naive)
    level = f.actual[4, 0]
    np.testing.assert_allclose(made.actual[4], 1)
    np.testing.assert_allclose(made.forecast[4], f.forecast[4] / level)
    for nothing in (0.0, np.nan):
        f.actual[4] = f.last[4] = nothing
        np.testing.assert_array_equal(f.comparable("target").forecast[4], f.forecast[4])
