"""Derivatives of every residual by every parameter, for many windows at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.func import vmap

from tsforecast.ops.torch_ops import TorchOps
from tsforecast.trainers.objective import Objective

FLOATS = 1 << 21  # of one chunk's Jacobian: what it takes to compute one is some times as much
PROBES = 8  # windows that tell whether a network is one step repeated
AGREEMENT = 1e-4

Tensors = dict[str, torch.Tensor]


class Jacobian:
    """The Jacobian of the differences of training windows.

    In general each window is differentiated by itself, in reverse mode. A network that forecasts several steps by
    repeating one step on windows that move on (a NARX in closed loop) is differentiated faster: with G the derivatives
    of every single step by the parameters and A those by the values that were fed back to it, J = G + A J, a triangular
    system for each window (forward sensitivities: Narendra & Parthasarathy 1990, section V). Whether a network is of
    that kind is found by trying.

    Args:
        objective: Whose differences.
        params: Any parameters of the network.
    """

    def __init__(self, objective: Objective, params: Tensors) -> None:
        self.objective = objective
        self.outputs: int = objective.block * objective.tables.target.shape[1]
        self._size = sum(v.numel() for v in params.values())
        self._ops = TorchOps(objective.device, fused=False)
        self.repeats = objective.block > 1 and self._is_repeated(params)

    @property
    def windows(self) -> int:
        """Windows per call that bound memory."""
        return max(1, FLOATS // (self.outputs * self._size))

    def __call__(self, params: Tensors, batch: Tensors, teacher: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        """Return differences (n,) and Jacobian (n, P) of a batch of B windows, n = B * block * T.

        Args:
            params: Parameters.
            batch: From ``Objective.batch``.
            teacher: (B, block, 1) ones where the true value is fed back, or None.
        """
        with torch.no_grad():
            differences = self.objective.differences(TorchOps(self._ops.device), params, batch, teacher=teacher)
        if self.repeats:
            fed = batch["future_target"] + differences
            if teacher is not None:
                fed = fed - teacher * differences
            return differences.ravel(), self._sensitivities(params, batch, fed, teacher)
        return differences.ravel(), self._direct(params, batch, teacher)

    def _direct(self, params: Tensors, batch: Tensors, teacher: torch.Tensor | None) -> torch.Tensor:
        """Differentiate window by window."""
        shown = {} if teacher is None else {"teacher": teacher}

        def single(params: Tensors, window: Tensors) -> torch.Tensor:
            mask = window["teacher"] if shown else None
            found: torch.Tensor = self.objective.differences(self._ops, params, window, teacher=mask)
            return found

        owned = _owned(params, len(batch["past_target"]))
        return torch.cat(list(_derivatives(single, owned, batch | shown, list(owned.values()))), 2).flatten(0, 1)

    def _sensitivities(
        self, params: Tensors, batch: Tensors, fed: torch.Tensor, teacher: torch.Tensor | None
    ) -> torch.Tensor:
        """Differentiate single steps, then solve for what reaches them through the loop."""
        moved = self._moved(batch, fed)

        def single(params: Tensors, window: Tensors) -> torch.Tensor:
            out: torch.Tensor = self.objective.forecast(self._ops, params, window, 1)
            return out[..., self.objective.middle]

        owned = _owned(params, len(moved["past_target"]))
        past = moved["past_target"].requires_grad_()
        *own, read = _derivatives(single, owned, moved, [*owned.values(), past])
        count, block, targets = fed.shape
        read = read.reshape((count, block, targets, -1, targets))
        system = torch.eye(block * targets, device=fed.device).repeat(count, 1, 1)
        by_step = system.view(count, block, targets, block, targets)
        lags = read.shape[3]
        for t in range(1, block):
            first = max(0, t - lags)
            through = read[:, t, :, lags - t + first :]
            if teacher is not None:
                through = through * (1 - teacher[:, None, first:t])
            by_step[:, t, :, first:t] = -through
        direct = torch.cat(own, 2).reshape((count, block * targets, self._size))
        whole: torch.Tensor = torch.linalg.solve_triangular(system, direct, upper=False, unitriangular=True)
        return whole.reshape((-1, self._size))

    def _moved(self, batch: Tensors, fed: torch.Tensor) -> Tensors:
        """Return the windows (B * block, ...) of the single steps: each ends where the step begins."""
        block, lags = fed.shape[1], batch["past_target"].shape[1]
        ahead, covariates = batch["future_covariates"], batch["past_covariates"]
        known = covariates.shape[2] - ahead.shape[2]
        held = covariates[:, -1:, :known].expand(-1, block, -1)
        phase = batch["phase"][:, None] + torch.arange(block, device=fed.device)
        axes = {"past_target": fed, "past_covariates": torch.cat([held, ahead], 2)}
        moved = {k: torch.cat([batch[k], v[:, :-1]], 1).unfold(1, lags, 1).movedim(3, 2) for k, v in axes.items()}
        moved["future_covariates"] = ahead[:, :, None]
        moved["static_covariates"] = batch["static_covariates"][:, None].expand(-1, block, -1)
        flat = {k: v.reshape((len(fed) * block, *v.shape[2:])) for k, v in moved.items()}
        none = fed[:, :0].repeat_interleave(block, 0)
        return flat | {
            "series": batch["series"].repeat_interleave(block),
            "phase": phase.ravel(),
            "future_target": none,
            "teacher": none[..., :1],
        }

    def _is_repeated(self, params: Tensors) -> bool:
        """Return whether single steps on moved windows give the same forecast, at parameters without a pattern."""
        generator = torch.Generator().manual_seed(0)
        shaken = {k: v + 0.1 * torch.randn(v.shape, generator=generator).to(v.device) for k, v in params.items()}
        rows = torch.linspace(0, self.objective.n_train - 1, min(PROBES, self.objective.n_train)).long()
        batch = self.objective.batch(rows.to(self._ops.device))
        with torch.no_grad():
            out = self.objective.differences(self._ops, shaken, batch) + batch["future_target"]
            single = self.objective.forecast(self._ops, shaken, self._moved(batch, out), 1)[..., self.objective.middle]
        scale = float(out.abs().max())
        return bool((single.reshape(out.shape) - out).abs().max() <= AGREEMENT * scale)


def _owned(params: Tensors, windows: int) -> Tensors:
    """Return parameters as if every window had its own, (B, ...): their gradients are those of the windows."""
    return {k: v.detach().expand(windows, *v.shape).requires_grad_() for k, v in params.items()}


def _derivatives(
    single: Callable[[Tensors, Tensors], torch.Tensor], owned: Tensors, batch: Tensors, by: list[torch.Tensor]
) -> list[torch.Tensor]:
    """Return the derivatives (B, n, size) of the n outputs of every window by tensors (B, ...), in reverse mode.

    One backward pass per output: torch.func.jacrev does the same, but loads the compiler first (a second).
    """
    made = vmap(lambda own, window: single(own, {k: v[None] for k, v in window.items()}).ravel())(owned, batch)
    found = []
    for n in range(made.shape[1]):
        last = n == made.shape[1] - 1
        parts = torch.autograd.grad(
            made[:, n].sum(), by, retain_graph=not last, allow_unused=True, materialize_grads=True
        )
        found.append([part.reshape((len(made), -1)) for part in parts])
    return [torch.stack(parts, 1) for parts in zip(*found, strict=True)]
