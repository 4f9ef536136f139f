"""The baselines and the linear model equal their one-line definitions."""

from __future__ import annotations

import numpy as np
import pytest

from tsforecast.models.base import Dims
from tsforecast.models.normalize import roll_out
from tsforecast.ops.numpy_ops import NumpyOps

DIMS = Dims(lags=9, horizon=5, targets=2, season_length=4)


def test_naive_repeats_the_last_value(network, random_inputs):
    inputs = random_inputs(DIMS, horizon=12)
    out = roll_out(NumpyOps(), network("naive", DIMS), {}, inputs, 12)[..., 0]
    np.testing.assert_array_equal(out, np.repeat(inputs.past_target[:, -1:], 12, axis=1))


@pytest.mark.parametrize(("season", "lags"), [(4, 9), (4, 4), (1, 3), (7, 3)])
def test_seasonal_naive_repeats_the_last_season(season, lags, network, random_inputs):
    dims = Dims(lags=lags, horizon=5, targets=2, season_length=season)
    inputs = random_inputs(dims, horizon=12)
    last = inputs.past_target[:, -min(season, lags) :]
    out = roll_out(NumpyOps(), network("seasonal_naive", dims), {}, inputs, 12)[..., 0]
    np.testing.assert_array_equal(out, np.concatenate([last] * 12, 1)[:, :12])


def test_drift_continues_the_slope(network, random_inputs):
    inputs = random_inputs(DIMS, horizon=12)
    slope = np.array([0.5, -2.0], dtype=np.float32)
    out = roll_out(NumpyOps(), network("drift", DIMS), {"slope": slope}, inputs, 12)[..., 0]
    expected = inputs.past_target[:, -1:] + np.arange(1, 13)[:, None] * slope
    np.testing.assert_allclose(out, expected, rtol=1e-5)


def test_linear_is_linear_in_its_design(network, random_params, random_inputs):
    dims = Dims(lags=4, horizon=3, targets=2, past=1, future=1, static=1)
    net = network("linear", dims)
    params, inputs = random_params(net), random_inputs(dims)
    flat = [inputs.past_target, inputs.past_covariates, inputs.future_covariates]
    design = np.concatenate([x.reshape(3, -1) for x in flat] + [inputs.static_covariates], 1)
    expected = (design @ params["weight"] + params["bias"]).reshape(3, 3, 2, 1)
    np.testing.assert_allclose(net.apply(NumpyOps(), params, inputs), expected, atol=1e-5)
