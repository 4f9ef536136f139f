"""Genes and parameters are the same thing, and a population is judged as its networks are one by one."""

from __future__ import annotations

import dataclasses
import math
import time

import numpy as np
import pytest
import torch

from tsforecast.models.base import Dims
from tsforecast.ops.torch_ops import TorchOps
from tsforecast.trainers import population as module
from tsforecast.trainers.population import Evaluator, Genome

DIMS = Dims(lags=6, horizon=3, past=1, future=1, season_length=8)
MODELS = {
    "narx": {"hidden": (5,), "loop": "closed"},
    "tdnn": {},
    "gru": {"hidden": 4},
    "lstm": {"hidden": 4},
    "linear": {},
}


@pytest.fixture(params=MODELS)
def case(request, network, make_objective, random_params):
    net = network(request.param, DIMS, MODELS[request.param], "last")
    return make_objective(net, rows=140), random_params(net)


@pytest.fixture
def narx(network, make_objective):
    net = network("narx", DIMS, MODELS["narx"], "last")
    return make_objective(net, rows=140), net.init(np.random.default_rng(0))


def evaluator(objective, params, windows=30, chance=0.0):
    made = Evaluator(objective, Genome(params), windows)
    made.draw(np.random.default_rng(3), chance)
    return made


def population(params, count=7):
    return Genome(params).initial(params, count, 0.3, np.random.default_rng(1))


def one_by_one(objective, params, rows, made):
    losses = []
    for row in rows:
        tensors = {k: torch.from_numpy(v) for k, v in Genome(params).params(row).items()}
        with torch.inference_mode():
            losses.append(float(objective.train_loss(TorchOps(), tensors, made.batch, teacher=made.teacher)))
    return losses


def test_parameters_survive_the_way_through_genes(case):
    _, params = case
    genome = Genome(params)
    back = genome.params(genome.row(params))
    assert list(back) == list(params)
    for name, value in params.items():
        np.testing.assert_allclose(back[name], value, rtol=1e-6)
        assert back[name].dtype == np.float32
    tensors = genome.tensors(torch.from_numpy(np.stack([genome.row(params) * genome.scale] * 2)))
    assert all(np.allclose(tensors[k][1], v, rtol=1e-6) for k, v in params.items())


def test_scales_follow_the_tensors_and_have_a_floor():
    genome = Genome({"large": np.full((2, 2), 3.0, np.float32), "none": np.zeros(4, np.float32)})
    assert genome.scale[:4].tolist() == [3.0] * 4
    assert genome.scale[4:].tolist() == pytest.approx([module.FLOOR * math.sqrt(36 / 8)] * 4)
    assert Genome({"zero": np.zeros(2, np.float32)}).scale.tolist() == [1.0, 1.0]


def test_the_first_population_has_the_spread_of_the_initial_parameters(narx):
    _, params = narx
    genome = Genome(params)
    rows = genome.initial(params, 9, 0.0, np.random.default_rng(0))
    assert np.array_equal(rows[0], genome.row(params))
    assert not np.array_equal(rows[1], rows[2])
    for row in rows:
        for name, value in genome.params(row).items():
            np.testing.assert_allclose(np.sort(value, None), np.sort(params[name], None), rtol=1e-6)
    noisy = genome.initial(params, 400, 0.5, np.random.default_rng(0))
    assert noisy[1:, -1].std() == pytest.approx(np.hypot(0.5, rows[1:, -1].std()), rel=0.5)
    assert (noisy[1:] != rows[0]).all()


def test_a_population_is_judged_as_its_networks_are(case):
    objective, params = case
    rows, made = population(params), evaluator(objective, params)
    np.testing.assert_allclose(made.losses(rows), one_by_one(objective, params, rows, made), rtol=1e-4)
    assert made.evaluations == len(rows)


def test_it_does_not_matter_how_many_networks_share_a_pass(case):
    objective, params = case
    rows, made = population(params, 23), evaluator(objective, params)
    assert made.chunk >= 23
    expected = made.losses(rows)
    for made.chunk in (1, 4, 22):
        np.testing.assert_allclose(made.losses(rows), expected, rtol=1e-5)


def test_a_sample_holds_enough_values(narx):
    objective, params = narx
    for block, windows in ((1, 3072), (24, 128), (96, 64)):
        sized = dataclasses.replace(objective, block=block, train=np.arange(5000))
        assert Evaluator(sized, Genome(params), 0).windows == windows


def test_larger_work_is_done_in_smaller_passes(narx):
    objective, params = narx
    sizes = [evaluator(objective, params, windows).chunk for windows in (10, 40, 80)]
    assert sizes[0] == pytest.approx(4 * sizes[1], rel=0.01)
    assert sizes[1] == pytest.approx(2 * sizes[2], rel=0.01)


def test_one_by_one_comes_to_the_same(case):
    objective, params = case
    rows, together, alone = population(params), evaluator(objective, params), evaluator(objective, params)
    together.batched, alone.batched = True, False
    np.testing.assert_allclose(alone.losses(rows), together.losses(rows), rtol=1e-4)
    values = torch.from_numpy(rows * alone.genome.scale)
    np.testing.assert_allclose(alone.lesson(values, 1), together.lesson(values, 1), rtol=1e-4)
    assert alone.valid_loss(rows[0]) == pytest.approx(together.valid_loss(rows[0]), rel=1e-4)


