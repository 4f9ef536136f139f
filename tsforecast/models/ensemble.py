"""Several networks of the same make as one."""

from __future__ import annotations

from typing import final

import numpy as np
from numpy.typing import NDArray

from tsforecast.models.base import Around, FloatArray, Inputs, Network, Params, prefixed, subset
from tsforecast.ops.base import Array, Ops


@final
class Ensemble(Around):
    """Networks that differ in where their training began, and forecast their average.

    In training each has its own forecasts and its own loss: (N * B, H, T, Q), those of one network after those of
    another. Everything that a network does inside a window, as feeding its own forecasts back, it does by itself.

    Source: L. K. Hansen & P. Salamon, Neural network ensembles, IEEE PAMI 12 (1990); quantiles are averaged level by
    level, which keeps them in order: K. C. Lichtendahl et al., Management Science 59 (2013).

    Args:
        network: The network that every member is.
        members: N.
    """

    def __init__(self, network: Network, members: int) -> None:
        super().__init__(network)
        self.names = [f"member{k}" for k in range(members)]

    def init(self, rng: np.random.Generator) -> dict[str, FloatArray]:
        """Draw the members one after another: the first one is what the network alone would be."""
        params: dict[str, FloatArray] = {}
        for name in self.names:
            params |= prefixed(self.network.init(rng), name)
        return params

    def measured(self, target: FloatArray, starts: NDArray[np.int64]) -> dict[str, FloatArray]:
        found = self.network.measured(target, starts)
        return {key: value for name in self.names for key, value in prefixed(found, name).items()}

    def apply(self, ops: Ops, params: Params, inputs: Inputs) -> Array:
        each = [self.network.apply(ops, subset(params, name), inputs) for name in self.names]
        return ops.concat(each, 0) if ops.training else sum(each) / len(each)
