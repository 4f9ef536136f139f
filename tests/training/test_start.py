"""What is linear in the data is known before the first step of training."""

from __future__ import annotations

import numpy as np
import pytest

from tsforecast.data.read import read
from tsforecast.options import ColumnOptions, FitOptions, ReadOptions
from tsforecast.training import start
from tsforecast.training.preparation import prepare


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
    ("tdnn", {"trend": "average"}, {}),
    ("tdnn", {"trend": "exponential"}, {"ensemble": 2, "quantiles": (0.1, 0.9)}),
]


@pytest.mark.parametrize(("model", "settings", "options"), CASES)
def test_a_highway_starts_as_the_regression(data, model, settings, options):
    task = prepared(data, model=model, model_settings=settings, **options)
    assert task.objective.valid_loss(task.forecaster.params) < 0.2 * task.naive_loss()


def test_trend_and_rest_start_with_the_map_of_the_window(data):
    plain, split = (prepared(data, model="tdnn", model_settings={"trend": kind}) for kind in ("none", "average"))
    for task in (plain, split):  # without the state, only what was solved is left
        task.forecaster.params["head.state"][:] = 0
    losses = [task.objective.valid_loss(task.forecaster.params) for task in (plain, split)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


def test_a_bias_that_segments_share_stays(data):
    """Two segments of three steps and two targets have six biases, as many as the horizon has steps."""
    settings = {"decoder": "segments", "segment": 3}
    task = prepared(data, model="gru", model_settings=settings, target=("a", "b"), channels="mixed", normalize="none")
    params = task.forecaster.params
    assert params["head.bias"].shape == (6,)
    assert not params["head.bias"].any()
    assert np.abs(params["head.highway"]).max() > 0.05  # twice what could be drawn


def test_of_all_rows_the_regression_has_the_penalty_that_validation_chose(tmp_path, monkeypatch):
    """Changes go on in the training rows and turn round in those of validation: there, the least is best."""
    rng, change = np.random.default_rng(0), [0.0]
    for step in range(1_999):
        change.append((0.8 if step < 1_600 else -0.8) * change[-1] + rng.normal())
    path = tmp_path / "turning.csv"
    path.write_text("a\n" + "".join(f"{value:.4f}\n" for value in np.cumsum(change)))
    monkeypatch.setattr(start, "PENALTIES", (1e-5, 1e6))
    task = prepared(path, model="gru")
    chosen = start.initial(task.forecaster, task.whole, task.objective)["head.highway"]
    assert np.abs(chosen).max() < 1e-3
    assert np.abs(start.initial(task.forecaster, task.whole)["head.highway"]).max() > 0.1
    assert not np.array_equal(chosen, task.forecaster.params["head.highway"])


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


@pytest.mark.parametrize("model", ["naive", "seasonal_naive", "drift"])
def test_a_baseline_is_never_taken_apart(data, model):
    tasks = [prepared(data, target=("a", "b"), model=model, channels=how) for how in ("mixed", "independent")]
    losses = [task.objective.valid_loss(task.forecaster.params) for task in tasks]
    assert losses[0] == losses[1]
