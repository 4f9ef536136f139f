"""Every registered metric equals a plain loop over the pairs, and says what it is."""

import itertools
import math
import warnings
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsforecast.metrics.base import Metric, central, pairs, settled
from tsforecast.metrics.direction import wilson_interval
from tsforecast.registry import METRICS

RATED = 40.0
LEVELS = (0.05, 0.25, 0.5, 0.95)  # unevenly spaced, and 0.25 has no counterpart


def _mean(values):
    return sum(values) / len(values) if values else math.nan


def _r2(rows):
    mean = _mean([a for a, *_ in rows])
    spread = sum((a - mean) ** 2 for a, *_ in rows)
    return 1 - sum((f - a) ** 2 for a, f, *_ in rows) / spread if spread else math.nan


def _wape(rows):
    total = sum(abs(a) for a, *_ in rows)
    return 100 * sum(abs(f - a) for a, f, *_ in rows) / total if total else math.nan


def _direction(rows):
    return _mean([float((f > last) - (f < last) == (a > last) - (a < last)) for a, f, last, *_ in rows if a != last])


def _pinball(level, actual, quantile):
    return level * (actual - quantile) if actual >= quantile else (1 - level) * (quantile - actual)


def _wql(rows):
    total = sum(abs(a) for a, *_ in rows)
    if not total:
        return math.nan
    return _mean([2 * sum(_pinball(t, a, q[i]) for a, *_, q in rows) / total for i, t in enumerate(LEVELS)])


def _crps(rows):
    nodes = [[(0, 0), *((t, _pinball(t, a, x)) for t, x in zip(LEVELS, q, strict=True)), (1, 0)] for a, *_, q in rows]
    return _mean([2 * sum((t - s) * (k + m) / 2 for (s, k), (t, m) in itertools.pairwise(n)) for n in nodes])


def _msis(rows):
    fines = [20 * (q[0] - a if a < q[0] else a - q[-1] if a > q[-1] else 0) for a, *_, q in rows]
    return _mean([(r[4][-1] - r[4][0] + fine) / r[3] for r, fine in zip(rows, fines, strict=True) if r[3] > 0])


ORACLES = {
    "mae": lambda rows: _mean([abs(f - a) for a, f, *_ in rows]),
    "rmse": lambda rows: math.sqrt(_mean([(f - a) ** 2 for a, f, *_ in rows])),
    "nrmse": lambda rows: math.sqrt(_mean([(f - a) ** 2 for a, f, *_ in rows])) / RATED,
    "mape": lambda rows: _mean([100 * abs(f - a) / abs(a) for a, f, *_ in rows if a != 0]),
    "smape": lambda rows: _mean([200 * abs(f - a) / (abs(a) + abs(f)) if a or f else 0 for a, f, *_ in rows]),
    "wape": _wape,
    "mase": lambda rows: _mean([abs(f - a) / s for a, f, _, s, _ in rows if s > 0]),
    "rmsse": lambda rows: math.sqrt(_mean([(f - a) ** 2 / s**2 for a, f, _, s, _ in rows if s > 0])),
    "r2": _r2,
    "fit": lambda rows: 100 * (1 - math.sqrt(1 - _r2(rows))),
    "bias": lambda rows: _mean([f - a for a, f, *_ in rows]),
    "directional_accuracy": _direction,
    "pinball": lambda rows: _mean([_pinball(t, a, x) for a, *_, q in rows for t, x in zip(LEVELS, q, strict=True)]),
    "wql": _wql,
    "crps": _crps,
    "coverage": lambda rows: _mean([float(q[0] <= a <= q[-1]) for a, *_, q in rows]),
    "width": lambda rows: _mean([q[-1] - q[0] for *_, q in rows]),
    "msis": _msis,
}

# Whole numbers meet zeros and ties often, and leave nothing to rounding but the order of the sums.
value = st.integers(-20, 20).map(float)
row = st.tuples(
    st.one_of(value, st.just(math.nan)),
    value,
    value,
    st.sampled_from([0.0, 1.0, 2.5, math.nan]),
    st.lists(value, min_size=len(LEVELS), max_size=len(LEVELS)).map(sorted),
)


