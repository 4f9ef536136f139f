"""Learned vectors of series: each window reads that of its own, a new series the mean of all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tsforecast.models.base import Dims, make_network
from tsforecast.models.series import Embedded, with_vector
from tsforecast.models.tdnn import TdnnConfig
from tsforecast.ops.numpy_ops import NumpyOps
from tsforecast.ops.torch_ops import TorchOps

DIMS = Dims(lags=6, horizon=2, static=1, series=4)


@pytest.fixture
def embedded() -> Embedded:
    return Embedded(make_network("tdnn", TdnnConfig(channels=(3,)), with_vector(DIMS, 2)), DIMS, 2)


def test_a_vector_joins_the_static_covariates(embedded, random_inputs, random_params):
    params = random_params(embedded)
    assert params["series.embedding"].shape == (4, 2)
    inputs = random_inputs(DIMS, batch=5).replace(series=np.array([2, 0, -1, 3, 3]))
    vectors = params["series.embedding"]
    who = np.stack([vectors[2], vectors[0], vectors.mean(0), vectors[3], vectors[3]])
    told = inputs.replace(static_covariates=np.concatenate([inputs.static_covariates, who], 1))
    expected = embedded.network.apply(NumpyOps(), params, told)
    np.testing.assert_allclose(embedded.apply(NumpyOps(), params, inputs), expected, rtol=1e-5, atol=1e-6)


def test_back_ends_agree_and_only_the_vectors_of_the_batch_are_trained(
    embedded, random_inputs, random_params, to_torch
):
    params = random_params(embedded)
    inputs = random_inputs(DIMS, batch=3).replace(series=np.array([1, -1, 2]))
    tensors = {k: torch.tensor(v, requires_grad=True) for k, v in params.items()}
    out = embedded.apply(TorchOps(), tensors, to_torch(inputs))
    np.testing.assert_allclose(out.detach(), embedded.apply(NumpyOps(), params, inputs), atol=1e-5)
    known = to_torch(replace(inputs, series=np.array([1, 1, 2])))
    embedded.apply(TorchOps(), tensors, known).square().sum().backward()
    moved = tensors["series.embedding"].grad.abs().sum(1) > 0
    assert moved.tolist() == [False, True, True, False]
