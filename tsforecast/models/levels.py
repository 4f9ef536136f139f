"""Quantile levels that cannot cross, around any network."""

from __future__ import annotations

from typing import final

from tsforecast.models.base import Around, Inputs, Params
from tsforecast.ops.base import Array, Ops

SHARPNESS = 10.0  # from about a tenth of a scaled unit on a step is itself, so that small and large ones learn alike


@final
class Levels(Around):
    """A network whose Q outputs become quantiles in order: the median as it is, the others by steps away from it.

    Each step is a smooth positive part of the difference of two neighbouring outputs, softplus(b d) / b. So a shift of
    all outputs shifts all quantiles, and the median is what a network that feeds itself has fed back. It goes around
    the window normalisation: inside, a negative gain of ``revin`` would turn the order round.

    Source: increments of one sign, see Y. Park et al., Learning quantile functions without quantile crossing for
    distribution-free time series forecasting, AISTATS 2022, section 3.1; here outwards from the median.

    Args:
        network: The network inside, made for the same levels.
    """

    def apply(self, ops: Ops, params: Params, inputs: Inputs) -> Array:
        out = self.network.apply(ops, params, inputs)
        steps = ops.softplus(SHARPNESS * (out[..., 1:] - out[..., :-1])) / SHARPNESS
        middle = self.dims.middle
        made = [out[..., middle]]
        for k in range(middle, self.dims.quantiles - 1):
            made.append(made[-1] + steps[..., k])
        for k in reversed(range(middle)):
            made.insert(0, made[0] - steps[..., k])
        return ops.stack(made, -1)