def make(rows):
    actual, forecast, last, scale = np.array([r[:4] for r in rows], dtype=float).reshape(-1, 4).T
    quantiles = dict(zip(LEVELS, np.array([r[4] for r in rows], dtype=float).reshape(-1, len(LEVELS)).T, strict=True))
    return pairs(actual, forecast, last=last, scale_abs=scale, scale_sq=scale**2, rated=RATED, quantiles=quantiles)


def point(actual, forecast):
    """The pairs of a forecast that is sure of itself: every quantile is the forecast."""
    return pairs(actual, forecast, scale_abs=1.0, scale_sq=1.0, quantiles=dict.fromkeys(LEVELS, forecast))


def test_every_metric_has_an_oracle():
    assert set(ORACLES) == set(METRICS)


@pytest.mark.parametrize("name", list(METRICS))
@settings(max_examples=40, deadline=None)
@given(rows=st.lists(row, max_size=12))
def test_equals_a_plain_loop(name, rows):
    known = [r for r in rows if not math.isnan(r[0])]
    score = METRICS.get(name)().score(make(rows))
    assert score == pytest.approx(ORACLES[name](known), rel=1e-9, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("name", list(METRICS))
def test_describes_itself(name):
    metric = METRICS.get(name)
    assert issubclass(metric, Metric)
    assert metric.name == name
    assert metric.help.endswith(".") and metric.source
    assert metric.unit in {"target", "%", "1"}
    assert metric.needs in {"", "quantiles", "interval"}


@pytest.mark.parametrize("name", list(METRICS))
@pytest.mark.parametrize("actual", [[], [math.nan, math.nan]])
def test_nothing_to_score_is_nan_without_a_warning(name, actual):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metric = METRICS.get(name)()
        some = point(actual, np.ones(len(actual)))
        assert math.isnan(metric.score(some))
        assert metric.count(some) == 0


@pytest.mark.parametrize("name", [n for n in METRICS if METRICS.get(n).smaller_is_better])
def test_a_loss_is_zero_for_a_perfect_forecast_and_grows_with_the_error(name):
    metric, actual = METRICS.get(name)(), np.array([1.0, 2.0, 4.0])
    assert metric.score(point(actual, actual)) == 0
    near, far = (metric.score(point(actual, actual + by)) for by in (0.5, 1.0))
    assert 0 < near < far


@pytest.mark.parametrize("name", [n for n in METRICS if METRICS.get(n).smaller_is_better])
def test_an_exploded_forecast_does_not_vanish_from_the_score(name):
    metric = METRICS.get(name)()
    one_off, exploded = (point([1.0, 2.0], [1.0, worst]) for worst in (3.0, math.inf))
    assert metric.score(exploded) > metric.score(one_off)


def test_mape_counts_only_what_it_can_score():
    some = pairs([0.0, 2.0, 0.0, 4.0], [1.0, 1.0, 1.0, 4.0])
    mape = METRICS.get("mape")()
    assert mape.score(some) == 25.0
    assert mape.count(some) == 2
    assert mape.excludes == "zero actuals"


def test_nrmse_without_a_rated_value_divides_by_the_range():
    assert METRICS.get("nrmse")().score(pairs([0.0, 10.0], [1.0, 9.0])) == pytest.approx(0.1)


def test_bias_is_positive_when_the_forecast_is_too_high():
    assert METRICS.get("bias")().score(pairs([1.0, 2.0], [2.0, 4.0])) == 1.5


def test_r2_survives_a_large_level():
    noise = np.random.default_rng(0).normal(size=1000)
    assert METRICS.get("r2")().score(pairs(1e9 + noise, 1e9 + 0.9 * noise)) == pytest.approx(0.99, abs=1e-3)


def test_what_float32_leaves_over_is_no_direction():
    """The close of 2020-05-07 and its forecast by the last value, which went through a float32 logarithm."""
    direction, price = METRICS.get("directional_accuracy")(), 2874.560059
    assert direction.score(pairs([price + 9], [2874.5608], last=price)) == 0
    assert direction.count(pairs([2874.5608], [price + 9], last=price)) == 0
    assert direction.score(pairs([price + 9], [price + 0.01], last=price)) == 1  # a tick is a move
    assert direction.score(pairs([5.0], [1e-5], last=0.0, scale_abs=100.0)) == 0  # scaled with a spread of that size
    assert direction.score(pairs([5.0], [1e-5], last=0.0, scale_abs=0.1)) == 1


def test_settled_takes_the_reference_only_where_rounding_tells_it_apart():
    values = np.array([1000.0005, 1000.01, np.nan, np.inf, 5.0])
    reference = np.array([1000.0, 1000.0, 1000.0, np.inf, np.nan])
    np.testing.assert_array_equal(settled(values, reference, np.array(np.nan)), [1000, 1000.01, np.nan, np.inf, 5])


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"), [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611)]
)
def test_wilson_interval_of_the_literature(hits, n, low, high):
    # Newcombe 1998, Two-sided confidence intervals for the single proportion, table I, method 3.
    assert wilson_interval(hits / n, n) == pytest.approx((low, high), abs=5e-5)


