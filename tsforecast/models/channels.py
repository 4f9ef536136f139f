"""Several targets forecast by one network that sees one of them at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import final

import numpy as np

from tsforecast.models.base import Around, Dims, FloatArray, Inputs, Network, Params
from tsforecast.ops.base import Array, Ops


def single_channel(dims: Dims, embedding: int) -> Dims:
    """Return the sizes of the network inside :class:`Independent`."""
    return replace(dims, targets=1, static=dims.static + embedding)


@final
class Independent(Around):
    """Every target is forecast from its own past, the covariates and who it is, by one network that all of them train.

    Windows (B, L, T) become (B * T, L, 1). With an embedding, a learned vector per target joins the static covariates.

    Source: Y. Nie et al., PatchTST, ICLR 2023, section 3.1 (channel independence); the vector: S. Lin et al., SegRNN
    (2023), section 4.2 (channel position encoding).

    Args:
        network: The network inside, for one target.
        dims: Sizes with all targets.
        embedding: E, length of the vectors; 0 for none.
    """

    def __init__(self, network: Network, dims: Dims, embedding: int) -> None:
        super().__init__(network, dims)
        self.embedding = embedding
        self.solvable = not embedding

    def init(self, rng: np.random.Generator) -> dict[str, FloatArray]:
        params = dict(self.network.init(rng))
        if self.embedding:
            params["channel.embedding"] = rng.normal(size=(self.dims.targets, self.embedding)).astype(np.float32)
        return params

    def apply(self, ops: Ops, params: Params, inputs: Inputs) -> Array:
        batch, targets = inputs.past_target.shape[0], self.dims.targets
        static = self._repeated(ops, inputs.static_covariates)
        if self.embedding:
            who = ops.expand(params["channel.embedding"][None], (batch, targets, self.embedding))
            static = ops.concat([static, who.reshape((batch * targets, self.embedding))], 1)
        out = self.network.apply(ops, params, self.inside(ops, inputs).replace(static_covariates=static))
        return out.reshape((batch, targets, *out.shape[1:2], out.shape[3])).swapaxes(1, 2)

    def inside(self, ops: Ops, inputs: Inputs) -> Inputs:
        """Return the windows of single targets (B * T, ...), without the vectors."""
        return Inputs(
            past_target=self._apart(inputs.past_target),
            past_covariates=self._repeated(ops, inputs.past_covariates),
            future_covariates=self._repeated(ops, inputs.future_covariates),
            static_covariates=self._repeated(ops, inputs.static_covariates),
            series=self._repeated(ops, inputs.series),
            phase=self._repeated(ops, inputs.phase),
            future_target=self._apart(inputs.future_target),
            teacher=self._repeated(ops, inputs.teacher),
        )

    def _apart(self, x: Array) -> Array:
        """(B, n, T) -> (B * T, n, 1)."""
        return x.swapaxes(1, 2).reshape((x.shape[0] * self.dims.targets, x.shape[1], 1))

    def _repeated(self, ops: Ops, x: Array) -> Array:
        """(B, ...) -> (B * T, ...), each window once for every target."""
        batch, targets, rest = x.shape[0], self.dims.targets, x.shape[1:]
        return ops.expand(x[:, None], (batch, targets, *rest)).reshape((batch * targets, *rest))
