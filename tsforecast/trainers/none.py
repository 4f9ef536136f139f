"""For models with nothing to train."""

from __future__ import annotations

from typing import ClassVar, final

from tsforecast.trainers.base import Arrays, Course, FloatArray, ProgressStream, Spent, Trainer, endless
from tsforecast.trainers.objective import Objective


@final
class NoTraining(Trainer):
    """Keeps the parameters that the model started with and reports their loss."""

    uses_torch: ClassVar[bool] = False
    needs: ClassVar[str] = ""
    summary: ClassVar[str] = "Nothing to optimise: the baselines"
    point_only = "it has nothing to train"

    def fit(
        self,
        objective: Objective,
        params: dict[str, FloatArray],
        *,
        seed: int,  # noqa: ARG002 - nothing is random
        state: Arrays | None = None,  # noqa: ARG002 - there is one step
        spent: Spent = endless,
    ) -> ProgressStream:
        self._params, course = params, Course(spent=spent)
        loss = objective.valid_loss(params)
        yield course.tell(loss, loss)

    @property
    def params(self) -> dict[str, FloatArray]:
        return self._params

    def state(self) -> Arrays:
        return {}