def test_wilson_interval_of_nothing_is_everything():
    assert wilson_interval(math.nan, 10) == wilson_interval(0.5, 0) == (0.0, 1.0)


@pytest.mark.parametrize("name", [n for n in METRICS if METRICS.get(n).needs])
def test_a_point_forecast_has_no_score_of_quantiles(name):
    metric, some = METRICS.get(name)(), pairs([1.0, 2.0], [1.0, 3.0], scale_abs=1.0)
    assert math.isnan(metric.score(some)) and metric.count(some) == 0
    upper = pairs([1.0, 2.0], [1.0, 3.0], scale_abs=1.0, quantiles={0.9: [2.0, 3.0]})
    assert math.isnan(metric.score(upper)) == (metric.needs == "interval")


def test_central_intervals_are_found_whatever_binary_makes_of_them():
    levels = [k / 10 for k in range(1, 10)]
    assert 1 - 0.9 != 0.1
    assert central(levels) == [(0.1, 0.9), (0.2, 0.8), (0.3, 0.7), (0.4, 0.6)]
    assert central((0.05, 0.1, 0.5, 0.9)) == [(0.1, 0.9)]
    assert central((0.5, 0.9)) == []


@pytest.mark.parametrize(("levels", "error"), [([k / 10 for k in range(1, 10)], 0.02), ([0.05, 0.5, 0.95], 0.19)])
def test_crps_of_a_normal_forecast_is_near_its_closed_form(levels, error):
    # Gneiting & Raftery 2007, eq. 21: the mean over normal actuals is 1 / sqrt(pi).
    normal = NormalDist()
    actual = np.array([normal.inv_cdf((k + 0.5) / 4000) for k in range(4000)])
    quantiles = {level: np.full(4000, normal.inv_cdf(level)) for level in levels}
    assert METRICS.get("crps")().score(pairs(actual, actual, quantiles=quantiles)) == pytest.approx(
        1 / math.sqrt(math.pi), rel=error
    )


def test_an_honest_interval_beats_both_a_narrower_and_a_wider_one():
    normal = NormalDist()
    actual = np.array([normal.inv_cdf((k + 0.5) / 4000) for k in range(4000)])
    scores = []
    for by in (0.5, 1.0, 2.0):
        quantiles = {level: np.full(4000, by * normal.inv_cdf(level)) for level in (0.05, 0.5, 0.95)}
        some = pairs(actual, actual, scale_abs=1.0, quantiles=quantiles)
        scores.append([METRICS.get(name)().score(some) for name in ("pinball", "wql", "crps", "msis")])
    narrow, honest, wide = np.array(scores)
    assert (honest < narrow).all() and (honest < wide).all()
