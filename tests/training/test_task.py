"""What naive is worth: the comparison that every training is told with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tsforecast.data.read import read
from tsforecast.options import ColumnOptions, FitOptions, ReadOptions
from tsforecast.training.preparation import prepare
from tsforecast.training.task import Task

ROWS, LAGS, H, LEVELS = 300, 12, 6, (0.1, 0.5, 0.9)


def task(valid: str, block: int, levels: tuple[float, ...] = LEVELS) -> Task:
    walk = np.cumsum(np.random.default_rng(0).standard_normal(ROWS))
    options = FitOptions(horizon=H, lags=str(LAGS), model="linear", trainer="backprop", quantiles=levels, valid=valid)
    reading = ReadOptions(no_time=True)
    return prepare(
        read([pd.DataFrame({"y": walk})], reading), ColumnOptions(("y",)), reading, options, {"block": block}
    )


def errors(found: Task, starts: Any, steps: int) -> Any:
    """Return what naive lacks to the rows that follow (n, steps)."""
    target = found.objective.tables.target[:, 0]
    last = starts + LAGS - 1
    return target[last[:, None] + np.arange(1, steps + 1)] - target[last][:, None]


@pytest.mark.parametrize("block", [1, 2, H])
@pytest.mark.parametrize("valid", ["0.2", "5"])  # 5 rows hold no validation window: then the training windows judge
def test_naive_has_the_quantiles_of_its_errors_over_the_steps_that_are_judged(valid: str, block: int) -> None:
    found = task(valid, block)
    objective = found.objective
    steps, starts = (H, objective.valid) if len(objective.valid) else (block, objective.train)
    whole = objective.train[objective.train <= objective.train[-1] - (H - block)]
    around = np.quantile(errors(found, whole, H), LEVELS, axis=0)[:, :steps]  # (Q, steps)
    short = around[:, None] - errors(found, starts, steps)
    tilt = 1 - 2 * np.array(LEVELS)[:, None, None]
    assert found.naive_loss() == pytest.approx((np.abs(short) + tilt * short).mean(), rel=1e-4)


def test_without_quantiles_it_is_the_error_of_repeating_the_last_value() -> None:
    found = task("0.2", H, levels=())
    assert found.naive_loss() == pytest.approx(np.abs(errors(found, found.objective.valid, H)).mean(), rel=1e-4)
