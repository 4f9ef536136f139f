"""For models with nothing to train."""

from __future__ import annotations

import time
from typing import ClassVar, final

from tsforecast.trainers.base import Arrays, Best, FloatArray, Progress, ProgressStream, Trainer, finite
from tsforecast.trainers.objective import Objective


@final
class NoTraining(Trainer):
    """Keeps the parameters that the model started with and reports their loss."""

    uses_torch: ClassVar[bool] = False
    needs: ClassVar[str] = ""
    point_only: ClassVar[bool] = True
    summary: ClassVar[str] = "Nothing to optimise: the baselines"

    def fit(
        self,
        objective: Objective,
        params: dict[str, FloatArray],
        *,
        seed: int,  # noqa: ARG002 - nothing is random
        state: Arrays | None = None,  # noqa: ARG002 - there is one step
    ) -> ProgressStream:
        began = time.monotonic()
        self._params = params
        loss = finite(objective.valid_loss(params))
        yield Progress(1, loss, loss, Best().improved_by(loss), time.monotonic() - began)

    @property
    def params(self) -> dict[str, FloatArray]:
        return self._params

    def state(self) -> Arrays:
        return {}
