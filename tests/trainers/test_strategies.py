"""Strategies do what their papers say, on functions that are easily understood."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from deap import base, cma

from tsforecast.config import make
from tsforecast.trainers import covariance
from tsforecast.trainers.covariance import LazyStrategy
from tsforecast.trainers.genetic import STRATEGIES, GeneticConfig
from tsforecast.trainers.individuals import individuals, own_randomness
from tsforecast.trainers.strategies import _others


def evolve(strategy, loss, generations):
    """Minimise a function of rows; return the losses of the living after each generation."""
    course = []
    for k in range(generations):
        with own_randomness([k]) as rng:
            rows = strategy.ask(rng)
            strategy.tell(rows, loss(rows))
        course.append(strategy.losses.min())
    return course


def made(name, start, **options):
    config = make(GeneticConfig, {"strategy": name, "population": len(start), **options})
    return STRATEGIES[name](config, base.Toolbox(), start)


def sphere(rows):
    return np.sum((rows.astype(np.float64) - 1) ** 2, axis=1)


def cloud(count=30, size=8):
    return np.random.default_rng(0).normal(size=(count, size)).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "options", "generations"),
    [
        ("ga", {}, 100),
        ("ga", {"selection": "best", "crossover": "uniform", "mutation": "polynomial"}, 100),
        ("cma_es", {}, 60),
        ("differential_evolution", {}, 100),
    ],
)
def test_every_strategy_finds_the_bottom_of_a_bowl(name, options, generations):
    course = evolve(made(name, cloud(), **options), sphere, generations)
    assert course[-1] < 0.02 * course[0]


def test_elites_live_on():
    strategy = made("ga", cloud(), elites=3)
    evolve(strategy, sphere, 1)
    for k in range(5):
        before = strategy.rows[np.argsort(strategy.losses)[:3]]
        with own_randomness([k]) as rng:
            rows = strategy.ask(rng)
            assert len(rows) == 27
            strategy.tell(rows, np.full(27, 1e9))
        assert len(strategy.rows) == 30
        assert all((strategy.rows == row).all(1).any() for row in before)


def test_the_mutation_grows_with_success_and_shrinks_without():
    for loss, grows in ((-1.0, True), (1e9, False)):
        strategy = made("ga", cloud())
        evolve(strategy, sphere, 1)
        before = strategy.strength
        evolve(strategy, lambda rows, loss=loss: np.full(len(rows), loss), 1)
        assert (strategy.strength > before) == grows


def test_nsga2_keeps_simple_networks_beside_good_ones():
    strategy = made("ga", cloud(), selection="nsga2")
    evolve(strategy, sphere, 40)
    sizes = np.mean(strategy.rows**2, axis=1)
    order = np.argsort(strategy.losses)
    assert sizes[order[0]] > 2 * sizes[order[-1]]
    plain = made("ga", cloud(), selection="best")
    evolve(plain, sphere, 40)
    assert sizes.min() < 0.5 * np.mean(plain.rows**2, axis=1).min()


def test_nsga2_never_takes_a_diverged_network_for_a_small_one():
    """A network without a finite loss keeps none, however small it is: it goes as soon as there is another."""
    start = cloud()
    start[:20] *= 1e-3
    strategy = made("ga", start, selection="nsga2")
    for k, diverged in enumerate((20, 15, 0)):
        with own_randomness([k]) as rng:
            rows = strategy.ask(rng)
            strategy.tell(rows, np.where(np.arange(30) < diverged, np.inf, sphere(rows)))
        assert np.isinf(strategy.losses).sum() == (20, 5, 0)[k]


def test_differential_evolution_equals_its_formula():
    """Every trial row is, gene by gene, the parent or x + F (best - x) + F (y - z) with rows of the population."""
    strategy = made("differential_evolution", cloud(6, 3))
    evolve(strategy, sphere, 1)
    with own_randomness([1]) as rng:
        trials = strategy.ask(rng)
    best = strategy.rows[np.argsort(strategy.losses)[:2]].astype(np.float64)
    x = strategy.rows.astype(np.float64)
    for i, trial in enumerate(trials):
        f = float(strategy._tried[i, 0])
        others = [k for k in range(6) if k != i]
        found = []
        for p, (r, s) in itertools.product(best, itertools.permutations(others, 2)):
            moved = x[i] + f * (p - x[i]) + f * (x[r] - x[s])
            found.append(all(min(abs(t - m), abs(t - o)) < 1e-5 for t, m, o in zip(trial, moved, x[i], strict=True)))
        assert any(found)
        assert not np.array_equal(trial, strategy.rows[i])


def test_differential_evolution_keeps_the_better_of_parent_and_trial():
    strategy = made("differential_evolution", cloud())
    evolve(strategy, sphere, 1)
    rows, losses, factors = strategy.rows, strategy.losses, strategy.factors
    with own_randomness([1]) as rng:
        trials = strategy.ask(rng)
    fate = np.where(np.arange(30) % 3 == 0, losses - 1, np.where(np.arange(30) % 3 == 1, losses + 1, np.inf))
    strategy.tell(trials, fate)
    won = np.arange(30) % 3 == 0
    assert np.array_equal(strategy.rows, np.where(won[:, None], trials, rows))
    assert np.array_equal(strategy.losses, np.where(won, fate, losses))
    assert np.array_equal(strategy.factors[~won], factors[~won])


@pytest.mark.parametrize("count", [4, 7, 50])
def test_the_two_others_are_others(count):
    for seed in range(20):
        first, second = _others(np.random.default_rng(seed), count)
        own = np.arange(count)
        assert (first != own).all()
        assert (second != own).all()
        assert (first != second).all()
        assert max(first.max(), second.max()) < count


def test_cma_es_restarts_with_twice_the_population(monkeypatch):
    monkeypatch.setattr(covariance, "CONVERGED", 0.5)
    strategy = made("cma_es", cloud(10), restarts=2)
    sizes = []
    for k in range(150):
        with own_randomness([k]) as rng:
            rows = strategy.ask(rng)
        sizes.append(len(rows) - 1)
        strategy.tell(rows, sphere(rows))
    assert sorted(set(sizes)) == [10, 20, 40]
    assert sizes == sorted(sizes)
    assert strategy.details["restarts"] == 2


@pytest.mark.parametrize("size", [3, 40])
def test_cma_es_moves_as_deap_does(size):
    """The override differs in when it decomposes the matrix, and in nothing else."""
    ours = LazyStrategy(np.zeros(size), 0.5, lambda_=12)
    theirs = cma.Strategy(np.zeros(size), 0.5, lambda_=12)
    for k in range(12):
        with own_randomness([k]):
            rows = np.stack(theirs.generate(np.float32))
        for strategy in (ours, theirs):
            strategy.update(individuals(rows, sphere(rows)))
        ours.decompose()
        for name in ("centroid", "sigma", "pc", "ps", "C", "diagD"):
            np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-6, atol=1e-9)


def test_cma_es_decomposes_a_slow_matrix_rarely():
    strategy = made("cma_es", cloud(10, 60))
    evolve(strategy, sphere, 30)
    assert 0 < strategy.cma.decomposed < strategy.cma.update_count


def test_cma_es_begins_anew_where_rounding_has_left_nothing():
    strategy = made("cma_es", cloud(10))
    evolve(strategy, sphere, 3)
    strategy.cma.diagD = strategy.cma.diagD * np.nan
    assert np.isfinite(strategy.ask(np.random.default_rng(0))).all()


def test_cma_es_survives_losses_that_are_all_alike():
    strategy = made("cma_es", cloud(10), restarts=1)
    for value in (math.inf, 0.0):
        evolve(strategy, lambda rows, value=value: np.full(len(rows), value), 40)
    assert np.isfinite(strategy.ask(np.random.default_rng(0))).all()


def test_cma_es_takes_in_an_improved_network_only_so_far():
    """Its step is cut to the length that a sample of the distribution could have: Hansen (2011)."""
    strategy = made("cma_es", cloud(10))
    evolve(strategy, sphere, 1)
    strategy.rows[3], strategy.losses[3] = 1e6, -1.0
    evolve(strategy, sphere, 1)
    assert np.abs(strategy.cma.centroid).max() < 100
    assert strategy.cma.sigma < 10


@pytest.mark.parametrize(("population", "elites"), [(4, 4), (5, 0), (7, 2)])
def test_small_and_odd_populations_evolve(population, elites):
    strategy = made("ga", cloud(population), elites=elites)
    course = evolve(strategy, sphere, 30)
    assert len(strategy.rows) == len(strategy.losses) == population
    assert course[-1] < course[0]
