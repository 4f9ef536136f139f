"""What every registered model promises: shapes, one answer from three back ends, no look at the future, gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tsforecast.models.base import Dims
from tsforecast.models.normalize import NORMALIZATIONS, roll_out
from tsforecast.ops.numpy_ops import NumpyOps
from tsforecast.ops.torch_ops import TorchOps
from tsforecast.registry import MODELS

PLAIN = Dims(lags=12, horizon=5, season_length=4)
FULL = Dims(lags=12, horizon=5, targets=2, past=2, future=3, static=2, season_length=4, lag_set=(1, 2, 7, 12))
PAST = Dims(lags=12, horizon=5, past=1, season_length=4)
FUTURE = Dims(lags=12, horizon=5, future=2, static=1, season_length=4)
SIZES = {"plain": PLAIN, "full": FULL, "past": PAST, "future": FUTURE}

SMALL = {"rnn": {"hidden": 6}, "lstm": {"hidden": 6}, "gru": {"hidden": 6}, "tdnn": {"channels": 5}}
DEEP = {"hidden": 4, "layers": 2, "skip": True, "bidirectional": True, "learn_state": True, "segment": 5}
RECURSIVE = {"hidden": 4, "decoder": "recursive", "segment": 2}
SEGMENTS = {"hidden": 4, "decoder": "segments", "segment": 2}
VARIANTS = {
    "deep": dict.fromkeys(("rnn", "lstm", "gru"), DEEP),
    "recursive": dict.fromkeys(("rnn", "lstm", "gru"), RECURSIVE),
    "segments": dict.fromkeys(("rnn", "lstm", "gru"), SEGMENTS),
    "segments_deep": dict.fromkeys(("lstm", "gru"), DEEP | {"decoder": "segments"}),
    "segments_of_one": {"gru": {"hidden": 4, "decoder": "segments", "segment": 1, "highway": False}},
    "peepholes": {"lstm": {"hidden": 4, "peepholes": True, "bidirectional": True}},
    "peepholes_recursive": {"lstm": RECURSIVE | {"peepholes": True, "layers": 2, "learn_state": True}},
    "no_highway": {"gru": {"hidden": 4, "highway": False}, "tdnn": {"channels": 4, "highway": False}},
    "two_layers": {"narx": {"hidden": (6, 4), "activation": "relu"}, "tdnn": {"channels": (5, 3), "dilations": (1, 4)}},
    "input_lags": {"narx": {"hidden": (4,), "input_lags": "0:3,9", "skip": False}},
    "only_0": {"narx": {"hidden": (4,), "input_lags": "0", "activation": "sigmoid"}},
}
NARX = {"hidden": (4,), "feedback_lags": "1:4,6"}
VARIANTS |= {
    "closed": {"narx": NARX | {"loop": "closed", "loop_steps": 3}},
    "mixed": {"narx": NARX | {"loop": "mixed"}},
    "error": {"narx": NARX | {"feedback": "error", "error_lags": "1,3"}},
    "mixed_error": {"narx": NARX | {"feedback": "error", "loop": "mixed", "hidden": ()}},
    "target": {"narx": NARX | {"feedback": "target"}},
}
VARIANTS |= {
    "linear": {"tdnn": {"form": "linear"}},
    "mlp": {"tdnn": {"form": "mlp", "hidden": 7, "channels": 4}},
    "sparse": {"tdnn": {"form": "sparse"}},
    "sparse_mlp": {"tdnn": {"form": "sparse", "hidden": 5, "activation": "tanh"}},
    "patch": {"tdnn": {"form": "patch", "hidden": 6}},
    "dlinear": {"tdnn": {"form": "linear", "trend": "average"}},
    "xpatch": {"tdnn": {"form": "patch", "trend": "exponential"}},
    "conv_trend": {"tdnn": {"channels": 4, "trend": "exponential"}},
}
CASES = [(name, "default", SMALL.get(name, {})) for name in MODELS]
CASES += [(name, variant, options) for variant, models in VARIANTS.items() for name, options in models.items()]


def fits(options, dims):
    return not (options.get("input_lags", "1").startswith("0") and dims.past and not dims.future)


EVERY = [
    pytest.param(name, options, dims, id=f"{name}-{variant}-{size}")
    for name, variant, options in CASES
    for size, dims in SIZES.items()
    if fits(options, dims)
]
AGREEING = [
    pytest.param(*p.values, mode, id=f"{p.id}-{mode}")
    for p in EVERY
    for mode in (NORMALIZATIONS if p.values[2] is FULL else ("last",))
]
FULLEST = [pytest.param(name, options, id=f"{name}-{variant}") for name, variant, options in CASES]


def numpy_forecast(net, params, inputs, horizon):
    return roll_out(NumpyOps(), net, params, inputs, horizon)


def tensors(params):
    return {k: torch.tensor(v) for k, v in params.items()}


@pytest.mark.parametrize(("name", "options", "dims", "mode"), AGREEING)
def test_back_ends_agree(name, options, dims, mode, network, random_params, random_inputs, to_torch):
    net = network(name, dims, options, mode)
    params, other = random_params(net, seed=1), random_params(net, seed=2)
    horizon = dims.horizon + 2
    inputs = random_inputs(dims, horizon=horizon)
    expected = numpy_forecast(net, params, inputs, horizon)
    assert expected.shape == (3, horizon, dims.targets, 1)
    assert expected.dtype == np.float32
    own = to_torch(inputs)
    with torch.no_grad():
        fused = roll_out(TorchOps(), net, tensors(params), own, horizon)
    np.testing.assert_allclose(fused, expected, atol=1e-5, rtol=1e-5)
    if not params:
        return
    stacked = {k: torch.tensor(np.stack([v, other[k]])) for k, v in params.items()}
    plain = TorchOps(fused=False)
    population = torch.func.vmap(lambda p: roll_out(plain, net, p, own, horizon))(stacked)
    np.testing.assert_allclose(population[0], expected, atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(population[1], numpy_forecast(net, other, inputs, horizon), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("name", "options", "dims"), EVERY)
def test_one_block_has_the_promised_shape(name, options, dims, network, random_params, random_inputs):
    net = network(name, dims, options, "last")
    out = net.apply(NumpyOps(), random_params(net), random_inputs(dims, horizon=net.block))
    assert out.shape == (3, net.block, dims.targets, 1)
    assert np.isfinite(out).all()


@pytest.mark.parametrize(("name", "options"), FULLEST)
def test_a_batch_is_its_windows_one_by_one(name, options, network, random_params, random_inputs):
    net = network(name, FULL, options, "revin")
    params, inputs = random_params(net), random_inputs(FULL)
    together = numpy_forecast(net, params, inputs, FULL.horizon)
    for b in range(3):
        alone = inputs.replace(**{k: v[b : b + 1] for k, v in vars(inputs).items()})
        np.testing.assert_allclose(numpy_forecast(net, params, alone, FULL.horizon)[0], together[b], atol=1e-5)


@pytest.mark.parametrize(("name", "options"), FULLEST)
def test_the_true_future_has_no_influence_unless_taught(name, options, network, random_params, random_inputs):
    net = network(name, FULL, options, "mean")
    params, inputs = random_params(net), random_inputs(FULL, taught=True)
    blind = inputs.replace(future_target=inputs.future_target[:, :0], teacher=inputs.teacher[:, :0])
    expected = net.apply(NumpyOps(), params, blind)
    for known in (inputs.replace(teacher=inputs.teacher[:, :0]), inputs.replace(teacher=inputs.teacher * 0)):
        np.testing.assert_allclose(net.apply(NumpyOps(), params, known), expected, atol=1e-6)
    taught = net.apply(NumpyOps(), params, inputs)
    changed = not np.allclose(taught, expected, atol=1e-6)
    assert changed == net.teachable


@pytest.mark.parametrize(("name", "options"), [p for p in FULLEST if "recursive" in p.id or "mixed" in p.id])
def test_a_taught_step_sees_only_earlier_steps(name, options, network, random_params, random_inputs):
    net = network(name, FULL, options, "revin")
    params, inputs = random_params(net), random_inputs(FULL, taught=True)
    expected = net.apply(NumpyOps(), params, inputs)
    for t in range(FULL.horizon):
        later = inputs.future_target.copy()
        later[:, t:] += 5
        np.testing.assert_array_equal(
            net.apply(NumpyOps(), params, inputs.replace(future_target=later))[:, : t + 1], expected[:, : t + 1]
        )


@pytest.mark.parametrize(("name", "options"), FULLEST)
def test_what_lies_beyond_a_block_cannot_change_it(name, options, network, random_params, random_inputs):
    """Forecasting further, and covariates further ahead, leave the earlier blocks as they are."""
    net = network(name, FULL, options, "last")
    far = 3 * FULL.horizon
    params, inputs = random_params(net), random_inputs(FULL, horizon=far)
    whole = numpy_forecast(net, params, inputs, far)
    later = inputs.future_covariates.copy()
    later[:, FULL.horizon :] += 5
    changed = numpy_forecast(net, params, inputs.replace(future_covariates=later), far)
    near = numpy_forecast(net, params, inputs, FULL.horizon)
    np.testing.assert_allclose(whole[:, : FULL.horizon], near, atol=1e-6)
    np.testing.assert_allclose(changed[:, : FULL.horizon], near, atol=1e-6)


@pytest.mark.parametrize(("name", "options"), FULLEST)
@pytest.mark.parametrize("mode", NORMALIZATIONS)
def test_the_gradient_reaches_every_parameter(name, options, mode, network, random_params, random_inputs, to_torch):
    net = network(name, FULL, options, mode)
    params = {k: v.requires_grad_() for k, v in tensors(random_params(net)).items()}
    out = roll_out(TorchOps(), net, params, to_torch(random_inputs(FULL, batch=16)), FULL.horizon)
    if params:
        (out * torch.randn(out.shape, generator=torch.Generator().manual_seed(0))).sum().backward()
    unreached = [k for k, v in params.items() if v.grad is None or not v.grad.abs().sum() > 0]
    assert unreached == []


@pytest.mark.parametrize(("name", "options"), FULLEST)
def test_the_seed_decides_the_weights(name, options, network):
    net = network(name, FULL, options, "revin")
    first, second, other = (net.init(np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert all(v.dtype == np.float32 for v in first.values())
    assert all(np.array_equal(v, second[k]) for k, v in first.items())
    drawn = [k for k, v in first.items() if v.size and np.ptp(v) > 0]
    assert all(not np.array_equal(first[k], other[k]) for k in drawn if not k.endswith(".bias"))


@pytest.mark.parametrize(("name", "options"), FULLEST)
@pytest.mark.parametrize("mode", ["last", "mean", "revin"])
def test_a_shifted_window_shifts_the_forecast(name, options, mode, network, random_params, random_inputs):
    net = network(name, FULL, options, mode)
    params, inputs = random_params(net), random_inputs(FULL)
    expected = numpy_forecast(net, params, inputs, FULL.horizon)
    moved = numpy_forecast(net, params, inputs.replace(past_target=inputs.past_target + np.float32(8)), FULL.horizon)
    np.testing.assert_allclose(moved - 8, expected, atol=1e-4)


@pytest.mark.parametrize(("name", "options"), [p for p in FULLEST if not p.id.startswith("drift")])
def test_a_scaled_window_scales_the_forecast_of_revin(name, options, network, random_params, random_inputs):
    net = network(name, FULL, options, "revin")
    params, inputs = random_params(net), random_inputs(FULL)
    expected = numpy_forecast(net, params, inputs, FULL.horizon)
    larger = numpy_forecast(net, params, inputs.replace(past_target=inputs.past_target * np.float32(4)), FULL.horizon)
    np.testing.assert_allclose(larger / 4, expected, atol=1e-3)
