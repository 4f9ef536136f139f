"""What a trainer without a gradient may minimise instead of the loss: a registered metric, or a table of costs."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tsforecast.data.frame import Frame
from tsforecast.errors import UsageError, did_you_mean
from tsforecast.forecasting.forecaster import Forecaster
from tsforecast.metrics.base import Metric, Pairs, pairs
from tsforecast.registry import METRICS
from tsforecast.trainers.objective import Fitness

Score = Callable[[Pairs], NDArray[np.float64]]


def make_fitness(name: str, forecaster: Forecaster, frame: Frame) -> Fitness:
    """Return the function that a trainer minimises, in the units of the data, averaged over the targets.

    It is infinite where a forecast is not finite: a metric may leave such pairs out, and would reward them.

    Args:
        name: A registered metric, or a CSV file with the columns ``error`` (forecast minus actual) and ``cost``.
        forecaster: How scaled forecasts become values.
        frame: Rows of train and valid.

    Raises:
        UsageError: Neither a metric nor a readable table of costs.
    """
    score = by_cost(Path(name)) if name.endswith(".csv") else by_metric(name)
    lags, targets = forecaster.shape.lags, forecaster.targets
    observed = [frame.observed(t) for t in range(targets)]

    @np.errstate(all="ignore")
    def fitness(scaled: NDArray[np.float32], starts: NDArray[np.int64]) -> NDArray[np.float64]:
        rows = starts[:, None] + lags + np.arange(scaled.shape[-2])
        series = frame.series_of(starts)
        values = forecaster.to_units(scaled, frame.time[rows], forecaster.scaler.of(series))
        scale = forecaster.memory.scale[series]
        scores = [
            score(
                pairs(
                    observed[t][rows],
                    values[..., t],
                    last=observed[t][rows[:, :1] - 1],
                    scale_abs=scale[:, None, t, 0],
                    scale_sq=scale[:, None, t, 1],
                    rated=forecaster.options.rated,
                )
            )
            for t in range(targets)
        ]
        usable = np.isfinite(scaled).all(axis=(-3, -2, -1))
        return np.where(usable, np.mean(scores, axis=0), np.inf)

    return fitness


def by_metric(name: str) -> Score:
    """Return a registered metric over (..., B, H) pairs, turned so that smaller is better: an accuracy is negated.

    Raises:
        UsageError: No such metric.
    """
    if name not in METRICS:
        hint = f"{did_you_mean(name, ['loss', *METRICS])} (a table of costs is a file that ends in .csv)"
        raise UsageError(f"trainer.fitness={name}: not known", hint=hint)
    metric: Metric = METRICS.get(name)()
    if metric.needs:
        raise UsageError(f"trainer.fitness={name}: scores quantiles", hint="choose a metric of point forecasts: mae")

    def score(of: Pairs) -> NDArray[np.float64]:
        terms = metric.terms(of)
        unknown = np.isnan(sum(terms[1:], start=terms[0]))
        used = (~unknown).sum((-2, -1))
        value = metric.finish(*(np.where(unknown, 0.0, term).sum((-2, -1)) / used for term in terms))
        if metric.smaller_is_better is None:
            return np.abs(value)
        return value if metric.smaller_is_better else -value

    return score


def by_cost(path: Path) -> Score:
    """Return the mean cost of (..., B, H) pairs by a table of errors, linear between its rows and beyond its ends.

    Raises:
        UsageError: The file cannot be read, or is not a table of rising errors with their costs.
    """
    error, cost = _read_costs(path)
    slopes = np.diff(cost) / np.diff(error)

    def score(of: Pairs) -> NDArray[np.float64]:
        below = np.minimum(of.error - error[0], 0.0) * slopes[0]
        above = np.maximum(of.error - error[-1], 0.0) * slopes[-1]
        return np.asarray((np.interp(of.error, error, cost) + below + above).mean(axis=(-2, -1)))

    return score


def _read_costs(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    hint = "write a CSV file with a header error,cost and rows such as -100,50"
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="", skipinitialspace=True)
            lines = [(reader.line_num, line) for line in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise UsageError(f"cannot read the cost table {path}: {problem}", hint=hint) from None
    if not lines or not {"error", "cost"} <= set(lines[0][1]):
        raise UsageError(f"{path}: a cost table has the columns error and cost, and rows", hint=hint)
    values: list[tuple[float, float]] = []
    for number, line in lines:
        try:
            row = float(line["error"]), float(line["cost"])
        except ValueError:
            row = math.nan, math.nan
        if not all(map(math.isfinite, row)):
            raise UsageError(f"{path}:{number}: '{line['error']},{line['cost']}' is not a pair of numbers", hint=hint)
        if values and row[0] <= values[-1][0]:
            raise UsageError(f"{path}:{number}: column 'error': {row[0]:g} does not rise", hint="sort by error")
        values.append(row)
    if len(values) < 2:
        raise UsageError(f"{path}: a cost table needs at least two rows", hint=hint)
    error, cost = np.array(values).T
    return error, cost
