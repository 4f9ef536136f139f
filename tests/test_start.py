"""What is linear in the data is known before the first step of training."""

from __future__ import annotations

import numpy as np
import pytest

from tsforecast.data.read import read
from tsforecast.options import ColumnOptions, FitOptions, ReadOptions
from tsforecast.preparation import prepare


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two series of one recipe: an oscillation that two lags forecast exactly, and some noise upon it."""
    path = tmp_path_factory.mktemp("start") / "data.csv"
    step, rng = np.arange(2_000), np.random.default_rng(0)
    columns = [np.sin(2 * np.pi * step / 9 + shift) + 0.05 * rng.normal(size=len(step)) for shift in (0, 2)]
    path.write_text("a,b\n" + "".join(f"{a:.4f},{b:.4f}\n" for a, b in zip(*columns, strict=True)))
    return path


def prepared(data, rows=None, target=("a",), model_settings=None, **options):
    table = read([str(data)], read_options := ReadOptions(no_time=True))
    fit = FitOptions(**{"horizon": 6, "lags": "18", "valid": "0.2"} | options)
    if rows:
        fit = FitOptions(**{"horizon": 6, "lags": "18", "valid": "100", "test": str(2_000 - rows)} | options)
    return prepare(table, ColumnOptions(target=target), read_options, fit, model_settings)


CASES = [
    ("gru", {}, {}),
    ("lstm", {}, {"normalize": "revin"}),
    ("tdnn", {}, {"target": ("a", "b")}),
    ("gru", {"decoder": "segments"}, {}),
    ("gru", {}, {"ensemble": 2}),
    ("gru", {}, {"quantiles": (0.1, 0.9)}),
    ("tdnn", {}, {"target": ("a", "b"), "channels": "mixed", "normalize": "mean"}),
]


@pytest.mark.parametrize(("model", "settings", "options"), CASES)
def test_a_highway_starts_as_the_regression(data, model, settings, options):
    task = prepared(data, model=model, model_settings=settings, **options)
    assert task.objective.valid_loss(task.forecaster.params) < 0.2 * task.naive_loss()


def test_networks_of_single_series_start_as_the_regression_of_all(data, tmp_path):
    rows = data.read_text().splitlines()[1:]
    long = tmp_path / "long.csv"
    long.write_text("id,y\n" + "".join(f"{k},{row.split(',')[k]}\n" for k in (0, 1) for row in rows))
    table = read([str(long)], ReadOptions(no_time=True))
    columns, options = ColumnOptions(target=("y",), series_id="id"), FitOptions(horizon=6, lags="18", local=True)
    task = prepare(table, columns, ReadOptions(no_time=True), options)
    assert task.objective.valid_loss(task.forecaster.params) < 0.2 * task.naive_loss()


def test_a_start_is_the_same_every_time(data):
    one, other = (prepared(data).forecaster.params for _ in range(2))
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_few_windows_leave_the_start_to_chance(data):
    drawn = prepared(data, rows=600, model="gru")
    highway = drawn.forecaster.params["head.highway"]
    assert np.array_equal(highway, drawn.forecaster.network.init(np.random.default_rng(0))["head.highway"])


def test_without_a_highway_nothing_is_solved(data):
    task = prepared(data, model_settings={"highway": False})
    drawn = task.forecaster.network.init(np.random.default_rng(0))
    assert all(np.array_equal(drawn[name], value) for name, value in task.forecaster.params.items())


def test_the_slope_of_drift_is_measured(data):
    task = prepared(data, model="drift")
    used = task.objective.train + task.objective.lags - 1
    change = np.diff(task.objective.tables.target[:, 0])[used]
    assert task.forecaster.params["slope"] == pytest.approx(change.mean(), abs=1e-6)
