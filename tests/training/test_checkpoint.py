"""A checkpoint comes back bit by bit, and only for the run that it belongs to."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tsforecast.errors import UsageError
from tsforecast.training.checkpoint import Checkpoint, load, path_beside, save

TRAINER = {
    "counters": np.array([3.0, 1.0, math.inf, 0.25]),
    "shuffle": np.arange(256, dtype=np.uint8),
    "optimizer/0/step": np.array(7, dtype=np.int64),
    "empty": np.zeros((0, 4), dtype=np.float32),
    "param/layer0.0.w_in": np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32),
    "transposed": np.arange(6, dtype=np.float32).reshape(2, 3).T,
}
HISTORY = [{"step": 1, "train_loss": 0.1 + 0.2, "valid_loss": math.inf, "is_best": False, "seconds": 1.5}]


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "model.safetensors.resume"
    save(path, Checkpoint("abc", TRAINER, {"w": TRAINER["transposed"]}, HISTORY, 2))
    return path


def test_a_checkpoint_comes_back_as_it_was(saved):
    found = load(saved, "abc")
    assert found.trainer.keys() == TRAINER.keys()
    for name, value in TRAINER.items():
        assert found.trainer[name].dtype == value.dtype
        assert found.trainer[name].shape == value.shape, name
        np.testing.assert_array_equal(found.trainer[name], value)
    np.testing.assert_array_equal(found.best["w"], TRAINER["transposed"])
    assert (found.history, found.waiting, found.signature) == (HISTORY, 2, "abc")


def test_an_empty_state_comes_back(tmp_path):
    save(tmp_path / "x", Checkpoint("s", {}, {}, [], 0))
    assert load(tmp_path / "x", "s") == Checkpoint("s", {}, {}, [], 0)


def test_another_run_is_refused(saved):
    with pytest.raises(UsageError, match="other data or options"):
        load(saved, "abd")


def test_nothing_to_resume_is_said(tmp_path):
    with pytest.raises(UsageError, match=r"nothing to resume: .*model\.resume does not exist"):
        load(tmp_path / "model.resume", "abc")


@pytest.mark.parametrize("keep", [0, 4, 40, -1])
def test_a_damaged_file_is_refused(saved, keep):
    saved.write_bytes(saved.read_bytes()[:keep])
    with pytest.raises(UsageError, match="is damaged"):
        load(saved, "abc")


def test_a_file_of_someone_else_is_refused(tmp_path):
    from safetensors.numpy import save_file

    save_file({"w": np.zeros(3, np.float32)}, tmp_path / "x")
    with pytest.raises(UsageError, match="is damaged"):
        load(tmp_path / "x", "abc")


def test_it_lies_beside_the_model(tmp_path):
    assert path_beside(tmp_path / "m.safetensors") == tmp_path / "m.safetensors.resume"
