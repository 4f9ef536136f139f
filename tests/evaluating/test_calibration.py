"""Quantile forecasts are told to be honest when they are, and what is wrong with them when they are not."""

import json
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest

from tsforecast.evaluating.calibration import by_step, calibrate
from tsforecast.evaluating.forecasts import Forecasts

FOLDS, HORIZON, LEVELS = 900, 6, (0.05, 0.25, 0.5, 0.75, 0.95)


def make(levels=LEVELS, spread=1.0, shift=0.0, folds=FOLDS, names=("",)):
    """Forecast normal noise from its true quantiles, but ``spread`` times as wide and ``shift`` too high."""
    folds_of_all = folds * len(names)
    actual = np.concatenate(
        [
            np.lib.stride_tricks.sliding_window_view(np.random.default_rng(s).normal(size=folds + HORIZON - 1), HORIZON)
            for s in range(len(names))
        ]
    )
    cutoff = np.tile(np.arange(folds), len(names))
    normal = NormalDist(shift, spread)
    return Forecasts(
        target="power",
        unit_time="step",
        series=np.repeat(np.arange(len(names)), folds),
        series_names=names,
        cutoff=cutoff,
        time=cutoff[:, None] + np.arange(1, HORIZON + 1),
        is_clock=False,
        actual=actual,
        forecast=np.full(actual.shape, shift),
        last=np.zeros(folds_of_all),
        baselines={},
        season_length=1,
        scale=np.ones((len(names), 2)),
        quantiles={level: np.full(actual.shape, normal.inv_cdf(level)) for level in levels},
    )


def test_true_quantiles_are_honest():
    found = calibrate(make())
    widest = found.intervals[0]
    assert found.honest and found.n == FOLDS * HORIZON
    assert (widest.lower, widest.upper, widest.nominal) == (0.05, 0.95, 0.9)
    assert abs(widest.coverage - 0.9) <= widest.tolerance < 0.05
    assert widest.width == pytest.approx(2 * 1.6449, rel=1e-4)
    assert [s.level for s in found.levels] == list(LEVELS)
    assert all(abs(s.share - s.level) <= s.tolerance for s in found.levels)
    assert found.sentence.startswith(
        f"90 % interval: honest: covers {100 * widest.coverage:.1f} % of 5,400 actuals (by"
    )
    assert f"never below {100 * widest.lowest:.0f} % in 200 in a row), mean width 3.29." in found.sentence


@pytest.mark.parametrize(("spread", "words"), [(0.6, "90 % interval: too narrow:"), (1.6, "90 % interval: too wide:")])
def test_an_interval_of_another_width_is_called_so(spread, words):
    found = calibrate(make(spread=spread))
    assert found.honest is False
    assert found.sentence.startswith(words)


def test_an_interval_that_covers_enough_on_one_side_only_is_called_lopsided():
    found = calibrate(make(spread=1.15, shift=0.6))
    low, high = (s.share for s in found.levels if s.level in (0.05, 0.95))
    assert found.honest
    assert found.sentence.endswith(
        f", but lopsided: {100 * low:.1f} % lie below it and {100 * (1 - high):.1f} % above."
    )


def test_an_actual_on_a_bound_is_inside_and_not_below():
    """Power that is often exactly zero, with a lower bound of zero."""
    f = make()
    low, middle = f.quantiles[0.05], f.quantiles[0.25]
    found = calibrate(replace(f, actual=np.where((low < f.actual) & (f.actual < middle), low, f.actual)))
    assert found.levels[0].share > 0.2
    assert found.honest and "lopsided" not in found.sentence


def test_the_order_of_the_folds_does_not_matter():
    f = make(names=("a", "b"))
    shuffled = f.take(np.random.default_rng(0).permutation(len(f.series)))
    assert calibrate(shuffled) == calibrate(f)


@pytest.mark.parametrize(("shift", "words"), [(0.0, "honest"), (1.0, "too high"), (-1.0, "too low")])
def test_a_level_alone_is_judged_by_itself(shift, words):
    found = calibrate(make(levels=(0.9,), shift=shift))
    assert found.intervals == () and found.honest == (shift == 0)
    assert found.sentence.startswith(f"quantile 0.9: {words}: {100 * found.levels[0].share:.1f} % of 5,400 actuals are")


def test_a_bad_month_shows_in_the_worst_stretch_though_the_mean_is_right():
    f = make()
    missed = f.actual.copy()
    missed[300:360] = 9.0
    found = calibrate(replace(f, actual=missed)).intervals[0]
    assert found.lowest < 0.7 < found.coverage
    assert found.lowest == pytest.approx(
        min(np.convolve(c, np.ones(200) / 200, "valid").min() for c in hits(missed, f).T)
    )


def hits(actual, f):
    return ((actual >= f.quantiles[0.05]) & (actual <= f.quantiles[0.95])).astype(float)


def test_too_few_folds_tell_nothing():
    found = calibrate(make(folds=2))
    assert found.honest is None
    assert "too few folds to tell" in found.sentence and "in a row" not in found.sentence
    unknown = make()
    nothing = calibrate(replace(unknown, actual=np.full_like(unknown.actual, np.nan)))
    assert (nothing.n, nothing.honest) == (0, None)
    assert nothing.sentence == "No verdict on the quantiles: no rows have both them and a known actual."
    assert calibrate(make(levels=())) is None


def test_nights_do_not_count_where_they_are_known():
    f = make()
    day = np.arange(FOLDS)[:, None] % 2 == np.zeros(HORIZON)
    assert calibrate(replace(f, daylight=day)).n == f.actual.size // 2


def test_each_step_has_its_own_coverage():
    f = make()
    wide = {level: values * np.linspace(1, 3, HORIZON) for level, values in f.quantiles.items()}
    f = replace(f, quantiles=wide)
    coverage, reach = by_step(f, 0.05, 0.95, np.array([1, HORIZON]))
    assert coverage == pytest.approx(hits(f.actual, f).mean(axis=0)[[0, -1]])
    assert coverage[0] < 0.93 < 0.99 < coverage[1]
    assert ((reach > 0) & (reach < 0.1)).all()


def test_json_holds_every_number():
    found = calibrate(make()).to_json()
    assert json.loads(json.dumps(found))["levels"][0]["level"] == 0.05
    assert set(found["intervals"][0]) == {"lower", "upper", "nominal", "coverage", "tolerance", "lowest", "width"}
