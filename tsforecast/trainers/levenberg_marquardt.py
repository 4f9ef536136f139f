"""Levenberg-Marquardt: damped Gauss-Newton for networks of up to some thousand parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray

from tsforecast.config import option
from tsforecast.errors import UsageError
from tsforecast.trainers.base import Arrays, Course, FloatArray, ProgressStream, Spent, Trainer, endless
from tsforecast.trainers.gauss_newton import GaussNewton, Improvement
from tsforecast.trainers.objective import Objective, chance_of_truth

MOST_PARAMETERS = 5000  # the matrix of the curvature has its square: 200 MB, and some copies
RESIDUALS = 1 << 16  # that judge a step when it is not said how many windows do
DEGREES = {"mse": 2, "mae": 1, "huber": 2}  # huber: of the residuals within one scaled unit, which are most


@dataclass(frozen=True)
class LevenbergMarquardtConfig:
    """Options of Levenberg-Marquardt."""

    steps: int = option(60, "Steps (iterations) at most.", low=1)
    damping: float = option(
        0.01, "Damping at first, as a multiple of the mean curvature.", low=1e-12, high=1e8, tune=(1e-4, 1.0)
    )
    windows: int = option(
        0, "Windows that judge a step, drawn anew for each; 0: as many as hold 65536 values to forecast.", low=0
    )
    weight_decay: float = option(
        0.0, "L2 penalty on all parameters; with bayesian, where it begins.", low=0, tune=(1e-5, 1e-4, 1e-3)
    )
    bayesian: bool = option(
        False,
        "Weigh the penalty on large parameters by the evidence (Bayesian regularisation): for little or noisy data.",
    )


@final
class LevenbergMarquardt(Trainer):
    """Damped Gauss-Newton: for small networks, far fewer steps than gradient descent. One step is one iteration.

    Losses other than mse are reweighted iteratively. A mixed loop is shown the true values less and less over the first
    half of the steps. With ``bayesian``, the penalty p on w'w follows the evidence after each step: for n rows, a loss
    E per value that is homogeneous of degree k (2 mse, 1 mae) and g = P - 2 p tr(H + 2 p I)^-1 well determined
    parameters, alpha = g / 2 w'w, beta = (n - g) / k n E and p = alpha / (beta n).

    Source: K. Levenberg (1944); D. Marquardt (1963); M. T. Hagan & M. B. Menhaj, IEEE Trans. Neural Networks 5 (1994);
    H. B. Nielsen, Damping parameter in Marquardt's method (1999); D. J. C. MacKay, Neural Computation 4 (1992),
    415-447; F. D. Foresee & M. T. Hagan, ICNN 1997, 1930-1935.
    """

    Config: ClassVar[type] = LevenbergMarquardtConfig
    summary: ClassVar[str] = "Levenberg-Marquardt, for up to 5000 parameters; Bayesian regularisation"
    source: ClassVar[str] = "Hagan & Menhaj (1994); Nielsen (1999); Foresee & Hagan (1997)"
    patience: ClassVar[int] = 20
    point_only = "it fits a point forecast"

    def check(self, params: dict[str, FloatArray]) -> None:
        count = sum(v.size for v in params.values())
        if count > MOST_PARAMETERS:
            raise UsageError(
                f"trainer 'levenberg_marquardt' is for up to {MOST_PARAMETERS} parameters, this network has {count}",
                hint="use --trainer backprop, or a smaller network (--set model.hidden=8, fewer --lags)",
            )

    def fit(
        self,
        objective: Objective,
        params: dict[str, FloatArray],
        *,
        seed: int,
        state: Arrays | None = None,
        spent: Spent = endless,
    ) -> ProgressStream:
        course = self._course = Course(state, spent)
        reached = state["reached"] if state else (self.config.damping, self.config.weight_decay, False)
        self._damping, self._penalty, self._ended = float(reached[0]), float(reached[1]), bool(reached[2])
        self._params = {k: state[f"param/{k}"] if state else v.copy() for k, v in params.items()}
        newton = GaussNewton(objective, params)
        while course.step < self.config.steps and not self._ended:
            rng = np.random.default_rng([seed, course.step + 1])  # a stream for each step: none has to be stored
            rows = self._draw(objective, rng)
            chance = chance_of_truth(course.share(self.config.steps))
            teacher = objective.draw_teacher(rng.random, len(rows), chance) if chance else None
            made = newton.improve(self._params, rows, self._damping, teacher, self._penalty)
            self._params, self._damping = made.params, made.damping
            self._ended = made.converged and teacher is None and len(rows) == objective.n_train
            details = {"damping": self._damping} | self._weigh_evidence(objective, made)
            valid = objective.valid_loss(self._tensors(objective))
            yield course.tell(made.loss, valid, details)

    def _draw(self, objective: Objective, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return the windows that judge this step, in order."""
        values = objective.block * objective.tables.target.shape[1]
        count = self.config.windows or max(1, RESIDUALS // values)
        if count >= objective.n_train:
            return np.arange(objective.n_train)
        return np.sort(rng.choice(objective.n_train, count, replace=False))

    def _weigh_evidence(self, objective: Objective, made: Improvement) -> dict[str, float]:
        """Set the penalty anew (MacKay 1992, section 4); return what is known of it."""
        if not self.config.bayesian or made.curvature is None:
            return {}
        size = sum(float((v.astype(np.float64) ** 2).sum()) for v in self._params.values())
        rows = objective.n_train * objective.tables.target.shape[1]  # windows overlap: a value counts once
        spectrum = torch.linalg.eigvalsh(made.curvature).clamp(min=0)
        gamma = float((spectrum / (spectrum + 2 * self._penalty).clamp(min=1e-300)).sum())
        gamma = min(gamma, 0.9 * rows)
        degree = DEGREES[objective.loss]
        alpha = gamma / (2 * size)
        beta = (rows - gamma) / max(degree * rows * made.loss, 1e-300)
        self._penalty = alpha / (beta * rows)
        return {"gamma": gamma, "alpha": alpha, "beta": beta}

    def _tensors(self, objective: Objective) -> dict[str, torch.Tensor]:
        return {k: torch.from_numpy(v).to(objective.device) for k, v in self._params.items()}

    @property
    def params(self) -> dict[str, FloatArray]:
        return {k: v.copy() for k, v in self._params.items()}

    def state(self) -> Arrays:
        reached = np.array([self._damping, self._penalty, self._ended])
        return self._course.state() | {"reached": reached} | {f"param/{k}": v for k, v in self.params.items()}
