"""The parameters that training starts from: drawn, measured, or solved for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsforecast.forecaster import Forecaster
from tsforecast.models.base import FloatArray, Inputs
from tsforecast.ops.numpy_ops import NumpyOps
from tsforecast.trainers.objective import Objective

Floats = NDArray[np.float64]

HIGHWAY = "head.highway"
MOST_ROWS = 16_384  # windows of one target that the highway is solved from
MOST_LAGS = 2_048  # a larger system takes longer to solve than it saves
LEAST_TIMES = 50  # windows per lag: with fewer, the regression fits noise that gradient descent stops before
PENALTIES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
CHUNK = 2_048
BESIDE = 0.1  # what the state adds to the forecast starts this much smaller where the highway starts solved


def initial(forecaster: Forecaster, objective: Objective) -> dict[str, FloatArray]:
    """Return the parameters to start from.

    They are drawn, but for two things. The slope of the drift model is measured. A highway, the linear path from the
    window to the forecast beside a network, starts as the ridge regression of the training windows where they are many:
    what is linear need not be learned by gradient descent, which takes hundreds of epochs for it.

    Source: A. E. Hoerl & R. W. Kennard, Ridge Regression, Technometrics 12 (1970), 55-67, eq. 2.1.
    """
    if forecaster.options.model == "drift":
        starts = objective.train + objective.lags - 1
        change = objective.tables.target[starts + 1] - objective.tables.target[starts]
        return {"slope": change.mean(axis=0, dtype=np.float64).astype(np.float32)}
    params = dict(forecaster.network.init(np.random.default_rng(forecaster.options.seed)))
    if _solvable(params, objective):
        params |= _solved(params, *_regression(forecaster, objective))
    return params


def is_solved(forecaster: Forecaster, objective: Objective) -> bool:
    """Return whether the parameters to start from are worth a comparison with those that come of training.

    With ``--local`` the trainer itself keeps the start of every series that nothing improves on.
    """
    return not objective.local and _solvable(forecaster.params, objective)


def _solvable(params: Mapping[str, FloatArray], objective: Objective) -> bool:
    enough = objective.n_train >= LEAST_TIMES * objective.lags and objective.lags <= MOST_LAGS
    return enough and any(name.endswith(HIGHWAY) for name in params)


def _solved(params: Mapping[str, FloatArray], weight: Floats, bias: Floats) -> dict[str, FloatArray]:
    """Return the parameters of every highway, and of what is added to it, for a linear map (L, H) with a bias (H,)."""
    out: dict[str, FloatArray] = {}
    for name, value in params.items():
        if not name.endswith(HIGHWAY):
            continue
        levels = value.shape[-1] // weight.shape[1]
        out[name] = np.broadcast_to(np.repeat(weight, levels, axis=1), value.shape).astype(np.float32)
        beside = name.removesuffix("highway")
        out[beside + "state"] = BESIDE * params[beside + "state"]
        constant = params[beside + "bias"]
        if constant.shape[-1] % len(bias) == 0:  # else one bias is shared by several segments of the horizon
            each = np.repeat(bias, constant.shape[-1] // len(bias))
            out[beside + "bias"] = np.broadcast_to(each, constant.shape).astype(np.float32)
    return out


def _regression(forecaster: Forecaster, objective: Objective) -> tuple[Floats, Floats]:
    """Return the ridge regression (L, H) and its intercept (H,); the validation windows choose the penalty."""
    count = 0
    sum_x: Any = 0.0
    sum_y: Any = 0.0
    gram: Any = 0.0
    cross: Any = 0.0
    for x, y in _pairs(forecaster, objective, objective.train):
        count += len(x)
        sum_x, sum_y = sum_x + x.sum(axis=0), sum_y + y.sum(axis=0)
        gram, cross = gram + x.T @ x, cross + x.T @ y
    mean_x, mean_y = sum_x / count, sum_y / count
    gram, cross = gram / count - np.outer(mean_x, mean_x), cross / count - np.outer(mean_x, mean_y)
    level = max(float(np.trace(gram)) / len(gram), 1e-12)
    starts = objective.valid if len(objective.valid) else objective.train
    judged = list(_pairs(forecaster, objective, starts, CHUNK))
    best: tuple[float, Any, Any] = (np.inf, np.zeros_like(cross), mean_y)
    for penalty in PENALTIES:
        weight = np.linalg.solve(gram + penalty * level * np.eye(len(gram)), cross)
        bias = mean_y - mean_x @ weight
        loss = sum(float(np.abs(x @ weight + bias - y).sum()) for x, y in judged)
        best = min(best, (loss, weight, bias), key=lambda found: found[0])
    return best[1], best[2]


def _pairs(
    forecaster: Forecaster, objective: Objective, starts: NDArray[np.int64], most: int = MOST_ROWS
) -> Iterator[tuple[Floats, Floats]]:
    """Yield pasts (B * T, L) and futures (B * T, H) of single targets, as the innermost network sees them."""
    network, layers = forecaster.network, []
    while hasattr(network, "network"):
        layers += [network] if hasattr(network, "inside") else []
        network = network.network
    kept = np.unique(np.linspace(0, len(starts) - 1, min(len(starts), max(most // forecaster.targets, 1))).astype(int))
    lags, ahead = np.arange(objective.lags), objective.lags + np.arange(objective.block)
    for first in range(0, len(kept), CHUNK):
        inputs = Inputs(**objective.tables.cut(starts[kept[first : first + CHUNK]], lags, ahead, taught=True))
        for layer in layers:
            inputs = layer.inside(NumpyOps(), inputs)
        past, future = (x.swapaxes(1, 2).astype(np.float64) for x in (inputs.past_target, inputs.future_target))
        yield past.reshape((-1, past.shape[2])), future.reshape((-1, future.shape[2]))
