"""The torch back end: fused kernels for training one network, plain operations under ``vmap`` for a population."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray

from tsforecast.ops.base import Array, GroupCall, Ops, State, Weights


@final
class TorchOps(Ops):
    """Operations on float32 torch tensors.

    Args:
        device: Where arrays live.
        fused: Use torch's fused recurrent kernels; False under ``torch.func.vmap``, which has no rule for them.
        training: Whether parameters are being trained, see :class:`Ops`.
        generator: Source of dropout masks, so that torch's global random state is never touched.
        truncate: Backpropagate through at most this many recurrent steps (0: all), Williams & Peng (1990).
    """

    def __init__(
        self,
        device: str | torch.device = "cpu",
        *,
        fused: bool = True,
        training: bool = False,
        generator: torch.Generator | None = None,
        truncate: int = 0,
    ) -> None:
        self.device = torch.device(device)
        self.fused = fused
        self.training = training
        self.generator = generator
        self.truncate = truncate

    def asarray(self, values: Any) -> Array:
        return torch.as_tensor(values, dtype=torch.float32, device=self.device)

    def zeros(self, shape: Sequence[int]) -> Array:
        return torch.zeros(tuple(shape), dtype=torch.float32, device=self.device)

    def concat(self, arrays: Sequence[Array], axis: int) -> Array:
        return torch.cat(tuple(arrays), dim=axis)

    def stack(self, arrays: Sequence[Array], axis: int) -> Array:
        return torch.stack(tuple(arrays), dim=axis)

    def expand(self, x: Array, shape: Sequence[int]) -> Array:
        return x.expand(tuple(shape))

    def take(self, x: Array, index: Sequence[int] | NDArray[np.int64], axis: int) -> Array:
        return torch.index_select(x, axis, torch.as_tensor(index, device=self.device))

    def steps(self, first: int, end: int) -> Array:
        return torch.arange(first, end, device=self.device)

    def lookup(self, table: Array, places: Array) -> Array:
        return torch.nn.functional.embedding(places, table) if table.ndim == 2 else table[places]

    def tanh(self, x: Array) -> Array:
        return torch.tanh(x)

    def sigmoid(self, x: Array) -> Array:
        return torch.sigmoid(x)

    def relu(self, x: Array) -> Array:
        return torch.relu(x)

    def softplus(self, x: Array) -> Array:
        return torch.nn.functional.softplus(x)

    def sqrt(self, x: Array) -> Array:
        return torch.sqrt(x)

    def mean(self, x: Array, axis: int) -> Array:
        return x.mean(dim=axis, keepdim=True)

    def by_group(self, codes: Array, params: Weights, arrays: Mapping[str, Array], call: GroupCall) -> Array:
        """Run all groups as one stack: a group with fewer rows than the largest computes some of them again."""
        groups, place, counts = torch.unique(codes, return_inverse=True, return_counts=True)
        order, first = torch.argsort(place, stable=True), counts.cumsum(0) - counts
        column = torch.arange(int(counts.max()), device=self.device)
        index = order[first[:, None] + torch.minimum(column, counts[:, None] - 1)]
        plain = TorchOps(
            self.device, fused=False, training=self.training, generator=self.generator, truncate=self.truncate
        )
        made = torch.func.vmap(lambda own, rows: call(plain, own, rows), randomness="different")(
            {name: value[groups] for name, value in params.items()},
            {name: value[index] for name, value in arrays.items()},
        )
        rank = torch.empty_like(order)
        rank[order] = torch.arange(len(order), device=self.device) - first[place[order]]
        return made[place, rank]

    def dropout(self, x: Array, rate: float) -> Array:
        if not self.training or rate == 0:
            return x
        keep = torch.rand(x.shape, generator=self.generator, device=x.device) >= rate
        return x * keep / (1 - rate)

    def recurrence(self, cell: str, x: Array, state: State, weights: Weights) -> tuple[Array, State]:
        """Run a layer; the steps before the last ``truncate`` ones are run without a gradient."""
        early = x.shape[1] - self.truncate
        if self.truncate == 0 or early <= 0:
            return self._layer(cell, x, state, weights)
        with torch.no_grad():
            before, state = self._layer(cell, x[:, :early], state, weights)
        after, state = self._layer(cell, x[:, early:], state, weights)
        return torch.cat((before, after), dim=1), state

    def _layer(self, cell: str, x: Array, state: State, weights: Weights) -> tuple[Array, State]:
        if not self.fused or "peephole" in weights:
            return super().recurrence(cell, x, state, weights)
        bias_rec = weights.get("bias_rec", torch.zeros_like(weights["bias"]))
        flat = [weights["w_in"], weights["w_rec"], weights["bias"], bias_rec]
        start = tuple(s[None].contiguous() for s in state)
        # has_biases, num_layers, dropout, train, bidirectional, batch_first; on a GPU only what cuDNN has run in its
        # training mode has a gradient, whatever is trained by it
        how = (True, 1, 0.0, torch.is_grad_enabled(), False, True)
        if cell == "lstm":
            out, h, c = torch.lstm(x, start, flat, *how)
            return out, (h[0], c[0])
        kernel = torch.gru if cell == "gru" else torch.rnn_tanh
        out, h = kernel(x, start[0], flat, *how)
        return out, (h[0],)
