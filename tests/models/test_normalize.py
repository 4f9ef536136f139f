"""Window normalisation by its formulas, and the recursion that reaches any horizon."""

from __future__ import annotations

import numpy as np
import pytest

from tsforecast.models.base import Dims
from tsforecast.models.normalize import VARIANCE_FLOOR, roll_out
from tsforecast.ops.numpy_ops import NumpyOps

DIMS = Dims(lags=6, horizon=2, targets=2, past=1, future=1, static=1)


@pytest.mark.parametrize("mode", ["last", "mean", "revin"])
def test_normalisation_equals_its_formula(mode, network, random_params, random_inputs):
    net, bare = network("linear", DIMS, mode=mode), network("linear", DIMS)
    params, inputs = random_params(net), random_inputs(DIMS)
    past = inputs.past_target
    center = past[:, -1:] if mode == "last" else past.mean(1, keepdims=True)
    spread = np.sqrt(past.var(1, keepdims=True) + VARIANCE_FLOOR) if mode == "revin" else 1.0
    gain, bias = params.get("normalize.gain", 1.0), params.get("normalize.bias", 0.0)
    inside = inputs.replace(past_target=(past - center) / spread * gain + bias)
    expected = (bare.apply(NumpyOps(), params, inside)[..., 0] - bias) / (gain + VARIANCE_FLOOR) * spread + center
    np.testing.assert_allclose(net.apply(NumpyOps(), params, inputs)[..., 0], expected, atol=1e-5)


@pytest.mark.parametrize("mode", ["last", "mean", "revin", "none"])
def test_a_constant_window_is_finite(mode, network, random_params, random_inputs):
    net = network("gru", DIMS, {"hidden": 4}, mode)
    inputs = random_inputs(DIMS)
    flat = inputs.replace(past_target=np.full_like(inputs.past_target, 7))
    assert np.isfinite(roll_out(NumpyOps(), net, random_params(net), flat.replace(), 2)).all()


def test_inside_is_what_the_network_sees(network, random_inputs):
    inputs = random_inputs(DIMS, taught=True)
    for mode in ("last", "mean", "none"):
        inside = network("linear", DIMS, mode=mode).inside(NumpyOps(), inputs)
        moved = inputs.past_target - inside.past_target
        np.testing.assert_allclose(moved, np.broadcast_to(moved[:, :1], moved.shape), atol=1e-6)
        np.testing.assert_allclose(inputs.future_target - inside.future_target, moved[:, :2], atol=1e-6)


def test_roll_out_equals_feeding_back_by_hand(network, random_params, random_inputs):
    """Blocks of two steps to a horizon of five: forecasts and future covariates move in, past covariates are held."""
    net, horizon = network("linear", DIMS, mode="last"), 5
    params, inputs = random_params(net), random_inputs(DIMS, horizon=horizon)
    target, covariates, out = inputs.past_target, inputs.past_covariates, []
    for done in (0, 2, 4):
        ahead = inputs.future_covariates[:, done : done + 2]
        if done == 4:
            ahead = np.repeat(ahead, 2, axis=1)
        window = inputs.replace(past_target=target, past_covariates=covariates, future_covariates=ahead)
        out.append(net.apply(NumpyOps(), params, window)[..., 0])
        target = np.concatenate([target, out[-1]], 1)[:, 2:]
        held = np.repeat(inputs.past_covariates[:, -1:, :1], 2, axis=1)
        covariates = np.concatenate([covariates, np.concatenate([held, ahead], 2)], 1)[:, 2:]
    whole = roll_out(NumpyOps(), net, params, inputs, horizon)[..., 0]
    np.testing.assert_allclose(whole, np.concatenate(out, 1)[:, :horizon], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "options"), [("gru", {"hidden": 3, "decoder": "recursive", "segment": 2}), ("narx", {"hidden": (3,)})]
)
@pytest.mark.parametrize("mode", ["last", "mean", "revin", "none"])
def test_a_free_running_network_gets_the_whole_horizon_at_once(
    name, options, mode, network, random_params, random_inputs
):
    """And no more of the future than is asked for."""
    net = network(name, DIMS, options, mode)
    params, inputs = random_params(net), random_inputs(DIMS, horizon=9)
    seven = inputs.replace(future_covariates=inputs.future_covariates[:, :7])
    made = roll_out(NumpyOps(), net, params, inputs, 7)
    assert net.free_running
    np.testing.assert_array_equal(made, net.apply(NumpyOps(), params, seven))
    np.testing.assert_allclose(made, roll_out(NumpyOps(), net, params, inputs, 9)[:, :7], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "mode", "left"),
    [("narx", "last", "none"), ("narx", "mean", "mean"), ("narx", "revin", "revin"), ("linear", "last", "last")],
)
def test_a_network_may_take_a_normalisation_over(name, mode, left, network, random_inputs):
    net, inputs = network(name, DIMS, mode=mode), random_inputs(DIMS)
    assert net.mode == left
    assert (net.inside(NumpyOps(), inputs) is inputs) == (left == "none")


@pytest.mark.parametrize("horizon", [1, 2, 3])
def test_a_window_shorter_than_the_block_rolls_out(horizon, network, random_params, random_inputs):
    dims = Dims(lags=1, horizon=3, past=1, future=1)
    net = network("linear", dims, mode="last")
    inputs = random_inputs(dims, horizon=3 + horizon)
    assert roll_out(NumpyOps(), net, random_params(net), inputs, 3 + horizon).shape == (3, 3 + horizon, 1, 1)
