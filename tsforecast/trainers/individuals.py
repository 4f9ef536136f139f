"""Individuals as DEAP sees them: a row of one array and its fitness; and DEAP's randomness kept to itself."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from deap import base
from numpy.typing import NDArray

from tsforecast.trainers.base import FloatArray

Losses = NDArray[np.float64]
WORST = 1e300  # of each of two objectives: with inf, the crowding distance would be inf - inf


class Loss(base.Fitness):  # type: ignore[misc]
    """One objective, to be minimised."""

    weights = (-1.0,)


class LossAndSize(base.Fitness):  # type: ignore[misc]
    """Two objectives, both to be minimised: the loss and the mean squared weight."""

    weights = (-1.0, -1.0)


class Individual:
    """A row of the population's array with its fitness; a copy costs one row.

    Args:
        row: (d,) genes, a view.
        fitness: An instance of :class:`Loss` or :class:`LossAndSize`.
    """

    __slots__ = ("fitness", "row")

    def __init__(self, row: FloatArray, fitness: base.Fitness) -> None:
        self.row, self.fitness = row, fitness

    def __len__(self) -> int:
        return len(self.row)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.row, dtype=dtype) if copy else np.asarray(self.row, dtype=dtype)

    def __deepcopy__(self, memo: Any) -> Individual:
        fitness = self.fitness.__class__()
        fitness.wvalues = self.fitness.wvalues
        return Individual(self.row.copy(), fitness)


def same_genes(a: Individual, b: Individual) -> bool:
    """Return whether two individuals are the same network; ``==`` on arrays would give an array."""
    return bool(np.array_equal(a.row, b.row))


def individuals(rows: FloatArray, losses: Losses, *, sized: bool = False) -> list[Individual]:
    """Return the rows (n, d) with their losses (n,) as individuals.

    A loss that is no number is ``inf`` before DEAP compares it: to DEAP a NaN is both better and worse than anything.
    With ``sized`` such a network is the worst in size, too, or a small one could never be dominated.

    Args:
        rows: (n, d) genes.
        losses: (n,) smaller is better.
        sized: Give them two objectives.
    """
    clean = np.where(np.isfinite(losses), losses, np.inf)
    if not sized:
        return [Individual(row, Loss((loss,))) for row, loss in zip(rows, clean.tolist(), strict=True)]
    size = np.where(np.isfinite(clean), np.mean(np.square(rows, dtype=np.float64), axis=1), WORST)
    pairs = zip(np.minimum(clean, WORST).tolist(), size.tolist(), strict=True)
    return [Individual(row, LossAndSize(pair)) for row, pair in zip(rows, pairs, strict=True)]


def genes(chosen: Sequence[Individual]) -> FloatArray:
    """Return the rows of some individuals as one array (k, d) of its own."""
    return np.stack([one.row for one in chosen])


def apart(chosen: Sequence[Individual]) -> tuple[FloatArray, Losses]:
    """Return rows (k, d) and losses (k,) of some individuals: what :func:`individuals` was given, clean."""
    losses = np.array([one.fitness.values[0] for one in chosen])
    return genes(chosen), np.where(losses < WORST, losses, np.inf)


def whole(function: Callable[[FloatArray], Losses], rows: FloatArray) -> Losses:
    """Apply a function of many rows to a whole generation (n, d) in one call: the ``map`` of our toolboxes."""
    return function(rows)


@contextmanager
def own_randomness(seed: Sequence[int]) -> Iterator[np.random.Generator]:
    """Give DEAP, which draws from the global ``random`` and ``numpy.random``, a stream of its own; put both back.

    Args:
        seed: Whole numbers that decide everything drawn inside.

    Yields:
        A generator of the same stream for code that takes one.
    """
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002 - what DEAP uses
    words = np.random.SeedSequence(seed).generate_state(8)
    try:
        random.seed(words.tobytes())
        np.random.seed(words)  # noqa: NPY002
        yield np.random.default_rng(words)
    finally:
        random.setstate(python)
        np.random.set_state(legacy)  # noqa: NPY002
