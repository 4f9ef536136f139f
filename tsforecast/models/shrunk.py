"""Forecasts drawn towards a baseline, around any network."""

from __future__ import annotations

from dataclasses import replace
from typing import final

import numpy as np

from tsforecast.models.base import Around, FloatArray, Inputs, Network, Params
from tsforecast.models.naive import Naive, SeasonalNaive
from tsforecast.ops.base import Array, Ops

BASES: dict[str, type[Naive] | type[SeasonalNaive]] = {"naive": Naive, "seasonal_naive": SeasonalNaive}
WEIGHT = "shrink.weight"


@final
class Shrunk(Around):
    """A network whose forecast keeps only a share of its difference from a baseline: b + w (f - b).

    The weight w is measured after training. The whole trajectory is drawn towards the baseline from where it starts:
    what a network feeds back is its own forecast. Quantiles move along with the median.

    Source: J. M. Bates & C. W. J. Granger, The combination of forecasts, Operational Research Quarterly 20 (1969),
    451-468, eq. 1.

    Args:
        network: The network inside.
        base: A name in ``BASES``.
    """

    def __init__(self, network: Network, base: str) -> None:
        super().__init__(network)
        self.base = BASES[base]

    def init(self, rng: np.random.Generator) -> dict[str, FloatArray]:
        return dict(self.network.init(rng)) | {WEIGHT: np.ones(1, dtype=np.float32)}

    def apply(self, ops: Ops, params: Params, inputs: Inputs) -> Array:
        return self.network.apply(ops, {name: value for name, value in params.items() if name != WEIGHT}, inputs)

    def finished(self, ops: Ops, params: Params, inputs: Inputs, out: Array) -> Array:
        sizes = replace(self.dims, horizon=out.shape[1], levels=())
        return drawn(out, self.base(None, sizes).apply(ops, {}, inputs), params[WEIGHT], self.dims.middle)


def drawn(out: Array, base: Array, weight: Array | float, middle: int) -> Array:
    """Draw forecasts (B, H, T, Q) towards a baseline (B, H, T, 1): weight 1 leaves them, 0 leaves the baseline."""
    point = out[..., middle : middle + 1]
    return weight * point + (1 - weight) * base + (out - point)
