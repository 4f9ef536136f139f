"""Networks that train side by side, one per series."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from tsforecast.trainers.objective import Objective

Tensors = Mapping[str, torch.Tensor]


class Separate:
    """The best parameters of every series' network, each by its own validation loss.

    A series without a validation window follows the others: it keeps what it has whenever one of them improves.

    Args:
        objective: What tells the losses of the series apart.
        params: (S, ...) parameters to start from; where nothing better comes, they stay.
    """

    def __init__(self, objective: Objective, params: Tensors) -> None:
        self._objective = objective
        self.params = {name: value.detach().clone() for name, value in params.items()}
        self.lowest = objective.valid_losses(self.params)
        self._judged = ~np.isnan(self.lowest)

    def take(self, params: Tensors) -> float:
        """Keep the parameters of each network that is better than before; return the mean loss of those kept."""
        losses = self._objective.valid_losses(params)
        better = losses < self.lowest
        self.lowest[better] = losses[better]
        rows = torch.from_numpy(np.flatnonzero(better | (~self._judged & better.any())))
        for name, value in self.params.items():
            value[rows] = params[name].detach()[rows]
        return float(self.lowest[self._judged].mean())


def clip_each(tensors: list[torch.Tensor], limit: float) -> None:
    """Scale the gradients (S, ...) of each network down to a norm, each by its own.

    A large gradient of one slows no other down; a loss that is not finite ends the run of all.
    """
    gradients = [tensor.grad for tensor in tensors if tensor.grad is not None]
    norms = torch.stack([gradient.reshape((len(gradient), -1)).norm(dim=1) for gradient in gradients]).norm(dim=0)
    factor = (limit / norms.clamp(min=1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(factor.reshape((-1,) + (1,) * (gradient.ndim - 1)))
