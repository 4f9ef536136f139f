"""One network per series: each window is forecast by the parameters of its own series, on every back end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tsforecast.models.base import Dims
from tsforecast.models.local import Local
from tsforecast.ops.numpy_ops import NumpyOps
from tsforecast.ops.torch_ops import TorchOps

DIMS = Dims(lags=8, horizon=3, past=1, future=1, static=1, series=4)
CODES = np.array([2, 0, 2, 3, 0, 2])
MODELS = {
    "linear": {},
    "narx": {"hidden": (3,)},
    "tdnn": {"channels": 4},
    "rnn": {"hidden": 3},
    "gru": {"hidden": 3, "segment": 2},
    "lstm": {"hidden": 3, "decoder": "recursive"},
}


@pytest.mark.parametrize("name", MODELS)
def test_every_window_is_that_of_its_own_network(name, network, random_inputs, random_params, to_torch):
    single = network(name, DIMS, MODELS[name], "revin")
    local = Local(single)
    each = [random_params(single, seed=s) for s in range(4)]
    params = {k: np.stack([own[k] for own in each]) for k in each[0]}
    inputs = random_inputs(DIMS, batch=6, horizon=local.block).replace(series=CODES)
    made = local.apply(NumpyOps(), params, inputs)
    for b, code in enumerate(CODES):
        alone = inputs.replace(**{k: v[b : b + 1] for k, v in vars(inputs).items()})
        np.testing.assert_allclose(made[b : b + 1], single.apply(NumpyOps(), each[code], alone), atol=1e-5)
    tensors = {k: torch.tensor(v) for k, v in params.items()}
    np.testing.assert_allclose(local.apply(TorchOps(), tensors, to_torch(inputs)), made, atol=1e-5)


def test_all_networks_start_as_the_one_that_would_be_alone(network):
    single = network("gru", DIMS, {"hidden": 3})
    alone, stacked = (net.init(np.random.default_rng(5)) for net in (single, Local(single)))
    for name, value in alone.items():
        np.testing.assert_array_equal(stacked[name], np.stack([value] * 4))


def test_dropout_differs_between_the_networks(network, random_inputs, to_torch):
    """Four networks alike that see one window: without randomness of their own they would all say the same."""
    dims = replace(DIMS, past=0, future=0, static=0)
    single = network("tdnn", dims, {"channels": 16, "dropout": 0.5, "highway": False})
    local = Local(single)
    params = {k: torch.tensor(v) for k, v in local.init(np.random.default_rng(0)).items()}
    window = random_inputs(dims, batch=1)
    inputs = to_torch(window.replace(**{k: np.repeat(v, 4, 0) for k, v in vars(window).items()}))
    inputs = inputs.replace(series=torch.arange(4))
    quiet = local.apply(TorchOps(), params, inputs)
    np.testing.assert_allclose(quiet, quiet[:1].expand(quiet.shape), atol=1e-6)
    state = torch.get_rng_state()
    ops = TorchOps(training=True, generator=torch.Generator().manual_seed(0))
    made = local.apply(ops, params, inputs)
    assert len({tuple(row.ravel().tolist()) for row in made}) == 4
    again = local.apply(TorchOps(training=True, generator=torch.Generator().manual_seed(0)), params, inputs)
    assert torch.equal(made, again)
    assert torch.equal(state, torch.get_rng_state())
