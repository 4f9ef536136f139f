"""The array operations a network may use, and the recurrences written once in terms of them.

A network calls only these operations, the operators ``+ - * / @`` (and ``%`` between whole numbers), slicing, and what
arrays of NumPy and torch have under one name: ``.shape``, ``.reshape(shape)``, ``.swapaxes(a, b)``, ``.T`` of a matrix
and ``.sum(axis)``, the axis by its position. So the same equations run under NumPy (prediction without torch), under
torch with fused kernels (training) and under ``torch.func.vmap`` (a population).

Arrays are whatever the back end uses; shapes in the docstrings are (batch, steps, features) unless said otherwise.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = Any
State = tuple[Array, ...]
Weights = Mapping[str, Array]
GroupCall = Callable[["Ops", dict[str, Array], dict[str, Array]], Array]


class Ops(ABC):
    """One back end. Final classes: ``NumpyOps`` and ``TorchOps``.

    Attributes:
        training: Whether parameters are being trained: dropout is active, and members of an ensemble answer apart.
    """

    training: bool = False

    @abstractmethod
    def asarray(self, values: Any) -> Array:
        """Return ``values`` as a float32 array of this back end."""

    @abstractmethod
    def zeros(self, shape: Sequence[int]) -> Array:
        """Return float32 zeros of ``shape``."""

    @abstractmethod
    def concat(self, arrays: Sequence[Array], axis: int) -> Array:
        """Join arrays along an existing axis."""

    @abstractmethod
    def stack(self, arrays: Sequence[Array], axis: int) -> Array:
        """Join arrays along a new axis."""

    @abstractmethod
    def expand(self, x: Array, shape: Sequence[int]) -> Array:
        """Broadcast ``x`` to ``shape``."""

    @abstractmethod
    def take(self, x: Array, index: Sequence[int] | NDArray[np.int64], axis: int) -> Array:
        """Pick fixed positions along an axis."""

    @abstractmethod
    def steps(self, first: int, end: int) -> Array:
        """Return the whole numbers ``first``, ..., ``end - 1``."""

    @abstractmethod
    def lookup(self, table: Array, places: Array) -> Array:
        """Pick rows of a table (W, ...) by an integer array (B, n): (B, n, ...)."""

    @abstractmethod
    def tanh(self, x: Array) -> Array:
        """Hyperbolic tangent."""

    @abstractmethod
    def sigmoid(self, x: Array) -> Array:
        """Logistic function 1 / (1 + exp(-x))."""

    @abstractmethod
    def relu(self, x: Array) -> Array:
        """The larger of x and 0."""

    @abstractmethod
    def softplus(self, x: Array) -> Array:
        """The smooth positive part log(1 + exp(x))."""

    @abstractmethod
    def sqrt(self, x: Array) -> Array:
        """Square root."""

    @abstractmethod
    def mean(self, x: Array, axis: int) -> Array:
        """Mean along an axis, which is kept with length 1."""

    @abstractmethod
    def dropout(self, x: Array, rate: float) -> Array:
        """Zero a share ``rate`` of the entries and scale up the rest; the identity outside training."""

    @abstractmethod
    def by_group(self, codes: Array, params: Weights, arrays: Mapping[str, Array], call: GroupCall) -> Array:
        """Run ``call`` on the rows of each group, with parameters of the group's own.

        Args:
            codes: (B,) integers, the number of each row's group.
            params: (G, ...) arrays, one entry per group.
            arrays: (B, ...) arrays.
            call: (back end, (...) parameters, (n, ...) rows of a group) -> (n, ...).

        Returns:
            (B, ...), every row in its place.
        """

    def recurrence(self, cell: str, x: Array, state: State, weights: Weights) -> tuple[Array, State]:
        """Run one recurrent layer over a sequence.

        Args:
            cell: ``rnn``, ``lstm`` or ``gru``.
            x: (B, L, I) inputs.
            state: ``(h,)`` or, for lstm, ``(h, c)``; each (B, D).
            weights: ``w_in`` (G*D, I), ``w_rec`` (G*D, D), ``bias`` (G*D,), for gru also ``bias_rec`` (3*D,), for an
                lstm with peepholes also ``peephole`` (3, D).

        Returns:
            The outputs (B, L, D) and the state after the last step.
        """
        step = CELLS[cell]
        projected = x @ weights["w_in"].T + weights["bias"]
        outputs = []
        for t in range(x.shape[1]):
            state = step(self, projected[:, t], state, weights)
            outputs.append(state[0])
        return self.stack(outputs, 1), state

    def activation(self, name: str) -> Callable[[Array], Array]:
        """Return the activation function called ``name``."""
        return {"tanh": self.tanh, "sigmoid": self.sigmoid, "relu": self.relu}[name]


def rnn_step(ops: Ops, projected: Array, state: State, w: Weights) -> State:
    """Elman (1990): h_t = tanh(W x_t + U h_{t-1} + b)."""
    return (ops.tanh(projected + state[0] @ w["w_rec"].T),)


def lstm_step(ops: Ops, projected: Array, state: State, w: Weights) -> State:
    """Long short-term memory with forget gate, gates in the order i, f, g, o.

    Hochreiter & Schmidhuber (1997), Gers et al. (2000); with ``peephole`` the gates also see the cell, Gers,
    Schraudolph & Schmidhuber (2002): i and f see c_{t-1}, o sees c_t.
    """
    h, c = state
    size = h.shape[-1]
    z = projected + h @ w["w_rec"].T
    zi, zf, zg, zo = (z[..., k * size : (k + 1) * size] for k in range(4))
    peephole = w.get("peephole")
    if peephole is not None:
        zi, zf = zi + c * peephole[0], zf + c * peephole[1]
    c = ops.sigmoid(zf) * c + ops.sigmoid(zi) * ops.tanh(zg)
    if peephole is not None:
        zo = zo + c * peephole[2]
    return ops.sigmoid(zo) * ops.tanh(c), c


def gru_step(ops: Ops, projected: Array, state: State, w: Weights) -> State:
    """Gated recurrent unit, gates in the order r, z, n: Cho et al. (2014), reset after the product as in cuDNN."""
    (h,) = state
    size = h.shape[-1]
    recurrent = h @ w["w_rec"].T + w["bias_rec"]
    gates = ops.sigmoid(projected[..., : 2 * size] + recurrent[..., : 2 * size])
    reset, update = gates[..., :size], gates[..., size:]
    candidate = ops.tanh(projected[..., 2 * size :] + reset * recurrent[..., 2 * size :])
    return (candidate + update * (h - candidate),)


CELLS: dict[str, Callable[[Ops, Array, State, Weights], State]] = {
    "rnn": rnn_step,
    "lstm": lstm_step,
    "gru": gru_step,
}
GATES = {"rnn": 1, "lstm": 4, "gru": 3}
