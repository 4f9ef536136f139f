"""Learned cycles around any network."""

from __future__ import annotations

from typing import final

import numpy as np

from tsforecast.models.base import Around, FloatArray, Inputs, Params, zeros
from tsforecast.ops.base import Array, Ops


@final
class Cycled(Around):
    """A network that sees and forecasts what is left when learned cycles are taken away.

    Of every cycle of W steps a table (W, T) is learned, from zero. The sum of the tables at each step's place in its
    cycle is subtracted from the window and added to the forecast. A row is known by its place in time, so that the
    tables hold what the rows of all windows have in common: the usual day, the usual week.

    Source: S. Lin et al., CycleNet, NeurIPS 2024, section 3.2; here around every network, and with several cycles.

    Args:
        network: The network inside.
    """

    def init(self, rng: np.random.Generator) -> dict[str, FloatArray]:
        return dict(self.network.init(rng)) | {
            f"cycle.{length}": zeros(length, self.dims.targets) for length in self.dims.cycle
        }

    def apply(self, ops: Ops, params: Params, inputs: Inputs) -> Array:
        lags = inputs.past_target.shape[1]
        # A network that stops short of the window's end, or runs on, says so by the steps that it is asked for.
        steps = inputs.future_covariates.shape[1]
        usual = self._usual(ops, params, inputs.phase, lags, steps)
        known = inputs.future_target.shape[1]
        out = self.network.apply(
            ops,
            params,
            inputs.replace(
                past_target=inputs.past_target - usual[:, :lags],
                future_target=inputs.future_target - usual[:, lags : lags + known],
            ),
        )
        return out + usual[:, lags : lags + out.shape[1], :, None]

    def _usual(self, ops: Ops, params: Params, phase: Array, lags: int, steps: int) -> Array:
        """Return the sum of the cycles (B, L + H, T) from ``lags`` steps before the first forecast step on."""
        places = phase[:, None] + ops.steps(-lags, steps)
        return sum(ops.lookup(params[f"cycle.{length}"], places % length) for length in self.dims.cycle)
