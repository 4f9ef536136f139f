"""Which window normalisation suits the data: a ridge regression is quick enough to try them all."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tsforecast.data.window import Tables, thinned
from tsforecast.metrics.significance import beyond_noise
from tsforecast.models.normalize import USUAL, statistics
from tsforecast.ops.numpy_ops import NumpyOps
from tsforecast.trainers.least_squares import Moments
from tsforecast.trainers.losses import LOSSES
from tsforecast.trainers.objective import independent
from tsforecast.training.start import CHUNK, MOST_LAGS, PENALTIES

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

TRIED = (USUAL, "mean", "revin")  # not none: a regression follows levels that it has not seen, a network does not
MOST_ROWS = 4_096  # windows of one target that a regression is fitted on, and as many that it is judged by
LEAST = 0.05  # share of the loss that another normalisation must gain: a network is not a regression
NOTHING = 0.01  # scaled units: what is gained where every normalisation leaves next to nothing is rounding


def choose_normalization(tables: Tables, train: Rows, valid: Rows, lags: int, horizon: int, loss: str) -> str:
    """Return the normalisation with which a ridge regression forecasts the validation windows best.

    It maps the past of a target to its future, one map for all targets, without covariates. The usual normalisation
    stays unless another one is better beyond noise and by a margin, as a network learns more than the regression: what
    counts are levels and spreads that move, as those of a series that grows.

    Args:
        tables: Scaled columns.
        train: (n,) starts of training windows that hold the whole horizon.
        valid: (m,) starts of validation windows.
        lags: L.
        horizon: H.
        loss: A name in ``LOSSES``.
    """
    if lags > MOST_LAGS or not len(train) or len(valid) < 2:
        return USUAL
    targets = tables.target.shape[1]
    train, valid = (thinned(starts, max(MOST_ROWS // targets, 2)) for starts in (train, valid))
    losses = {mode: _losses(tables, train, valid, (lags, horizon), mode, loss) for mode in TRIED}
    best = min(losses, key=lambda mode: losses[mode].mean())
    much = losses[USUAL].mean() - losses[best].mean() > NOTHING
    windows = independent(valid, horizon)
    return best if much and beyond_noise(losses[USUAL], losses[best], windows, least=LEAST) else USUAL


def _losses(tables: Tables, train: Rows, valid: Rows, sizes: tuple[int, int], mode: str, loss: str) -> Floats:
    """Return (m,) the loss of each validation window, with the penalty that is best for all of them."""
    moments = Moments((past, future) for past, future, _ in _pairs(tables, train, sizes, mode))
    judged = list(_pairs(tables, valid, sizes, mode))
    targets = tables.target.shape[1]

    def each(penalty: float) -> Floats:
        weight, bias = moments.solve(penalty)
        parts = [LOSSES[loss]((past @ weight + bias - future) * spread).mean(axis=1) for past, future, spread in judged]
        return np.asarray(np.concatenate(parts).reshape((-1, targets)).mean(axis=1))

    return min((each(penalty) for penalty in PENALTIES), key=lambda found: float(found.mean()))


def _pairs(tables: Tables, starts: Rows, sizes: tuple[int, int], mode: str) -> Iterator[tuple[Floats, Floats, Floats]]:
    """Yield normalised pasts (B * T, L) and futures (B * T, H) of single targets, and the spread (B * T, 1) of each."""
    lags, horizon = sizes
    for first in range(0, len(starts), CHUNK):
        rows = starts[first : first + CHUNK, None] + np.arange(lags + horizon)
        window = tables.target[rows]
        center, spread = statistics(NumpyOps(), window[:, :lags], mode)
        moved = ((window - center) / spread).swapaxes(1, 2).reshape((-1, lags + horizon)).astype(np.float64)
        size = np.broadcast_to(spread, (len(window), 1, window.shape[2])).reshape((-1, 1)).astype(np.float64)
        yield moved[:, :lags], moved[:, lags:], size