@pytest.mark.parametrize(("call", "company", "expected"), [(0.02, 0.0, True), (0.0, 0.002, False)])
def test_the_first_generation_tries_both_ways_and_keeps_the_faster(call, company, expected, narx, monkeypatch):
    """Where a pass has its price, networks go together; where company makes each of them slow, one by one."""
    objective, params = narx
    made, plain = evaluator(objective, params), Evaluator._pass

    def slow(self, values):
        time.sleep(call + company * (len(values) - 1) * len(values))
        return plain(self, values)

    monkeypatch.setattr(Evaluator, "_pass", slow)
    made.losses(population(params, 12))
    assert made.batched == expected
    assert made.details["networks_per_pass"] == (made.chunk if expected else 1)
    assert made.evaluations == 12
    again = evaluator(objective, params)
    again.restore(made.state())
    assert again.batched == expected


@pytest.mark.parametrize("interrupted", [2, 6])
def test_an_interruption_does_not_choose_the_way(interrupted, narx, monkeypatch):
    """The machine may do something else during any one pass of either way."""
    objective, params = narx
    passes, plain = [], Evaluator._pass

    def slow(self, values):
        passes.append(len(values))
        time.sleep(0.02 + 0.5 * (len(passes) == interrupted))
        return plain(self, values)

    monkeypatch.setattr(Evaluator, "_pass", slow)
    made = evaluator(objective, params)
    made.losses(population(params, 12))
    assert made.batched
    assert passes == [12] * module.TRIES + [1] * module.TRIES + [12]


def test_the_fitness_of_a_population_is_that_of_each_network(narx):
    objective, params = narx
    seen = []

    def worst(forecasts, starts):
        seen.append((forecasts.shape, tuple(starts)))
        return np.abs(forecasts).max((-3, -2, -1))

    rows = population(params)
    made = evaluator(dataclasses.replace(objective, fitness=worst), params)
    expected = []
    for row in rows:
        tensors = {k: torch.from_numpy(v) for k, v in made.genome.params(row).items()}
        out = objective.differences(TorchOps(), tensors, made.batch) + made.batch["future_target"]
        expected.append(float(out.abs().max()))
    made.chunk, made.batched = 4, True
    np.testing.assert_allclose(made.losses(rows), expected, rtol=1e-4)
    assert [shape[0] for shape, _ in seen] == [4, 3]
    assert all(starts == tuple(objective.train[made.sample]) for _, starts in seen)


def test_a_loss_that_is_no_number_is_infinite(narx):
    objective, params = narx
    rows = population(params)
    rows[2] = np.nan
    rows[4] = 1e38
    losses = evaluator(objective, params).losses(rows)
    assert np.isinf(losses[[2, 4]]).all()
    assert np.isfinite(losses[[0, 1, 3, 5, 6]]).all()


def test_all_windows_are_taken_when_there_are_no_more(narx):
    objective, params = narx
    for windows in (0, 10_000):
        assert evaluator(objective, params, windows).sample.tolist() == list(range(objective.n_train))
    few = evaluator(objective, params, 12).sample
    assert len(set(few.tolist())) == 12


def test_lessons_are_other_windows_and_all_of_them_are_taught(narx, monkeypatch):
    objective, params = narx
    made = evaluator(objective, params, 12)
    assert len(set(made.lessons.tolist())) == min(objective.n_train, module.LESSONS * 12)
    taught = []

    def batch(rows):
        taught.extend(rows.tolist())
        return objective.batch(rows)

    made.objective = dataclasses.replace(objective)
    object.__setattr__(made.objective, "batch", batch)
    values = torch.from_numpy(population(params) * made.genome.scale)
    for number in range(-(-len(made.lessons) // 12)):
        made.lesson(values, number)
    assert sorted(taught) == made.lessons.tolist()


def test_the_truth_is_shown_to_networks_that_can_see_it(network, make_objective, random_params):
    net = network("narx", DIMS, {"hidden": (3,), "loop": "mixed"})
    params = random_params(net)
    objective = dataclasses.replace(make_objective(net), teachable=True)
    rows = population(params)
    for chance in (0.0, 0.5, 1.0):
        made = evaluator(objective, params, chance=chance)
        assert float(made.teacher.mean()) == pytest.approx(chance, abs=0.15)
        np.testing.assert_allclose(made.losses(rows), one_by_one(objective, params, rows, made), rtol=1e-4)


@pytest.mark.parametrize(("way", "batched"), [("together", True), ("one_by_one", False)])
def test_a_way_that_is_named_is_not_tried(way, batched, narx, monkeypatch):
    objective, params = narx
    made = Evaluator(objective, Genome(params), 20, way)
    made.draw(np.random.default_rng(0))
    monkeypatch.setattr(Evaluator, "_choose", lambda *_: pytest.fail("tried"))
    made.losses(population(params))
    assert made.batched is batched
