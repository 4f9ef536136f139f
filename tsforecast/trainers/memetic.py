"""Local search for a few of a population: what an individual learns within one generation.

It lowers the loss, also where evolution minimises something that has no gradient.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from tsforecast.trainers.base import FloatArray
from tsforecast.trainers.gauss_newton import GaussNewton
from tsforecast.trainers.individuals import Losses
from tsforecast.trainers.population import Evaluator

LEARNERS = 2  # networks of a generation that learn: more cost more than they bring
DAMPING = 1e-3  # of the first Levenberg-Marquardt step
RATE = 0.3  # of Adam, in units of each parameter's scale

LocalSearch = Callable[[Evaluator, FloatArray, int], FloatArray]


def adam(evaluator: Evaluator, rows: FloatArray, steps: int) -> FloatArray:
    """Return rows (k, d) after some steps of Adam, each on another part of the lessons: one backward pass for all rows.

    The losses of different rows share no parameter, so the gradient of their sum is the gradient of each. The rate
    falls to zero over the steps.

    Source: D. Kingma & J. Ba, ICLR 2015.
    """
    scale = torch.from_numpy(evaluator.genome.scale).to(evaluator.device)
    values = torch.from_numpy(rows).to(evaluator.device).clone().requires_grad_()
    optimizer = torch.optim.Adam([values], lr=RATE)
    for step in range(steps):
        if evaluator.is_over:
            break
        optimizer.param_groups[0]["lr"] = RATE * (1 - step / steps)
        optimizer.zero_grad(set_to_none=True)
        loss = evaluator.lesson(values * scale, step).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return values.detach().cpu().numpy()


def levenberg_marquardt(evaluator: Evaluator, rows: FloatArray, steps: int) -> FloatArray:
    """Return rows (k, d) after some damped Gauss-Newton steps on all lessons, one network after the other.

    Source: as :class:`GaussNewton`.
    """
    genome, moved = evaluator.genome, []
    newton = GaussNewton(evaluator.objective, genome.params(rows[0]))
    for row in rows:
        params, damping = genome.params(row), DAMPING
        for _ in range(steps):
            if evaluator.is_over:
                break
            made = newton.improve(params, evaluator.lessons, damping, evaluator.lesson_teacher)
            params, damping = made.params, made.damping
            if made.converged:
                break
        moved.append(genome.row(params))
    return np.stack(moved)


LOCAL: dict[str, LocalSearch] = {"adam": adam, "levenberg_marquardt": levenberg_marquardt}
RHYTHM = {"adam": (50, 50), "levenberg_marquardt": (20, 3)}  # generations between searches, and steps of each


def improve(evaluator: Evaluator, how: str, rows: FloatArray, losses: Losses, steps: int) -> tuple[FloatArray, Losses]:
    """Return rows (k, d) and losses (k,) after local search; whoever it did not help stays as it was.

    Args:
        evaluator: Knows the sample that judges and the lessons.
        how: A name in ``LOCAL``.
        rows: (k, d).
        losses: (k,) over the sample.
        steps: Of the search; 0: as in ``RHYTHM``.
    """
    moved = LOCAL[how](evaluator, rows, steps or RHYTHM[how][1])
    found = evaluator.losses(moved)
    better = found < losses
    return np.where(better[:, None], moved, rows), np.where(better, found, losses)
