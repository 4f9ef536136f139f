"""The recurrences equal torch's own layers and loops written by hand; both back ends do the same arithmetic."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tsforecast.ops.base import GATES
from tsforecast.ops.numpy_ops import NumpyOps
from tsforecast.ops.torch_ops import TorchOps

BATCH, STEPS, WIDTH, SIZE = 3, 7, 4, 5
LAYERS = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}


def draw(*shape, seed=0):
    return np.random.default_rng(seed + sum(shape)).normal(size=shape).astype(np.float32)


def weights(cell, *, peephole=False):
    gates = GATES[cell]
    drawn = {"w_in": draw(gates * SIZE, WIDTH), "w_rec": 0.5 * draw(gates * SIZE, SIZE), "bias": draw(gates * SIZE)}
    if cell == "gru":
        drawn["bias_rec"] = draw(gates * SIZE, seed=1)
    if peephole:
        drawn["peephole"] = draw(3, SIZE)
    return drawn


def state_of(cell):
    return (draw(BATCH, SIZE, seed=2), draw(BATCH, SIZE, seed=3)) if cell == "lstm" else (draw(BATCH, SIZE, seed=2),)


def torch_all(tree):
    return {k: torch.tensor(v) for k, v in tree.items()} if isinstance(tree, dict) else tuple(map(torch.tensor, tree))


@pytest.mark.parametrize("cell", GATES)
@pytest.mark.parametrize("ops", [NumpyOps(), TorchOps(), TorchOps(fused=False)], ids=["numpy", "fused", "plain"])
def test_recurrence_equals_the_layer_of_torch(cell, ops):
    w, state, x = weights(cell), state_of(cell), draw(BATCH, STEPS, WIDTH)
    layer = LAYERS[cell](WIDTH, SIZE, batch_first=True)
    own = torch_all(w)
    with torch.no_grad():
        layer.weight_ih_l0.copy_(own["w_in"])
        layer.weight_hh_l0.copy_(own["w_rec"])
        layer.bias_ih_l0.copy_(own["bias"])
        layer.bias_hh_l0.copy_(own.get("bias_rec", torch.zeros_like(own["bias"])))
        start = tuple(s[None] for s in torch_all(state))
        expected, final = layer(torch.tensor(x), start if cell == "lstm" else start[0])
        if isinstance(ops, TorchOps):
            w, state, x = own, torch_all(state), torch.tensor(x)
        out, last = ops.recurrence(cell, x, state, w)
    np.testing.assert_allclose(out, expected, atol=1e-5)
    for got, want in zip(last, final if cell == "lstm" else (final,), strict=True):
        np.testing.assert_allclose(got, want[0], atol=1e-5)


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def by_hand(x, h, c, w):
    """One sequence through an lstm with peepholes, number by number."""
    outputs = []
    for step in x:
        z = [
            w["bias"][row]
            + sum(a * v for a, v in zip(w["w_in"][row], step, strict=True))
            + sum(a * v for a, v in zip(w["w_rec"][row], h, strict=True))
            for row in range(4 * SIZE)
        ]
        new_h, new_c = [], []
        for i in range(SIZE):
            gate_in = sigmoid(z[i] + w["peephole"][0, i] * c[i])
            forget = sigmoid(z[SIZE + i] + w["peephole"][1, i] * c[i])
            cell = forget * c[i] + gate_in * math.tanh(z[2 * SIZE + i])
            new_c.append(cell)
            new_h.append(sigmoid(z[3 * SIZE + i] + w["peephole"][2, i] * cell) * math.tanh(cell))
        h, c = new_h, new_c
        outputs.append(h)
    return np.array(outputs), np.array(c)


def test_peepholes_equal_a_loop_by_hand():
    w, (h, c), x = weights("lstm", peephole=True), state_of("lstm"), draw(BATCH, STEPS, WIDTH)
    out, last = NumpyOps().recurrence("lstm", x, (h, c), w)
    fused, _ = TorchOps().recurrence("lstm", torch.tensor(x), torch_all((h, c)), torch_all(w))
    for b in range(BATCH):
        expected, cell = by_hand(x[b], h[b], c[b], w)
        np.testing.assert_allclose(out[b], expected, atol=1e-5)
        np.testing.assert_allclose(fused[b], expected, atol=1e-5)
        np.testing.assert_allclose(last[1][b], cell, atol=1e-5)


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "relu"])
def test_activations_agree_without_overflow(name):
    x = np.array([-1e4, -90.0, -1.0, 0.0, 1.0, 90.0, 1e4], dtype=np.float32)
    with np.errstate(all="raise", under="ignore"):
        out = NumpyOps().activation(name)(x)
    np.testing.assert_allclose(out, TorchOps().activation(name)(torch.tensor(x)), atol=1e-6)


def test_operations_agree():
    numpy, fused = NumpyOps(), TorchOps()
    x = draw(2, 3, 4)
    for name, arguments in {"take": ([2, 0, 2], 1), "mean": (1,), "relu": (), "tanh": ()}.items():
        ours, theirs = (getattr(ops, name)(ops.asarray(x), *arguments) for ops in (numpy, fused))
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    for ops in (numpy, fused):
        a = ops.asarray(x)
        assert tuple(ops.stack([a, a], 1).shape) == (2, 2, 3, 4)
        assert tuple(ops.concat([a, a], 2).shape) == (2, 3, 8)
        assert tuple(ops.expand(a[:, :1], (2, 5, 4)).shape) == (2, 5, 4)
        assert float(ops.zeros((2, 2)).sum()) == 0


def test_dropout_keeps_the_mean_and_its_own_randomness():
    x = torch.ones(200, 50)
    before = torch.get_rng_state()
    dropped = TorchOps(training=True, generator=torch.Generator().manual_seed(0)).dropout(x, 0.25)
    assert torch.equal(torch.get_rng_state(), before)
    assert sorted(dropped.unique().tolist()) == pytest.approx([0, 4 / 3])
    assert float(dropped.mean()) == pytest.approx(1, abs=0.02)
    assert torch.equal(TorchOps().dropout(x, 0.25), x)
    assert NumpyOps().dropout(x.numpy(), 0.25).all()


@pytest.mark.parametrize("cell", GATES)
def test_a_fused_kernel_that_is_differentiated_knows_it(cell, monkeypatch):
    """cuDNN gives a gradient of what it has run in training mode only, and not every trainer trains with dropout."""
    name, told = "rnn_tanh" if cell == "rnn" else cell, []
    kernel = getattr(torch, name)
    monkeypatch.setattr(torch, name, lambda *given: told.append(given[6]) or kernel(*given))
    given = cell, torch.tensor(draw(BATCH, STEPS, WIDTH)), torch_all(state_of(cell)), torch_all(weights(cell))
    TorchOps().recurrence(*given)
    with torch.inference_mode():
        TorchOps(training=True).recurrence(*given)
    assert told == [True, False]


@pytest.mark.parametrize("cell", GATES)
def test_truncation_changes_the_gradient_and_not_the_output(cell):
    w, state = torch_all(weights(cell)), torch_all(state_of(cell))

    def run(truncate):
        x = torch.tensor(draw(BATCH, STEPS, WIDTH), requires_grad=True)
        out, _ = TorchOps(truncate=truncate).recurrence(cell, x, state, w)
        out[:, -1].sum().backward()
        return out.detach(), x.grad

    full, every = run(0)
    cut, some = run(3)
    same, again = run(STEPS)
    torch.testing.assert_close(cut, full)
    assert torch.equal(same, full)
    assert torch.equal(again, every)
    assert torch.count_nonzero(some[:, : STEPS - 3]) == 0
    torch.testing.assert_close(some[:, STEPS - 3 :], every[:, STEPS - 3 :])
