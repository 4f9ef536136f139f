"""One network per series."""

from __future__ import annotations

from typing import final

import numpy as np
from numpy.typing import NDArray

from tsforecast.models.base import Around, FloatArray, Inputs, Params
from tsforecast.ops.base import Array, Ops


@final
class Local(Around):
    """Every series has parameters of its own: each (...) of the network inside becomes (S, ...).

    All start alike, so that each becomes what it would be if it were trained alone.

    Source: P. Montero-Manso & R. J. Hyndman, Principles and algorithms for forecasting groups of time series, Int. J.
    Forecasting 37 (2021), section 2, for local beside global methods.

    Args:
        network: The network of one series, made for the sizes of all S.
    """

    solvable = True

    def init(self, rng: np.random.Generator) -> dict[str, FloatArray]:
        return self._of_each(self.network.init(rng))

    def measured(self, target: FloatArray, starts: NDArray[np.int64]) -> dict[str, FloatArray]:
        return self._of_each(self.network.measured(target, starts))

    def _of_each(self, params: dict[str, FloatArray]) -> dict[str, FloatArray]:
        return {name: np.repeat(value[None], self.dims.series, axis=0) for name, value in params.items()}

    def apply(self, ops: Ops, params: Params, inputs: Inputs) -> Array:
        return ops.by_group(
            inputs.series,
            params,
            vars(inputs),
            lambda own_ops, own, windows: self.network.apply(own_ops, own, Inputs(**windows)),
        )
