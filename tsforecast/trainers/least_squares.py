"""Ridge regression in closed form, its penalty chosen on the validation windows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from tsforecast.config import option
from tsforecast.trainers.base import Arrays, Best, FloatArray, Progress, ProgressStream, Trainer, finite
from tsforecast.trainers.objective import Objective

CHUNK = 4096


@dataclass(frozen=True)
class LeastSquaresConfig:
    """Options of ridge regression."""

    ridge: tuple[float, ...] = option(
        (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1),
        "Penalties to try, as multiples of the mean variance of the features.",
        low=0,
    )


@final
class LeastSquares(Trainer):
    """Solves (X'X + p I) W = X'Y on centred features, one step per penalty; the intercept is not penalised.

    Only for models that are linear in their parameters (they have a ``design``). The normal equations are summed over
    chunks in float64, so memory does not grow with the rows.

    Source: A. E. Hoerl & R. W. Kennard, Ridge Regression, Technometrics 12 (1970), 55-67, eq. 2.1.
    """

    Config: ClassVar[type] = LeastSquaresConfig
    uses_torch: ClassVar[bool] = False
    needs: ClassVar[str] = "design"
    summary: ClassVar[str] = "Ridge regression in closed form, for models that are linear in their parameters"
    source: ClassVar[str] = "Hoerl & Kennard (1970), Technometrics 12"

    def fit(
        self,
        objective: Objective,
        params: dict[str, FloatArray],
        *,
        seed: int,  # noqa: ARG002 - nothing is random
        state: Arrays | None = None,
    ) -> ProgressStream:
        began = time.monotonic()
        penalties = self.config.ridge
        step, best, earlier = (float(x) for x in state["counters"]) if state else (0.0, np.inf, 0.0)
        self._step, self._best = int(step), Best(best)
        sums = _Sums(objective)
        while self._step < len(penalties):
            self._step += 1
            weight, bias = sums.solve(penalties[self._step - 1])
            self._params = params | {
                "weight": weight.astype(np.float32).reshape(params["weight"].shape),
                "bias": bias.astype(np.float32).reshape(params["bias"].shape),
            }
            train_loss = finite(objective.loss_over(self._params, objective.train, objective.block))
            valid_loss = finite(objective.valid_loss(self._params))
            self._seconds = earlier + time.monotonic() - began
            yield Progress(self._step, train_loss, valid_loss, self._best.improved_by(valid_loss), self._seconds)

    @property
    def params(self) -> dict[str, FloatArray]:
        return self._params

    def state(self) -> Arrays:
        return {"counters": np.array([self._step, self._best.value, self._seconds], dtype=np.float64)}


class _Sums:
    """First and second moments of features and targets over all training windows."""

    def __init__(self, objective: Objective) -> None:
        total, gram, cross = 0, 0.0, 0.0
        sum_x: Any = 0.0
        sum_y: Any = 0.0
        for x, y in _pairs(objective):
            total += len(x)
            sum_x, sum_y = sum_x + x.sum(0), sum_y + y.sum(0)
            gram, cross = gram + x.T @ x, cross + x.T @ y
        self.mean_x, self.mean_y = sum_x / total, sum_y / total
        self.gram = gram / total - np.outer(self.mean_x, self.mean_x)
        self.cross = cross / total - np.outer(self.mean_x, self.mean_y)

    def solve(self, penalty: float) -> tuple[Any, Any]:
        """Return weight (D, O) and bias (O,) for one penalty."""
        level = max(float(np.trace(self.gram)) / len(self.gram), 1e-12)
        ridge = max(penalty, 1e-12) * level * np.eye(len(self.gram))
        weight = np.linalg.solve(self.gram + ridge, self.cross)
        return weight, self.mean_y - self.mean_x @ weight


def _pairs(objective: Objective) -> Iterator[tuple[Any, Any]]:
    """Yield features and targets of all training windows in chunks, float64."""
    for first in range(0, objective.n_train, CHUNK):
        rows = np.arange(first, min(first + CHUNK, objective.n_train))
        x, y = objective.design(rows)
        yield x.astype(np.float64), y.astype(np.float64)
