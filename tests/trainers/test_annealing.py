"""Annealing: Metropolis accepts as often as it should, the temperature falls, and better chains take over."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tsforecast.config import make
from tsforecast.models.base import Dims
from tsforecast.trainers.annealing import Annealing, AnnealingConfig, metropolis, survivors

DIMS = Dims(lags=6, horizon=3, past=1, future=1, season_length=8)


@pytest.fixture
def case(network, make_objective):
    net = network("narx", DIMS, {"hidden": (4,)}, "last")
    return make_objective(net), net.init(np.random.default_rng(0))


def trained(case, **options):
    trainer = Annealing(make(AnnealingConfig, {"chains": 10, "steps": 12, "moves": 4, **options}))
    return trainer, list(trainer.fit(*case, seed=0))


@pytest.mark.parametrize("rise", [-1.0, 0.0, 0.1, 0.5, 2.0])
def test_moves_are_accepted_as_often_as_metropolis_says(rise):
    before = np.full(20_000, 3.0)
    taken = metropolis(np.random.default_rng(0), before, before + rise, 0.5)
    assert taken.mean() == pytest.approx(min(1.0, math.exp(-rise / 0.5)), abs=0.015)


@pytest.mark.parametrize("temperature", [0.0, 1.0, 1e9])
def test_what_is_no_number_is_never_accepted_and_always_left(temperature):
    rng = np.random.default_rng(0)
    assert not metropolis(rng, np.ones(100), np.full(100, np.inf), temperature).any()
    assert not metropolis(rng, np.full(100, np.inf), np.full(100, np.inf), temperature).any()
    assert metropolis(rng, np.full(100, np.inf), np.ones(100), temperature).all()


def test_at_zero_temperature_only_falls_are_accepted():
    taken = metropolis(np.random.default_rng(0), np.ones(3), np.array([0.9, 1.0, 1.0001]), 0.0)
    assert taken.tolist() == [True, True, False]


def test_survivors_are_copied_in_proportion_to_their_weight():
    losses = np.array([0.0, 1.0, 2.0, np.inf])
    weight = np.exp(-0.7 * losses)
    counts = np.zeros(4)
    for seed in range(3000):
        chosen = survivors(np.random.default_rng(seed), losses, 0.7)
        counts += np.bincount(chosen, minlength=4)
    np.testing.assert_allclose(counts / counts.sum(), weight / weight.sum(), atol=0.01)
    assert survivors(np.random.default_rng(0), np.full(3, np.inf), 0.7).tolist() == [0, 1, 2]


def test_chains_of_one_loss_all_survive():
    assert sorted(survivors(np.random.default_rng(0), np.ones(9), 2.0).tolist()) == list(range(9))


@pytest.mark.parametrize("cooling", ["exponential", "linear"])
def test_the_temperature_falls_as_it_was_told(cooling, case):
    _, steps = trained(case, cooling=cooling, temperature=2.0, last_temperature=0.01)
    course = [step.details["temperature"] for step in steps]
    share = np.arange(12) / 12
    expected = 2 * 0.01**share if cooling == "exponential" else 2 * (1 - 0.99 * share)
    np.testing.assert_allclose(course, expected, rtol=1e-6)


def test_the_first_temperature_follows_the_spread_of_the_losses(case):
    trainer = Annealing(make(AnnealingConfig, {"chains": 10, "steps": 1, "windows": 0}))
    objective, params = case
    next(stream := trainer.fit(objective, params, seed=0))
    stream.close()
    again = Annealing(make(AnnealingConfig, {"chains": 10, "steps": 1, "moves": 1, "windows": 0, "sigma": 0.1}))
    (step,) = again.fit(objective, params, seed=0)
    rows = again._genome.initial(params, 10, 0.1, np.random.default_rng([0, (1 << 32) - 1]))
    assert step.details["temperature"] == pytest.approx(0.01 * again._contest.evaluator.losses(rows).std(), rel=1e-4)


def test_moves_grow_while_they_are_accepted(case):
    _, hot = trained(case, temperature=1e6, last_temperature=1.0)
    _, cold = trained(case, temperature=1e-9)
    assert hot[-1].details["acceptance"] == 1
    assert hot[-1].details["move_size"] > 10 * hot[0].details["move_size"]
    assert cold[-1].details["move_size"] < hot[-1].details["move_size"]
