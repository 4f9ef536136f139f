"""The verdict tells skill from luck, and a forecast from a copy of the last value."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from tsforecast.errors import UsageError
from tsforecast.evaluating.forecasts import Forecasts
from tsforecast.evaluating.verdict import diebold_mariano, judge, lag_of_best_correlation, measures_skill

HORIZON, SEASON = 6, 24


def fold(values, predict, *, horizon=HORIZON, stride=1, series=None):
    """Cut folds from one or several series, forecast them, and add the naive and the seasonal naive forecast."""
    tables = []
    for code, y in enumerate(values):
        cutoff = np.arange(2 * SEASON, len(y) - horizon, stride)
        time = cutoff[:, None] + np.arange(1, horizon + 1)
        naive = np.repeat(y[cutoff][:, None], horizon, axis=1)
        tables.append(
            (
                np.full(len(cutoff), code),
                cutoff,
                time,
                y[time],
                predict(y, cutoff, time),
                y[cutoff],
                naive,
                y[time - SEASON],
            )
        )
    code, cutoff, time, actual, forecast, last, naive, seasonal = (
        np.concatenate(part) for part in zip(*tables, strict=True)
    )
    names = tuple(f"s{i}" for i in range(len(values))) if len(values) > 1 else ("",)
    baselines = {"naive": naive, "seasonal_naive": seasonal}
    scale = np.full((len(values), 2), np.nan)
    return Forecasts("load", "h", code, names, cutoff, time, False, actual, forecast, last, baselines, SEASON, scale)


def seasonal(n=900, seed=0):
    rng = np.random.default_rng(seed)
    return 10 + 5 * np.sin(2 * np.pi * np.arange(n) / SEASON) + rng.normal(0, 1, n)


def random_walk(n=900, seed=0):
    return np.cumsum(np.random.default_rng(seed).normal(size=n))


def copy_of_last(y, cutoff, time):
    return np.repeat(y[cutoff][:, None], time.shape[1], axis=1)


def truth_with_noise(level, seed=1):
    return lambda y, cutoff, time: y[time] + np.random.default_rng(seed).normal(0, level, time.shape)


# ------------------------------------------------------------------------------------------------- Diebold-Mariano


def test_a_clear_difference_is_significant_and_signed():
    rng = np.random.default_rng(0)
    better, worse = rng.random((400, 4)), rng.random((400, 4)) + 0.3
    there, back = diebold_mariano(better, worse), diebold_mariano(worse, better)
    assert there.statistic < 0 and there.p_value < 1e-6 and there.n == 400
    assert back.statistic == pytest.approx(-there.statistic) and back.p_value == pytest.approx(there.p_value)


def test_equals_the_equations_written_as_loops():
    rng = np.random.default_rng(3)
    a, b = rng.random((30, 3)), rng.random((30, 3))
    d = [sum(x - y for x, y in zip(*rows, strict=True)) / 3 for rows in zip(a, b, strict=True)]
    n, h, mean, lags = 30, 3, sum(d) / 30, 5  # lags: the larger of 2 (h - 1) and the root of n
    variance = sum((x - mean) ** 2 for x in d) / n
    for lag in range(1, lags + 1):
        weight = 1 - lag / (lags + 1)
        variance += 2 * weight * sum((d[k] - mean) * (d[k - lag] - mean) for k in range(lag, n)) / n
    expected = mean / math.sqrt(variance / n) * math.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n)
    assert diebold_mariano(a, b).statistic == pytest.approx(expected)


@pytest.mark.parametrize("horizon", [1, 12])
def test_ties_are_seldom_called_significant(horizon):
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(200):
        steps = rng.normal(size=600 + horizon)  # folds share targets: each fold sees a sliding stretch of one series
        loss = np.lib.stride_tricks.sliding_window_view(steps, horizon)
        found += diebold_mariano(loss, np.zeros_like(loss)).p_value < 0.05
    assert found / 200 < 0.12


def test_degenerate_differences():
    ones = np.ones((10, 2))
    assert diebold_mariano(ones, ones).p_value == 1
    assert diebold_mariano(ones, 2 * ones).p_value == 0
    assert diebold_mariano(ones[:1], 2 * ones[:1]).p_value == 1
    assert diebold_mariano(ones[:0], ones[:0]).n == 0


def test_folds_without_values_are_dropped():
    rng = np.random.default_rng(0)
    a, b = rng.random((50, 3)), rng.random((50, 3))
    holed = a.copy()
    holed[::10] = np.nan
    kept = np.arange(50) % 10 != 0
    assert diebold_mariano(holed, b) == diebold_mariano(a[kept], b[kept])


def test_many_series_of_one_fold_are_a_sample_of_their_own():
    rng = np.random.default_rng(0)
    loss = rng.normal(1, 1, (500, 8))
    assert diebold_mariano(loss, np.zeros_like(loss), series=np.arange(500)).p_value < 1e-6
    tie = diebold_mariano(loss - 1, np.zeros_like(loss), series=np.arange(500))
    assert tie.p_value > 0.05 and math.isfinite(tie.statistic)


# -------------------------------------------------------------------------------------------------- the lag detector


@pytest.mark.parametrize("make", [seasonal, random_walk])
@pytest.mark.parametrize("stride", [1, 5])
def test_a_copy_of_the_last_value_is_found(make, stride):
    lag = lag_of_best_correlation(fold([make()], copy_of_last, stride=stride))
    assert lag.repeats_last
    assert lag.shift == lag.step == HORIZON
    assert lag.correlation == pytest.approx(1) and lag.distance == 0


def test_a_blurred_copy_is_found():
    def blurred(y, cutoff, time):
        return copy_of_last(y, cutoff, time) + np.random.default_rng(2).normal(0, 0.3, time.shape)

    assert lag_of_best_correlation(fold([random_walk()], blurred)).repeats_last


@pytest.mark.parametrize("make", [seasonal, random_walk])
def test_a_good_forecast_of_a_persistent_series_is_not_a_copy(make):
    lag = lag_of_best_correlation(fold([make()], truth_with_noise(0.5)))
    assert not lag.repeats_last
    assert lag.shift == 0


def test_the_best_forecast_of_a_momentum_series_is_not_a_copy():
    # Its changes correlate best with the change before: only its distance to the last value tells it from a copy.
    change = [0.0]
    for shock in np.random.default_rng(0).normal(size=900):
        change.append(0.8 * change[-1] + shock)
    y = np.cumsum(change)

    def momentum(y, cutoff, time):
        return y[cutoff][:, None] + 0.8 * (y[cutoff] - y[cutoff - 1])[:, None]

    lag = lag_of_best_correlation(fold([y], momentum, horizon=1))
    assert lag.shift == 1 and not lag.repeats_last


def test_yesterday_is_not_the_last_value():
    def yesterday(y, cutoff, time):
        return y[time - SEASON]

    assert not lag_of_best_correlation(fold([seasonal()], yesterday, horizon=SEASON)).repeats_last


def test_too_few_folds_say_nothing():
    assert lag_of_best_correlation(fold([seasonal(60)], copy_of_last)) is None


# ------------------------------------------------------------------------------------------------------- the verdict


def test_skill():
    verdict = judge(fold([seasonal()], truth_with_noise(0.5)))
    assert verdict.skilled and verdict.best == "seasonal_naive"
    assert 0.5 < verdict.skill < 0.8
    assert verdict.sentence.startswith("Skill: ")
    assert (
        "lower MAE than the best baseline (seasonal_naive), significant (Diebold-Mariano p < 0.001)."
        in verdict.sentence
    )
    assert verdict.direction.low < verdict.direction.accuracy < verdict.direction.high
    assert verdict.direction.accuracy > 0.8


def test_a_copy_of_naive_has_no_skill_and_is_told_so():
    verdict = judge(fold([random_walk()], copy_of_last))
    assert not verdict.skilled and verdict.best == "naive" and verdict.skill == 0
    assert verdict.sentence == (
        "No skill: the forecast is not distinguishable from naive (equal MAE, Diebold-Mariano p = 1.000), "
        "and it mostly repeats the last value (best correlation at shift 6)."
    )


def test_prices_are_compared_with_the_random_walk():
    verdict = judge(fold([random_walk()], copy_of_last), random_walk=True)
    assert verdict.sentence.startswith("No skill over the random walk: ")


def test_worse_than_naive():
    verdict = judge(fold([random_walk()], truth_with_noise(9.0)))
    assert not verdict.skilled and verdict.skill < 0
    assert verdict.sentence.startswith("Worse than naive by ")
    assert verdict.sentence.endswith(" in MAE (Diebold-Mariano p < 0.001): use the naive forecast.")


def test_rounding_is_not_skill():
    def nearly_naive(y, cutoff, time):
        naive = copy_of_last(y, cutoff, time)
        return naive + 1e-6 * (y[time] - naive)

    assert not judge(fold([random_walk()], nearly_naive)).skilled


def rounded(y, cutoff, time):
    """Return the last value, as it comes back from the float32 logarithm."""
    back = np.exp(np.log(copy_of_last(y, cutoff, time)).astype(np.float32).astype(np.float64))
    return back + 1e-4  # all to one side, as a test for a difference would notice


def test_equal_forecasts_have_equal_losses_whatever_float32_makes_of_them():
    prices = 2800 + random_walk()
    f = fold([prices], rounded, stride=HORIZON)
    assert np.abs(f.forecast - f.baselines["naive"]).max() > 0
    verdict = judge(f)
    assert verdict.baselines["naive"].dm.p_value == 1 and verdict.skill == 0
    assert verdict.direction.accuracy == 0


def test_a_negligible_difference_is_not_given_as_luck():
    def nearly_naive(y, cutoff, time):
        naive = copy_of_last(y, cutoff, time)
        return naive + 2e-4 * (y[time] - naive)

    verdict = judge(fold([random_walk()], nearly_naive))
    assert verdict.baselines["naive"].dm.p_value < 0.05 and not verdict.skilled
    assert "is not distinguishable from naive (equal MAE, to 0.1 %)" in verdict.sentence


def test_the_usual_direction_is_a_rival_that_knows_the_drift():
    y = np.cumsum(np.where(np.random.default_rng(0).random(900) < 0.8, 1.0, -1.0))

    def up(y, cutoff, time):
        return copy_of_last(y, cutoff, time) + 1

    direction = judge(fold([y], up, horizon=1)).direction
    assert direction.accuracy == pytest.approx(direction.up) and 0.75 < direction.up < 0.85
    assert direction.usual == direction.up
    assert judge(fold([-y], up, horizon=1)).direction.usual == pytest.approx(direction.up)


def unlike():
    """Return forecasts of eight series of eight orders of magnitude, good for the largest of them only."""
    walks = [10.0**s * random_walk(seed=s) for s in range(8)]

    def predict(y, cutoff, time):
        naive = copy_of_last(y, cutoff, time)
        return naive + (0.9 if y is walks[-1] else -0.3) * (y[time] - naive)

    steps = [np.abs(np.diff(y)) for y in walks]
    scale = np.array([[step.mean(), (step**2).mean()] for step in steps])
    return replace(fold(walks, predict), scale=scale, unlike=True)


def test_unlike_series_are_judged_each_in_its_own_unit():
    """Seven of eight are worse than naive, which MAE does not see, as all of it is the error of the largest."""
    f = unlike()
    largest = judge(replace(f, unlike=False))
    assert largest.skilled and largest.sentence.startswith("Skill: ")
    verdict, mase = judge(f), judge(f, "mase")
    assert verdict.own_units and not mase.own_units and not largest.own_units
    assert verdict.skill == pytest.approx(mase.skill) and verdict.skill < 0
    assert verdict.score == pytest.approx(mase.score)
    assert verdict.sentence.startswith("Worse than naive by ")
    assert " in MAE in each series' own unit (Diebold-Mariano" in verdict.sentence
    assert mase.sentence == verdict.sentence.replace("MAE in each series' own unit", "MASE")
    assert mase.lag == verdict.lag


def test_unlike_series_without_a_scale_are_judged_in_the_error_of_naive():
    f = unlike()
    known, unknown = judge(f), judge(replace(f, scale=np.full_like(f.scale, np.nan)))
    assert unknown.own_units and unknown.skill < 0
    shares = [judge(replace(f.take(np.flatnonzero(f.series == s)), unlike=False)).baselines["naive"] for s in range(8)]
    assert unknown.baselines["naive"].skill == pytest.approx(np.mean([s.skill for s in shares]))
    assert known.skill == pytest.approx(unknown.skill, abs=0.2)


def test_a_flat_series_that_is_forecast_wrongly_counts_among_unlike_ones():
    alive, dead = seasonal(), np.full(900, 7.0)

    def predict(y, cutoff, time):
        return y[time] if y is alive else np.full(time.shape, 700.0)

    step = np.abs(np.diff(alive))
    scale = np.array([[step.mean(), (step**2).mean()], [0.0, 0.0]])
    verdict = judge(replace(fold([alive, dead], predict), scale=scale, unlike=True))
    assert not verdict.skilled and verdict.skill < 0
    assert verdict.score == pytest.approx(99 / 2)
    assert verdict.sentence.startswith("Worse than seasonal_naive by ")


@pytest.mark.parametrize("metric", ["rmse", "wape"])
def test_only_what_is_in_the_unit_of_the_target_is_brought_to_another(metric):
    assert judge(unlike(), metric).own_units == (metric == "rmse")


def test_series_and_folds_may_come_in_any_order():
    f = fold([seasonal(), random_walk()], truth_with_noise(0.5))
    mixed = f.take(np.random.default_rng(0).permutation(len(f.cutoff)))
    one, other = judge(f), judge(mixed)
    assert one.sentence == other.sentence
    assert one.baselines["naive"].dm.p_value == pytest.approx(other.baselines["naive"].dm.p_value)


def test_rows_that_a_baseline_lacks_are_not_compared_with_it():
    f = fold([seasonal()], truth_with_noise(0.5))
    f.forecast[:400] = 1000
    f.baselines["naive"][:400] = np.nan
    verdict = judge(f)
    assert verdict.baselines["naive"].skill > 0.5
    assert verdict.best == "seasonal_naive" and not verdict.skilled


@pytest.mark.parametrize("metric", ["rmse", "wape", "smape"])
def test_other_losses(metric):
    verdict = judge(fold([seasonal()], truth_with_noise(0.5)), metric)
    assert verdict.skilled and f"lower {metric.upper()}" in verdict.sentence


def test_an_exploded_forecast_has_no_skill():
    f = fold([seasonal()], truth_with_noise(0.5))
    f.forecast[5, 2] = np.inf
    verdict = judge(f)
    assert verdict.skilled is False and verdict.score == math.inf and verdict.to_json()["skill"] is None
    assert verdict.sentence == "Worse than seasonal_naive: it diverges; use the seasonal_naive forecast."
    assert math.isnan(verdict.p_value) and verdict.to_json()["baselines"]["naive"]["dm"]["p_value"] is None
    assert judge(f, "smape").sentence == verdict.sentence


def test_the_steps_before_a_forecast_diverges_are_no_evidence_for_it():
    f = fold([random_walk()], truth_with_noise(0.1))
    f.forecast[:, 3:] = np.inf
    verdict = judge(f)
    assert verdict.skilled is False and verdict.skill == -math.inf
    assert verdict.sentence == "Worse than naive: it diverges; use the naive forecast."


def test_a_forecast_that_diverges_where_nothing_is_known_is_judged_on_the_rest():
    f = fold([seasonal()], truth_with_noise(0.5))
    f.forecast[5, 2], f.actual[5, 2] = np.inf, np.nan
    assert judge(f).skilled


def test_infinities_are_left_out_of_the_lag():
    f = fold([random_walk()], copy_of_last)
    f.forecast[100:, 3:] = np.inf
    lag = lag_of_best_correlation(f)
    assert lag.repeats_last and lag.correlation == pytest.approx(1)


def test_a_metric_that_is_not_a_loss_is_refused():
    with pytest.raises(UsageError, match="choose from mae, rmse"):
        judge(fold([seasonal()], copy_of_last), "r2")


@pytest.mark.parametrize("metric", ["bias", "pinball", "msis"])
def test_only_a_loss_of_points_can_measure_skill(metric):
    assert not measures_skill(metric)
    with pytest.raises(UsageError, match=f"skill cannot be measured with '{metric}'"):
        judge(fold([seasonal()], copy_of_last), metric)
    assert measures_skill("mae") and measures_skill("rmsse")


def test_nothing_to_judge():
    f = fold([seasonal()], copy_of_last)
    f.actual[:] = np.nan
    verdict = judge(f)
    assert verdict.sentence.startswith("No verdict: no rows")
    assert math.isnan(verdict.skill)


def test_a_metric_without_a_value_is_named():
    f = fold([seasonal()], copy_of_last)
    verdict = judge(replace(f, scale=np.full_like(f.scale, np.nan)), "mase")
    assert "No verdict: no rows have a forecast, a baseline and a known actual that MASE can score" in verdict.sentence


def test_one_fold_is_no_verdict():
    assert judge(fold([seasonal()], copy_of_last).take(np.array([0]))).sentence.startswith("No verdict: 1 fold")


def test_json_is_strict():
    f = fold([seasonal()], copy_of_last)
    f.actual[:] = np.nan
    for verdict in (judge(f), judge(fold([seasonal()], truth_with_noise(0.5)))):
        document = json.loads(json.dumps(verdict.to_json(), allow_nan=False))
        assert {"target", "metric", "score", "skill", "best", "skilled", "baselines", "sentence"} <= set(document)
