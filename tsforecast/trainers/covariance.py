"""Covariance matrix adaptation with DEAP's strategy, restarted with a larger population when it has converged."""

from __future__ import annotations

from typing import Any, ClassVar, final

import numpy as np
from deap import base, cma
from numpy.typing import NDArray

from tsforecast.trainers.base import Arrays, FloatArray
from tsforecast.trainers.individuals import Individual, Losses, genes, individuals
from tsforecast.trainers.strategies import Strategy

CONVERGED = 1e-4  # a spread below this share of the first one
CONDITION = 1e14
MEMORY = 30  # generations, times 1 + d / lambda, without a better median after which a run counts as stagnant


class LazyStrategy(cma.Strategy):  # type: ignore[misc]
    """DEAP's strategy, but the matrix is decomposed only once it has changed by about 1 / d.

    Decomposing costs d^3, everything else d^2; Hansen's own program waits for half of that change.

    Source: N. Hansen, The CMA evolution strategy: a tutorial, arXiv:1604.00772 (2016), appendix A, for the equations;
    their constants are DEAP's.
    """

    pc: NDArray[np.float64]
    ps: NDArray[np.float64]
    centroid: NDArray[np.float64]
    C: NDArray[np.float64]
    decomposed = 0  # the generation of the last decomposition

    def update(self, population: list[Individual]) -> None:
        """Move mean, paths, matrix and step size towards the best of the population; an override of DEAP's."""
        population.sort(key=lambda one: one.fitness, reverse=True)
        steps = (genes(population[: self.mu]) - self.centroid) / self.sigma
        step = self.weights @ steps
        self.centroid = self.centroid + self.sigma * step
        white = self.B @ ((self.B.T @ step) / self.diagD)
        self.ps = (1 - self.cs) * self.ps + np.sqrt(self.cs * (2 - self.cs) * self.mueff) * white  # eq. 43
        self.update_count += 1
        length = float(np.linalg.norm(self.ps)) / self.chiN
        usual = np.sqrt(1 - (1 - self.cs) ** (2 * self.update_count))
        h = float(length / usual < 1.4 + 2 / (self.dim + 1))
        self.pc = (1 - self.cc) * self.pc + h * np.sqrt(self.cc * (2 - self.cc) * self.mueff) * step  # eq. 45
        keep = 1 - self.ccov1 - self.ccovmu + (1 - h) * self.ccov1 * self.cc * (2 - self.cc)
        self.C = keep * self.C + self.ccov1 * np.outer(self.pc, self.pc)  # eq. 47
        self.C += self.ccovmu * (steps.T * self.weights) @ steps
        self.sigma *= float(np.exp(self.cs / self.damps * (length - 1)))  # eq. 44
        if (self.update_count - self.decomposed) * self.dim * (self.ccov1 + self.ccovmu) >= 1:
            self.decompose()

    def decompose(self) -> None:
        """Find the axes B of the distribution and its spreads along them."""
        if not np.isfinite(self.C).all():
            self.diagD = np.full(self.dim, np.nan)
            return
        values, self.B = np.linalg.eigh(self.C)
        self.diagD = np.sqrt(values)
        self.BD = self.B * self.diagD
        self.decomposed = self.update_count


