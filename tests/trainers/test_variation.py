"""Operators on whole populations equal their formulas, gene by gene, and keep their promises."""

from __future__ import annotations

import numpy as np
import pytest

from tsforecast.trainers.variation import BLEND, REACH, blend, gaussian, polynomial, sbx, uniform

SHAPE = (40, 30)


@pytest.fixture
def parents():
    rng = np.random.default_rng(5)
    return tuple(rng.normal(size=SHAPE).astype(np.float32) for _ in range(2))


class Replay:
    """A generator that says what it is told to."""

    def __init__(self, *arrays):
        self.arrays = list(arrays)

    def random(self, shape, dtype):
        return self.arrays.pop(0).astype(dtype)


def uniforms(count):
    rng = np.random.default_rng(8)
    return [rng.random(SHAPE) for _ in range(count)]


@pytest.mark.parametrize("eta", [0.0, 2.0, 20.0])
def test_sbx_equals_its_formula(eta, parents):
    (a, b), (u, exchange) = parents, uniforms(2)
    first, second = sbx(Replay(u, exchange), a, b, eta)
    for i in range(SHAPE[0]):
        for j in range(SHAPE[1]):
            beta = (2 * u[i, j]) ** (1 / (eta + 1)) if u[i, j] <= 0.5 else (1 / (2 - 2 * u[i, j])) ** (1 / (eta + 1))
            beta = 1.0 if exchange[i, j] < 0.5 else beta
            assert first[i, j] == pytest.approx(0.5 * ((1 + beta) * a[i, j] + (1 - beta) * b[i, j]), rel=1e-3, abs=1e-4)
            assert second[i, j] == pytest.approx(
                0.5 * ((1 - beta) * a[i, j] + (1 + beta) * b[i, j]), rel=1e-3, abs=1e-4
            )


@pytest.mark.parametrize("cross", [sbx, uniform])
def test_children_keep_the_mean_of_their_parents(cross, parents):
    first, second = cross(np.random.default_rng(0), *parents, 5.0)
    np.testing.assert_allclose(first + second, parents[0] + parents[1], atol=1e-4)


def test_a_larger_eta_keeps_children_nearer(parents):
    def moved(eta):
        return np.abs(sbx(np.random.default_rng(0), *parents, eta)[0] - parents[0]).mean()

    assert moved(30.0) < moved(5.0) < moved(1.0)


def test_blend_stays_within_its_interval_and_fills_it(parents):
    a, b = (np.repeat(x[:1], 2000, axis=0) for x in parents)
    low, high, wide = np.minimum(a, b), np.maximum(a, b), np.abs(a - b)
    for child in blend(np.random.default_rng(0), a, b, 0.0):
        share = (child - (low - BLEND * wide)) / ((1 + 2 * BLEND) * wide)
        assert -1e-3 <= share.min() < 0.01
        assert 0.99 < share.max() <= 1 + 1e-3
        assert share.mean() == pytest.approx(0.5, abs=0.01)
        assert ((child < low) | (child > high)).any()


def test_uniform_exchanges_half_of_the_genes(parents):
    first, second = uniform(np.random.default_rng(0), *parents, 0.0)
    swapped = first == parents[1]
    assert swapped.mean() == pytest.approx(0.5, abs=0.05)
    assert np.array_equal(np.where(swapped, parents[0], parents[1]), second)


@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_gaussian_moves_its_share_by_sigma(share):
    x = np.zeros((400, 200), np.float32)
    moved = gaussian(np.random.default_rng(0), x, share, 0.5, 0.0)
    changed = moved != 0
    assert changed.mean() == pytest.approx(share, abs=0.01)
    if share:
        assert moved[changed].std() == pytest.approx(0.5, rel=0.03)


def test_polynomial_equals_its_formula():
    u, which = uniforms(2)
    x = np.ones(SHAPE, np.float32)
    moved = polynomial(Replay(u, which), x, 0.3, 0.2, 15.0)
    for i in range(SHAPE[0]):
        for j in range(SHAPE[1]):
            delta = (2 * u[i, j]) ** (1 / 16) - 1 if u[i, j] < 0.5 else 1 - (2 - 2 * u[i, j]) ** (1 / 16)
            expected = 1 + REACH * 0.2 * delta * (which[i, j] < 0.3)
            assert moved[i, j] == pytest.approx(expected, abs=1e-5)


def test_polynomial_has_bounds_and_no_direction():
    moved = polynomial(np.random.default_rng(0), np.zeros((500, 200), np.float32), 1.0, 0.1, 1.0)
    assert np.abs(moved).max() <= REACH * 0.1
    assert np.abs(moved).max() > 0.9 * REACH * 0.1
    assert moved.mean() == pytest.approx(0.0, abs=0.005)
