"""The scores are those of the M4 competition: its formulas, written as loops over one series at a time."""

import numpy as np
import pyarrow as pa
import pytest

from tsforecast.data.read import read
from tsforecast.evaluating.forecasts import Forecasts
from tsforecast.evaluating.scores import score_table
from tsforecast.options import ColumnOptions, FitOptions, ReadOptions
from tsforecast.training.preparation import prepare

H, SEASON, SERIES, ALPHA = 6, 4, 30, 0.05


def naive_error(known):
    """The denominator of MASE and MSIS: Hyndman & Koehler 2006, over all that was known of one series."""
    return sum(abs(known[t] - known[t - SEASON]) for t in range(SEASON, len(known))) / (len(known) - SEASON)


def smape(actual, forecast):
    return sum(200 * abs(a - f) / (abs(a) + abs(f)) for a, f in zip(actual, forecast, strict=True)) / H


def mase(known, actual, forecast):
    return sum(abs(a - f) for a, f in zip(actual, forecast, strict=True)) / H / naive_error(known)


def msis(known, actual, lower, upper):
    total = 0
    for a, low, high in zip(actual, lower, upper, strict=True):
        total += high - low
        total += 2 / ALPHA * (low - a) * (a < low) + 2 / ALPHA * (a - high) * (a > high)
    return total / H / naive_error(known)


@pytest.fixture(scope="module")
def drawn():
    rng = np.random.default_rng(0)
    known = [rng.uniform(5, 20, rng.integers(10, 60)).tolist() for _ in range(SERIES)]
    actual = rng.uniform(5, 20, (SERIES, H))
    forecast = actual + rng.normal(0, 3, actual.shape)
    return (
        known,
        actual,
        forecast,
        forecast - rng.uniform(0, 4, actual.shape),
        forecast + rng.uniform(0, 4, (SERIES, H)),
    )


def test_the_mean_over_all_pairs_is_the_mean_over_series_where_every_series_has_the_same_horizon(drawn):
    known, actual, forecast, lower, upper = drawn
    scale = np.array([[naive_error(y), np.nan] for y in known])
    cutoff = np.zeros(SERIES, np.int64)
    f = Forecasts(
        target="y",
        unit_time="step",
        series=np.arange(SERIES),
        series_names=tuple(f"M{s}" for s in range(SERIES)),
        cutoff=cutoff,
        time=cutoff[:, None] + np.arange(1, H + 1),
        is_clock=False,
        actual=actual,
        forecast=forecast,
        last=np.array([y[-1] for y in known]),
        baselines={},
        season_length=SEASON,
        scale=scale,
        quantiles={ALPHA / 2: lower, 1 - ALPHA / 2: upper},
    )
    record = score_table(f, ["smape", "mase", "msis"])[0]
    each = [*zip(known, actual, forecast, lower, upper, strict=True)]
    assert record["smape"] == pytest.approx(np.mean([smape(a, p) for _, a, p, *_ in each]))
    assert record["mase"] == pytest.approx(np.mean([mase(y, a, p) for y, a, p, *_ in each]))
    assert record["msis"] == pytest.approx(np.mean([msis(y, a, low, high) for y, a, _, low, high in each]))


def test_a_forecaster_remembers_the_denominator_of_all_rows_before_the_test_part(drawn):
    known, actual, *_ = drawn
    rows = [(f"M{s}", y) for s in range(SERIES) for y in (*known[s], *actual[s])]
    table = pa.table(dict(zip(("id", "y"), zip(*rows, strict=True), strict=True)))
    columns, reading = ColumnOptions(target=("y",), series_id="id"), ReadOptions(no_time=True)
    options = FitOptions(horizon=H, lags="2", season_length=SEASON, model="naive", test=str(H))
    memory = prepare(read([table], reading), columns, reading, options).forecaster.memory
    scale = dict(zip(memory.series, memory.scale[:, 0, 0], strict=True))
    assert [scale[f"M{s}"] for s in range(SERIES)] == pytest.approx([naive_error(y) for y in known], rel=1e-6)
