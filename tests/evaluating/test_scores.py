"""The score table agrees with scoring each selection of pairs by hand."""

from dataclasses import replace

import numpy as np
import pytest

from tsforecast.errors import UsageError
from tsforecast.evaluating.forecasts import Forecasts
from tsforecast.evaluating.scores import metrics_for, score_table
from tsforecast.registry import METRICS


def make(folds=60, horizon=5, names=("a", "b", "c"), seed=0):
    rng = np.random.default_rng(seed)
    cutoff = np.arange(folds)
    actual = rng.integers(-3, 9, (folds, horizon)).astype(float)
    actual[rng.random(actual.shape) < 0.1] = np.nan
    return Forecasts(
        target="power",
        unit_time="h",
        series=rng.integers(0, len(names), folds),
        series_names=names,
        cutoff=cutoff,
        time=cutoff[:, None] + np.arange(1, horizon + 1),
        is_clock=False,
        actual=actual,
        forecast=rng.normal(3, 3, actual.shape),
        last=rng.integers(-3, 9, folds).astype(float),
        baselines={"naive": rng.normal(3, 4, actual.shape)},
        season_length=24,
        scale=np.array([[1.0, 2.0], [np.nan, np.nan], [0.5, 0.3]])[: len(names)],
        quantiles={level: rng.normal(10 * level - 2, 2, actual.shape) for level in (0.1, 0.5, 0.9)},
    )


def find(table, **key):
    (record,) = [r for r in table if all(r[k] == v for k, v in key.items())]
    return record


def part(whole, rows):
    """The selected pairs of an evaluation as a flat selection."""
    flat = {k: np.broadcast_to(getattr(whole, k), whole.actual.shape)[rows] for k in ("actual", "forecast", "last")}
    scale = {k: np.broadcast_to(getattr(whole, k), whole.actual.shape)[rows] for k in ("scale_abs", "scale_sq")}
    return replace(whole, **flat, **scale, quantiles={k: v[rows] for k, v in whole.quantiles.items()})


def selections(f):
    steps = np.broadcast_to(np.arange(1, f.actual.shape[1] + 1), f.actual.shape)
    yield (None, None), np.ones(f.actual.shape, bool)
    yield from (
        ((name, None), np.repeat(f.series == s, steps.shape[1]).reshape(steps.shape))
        for s, name in enumerate(f.series_names)
    )
    yield from (((None, h), steps == h) for h in range(1, steps.shape[1] + 1))


@pytest.mark.parametrize("folds", [60, 20_000])
def test_every_record_is_the_score_of_its_pairs(folds):
    f = make(folds)
    table = score_table(f, list(METRICS))
    assert len(table) == 2 * (1 + 3 + 5)
    for (series, step), rows in selections(f):
        for model, values in {"forecast": f.forecast, "naive": f.baselines["naive"]}.items():
            record = find(table, rows="all", series=series, step=step, model=model)
            some = part(f.pairs(None if model == "forecast" else values), rows)
            assert record["n"] == np.isfinite(some.actual).sum()
            for name in METRICS:
                metric = METRICS.get(name)()
                assert record[name] == pytest.approx(metric.score(some), nan_ok=True), (name, series, step)
                if model == "forecast" or not metric.needs:
                    assert record.get(f"{name}_excluded", 0) == record["n"] - metric.count(some)


def test_zeros_left_out_of_mape_are_counted():
    record = score_table(make(), ["mape"])[0]
    assert 0 < record["mape_excluded"] < record["n"]


def test_values_are_plain_numbers():
    assert {type(v) for v in score_table(make(), ["mae"])[0].values()} <= {str, int, float, type(None)}


def test_one_series_has_no_records_by_series():
    assert all(r["series"] is None for r in score_table(make(names=("",)), ["mae"]))


def test_daylight_rows_are_a_block_of_their_own():
    f = make()
    day = np.random.default_rng(1).random(f.actual.shape) < 0.5
    table = score_table(replace(f, daylight=day), ["mae"])
    record = find(table, rows="daylight", series=None, step=None, model="forecast")
    assert record["mae"] == pytest.approx(np.nanmean(np.abs(f.forecast - f.actual)[day]))
    assert find(table, rows="all", series=None, step=None, model="forecast")["n"] > record["n"]


def test_no_folds_score_nan():
    f = make().take(np.array([], dtype=np.int64))
    record = score_table(f, list(METRICS))[0]
    assert record["n"] == 0
    assert all(np.isnan(record[name]) for name in METRICS)


def test_folds_and_rows_keep_their_quantiles():
    f = make()
    assert all(np.array_equal(f.take(np.array([7, 3])).quantiles[k], v[[7, 3]]) for k, v in f.quantiles.items())
    rows = f.by_row()
    assert all(np.array_equal(rows.quantiles[k][:, 0], v.ravel()) for k, v in f.quantiles.items())


def test_metrics_are_those_that_the_forecasts_have_what_they_need_for():
    def only(*levels):
        return [replace(make(), quantiles={level: make().forecast for level in levels})]

    assert metrics_for([make()]) == list(METRICS)
    assert metrics_for(only()) == [name for name in METRICS if not METRICS.get(name).needs]
    assert metrics_for(only(0.5, 0.9)) == [name for name in METRICS if METRICS.get(name).needs != "interval"]
    assert metrics_for(only(), ["rmse", "mae"]) == ["rmse", "mae"]
    with pytest.raises(UsageError, match=r"--metric wql: there are no quantiles.*--quantiles"):
        metrics_for(only(), ["mae", "wql"])
    with pytest.raises(UsageError, match=r"--metric width: no central interval lies between the levels 0\.5, 0\.9"):
        metrics_for(only(0.5, 0.9), ["width"])
    with pytest.raises(UsageError, match="did you mean 'rmse'"):
        metrics_for([make()], ["rsme"])


def test_unknown_metric():
    with pytest.raises(UsageError, match="did you mean 'rmse'"):
        score_table(make(), ["rsme"])
