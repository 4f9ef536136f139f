"""A running average of the parameters that an optimizer moves."""

from __future__ import annotations

from collections.abc import Mapping

import torch


class Average:
    """Exponential moving average of parameters, a_t = d a_{t-1} + (1 - d) w_t.

    It forecasts better than the parameters themselves, which a noisy gradient throws about. The decay begins low,
    d_t = min(d, (1 + t) / (10 + t)), so that the average soon forgets where training began.

    Source: B. T. Polyak & A. B. Juditsky, SIAM J. Control Optim. 30 (1992) for averaging; the exponential one and how
    it begins are those of TensorFlow's ``ExponentialMovingAverage``.

    Args:
        params: What is averaged, by name; watched, not copied.
        decay: d.
    """

    def __init__(self, params: Mapping[str, torch.Tensor], decay: float) -> None:
        self.decay, self.updates = decay, 0
        self._params = list(params.values())
        self.params = {name: value.detach().clone() for name, value in params.items()}

    def update(self) -> None:
        """Take note of the parameters after an update."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.params.values()), self._params, 1 - decay)
