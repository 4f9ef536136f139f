"""What every registered trainer promises: progress, the best step, NaN as inf, its own randomness, exact resuming."""

from __future__ import annotations

import dataclasses
import itertools
import math
import random

import numpy as np
import pytest
import torch

from tsforecast.config import make
from tsforecast.models.base import Dims
from tsforecast.registry import TRAINERS
from tsforecast.trainers import population
from tsforecast.training import checkpoint as checkpoints
from tsforecast.training.checkpoint import Checkpoint

DIMS = Dims(lags=6, horizon=3, past=1, future=1, season_length=8)
MODEL = {"none": ("drift", {}), "least_squares": ("linear", {})}  # what a trainer can fit; any other fits a NARX
OPTIONS = {"backprop": {"steps": 6, "epoch_size": 100, "batch_size": 16, "learning_rate": 0.01}}
EVOLUTION = {"population": 16, "generations": 12, "windows": 40, "resample": 4}
VARIANTS = {  # of one trainer, beside its defaults
    "genetic, nsga2": {"selection": "nsga2", "crossover": "blend", "mutation": "polynomial"},
    "genetic, cma_es": {"strategy": "cma_es", "restarts": 1},
    "genetic, differential_evolution": {"strategy": "differential_evolution"},
    "genetic, lamarckian": {"memetic": "adam", "memetic_every": 3},
    "genetic, baldwinian": {"memetic": "levenberg_marquardt", "memetic_every": 3, "memetic_mode": "baldwinian"},
}
OPTIONS |= {name: EVOLUTION | changed for name, changed in {"genetic": {}, **VARIANTS}.items()}
OPTIONS["annealing"] = {"chains": 12, "steps": 16, "moves": 4, "windows": 40, "resample": 4}
CASES = [*TRAINERS, *VARIANTS]
LEARNING = [name for name in CASES if name != "none"]


@pytest.fixture
def setting(network, make_objective):
    """Give a fresh trainer, its objective and the parameters it starts from."""

    def build(name, **changed):
        model, options = MODEL.get(name, ("narx", {"hidden": (4,), **changed}))
        net = network(model, DIMS, options, "last")
        cls = TRAINERS.get(name.split(",")[0])
        trainer = cls(make(cls.Config, OPTIONS.get(name, {})))
        return trainer, make_objective(net), net.init(np.random.default_rng(0))

    return build


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize("name", CASES)
def test_progress_is_told_step_by_step(name, setting):
    trainer, objective, params = setting(name)
    best, seconds = math.inf, 0.0
    for count, progress in enumerate(trainer.fit(objective, params, seed=0), start=1):
        assert progress.step == count
        assert progress.is_best == (progress.valid_loss < best)
        assert progress.seconds >= seconds
        assert progress.valid_loss == pytest.approx(objective.valid_loss(trainer.params), rel=1e-4)
        best, seconds = min(best, progress.valid_loss), progress.seconds
    assert count >= 1


@pytest.mark.parametrize("name", LEARNING)
def test_the_loss_falls(name, setting):
    trainer, objective, params = setting(name)
    before = objective.valid_loss(params)
    steps = list(trainer.fit(objective, params, seed=0))
    assert min(step.valid_loss for step in steps) < 0.7 * before
    assert steps[-1].train_loss <= steps[0].train_loss or name == "least_squares"  # its penalties grow


@pytest.mark.parametrize("name", CASES)
def test_params_are_arrays_of_their_own(name, setting):
    """What was best stays as it was while training goes on, and the start is not written to."""
    trainer, objective, params = setting(name)
    start = {k: v.copy() for k, v in params.items()}
    kept = []
    for _ in trainer.fit(objective, params, seed=0):
        taken = trainer.params
        kept.append((taken, {k: v.copy() for k, v in taken.items()}))
    assert same(params, start)
    for taken, copy in kept:
        assert same(taken, copy)
        assert taken.keys() == start.keys()
        assert all(v.dtype == np.float32 and v.shape == start[k].shape for k, v in taken.items())


@pytest.mark.parametrize("name", CASES)
def test_a_loss_that_is_no_number_is_infinite(name, setting):
    trainer, objective, params = setting(name)
    sick = dataclasses.replace(objective, forecast=lambda *given: objective.forecast(*given) * math.nan)
    for progress in itertools.islice(trainer.fit(sick, params, seed=0), 3):
        assert progress.valid_loss == math.inf
        assert not math.isnan(progress.train_loss)
        assert not progress.is_best


@pytest.mark.parametrize("name", CASES)
def test_global_random_state_is_untouched(name, setting):
    trainer, objective, params = setting(name)
    before = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002 - the old, global one
    list(trainer.fit(objective, params, seed=0))
    assert random.getstate() == before[0]
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[2])


