"""Who belongs to the top group: Holm's adjustment, ties, and intervals that agree with the p-values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsforecast.metrics.groups import holm, standings
from tsforecast.metrics.significance import diebold_mariano


def test_holm_gives_the_numbers_of_the_textbook():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_keeps_the_order_and_is_between_the_raw_value_and_bonferroni(values):
    adjusted = holm(values)
    for raw, p in zip(values, adjusted, strict=True):
        assert raw <= p <= min(1.0, len(values) * raw) or p == max(adjusted[: len(values)])
    order = np.argsort(values, kind="stable")
    assert list(np.array(adjusted)[order]) == sorted(adjusted)


def losses(folds=400, seed=0):
    """Return the losses of a best forecast, one as good, one that is the same, and one that is worse."""
    rng = np.random.default_rng(seed)
    best = rng.gamma(2, size=(folds, 1))
    return [best, best + rng.normal(0, 0.5, (folds, 1)), best.copy(), best + rng.normal(0.3, 0.5, (folds, 1))]


def test_equal_and_as_good_forecasts_stay_with_the_best_and_a_worse_one_does_not():
    first, alike, same, worse = standings(losses(), 0, overlap=0)
    assert math.isnan(first.p_value)
    assert alike.p_value > 0.05
    assert same.p_value == 1.0
    assert worse.p_value < 0.001


def test_p_values_are_those_of_diebold_mariano_adjusted_by_holm():
    made = losses()
    raw = [diebold_mariano(made[i], made[0], overlap=3).p_value for i in (1, 2, 3)]
    assert [s.p_value for s in standings(made, 0, overlap=3)][1:] == pytest.approx(holm(raw))


def test_an_interval_holds_zero_exactly_where_the_single_test_is_not_significant():
    for seed in range(30):
        rng = np.random.default_rng(seed)
        best = rng.gamma(2, size=(60, 1))
        other = best + rng.normal(0.13, 0.5, (60, 1))
        _, standing = standings([best, other], 0, overlap=0)
        assert (standing.margin > 1) == (standing.p_value > 0.05)
