"""What is minimised instead of the loss: a metric is that of the registry, a cost is read off its table."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from tsforecast.config import option
from tsforecast.data.frame import Frame
from tsforecast.data.read import read
from tsforecast.errors import UsageError
from tsforecast.forecasting.prediction import read_frame
from tsforecast.metrics.base import pairs
from tsforecast.options import ColumnOptions, FitOptions, ReadOptions
from tsforecast.registry import METRICS
from tsforecast.trainers import objective as module
from tsforecast.trainers.none import NoTraining
from tsforecast.training.fitness import make_fitness
from tsforecast.training.preparation import prepare
from tsforecast.training.task import Task

H, ROWS, RATED = 3, 60, 40.0
OF_POINTS = [name for name in METRICS if not METRICS.get(name).needs]


def table() -> pa.Table:
    """Return two series of two targets; zeros and ties among the values, as metrics leave some of them out."""
    rng = np.random.default_rng(0)
    time = np.datetime64("2024-01-01T00", "us") + np.arange(ROWS) * np.timedelta64(1, "h")
    made = {f"y{k}": rng.integers(-3, 9, 2 * ROWS).astype(float) * (k + 1) for k in range(2)}
    return pa.table({"site": ["a"] * ROWS + ["b"] * ROWS, "time": np.tile(time, 2), **made})


@pytest.fixture(scope="module")
def case() -> tuple[Task, Frame]:
    """Prepare a task over both series, with limits that some forecasts exceed."""
    data = read([table()], ReadOptions())
    columns = ColumnOptions(target=("y0", "y1"), series_id="site")
    options = FitOptions(horizon=H, lags="6", season_length=4, model="linear", rated=RATED, floor=-1.0)
    task = prepare(data, columns, ReadOptions(), options)
    return task, read_frame(task.forecaster, data, ReadOptions())[0]


@pytest.fixture(scope="module")
def scaled(case: tuple[Task, Frame]) -> np.ndarray:
    """Draw the forecasts of two candidates, (2, B, H, T)."""
    return np.random.default_rng(1).normal(size=(2, len(case[0].objective.valid), H, 2)).astype(np.float32)


def looked_up(case: tuple[Task, Frame], scaled: np.ndarray, target: int) -> list[tuple[float, ...]]:
    """Return (actual, forecast, last, two scales) of every pair of one target, one after the other."""
    task, frame = case
    scaler, lags, rows = task.forecaster.scaler, task.forecaster.shape.lags, []
    for b, start in enumerate(task.objective.valid):
        first = int(start) + lags
        scale = task.forecaster.memory.scale[0 if start < frame.bounds[1] else 1, target]
        for h in range(H):
            value = float(scaled[b, h, target]) * scaler.spread[target] + scaler.center[target]
            value = min(max(value, -1.0), RATED)
            rows.append((frame.values[first + h, target], value, frame.values[first - 1, target], *scale))
    return rows


@pytest.mark.parametrize("name", OF_POINTS)
def test_a_metric_is_that_of_the_registry_and_smaller_is_better(
    name: str, case: tuple[Task, Frame], scaled: np.ndarray
) -> None:
    metric = METRICS.get(name)()
    sign = {True: lambda x: x, False: lambda x: -x, None: abs}[metric.smaller_is_better]
    expected = []
    for candidate in scaled:
        scores = []
        for target in range(2):
            actual, forecast, last, scale_abs, scale_sq = np.array(looked_up(case, candidate, target)).T
            of = pairs(actual, forecast, last=last, scale_abs=scale_abs, scale_sq=scale_sq, rated=RATED)
            scores.append(sign(metric.score(of)))
        expected.append(np.mean(scores))
    fitness = make_fitness(name, case[0].forecaster, case[1])
    starts = case[0].objective.valid
    np.testing.assert_allclose(fitness(scaled, starts), expected, rtol=1e-5)
    assert fitness(scaled[0], starts) == pytest.approx(expected[0], rel=1e-5)


@pytest.mark.parametrize("name", OF_POINTS)
def test_a_forecast_that_is_not_finite_is_the_worst(name: str, case: tuple[Task, Frame], scaled: np.ndarray) -> None:
    fitness = make_fitness(name, case[0].forecaster, case[1])
    for broken in (np.nan, np.inf, -np.inf):
        exploded = scaled.copy()
        exploded[1, 0, 0, 1] = broken
        assert np.isfinite(fitness(exploded, case[0].objective.valid)).tolist() == [True, False]
        assert fitness(exploded, case[0].objective.valid)[1] == np.inf


@pytest.fixture
def costs(tmp_path: Path) -> Callable[[str], str]:
    """Write a table of costs; return its name."""

    def write(text: str) -> str:
        path = tmp_path / "costs.csv"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def cost_by_hand(error: float, rows: list[tuple[float, float]]) -> float:
    """Follow the line through the two rows around an error, or through the two that are nearest to it."""
    at = next((k for k in range(1, len(rows) - 1) if error <= rows[k][0]), len(rows) - 1)
    (x0, y0), (x1, y1) = rows[at - 1], rows[at]
    return y0 + (error - x0) * (y1 - y0) / (x1 - x0)


@pytest.mark.parametrize("rows", [[(-2, 5), (0, 0), (0.5, 0), (3, 12)], [(-1, 2), (1, -1)], [(5, 1), (6, 4), (8, 4)]])
def test_a_cost_is_read_off_its_table(
    rows: list[tuple[float, float]], case: tuple[Task, Frame], scaled: np.ndarray, costs: Callable[[str], str]
) -> None:
    """Linear between the rows, and beyond the ends as between the last two."""
    text = "\ufefferror, cost,why\n\n" + "".join(f"{error},{cost},because\n" for error, cost in rows)
    fitness = make_fitness(costs(text), case[0].forecaster, case[1])
    errors = [[f - a for a, f, *_ in looked_up(case, scaled[0], target)] for target in range(2)]
    assert min(map(min, errors)) < rows[0][0]
    assert max(map(max, errors)) > rows[-1][0]
    expected = np.mean([cost_by_hand(error, rows) for part in errors for error in part])
    assert fitness(scaled[0], case[0].objective.valid) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "columns error and cost"),
        ("error,cost\n", "columns error and cost, and rows"),
        ("error,price\n1,2\n", "columns error and cost"),
        ("error,cost\n1,2\n", "at least two rows"),
        ("error,cost\n1,2\n1,3\n", r"costs.csv:3: column 'error': 1 does not rise"),
        ("error,cost\n1,2\n\n2,3\n0,3\n", r"costs.csv:5: column 'error': 0 does not rise"),
        ("error,cost\n1,2\n2,many\n", r"costs.csv:3: '2,many' is not a pair of numbers"),
        ("error,cost\n1,2\n\n2\n", r"costs.csv:4: '2,' is not a pair of numbers"),
        ("error,cost\n1,nan\n2,3\n", r"costs.csv:2: '1,nan' is not a pair of numbers"),
        ("error,cost\n1,2\ninf,3\n", r"costs.csv:3: 'inf,3' is not a pair of numbers"),
    ],
)
def test_a_table_that_is_none_is_refused(
    text: str, message: str, case: tuple[Task, Frame], costs: Callable[[str], str]
) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        make_fitness(costs(text), case[0].forecaster, case[1])
    assert caught.value.hint


def test_a_file_that_cannot_be_read_and_a_name_that_is_unknown_are_refused(
    case: tuple[Task, Frame], tmp_path: Path
) -> None:
    latin = tmp_path / "latin.csv"
    latin.write_bytes(b"error,cost\n1,2\n\xff,3\n")
    for name, message in (
        (str(tmp_path / "absent.csv"), "cannot read the cost table .*absent.csv"),
        (str(tmp_path), "not known"),
        (str(latin), "cannot read the cost table .*latin.csv"),
        ("rsme", "fitness=rsme: not known; did you mean 'rmse'"),
        ("crps", "fitness=crps: scores quantiles"),
    ):
        with pytest.raises(UsageError, match=message):
            make_fitness(name, case[0].forecaster, case[1])


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor])
def test_the_objective_judges_by_the_fitness(
    kind: Callable[[Any], Any], case: tuple[Task, Frame], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All validation windows at once, however they were forecast: a root of a mean is no mean of roots."""
    task = case[0]
    seen: list[tuple[np.ndarray, np.ndarray]] = []

    def fitness(forecasts: np.ndarray, starts: np.ndarray) -> np.ndarray:
        seen.append((forecasts, starts))
        return np.asarray(-7.0)

    objective = dataclasses.replace(task.objective, fitness=fitness)
    monkeypatch.setattr(module, "CHUNK", 5)
    params = {k: kind(v) for k, v in task.forecaster.params.items()}
    assert objective.valid_loss(params) == -7
    (forecasts, starts), plain = seen[0], task.objective
    assert len(seen) == 1
    np.testing.assert_array_equal(starts, plain.valid)
    target = plain.tables.target[plain.valid[:, None] + plain.lags + np.arange(H)]
    assert np.abs(forecasts - target).mean() == pytest.approx(plain.valid_loss(params), rel=1e-5)


