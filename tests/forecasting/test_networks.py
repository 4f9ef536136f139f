"""The layers around a network: what they leave of its promises, in whichever combination."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tsforecast.forecasting.networks import build_network
from tsforecast.models.base import Dims, layers
from tsforecast.models.cycle import Cycled
from tsforecast.models.ensemble import Ensemble
from tsforecast.models.local import Local
from tsforecast.models.naive import Drift
from tsforecast.models.normalize import NORMALIZATIONS, Normalized, roll_out
from tsforecast.ops.numpy_ops import NumpyOps
from tsforecast.options import FitOptions
from tsforecast.registry import MODELS

DIMS = Dims(lags=12, horizon=5, targets=2, past=1, future=2, static=1, season_length=4, levels=(0.05, 0.5, 0.9))
LEARNED = [name for name in MODELS if MODELS.get(name).trainer != "none"]


def built(dims=DIMS, base="", **options):
    return build_network(FitOptions(**{"model": "gru", "normalize": "revin", **options}), {}, dims, base)


@pytest.mark.parametrize("mode", NORMALIZATIONS)
@pytest.mark.parametrize("channels", ["independent", "mixed"])
@pytest.mark.parametrize("model", LEARNED)
def test_quantiles_are_in_order_whatever_is_around(model, channels, mode, random_params, random_inputs):
    """Above all where the gain that the normalisation learns has turned negative."""
    net = built(replace(DIMS, cycle=(3, 4)), model=model, channels=channels, normalize=mode, ensemble=2, base="naive")
    params = random_params(net)
    for name in params:
        if name.endswith("normalize.gain"):
            params[name][:] = (-0.3, -2.0)
    made = roll_out(NumpyOps(), net, params, random_inputs(DIMS, batch=8, horizon=7), 7)
    assert made.shape == (8, 7, 2, 3)
    assert (np.diff(made, axis=-1) >= 0).all()


@pytest.mark.parametrize(
    ("options", "sizes", "around"),
    [
        ({"channels": "mixed"}, {"levels": ()}, ["Normalized"]),
        ({"channels": "mixed"}, {}, ["Levels", "Normalized"]),
        ({"base": "naive"}, {"cycle": (4,)}, ["Shrunk", "Levels", "Normalized", "Cycled", "Independent"]),
        (
            {"local": True, "ensemble": 2, "embedding": 3, "channels": "mixed"},
            {"levels": (), "series": 2},
            ["Ensemble", "Local", "Normalized", "Embedded"],
        ),
    ],
)
def test_layers_are_told_from_the_outside_in(options, sizes, around):
    found, innermost = layers(built(replace(DIMS, **sizes), **options))
    assert [type(layer).__name__ for layer in found] == around
    assert type(innermost).__name__ == "Gru"


@pytest.mark.parametrize(
    ("options", "sizes", "solvable"),
    [
        ({}, {}, True),
        ({"normalize": "last", "channels": "mixed", "local": True}, {"series": 3}, True),
        ({"embedding": 2}, {}, False),
        ({}, {"cycle": (4,)}, False),
        ({"ensemble": 2}, {}, False),
    ],
)
def test_a_linear_network_is_solved_for_through_layers_without_parameters(options, sizes, solvable):
    found, innermost = layers(built(replace(DIMS, levels=(), **sizes), model="linear", **options))
    assert innermost.design is not None
    assert all(layer.solvable for layer in found) == solvable


def test_no_other_model_claims_a_design():
    assert [name for name in MODELS if MODELS.get(name).design] == ["linear"]


def test_what_is_measured_takes_the_place_of_what_is_drawn():
    dims = replace(DIMS, levels=(), series=3, cycle=(4,))
    target = np.cumsum(np.array([[1.0, -2.0]] * 40, np.float32), axis=0)
    plain = Drift(None, dims)
    for net in (plain, Normalized(plain, "last"), Cycled(plain), Local(plain), Ensemble(Local(plain), 2)):
        drawn, found = net.init(np.random.default_rng(0)), net.measured(target, np.arange(20))
        assert found
        for name, value in found.items():
            assert value.shape == drawn[name].shape
            np.testing.assert_allclose(value, np.broadcast_to([1.0, -2.0], value.shape))
    assert built().measured(target, np.arange(20)) == {}
