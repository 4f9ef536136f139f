"""Recurrent networks: stacked layers equal torch's, segments read what they say, teachers show the true value."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tsforecast.errors import UsageError
from tsforecast.models.base import Dims
from tsforecast.ops.base import CELLS
from tsforecast.ops.numpy_ops import NumpyOps
from tsforecast.ops.torch_ops import TorchOps

DIMS = Dims(lags=11, horizon=4, targets=2, past=1, future=1, static=1)
LAYERS = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
NAMES = {"w_in": "weight_ih", "w_rec": "weight_hh", "bias": "bias_ih", "bias_rec": "bias_hh"}


def copy_weights(layer, params):
    with torch.no_grad():
        for tensor in layer.parameters():
            tensor.zero_()
        for name, value in params.items():
            if name.startswith("layer"):
                place, way, kind = name.split(".")
                tail = f"_l{place[5:]}" + ("_reverse" if way == "1" else "")
                getattr(layer, NAMES[kind] + tail).copy_(torch.tensor(value))


@pytest.mark.parametrize("cell", LAYERS)
@pytest.mark.parametrize("both", [False, True])
def test_stacked_layers_equal_those_of_torch(cell, both, network, random_params, random_inputs):
    dims = Dims(lags=8, horizon=3, targets=2, past=1)
    net = network(cell, dims, {"hidden": 5, "layers": 2, "segment": 1, "bidirectional": both, "highway": False})
    params, inputs = random_params(net), random_inputs(dims)
    layer = LAYERS[cell](3, 5, num_layers=2, bidirectional=both, batch_first=True)
    copy_weights(layer, params)
    window = torch.tensor(np.concatenate([inputs.past_target, inputs.past_covariates], 2))
    with torch.no_grad():
        final = layer(window)[1]
    last = (final[0] if cell == "lstm" else final)[-2 if both else -1 :]
    state = torch.cat(tuple(last), 1).numpy()
    expected = (state @ params["head.state"] + params["head.bias"]).reshape(3, 3, 2, 1)
    np.testing.assert_allclose(net.apply(NumpyOps(), params, inputs), expected, atol=1e-5)


def sampled(net, params, inputs, steps):
    """Tell which past steps have an influence on the forecast, newest first."""
    expected = net.apply(NumpyOps(), params, inputs)
    heard = []
    for delay in range(1, steps + 1):
        changed = inputs.past_target.copy()
        changed[:, -delay] += 2
        out = net.apply(NumpyOps(), params, inputs.replace(past_target=changed))
        heard.append(not np.array_equal(out, expected))
    return heard


@pytest.mark.parametrize(("segment", "used"), [(1, 11), (3, 9), (4, 8), (11, 11)])
def test_segments_read_the_newest_steps(segment, used, network, random_params, random_inputs):
    net = network("gru", DIMS, {"hidden": 16, "segment": segment, "highway": False})
    heard = sampled(net, random_params(net), random_inputs(DIMS), DIMS.lags)
    assert heard == [delay <= used for delay in range(1, DIMS.lags + 1)]


@pytest.mark.parametrize(
    ("lags", "season", "segment"),
    [
        (168, 24, 24),
        (336, 24, 24),
        (720, 24, 48),
        (720, 96, 96),
        (96, 24, 24),
        (95, 24, 7),
        (36, 1, 3),
        (11, 1, 1),
        (1, 1, 1),
    ],
)
def test_a_segment_is_a_season_or_a_twelfth_of_the_lags(lags, season, segment, network):
    net = network("gru", Dims(lags=lags, horizon=4, season_length=season))
    assert net.network.segment == segment


def test_a_segment_longer_than_the_window_is_refused(network):
    with pytest.raises(UsageError, match="longer than the window of 11 lags"):
        network("gru", DIMS, {"segment": 12})


def test_a_learned_start_replaces_zero(network, random_params, random_inputs):
    plain = network("lstm", DIMS, {"hidden": 4, "segment": 1})
    learned = network("lstm", DIMS, {"hidden": 4, "learn_state": True, "segment": 1})
    params, inputs = random_params(plain), random_inputs(DIMS)
    start = {"layer0.0.start": np.zeros((2, 4), np.float32)}
    expected = plain.apply(NumpyOps(), params, inputs)
    np.testing.assert_array_equal(learned.apply(NumpyOps(), params | start, inputs), expected)
    start["layer0.0.start"] += 1
    assert not np.allclose(learned.apply(NumpyOps(), params | start, inputs), expected)


def test_skip_adds_the_input_of_the_second_layer(network, random_params, random_inputs):
    """A second layer whose weights are all zero is then the identity on the first one."""
    options = {"hidden": 4, "segment": 1, "highway": False}
    one, two = network("rnn", DIMS, options), network("rnn", DIMS, options | {"layers": 2, "skip": True})
    params, inputs = random_params(one), random_inputs(DIMS)
    silent = {k: np.zeros_like(v) for k, v in random_params(two).items() if k.startswith("layer1")}
    np.testing.assert_allclose(
        two.apply(NumpyOps(), params | silent, inputs), one.apply(NumpyOps(), params, inputs), atol=1e-6
    )


def decode_by_hand(cell, params, state, inputs, fed):
    """Run the recursive decoder step by step, feeding back ``fed[t]`` after step t (its own output when None)."""
    head = {k[5:]: v for k, v in params.items() if k.startswith("head.")}
    own = {k[5:]: v for k, v in head.items() if k.startswith("cell.")}
    h = np.tanh(state @ head["enter"] + head["enter_bias"])
    carried = (h, np.zeros_like(h)) if cell == "lstm" else (h,)
    previous, steps = inputs.past_target[:, -1], []
    for t in range(DIMS.horizon):
        x = np.concatenate([previous, inputs.future_covariates[:, t], inputs.static_covariates], 1)
        carried = CELLS[cell](NumpyOps(), x @ own["w_in"].T + own["bias"], carried, own)
        steps.append(previous + carried[0] @ head["out"] + head["out_bias"])
        previous = steps[-1] if fed is None else fed[:, t]
    return np.stack(steps, 1)


@pytest.mark.parametrize("cell", LAYERS)
@pytest.mark.parametrize("taught", [False, True])
def test_recursive_decoder_equals_a_loop_by_hand(cell, taught, network, random_params, random_inputs):
    net = network(cell, DIMS, {"hidden": 5, "segment": 1, "decoder": "recursive"})
    params, inputs = random_params(net), random_inputs(DIMS, taught=taught)
    window = np.concatenate([inputs.past_target, inputs.past_covariates], 2)
    constant = np.repeat(inputs.static_covariates[:, None], DIMS.lags, 1)
    encoder = {k.split(".")[2]: v for k, v in params.items() if k.startswith("layer0")}
    zero = np.zeros((3, 5), np.float32)
    start = (zero, zero) if cell == "lstm" else (zero,)
    _, final = NumpyOps().recurrence(cell, np.concatenate([window, constant], 2), start, encoder)
    expected = decode_by_hand(cell, params, final[0], inputs, inputs.future_target if taught else None)
    np.testing.assert_allclose(net.apply(NumpyOps(), params, inputs)[..., 0], expected, atol=1e-5)


def test_the_teacher_is_obeyed_step_by_step(network, random_params, random_inputs):
    """A true value has an influence exactly where the teacher shows it."""
    net = network("gru", DIMS, {"hidden": 5, "decoder": "recursive"}, "last")
    params, inputs = random_params(net), random_inputs(DIMS, taught=True)
    shown = inputs.replace(teacher=np.array([[[0], [1], [0], [1]]] * 3, dtype=np.float32))
    expected = net.apply(NumpyOps(), params, shown)
    for t in range(DIMS.horizon):
        future = inputs.future_target.copy()
        future[:, t] += 1
        out = net.apply(NumpyOps(), params, shown.replace(future_target=future))
        assert np.allclose(out, expected, atol=1e-6) == (t != 1)  # step 3 is shown too, but nothing follows it


@pytest.mark.parametrize("cell", LAYERS)
def test_segments_are_one_more_step_of_the_same_layer_each(cell, network, random_params, random_inputs):
    """As in SegRNN: every segment ahead is a call of the layer from the same final state."""
    dims = Dims(lags=12, horizon=7)
    net = network(cell, dims, {"hidden": 5, "segment": 3, "decoder": "segments", "highway": False})
    params, inputs = random_params(net), random_inputs(dims)
    layer = LAYERS[cell](5, 5, batch_first=True)
    copy_weights(layer, params)
    window = inputs.past_target.reshape(3, 4, 3)
    entered = np.maximum(window @ params["embed.weight"] + params["embed.bias"], 0)
    out = []
    with torch.no_grad():
        final = layer(torch.tensor(entered))[1]
        for position in params["head.position"]:
            step = torch.tensor(np.tile(position, (3, 1, 1)))
            state = layer(step, final)[0][:, 0].numpy()
            out.append(state @ params["head.state"] + params["head.bias"])
    expected = np.concatenate(out, 1)[:, :7, None, None]
    np.testing.assert_allclose(net.apply(NumpyOps(), params, inputs), expected, atol=1e-5)


@pytest.mark.parametrize("decoder", ["direct", "segments", "recursive"])
def test_dropout_acts_before_the_output_of_every_decoder(decoder, network, random_params, random_inputs, to_torch):
    """With one layer there is no other place for it."""
    nets = [network("gru", DIMS, {"hidden": 6, "decoder": decoder, "dropout": rate}) for rate in (0.0, 0.5)]
    params, inputs = random_params(nets[0]), to_torch(random_inputs(DIMS))
    tensors = {k: torch.tensor(v) for k, v in params.items()}

    def trained(net):
        return net.apply(TorchOps(training=True, generator=torch.Generator().manual_seed(0)), tensors, inputs)

    plain, dropped = map(trained, nets)
    assert not torch.isclose(plain, dropped, atol=1e-4).flatten(1).all(1).any()
    np.testing.assert_array_equal(
        nets[1].apply(TorchOps(), tensors, inputs), nets[0].apply(TorchOps(), tensors, inputs)
    )
