"""Damped Gauss-Newton steps on an objective: what second-order and memetic trainers share."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from tsforecast.ops.torch_ops import TorchOps
from tsforecast.trainers.base import FloatArray, finite
from tsforecast.trainers.jacobian import Jacobian
from tsforecast.trainers.objective import Objective

CHUNK = 2048  # windows per pass of loss and gradient
RESIDUALS = 8  # per parameter, for the curvature: its eigenvalues are then (1 +- 8^-1/2)^2 of the true ones
FEWEST = 48  # windows, where each has many residuals that are alike
FLOOR = 0.3  # of the mean residual, mae: less makes steps too short, more too long
TRIALS = 6  # steps tried per curvature: together they raise the damping by 2 * 4 * ... * 64
GRADIENT = 1e-7  # negligible beside the loss, by its largest element
STEP = 1e-6  # negligible beside the parameters, which are float32
DAMPING = (1e-12, 1e8)  # beyond the lower end it changes nothing, beyond the upper one nothing moves


@dataclass(frozen=True)
class Improvement:
    """What a step has reached.

    Attributes:
        params: Parameters after it; those before it when no trial was accepted.
        loss: Their mean loss over the rows, ``inf`` when it is not finite.
        damping: For the next step.
        accepted: Whether the loss fell.
        converged: Whether gradient or step were negligible, or the damping beyond reason.
        curvature: (P, P) Hessian of the loss in the Gauss-Newton approximation where the step began, float64.
    """

    params: dict[str, FloatArray]
    loss: float
    damping: float
    accepted: bool
    converged: bool
    curvature: torch.Tensor | None = None


class GaussNewton:
    """Levenberg-Marquardt steps on the loss of an objective, whichever loss it is.

    A step solves (H + 2 p I + d D) s = -(g + 2 p w) for parameters w, with the exact gradient g over all given windows,
    H = J' W J / n over an even part of them (a curvature by sampling: Byrd et al. 2011), a ridge penalty p, D the mean
    of the diagonal of H times the identity (Levenberg), and the damping d driven by the gain ratio.

    W is the weight that makes the squared residual tangent to the loss, as in iteratively reweighted least squares:
    2 for mse, 1 / max(1, |r|) for huber, 1 / max(f, |r|) for mae with f a share of mean |r|, times what the step of
    the horizon weighs. The gradient is that of the loss itself, so the bound f moves no minimum.

    Args:
        objective: What is minimised.
        params: Any parameters of the network: they tell its shapes.

    Source: K. Levenberg (1944); D. Marquardt (1963); H. B. Nielsen, Damping parameter in Marquardt's method (1999), eq.
    2.6; K. Madsen, H. B. Nielsen & O. Tingleff, Methods for Non-Linear Least Squares Problems (2004), algorithm 3.16;
    P. W. Holland & R. E. Welsch (1977) for the weights; R. H. Byrd et al., SIAM J. Optim. 21 (2011).
    """

    def __init__(self, objective: Objective, params: dict[str, FloatArray]) -> None:
        self.objective = objective
        self._ops = TorchOps(objective.device)
        self._names = list(params)
        self._shapes = [params[name].shape for name in self._names]
        self._sizes = [params[name].size for name in self._names]
        self._jacobian = Jacobian(objective, self._tensors(self.flat(params)))

    def improve(
        self,
        params: dict[str, FloatArray],
        rows: NDArray[np.int64],
        damping: float,
        teacher: torch.Tensor | None = None,
        penalty: float = 0.0,
    ) -> Improvement:
        """Try steps from one linearisation, with more and more damping, until the loss falls.

        Args:
            params: Where to start.
            rows: (B,) training windows by which a step is judged.
            damping: Relative to the mean curvature; 0.01 is a good start.
            teacher: (B, block, 1) ones where a network that feeds itself is shown the true value instead.
            penalty: Ridge penalty on all parameters.
        """
        start = self.flat(params)
        windows = torch.from_numpy(rows).to(start.device)
        loss, gradient = self._gradient(start, windows, teacher)
        failed = Improvement(params, finite(loss), damping, accepted=False, converged=False)
        if not (math.isfinite(loss) and bool(gradient.isfinite().all())):
            return replace(failed, loss=math.inf)
        curvature = self.curvature(start, windows, teacher, loss)
        if not bool(curvature.isfinite().all()):
            return failed
        at = loss + penalty * float(start @ start)
        gradient += 2 * penalty * start
        level, growth = float(curvature.diagonal().mean()) or 1.0, 2.0
        converged = float(gradient.abs().max()) <= GRADIENT * at
        for _ in range(0 if converged else TRIALS):
            step = _solve(curvature, damping * level + 2 * penalty, gradient)
            if step is not None:
                there = (start + step).float().double()
                loss = self.loss(there, windows, teacher)
                fall = at - loss - penalty * float(there @ there)
                converged = float(step.norm()) <= STEP * float(start.norm())
                if fall > 0:
                    gain = fall / max(0.5 * float(step @ (damping * level * step - gradient)), 1e-300)
                    damping = max(damping * max(1 / 3, 1 - (2 * gain - 1) ** 3), DAMPING[0])
                    return Improvement(
                        self._arrays(there), loss, damping, accepted=True, converged=converged, curvature=curvature
                    )
            damping, growth = damping * growth, 2 * growth
            if converged or damping > DAMPING[1]:
                converged, damping = True, DAMPING[1]
                break
        return replace(failed, damping=damping, converged=converged, curvature=curvature)

    def loss(self, flat: torch.Tensor, rows: torch.Tensor, teacher: torch.Tensor | None) -> float:
        """Return the mean loss over windows; ``inf`` when it is not finite."""
        params, total = self._tensors(flat), 0.0
        with torch.inference_mode():
            for batch, shown in self._batches(rows, teacher, CHUNK):
                part = self.objective.train_loss(self._ops, params, batch, teacher=shown)
                total += float(part) * len(batch["past_target"])
        return finite(total / len(rows))

    def _gradient(
        self, flat: torch.Tensor, rows: torch.Tensor, teacher: torch.Tensor | None
    ) -> tuple[float, torch.Tensor]:
        """Return the mean loss over windows and its gradient (P,), float64."""
        params = {k: v.requires_grad_() for k, v in self._tensors(flat).items()}
        total, gradient = 0.0, torch.zeros_like(flat)
        for batch, shown in self._batches(rows, teacher, CHUNK):
            share = len(batch["past_target"]) / len(rows)
            loss = self.objective.train_loss(self._ops, params, batch, teacher=shown)
            parts = torch.autograd.grad(loss, list(params.values()), allow_unused=True, materialize_grads=True)
            gradient += share * torch.cat([part.ravel() for part in parts])
            total += share * float(loss.detach())
        return total, gradient

    def curvature(
        self, flat: torch.Tensor, rows: torch.Tensor, teacher: torch.Tensor | None, loss: float
    ) -> torch.Tensor:
        """Return J' W J / n (P, P), float64, over an even part of the windows when there are many.

        Args:
            flat: (P,) parameters.
            rows: (B,) training windows.
            teacher: As in :meth:`improve`.
            loss: The mean loss there.
        """
        outputs = self._jacobian.outputs
        few = max(RESIDUALS * len(flat) // outputs, FEWEST)
        if len(rows) > few:
            part = torch.linspace(0, len(rows) - 1, few, device=rows.device, dtype=torch.float64).round().long()
            rows, teacher = rows[part], None if teacher is None else teacher[part]
        params = self._tensors(flat)
        total = torch.zeros((len(flat), len(flat)), dtype=torch.float64, device=flat.device)
        for batch, shown in self._batches(rows, teacher, self._jacobian.windows):
            residuals, jacobian = self._jacobian(params, batch, shown)
            shape = (-1, self.objective.block, outputs // self.objective.block)
            weight = self.objective.weighed(_weights(self.objective.loss, residuals, loss).reshape(shape)).ravel()
            total += _gram(jacobian * weight.sqrt()[:, None])
        return total / (len(rows) * outputs)

    def _batches(
        self, rows: torch.Tensor, teacher: torch.Tensor | None, size: int
    ) -> Iterator[tuple[dict[str, torch.Tensor], torch.Tensor | None]]:
        for first in range(0, len(rows), size):
            part = slice(first, first + size)
            yield self.objective.batch(rows[part]), None if teacher is None else teacher[part]

    def flat(self, params: dict[str, FloatArray]) -> torch.Tensor:
        """Return all parameters in a row (P,), float64."""
        joined = np.concatenate([np.ravel(params[name]) for name in self._names])
        return torch.from_numpy(joined).to(self.objective.device, torch.float64)

    def _tensors(self, flat: torch.Tensor) -> dict[str, torch.Tensor]:
        parts = torch.split(flat.float(), self._sizes)
        return {k: v.reshape(s).clone() for k, v, s in zip(self._names, parts, self._shapes, strict=True)}

    def _arrays(self, flat: torch.Tensor) -> dict[str, FloatArray]:
        return {k: v.cpu().numpy() for k, v in self._tensors(flat).items()}


def _weights(loss: str, residuals: torch.Tensor, mean: float) -> torch.Tensor:
    """Return the curvature of the parabola that is tangent to the loss at each residual (n,)."""
    if loss == "mse":
        return torch.full_like(residuals, 2.0)
    return 1 / residuals.abs().clamp(min=1.0 if loss == "huber" else max(FLOOR * mean, 1e-6))


def _gram(jacobian: torch.Tensor) -> torch.Tensor:
    """Return J'J (P, P) in float64; NumPy computes only half of it."""
    if jacobian.device.type != "cpu":
        exact = jacobian.double()
        return exact.T @ exact
    array = jacobian.double().numpy()
    return torch.from_numpy(array.T @ array)


def _solve(hessian: torch.Tensor, damping: float, gradient: torch.Tensor) -> torch.Tensor | None:
    """Return the damped Newton step (P,); None where the damping is too small for the matrix to be positive."""
    damped = hessian.clone()
    damped.diagonal().add_(damping)
    factor, failed = torch.linalg.cholesky_ex(damped)
    if int(failed):
        return None
    step: torch.Tensor = -torch.cholesky_solve(gradient[:, None], factor)[:, 0]
    return step
