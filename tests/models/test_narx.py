"""NARX: delays mean what they say, and the closed loop feeds back its own outputs, to the very step."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from tsforecast.config import make
from tsforecast.data.window import Tables
from tsforecast.errors import UsageError
from tsforecast.lag_sets import parse_delays
from tsforecast.models.base import Dims
from tsforecast.models.narx import SPAN
from tsforecast.models.normalize import roll_out
from tsforecast.ops.numpy_ops import NumpyOps
from tsforecast.ops.torch_ops import TorchOps
from tsforecast.trainers.backprop import Backprop, BackpropConfig

DIMS = Dims(lags=9, horizon=6, targets=2, past=1, future=2, static=1, lag_set=(1, 2, 5, 9))


SQUASH = {"tanh": np.tanh, "relu": lambda x: np.maximum(x, 0), "sigmoid": lambda x: 1 / (1 + np.exp(-x))}


def by_hand(net, params, inputs, b, steps):
    """One window in plain Python: every delay is looked up on an axis of time whose 0 is the first forecast step.

    Past covariates stay at their last value. An error is known where the network was run and the truth is known.
    Returns all outputs (steps, T, Q).
    """
    narx, dims, config = net.network, net.dims, net.config
    window = range(-dims.lags, 0)
    y = {t: inputs.past_target[b, t].astype(np.float64) for t in window}
    held = {t: inputs.past_covariates[b, t, : dims.past] for t in window}
    known = {t: inputs.past_covariates[b, t, dims.past :] for t in window}
    for t in range(steps):
        held[t], known[t] = held[-1], inputs.future_covariates[b, t]
    feedback = parse_delays(config.feedback_lags) if config.feedback_lags else dims.lag_set
    input_lags = parse_delays(config.input_lags) if config.input_lags else feedback
    error_lags = parse_delays(config.error_lags) if config.feedback == "error" else ()
    begin = max(*feedback, *input_lags) - dims.lags if error_lags else 0  # the first step whose delays are all known
    errors, outputs = {}, []
    for t in range(begin, steps):
        origin = y[t - 1] if narx.relative else 0.0
        line = [y[t - k] - origin for k in feedback]
        line += [part[t - j] for j in input_lags if j for part in (held, known)]
        line += [known[t]] * (0 in input_lags) + [inputs.static_covariates[b]]
        line += [errors.get(t - i, np.zeros(dims.targets)) for i in error_lags]
        out = forward(config, params, np.concatenate(line)).reshape(dims.targets, dims.quantiles)
        out = out + np.reshape(origin, (-1, 1))
        middle = out[:, dims.middle]
        if t >= 0:
            outputs.append(out)
            taught = bool(inputs.teacher.shape[1]) and inputs.teacher[b, t, 0] == 1
            y[t] = inputs.future_target[b, t].astype(np.float64) if taught else middle
        errors[t] = y[t] - middle
    return np.stack(outputs)


def forward(config, params, x):
    """Return the output of the feed-forward part for one line of regressors."""
    hidden, squash = x, SQUASH[config.activation]
    for k in range(len(config.hidden)):
        hidden = squash(hidden @ params[f"hidden{k}.weight"].astype(np.float64) + params[f"hidden{k}.bias"])
    out = hidden @ params["out.weight"] + params["out.bias"]
    return out + x @ params["skip.weight"] if config.skip and config.hidden else out


ERRORS = {"feedback": "error", "feedback_lags": "1:3", "hidden": (5,)}
LOOPS = {
    "default": {"hidden": (5,)},
    "shorter": {"hidden": (5,), "feedback_lags": "3"},
    "holes": {"hidden": (5,), "feedback_lags": "1,3:4,8"},
    "without_1": {"hidden": (5,), "feedback_lags": "2,5", "input_lags": "3"},
    "now": {"hidden": (5,), "input_lags": "0:2,7"},
    "only_now": {"hidden": (5,), "input_lags": "0"},
    "two_layers": {"hidden": (6, 4), "activation": "relu"},
    "three_layers_no_skip": {"hidden": (3, 4, 2), "activation": "sigmoid", "skip": False},
    "no_hidden": {"hidden": ()},
    "errors": ERRORS,
    "errors_with_holes": ERRORS | {"feedback_lags": "2,4", "error_lags": "2,5", "input_lags": "0,3"},
    "errors_just_fit": ERRORS | {"feedback_lags": "1,7", "input_lags": "2"},
    "errors_no_hidden": ERRORS | {"hidden": (), "error_lags": "1"},
    "errors_two_layers": ERRORS | {"hidden": (4, 3), "input_lags": "0", "error_lags": "3"},
}
SIZES = {
    "full": DIMS,
    "plain": Dims(lags=9, horizon=6, lag_set=tuple(range(1, 10))),
    "inputs": Dims(lags=9, horizon=6, targets=3, future=1, lag_set=(1, 2, 3), levels=(0.1, 0.5, 0.9)),
    "past": Dims(lags=9, horizon=6, past=2, lag_set=(1, 4), levels=(0.5, 0.9)),
}
FITTING = [
    pytest.param(options, dims, id=f"{name}-{size}")
    for name, options in LOOPS.items()
    for size, dims in SIZES.items()
    if not (options.get("input_lags", "").startswith("0") and dims.past and not dims.future)
]


def stack(outs):
    return np.stack([np.asarray(out) for out in outs])


def three_ways(net, params, inputs, steps, to_torch):
    """Forecast with NumPy, with torch, and as one of a population; return (3, B, H, T, Q)."""
    tensors, own = {k: torch.tensor(v) for k, v in params.items()}, to_torch(inputs)
    plain = TorchOps(fused=False)
    population = torch.func.vmap(lambda p: roll_out(plain, net, p, own, steps))(
        {k: torch.stack([v + 1, v]) for k, v in tensors.items()}
    )[1]
    return stack(
        [roll_out(NumpyOps(), net, params, inputs, steps), roll_out(TorchOps(), net, tensors, own, steps), population]
    )


@pytest.mark.parametrize("mode", ["none", "last"])
@pytest.mark.parametrize(("options", "dims"), FITTING)
def test_the_closed_loop_equals_a_loop_by_hand(options, dims, mode, network, random_params, random_inputs, to_torch):
    """Also far beyond the horizon, over several spans of steps and a part of one."""
    steps = 2 * SPAN + 5
    net = network("narx", dims, options | {"loop": "closed"}, mode)
    params, inputs = random_params(net), random_inputs(dims, horizon=steps)
    expected = np.stack([by_hand(net, params, inputs, b, steps) for b in range(3)])
    size = np.abs(expected).max()
    assert size < 1e3  # a loop that explodes would hide what it does
    for made in three_ways(net, params, inputs, steps, to_torch):
        np.testing.assert_allclose(made, expected, atol=3e-5 * max(size, 1))


@pytest.mark.parametrize("mode", ["none", "last"])
@pytest.mark.parametrize(("options", "dims"), FITTING)
def test_the_mixed_loop_equals_a_loop_by_hand(options, dims, mode, network, random_params, random_inputs, to_torch):
    """Each window is shown the truth at other steps; with it the error there is known."""
    net = network("narx", dims, options | {"loop": "mixed"}, mode)
    steps = SPAN + 3
    params, inputs = random_params(net), random_inputs(dims, horizon=steps, taught=True)
    shown = (np.random.default_rng(4).random((3, steps, 1)) < 0.4).astype(np.float32)
    mixed = inputs.replace(teacher=shown)
    expected = np.stack([by_hand(net, params, mixed, b, steps) for b in range(3)])
    for made in three_ways(net, params, mixed, steps, to_torch):
        np.testing.assert_allclose(made, expected, atol=3e-5 * max(np.abs(expected).max(), 1))
    closed = three_ways(net, params, inputs.replace(teacher=shown[:, :0]), steps, to_torch)
    for b, first in enumerate(shown[..., 0].argmax(1)):  # up to the step after the first that is shown they agree
        np.testing.assert_allclose(
            closed[:, b, : first + 1],
            np.broadcast_to(expected[b, : first + 1], closed[:, b, : first + 1].shape),
            atol=1e-4,
        )


@pytest.mark.parametrize("loop", ["open", "closed"])
def test_only_a_mixed_loop_is_ever_shown_the_truth(loop, network, random_params, random_inputs):
    net = network("narx", DIMS, {"loop": loop})
    params, inputs = random_params(net), random_inputs(DIMS, taught=True)
    blind = inputs.replace(future_target=inputs.future_target[:, :0], teacher=inputs.teacher[:, :0])
    np.testing.assert_array_equal(*(net.apply(NumpyOps(), params, x) for x in (inputs, blind)))
    assert not net.teachable


def test_a_fully_taught_loop_is_the_open_loop_step_by_step(network, random_params, random_inputs):
    """Shown every truth, step t is the first step of a window that ends right before t."""
    dims = Dims(lags=5, horizon=6, targets=2, future=1, lag_set=(1, 2, 5))
    mixed, opened = (network("narx", dims, {"loop": loop}, "last") for loop in ("mixed", "open"))
    params, inputs = random_params(mixed), random_inputs(dims, taught=True)
    made = mixed.apply(NumpyOps(), params, inputs)
    target = np.concatenate([inputs.past_target, inputs.future_target], 1)
    covariates = np.concatenate([inputs.past_covariates, inputs.future_covariates], 1)
    for t in range(6):
        window = inputs.replace(
            past_target=target[:, t : t + 5],
            past_covariates=covariates[:, t : t + 5],
            future_covariates=covariates[:, t + 5 : t + 6],
        )
        np.testing.assert_allclose(made[:, t], opened.apply(NumpyOps(), params, window)[:, 0], atol=1e-5)


@pytest.mark.parametrize("extra", [{"loop": "closed"}, {"loop": "closed", **ERRORS}, {"loop": "mixed", **ERRORS}])
@pytest.mark.parametrize("mode", ["none", "last"])
def test_the_gradient_goes_through_the_loop(extra, mode, network, random_params, random_inputs, to_torch):
    """It equals finite differences of the loop by hand, which knows nothing of gradients."""
    dims = Dims(lags=5, horizon=6, targets=2, future=1, lag_set=(1, 2, 3))
    net = network("narx", dims, {**extra, "hidden": (3,)}, mode)
    params, inputs = random_params(net), random_inputs(dims, batch=1, taught=True)
    inputs = inputs.replace(teacher=np.array([[[0], [1], [0], [0], [1], [0]]], dtype=np.float32))
    weights = np.random.default_rng(5).normal(size=(6, 2, 1))
    tensors = {k: torch.tensor(v, requires_grad=True) for k, v in params.items()}
    (roll_out(TorchOps(), net, tensors, to_torch(inputs), 6)[0] * torch.tensor(weights)).sum().backward()
    seen = inputs if net.teachable else inputs.replace(teacher=inputs.teacher[:, :0])
    for name, value in params.items():
        for at in itertools.product(*map(range, value.shape)):
            sides = []
            for step in (1e-5, -1e-5):
                moved = {k: v.astype(np.float64) for k, v in params.items()}
                moved[name][at] += step
                sides.append((by_hand(net, moved, seen, 0, 6) * weights).sum())
            assert float(tensors[name].grad[at]) == pytest.approx((sides[0] - sides[1]) / 2e-5, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize(
    ("options", "block", "teachable"),
    [
        ({}, 1, False),
        ({"feedback": "target"}, 1, False),
        ({"loop": "closed"}, 6, False),
        ({"loop": "closed", "loop_steps": 2}, 2, False),
        ({"loop": "mixed", "loop_steps": 40}, 40, True),
    ],
)
def test_the_loop_decides_the_steps_of_a_training_window(options, block, teachable, network):
    net = network("narx", DIMS, options)
    assert (net.block, net.teachable, net.free_running) == (block, teachable, True)


def test_the_loop_is_a_matter_of_training_alone(network, random_params, random_inputs):
    """The same weights forecast the same, whichever way they were found; the target is known up to now only."""
    nets = [network("narx", DIMS, {"loop": loop}, "last") for loop in ("open", "closed", "mixed")]
    nets.append(network("narx", DIMS, {"feedback": "target"}, "last"))
    params, inputs = random_params(nets[0]), random_inputs(DIMS)
    first, *others = (net.apply(NumpyOps(), params, inputs) for net in nets)
    for other in others:
        np.testing.assert_array_equal(other, first)


def test_open_loop_is_one_step_of_true_values(network, random_params, random_inputs):
    """The forecast of one step from the true window is the first step of the closed loop."""
    net = network("narx", DIMS, {"hidden": (5,)}, "last")
    params, inputs = random_params(net), random_inputs(DIMS)
    assert net.block == 1
    one = net.apply(NumpyOps(), params, inputs.replace(future_covariates=inputs.future_covariates[:, :1]))
    np.testing.assert_allclose(one, roll_out(NumpyOps(), net, params, inputs, DIMS.horizon)[:, :1], atol=1e-6)


def test_only_the_named_delays_have_influence(network, random_params, random_inputs):
    net = network("narx", DIMS, {"hidden": (5,), "input_lags": "2,4"})
    params, inputs = random_params(net), random_inputs(DIMS, horizon=1)
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


@pytest.mark.parametrize(
    ("options", "dims", "message", "hint"),
    [
        ({"input_lags": "1:x"}, DIMS, "model.input_lags: '1:x' is not a set of delays", "1:24,168"),
        ({"feedback_lags": "-1"}, DIMS, "model.feedback_lags: '-1' is not a set", "1:24,168"),
        (ERRORS | {"error_lags": ""}, DIMS, "model.error_lags: '' is not a set", "1:24,168"),
        ({"input_lags": "1:10"}, DIMS, "input_lags=1:10 reaches further back than the window of 9 lags", "--lags 10"),
        ({"feedback_lags": "2,12"}, DIMS, "feedback_lags=2,12 reaches further back", "--lags 12"),
        ({"feedback": "error", "feedback_lags": "2", "error_lags": "11"}, DIMS, "error_lags=11 reaches", "--lags 11"),
        ({"feedback_lags": "0:3"}, DIMS, "feedback_lags has 0, the value that is forecast", "start the delays at 1"),
        (ERRORS | {"error_lags": "0"}, DIMS, "error_lags has 0", "start the delays at 1"),
        ({"input_lags": "0:2"}, Dims(lags=4, horizon=2, past=1), "not known at the step that is forecast", "--future"),
        ({"feedback": "target", "loop": "closed"}, DIMS, "feedback=target never does", "model.loop=open"),
        ({"feedback": "target", "loop": "mixed"}, DIMS, "loop=mixed feeds outputs back", "model.feedback=output"),
        ({"loop_steps": 3}, DIMS, "model.loop_steps=3 has no effect with model.loop=open", "model.loop=closed"),
        ({"error_lags": "1:3"}, DIMS, "error_lags=1:3 has no effect with model.feedback=output", "feedback=error"),
        (
            {"feedback": "error"},
            DIMS,
            "9 lags leave 0 steps for 2 errors",
            "--lags 11 --set model.feedback_lags=1:2,5,9",
        ),
        (ERRORS | {"error_lags": "7"}, DIMS, "9 lags leave 6 steps for 7 errors", "use --lags 10"),
        (ERRORS | {"input_lags": "8"}, DIMS, "9 lags leave 1 steps for 2 errors", "use --lags 10"),
    ],
)
def test_delays_and_loops_that_do_not_fit_are_refused(options, dims, message, hint, network):
    with pytest.raises(UsageError, match=message) as caught:
        network("narx", dims, options)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "options", [{"feedback": "error"}, {"feedback": "error", "input_lags": "0:4", "error_lags": "3"}]
)
@pytest.mark.parametrize("lag_set", [(), (1, 2, 5, 9)])
def test_the_way_out_of_a_warm_up_that_is_too_short_works(options, lag_set, network):
    dims = Dims(lags=9, horizon=6, future=1, lag_set=lag_set)
    with pytest.raises(UsageError, match="lags leave") as caught:
        network("narx", dims, options)
    words = caught.value.hint.replace("use --lags ", "").split(" --set model.feedback_lags=")
    longer = dataclasses.replace(dims, lags=int(words[0]), lag_set=())
    net = network("narx", longer, options | {"feedback_lags": words[1]})
    assert net.network.feedback == (lag_set or tuple(range(1, 10)))


def tank(rows, dims):
    """A leaking tank, y_t = 0.9 y_{t-1} + u_{t-1}, whose level is read with noise."""
    rng = np.random.default_rng(0)
    u = rng.normal(size=rows).astype(np.float32)
    level = np.zeros(rows, dtype=np.float32)
    for t in range(1, rows):
        level[t] = 0.9 * level[t - 1] + u[t - 1]
    nothing = np.zeros(rows, dtype=np.int32)
    read = (level + rng.normal(0, 1.5, rows).astype(np.float32))[:, None]
    return Tables(read, u[:, None], np.zeros((1, 0), dtype=np.float32), nothing, nothing, nothing[:1], dims.past)


def test_training_in_closed_loop_finds_the_system_behind_noisy_readings(network, make_objective):
    """One step ahead, noise in the delays biases the weights towards zero (errors in variables) and the loop drifts.

    Ljung, System Identification (1999), section 7.5: an output-error model, the closed loop, is not biased.
    """
    dims = Dims(lags=1, horizon=20, future=1)
    found = {}
    for loop in ("open", "closed"):
        net = network("narx", dims, {"loop": loop, "hidden": ()})
        objective = make_objective(net, rows=800, tables=tank(800, dims))
        trainer = Backprop(make(BackpropConfig, {"steps": 12, "learning_rate": 0.05, "batch_size": 128}))
        for progress in trainer.fit(objective, net.init(np.random.default_rng(0)), seed=0):
            found[loop] = progress.valid_loss, *trainer.params["out.weight"][:, 0]
    assert found["closed"][0] < 0.8 * found["open"][0]
    np.testing.assert_allclose(found["closed"][1:], (0.9, 1.0), atol=0.05)
    assert found["open"][1] < 0.8


@pytest.mark.parametrize("mode", ["none", "last"])
def test_without_feedback_the_outputs_are_never_read(mode, network, random_params, random_inputs):
    """A time-delay network of the inputs: of the outputs only the last one matters, where forecasts are relative."""
    net = network("narx", DIMS, {"hidden": (5,), "feedback": "none", "input_lags": "0:3"}, mode)
    params, inputs = random_params(net), random_inputs(DIMS, horizon=40)
    out = net.apply(NumpyOps(), params, inputs)
    changed = inputs.past_target.copy()
    changed[:, :-1] += 5
    np.testing.assert_array_equal(net.apply(NumpyOps(), params, inputs.replace(past_target=changed)), out)
    moved = net.apply(NumpyOps(), params, inputs.replace(past_target=inputs.past_target + 2))
    np.testing.assert_allclose(moved - out, 2.0 if mode == "last" else 0.0, atol=1e-5)
    future = inputs.future_covariates.copy()
    future[:, 7] += 1
    affected = np.abs(net.apply(NumpyOps(), params, inputs.replace(future_covariates=future)) - out).max((0, 2, 3)) > 0
    assert np.flatnonzero(affected).tolist() == [7, 8, 9, 10]


def test_without_feedback_there_must_be_inputs(network):
    with pytest.raises(UsageError, match="without inputs"):
        network("narx", Dims(lags=3, horizon=2), {"feedback": "none"})
