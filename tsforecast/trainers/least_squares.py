"""Ridge regression in closed form, its penalty chosen on the validation windows or by cross-validation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from tsforecast.config import option
from tsforecast.data.window import thinned
from tsforecast.trainers.base import Arrays, Course, FloatArray, ProgressStream, Spent, Trainer, endless
from tsforecast.trainers.objective import Objective

CHUNK = 1 << 20  # values in the windows of a chunk: of more, every intermediate array would be fresh memory
TOLD = 1024  # training windows that tell a step's training loss, by which nothing is chosen
LEAST = 1e-12  # a penalty or a variance below this is none

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LeastSquaresConfig:
    """Options of ridge regression."""

    ridge: tuple[float, ...] = option(
        (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0),
        "Penalties to try, as multiples of the mean variance of the features.",
        low=0,
    )
    gcv: bool = option(
        False,
        "Choose the penalty by generalised cross-validation on the training windows, not by the loss on valid, which "
        "then is only reported. With --local always, for each series by itself.",
    )


@final
class LeastSquares(Trainer):
    """Solves (X'X + p I) W = X'Y on centred features; the intercept is not penalised.

    Only for models that are linear in their parameters (they have a ``design``). The normal equations are summed over
    chunks in float64, so memory does not grow with the rows. One step per penalty, judged on valid; or one step in all
    with generalised cross-validation.

    Source: A. E. Hoerl & R. W. Kennard, Ridge Regression, Technometrics 12 (1970), 55-67, eq. 2.1; G. Golub, M. Heath &
    G. Wahba, Generalized Cross-Validation, Technometrics 21 (1979), 215-223, eq. 1.4.
    """

    Config: ClassVar[type] = LeastSquaresConfig
    uses_torch: ClassVar[bool] = False
    trains_local: ClassVar[bool] = True
    needs: ClassVar[str] = "design"
    summary: ClassVar[str] = "Ridge regression in closed form, for models that are linear in their parameters"
    source: ClassVar[str] = "Hoerl & Kennard (1970), Technometrics 12; Golub, Heath & Wahba (1979), Technometrics 21"
    point_only = "it fits a point forecast"

    def fit(
        self,
        objective: Objective,
        params: dict[str, FloatArray],
        *,
        seed: int,  # noqa: ARG002 - nothing is random
        state: Arrays | None = None,
        spent: Spent = endless,
    ) -> ProgressStream:
        course, told = Course(state, spent), thinned(objective.train, TOLD)
        self._course = course
        for weight, bias in self._solutions(objective, course.step):
            self._params = params | {
                "weight": weight.astype(np.float32).reshape(params["weight"].shape),
                "bias": bias.astype(np.float32).reshape(params["bias"].shape),
            }
            train_loss = objective.loss_over(self._params, told, objective.block)
            yield course.tell(train_loss, objective.valid_loss(self._params))

    def _solutions(self, objective: Objective, done: int) -> Iterator[tuple[Floats, Floats]]:
        """Yield weight and bias of every step after the first ``done`` ones."""
        if objective.local or self.config.gcv:
            if not done:
                groups = _by_series(objective) if objective.local else [_pairs(objective, objective.n_train)]
                found = [Moments(pairs).cross_validated(self.config.ridge) for pairs in groups]
                yield np.array([weight for weight, _ in found]), np.array([bias for _, bias in found])
            return
        moments = Moments(_pairs(objective, objective.n_train))
        for penalty in self.config.ridge[done:]:
            yield moments.solve(penalty)

    @property
    def params(self) -> dict[str, FloatArray]:
        return self._params

    def state(self) -> Arrays:
        return self._course.state()


class Moments:
    """First and second moments of features (n, D) and targets (n, O) that come in chunks, and the ridge in them.

    With X'X / n = V diag(e) V' of centred features, decomposed once, the weights of any penalty p are
    V diag(1 / (e + p)) V'X'Y / n, and the hat matrix has the trace sum e / (e + p), plus one for the intercept.
    """

    def __init__(self, pairs: Iterator[tuple[Floats, Floats]]) -> None:
        total = 0
        gram, cross, sum_x, sum_y, squares = (np.zeros(()) for _ in range(5))
        for x, y in pairs:
            total += len(x)
            sum_x, sum_y, squares = sum_x + x.sum(0), sum_y + y.sum(0), squares + (y * y).sum(0)
            gram, cross = gram + x.T @ x, cross + x.T @ y
        self.total = total
        self.mean_x, self.mean_y = sum_x / total, sum_y / total
        self.gram: Floats = gram / total - np.outer(self.mean_x, self.mean_x)
        self.cross: Floats = cross / total - np.outer(self.mean_x, self.mean_y)
        self.variance = squares / total - self.mean_y**2
        self.level = max(float(np.trace(self.gram)) / len(self.gram), LEAST)

    @cached_property
    def _decomposed(self) -> tuple[Floats, Floats, Floats]:
        """The values e (D,) and vectors V (D, D) of X'X / n, and V'X'Y / n (D, O)."""
        values, vectors = np.linalg.eigh(self.gram)
        return np.maximum(values, 0.0), vectors, vectors.T @ self.cross

    def _inverse(self, penalty: float) -> Floats:
        """Return 1 / (e + p), (D,)."""
        return np.asarray(1 / (self._decomposed[0] + max(penalty, LEAST) * self.level))

    def solve(self, penalty: float) -> tuple[Floats, Floats]:
        """Return weight (D, O) and bias (O,) for one penalty."""
        _, vectors, rotated = self._decomposed
        weight = vectors @ (self._inverse(penalty)[:, None] * rotated)
        return weight, self.mean_y - self.mean_x @ weight

    def cross_validated(self, penalties: tuple[float, ...]) -> tuple[Floats, Floats]:
        """Return weight (D, O) and bias (O,) for the penalty of the least generalised cross-validation error."""

        def error(penalty: float) -> float:
            (values, _, rotated), inverse = self._decomposed, self._inverse(penalty)
            explained = ((2 * inverse - inverse**2 * values)[:, None] * rotated**2).sum(0)
            left = max(1 - (1 + (values * inverse).sum()) / self.total, LEAST)
            return float(max((self.variance - explained).sum(), 0.0) / left**2)

        return self.solve(min(penalties, key=error))


def _pairs(objective: Objective, end: int, first: int = 0) -> Iterator[tuple[Floats, Floats]]:
    """Yield features and targets of the training windows ``first`` to ``end - 1`` in chunks, float64."""
    size = max(CHUNK // (objective.lags * objective.tables.target.shape[1]), 1)
    for start in range(first, end, size):
        x, y = objective.design(np.arange(start, min(start + size, end)))
        yield x.astype(np.float64), y.astype(np.float64)


def _by_series(objective: Objective) -> Iterator[Iterator[tuple[Floats, Floats]]]:
    """Yield the pairs of every series; its windows lie together."""
    borders = np.flatnonzero(np.diff(objective.series, prepend=-1, append=-1))
    for first, end in pairwise(borders):
        yield _pairs(objective, int(end), int(first))
