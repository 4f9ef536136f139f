"""Ridge regression in closed form equals NumPy's least squares and scikit-learn's ridge."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tsforecast.config import make
from tsforecast.data.window import Tables
from tsforecast.errors import UsageError
from tsforecast.models.base import Dims, Inputs
from tsforecast.models.local import Local
from tsforecast.models.normalize import roll_out
from tsforecast.trainers import least_squares
from tsforecast.trainers.least_squares import LeastSquares, LeastSquaresConfig, Moments

DIMS = Dims(lags=4, horizon=3, targets=2, past=1, future=1)


def noise(rows=150):
    rng = np.random.default_rng(0)
    return Tables(
        target=rng.normal(3, 1, size=(rows, 2)).astype(np.float32),
        covariates=rng.normal(-2, 2, size=(rows, 2)).astype(np.float32),
        static=np.zeros((1, 0), np.float32),
        series=np.zeros(rows, np.int32),
        phase=np.zeros(rows, np.int32),
        known=np.zeros(1, np.int64),
        past=1,
    )


@pytest.fixture
def objective(network, make_objective):
    return make_objective(network("linear", DIMS), rows=150, tables=noise())


def fitted(objective, *ridge):
    trainer = LeastSquares(make(LeastSquaresConfig, {"ridge": ridge}))
    size = objective.design(np.arange(1))[0].shape[1]
    start = {"weight": np.zeros((size, 6), np.float32), "bias": np.zeros(6, np.float32)}
    return trainer, list(trainer.fit(objective, start, seed=0))


def test_without_a_penalty_it_is_least_squares(objective):
    trainer, (progress,) = fitted(objective, 0)
    x, y = objective.design(np.arange(objective.n_train))
    with_one = np.concatenate([x, np.ones((len(x), 1))], 1).astype(np.float64)
    expected = np.linalg.lstsq(with_one, y.astype(np.float64), rcond=None)[0]
    np.testing.assert_allclose(trainer.params["weight"], expected[:-1], atol=1e-5)
    np.testing.assert_allclose(trainer.params["bias"], expected[-1], atol=1e-5)
    assert progress.train_loss == pytest.approx(np.mean((with_one @ expected - y) ** 2), rel=1e-5)


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
def test_training_and_validation_loss_are_one_measure(loss, network, make_objective):
    objective = make_objective(network("linear", DIMS), rows=150, loss=loss, tables=noise())
    trainer, (progress,) = fitted(objective, 0.1)
    judged = dataclasses.replace(objective, valid=objective.train)
    assert progress.train_loss == pytest.approx(judged.valid_loss(trainer.params), rel=1e-6)


@pytest.mark.parametrize("penalty", [1e-3, 0.1, 10.0])
def test_with_a_penalty_it_is_ridge(penalty, objective):
    from sklearn.linear_model import Ridge

    trainer, _ = fitted(objective, penalty)
    x, y = (part.astype(np.float64) for part in objective.design(np.arange(objective.n_train)))
    expected = Ridge(alpha=penalty * x.var(0).mean() * len(x)).fit(x, y)
    np.testing.assert_allclose(trainer.params["weight"], expected.coef_.T, atol=1e-5)
    np.testing.assert_allclose(trainer.params["bias"], expected.intercept_, atol=1e-4)


def test_chunks_add_up(objective, monkeypatch):
    whole, _ = fitted(objective, 0.01)
    monkeypatch.setattr(least_squares, "CHUNK", 7 * DIMS.lags * DIMS.targets)
    parts, _ = fitted(objective, 0.01)
    np.testing.assert_allclose(parts.params["weight"], whole.params["weight"], atol=1e-6)


def test_all_penalties_share_one_decomposition(objective, monkeypatch):
    """Whoever chooses among them: the validation windows, or generalised cross-validation."""
    made, decompose = [], np.linalg.eigh
    monkeypatch.setattr(np.linalg, "eigh", lambda matrix: made.append(1) or decompose(matrix))
    _, steps = fitted(objective, 1e-3, 0.1, 1.0, 10.0)
    assert len(steps) == 4
    moments = Moments(iter([objective.design(np.arange(objective.n_train))]))
    for found, expected in zip(moments.cross_validated((0.1,)), moments.solve(0.1), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert len(made) == 2


def test_collinear_features_are_no_obstacle(network, make_objective):
    tables = noise()
    tables = dataclasses.replace(tables, covariates=np.repeat(tables.target[:, :1], 2, axis=1))
    objective = make_objective(network("linear", DIMS), rows=150, tables=tables)
    _, steps = fitted(objective, 0, 1e-6)
    assert all(np.isfinite([step.train_loss, step.valid_loss]).all() for step in steps)


def test_a_model_that_is_not_linear_is_refused(network, make_objective):
    net = network("gru", DIMS, {"hidden": 3})
    with pytest.raises(UsageError, match="linear in its parameters"):
        next(LeastSquares(LeastSquaresConfig()).fit(make_objective(net), {}, seed=0))


def by_hand(x, y, penalty):
    """Return ridge weights, bias and the generalised cross-validation error, from the hat matrix itself."""
    n, xc, yc = len(x), x - x.mean(0), y - y.mean(0)
    level = (xc**2).sum() / n / x.shape[1]
    inverse = np.linalg.inv(xc.T @ xc / n + penalty * level * np.eye(x.shape[1]))
    weight = inverse @ xc.T @ yc / n
    hat = xc @ inverse @ xc.T / n + 1 / n
    left = y - (xc @ weight + y.mean(0))
    return weight, y.mean(0) - x.mean(0) @ weight, (left**2).sum() / np.trace(np.eye(n) - hat) ** 2


def test_cross_validation_is_that_of_the_hat_matrix(objective):
    penalties = (1e-3, 0.1, 1.0, 30.0)
    trainer = LeastSquares(make(LeastSquaresConfig, {"ridge": penalties, "gcv": True}))
    x, y = (v.astype(np.float64) for v in objective.design(np.arange(objective.n_train)))
    start = {"weight": np.zeros((x.shape[1], 6), np.float32), "bias": np.zeros(6, np.float32)}
    assert len(list(trainer.fit(objective, start, seed=0))) == 1
    errors = [by_hand(x, y, penalty)[2] for penalty in penalties]
    best = int(np.argmin(errors))
    assert best > 0, "the choice must matter"
    np.testing.assert_allclose(trainer.params["weight"], by_hand(x, y, penalties[best])[0], atol=1e-5)
    np.testing.assert_allclose(trainer.params["bias"], by_hand(x, y, penalties[best])[1], atol=1e-5)


def test_one_ridge_per_series_is_each_fitted_alone(network, make_objective, monkeypatch):
    monkeypatch.setattr(least_squares, "CHUNK", 17 * DIMS.lags * DIMS.targets)
    dims = dataclasses.replace(DIMS, series=3)
    whole = dataclasses.replace(noise(), series=np.repeat([0, 1, 2], [60, 50, 40]).astype(np.int32))
    whole = dataclasses.replace(whole, known=np.arange(3), static=np.zeros((3, 0), np.float32))
    single = network("linear", dims)
    base = make_objective(single, rows=150, tables=whole)
    starts = np.arange(150 - dims.lags - dims.horizon + 1)
    inside = whole.series[starts] == whole.series[starts + dims.lags + dims.horizon - 1]
    base = dataclasses.replace(base, train=starts[inside], valid=base.valid[:0])
    local = Local(single)

    def forecast(ops, params, batch, horizon):
        return roll_out(ops, local, dict(params), Inputs(**batch), horizon)

    trainer = LeastSquares(LeastSquaresConfig())
    start = local.init(np.random.default_rng(0))
    list(trainer.fit(dataclasses.replace(base, local=True, forecast=forecast), start, seed=0))
    for s in range(3):
        own = dataclasses.replace(base, train=base.train[whole.series[base.train] == s])
        alone = LeastSquares(make(LeastSquaresConfig, {"gcv": True}))
        list(alone.fit(own, single.init(np.random.default_rng(0)), seed=0))
        for name, value in alone.params.items():
            np.testing.assert_allclose(trainer.params[name][s], value, atol=1e-6)
