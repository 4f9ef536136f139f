"""Conformal intervals: exact coverage, ranks, series of their own size, and margins that follow what is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import tsforecast
from tsforecast.data.frame import Frame
from tsforecast.data.read import read
from tsforecast.errors import UsageError
from tsforecast.evaluating.backtest import backtest
from tsforecast.forecasting.forecaster import Forecaster
from tsforecast.forecasting.intervals import (
    MEMORIES,
    STEP,
    Margins,
    expected_sizes,
    measure,
    track,
    widths,
)
from tsforecast.forecasting.prediction import read_frame
from tsforecast.options import ReadOptions

FIRST, NONE = np.array([0]), np.array([-1])


def residuals(rng: np.random.Generator, windows: int, steps: int = 1) -> Any:
    """Draw residuals (K, H, 1) of a skewed distribution with mean 0."""
    return rng.gamma(2.0, size=(windows, steps, 1)) - 2


def calibrated(left: Any, levels: tuple[float, ...], series: Any = 0, count: int = 1) -> Margins:
    """Calibrate around a point forecast."""
    codes = np.broadcast_to(series, len(left)).astype(np.int64)
    return measure(left, np.zeros((*left.shape, len(levels))), np.arange(len(left)), codes, count, levels)


# ------------------------------------------------------------------------------------------------------------ split


def test_a_margin_is_the_conformal_rank_of_the_residuals() -> None:
    left = np.random.default_rng(0).permutation(np.arange(1.0, 20.0))[:, None, None]  # 1 to 19
    levels = (0.05, 0.1, 0.5, 0.9, 0.95)
    made = calibrated(left, levels)
    np.testing.assert_array_equal(made.margin[0, 0], [1, 2, 10, 18, 19])  # ceil(20 q), and from the other side


def test_coverage_of_exchangeable_residuals_is_exact() -> None:
    """It is k / (n + 1) whatever the distribution: here 19 of 20 and 2 of 20, at each of 4000 steps by itself."""
    left = residuals(np.random.default_rng(1), 20, steps=4000)
    made = calibrated(left[:19], (0.1, 0.95)).at(FIRST, 4000)[0, :, 0]
    np.testing.assert_allclose((left[19] <= made).mean(axis=0), (0.1, 0.95), atol=3.5 * np.sqrt(0.1 * 0.9 / 4000))


def test_every_step_has_its_own_margins_and_the_last_one_is_held() -> None:
    left = residuals(np.random.default_rng(2), 50, steps=3) * np.array([1, 2, 3])[:, None]
    made = calibrated(left, (0.1, 0.9))
    ahead = made.at(FIRST, 5)[0]
    np.testing.assert_array_equal(ahead[3:], ahead[[2, 2]])
    alone = calibrated(left[:, 1:2], (0.1, 0.9))
    np.testing.assert_array_equal(alone.margin[0], made.margin[1])


def test_series_share_the_shape_of_their_residuals_and_keep_their_size() -> None:
    rng = np.random.default_rng(3)
    left, series = residuals(rng, 400), np.repeat([0, 1], 200)
    made = calibrated(left * np.where(series == 1, 10.0, 1.0)[:, None, None], (0.1, 0.9), series, 3)
    small, large, silent = made.at(np.array([0, 1, 2]), 1)[:, 0, 0]
    np.testing.assert_allclose(large / small, 10, rtol=0.25)
    inside = (left[:, 0, 0] >= small[0]) & (left[:, 0, 0] <= small[1])
    assert abs(inside[series == 0].mean() - 0.8) < 0.06
    np.testing.assert_allclose(made.at(NONE, 1)[0, 0, 0], np.median([small, large, silent], axis=0))


def test_unknown_residuals_are_left_out() -> None:
    left = residuals(np.random.default_rng(4), 60, steps=2)
    left[::2, 0] = np.nan
    left[:, 1] = np.nan  # always night
    made, alone = calibrated(left, (0.1, 0.9)), calibrated(left[1::2, :1], (0.1, 0.9))
    np.testing.assert_array_equal(made.margin[0], alone.margin[0])
    np.testing.assert_array_equal(made.margin[1], 0)
    assert np.isfinite(made.size).all() and np.isfinite(made.start).all()


def test_levels_of_a_network_are_moved_one_by_one() -> None:
    """Conformalized quantile regression: the margin of a level is the quantile of the residuals from that level."""
    left = residuals(np.random.default_rng(5), 99)
    distance = np.stack([-1 - 0.1 * np.abs(left), 3 + 0 * left], axis=-1)
    made = measure(left, distance, np.arange(99), np.zeros(99, np.int64), 1, (0.1, 0.9))
    np.testing.assert_allclose(made.margin[0, 0, 0], np.sort((left - distance[..., 0]).ravel())[9])
    np.testing.assert_allclose(made.margin[0, 0, 1], np.sort((left - distance[..., 1]).ravel())[89])


def test_widths_are_those_of_the_network_and_never_nothing() -> None:
    made = widths(np.array([[-2.0, 0.0, 4.0], [0.0, 0.0, 0.0], [-1e-9, 0.0, 1.0]])[:, None, None])[:, 0, 0]
    np.testing.assert_allclose(made, [[2, 3, 4], [1, 1, 1], [0.025, 0.5, 1]], rtol=1e-6)


# --------------------------------------------------------------------------------------------------------- adaptive


START = np.tile([-1.5, 1.5], (4, 1, 1))


def tracked(left: Any, places: Any) -> Any:
    expected = expected_sizes(np.abs(left), places)
    return track(np.repeat(left[..., None], 2, axis=-1), expected, places, START, np.array([0.05, 0.95]))


@pytest.mark.parametrize("stride", [1, 3])
def test_a_residual_has_no_influence_before_it_is_known(stride: int) -> None:
    left = residuals(np.random.default_rng(5), 40, steps=4)
    places = np.arange(40) * stride
    before = tracked(left, places)
    for fold, step in [(10, 0), (10, 3), (11, 1)]:
        changed = left.copy()
        changed[fold, step] += 50
        differs = (tracked(changed, places) != before).any(axis=(1, 2, 3))
        known = places >= places[fold] + step + 1
        assert not differs[~known].any()
        assert differs[known].all()


def test_a_quantile_moves_by_its_level_and_the_expected_size() -> None:
    left, places = np.array([[2.0, 9.0], [1.0, 9.0]])[..., None], np.arange(2)
    expected = expected_sizes(left, places)
    made = track(left[..., None], expected, places, np.full((2, 1, 1), 1.5), np.array([0.95]))
    fade = np.exp(-1 / np.array(MEMORIES))
    size = float(np.mean(fade + (1 - fade) * 2.0))  # at the second cutoff only step 1 of the first is known
    np.testing.assert_allclose(expected.ravel(), [1, size])
    np.testing.assert_allclose(made[:, :, 0, 0], [[1.5, 1.5], [(1.5 + STEP * 0.95) * size, 1.5 * size]])


def test_memory_is_of_time_however_far_apart_the_cutoffs_are() -> None:
    """After t steps of errors three times as large, a memory of m steps knows all but exp(-t / m) of it."""
    places = np.arange(0, 61)
    every = expected_sizes(np.full((61, 1, 1), 3.0), places)
    for stride in (3, 12):
        np.testing.assert_allclose(
            expected_sizes(np.full((60 // stride + 1, 1, 1), 3.0), places[::stride]), every[::stride]
        )
    fade = np.exp(-60 / np.array(MEMORIES))
    assert every[-1, 0] == pytest.approx(float(np.mean(3 - 2 * fade)))
    late = np.append(places[:-1], 1000)  # what comes at once after a pause shares the time that passed
    assert expected_sizes(np.full((61, 4, 1), 3.0), late)[-1, 0] == pytest.approx(3, abs=1e-3)


def test_unknown_residuals_move_nothing() -> None:
    made = tracked(np.full((5, 4, 1), np.nan), np.arange(5))
    np.testing.assert_array_equal(made, np.broadcast_to(START, made.shape))


@pytest.mark.parametrize("own", [False, True])
def test_coverage_is_kept_when_the_residuals_shift(own: bool) -> None:
    """Around a point, and around levels of a network."""
    rng = np.random.default_rng(6)
    left = residuals(rng, 6000, steps=6)
    distance = np.broadcast_to([-1.0, 2.0] if own else [0.0, 0.0], (6000, 6, 1, 2))
    static = measure(left[:1000], distance[:1000], np.arange(1000), np.zeros(1000, np.int64), 1, (0.05, 0.95))
    left, distance = left[1000:], distance[1000:]
    left[2000:] = left[2000:] * 3 + 4  # larger, and with a bias

    def inside(margins: Any) -> Any:
        bounds = distance + margins
        return ((left >= bounds[..., 0]) & (left <= bounds[..., 1]))[..., 0]

    moved = inside(static.adapted(left, distance, np.arange(5000), FIRST, (0.05, 0.95)))
    assert inside(static.at(FIRST, 6))[2500:].mean() < 0.5
    for part in (moved[:2000], moved[2500:], moved):
        np.testing.assert_allclose(part.mean(axis=0), 0.9, atol=0.04)
    assert np.convolve(moved.mean(axis=1), np.ones(200) / 200, mode="valid").min() > 0.8


# ------------------------------------------------------------------------------------------------------ in the house


def table(rows: int = 900, **columns: Any) -> pa.Table:
    time = np.datetime64("2024-01-01T00", "us") + np.arange(rows) * np.timedelta64(1, "h")
    power = np.sin(np.arange(rows) * 2 * np.pi / 24) + np.random.default_rng(0).normal(0, 0.2, rows)
    return pa.table({"time": time, "power": np.maximum(power, 0), **columns})


def trained(data: pa.Table, **options: Any) -> tuple[Forecaster, Frame]:
    how = {"model": "linear", "horizon": 6, "lags": "24", "test": "0.3", "intervals": "conformal", **options}
    forecaster = tsforecast.train(data, "power", **how).forecaster
    return forecaster, read_frame(forecaster, read([data], ReadOptions()), ReadOptions())[0]


def coverage(forecaster: Forecaster, frame: Frame, **how: Any) -> tuple[float, Any]:
    f = backtest(forecaster, frame, **how).forecasts[0]
    low, high = f.quantiles.values()
    return float(((f.actual >= low) & (f.actual <= high)).mean()), f


@pytest.mark.parametrize("model", ["linear", "naive", "seasonal_naive"])
def test_any_point_forecaster_gets_intervals_that_hold(model: str) -> None:
    forecaster, frame = trained(table(2400), model=model, quantiles=(0.9, 0.1), floor=0.0)
    assert forecaster.margins is not None and forecaster.shape.levels == ()
    share, f = coverage(forecaster, frame)
    assert list(f.quantiles) == [0.1, 0.9]
    assert abs(share - 0.8) < 0.06
    assert (f.quantiles[0.1] >= 0).all()
    assert (f.quantiles[0.1] <= f.quantiles[0.9]).all()


def test_long_horizons_of_many_targets_do_not_fill_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer windows are kept of them, but as many as the outermost level needs."""
    seen: list[int] = []

    def spy(left: Any, *given: Any) -> Margins:
        seen.append(len(left))
        return measure(left, *given)

    monkeypatch.setattr("tsforecast.training.fitting.measure", spy)
    trained(table())
    monkeypatch.setattr("tsforecast.trainers.objective.MOST_VALUES", 6 * 2 * 40)  # H * n * windows
    trained(table())
    monkeypatch.setattr("tsforecast.trainers.objective.MOST_VALUES", 1)
    trained(table(), shrink="none")
    assert seen[0] > 40
    assert seen[1:] == [40, 19]


