"""Crossover and mutation of a whole population at once, as functions of arrays; genes are in units of their scale."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tsforecast.trainers.base import FloatArray

Crossover = Callable[[np.random.Generator, FloatArray, FloatArray, float], tuple[FloatArray, FloatArray]]
Mutation = Callable[[np.random.Generator, FloatArray, float, float, float], FloatArray]
BLEND = 0.5  # alpha of BLX-alpha: Eshelman & Schaffer (1993)
REACH = 6.0  # sigmas to which polynomial mutation can go


def sbx(rng: np.random.Generator, a: FloatArray, b: FloatArray, eta: float) -> tuple[FloatArray, FloatArray]:
    """Simulated binary crossover: children on both sides of the parents, whose mean they keep.

    Source: K. Deb & R. B. Agrawal, Complex Systems 9 (1995), 115-148: the spread factor beta.

    Args:
        rng: Source of randomness.
        a: (n, d) first parents.
        b: (n, d) second parents.
        eta: Distribution index: the larger, the nearer children are to a parent. Each gene is inherited as it is with
            probability one half.
    """
    u = rng.random(a.shape, dtype=np.float32)
    power = np.float32(1 / (eta + 1))
    beta = np.where(u <= 0.5, (2 * u) ** power, (1 / (2 * (1 - u))) ** power)
    beta[rng.random(a.shape, dtype=np.float32) < 0.5] = 1.0
    middle, half = 0.5 * (a + b), 0.5 * beta * (a - b)
    return middle + half, middle - half


def blend(rng: np.random.Generator, a: FloatArray, b: FloatArray, eta: float) -> tuple[FloatArray, FloatArray]:  # noqa: ARG001
    """BLX-alpha: genes uniform between the parents and half their distance beyond; two children mirror each other.

    Source: L. Eshelman & J. Schaffer, Foundations of Genetic Algorithms 2 (1993), 187-202.
    """
    gamma = (1 + 2 * BLEND) * rng.random(a.shape, dtype=np.float32) - BLEND
    return a + gamma * (b - a), b + gamma * (a - b)


def uniform(rng: np.random.Generator, a: FloatArray, b: FloatArray, eta: float) -> tuple[FloatArray, FloatArray]:  # noqa: ARG001
    """Exchange each gene with probability one half: G. Syswerda, ICGA 1989."""
    swap = rng.random(a.shape, dtype=np.float32) < 0.5
    return np.where(swap, b, a), np.where(swap, a, b)


def gaussian(rng: np.random.Generator, x: FloatArray, share: float, sigma: float, eta: float) -> FloatArray:  # noqa: ARG001
    """Add normal noise of standard deviation ``sigma`` to a ``share`` of the genes of (n, d)."""
    moved, chosen = x.copy(), rng.random(x.shape, dtype=np.float32) < share
    moved[chosen] += np.float32(sigma) * rng.standard_normal(np.count_nonzero(chosen), dtype=np.float32)
    return moved


def polynomial(rng: np.random.Generator, x: FloatArray, share: float, sigma: float, eta: float) -> FloatArray:
    """Move a ``share`` of the genes of (n, d) by a polynomially distributed step, at most ``REACH * sigma`` long.

    Source: K. Deb & M. Goyal, Computer Science and Informatics 26 (1996), 30-45: the perturbation delta.
    """
    u = rng.random(x.shape, dtype=np.float32)
    power = np.float32(1 / (eta + 1))
    delta = np.where(u < 0.5, (2 * u) ** power - 1, 1 - (2 * (1 - u)) ** power)
    return x + np.float32(REACH * sigma) * delta * (rng.random(x.shape, dtype=np.float32) < share)


CROSSOVERS: dict[str, Crossover] = {"sbx": sbx, "blend": blend, "uniform": uniform}
MUTATIONS: dict[str, Mutation] = {"gaussian": gaussian, "polynomial": polynomial}
