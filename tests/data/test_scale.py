"""Scalers: inverse after transform is the identity, constants survive, only known values count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tsforecast.data.scale import SCALERS, Scaler, choose_scaler, transform, untransform

NUMBERS = st.floats(-1e6, 1e6, width=32)
COLUMNS = arrays(np.float32, st.tuples(st.integers(1, 30), st.integers(1, 3)), elements=NUMBERS)


@given(values=COLUMNS, kind=st.sampled_from(SCALERS))
def test_inverse_after_transform_is_the_identity(values, kind):
    scaler = Scaler.fit(values, kind)
    scaled = scaler.apply(values)
    assert scaled.dtype == np.float32
    assert np.isfinite(scaled).all()
    assert (scaler.spread > 0).all()
    back = scaler.invert(scaled, slice(None))
    assert back.dtype == np.float64
    tolerance = 1e-6 * np.maximum(np.abs(values).max(0), 1)  # float32 carries seven digits
    assert (np.abs(back - values) <= tolerance).all()


@given(values=COLUMNS, holes=st.integers(0, 2**30 - 1), kind=st.sampled_from(SCALERS))
def test_holes_are_passed_over(values, holes, kind):
    """Measured with holes is measured without those rows, and a hole stays a hole."""
    hidden = np.array([holes >> row & 1 for row in range(len(values))], dtype=bool)
    if hidden.all():
        return
    with_holes = values.copy()
    with_holes[hidden] = np.nan
    scaler, expected = Scaler.fit(with_holes, kind), Scaler.fit(values[~hidden], kind)
    np.testing.assert_array_equal(scaler.center, expected.center)
    np.testing.assert_array_equal(scaler.spread, expected.spread)
    assert np.isnan(scaler.apply(with_holes)[hidden]).all()


def test_scalers_equal_their_definitions():
    values = np.random.default_rng(0).gamma(2, 3, size=(500, 2)).astype(np.float32)
    exact = values.astype(np.float64)
    low, middle, high = np.quantile(exact, (0.25, 0.5, 0.75), axis=0)
    expected = {
        "standard": (exact.mean(0), exact.std(0)),
        "robust": (middle, (high - low) / 1.349),
        "minmax": (exact.min(0), np.ptp(exact, axis=0)),
        "none": (np.zeros(2), np.ones(2)),
    }
    for kind in SCALERS:
        scaler = Scaler.fit(values, kind)
        np.testing.assert_allclose(scaler.center, expected[kind][0], rtol=1e-6)
        np.testing.assert_allclose(scaler.spread, expected[kind][1], rtol=1e-5)
    scaled = Scaler.fit(values, "minmax").apply(values)
    assert scaled.min() == 0
    assert scaled.max() == pytest.approx(1)


@pytest.mark.parametrize("kind", SCALERS)
@pytest.mark.parametrize("value", [0.0, 7.0, -1e6, np.nan])
def test_a_constant_or_unknown_column_keeps_spread_1(kind, value):
    scaler = Scaler.fit(np.full((10, 1), value, dtype=np.float32), kind)
    assert scaler.spread == 1
    assert np.isfinite(scaler.center).all()


@pytest.mark.parametrize("kind", ["standard", "robust", "minmax"])
def test_a_column_is_scaled_however_small_its_numbers(kind):
    wave = np.sin(np.arange(50)).astype(np.float32)[:, None]
    small = Scaler.fit(np.float32(5e-9) + np.float32(2e-9) * wave, kind)
    assert small.spread < 1e-8
    assert small.apply(np.float32(5e-9) + np.float32(2e-9) * wave).std() > 0.2
    assert Scaler.fit(np.float32(1e-40) * wave, kind).spread == 1  # float32 cannot divide by that


def test_robust_takes_the_deviation_where_most_values_hardly_differ():
    values = np.array([0, 1e-20, 2e-20, 3e-20, 1e6], dtype=np.float32)[:, None]
    scaler = Scaler.fit(values, "robust")
    assert scaler.spread == pytest.approx(values.std())
    assert np.isfinite(scaler.apply(values)).all()


def test_no_columns_and_column_slices():
    empty = Scaler.fit(np.zeros((5, 0), np.float32), "standard")
    assert empty.apply(np.zeros((2, 0), np.float32)).shape == (2, 0)
    scaler = Scaler(np.array([1.0, 2.0]), np.array([10.0, 100.0]))
    np.testing.assert_array_equal(scaler.invert(np.ones((1, 3, 1), np.float32), slice(1, 2)), np.full((1, 3, 1), 102.0))


@given(values=arrays(np.float32, (5, 2), elements=st.floats(2**-7, 1e6, width=32)))
def test_logarithm_and_back(values):
    assert untransform(transform(values, "log").astype(float), "log") == pytest.approx(values, rel=1e-5)
    assert transform(values, "none") is values


@pytest.mark.parametrize("bad", [0.0, -2.5])
def test_what_has_no_logarithm_is_as_if_it_were_missing(bad):
    values = np.array([[1, 2], [3, bad], [np.nan, bad]], dtype=np.float32)
    made = transform(values, "log")
    np.testing.assert_array_equal(np.isfinite(made), [[True, True], [True, False], [False, False]])
    assert (made.dtype, values[1, 1]) == (np.float32, np.float32(bad))


LENGTHS = np.array([30, 7, 1, 12])
BOUNDS = np.concatenate(([0], np.cumsum(LENGTHS)))


def unequal() -> np.ndarray:
    """Return four series of unequal length, level and spread: a target, a numeric covariate and a flag."""
    rng = np.random.default_rng(0)
    level = np.repeat([1e-3, 50.0, 3e5, -2.0], LENGTHS)[:, None]
    numbers = level * (1 + 0.1 * rng.normal(size=(50, 2)))
    flag = rng.integers(0, 2, size=(50, 1))
    return np.concatenate([numbers, flag], 1).astype(np.float32)


@pytest.mark.parametrize("kind", ["standard", "robust", "minmax"])
def test_each_series_is_scaled_as_if_it_were_alone(kind):
    values, counted = unequal(), np.arange(50) % 5 > 0
    scaler = Scaler.fit_each(values, kind, BOUNDS, counted, targets=1)
    assert scaler.center.shape == scaler.spread.shape == (4, 3)
    for s in range(4):
        rows = slice(BOUNDS[s], BOUNDS[s + 1])
        alone = Scaler.fit(values[rows][counted[rows]], kind)
        np.testing.assert_allclose(scaler.center[s, :2], alone.center[:2], rtol=1e-6)
        np.testing.assert_allclose(scaler.spread[s, :2], alone.spread[:2], rtol=1e-6)
    assert scaler.spread[2, 0] == 1  # one row: constant
    together = Scaler.fit(values[counted], kind)
    np.testing.assert_array_equal(scaler.center[:, 2], together.center[2])  # a flag means the same everywhere


def test_scaled_by_series_and_back():
    values = unequal()
    scaler = Scaler.fit_each(values, "standard", BOUNDS, np.ones(50, bool), targets=1)
    scaled = scaler.apply_each(values, LENGTHS)
    assert scaled.dtype == np.float32
    assert abs(scaled[:30, 0].mean()) < 1e-4
    series = np.repeat(np.arange(4), LENGTHS)
    back = scaler.of(series).invert(scaled[:, None, :1], slice(0, 1))[:, 0, 0]
    np.testing.assert_allclose(back, values[:, 0], rtol=1e-5)
    np.testing.assert_array_equal(scaler.of(series).apply(values[:, None])[:, 0], scaled)


def test_a_series_without_a_known_row_is_scaled_like_the_rest():
    values = unequal()
    counted = np.repeat([True, True, True, False], LENGTHS)
    scaler = Scaler.fit_each(values, "standard", BOUNDS, counted, targets=1)
    together = Scaler.fit(values[counted], "standard")
    np.testing.assert_array_equal(scaler.center[3], together.center)
    np.testing.assert_array_equal(scaler.spread[3], together.spread)


def test_a_new_series_is_measured_on_its_own_rows_and_flags_are_not():
    values = unequal()
    known = Scaler.fit_each(values, "standard", BOUNDS, np.ones(50, bool), targets=1)
    other = np.concatenate([1e6 + np.arange(20.0)[:, None] * [1, 1], np.ones((20, 1))], 1).astype(np.float32)
    frame = np.concatenate([values[:30], other])
    counted = np.arange(50) < 40
    made = known.adapted(np.array([0, -1]), frame, "standard", np.array([0, 30, 50]), counted, targets=1)
    np.testing.assert_array_equal(made.center[0], known.center[0])
    np.testing.assert_allclose(made.center[1, :2], other[:10, :2].mean(0), rtol=1e-7)
    assert made.center[1, 2] == known.center[0, 2]
    assert made.spread[1, 2] == known.spread[0, 2]


@pytest.mark.parametrize(
    ("factor", "by", "per_series"), [(1.5, "", False), (1e4, "", True), (1.5, "series", True), (1e4, "column", False)]
)
def test_series_are_scaled_apart_when_they_are_of_other_orders_of_magnitude(factor, by, per_series):
    values = np.random.default_rng(0).normal(5, 1, size=(100, 1)).astype(np.float32)
    values[50:] *= factor
    everything = np.ones(100, bool)
    made = choose_scaler(values, np.array([0, 50, 100]), everything, 1, "standard", by)
    assert made.per_series is per_series
    assert not choose_scaler(values, np.array([0, 100]), everything, 1, "standard", "").per_series