@pytest.mark.parametrize("name", CASES)
def test_the_seed_decides_the_outcome(name, setting):
    def run(seed):
        trainer, objective, params = setting(name)
        losses = [progress.valid_loss for progress in trainer.fit(objective, params, seed=seed)]
        return trainer.params, losses

    first, second = run(3), run(3)
    assert same(first[0], second[0])
    assert first[1] == second[1]


@pytest.mark.parametrize("name", CASES)
def test_a_resumed_run_is_the_unbroken_one(name, setting, tmp_path):
    """The state goes through a checkpoint file, as it does when a run is interrupted."""
    whole, objective, params = setting(name)
    expected = list(whole.fit(objective, params, seed=1))
    if len(expected) < 2:
        pytest.skip("one step cannot be interrupted in the middle")
    broken, objective, params = setting(name)
    early = list(itertools.islice(broken.fit(objective, params, seed=1), len(expected) // 2))
    path = tmp_path / "run.resume"
    checkpoints.save(path, Checkpoint("same", broken.state(), broken.params, [], 0))
    resumed, objective, params = setting(name)
    late = list(resumed.fit(objective, params, seed=1, state=dict(checkpoints.load(path, "same").trainer)))
    assert [p.step for p in early + late] == [p.step for p in expected]
    assert [p.train_loss for p in early + late] == [p.train_loss for p in expected]
    assert [p.is_best for p in early + late] == [p.is_best for p in expected]
    assert same(resumed.params, whole.params)
    assert late[-1].seconds >= early[-1].seconds


@pytest.mark.parametrize("name", LEARNING)
def test_a_resumed_run_knows_what_was_spent(name, setting):
    """With nine tenths of a time budget gone, no schedule begins anew because the run was interrupted."""

    def steps(trainer, count, done=0, **given):
        made = []
        stream = trainer.fit(objective, params, seed=1, spent=lambda: 0.9 * (done + len(made) > 0), **given)
        made.extend(progress.train_loss for progress in itertools.islice(stream, count))
        return made, trainer.params

    whole, objective, params = setting(name, loop="mixed")
    expected, reached = steps(whole, 6)
    broken, *_ = setting(name, loop="mixed")
    early, _ = steps(broken, 4)
    resumed, *_ = setting(name, loop="mixed")
    late, found = steps(resumed, 2, done=4, state=broken.state())
    assert early + late == expected
    assert same(found, reached)


@pytest.mark.parametrize("name", CASES)
def test_a_budget_without_an_end_changes_nothing(name, setting):
    """Looking at the clock does not move the weights."""
    plain, objective, params = setting(name)
    timed, *_ = setting(name)
    losses = [
        [progress.train_loss for progress in trainer.fit(objective, params, seed=1, **given)]
        for trainer, given in ((plain, {}), (timed, {"spent": lambda: 1e-9}))
    ]
    assert losses[0] == losses[1]
    assert same(plain.params, timed.params)


@pytest.mark.parametrize("name", CASES)
def test_a_step_under_a_spent_budget_is_a_step(name, setting):
    """It may be cut short, but it is judged, can be the best, and its parameters are whole."""
    trainer, objective, params = setting(name)
    progress = next(iter(trainer.fit(objective, params, seed=0, spent=lambda: 2.0)))
    assert progress.step == 1
    assert progress.is_best
    assert math.isfinite(progress.train_loss)
    assert progress.valid_loss == pytest.approx(objective.valid_loss(trainer.params), rel=1e-4)
    assert trainer.state().keys() >= {"course"} or name == "none"


@pytest.mark.parametrize("name", [name for name in CASES if TRAINERS.get(name.split(",")[0]).cuts_steps])
def test_a_step_is_cut_once_the_budget_is_spent(name, setting, monkeypatch):
    """The clock runs by what is computed: one forward pass of many is a fifth of the budget."""
    trainer, objective, params = setting(name)
    passes = []

    def forecast(ops, given, batch, horizon):
        passes.append(len(batch["past_target"]))
        return objective.forecast(ops, given, batch, horizon)

    watched = dataclasses.replace(objective, forecast=forecast, valid=objective.valid[:1])
    monkeypatch.setattr(population.Evaluator, "_networks_per_pass", lambda _: 2)
    trainer.config = dataclasses.replace(
        trainer.config, **({"way": "together"} if hasattr(trainer.config, "way") else {})
    )
    next(iter(trainer.fit(watched, params, seed=0)))
    whole = len(passes)
    passes.clear()
    next(iter(trainer.fit(watched, params, seed=0, spent=lambda: len(passes) / 3)))
    assert len(passes) <= 3 + 2 < whole  # what judges the step is computed beyond the budget
