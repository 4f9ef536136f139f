"""An ensemble: members side by side in training, their average everywhere else."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from tsforecast import api
from tsforecast.config import make
from tsforecast.errors import UsageError
from tsforecast.models.base import Dims, prefixed, subset
from tsforecast.models.ensemble import Ensemble
from tsforecast.models.normalize import roll_out
from tsforecast.ops.numpy_ops import NumpyOps
from tsforecast.ops.torch_ops import TorchOps
from tsforecast.trainers.backprop import Backprop, BackpropConfig

DIMS = Dims(lags=6, horizon=4, season_length=8)
MODELS = {
    "linear": ("linear", {}, DIMS),
    "gru, revin": ("gru", {"hidden": 3}, DIMS),
    "lstm, taught": ("lstm", {"hidden": 3, "decoder": "recursive"}, DIMS),
    "narx, closed": ("narx", {"hidden": (3,), "loop": "closed"}, DIMS),
    "narx, open": ("narx", {"hidden": (3,), "loop": "open"}, DIMS),
}


@pytest.fixture(params=MODELS)
def pair(request, network):
    """Return a network and an ensemble of three of it."""
    model, options, dims = MODELS[request.param]
    single = network(model, dims, options, "revin" if "revin" in request.param else "last")
    return single, Ensemble(single, 3)


def test_the_first_member_is_the_network_alone(pair):
    single, ensemble = pair
    alone, params = single.init(np.random.default_rng(5)), ensemble.init(np.random.default_rng(5))
    first = subset(params, "member0")
    assert first.keys() == alone.keys()
    assert all(np.array_equal(first[k], alone[k]) for k in alone)
    assert len(params) == 3 * len(alone)
    assert any(not np.array_equal(params[f"member1.{k}"], alone[k]) for k in alone)


def test_it_forecasts_the_average(pair, random_params, random_inputs):
    """Also over several blocks: closed loops run inside each member."""
    single, ensemble = pair
    params, inputs = random_params(ensemble), random_inputs(ensemble.dims, batch=5)
    each = [roll_out(NumpyOps(), single, subset(params, f"member{k}"), inputs, DIMS.horizon) for k in range(3)]
    made = roll_out(NumpyOps(), ensemble, params, inputs, DIMS.horizon)
    if single.block == DIMS.horizon or single.free_running:
        np.testing.assert_allclose(made, np.mean(each, axis=0), atol=1e-6)
    assert made.shape == each[0].shape
    first = roll_out(NumpyOps(), ensemble, params, inputs, single.block)[:, :1]
    np.testing.assert_allclose(made[:, :1], first, atol=1e-6)


def test_in_training_members_answer_apart(pair, random_params, random_inputs, to_torch):
    single, ensemble = pair
    params = {k: torch.from_numpy(v) for k, v in random_params(ensemble).items()}
    inputs = to_torch(random_inputs(ensemble.dims, batch=5, taught=ensemble.teachable))
    made = ensemble.apply(TorchOps(training=True), params, inputs)
    for k, part in enumerate(made.split(5)):
        torch.testing.assert_close(part, single.apply(TorchOps(), subset(params, f"member{k}"), inputs))


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("average", [0.0, 0.9])
def test_members_train_as_if_each_were_alone(pair, optimizer, average, make_objective):
    """The same batches and masks, the same clipping of the own gradient: the same parameters."""
    single, ensemble = pair
    options = {"optimizer": optimizer, "steps": 2, "batch_size": 16, "learning_rate": 0.01, "clip": 0.05}
    config = make(BackpropConfig, options | {"average": average, "epoch_size": 60})
    start = ensemble.init(np.random.default_rng(0))
    together = Backprop(config)
    objective = dataclasses.replace(make_objective(ensemble), members=3)
    progress = list(together.fit(objective, start, seed=0))
    losses = []
    for k in range(3):
        apart = Backprop(config)
        steps = list(apart.fit(make_objective(single), subset(start, f"member{k}"), seed=0))
        losses.append(steps[-1].train_loss)
        for name, value in apart.params.items():
            np.testing.assert_allclose(together.params[f"member{k}.{name}"], value, atol=2e-5, err_msg=name)
    assert progress[-1].train_loss == pytest.approx(np.mean(losses), rel=1e-4)


def test_a_bad_member_is_seen_in_the_validation_loss(network, make_objective):
    """It is that of the average, and not the average loss."""
    single = network("linear", DIMS)
    ensemble = Ensemble(single, 2)
    good = single.init(np.random.default_rng(0))
    bad = {k: v + 3 for k, v in good.items()}
    objective = dataclasses.replace(make_objective(ensemble), members=2)
    middle = {k: v + 1.5 for k, v in good.items()}  # of a linear network the average forecast is that of the average
    found = objective.valid_loss(prefixed(good, "member0") | prefixed(bad, "member1"))
    assert found == pytest.approx(make_objective(single).valid_loss(middle), rel=1e-4)


def test_resuming_is_exact(network, make_objective):
    ensemble = Ensemble(network("gru", DIMS, {"hidden": 3, "dropout": 0.3, "decoder": "recursive"}), 2)
    objective = dataclasses.replace(make_objective(ensemble), members=2)
    start = ensemble.init(np.random.default_rng(0))
    config = make(BackpropConfig, {"steps": 4, "epoch_size": 30, "batch_size": 16, "average": 0.9})
    whole, broken, resumed = (Backprop(config) for _ in range(3))
    list(whole.fit(objective, start, seed=0))
    list(itertools.islice(broken.fit(objective, start, seed=0), 2))
    list(resumed.fit(objective, start, seed=0, state=broken.state()))
    assert all(np.array_equal(whole.params[k], resumed.params[k]) for k in start)


@pytest.fixture
def hours():
    """Two weeks of a daily sine."""
    pd = pytest.importorskip("pandas")
    time = pd.date_range("2024-01-01", periods=336, freq="h")
    return pd.DataFrame({"time": time, "y": 10 + np.sin(np.arange(336) * 2 * np.pi / 24)})


def test_one_model_file_holds_all_members(hours, tmp_path):
    """Saved, loaded and read apart: the forecast is the mean of the members'."""
    chosen = {"horizon": 6, "lags": "24", "ensemble": 2, "model": "gru", "shrink": "none"}
    trained = api.train(hours, "y", trainer_options={"steps": 1, "epoch_size": 64}, **chosen)
    api.save(trained, tmp_path / "m.safetensors")
    loaded = api.load(tmp_path / "m.safetensors")
    made = api.predict(loaded, hours)["y_forecast"].to_numpy()
    each = []
    for k in range(2):
        forecaster = loaded.forecaster
        alone = dataclasses.replace(
            forecaster,
            options=dataclasses.replace(forecaster.options, ensemble=1),
            params=subset(forecaster.params, f"member{k}"),
        )
        each.append(api.predict(dataclasses.replace(loaded, forecaster=alone), hours)["y_forecast"].to_numpy())
    np.testing.assert_allclose(made, np.mean(each, axis=0), rtol=1e-5)
    assert not np.allclose(each[0], each[1], rtol=1e-5)


ONE, NOTHING = r"trainer '.*' trains one network at a time", "model 'naive' is not trained"


@pytest.mark.parametrize(
    ("options", "what"),
    [({"model": "narx", "trainer": "genetic"}, ONE), ({"model": "linear"}, ONE), ({"model": "naive"}, NOTHING)],
)
def test_trainers_of_one_network_refuse_several(options, what, hours):
    with pytest.raises(UsageError, match=f"--ensemble: {what}"):
        api.train(hours, "y", horizon=6, lags="24", ensemble=2, **options)


@pytest.mark.parametrize("model", ["linear", "naive"])
def test_trainers_without_a_gradient_refuse_a_learned_cycle(model, hours):
    with pytest.raises(UsageError, match=r"--cycle 24: trainer '.*' cannot learn a cycle"):
        api.train(hours, "y", horizon=6, lags="24", cycle="24", model=model)