@dataclasses.dataclass(frozen=True)
class Judged:
    """Options of a trainer that can be told what to minimise."""

    fitness: str = option("loss", "What is minimised.")


def test_a_metric_without_a_value_is_refused_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """A series that never changes has no scaled error."""
    monkeypatch.setattr(NoTraining, "Config", Judged)
    flat = read([table().select(["time"]).slice(0, ROWS).append_column("y", pa.array(np.ones(ROWS)))], ReadOptions())
    given = flat, ColumnOptions(target=("y",)), ReadOptions(), FitOptions(horizon=H, lags="6", model="drift")
    assert prepare(*given, {}, {"fitness": "mae"}).naive_loss() == 0
    with pytest.raises(UsageError, match="fitness=mase has no value for these rows"):
        prepare(*given, {}, {"fitness": "mase"})


def test_a_trainer_that_minimises_a_metric_trains_no_quantiles() -> None:
    columns = ColumnOptions(target=("y0",), series_id="site")
    options = FitOptions(horizon=H, lags="6", model="linear", trainer="genetic", quantiles=(0.1, 0.9), valid="0.4")
    given = read([table()], ReadOptions()), columns, ReadOptions()
    assert prepare(*given, options).forecaster.shape.levels == (0.1, 0.5, 0.9)
    with pytest.raises(UsageError, match=r"cannot train --quantiles: trainer[.]fitness=.* scores a point forecast"):
        prepare(*given, options, {}, {"fitness": "rmse"})
    around = dataclasses.replace(options, intervals="conformal")
    assert prepare(*given, around, {}, {"fitness": "rmse"}).forecaster.shape.levels == ()
