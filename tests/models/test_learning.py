"""Every model that learns, learns a sine with its own trainer."""

from __future__ import annotations

import numpy as np
import pytest

from tsforecast.config import make
from tsforecast.models.base import Dims
from tsforecast.registry import MODELS, TRAINERS

DIMS = Dims(lags=12, horizon=6, season_length=12)
OPTIONS = {"rnn": {"hidden": 12}, "lstm": {"hidden": 12}, "gru": {"hidden": 12}, "tdnn": {"channels": 12}}
FASTER = {"backprop": {"steps": 18, "epoch_size": 100, "batch_size": 8, "learning_rate": 0.02}}
LEARNING = [name for name in MODELS if MODELS.get(name).trainer != "none"]
CASES = [(name, OPTIONS.get(name, {})) for name in LEARNING] + [("gru", {"hidden": 12, "decoder": "recursive"})]


@pytest.mark.parametrize(("name", "options"), CASES)
def test_a_sine_is_learned(name, options, network, make_objective):
    net = network(name, DIMS, options, "last")
    objective = make_objective(net, rows=100, loss="mae")
    cls = TRAINERS.get(net.network.trainer)
    trainer = cls(make(cls.Config, FASTER.get(net.network.trainer, {})))
    steps = list(trainer.fit(objective, net.init(np.random.default_rng(0)), seed=0))
    assert min(step.valid_loss for step in steps) < 0.1  # repeating the last value errs by 0.9 on average
