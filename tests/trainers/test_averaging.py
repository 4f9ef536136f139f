"""The moving average of parameters."""

from __future__ import annotations

import numpy as np
import torch

from tsforecast.trainers.averaging import Average


def test_it_is_the_recursion_by_hand():
    weight = torch.zeros(3, requires_grad=True)
    average, expected = Average({"w": weight}, 0.5), np.zeros(3)
    for step, value in enumerate(([1.0, 2, 3], [4.0, 4, 4], [0.0, -1, 2]) * 4, start=1):
        with torch.no_grad():
            weight.copy_(torch.tensor(value))
        average.update()
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * np.array(value)
    np.testing.assert_allclose(average.params["w"], expected, rtol=1e-6)
    assert not average.params["w"].requires_grad


def test_it_begins_where_training_begins_and_forgets_it_soon():
    weight = torch.full((2,), 100.0)
    average = Average({"w": weight}, 0.999)
    assert average.params["w"].tolist() == [100, 100]
    weight.zero_()
    for _ in range(20):
        average.update()
    assert float(average.params["w"].max()) < 0.01