def test_adaptive_margins_of_a_forecaster_follow_a_shift_of_its_data() -> None:
    data = table(1500)
    power = data["power"].to_numpy().copy()
    power[1100:] += np.random.default_rng(1).normal(0, 1, 400)
    forecaster, frame = trained(data.set_column(1, "power", pa.array(power)), quantiles=(0.05, 0.95))
    fixed, before = coverage(forecaster, frame)
    moved, after = coverage(forecaster, frame, adaptive=True)
    assert fixed < 0.75 < 0.84 < moved
    np.testing.assert_array_equal(before.forecast, after.forecast)
    assert not np.array_equal(before.quantiles[0.05], after.quantiles[0.05])


def test_adaptive_needs_margins() -> None:
    forecaster, frame = trained(table(), intervals="network")
    with pytest.raises(UsageError, match="this model has none"):
        backtest(forecaster, frame, adaptive=True)


def test_night_is_certain_and_does_not_dilute_the_day() -> None:
    forecaster, frame = trained(table(2400), night="auto", floor=0.0, quantiles=(0.1, 0.9))
    f = backtest(forecaster, frame).forecasts[0]
    night = forecaster.memory.night
    assert night is not None
    dark = night.at(f.time)
    assert 0.2 < dark.mean() < 0.8
    assert all((q[dark] == 0).all() for q in f.quantiles.values())
    low, high = f.quantiles.values()
    assert abs(((f.actual >= low) & (f.actual <= high))[~dark].mean() - 0.8) < 0.08


