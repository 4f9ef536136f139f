"""Networks trained side by side, one per series: each as if it were alone, each with its own best parameters."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from tsforecast.config import make
from tsforecast.data.window import Tables
from tsforecast.models.base import Dims, Inputs
from tsforecast.models.local import Local
from tsforecast.models.normalize import roll_out
from tsforecast.trainers.backprop import Backprop, BackpropConfig
from tsforecast.trainers.objective import Objective
from tsforecast.trainers.separate import Separate, clip_each

ROWS, TRAIN, SERIES = 40, 30, 3
DIMS = Dims(lags=6, horizon=2, series=SERIES)


def starts(first: int, end: int) -> np.ndarray:
    """Return the windows of every series that forecast its rows from ``first`` to ``end``."""
    inside = np.arange(max(first - DIMS.lags, 0), end - DIMS.lags - DIMS.horizon + 1)
    return np.concatenate([s * ROWS + inside for s in range(SERIES)])


@pytest.fixture
def objective(network, make_objective) -> Objective:
    """Make the objective of a small gru for each of three noisy waves."""
    rng = np.random.default_rng(0)
    values = np.sin(np.arange(ROWS)[:, None] / np.array([1.0, 2.0, 3.0])) + 0.3 * rng.normal(size=(ROWS, SERIES))
    target = values.T.reshape((-1, 1)).astype(np.float32)
    tables = Tables(
        target=target,
        covariates=target[:, :0],
        static=np.zeros((SERIES, 0), np.float32),
        series=np.repeat(np.arange(SERIES, dtype=np.int32), ROWS),
        phase=np.zeros(len(target), np.int32),
        known=np.arange(SERIES),
        past=0,
    )
    local = Local(network("gru", DIMS, {"hidden": 3}, "last"))

    def forecast(ops, params, batch, horizon):
        return roll_out(ops, local, dict(params), Inputs(**batch), horizon)

    made = make_objective(local.network, tables=tables)
    return dataclasses.replace(made, train=starts(0, TRAIN), valid=starts(TRAIN, ROWS), forecast=forecast, local=True)


def single(objective: Objective, network, s: int) -> Objective:
    """Return the objective of one of the series alone."""
    net = network("gru", DIMS, {"hidden": 3}, "last")

    def forecast(ops, params, batch, horizon):
        return roll_out(ops, net, dict(params), Inputs(**batch), horizon)

    series = objective.tables.series
    own = {part: rows[series[rows] == s] for part, rows in (("train", objective.train), ("valid", objective.valid))}
    return dataclasses.replace(objective, forecast=forecast, local=False, **own)


def trained(objective: Objective, start: dict[str, np.ndarray], **options):
    trainer = Backprop(make(BackpropConfig, options, "trainer"))
    progress = list(trainer.fit(objective, {k: v.copy() for k, v in start.items()}, seed=0))
    return trainer, progress


@pytest.mark.parametrize("clip", [0.0, 0.01])
def test_each_network_becomes_what_it_would_be_alone(clip, objective, network):
    """All windows of a series in every update, so that their order says nothing; a clip that bites, too."""
    each = len(starts(0, TRAIN)) // SERIES
    how = {"steps": 4, "batch_size": each, "epoch_size": each, "learning_rate": 0.02, "clip": clip}
    net = network("gru", DIMS, {"hidden": 3}, "last")
    start = net.init(np.random.default_rng(1))
    stacked = {k: np.stack([v] * SERIES) for k, v in start.items()}
    trainer, progress = trained(objective, stacked, **how)
    alone = [trained(single(objective, network, s), start, **how) for s in range(SERIES)]
    losses = []
    for s, (one, steps) in enumerate(alone):
        best = min(record.valid_loss for record in steps)
        losses.append(min(best, single(objective, network, s).valid_loss(start)))
        if losses[-1] == best and steps[-1].is_best:
            for name, value in one.params.items():
                np.testing.assert_allclose(trainer.params[name][s], value, atol=2e-5)
    assert any(steps[-1].is_best for _, steps in alone), "at least one network must be compared"
    assert progress[-1].valid_loss == pytest.approx(np.mean(losses), rel=1e-4)


def test_every_series_keeps_its_own_best(objective):
    local = {"w": torch.zeros(SERIES, 2)}
    found = iter([[3.0, 3.0, np.nan], [1.0, 5.0, np.nan], [2.0, 2.0, np.nan], [9.0, 9.0, np.nan]])

    class Told:
        def valid_losses(self, params):
            return np.array(next(found))

    separate = Separate(Told(), local)
    assert separate.take({"w": torch.full((SERIES, 2), 1.0)}) == pytest.approx((1 + 3) / 2)
    assert separate.take({"w": torch.full((SERIES, 2), 2.0)}) == pytest.approx((1 + 2) / 2)
    assert separate.take({"w": torch.full((SERIES, 2), 3.0)}) == pytest.approx((1 + 2) / 2)
    assert separate.params["w"][:, 0].tolist() == [1.0, 2.0, 2.0]  # the last has no window: it follows the others


def test_losses_of_the_series_are_those_of_each_alone(objective, network, monkeypatch):
    net = network("gru", DIMS, {"hidden": 3}, "last")
    params = [net.init(np.random.default_rng(s)) for s in range(SERIES)]
    stacked = {k: np.stack([p[k] for p in params]) for k in params[0]}
    monkeypatch.setattr("tsforecast.trainers.objective.CHUNK", 5)
    expected = [single(objective, network, s).valid_loss(params[s]) for s in range(SERIES)]
    np.testing.assert_allclose(objective.valid_losses(stacked), expected, rtol=1e-5)
    fewer = dataclasses.replace(objective, valid=objective.valid[objective.tables.series[objective.valid] != 1])
    assert np.isnan(fewer.valid_losses(stacked)).tolist() == [False, True, False]
    stacked["layer0.0.bias"][2] = np.nan
    assert objective.valid_losses(stacked)[2] == np.inf


def test_a_gradient_that_explodes_slows_no_other_network_down():
    tensors = [torch.zeros(2, 3, requires_grad=True), torch.zeros(2, requires_grad=True)]
    tensors[0].grad, tensors[1].grad = torch.tensor([[300.0, 0, 0], [0.3, 0, 0]]), torch.tensor([400.0, 0.4])
    clip_each(tensors, 1.0)
    assert tensors[0].grad[0].tolist() == pytest.approx([0.6, 0, 0])
    assert tensors[0].grad[1].tolist() == pytest.approx([0.3, 0, 0])
    assert tensors[1].grad.tolist() == pytest.approx([0.8, 0.4])


def test_a_resumed_run_ends_where_it_would_have(objective, network):
    net = Local(network("gru", DIMS, {"hidden": 3}, "last"))
    start = net.init(np.random.default_rng(1))
    options = make(BackpropConfig, {"steps": 4, "epoch_size": 16}, "trainer")
    whole, _ = trained(objective, start, steps=4, epoch_size=16)
    first = Backprop(options)
    stream = first.fit(objective, dict(start), seed=0)
    next(stream), next(stream)
    second = Backprop(options)
    list(second.fit(objective, dict(start), seed=0, state=first.state()))
    for name, value in whole.params.items():
        np.testing.assert_allclose(second.params[name], value, atol=1e-6)
