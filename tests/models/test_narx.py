"""NARX: delays mean what they say, and the closed loop feeds back its own outputs, to the very step."""

from __future__ import annotations

import numpy as np
import pytest

from tsforecast.config import parse_delays
from tsforecast.errors import UsageError
from tsforecast.models.base import Dims
from tsforecast.models.normalize import roll_out
from tsforecast.ops.numpy_ops import NumpyOps

DIMS = Dims(lags=9, horizon=6, targets=2, past=1, future=2, static=1, lag_set=(1, 2, 5, 9))


@pytest.mark.parametrize(
    ("text", "delays"),
    [
        ("3", (1, 2, 3)),
        (" 2 ", (1, 2)),
        ("1:3,7", (1, 2, 3, 7)),
        ("7,1:3,2", (1, 2, 3, 7)),
        ("0", (0,)),
        ("0:2", (0, 1, 2)),
        ("24,", None),
        ("", None),
        ("3:1", None),
        ("-1", None),
        ("-2:2", None),
        ("1.5", None),
        ("1;3", None),
        ("²", None),
    ],
)
def test_parse_delays(text, delays):
    if delays is None:
        with pytest.raises(UsageError, match="not a set of delays"):
            parse_delays(text)
    else:
        assert parse_delays(text) == delays


def by_hand(params, inputs, b, feedback, input_lags):
    """One window, one step after the other, every delay looked up on a time axis whose 0 is the first forecast step."""
    target = {t - DIMS.lags: inputs.past_target[b, t] for t in range(DIMS.lags)}
    held = {t - DIMS.lags: inputs.past_covariates[b, t, : DIMS.past] for t in range(DIMS.lags)}
    known = {t - DIMS.lags: inputs.past_covariates[b, t, DIMS.past :] for t in range(DIMS.lags)}
    for t in range(DIMS.horizon):
        held[t], known[t] = held[-1], inputs.future_covariates[b, t]
    for t in range(DIMS.horizon):
        line = [target[t - k] for k in feedback]
        line += [part[t - j] for j in input_lags if j for part in (held, known)]
        line += [known[t]] * (0 in input_lags) + [inputs.static_covariates[b]]
        x = np.concatenate(line)
        hidden = np.tanh(x @ params["hidden0.weight"] + params["hidden0.bias"])
        target[t] = hidden @ params["out.weight"] + params["out.bias"] + x @ params["skip.weight"]
    return np.stack([target[t] for t in range(DIMS.horizon)])


@pytest.mark.parametrize(("text", "input_lags"), [("", (1, 2, 5, 9)), ("0:2,7", (0, 1, 2, 7)), ("3", (1, 2, 3))])
def test_closed_loop_equals_a_loop_by_hand(text, input_lags, network, random_params, random_inputs):
    net = network("narx", DIMS, {"hidden": (5,), "input_lags": text})
    params, inputs = random_params(net), random_inputs(DIMS)
    out = roll_out(NumpyOps(), net, params, inputs, DIMS.horizon)[..., 0]
    for b in range(len(out)):
        np.testing.assert_allclose(out[b], by_hand(params, inputs, b, (1, 2, 5, 9), input_lags), atol=1e-5)


def test_open_loop_is_one_step_of_true_values(network, random_params, random_inputs):
    """The forecast of one step from the true window is the first step of the closed loop."""
    net = network("narx", DIMS, {"hidden": (5,)}, "last")
    params, inputs = random_params(net), random_inputs(DIMS)
    assert net.block == 1
    one = net.apply(NumpyOps(), params, inputs.replace(future_covariates=inputs.future_covariates[:, :1]))
    np.testing.assert_allclose(one, roll_out(NumpyOps(), net, params, inputs, DIMS.horizon)[:, :1], atol=1e-6)


def test_only_the_named_delays_have_influence(network, random_params, random_inputs):
    net = network("narx", DIMS, {"hidden": (5,), "input_lags": "2,4"})
    params, inputs = random_params(net), random_inputs(DIMS)
    expected = net.apply(NumpyOps(), params, inputs)
    for delay in range(1, DIMS.lags + 1):
        for field, delays in (("past_target", (1, 2, 5, 9)), ("past_covariates", (2, 4))):
            changed = getattr(inputs, field).copy()
            changed[:, -delay] += 1
            same = np.array_equal(net.apply(NumpyOps(), params, inputs.replace(**{field: changed})), expected)
            assert same == (delay not in delays), (field, delay)


def test_covariates_of_the_step_itself_count_with_delay_0_only(network, random_params, random_inputs):
    for text, influence in (("0:2", True), ("1:2", False)):
        net = network("narx", DIMS, {"input_lags": text})
        params, inputs = random_params(net), random_inputs(DIMS, horizon=1)
        changed = inputs.replace(future_covariates=inputs.future_covariates + 1)
        same = np.array_equal(*(net.apply(NumpyOps(), params, x) for x in (inputs, changed)))
        assert same != influence


def test_no_hidden_layer_is_linear(network, random_params, random_inputs):
    net = network("narx", Dims(lags=4, horizon=3), {"hidden": ()})
    params = random_params(net)
    inputs = random_inputs(net.dims)
    expected = inputs.past_target[:, ::-1, 0] @ params["out.weight"] + params["out.bias"]
    np.testing.assert_allclose(net.apply(NumpyOps(), params, inputs)[:, 0, :, 0], expected, atol=1e-6)


def test_delays_that_do_not_fit_are_refused(network):
    with pytest.raises(UsageError, match="further back than the window"):
        network("narx", DIMS, {"input_lags": "1:10"})
    with pytest.raises(UsageError, match="not known at the step"):
        network("narx", Dims(lags=4, horizon=2, past=1), {"input_lags": "0:2"})
