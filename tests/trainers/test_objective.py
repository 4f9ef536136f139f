"""The objective: losses by their formulas, over the right windows, the same on both back ends."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from tsforecast.models.base import Dims, Inputs
from tsforecast.models.normalize import roll_out
from tsforecast.ops.numpy_ops import NumpyOps
from tsforecast.ops.torch_ops import TorchOps
from tsforecast.trainers import objective as module
from tsforecast.trainers.losses import EMPHASES, LOSSES

DIMS = Dims(lags=5, horizon=3, targets=2, past=1, future=1, season_length=6)
ORACLES = {
    "mse": lambda d: d * d,
    "mae": abs,
    "huber": lambda d: 0.5 * d * d if abs(d) <= 1 else abs(d) - 0.5,
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_equal_their_formulas(name):
    differences = np.array([-3, -1, -0.4, 0, 0.2, 1, 1.5], dtype=np.float32)
    expected = [ORACLES[name](float(d)) for d in differences]
    np.testing.assert_allclose(LOSSES[name](differences), expected, rtol=1e-6)
    tensor = torch.tensor(differences, requires_grad=True)
    LOSSES[name](tensor).sum().backward()
    np.testing.assert_allclose(LOSSES[name](tensor).detach(), expected, rtol=1e-6)
    slope = {"mse": 2 * differences, "mae": np.sign(differences), "huber": differences.clip(-1, 1)}[name]
    np.testing.assert_allclose(tensor.grad, slope, rtol=1e-6)


@pytest.fixture(params=["linear", "narx"])
def case(request, network, random_params):
    net = network(request.param, DIMS, mode="last")
    return net, random_params(net)


def window_loss(objective, net, params, start, horizon, loss):
    """One window, cut by hand."""
    lags, target = objective.lags, objective.tables.target
    steps = slice(start, start + lags), slice(start + lags, start + lags + horizon)
    batch = objective.tables.cut(np.array([start]), np.arange(lags), np.arange(lags, lags + horizon))
    out = roll_out(NumpyOps(), net, params, Inputs(**batch), horizon)[0, ..., 0]
    return np.mean([[ORACLES[loss](float(d)) for d in row] for row in out - target[steps[1]]])


@pytest.mark.parametrize("loss", LOSSES)
def test_valid_loss_is_the_mean_over_validation_windows(loss, case, make_objective):
    net, params = case
    objective = make_objective(net, rows=60, loss=loss)
    expected = np.mean([window_loss(objective, net, params, s, 3, loss) for s in objective.valid])
    assert objective.valid_loss(params) == pytest.approx(expected, rel=1e-5)
    tensors = {k: torch.tensor(v, requires_grad=True) for k, v in params.items()}
    assert objective.valid_loss(tensors) == pytest.approx(expected, rel=1e-5)


def test_without_validation_windows_train_is_judged(case, make_objective):
    net, params = case
    objective = dataclasses.replace(make_objective(net, rows=60), valid=np.zeros(0, np.int64))
    expected = np.mean([window_loss(objective, net, params, s, net.block, "mse") for s in objective.train])
    assert objective.valid_loss(params) == pytest.approx(expected, rel=1e-5)


def test_chunks_weigh_every_window_alike(case, make_objective, monkeypatch):
    net, params = case
    objective = make_objective(net, rows=60)
    whole = objective.valid_loss(params)
    monkeypatch.setattr(module, "CHUNK", 4)
    assert objective.valid_loss(params) == pytest.approx(whole, rel=1e-5)


def test_wide_windows_are_judged_in_smaller_passes(case, make_objective, monkeypatch):
    net, params = case
    objective, sizes = make_objective(net, rows=60), []
    whole = objective.valid_loss(params)
    monkeypatch.setattr(module, "CACHED", 4 * DIMS.lags * DIMS.targets)
    monkeypatch.setattr(module, "CHUNK", 64)

    def forecast(ops, params, batch, horizon):
        sizes.append(len(batch["past_target"]))
        return objective.forecast(ops, params, batch, horizon)

    assert dataclasses.replace(objective, forecast=forecast).valid_loss(params) == pytest.approx(whole, rel=1e-5)
    assert set(sizes[:-1]) == {4}
    assert sum(sizes) == len(objective.valid)


def test_many_validation_windows_are_thinned_evenly(case, make_objective, monkeypatch):
    net, params = case
    objective = make_objective(net, rows=60)
    monkeypatch.setattr(module, "VALID_WINDOWS", 3)
    first, last = objective.valid[0], objective.valid[-1]
    chosen = [first, objective.valid[round((len(objective.valid) - 1) / 2)], last]
    expected = np.mean([window_loss(objective, net, params, s, 3, "mse") for s in chosen])
    assert objective.valid_loss(params) == pytest.approx(expected, rel=1e-5)


def test_what_is_kept_of_the_windows_bounds_their_number(monkeypatch):
    starts = np.arange(100, 10_100)
    monkeypatch.setattr(module, "MOST_VALUES", 7_200)
    assert len(module.judged_windows(starts, 1)) == module.VALID_WINDOWS
    assert module.judged_windows(starts, 720).tolist() == np.linspace(100, 10_099, 10).tolist()
    assert len(module.judged_windows(starts, 720, least=19)) == 19
    assert len(module.judged_windows(starts, 1 << 30)) == 2
    assert module.judged_windows(starts[:5], 720, least=19).tolist() == starts[:5].tolist()


def test_train_loss_counts_the_first_steps_only(network, random_params, make_objective):
    net = network("linear", DIMS)
    params = random_params(net)
    objective = make_objective(net, rows=60)
    tensors = {k: torch.tensor(v, requires_grad=True) for k, v in params.items()}
    batch = objective.batch(torch.arange(7))
    loss = objective.train_loss(TorchOps(), tensors, batch, steps=1)
    loss.backward()
    slope = tensors["bias"].grad.reshape(3, 2)
    assert torch.count_nonzero(slope[0]) == 2
    assert torch.count_nonzero(slope[1:]) == 0
    expected = np.mean([window_loss(objective, net, params, s, 3, "mse") for s in range(7)])
    assert float(objective.train_loss(TorchOps(), tensors, batch).detach()) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", EMPHASES)
def test_the_steps_weigh_1_on_average(name):
    weights = EMPHASES[name](50)
    assert weights.mean() == pytest.approx(1)
    assert (weights > 0).all()


def test_near_steps_weigh_as_in_the_paper():
    raw = [1 - math.atan(i + 1) + math.pi / 4 for i in range(12)]  # the formula as the paper's code has it
    np.testing.assert_allclose(EMPHASES["near"](12), np.array(raw) / np.mean(raw), rtol=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_emphasis_weighs_the_training_loss_only(loss, case, make_objective):
    net, params = case
    plain = make_objective(net, rows=60, loss=loss)
    objective = dataclasses.replace(plain, emphasis="near")
    tensors = {k: torch.tensor(v) for k, v in params.items()}
    batch = objective.batch(torch.arange(7))
    losses = LOSSES[loss](objective.differences(TorchOps(), tensors, batch)).mean(dim=(0, 2)).numpy()
    for steps in {net.block, 1, 0}:
        count = steps or net.block
        expected = (losses[:count] * EMPHASES["near"](count)).mean()
        assert float(objective.train_loss(TorchOps(), tensors, batch, steps=steps)) == pytest.approx(expected, rel=1e-5)
    assert objective.valid_loss(params) == plain.valid_loss(params)


def test_a_gradient_survives_an_earlier_validation(network, random_params, make_objective):
    """The cached tensors are first made under inference mode here."""
    net = network("gru", DIMS, {"hidden": 3})
    objective = make_objective(net, rows=60)
    tensors = {k: torch.tensor(v, requires_grad=True) for k, v in random_params(net).items()}
    objective.valid_loss(tensors)
    objective.train_loss(TorchOps(), tensors, objective.batch(torch.arange(4))).backward()
    assert all(v.grad is not None for v in tensors.values())


def test_no_test_row_is_ever_read(network, random_params, make_objective):
    """NaN right after the last validation row leaves every loss finite."""
    net = network("linear", DIMS)
    objective = make_objective(net, rows=60)
    last = int(objective.valid[-1]) + DIMS.lags + DIMS.horizon
    for table in (objective.tables.target, objective.tables.covariates):
        table[last:] = np.nan
    assert np.isfinite(objective.valid_loss(random_params(net)))


def test_differences_are_forecast_minus_target(case, make_objective):
    """The loss is their mean square, and their gradient is that of the forecast."""
    net, params = case
    objective = make_objective(net, rows=60)
    tensors = {k: torch.tensor(v, requires_grad=True) for k, v in params.items()}
    batch = objective.batch(torch.arange(7))
    difference = objective.differences(TorchOps(), tensors, batch)
    assert difference.shape == (7, net.block, 2)
    blind = Inputs(**{**batch, "future_target": batch["future_target"][:, :0]})
    with torch.no_grad():
        forecast = roll_out(TorchOps(), net, tensors, blind, net.block)[..., 0]
    np.testing.assert_allclose(difference.detach() + batch["future_target"], forecast, atol=1e-6)
    loss = objective.train_loss(TorchOps(), tensors, batch)
    assert float(loss.detach()) == pytest.approx(float((difference**2).mean().detach()), rel=1e-5)
    difference.sum().backward()
    assert all(v.grad is not None for v in tensors.values())


def test_a_teacher_shows_the_truth_and_nobody_else_does(network, random_params, make_objective):
    net = network("narx", DIMS, {"loop": "mixed"}, "last")
    objective, params = make_objective(net, rows=60), random_params(net)
    tensors = {k: torch.tensor(v) for k, v in params.items()}
    batch = objective.batch(torch.arange(7))
    plain, unseen, shown = (
        objective.differences(TorchOps(), tensors, batch, teacher=teacher)
        for teacher in (None, torch.zeros(7, 3, 1), torch.ones(7, 3, 1))
    )
    np.testing.assert_allclose(unseen, plain, atol=1e-6)
    assert objective.teachable
    np.testing.assert_allclose(shown[:, 0], plain[:, 0], atol=1e-6)
    assert not np.allclose(shown[:, 1:], plain[:, 1:], atol=1e-3)
    assert objective.valid_loss(tensors) == pytest.approx(objective.valid_loss(params), rel=1e-5)
