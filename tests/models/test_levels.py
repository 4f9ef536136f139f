"""Quantile levels: they never cross, and the median is what the network inside says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tsforecast.config import make
from tsforecast.models.base import Dims, make_network
from tsforecast.models.levels import SHARPNESS, Levels
from tsforecast.models.normalize import NORMALIZATIONS, Normalized, roll_out
from tsforecast.ops.numpy_ops import NumpyOps
from tsforecast.ops.torch_ops import TorchOps
from tsforecast.registry import MODELS

LEVELS = (0.05, 0.1, 0.5, 0.9)
DIMS = Dims(lags=12, horizon=5, targets=2, past=1, future=2, static=1, season_length=4, levels=LEVELS)
LEARNED = [name for name in MODELS if MODELS.get(name).trainer != "none"]
CASES = [(name, {}) for name in LEARNED]
CASES += [("narx", {"loop": "closed", "hidden": (4,)}), ("gru", {"decoder": "recursive", "hidden": 4})]


def inside(name, options, dims=DIMS):
    return make_network(name, make(MODELS.get(name).Config, options, "model"), dims)


@pytest.mark.parametrize("mode", NORMALIZATIONS)
@pytest.mark.parametrize(("name", "options"), CASES)
def test_quantiles_of_any_parameters_are_in_order(name, options, mode, random_params, random_inputs):
    """Also where the learned gain of the normalisation has turned the sign of what the network says."""
    net = Levels(Normalized(inside(name, options), mode))
    params = {k: 3 * v for k, v in random_params(net).items()}
    if "normalize.gain" in params:
        params["normalize.gain"][:] = (-0.3, 2.0)
    made = roll_out(NumpyOps(), net, params, random_inputs(DIMS, batch=16, horizon=8), 8)
    assert made.shape == (16, 8, 2, 4)
    assert np.isfinite(made).all()
    assert (np.diff(made, axis=-1) >= 0).all()


@pytest.mark.parametrize(("name", "options"), CASES)
def test_the_median_is_that_of_the_network_inside(name, options, random_params, random_inputs):
    network = inside(name, options)
    params, inputs = random_params(network), random_inputs(DIMS)
    plain = roll_out(NumpyOps(), network, params, inputs, DIMS.horizon)
    made = roll_out(NumpyOps(), Levels(network), params, inputs, DIMS.horizon)
    np.testing.assert_array_equal(made[..., DIMS.middle], plain[..., DIMS.middle])
    assert made.dtype == np.float32


@pytest.mark.parametrize(("name", "options"), CASES)
def test_back_ends_agree_and_gradients_reach_every_level(name, options, random_params, random_inputs, to_torch):
    net = Levels(inside(name, options))
    params, inputs = random_params(net), random_inputs(DIMS)
    expected = roll_out(NumpyOps(), net, params, inputs, DIMS.horizon)
    tensors = {k: torch.tensor(v, requires_grad=True) for k, v in params.items()}
    made = roll_out(TorchOps(), net, tensors, to_torch(inputs), DIMS.horizon)
    np.testing.assert_allclose(made.detach(), expected, atol=1e-5, rtol=1e-5)
    for k in range(len(LEVELS)):
        found = torch.autograd.grad(made[..., k].sum(), list(tensors.values()), retain_graph=True, allow_unused=True)
        assert any(g is not None and g.abs().sum() > 0 for g in found)
    stacked = {k: torch.tensor(np.stack([v, v])) for k, v in params.items()}
    plain, own = TorchOps(fused=False), to_torch(inputs)
    population = torch.func.vmap(lambda p: roll_out(plain, net, p, own, DIMS.horizon))(stacked)
    np.testing.assert_allclose(population[1], expected, atol=1e-5, rtol=1e-5)


class Fixed:
    """Stands for a network: its outputs are given."""

    def __init__(self, out, levels):
        self.config, self.dims, self.out = None, replace(DIMS, levels=levels), np.asarray(out, np.float32)

    def apply(self, ops, params, inputs):
        return self.out[None, None, None]


def test_steps_are_positive_parts_of_differences():
    out = [1.0, -2.0, 0.5, 4.0]
    made = Levels(Fixed(out, LEVELS)).apply(NumpyOps(), {}, None)[0, 0, 0]
    down, flat, up = (np.log1p(np.exp(SHARPNESS * d)) / SHARPNESS for d in np.diff(out))
    np.testing.assert_allclose(made, [0.5 - flat - down, 0.5 - flat, 0.5, 0.5 + up], rtol=1e-6)


@pytest.mark.parametrize("ops", [NumpyOps(), TorchOps()])
def test_the_positive_part_neither_overflows_nor_goes_negative(ops):
    made = np.asarray(ops.softplus(ops.asarray([-1e4, -1.0, 0.0, 1.0, 1e4])))
    np.testing.assert_allclose(made, [0, np.log1p(np.exp(-1)), np.log(2), np.log1p(np.e), 1e4], rtol=1e-5)
    assert made.dtype == np.float32
