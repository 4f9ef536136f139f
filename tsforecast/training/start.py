"""The parameters that training starts from: drawn, measured, or solved for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from tsforecast.data.window import thinned
from tsforecast.forecasting.forecaster import Forecaster
from tsforecast.models.base import FloatArray, Inputs, layers
from tsforecast.ops.numpy_ops import NumpyOps
from tsforecast.trainers.least_squares import Moments
from tsforecast.trainers.objective import Objective

Floats = NDArray[np.float64]

HIGHWAY = "head.highway"
MOST_ROWS = 16_384  # windows of one target that the highway is solved from
MOST_LAGS = 2_048  # a larger system takes longer to solve than it saves
LEAST_TIMES = 50  # windows per lag: with fewer, the regression fits noise that gradient descent stops before
PENALTIES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
CHUNK = 2_048
BESIDE = 0.1  # what the state adds to the forecast starts this much smaller where the highway starts solved


def initial(forecaster: Forecaster, objective: Objective, judge: Objective | None = None) -> dict[str, FloatArray]:
    """Return the parameters to start from.

    They are drawn, but for two things. What a network measures is measured in the training rows. A highway, the linear
    path from the window to the forecast beside a network, starts as the ridge regression of the training windows where
    they are many: what is linear need not be learned by gradient descent, which takes hundreds of epochs for it.

    Args:
        forecaster: Without parameters, or with any.
        objective: Whose training windows are measured.
        judge: Whose validation windows choose the penalty, for its own training windows; the objective by default.

    Returns:
        Parameters by name.

    Source: A. E. Hoerl & R. W. Kennard, Ridge Regression, Technometrics 12 (1970), 55-67, eq. 2.1.
    """
    network = forecaster.network
    params = dict(network.init(np.random.default_rng(forecaster.options.seed)))
    params |= network.measured(objective.tables.target, objective.train)
    if _solvable(params, objective):
        params |= _solved(params, *_regression(forecaster, objective, judge or objective))
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
    """Return the parameters of every highway, and of what is added to it, for a linear map (L, H) with a bias (H,).

    A tdnn with a trend maps the trend and the rest of the window by themselves: the same map for both is that map of
    the window. In segments the bias is shared by all of them and cannot hold that of each step: it stays.
    """
    out: dict[str, FloatArray] = {}
    for name, value in params.items():
        if not name.endswith(HIGHWAY):
            continue
        levels = value.shape[-1] // weight.shape[1]
        out[name] = np.broadcast_to(np.repeat(weight, levels, axis=1), value.shape).astype(np.float32)
        beside, trend = name.removesuffix("highway"), name.removesuffix(HIGHWAY) + "trend.weight"
        if trend in params:
            out[trend] = out[name]
        out[beside + "state"] = BESIDE * params[beside + "state"]
        constant = params[beside + "bias"]
        if f"{beside}position" not in params:
            each = np.repeat(bias, constant.shape[-1] // len(bias))
            out[beside + "bias"] = np.broadcast_to(each, constant.shape).astype(np.float32)
    return out


def _regression(forecaster: Forecaster, objective: Objective, judge: Objective) -> tuple[Floats, Floats]:
    """Return the ridge regression (L, H) and its intercept (H,), with the penalty that is best for the judge.

    The judge's training windows are solved for every penalty, its validation windows tell which is best.
    """
    moments = Moments(_pairs(forecaster, judge, judge.train))
    judged = list(_pairs(forecaster, judge, judge.valid if len(judge.valid) else judge.train, CHUNK))

    def loss(penalty: float) -> float:
        weight, bias = moments.solve(penalty)
        return sum(float(np.abs(x @ weight + bias - y).sum()) for x, y in judged)

    chosen = min(PENALTIES, key=loss)
    if judge is not objective:
        moments = Moments(_pairs(forecaster, objective, objective.train))
    return moments.solve(chosen)


def _pairs(
    forecaster: Forecaster, objective: Objective, starts: NDArray[np.int64], most: int = MOST_ROWS
) -> Iterator[tuple[Floats, Floats]]:
    """Yield pasts (B * T, L) and futures (B * T, H) of single targets, as the innermost network sees them.

    Args:
        forecaster: Whose layers change what the innermost network sees.
        objective: Whose tables hold the windows.
        starts: (n,) first rows of the windows.
        most: Pairs at most; more are thinned out evenly.
    """
    around, _ = layers(forecaster.network)
    kept = thinned(starts, max(most // forecaster.targets, 1))
    lags, ahead = np.arange(objective.lags), objective.lags + np.arange(objective.block)
    for first in range(0, len(kept), CHUNK):
        inputs = Inputs(**objective.tables.cut(kept[first : first + CHUNK], lags, ahead, taught=True))
        for layer in around:
            inputs = layer.inside(NumpyOps(), inputs)
        past, future = (x.swapaxes(1, 2).astype(np.float64) for x in (inputs.past_target, inputs.future_target))
        yield past.reshape((-1, past.shape[2])), future.reshape((-1, future.shape[2]))
