"""Learned cycles: taken from the window, given back to the forecast, at each row's own place in time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tsforecast.models.base import Dims, make_network
from tsforecast.models.cycle import Cycled
from tsforecast.models.normalize import Normalized, roll_out
from tsforecast.ops.numpy_ops import NumpyOps
from tsforecast.ops.torch_ops import TorchOps
from tsforecast.registry import MODELS

DIMS = Dims(lags=7, horizon=5, targets=2, cycle=(4, 6))


def cycled(name="naive", dims=DIMS, mode="none"):
    inner = make_network(name, MODELS.get(name).Config(), dims)
    return Normalized(Cycled(inner), mode)


def test_fresh_cycles_change_nothing(random_inputs):
    inputs, net = random_inputs(DIMS), cycled("gru")
    params = net.init(np.random.default_rng(0))
    plain = make_network("gru", MODELS.get("gru").Config(), DIMS)
    np.testing.assert_allclose(net.apply(NumpyOps(), params, inputs), plain.apply(NumpyOps(), params, inputs))


def test_a_series_that_only_repeats_is_forecast_exactly(random_inputs):
    """Two cycles of four and six steps, known by heart: the naive forecast of what is left is perfect."""
    rng, steps = np.random.default_rng(0), np.arange(100)
    tables = {length: rng.normal(size=(length, 2)).astype(np.float32) for length in DIMS.cycle}
    series = sum(table[steps % length] for length, table in tables.items())
    first = np.array([10, 33, 50])
    rows = first[:, None] + np.arange(-DIMS.lags, DIMS.horizon)
    inputs = random_inputs(DIMS).replace(past_target=series[rows[:, : DIMS.lags]], phase=first)
    params = {f"cycle.{length}": table for length, table in tables.items()}
    out = roll_out(NumpyOps(), cycled(), params, inputs, DIMS.horizon)
    np.testing.assert_allclose(out[..., 0], series[rows[:, DIMS.lags :]], atol=1e-5)


@pytest.mark.parametrize("mode", ["none", "last", "revin"])
@pytest.mark.parametrize("name", ["gru", "tdnn", "narx"])
def test_back_ends_agree_and_gradients_reach_the_tables(name, mode, random_inputs, random_params, to_torch):
    net = cycled(name, mode=mode)
    params, inputs = random_params(net), random_inputs(DIMS, horizon=12)
    expected = roll_out(NumpyOps(), net, params, inputs, 12)
    tensors = {k: torch.tensor(v, requires_grad=True) for k, v in params.items()}
    out = roll_out(TorchOps(), net, tensors, to_torch(inputs), 12)
    np.testing.assert_allclose(out.detach(), expected, atol=1e-5)
    out.square().sum().backward()
    assert all(tensors[f"cycle.{length}"].grad.abs().sum() > 0 for length in DIMS.cycle)
    stacked = {k: torch.tensor(v)[None] for k, v in params.items()}
    alone = torch.func.vmap(lambda p: roll_out(TorchOps(fused=False), net, p, to_torch(inputs), 12))(stacked)
    np.testing.assert_allclose(alone[0], expected, atol=1e-5)


def test_what_is_shown_of_the_future_is_without_its_cycle(random_inputs, random_params):
    """A taught network steps on from the truth: on a repeating series every step is then exact."""
    dims = Dims(lags=3, horizon=4, cycle=(4,))
    net = cycled("gru", dims)
    inner = make_network("gru", MODELS.get("gru").Config(decoder="recursive", hidden=4), dims)
    net = Normalized(Cycled(inner), "none")
    params = random_params(net)
    inputs = random_inputs(dims, taught=True)
    usual = params["cycle.4"][(inputs.phase[:, None] + np.arange(-3, 4)) % 4]
    bare = inputs.replace(
        past_target=inputs.past_target - usual[:, :3], future_target=inputs.future_target - usual[:, 3:]
    )
    expected = inner.apply(NumpyOps(), params, bare) + usual[:, 3:, :, None]
    np.testing.assert_allclose(net.apply(NumpyOps(), params, inputs), expected, atol=1e-6)