def test_margins_live_in_the_space_of_the_transform() -> None:
    data = table()
    positive = data.set_column(1, "power", pa.array(np.exp(3 * data["power"].to_numpy())))
    forecaster, frame = trained(positive, transform="log")
    f = backtest(forecaster, frame).forecasts[0]
    assert (f.quantiles[0.05] > 0).all()
    assert abs(coverage(forecaster, frame)[0] - 0.9) < 0.06


def test_a_network_with_quantiles_is_conformalised_level_by_level() -> None:
    options = {"trainer": "backprop", "quantiles": (0.1, 0.9), "trainer_options": {"steps": 2, "epoch_size": 256}}
    plain, frame = trained(table(), intervals="network", **options)
    made, _ = trained(table(), **options)
    assert plain.shape.levels == made.shape.levels == (0.1, 0.5, 0.9)
    assert plain.margins is None and made.margins is not None
    assert all(np.array_equal(value, made.params[name]) for name, value in plain.params.items())
    assert abs(coverage(made, frame)[0] - 0.8) < abs(coverage(plain, frame)[0] - 0.8)
    assert abs(coverage(made, frame)[0] - 0.8) < 0.06


def test_refit_keeps_the_margins_of_the_first_training() -> None:
    first, _ = trained(table())
    again, _ = trained(table(), refit=True)
    assert first.margins is not None and again.margins is not None
    np.testing.assert_array_equal(again.margins.margin, first.margins.margin)
    assert not np.array_equal(again.params["weight"], first.params["weight"])
