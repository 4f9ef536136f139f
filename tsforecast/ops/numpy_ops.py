"""The NumPy back end: prediction with no torch in the process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from tsforecast.ops.base import Array, GroupCall, Ops, Weights


@final
class NumpyOps(Ops):
    """Operations on float32 NumPy arrays, for prediction only."""

    def asarray(self, values: Any) -> Array:
        return np.asarray(values, dtype=np.float32)

    def zeros(self, shape: Sequence[int]) -> Array:
        return np.zeros(shape, dtype=np.float32)

    def concat(self, arrays: Sequence[Array], axis: int) -> Array:
        return np.concatenate(arrays, axis=axis)

    def stack(self, arrays: Sequence[Array], axis: int) -> Array:
        return np.stack(arrays, axis=axis)

    def expand(self, x: Array, shape: Sequence[int]) -> Array:
        return np.broadcast_to(x, tuple(shape))

    def take(self, x: Array, index: Sequence[int] | NDArray[np.int64], axis: int) -> Array:
        return np.take(x, index, axis=axis)

    def steps(self, first: int, end: int) -> Array:
        return np.arange(first, end)

    def lookup(self, table: Array, places: Array) -> Array:
        return table[places]

    def tanh(self, x: Array) -> Array:
        return np.tanh(x)

    def sigmoid(self, x: Array) -> Array:
        return 0.5 + 0.5 * np.tanh(0.5 * x)  # the same function; exp(-x) would overflow for large negative x

    def relu(self, x: Array) -> Array:
        return np.maximum(x, 0)

    def softplus(self, x: Array) -> Array:
        return np.logaddexp(x, np.float32(0))

    def sqrt(self, x: Array) -> Array:
        return np.sqrt(x)

    def mean(self, x: Array, axis: int) -> Array:
        return x.mean(axis=axis, keepdims=True)

    def by_group(self, codes: Array, params: Weights, arrays: Mapping[str, Array], call: GroupCall) -> Array:
        order = np.argsort(codes, kind="stable")
        groups, first = np.unique(codes[order], return_index=True)
        out = None
        for group, rows in zip(groups, np.split(order, first[1:]), strict=True):
            own = {name: value[group] for name, value in params.items()}
            made = call(self, own, {name: value[rows] for name, value in arrays.items()})
            out = np.empty((len(codes), *made.shape[1:]), made.dtype) if out is None else out
            out[rows] = made
        return out

    def dropout(self, x: Array, rate: float) -> Array:  # noqa: ARG002 - prediction keeps everything
        return x
