"""Channels that stand alone: every target from itself, by one network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tsforecast.models.base import Dims, make_network
from tsforecast.models.channels import Independent, single_channel
from tsforecast.ops.numpy_ops import NumpyOps
from tsforecast.ops.torch_ops import TorchOps
from tsforecast.registry import MODELS

DIMS = Dims(lags=9, horizon=4, targets=3, past=1, future=2, static=1)


def apart(name="gru", embedding=0, dims=DIMS):
    inner = make_network(name, MODELS.get(name).Config(), single_channel(dims, embedding))
    return Independent(inner, dims, embedding)


def test_each_target_is_what_the_network_says_of_it_alone(random_inputs, random_params):
    net = apart()
    params, inputs = random_params(net), random_inputs(DIMS)
    together = net.apply(NumpyOps(), params, inputs)
    assert together.shape == (3, 4, 3, 1)
    for t in range(3):
        alone = inputs.replace(
            past_target=inputs.past_target[..., t : t + 1], future_target=inputs.future_target[..., :1]
        )
        np.testing.assert_allclose(net.network.apply(NumpyOps(), params, alone)[:, :, 0], together[:, :, t], atol=1e-6)


def test_a_target_does_not_depend_on_the_others(random_inputs, random_params):
    net = apart(embedding=2)
    params, inputs = random_params(net), random_inputs(DIMS)
    expected = net.apply(NumpyOps(), params, inputs)
    moved = inputs.past_target.copy()
    moved[..., 1] += 3
    out = net.apply(NumpyOps(), params, inputs.replace(past_target=moved))
    np.testing.assert_array_equal(out[:, :, [0, 2]], expected[:, :, [0, 2]])
    assert not np.allclose(out[:, :, 1], expected[:, :, 1])


def test_only_an_embedding_tells_targets_apart(random_inputs, random_params):
    same = random_inputs(DIMS)
    same = same.replace(past_target=np.repeat(same.past_target[..., :1], 3, axis=2))
    for embedding in (0, 2):
        net = apart(embedding=embedding)
        out = net.apply(NumpyOps(), random_params(net), same)
        assert np.allclose(out[:, :, 0], out[:, :, 1], atol=1e-6) == (embedding == 0)


@pytest.mark.parametrize("name", ["gru", "tdnn", "linear"])
def test_back_ends_agree(name, random_inputs, random_params, to_torch):
    net = apart(name, embedding=2, dims=replace(DIMS, levels=(0.1, 0.5)))
    params, inputs = random_params(net), random_inputs(DIMS)
    expected = net.apply(NumpyOps(), params, inputs)
    assert expected.shape == (3, 4, 3, 2)
    tensors = {k: torch.tensor(v) for k, v in params.items()}
    np.testing.assert_allclose(net.apply(TorchOps(), tensors, to_torch(inputs)), expected, atol=1e-5)
    stacked = {k: v[None] for k, v in tensors.items()}
    out = torch.func.vmap(lambda p: net.apply(TorchOps(fused=False), p, to_torch(inputs)))(stacked)
    np.testing.assert_allclose(out[0], expected, atol=1e-5)
