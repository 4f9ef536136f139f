"""TDNN: its response is finite, exactly as long as its taps reach."""

from __future__ import annotations

import numpy as np
import pytest

from tsforecast.errors import UsageError
from tsforecast.models.base import Dims
from tsforecast.ops.numpy_ops import NumpyOps

SIZES = Dims(lags=20, horizon=3, past=1)


@pytest.mark.parametrize("options", [{"kernel": 2, "dilations": (1, 3)}, {"kernel": 3, "dilations": (2, 4)}, {}])
def test_receptive_field_is_reach(options, network, random_params, random_inputs):
    """Without a rectifier, so that no unit sleeps, and without the linear path."""
    net = network("tdnn", SIZES, {"channels": 6, "activation": "tanh", "highway": False} | options)
    params, inputs = random_params(net), random_inputs(SIZES)
    expected = net.apply(NumpyOps(), params, inputs)
    step = net.network.dilations
    taps = np.ndindex(*[net.config.kernel] * len(step))
    heard = {sum(d * k for d, k in zip(step, tap, strict=True)) for tap in taps}
    assert max(heard) + 1 == net.network.reach <= SIZES.lags
    for delay in range(SIZES.lags):
        changed = inputs.past_target.copy()
        changed[:, -1 - delay] += 3
        same = np.array_equal(net.apply(NumpyOps(), params, inputs.replace(past_target=changed)), expected)
        assert same == (delay not in heard), delay


def test_one_layer_equals_a_convolution_by_hand(network, random_params, random_inputs):
    net = network("tdnn", SIZES, {"channels": 4, "kernel": 3, "dilations": (2,), "highway": False})
    params, inputs = random_params(net), random_inputs(SIZES)
    x = np.concatenate([inputs.past_target, inputs.past_covariates], 2)
    taps = sum(x[:, 19 - 2 * (2 - k)] @ params["layer0.weight"][k] for k in range(3))
    state = np.maximum(taps + params["layer0.bias"], 0)
    expected = state @ params["head.state"] + params["head.bias"]
    np.testing.assert_allclose(net.apply(NumpyOps(), params, inputs)[:, :, 0, 0], expected, atol=1e-5)


@pytest.mark.parametrize("dilations", [(1, 3, 4), (5, 2), (3, 3, 3)])
def test_layers_equal_convolutions_of_the_whole_window(dilations, network, random_params, random_inputs):
    """Only what the forecast depends on is computed, and it is the same."""
    net = network("tdnn", SIZES, {"channels": 4, "kernel": 3, "dilations": dilations, "highway": False})
    params, inputs = random_params(net), random_inputs(SIZES)
    x = np.concatenate([inputs.past_target, inputs.past_covariates], 2)
    for layer, step in enumerate(dilations):
        length = x.shape[1] - 2 * step
        taps = [x[:, k * step : k * step + length] @ params[f"layer{layer}.weight"][k] for k in range(3)]
        x = np.maximum(sum(taps) + params[f"layer{layer}.bias"], 0)
    expected = x[:, -1] @ params["head.state"] + params["head.bias"]
    np.testing.assert_allclose(net.apply(NumpyOps(), params, inputs)[:, :, 0, 0], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("lags", "kernel", "dilations"), [(3, 3, (1,)), (8, 3, (1,)), (9, 3, (1, 3)), (16, 2, (1, 2, 4, 8)), (5, 1, (1,))]
)
def test_taps_fill_the_window_by_default(lags, kernel, dilations, network):
    net = network("tdnn", Dims(lags=lags, horizon=2), {"kernel": kernel}).network
    assert net.dilations == dilations
    assert net.reach <= lags


def test_sizes_that_do_not_fit_are_refused(network):
    with pytest.raises(UsageError, match="reach back 21 steps, the window has 20"):
        network("tdnn", SIZES, {"kernel": 3, "dilations": (1, 9)})
    with pytest.raises(UsageError, match="2 entries for 3 layers"):
        network("tdnn", SIZES, {"channels": (4, 5), "kernel": 2, "dilations": (1, 2, 3)})
