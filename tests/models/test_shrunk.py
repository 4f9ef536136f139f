"""Forecasts drawn towards a baseline: exact at both ends, alike on every back end, outside of every recursion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tsforecast.models.base import Dims
from tsforecast.models.naive import Naive, SeasonalNaive
from tsforecast.models.normalize import roll_out
from tsforecast.models.shrunk import BASES, Shrunk
from tsforecast.ops.numpy_ops import NumpyOps
from tsforecast.ops.torch_ops import TorchOps

DIMS = Dims(lags=12, horizon=5, targets=2, future=1, season_length=4)
CASES = [("gru", {"hidden": 3}), ("narx", {"hidden": (3,)}), ("narx", {"hidden": (3,), "loop": "closed"})]


@pytest.fixture(params=CASES, ids=["gru", "narx", "closed"])
def case(request, network, random_params, random_inputs):
    """A network, its parameters, and windows with more than its horizon ahead."""
    net = network(request.param[0], DIMS, request.param[1], "last")
    return net, random_params(net), random_inputs(DIMS, horizon=12)


def weighed(params, weight):
    return params | {"shrink.weight": np.array([weight], dtype=np.float32)}


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("horizon", [5, 12])
def test_the_whole_trajectory_is_drawn_from_where_it_starts(case, base, horizon):
    """Also beyond the horizon: what is fed back is the network's own forecast, never the drawn one."""
    net, params, inputs = case
    free = roll_out(NumpyOps(), net, params, inputs, horizon)
    level = roll_out(NumpyOps(), BASES[base](None, replace(DIMS, horizon=horizon)), {}, inputs, horizon)
    for weight in (0.0, 0.3, 1.0):
        made = roll_out(NumpyOps(), Shrunk(net, base), weighed(params, weight), inputs, horizon)
        np.testing.assert_allclose(made, level + weight * (free - level), atol=1e-5)
        if weight in (0.0, 1.0):
            np.testing.assert_array_equal(made, (level, free)[int(weight)])


@pytest.mark.parametrize("base", BASES)
def test_back_ends_agree(case, base, to_torch):
    net, params, inputs = case
    shrunk, params = Shrunk(net, base), weighed(params, 0.35)
    expected = roll_out(NumpyOps(), shrunk, params, inputs, 12)
    tensors = {name: torch.tensor(value) for name, value in params.items()}
    with torch.no_grad():
        made = roll_out(TorchOps(), shrunk, tensors, to_torch(inputs), 12)
    assert expected.dtype == np.float32
    np.testing.assert_allclose(made, expected, atol=1e-5, rtol=1e-5)


def test_quantiles_move_along_with_the_median(network, random_params, random_inputs):
    dims = replace(DIMS, levels=(0.1, 0.5, 0.9))
    net, inputs = network("gru", dims, {"hidden": 3}, "last"), random_inputs(dims)
    params = random_params(net)
    free = roll_out(NumpyOps(), net, params, inputs, 5)
    made = roll_out(NumpyOps(), Shrunk(net, "seasonal_naive"), weighed(params, 0.0), inputs, 5)
    np.testing.assert_array_equal(made[..., 1:2], SeasonalNaive(None, DIMS).apply(NumpyOps(), {}, inputs))
    np.testing.assert_allclose(np.diff(made, axis=-1), np.diff(free, axis=-1), atol=1e-5)


def test_fresh_parameters_keep_everything(network, random_inputs):
    net = network("gru", DIMS, {"hidden": 3}, "last")
    shrunk, inputs = Shrunk(net, "naive"), random_inputs(DIMS)
    params = shrunk.init(np.random.default_rng(0))
    assert not np.allclose(
        Naive(None, DIMS).apply(NumpyOps(), {}, inputs), roll_out(NumpyOps(), net, params, inputs, 5)
    )
    np.testing.assert_array_equal(
        roll_out(NumpyOps(), shrunk, params, inputs, 5), roll_out(NumpyOps(), net, params, inputs, 5)
    )