@final
class CmaEs(Strategy):
    """CMA-ES; the mean of the distribution is evaluated beside the samples, as it is often the best of all.

    A run that has converged or stagnates begins anew at another initial network with twice the population, ``restarts``
    times (IPOP).

    Source: N. Hansen & A. Ostermeier, Evolutionary Computation 9 (2001); A. Auger & N. Hansen, IEEE CEC 2005 (IPOP);
    N. Hansen, INRIA RR-7748 (2011), eq. 4, for taking in networks that were improved otherwise.
    """

    most_genes: ClassVar[int] = 2000  # the matrix has d^2 entries, and a decomposition costs d^3
    ARRAYS: ClassVar[tuple[str, ...]] = ("centroid", "pc", "ps", "C", "B", "diagD")

    def __init__(self, config: Any, toolbox: base.Toolbox, start: FloatArray) -> None:
        super().__init__(config, toolbox, start)
        self.start = start
        self.restarted, self.since, self.lowest = 0, 0, np.inf
        self._strategy(start[0], len(start))

    def _strategy(self, center: Any, count: int) -> None:
        self.cma = LazyStrategy(np.asarray(center, np.float64), self.config.sigma, lambda_=count)
        self.toolbox.register("generate", self.cma.generate, np.float32)
        self.toolbox.register("update", self.cma.update)

    def ask(self, rng: np.random.Generator) -> FloatArray:
        if self.begun:
            self._update()
            if self._exhausted() and self.restarted < self.config.restarts:
                self._restart(rng)
            elif self._broken:
                self._strategy(self.rows[self.losses.argmin()], self.cma.lambda_)
        made = self.toolbox.generate()
        return np.stack([*made, self.cma.centroid.astype(np.float32)])

    def tell(self, rows: FloatArray, losses: Losses) -> None:
        self.rows, self.losses = rows, losses

    def parents(self) -> FloatArray:
        """Every candidate is new, so nobody is evaluated twice."""
        return self.rows[:0]

    def _update(self) -> None:
        """Move the distribution to what the last generation has shown, with what was done to it since."""
        steps = self.rows - self.cma.centroid
        whitened = np.linalg.norm((steps @ self.cma.B) / self.cma.diagD, axis=1, keepdims=True) / self.cma.sigma
        size = self.cma.dim
        longest = np.sqrt(size) + 2 * size / (size + 2)
        rows = self.cma.centroid + steps * np.minimum(1.0, longest / np.maximum(whitened, 1e-12))
        same = np.array_equal(self.rows[-1], self.cma.centroid.astype(np.float32))
        count = len(rows) - same  # the mean is no sample of the distribution, unless local search has moved it
        alive = individuals(rows[:count], self.losses[:count])
        with np.errstate(all="ignore"):  # a matrix that is no longer positive is noticed by its eigenvalues
            self.toolbox.update(alive)
        median = float(np.median(self.losses))
        self.since = 0 if median < self.lowest else self.since + 1
        self.lowest = min(self.lowest, median)

    @property
    def _broken(self) -> bool:
        """Whether rounding has left no distribution."""
        return not (np.isfinite(self.cma.centroid).all() and self.cma.diagD.min() > 0 and self.cma.sigma > 0)

    def _exhausted(self) -> bool:
        if self._broken:
            return True
        values = self.cma.diagD
        spread = self.cma.sigma * float(np.sqrt(np.diag(self.cma.C).max())) / self.config.sigma
        stagnant = self.since > MEMORY * (1 + self.cma.dim / self.cma.lambda_)
        return bool(spread < CONVERGED or (values.max() / values.min()) ** 2 > CONDITION or stagnant)

    def _restart(self, rng: np.random.Generator) -> None:
        self.restarted += 1
        self.since, self.lowest = 0, np.inf
        self._strategy(self.start[rng.integers(1, len(self.start))], 2 * self.cma.lambda_)

    def state(self) -> Arrays:
        counts = [self.cma.update_count, self.cma.decomposed, self.cma.lambda_, self.restarted, self.since]
        arrays = {name: np.array(getattr(self.cma, name)) for name in self.ARRAYS}
        return super().state() | arrays | {"counts": np.array(counts), "cma": np.array([self.cma.sigma, self.lowest])}

    def restore(self, state: Arrays) -> None:
        super().restore(state)
        updates, decomposed, size, self.restarted, self.since = map(int, state["counts"])
        self._strategy(state["centroid"], size)
        self.cma.update_count, self.cma.decomposed = updates, decomposed
        self.cma.sigma, self.lowest = map(float, state["cma"])
        for name in self.ARRAYS:
            setattr(self.cma, name, state[name].copy())
        self.cma.BD = self.cma.B * self.cma.diagD

    @property
    def details(self) -> dict[str, float]:
        return {"sigma": float(self.cma.sigma), "restarts": float(self.restarted)}
