"""The maps of the tdnn: each equals what a plain loop says, and is as small as its paper."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tsforecast.errors import UsageError
from tsforecast.models.base import Dims, subset
from tsforecast.models.maps import ALPHA, AVERAGED, filtered, trend_of
from tsforecast.ops.numpy_ops import NumpyOps
from tsforecast.ops.torch_ops import TorchOps

LONG = Dims(lags=720, horizon=720, season_length=24)
SIZES = Dims(lags=30, horizon=9, targets=2, season_length=6)
LEVELS = (0.1, 0.5, 0.9)
FORMS = (
    {},
    {"form": "linear"},
    {"form": "mlp"},
    {"form": "sparse"},
    {"form": "sparse", "hidden": 5},
    {"form": "patch"},
)


def count(net):
    return sum(v.size for v in net.init(np.random.default_rng(0)).values())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"form": "sparse"}, 25 + 30 * 30 + 30),
        ({"form": "sparse", "hidden": 128}, 25 + 30 * 128 + 128 + 128 * 30 + 30),  # SparseTSF/MLP: 7.86 k
        ({"form": "linear"}, 720 * 720 + 720),
        ({"form": "linear", "trend": "average"}, 2 * (720 * 720 + 720)),  # DLinear: 1.04 M
        ({"form": "mlp"}, 720 * 512 + 512 + 512 * 720 + 720),
    ],
)
def test_size_is_that_of_the_paper(options, expected, network):
    assert count(network("tdnn", LONG, options)) == expected


def test_linear_is_one_matrix_product(network, random_params, random_inputs):
    net = network("tdnn", SIZES, {"form": "linear"})
    params, inputs = random_params(net), random_inputs(SIZES)
    expected = np.einsum("blt,lh->bht", inputs.past_target, params["map.weight"]) + params["map.bias"][:, None]
    np.testing.assert_allclose(net.apply(NumpyOps(), params, inputs)[..., 0], expected, atol=1e-5)


def test_mlp_is_two_matrix_products(network, random_params, random_inputs):
    net = network("tdnn", SIZES, {"form": "mlp", "hidden": 7})
    params, inputs = random_params(net), random_inputs(SIZES)
    for target in range(SIZES.targets):
        hidden = np.maximum(
            inputs.past_target[..., target] @ params["map.hidden.weight"] + params["map.hidden.bias"], 0
        )
        expected = hidden @ params["map.weight"] + params["map.bias"]
        np.testing.assert_allclose(net.apply(NumpyOps(), params, inputs)[:, :, target, 0], expected, atol=1e-5)


@pytest.mark.parametrize("season", [1, 4, 6, 7])
def test_sparse_is_a_loop_over_the_steps_of_the_season(season, network, random_params, random_inputs):
    """Also where neither the lags nor the horizon are whole seasons."""
    net = network("tdnn", replace(SIZES, season_length=season), {"form": "sparse"})
    params, inputs = random_params(net), random_inputs(SIZES)
    out = net.apply(NumpyOps(), params, inputs)
    seasons = SIZES.lags // season
    x = inputs.past_target[:, SIZES.lags - seasons * season :].astype(float)
    half = season // 2
    padded = np.pad(x, ((0, 0), (half, half), (0, 0)))
    for b, h, t in np.ndindex(out.shape[:3]):
        expected = float(params["map.bias"][h // season])
        for n in range(seasons):
            step = n * season + h % season
            near = padded[b, step : step + 2 * half + 1, t]
            expected += params["map.weight"][n, h // season] * (x[b, step, t] + near @ params["map.gather"])
        assert out[b, h, t, 0] == pytest.approx(expected, abs=1e-4)


def test_sparse_needs_a_season_within_the_window(network):
    with pytest.raises(UsageError, match="whole seasons of 6 steps, the window has 5") as caught:
        network("tdnn", Dims(lags=5, horizon=2, season_length=6), {"form": "sparse"})
    assert caught.value.hint == "use --lags 6 or more, or a smaller --season-length"


@pytest.mark.parametrize(("lags", "length", "patches"), [(30, 16, 3), (32, 16, 4), (720, 16, 90), (7, 6, 2), (1, 2, 1)])
def test_patch_is_a_loop_over_patches(lags, length, patches, network, random_params, random_inputs):
    dims = Dims(lags=lags, horizon=4)
    net = network("tdnn", dims, {"form": "patch", "hidden": 5})
    params, inputs = random_params(net), random_inputs(dims)
    own = subset(params, "map")
    x = np.concatenate([inputs.past_target[..., 0], np.repeat(inputs.past_target[:, -1:, 0], length // 2, axis=1)], 1)
    deep = np.zeros((3, patches, length))
    for n in range(patches):
        patch = x[:, n * length // 2 : n * length // 2 + length]
        assert patch.shape[1] == length
        embedded = np.maximum(patch @ own["embed.weight"] + own["embed.bias"], 0)
        for j in range(length):
            heard = embedded[:, j::length] @ own["depth.weight"][n, :, 0]
            deep[:, n, j] = np.maximum(heard + own["depth.bias"][n, 0], 0)
        deep[:, n] += embedded @ own["residual"]
    mixed = np.maximum(np.einsum("bnj,nm->bjm", deep, own["point.weight"]) + own["point.bias"], 0).reshape(3, -1)
    hidden = np.maximum(mixed @ own["out.hidden.weight"] + own["out.hidden.bias"], 0)
    expected = hidden @ own["out.weight"] + own["out.bias"]
    np.testing.assert_allclose(net.apply(NumpyOps(), params, inputs)[:, :, 0, 0], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("lags", [3, 30, 200])
def test_the_trends_are_those_of_dlinear_and_xpatch(lags):
    window = np.random.default_rng(0).normal(size=(2, 3, lags)).astype(np.float32) + 5
    half = AVERAGED // 2
    padded = np.pad(window.astype(float), ((0, 0), (0, 0), (half, half)), mode="edge")
    average = np.stack([padded[..., t : t + AVERAGED].mean(-1) for t in range(lags)], -1)
    np.testing.assert_allclose(trend_of(NumpyOps(), window, "average"), average, atol=1e-5)
    smooth = [window[..., 0].astype(float)]
    for t in range(1, lags):
        smooth.append(ALPHA * window[..., t] + (1 - ALPHA) * smooth[-1])
    np.testing.assert_allclose(trend_of(NumpyOps(), window, "exponential"), np.stack(smooth, -1), atol=1e-5)


@pytest.mark.parametrize("trend", ["average", "exponential"])
@pytest.mark.parametrize("options", FORMS)
def test_trend_and_rest_are_forecast_by_maps_of_their_own(trend, options, network, random_params, random_inputs):
    net = network("tdnn", SIZES, options | {"trend": trend})
    params, inputs = random_params(net), random_inputs(SIZES)
    slow = trend_of(NumpyOps(), inputs.past_target.swapaxes(1, 2), trend)
    line = (slow @ params["trend.weight"] + params["trend.bias"]).swapaxes(1, 2)
    rest = inputs.replace(past_target=inputs.past_target - slow.swapaxes(1, 2))
    expected = network("tdnn", SIZES, options).apply(NumpyOps(), params, rest)[..., 0] + line
    np.testing.assert_allclose(net.apply(NumpyOps(), params, inputs)[..., 0], expected, atol=1e-5)


def test_equal_maps_of_trend_and_rest_see_the_whole_window(network, random_params, random_inputs):
    """Nothing of the window is lost by the split: DLinear contains the linear map."""
    plain, split = (network("tdnn", SIZES, {"form": "linear", "trend": t}) for t in ("none", "average"))
    params, inputs = random_params(plain), random_inputs(SIZES)
    both = params | {"trend.weight": params["map.weight"], "trend.bias": 0 * params["map.bias"]}
    expected = plain.apply(NumpyOps(), params, inputs)
    np.testing.assert_allclose(split.apply(NumpyOps(), both, inputs), expected, atol=1e-5)


@pytest.mark.parametrize(("steps", "taps"), [(1, 1), (5, 1), (5, 3), (40, 4), (41, 25), (200, 49)])
def test_filtered_is_a_sliding_product(steps, taps):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 3, steps + taps - 1)).astype(np.float32)
    weights = rng.normal(size=taps).astype(np.float32)
    expected = np.stack([x[..., t : t + taps] @ weights for t in range(steps)], -1)
    np.testing.assert_allclose(filtered(NumpyOps(), x, weights), expected, atol=1e-4)


@pytest.mark.parametrize("trend", ["none", "average"])
@pytest.mark.parametrize("options", FORMS)
def test_quantiles_are_outputs_side_by_side(trend, options, network, random_params, random_inputs):
    """A network for several levels with equal weights for each says the same of each, and its biases spread them."""
    options = options | {"trend": trend}
    wide = replace(SIZES, levels=LEVELS)
    several, single = network("tdnn", wide, options), network("tdnn", SIZES, options)
    params, inputs = random_params(single), random_inputs(SIZES)
    drawn = several.init(np.random.default_rng(0))
    spread = {k: v if v.shape == drawn[k].shape else np.repeat(v, len(LEVELS), axis=-1) for k, v in params.items()}
    out = several.apply(NumpyOps(), spread, inputs)
    assert out.shape == (3, SIZES.horizon, SIZES.targets, len(LEVELS))
    for level in range(len(LEVELS)):
        np.testing.assert_allclose(out[..., level], single.apply(NumpyOps(), params, inputs)[..., 0], atol=1e-5)
    bias = next(k for k in ("map.bias", "map.out.bias", "head.bias") if k in spread)
    shift = np.tile([-1, 0, 1], spread[bias].size // 3).astype(np.float32)
    moved = several.apply(NumpyOps(), spread | {bias: spread[bias] + shift}, inputs)
    np.testing.assert_allclose(moved - out, np.broadcast_to([-1, 0, 1], out.shape), atol=1e-5)


@pytest.mark.parametrize("form", ["linear", "mlp", "sparse", "patch"])
@pytest.mark.parametrize("kind", ["past_covariates", "future_covariates", "static_covariates"])
def test_no_covariate_is_ignored(form, kind, network, random_params, random_inputs):
    dims = Dims(lags=30, horizon=9, past=1, future=2, static=1, season_length=6)
    net = network("tdnn", dims, {"form": form, "activation": "tanh"})
    params, inputs = random_params(net), random_inputs(dims)
    expected = net.apply(NumpyOps(), params, inputs)
    for index in np.ndindex(getattr(inputs, kind).shape[1:]):
        changed = getattr(inputs, kind).copy()
        changed[(slice(None), *index)] += 3
        moved = np.abs(net.apply(NumpyOps(), params, inputs.replace(**{kind: changed})) - expected).max(axis=(0, 2, 3))
        assert (moved[index[0]] if kind == "future_covariates" else moved.max()) > 1e-5, index


def test_dropout_acts_in_training_only(network, random_params, random_inputs, to_torch):
    net = network("tdnn", SIZES, {"form": "mlp", "dropout": 0.5})
    params = {k: torch.tensor(v) for k, v in random_params(net).items()}
    inputs = to_torch(random_inputs(SIZES))
    training = TorchOps(training=True, generator=torch.Generator().manual_seed(0))
    still = net.apply(TorchOps(), params, inputs)
    assert torch.equal(net.apply(TorchOps(), params, inputs), still)
    assert not torch.allclose(net.apply(training, params, inputs), still)
