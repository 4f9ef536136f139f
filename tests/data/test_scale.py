"""Scalers: inverse after transform is the identity, constants survive, only known values count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tsforecast.data.scale import SCALERS, Scaler, transform, untransform
from tsforecast.errors import DataError

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
    assert untransform(transform(values, "log", ("a", "b")).astype(float), "log") == pytest.approx(values, rel=1e-5)
    assert transform(values, "none", ("a", "b")) is values


@pytest.mark.parametrize("bad", [0.0, -2.5])
def test_logarithm_of_what_has_none_is_refused(bad):
    values = np.array([[1, 2], [3, bad], [np.nan, bad]], dtype=np.float32)
    with pytest.raises(DataError, match=rf"column 'b': {bad:g} has no logarithm \(2 rows"):
        transform(values, "log", ("a", "b"))
    assert np.isnan(transform(values[:, :1], "log", ("a",))[2, 0])
