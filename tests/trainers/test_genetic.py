"""Evolution of networks: options that mean nothing are refused, samples are fair, learning counts, metrics are met."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pyarrow as pa
import pytest
import torch

from tsforecast.config import make
from tsforecast.data.read import read
from tsforecast.errors import UsageError
from tsforecast.models.base import Dims
from tsforecast.options import ColumnOptions, FitOptions, ReadOptions
from tsforecast.trainers.covariance import CmaEs
from tsforecast.trainers.genetic import Genetic, GeneticConfig
from tsforecast.trainers.memetic import LOCAL, improve
from tsforecast.trainers.population import Evaluator, Genome
from tsforecast.training.fitting import fit
from tsforecast.training.preparation import prepare

DIMS = Dims(lags=6, horizon=3, past=1, future=1, season_length=8)


@pytest.fixture
def case(network, make_objective):
    net = network("narx", DIMS, {"hidden": (4,), "loop": "closed"}, "last")
    return make_objective(net, rows=160), net.init(np.random.default_rng(0))


def trained(case, **options):
    trainer = Genetic(make(GeneticConfig, {"population": 16, "generations": 10, **options}))
    return trainer, list(trainer.fit(*case, seed=0))


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"strategy": "cma_es", "crossover": "sbx"}, "crossover"),
        ({"strategy": "differential_evolution", "mutation_rate": 0.5}, "mutation_rate"),
        ({"strategy": "differential_evolution", "elites": 3}, "elites"),
        ({"strategy": "ga", "restarts": 2}, "restarts"),
        ({"strategy": "ga", "selection": "best", "elites": 3}, "elites"),
        ({"strategy": "ga", "crossover": "uniform", "eta": 3}, "eta"),
        ({"memetic_steps": 9}, "memetic_steps"),
        ({"memetic_mode": "baldwinian"}, "memetic_mode"),
    ],
)
def test_options_without_effect_are_refused(options, word):
    with pytest.raises(UsageError, match=word):
        Genetic(make(GeneticConfig, {"strategy": "ga", **options}))


def test_cma_es_is_not_for_large_networks():
    params = {"w": np.zeros(CmaEs.most_genes + 1, np.float32)}
    with pytest.raises(UsageError, match="up to 2000 parameters, this network has 2001") as caught:
        Genetic(make(GeneticConfig, {"strategy": "cma_es"})).check(params)
    assert "differential_evolution" in caught.value.hint
    Genetic(make(GeneticConfig, {})).check(params)


@pytest.mark.parametrize("how", LOCAL)
def test_local_search_lowers_every_loss(how, case):
    objective, params = case
    evaluator = Evaluator(objective, Genome(params), 0)
    evaluator.draw(np.random.default_rng(0))
    rows = evaluator.genome.initial(params, 3, 0.3, np.random.default_rng(0))
    losses = evaluator.losses(rows)
    moved, found = improve(evaluator, how, rows, losses, 10)
    assert (found < 0.9 * losses).all()
    np.testing.assert_allclose(evaluator.losses(moved), found, rtol=1e-5)


@pytest.mark.parametrize("how", LOCAL)
def test_nobody_learns_beyond_the_budget(how, case):
    objective, params = case
    now = [0.0]
    evaluator = Evaluator(objective, Genome(params), 20, spent=lambda: now[0])
    evaluator.draw(np.random.default_rng(0))
    rows = evaluator.genome.initial(params, 3, 0.3, np.random.default_rng(0))
    losses = evaluator.losses(rows)
    now[0] = 1.0
    moved, found = improve(evaluator, how, rows, losses, 10)
    np.testing.assert_allclose(moved, rows, rtol=1e-6)
    np.testing.assert_allclose(found, losses, rtol=1e-5)


def test_local_search_of_several_equals_that_of_each(case):
    objective, params = case
    evaluator = Evaluator(objective, Genome(params), 20)
    evaluator.draw(np.random.default_rng(0))
    rows = evaluator.genome.initial(params, 3, 0.3, np.random.default_rng(0))
    together = LOCAL["adam"](evaluator, rows, 4)
    for k in range(3):
        np.testing.assert_allclose(LOCAL["adam"](evaluator, rows[k : k + 1], 4)[0], together[k], atol=1e-4)


def test_whoever_learning_does_not_help_stays(case):
    objective, params = case
    evaluator = Evaluator(objective, Genome(params), 20)
    evaluator.draw(np.random.default_rng(0))
    rows = evaluator.genome.initial(params, 2, 0.3, np.random.default_rng(0))
    lowest = np.full(2, -1.0)
    moved, found = improve(evaluator, "adam", rows, lowest, 2)
    assert np.array_equal(moved, rows)
    assert np.array_equal(found, lowest)


@pytest.mark.parametrize("mode", ["lamarckian", "baldwinian"])
def test_what_was_learnt_is_inherited_or_only_counts(mode, case):
    options = {"memetic": "adam", "memetic_every": 10, "memetic_steps": 20, "memetic_mode": mode}
    trainer, steps = trained(case, **options)
    strategy, contest = trainer._strategy, trainer._contest
    best = np.argsort(strategy.losses)[:2]
    inherited = contest.evaluator.losses(strategy.rows[best])
    if mode == "lamarckian":
        np.testing.assert_allclose(inherited, strategy.losses[best], rtol=1e-4)
    else:
        assert (inherited > 1.01 * strategy.losses[best]).all()
    assert steps[-1].train_loss == pytest.approx(strategy.losses[best[0]])  # the answer is the one that has learnt
    assert contest.evaluator.losses(contest.answer[None])[0] == pytest.approx(steps[-1].train_loss, rel=1e-4)


def test_learning_pays(case):
    _, plain = trained(case)
    _, learnt = trained(case, memetic="adam", memetic_every=5)
    assert learnt[-1].train_loss < plain[-1].train_loss


def test_the_answer_is_judged_by_every_new_sample(case):
    trainer, steps = trained(case, windows=20, resample=3, generations=9)
    losses = [step.train_loss for step in steps]
    for first in (0, 3, 6):
        assert losses[first] >= losses[first + 1] >= losses[first + 2]
    evaluator = trainer._contest.evaluator
    np.testing.assert_allclose(evaluator.losses(trainer._strategy.rows), trainer._strategy.losses, rtol=1e-4)


def test_a_mixed_loop_is_shown_less_and_less(network, make_objective):
    net = network("narx", DIMS, {"hidden": (3,), "loop": "mixed"})
    objective = dataclasses.replace(make_objective(net), teachable=True)
    trainer = Genetic(make(GeneticConfig, {"population": 8, "generations": 8, "resample": 1}))
    shown = [
        float(trainer._contest.evaluator.teacher.mean())
        for _ in trainer.fit(objective, net.init(np.random.default_rng(0)), seed=0)
    ]
    assert shown[0] == 1
    assert 0 < shown[2] < 1
    assert shown[4:] == [0] * 4


def test_curvature_of_the_median_alone_trains_no_quantiles():
    """A local search by Levenberg-Marquardt; one by the gradient of the loss itself does."""
    hours = np.arange(200)
    data = pa.table({"time": np.datetime64("2024-01-01T00", "us") + hours * np.timedelta64(1, "h"), "y": np.sin(hours)})
    options = FitOptions(horizon=3, lags="6", model="narx", trainer="genetic", quantiles=(0.1, 0.9))
    given = read([data], ReadOptions()), ColumnOptions(target=("y",)), ReadOptions()
    assert prepare(*given, options, {}, {"memetic": "adam"}).forecaster.shape.levels == (0.1, 0.5, 0.9)
    with pytest.raises(UsageError, match=r"cannot train --quantiles: .*memetic=levenberg_marquardt fits a point"):
        prepare(*given, options, {}, {"memetic": "levenberg_marquardt"})
    around = dataclasses.replace(options, intervals="conformal")
    assert prepare(*given, around, {}, {"memetic": "levenberg_marquardt"}).forecaster.shape.levels == ()


def test_the_share_of_a_time_budget_counts_too(network, make_objective):
    net = network("narx", DIMS, {"hidden": (3,), "loop": "mixed"})
    objective = dataclasses.replace(make_objective(net), teachable=True)
    trainer = Genetic(make(GeneticConfig, {"population": 8, "generations": 1000, "resample": 1}))
    now = [0.0]
    stream = trainer.fit(objective, net.init(np.random.default_rng(0)), seed=0, spent=lambda: now[0])
    next(stream)
    now[0] = 0.6
    next(stream)
    assert float(trainer._contest.evaluator.teacher.mean()) == 0


def test_progress_tells_what_evolution_does(case):
    _, steps = trained(case)
    details = steps[-1].details
    assert details["evaluations_per_second"] > 0
    assert 0 < details["variation_share"] < 1
    assert details["median_loss"] >= steps[-1].train_loss
    assert all(math.isfinite(value) for value in details.values())


def test_torch_threads_see_the_population():
    assert Genetic(make(GeneticConfig, {"population": 70})).population == 70


@pytest.mark.parametrize("fitness", ["mape", "r2", "costs"])
def test_any_metric_or_table_of_costs_can_be_minimised(fitness, tmp_path):
    if fitness == "costs":
        path = tmp_path / "costs.csv"
        path.write_text("error,cost\n-10,100\n0,0\n10,10\n")  # to forecast too little is dear
    hours = np.arange(200)
    y = 20 + 5 * np.sin(hours / 24 * 2 * np.pi) + np.random.default_rng(0).normal(size=200)
    table = pa.table({"time": np.datetime64("2024-01-01T00", "us") + hours * np.timedelta64(1, "h"), "y": y})
    chosen = {"fitness": str(path) if fitness == "costs" else fitness}
    task = prepare(
        read([table], ReadOptions()),
        ColumnOptions(target=("y",)),
        ReadOptions(),
        FitOptions(horizon=3, lags="6", model="narx", trainer="genetic"),
        {"hidden": "3"},
        {"population": 12, "generations": 10, "windows": 50} | chosen,
    )
    start = task.objective.valid_loss({k: torch.from_numpy(v) for k, v in task.forecaster.params.items()})
    outcome = fit(task)
    best = min(record["valid_loss"] for record in outcome.forecaster.history)
    assert best < start
    assert task.objective.valid_loss(outcome.forecaster.params) == pytest.approx(best, rel=1e-3)
    if fitness == "costs":
        tensors = {k: torch.from_numpy(v) for k, v in outcome.forecaster.params.items()}
        _, forecasts, actual = task.objective._forecast(tensors, task.objective.valid, 3)
        assert float(forecasts.mean()) > float(actual.mean())
