"""What chance does to a share of hits, and the worst stretch of them."""

import math

import numpy as np
import pytest

from tsforecast.metrics.coverage import lowest_local, tolerance

ONE = np.zeros(400, np.int64)


def hits(share, folds=400, horizon=1, seed=0):
    return (np.random.default_rng(seed).random((folds, horizon)) < share).astype(float)


def test_independent_forecasts_have_the_binomial_spread():
    reach = [tolerance(hits(0.9, seed=k), 0.9, series=np.arange(400), overlap=0) for k in range(20)]
    assert np.mean(reach) == pytest.approx(1.96 * math.sqrt(0.9 * 0.1 / 400), rel=0.05)


def test_hits_that_come_together_are_worth_less():
    apart, together = hits(0.9, horizon=6), np.repeat(hits(0.9), 6, axis=1)
    both = [tolerance(h, 0.9, series=np.arange(400), overlap=0) for h in (apart, together)]
    assert both[1] / both[0] == pytest.approx(math.sqrt(6), rel=0.1)


def test_honest_intervals_are_seldom_called_dishonest_though_folds_overlap():
    rng, wrong = np.random.default_rng(0), 0
    for _ in range(200):
        steps = np.abs(np.convolve(rng.normal(size=700), np.ones(4) / 2, "valid")) < 1.2816  # 80 % of a normal
        folds = np.lib.stride_tricks.sliding_window_view(steps.astype(float), 12)
        reach = tolerance(folds, 0.8, series=np.zeros(len(folds), np.int64), overlap=11)
        wrong += abs(folds.mean() - 0.8) > reach
    assert 0 < wrong / 200 < 0.12


def test_without_variance_the_folds_apart_count_and_without_hits_anything_goes():
    sure = tolerance(np.ones((400, 12)), 0.9, series=ONE, overlap=11)
    assert sure > tolerance(np.ones((400, 12)), 0.9, series=ONE, overlap=0) > 0
    assert sure > 1.96 * math.sqrt(0.9 * 0.1 / 34)  # 34 folds of 12 rows lie apart
    assert tolerance(np.full((3, 2), np.nan), 0.9, series=ONE[:3], overlap=0) == 1
    assert tolerance(np.ones((1, 2)), 0.9, series=ONE[:1], overlap=0) == 1


@pytest.mark.parametrize("holes", [False, True])
def test_the_worst_stretch_is_that_of_a_plain_search(holes):
    found, series = hits(0.8, folds=90, horizon=3), np.repeat([0, 1], [60, 30])
    if holes:
        found[np.random.default_rng(1).random(found.shape) < 0.1] = np.nan
    lowest = []
    for code in (0, 1):
        for column in found[series == code].T:
            known = [x for x in column if not math.isnan(x)]
            lowest += [sum(known[k : k + 20]) / 20 for k in range(len(known) - 19)]
    assert lowest_local(found, series=series, window=20) == pytest.approx(min(lowest))
    assert math.isnan(lowest_local(found, series=series, window=61))
