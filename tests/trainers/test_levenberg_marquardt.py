"""Levenberg-Marquardt: exact derivatives, the optimum that SciPy finds, robust losses, evidence, and its limits."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import scipy.optimize
import torch

from tsforecast.data.window import Tables
from tsforecast.errors import UsageError
from tsforecast.models.base import Dims
from tsforecast.ops.numpy_ops import NumpyOps
from tsforecast.ops.torch_ops import TorchOps
from tsforecast.trainers import gauss_newton, jacobian
from tsforecast.trainers.gauss_newton import GaussNewton
from tsforecast.trainers.jacobian import Jacobian
from tsforecast.trainers.levenberg_marquardt import LevenbergMarquardt, LevenbergMarquardtConfig
from tsforecast.trainers.losses import EMPHASES
from tsforecast.trainers.objective import Objective

DIMS = Dims(lags=5, horizon=4, past=1, future=1, season_length=8)
NETWORKS = {
    "narx, open": ("narx", {"hidden": (3,)}, "last"),
    "narx, closed": ("narx", {"hidden": (3,), "loop": "closed"}, "none"),
    "narx, closed, last": ("narx", {"hidden": (3,), "loop": "closed"}, "last"),
    "narx, closed, revin": ("narx", {"hidden": (3,), "loop": "closed"}, "revin"),
    "narx, closed, deep": ("narx", {"hidden": (3, 2), "loop": "closed", "loop_steps": 9}, "none"),
    "narmax": ("narx", {"hidden": (3,), "loop": "closed", "feedback": "error", "feedback_lags": "1:2"}, "none"),
    "tdnn": ("tdnn", {"channels": (3,), "dilations": (1,)}, "last"),
    "gru": ("gru", {"hidden": 3, "segment": 1}, "last"),
    "linear": ("linear", {}, "last"),
}


@pytest.fixture
def noisy():
    """Make tables of a damped, driven oscillation under noise, with outliers if asked for."""

    def build(dims, *, rows=120, noise=0.1, outliers=0.0, seed=0):
        rng = np.random.default_rng(seed)
        covariates = rng.normal(size=(rows, dims.past + dims.future))
        y = np.zeros((rows, dims.targets))
        for t in range(2, rows):
            drive = 0.5 * np.tanh(covariates[t, -1:]) if dims.future else 0.0
            y[t] = 1.2 * y[t - 1] - 0.5 * y[t - 2] + drive + noise * rng.normal(size=dims.targets)
        y += 3 * (rng.random(y.shape) < outliers) * rng.normal(size=y.shape)
        return Tables(
            target=y.astype(np.float32),
            covariates=covariates.astype(np.float32),
            static=np.zeros((1, dims.static), dtype=np.float32),
            series=np.zeros(rows, dtype=np.int32),
            phase=np.zeros(rows, dtype=np.int32),
            known=np.zeros(1, np.int64),
            past=dims.past,
        )

    return build


def tensors(params):
    return {k: torch.from_numpy(v) for k, v in params.items()}


def flat(params):
    return np.concatenate([v.ravel() for v in params.values()]).astype(np.float64)


def unflat(vector, like):
    ends = np.cumsum([v.size for v in like.values()])[:-1]
    return {k: p.reshape(v.shape) for (k, v), p in zip(like.items(), np.split(vector, ends), strict=True)}


def by_differences(objective, params, batch, teacher=None):
    """Return the Jacobian (n, P) by central differences in float64, on NumPy."""
    exact = {k: v.numpy().astype(np.float64) if v.is_floating_point() else v.numpy() for k, v in batch.items()}
    shown = None if teacher is None else teacher.numpy()
    start, columns = flat(params), []
    for k in range(len(start)):
        sides = []
        for move in (1e-5, -1e-5):
            moved = start.copy()
            moved[k] += move
            sides.append(objective.differences(NumpyOps(), unflat(moved, params), exact, teacher=shown).ravel())
        columns.append((sides[0] - sides[1]) / 2e-5)
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("name", list(NETWORKS))
def test_the_jacobian_is_that_of_finite_differences(name, network, make_objective, noisy, random_params):
    model, options, mode = NETWORKS[name]
    net = network(model, DIMS, options, mode)
    objective, params = make_objective(net, tables=noisy(DIMS)), random_params(net)
    batch = objective.batch(torch.arange(0, 40, 7))
    differences, made = Jacobian(objective, tensors(params))(tensors(params), batch, None)
    expected = by_differences(objective, params, batch)
    np.testing.assert_allclose(made, expected, atol=2e-4 * np.abs(expected).max())
    plain = objective.differences(NumpyOps(), params, {k: v.numpy() for k, v in batch.items()})
    np.testing.assert_allclose(differences, plain.ravel(), atol=1e-5)


@pytest.mark.parametrize("targets", [1, 2])
@pytest.mark.parametrize("mode", ["none", "last"])
def test_a_loop_that_is_partly_taught_is_differentiated_too(
    targets, mode, network, make_objective, noisy, random_params
):
    dims = dataclasses.replace(DIMS, targets=targets, horizon=7)
    net = network("narx", dims, {"hidden": (3,), "loop": "mixed"}, mode)
    objective = dataclasses.replace(make_objective(net, tables=noisy(dims)), teachable=True)
    params, batch = random_params(net), objective.batch(torch.arange(0, 40, 7))
    teacher = torch.from_numpy(np.random.default_rng(0).integers(0, 2, (6, 7, 1)).astype(np.float32))
    made = Jacobian(objective, tensors(params))(tensors(params), batch, teacher)[1]
    expected = by_differences(objective, params, batch, teacher)
    np.testing.assert_allclose(made, expected, atol=2e-4 * np.abs(expected).max())


def test_only_a_network_that_repeats_one_step_is_differentiated_as_one(network, make_objective, noisy, random_params):
    repeated = {}
    for name, (model, options, mode) in NETWORKS.items():
        net = network(model, DIMS, options, mode)
        repeated[name] = Jacobian(make_objective(net, tables=noisy(DIMS)), tensors(net.init(np.random.default_rng(0))))
    assert {name for name, made in repeated.items() if made.repeats} == {
        "narx, closed",
        "narx, closed, last",
        "narx, closed, deep",
    }


@pytest.mark.parametrize("loop", ["open", "closed"])
def test_the_chunks_do_not_change_the_curvature(loop, network, make_objective, noisy, monkeypatch):
    net = network("narx", DIMS, {"hidden": (3,), "loop": loop})
    objective, params = make_objective(net, tables=noisy(DIMS), loss="mae"), net.init(np.random.default_rng(0))
    rows = torch.arange(objective.n_train)
    made = []
    for floats in (1, 3000, 1 << 21):
        monkeypatch.setattr(jacobian, "FLOATS", floats)
        newton = GaussNewton(objective, params)
        made.append(newton.curvature(newton.flat(params), rows, None, 0.3))
    torch.testing.assert_close(made[1], made[0], rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(made[2], made[0], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
@pytest.mark.parametrize("emphasis", EMPHASES)
def test_the_curvature_is_the_weighted_sum_of_squares(loss, emphasis, network, make_objective, noisy):
    net = network("narx", DIMS, {"hidden": (3,), "loop": "closed"})
    plain, params = make_objective(net, tables=noisy(DIMS, noise=1.0), loss=loss), net.init(np.random.default_rng(0))
    objective = dataclasses.replace(plain, emphasis=emphasis)
    rows = torch.arange(objective.n_train)
    newton = GaussNewton(objective, params)
    start = newton.flat(params)
    mean = newton.loss(start, rows, None)
    batch = objective.batch(rows)
    j = by_differences(objective, params, batch)
    r = np.abs(objective.differences(NumpyOps(), params, {k: v.numpy() for k, v in batch.items()}).ravel())
    weight = {"mse": np.full_like(r, 2.0), "mae": 1 / np.maximum(r, 0.3 * mean), "huber": 1 / np.maximum(r, 1.0)}[loss]
    weight = weight * np.tile(EMPHASES[emphasis](objective.block), objective.n_train)
    expected = (j.T * weight) @ j / len(r)
    made = newton.curvature(start, rows, None, mean).numpy()
    np.testing.assert_allclose(made, expected, atol=1e-4 * np.abs(expected).max())


def test_a_part_of_the_windows_tells_the_curvature(network, make_objective, noisy, monkeypatch):
    """The step is judged by all windows all the same, so the optimum does not move."""
    net = network("narx", DIMS, {"hidden": ()})
    objective, params = make_objective(net, tables=noisy(DIMS, rows=600), rows=600), net.init(np.random.default_rng(0))

    def run():
        trainer = LevenbergMarquardt(LevenbergMarquardtConfig())
        return list(trainer.fit(objective, params, seed=0))[-1].train_loss, trainer.params

    whole, expected = run()
    monkeypatch.setattr(gauss_newton, "RESIDUALS", 1)
    monkeypatch.setattr(gauss_newton, "FEWEST", 40)
    part, found = run()
    assert part == pytest.approx(whole, rel=1e-6)
    np.testing.assert_allclose(flat(found), flat(expected), atol=5e-3)


def test_it_finds_the_optimum_that_scipy_finds(network, make_objective, noisy):
    net = network("narx", Dims(lags=2, horizon=3, future=1), {"hidden": (2,), "skip": False})
    objective, params = make_objective(net, tables=noisy(net.dims)), net.init(np.random.default_rng(4))
    batch = {k: v.numpy() for k, v in objective.batch(torch.arange(objective.n_train)).items()}

    def residuals(vector):
        return objective.differences(NumpyOps(), unflat(vector, params), batch).ravel()

    trainer = LevenbergMarquardt(LevenbergMarquardtConfig(steps=150))
    *_, last = trainer.fit(objective, params, seed=0)
    expected = scipy.optimize.least_squares(residuals, flat(trainer.params), method="lm", xtol=1e-12, ftol=1e-12)
    cold = scipy.optimize.least_squares(residuals, flat(params), method="lm")
    assert last.train_loss == pytest.approx(np.mean(expected.fun**2), rel=1e-3)
    assert last.train_loss <= np.mean(cold.fun**2) * 1.001


@pytest.mark.parametrize("loss", ["mae", "huber"])
def test_a_robust_loss_ends_lower_than_least_squares(loss, network, make_objective, noisy):
    net = network("narx", DIMS, {"hidden": (3,)})
    objective = make_objective(net, tables=noisy(DIMS, rows=2000, noise=0.3, outliers=0.05), rows=2000, loss=loss)
    params, reached = net.init(np.random.default_rng(0)), {}
    for minimised in ("mse", loss):
        trainer = LevenbergMarquardt(LevenbergMarquardtConfig())
        list(trainer.fit(dataclasses.replace(objective, loss=minimised), params, seed=0))
        reached[minimised] = objective.loss_over(trainer.params, objective.train, objective.block)
    assert reached[loss] < 0.98 * reached["mse"]


def test_mae_reaches_the_median(network, make_objective, noisy):
    """The weights are bounded, the gradient is exact: where it ends is a minimum of the mean absolute error itself."""
    net = network("narx", Dims(lags=2, horizon=2), {"hidden": ()})
    objective = make_objective(net, tables=noisy(net.dims, rows=500, noise=1.0), rows=500, loss="mae")
    start = net.init(np.random.default_rng(0))
    trainer = LevenbergMarquardt(LevenbergMarquardtConfig())
    *_, last = trainer.fit(objective, start, seed=0)
    batch = {k: v.numpy() for k, v in objective.batch(torch.arange(objective.n_train)).items()}

    def mean(vector):
        return np.abs(objective.differences(NumpyOps(), unflat(vector, start), batch)).mean()

    best = scipy.optimize.minimize(mean, flat(trainer.params), method="Nelder-Mead", options={"xatol": 1e-6})
    assert last.train_loss == pytest.approx(best.fun, rel=1e-3)


def evidence(net, tables, make_objective):
    trainer = LevenbergMarquardt(LevenbergMarquardtConfig(bayesian=True))
    objective = make_objective(net, tables=tables, rows=len(tables.target))
    return list(trainer.fit(objective, net.init(np.random.default_rng(0)), seed=0)), trainer


def test_the_evidence_counts_fewer_parameters_under_more_noise(network, make_objective, noisy):
    net = network("narx", DIMS, {"hidden": (6,)})
    count = sum(v.size for v in net.init(np.random.default_rng(0)).values())
    gammas = []
    for share in (0.0, 1.0):  # of the values that are disturbed
        steps, _ = evidence(net, noisy(DIMS, rows=400, outliers=share), make_objective)
        assert all(0 <= step.details["gamma"] <= count for step in steps)
        assert {"alpha", "beta", "damping"} <= steps[-1].details.keys()
        gammas.append(steps[-1].details["gamma"])
    assert gammas[1] < 0.7 * gammas[0]


def test_the_evidence_keeps_parameters_small(network, make_objective, noisy):
    net, tables = network("narx", DIMS, {"hidden": (12,)}), noisy(DIMS, noise=1.0)
    weighed = evidence(net, tables, make_objective)[1]
    plain = LevenbergMarquardt(LevenbergMarquardtConfig())
    objective = make_objective(net, tables=tables)
    list(plain.fit(objective, net.init(np.random.default_rng(0)), seed=0))
    assert np.linalg.norm(flat(weighed.params)) < 0.5 * np.linalg.norm(flat(plain.params))
    assert objective.valid_loss(weighed.params) < objective.valid_loss(plain.params)


@pytest.mark.parametrize(("loss", "degree"), [("mse", 2), ("mae", 1)])
def test_alpha_and_beta_are_at_their_fixed_point(loss, degree, network, make_objective, noisy):
    """MacKay (1992), section 4: 2 alpha E_W = gamma, k beta E_D = n - gamma."""
    net = network("narx", DIMS, {"hidden": ()})
    objective = make_objective(net, tables=noisy(DIMS, rows=800, noise=0.5), rows=800, loss=loss)
    trainer = LevenbergMarquardt(LevenbergMarquardtConfig(bayesian=True))
    *_, last = trainer.fit(objective, net.init(np.random.default_rng(0)), seed=0)
    known, rows = last.details, objective.n_train
    assert 2 * known["alpha"] * (flat(trainer.params) ** 2).sum() == pytest.approx(known["gamma"], rel=1e-6)
    data = degree * known["beta"] * rows * objective.loss_over(trainer.params, objective.train, 1)
    assert data == pytest.approx(rows - known["gamma"], rel=1e-4)
    count = flat(trainer.params).size
    assert count / 2 < known["gamma"] < count  # of a linear model under much data nearly all are determined


def test_a_trial_that_is_no_number_is_refused(network, make_objective, noisy):
    net = network("narx", DIMS, {"hidden": (3,)})
    plain, params = make_objective(net, tables=noisy(DIMS)), net.init(np.random.default_rng(0))
    newton = GaussNewton(plain, params)
    start = newton.flat(params)

    def forecast(ops, given, batch, horizon):
        trial = not torch.equal(given["out.bias"].detach(), torch.from_numpy(params["out.bias"]))
        return plain.forecast(ops, given, batch, horizon) * (np.nan if trial else 1.0)

    newton.objective = dataclasses.replace(plain, forecast=forecast)
    made = newton.improve(params, np.arange(plain.n_train), 1e-3)
    assert not made.accepted
    assert made.params is params
    assert made.damping > 1e3
    assert made.loss == pytest.approx(newton.loss(start, torch.arange(plain.n_train), None))


def test_a_mixed_loop_ends_closed(network, make_objective, noisy):
    net = network("narx", DIMS, {"hidden": (3,), "loop": "mixed"})
    objective = dataclasses.replace(make_objective(net, tables=noisy(DIMS)), teachable=True)
    trainer = LevenbergMarquardt(LevenbergMarquardtConfig(steps=20))
    steps = list(trainer.fit(objective, net.init(np.random.default_rng(0)), seed=0))
    shown = objective.batch(torch.arange(objective.n_train))
    with torch.no_grad():
        closed = float(objective.train_loss(TorchOps(), tensors(trainer.params), shown))
    assert len(steps) > 10  # nothing ends before the loop is closed
    assert steps[-1].train_loss == pytest.approx(closed, rel=1e-5)
    assert steps[0].train_loss < 0.8 * objective.loss_over(net.init(np.random.default_rng(0)), objective.train, 4)


def test_a_spent_budget_closes_the_loop(network, make_objective, noisy, monkeypatch):
    net = network("narx", DIMS, {"hidden": (3,), "loop": "mixed"})
    objective = dataclasses.replace(make_objective(net, tables=noisy(DIMS)), teachable=True)
    drawn, draw = [], Objective.draw_teacher
    monkeypatch.setattr(Objective, "draw_teacher", lambda *given: drawn.append(given[3]) or draw(*given))
    trainer, params, now = LevenbergMarquardt(LevenbergMarquardtConfig()), net.init(np.random.default_rng(0)), [0.0]
    stream = trainer.fit(objective, params, seed=0, spent=lambda: now[0])
    next(stream)
    assert drawn == [1.0]
    now[0] = 0.25
    next(stream)
    assert drawn == [1.0, 0.5]
    now[0] = 0.75
    next(stream)
    assert drawn == [1.0, 0.5]  # nothing is shown any more


def test_a_sample_of_windows_judges_a_step(network, make_objective, noisy):
    net = network("narx", DIMS, {"hidden": (3,)})
    objective, params = make_objective(net, tables=noisy(DIMS)), net.init(np.random.default_rng(0))
    asked = []

    def forecast(ops, given, batch, horizon):
        asked.append(len(batch["past_target"]))
        return objective.forecast(ops, given, batch, horizon)

    watched = dataclasses.replace(objective, forecast=forecast, valid=objective.valid[:1])
    trainer = LevenbergMarquardt(LevenbergMarquardtConfig(windows=20))
    for _ in itertools.islice(trainer.fit(watched, params, seed=0), 3):
        pass
    assert max(asked) == 20


def test_too_many_parameters_are_refused(network):
    net = network("narx", DIMS, {"hidden": (500,)})
    with pytest.raises(UsageError, match="up to 5000 parameters, this network has 8516") as caught:
        LevenbergMarquardt(LevenbergMarquardtConfig()).check(net.init(np.random.default_rng(0)))
    assert "--trainer backprop" in caught.value.hint
    assert "model.hidden" in caught.value.hint


@pytest.mark.parametrize("cut", [1, 3, -1])
def test_the_penalty_the_sample_and_the_end_are_resumed(cut, network, make_objective, noisy):
    net = network("narx", DIMS, {"hidden": (3,)})
    objective, params = make_objective(net, tables=noisy(DIMS), loss="mae"), net.init(np.random.default_rng(0))
    for options in ({"bayesian": True, "windows": 30, "steps": 8}, {"steps": 400}):
        whole = LevenbergMarquardt(LevenbergMarquardtConfig(**options))
        expected = list(whole.fit(objective, params, seed=2))
        assert len(expected) < 400  # it has found its own end
        broken, resumed = (LevenbergMarquardt(LevenbergMarquardtConfig(**options)) for _ in range(2))
        early = list(itertools.islice(broken.fit(objective, params, seed=2), cut % len(expected) + (cut < 0)))
        late = list(resumed.fit(objective, params, seed=2, state=broken.state()))
        assert [p.train_loss for p in early + late] == [p.train_loss for p in expected]
        assert [p.details for p in early + late] == [p.details for p in expected]
