"""The loss of quantile levels: what it is, and that all of training uses it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tsforecast.models.base import Dims, Inputs
from tsforecast.models.levels import Levels
from tsforecast.models.naive import Naive
from tsforecast.models.normalize import Normalized
from tsforecast.ops.numpy_ops import NumpyOps
from tsforecast.ops.torch_ops import TorchOps
from tsforecast.trainers.losses import pinball

LEVELS = (0.1, 0.5, 0.75)
DIMS = Dims(lags=6, horizon=3, targets=2)


def by_loop(forecast, target, levels):
    """Twice the mean pinball loss, one pair after another."""
    losses = []
    for index, actual in np.ndenumerate(target):
        for k, level in enumerate(levels):
            miss = actual - forecast[index][k]
            losses.append(2 * max(level * miss, (level - 1) * miss))
    return float(np.mean(losses))


def objective_of(make_objective, network, levels):
    net = network("tdnn", replace(DIMS, levels=levels), {"channels": 4}, "none")
    net = Normalized(net.network, "last")
    net = Levels(net) if levels else net
    return net, replace(make_objective(net, rows=80, loss="mae"), levels=levels)


def test_it_equals_a_plain_loop():
    rng = np.random.default_rng(0)
    forecast, target = rng.normal(size=(4, 3, 2, 3)), rng.normal(size=(4, 3, 2))
    tilt = 1 - 2 * np.array(LEVELS)
    assert pinball(forecast - target[..., None], tilt).mean() == pytest.approx(by_loop(forecast, target, LEVELS))


def test_training_and_validation_minimise_it(make_objective, network, random_params):
    net, objective = objective_of(make_objective, network, LEVELS)
    params = random_params(net)
    tensors = {k: torch.tensor(v) for k, v in params.items()}
    batch = objective.batch(torch.arange(objective.n_train))
    out = objective.forecast(NumpyOps(), params, {k: v.numpy() for k, v in batch.items()}, DIMS.horizon)
    wanted = by_loop(out, batch["future_target"].numpy(), LEVELS)
    assert float(objective.train_loss(TorchOps(), tensors, batch)) == pytest.approx(wanted, rel=1e-5)
    for given in (params, tensors):
        assert objective.loss_over(given, objective.train, DIMS.horizon) == pytest.approx(wanted, rel=1e-5)


def test_the_median_alone_costs_what_the_point_does(make_objective, network, random_params):
    net, objective = objective_of(make_objective, network, (0.5,))
    _, point = objective_of(make_objective, network, ())
    params = random_params(net)
    assert objective.valid_loss(params) == pytest.approx(point.valid_loss(params), rel=1e-6)


def test_a_point_is_every_quantile(make_objective, network):
    """So the loss of the naive forecast, with one output, compares with that of a network with three."""
    _, objective = objective_of(make_objective, network, (0.1, 0.5, 0.9))
    naive = Naive(None, DIMS)
    repeat = replace(objective, forecast=lambda ops, _, batch, __: naive.apply(ops, {}, Inputs(**batch)))
    assert repeat.valid_loss({}) == pytest.approx(replace(repeat, levels=()).valid_loss({}), rel=1e-6)


def test_a_fitness_judges_the_median(make_objective, network, random_params):
    net, objective = objective_of(make_objective, network, LEVELS)
    seen = []
    judged = replace(objective, fitness=lambda made, _: seen.append(made) or 1.0)
    params = random_params(net)
    judged.valid_loss(params)
    batch = objective.tables.cut(objective.valid, np.arange(6), np.arange(6, 9))
    out = objective.forecast(NumpyOps(), params, batch, DIMS.horizon)
    np.testing.assert_array_equal(seen[0], out[..., 1])
