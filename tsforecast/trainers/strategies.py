"""How a population moves on: a genetic algorithm and differential evolution, with DEAP's selection."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import Any, ClassVar, final

import numpy as np
from deap import base, tools
from numpy.typing import NDArray

from tsforecast.trainers.base import Arrays, FloatArray
from tsforecast.trainers.individuals import Individual, Losses, apart, genes, individuals, same_genes
from tsforecast.trainers.variation import CROSSOVERS, MUTATIONS

TOURNAMENT = 3
SUCCESS = 0.2  # share of children better than their better parent at which the mutation keeps its size


class Strategy(ABC):
    """Proposes candidates and takes note of their losses.

    Genes are in units of their scale. Randomness is that of the caller: the global state, which DEAP draws from, and a
    generator of the same stream.

    Args:
        config: Options of the genetic trainer.
        toolbox: Where operators are registered.
        start: (n, d) the first population.

    Attributes:
        most_genes: Parameters of the largest network that it can move; None: any.
        rows: (n, d) who is alive; after the first generation with ``losses`` (n,).
    """

    most_genes: ClassVar[int | None] = None

    def __init__(self, config: Any, toolbox: base.Toolbox, start: FloatArray) -> None:
        self.config, self.toolbox = config, toolbox
        self.rows: FloatArray = start
        self.losses: Losses = np.zeros(0)

    @property
    def begun(self) -> bool:
        """Whether the first population has its losses."""
        return len(self.losses) > 0

    @abstractmethod
    def ask(self, rng: np.random.Generator) -> FloatArray:
        """Return candidates (m, d) to be evaluated."""

    @abstractmethod
    def tell(self, rows: FloatArray, losses: Losses) -> None:
        """Take note of the losses (m,) of what was asked for; who is alive may change."""

    def parents(self) -> FloatArray:
        """Return the rows whose losses still count when the sample of windows changes."""
        return self.rows

    def state(self) -> Arrays:
        """Return everything that is needed to go on."""
        return {"rows": self.rows.copy(), "losses": self.losses.copy()}

    def restore(self, state: Arrays) -> None:
        """Continue from :meth:`state`."""
        self.rows, self.losses = state["rows"].copy(), state["losses"].copy()

    @property
    def details(self) -> dict[str, float]:
        """What there is to know of the last generation."""
        return {}


@final
class GeneticAlgorithm(Strategy):
    """Selection, crossover, mutation; the mutation's size follows its success.

    Parents win tournaments. ``tournament`` replaces all but the elites by children. ``best`` and ``nsga2`` choose the
    survivors among parents and children, the latter by loss and mean squared weight.

    Source: J. Holland, Adaptation in Natural and Artificial Systems (1975); K. Deb et al., IEEE TEC 6 (2002) for
    NSGA-II; I. Rechenberg, Evolutionsstrategie (1973) for the success rule.
    """

    def __init__(self, config: Any, toolbox: base.Toolbox, start: FloatArray) -> None:
        super().__init__(config, toolbox, start)
        self.strength = config.sigma
        self.sized = config.selection == "nsga2"
        toolbox.register("mate", CROSSOVERS[config.crossover], eta=config.eta)
        toolbox.register("mutate", MUTATIONS[config.mutation], share=config.mutation_rate, eta=config.eta)
        toolbox.register("select", tools.selTournament, tournsize=TOURNAMENT)
        toolbox.register("survive", partial(tools.selNSGA2, nd="log") if self.sized else tools.selBest)

    def ask(self, rng: np.random.Generator) -> FloatArray:
        if not self.begun:
            return self.rows
        self._alive = individuals(self.rows, self.losses, sized=self.sized)
        count = len(self._alive) - (self._elites if self.config.selection == "tournament" else 0)
        parents, losses = apart(self.toolbox.select(self._alive, count + count % 2))
        a, b = self.toolbox.mate(rng, parents[::2], parents[1::2])
        self._expected = np.tile(np.minimum(losses[::2], losses[1::2]), 2)[:count]
        return np.asarray(self.toolbox.mutate(rng, np.concatenate([a, b])[:count], sigma=self.strength))

    @property
    def _elites(self) -> int:
        return int(min(self.config.elites, self.config.population - 1))

    def tell(self, rows: FloatArray, losses: Losses) -> None:
        if not self.begun:
            self.losses = losses
            return
        success = float(np.mean(losses < self._expected))
        self.strength *= float(np.exp(0.5 * (success - SUCCESS)))
        alive, children = self._alive, individuals(rows, losses, sized=self.sized)
        if self.config.selection == "tournament":
            best = tools.HallOfFame(self._elites, similar=same_genes)
            if self._elites:
                best.update(alive)
            survivors: list[Individual] = [*best, *children]
            survivors += self.toolbox.survive(alive, len(alive) - len(survivors))  # the elites are all different
        else:
            survivors = self.toolbox.survive(alive + children, len(alive))
        self.rows, self.losses = apart(survivors)

    def state(self) -> Arrays:
        return super().state() | {"strength": np.array([self.strength])}

    def restore(self, state: Arrays) -> None:
        super().restore(state)
        self.strength = float(state["strength"][0])

    @property
    def details(self) -> dict[str, float]:
        return {"mutation_sigma": self.strength}


@final
class DifferentialEvolution(Strategy):
    """current-to-pbest/1/bin, its factors F and CR adapting themselves row by row.

    v = x + F (pbest - x) + F (x_r1 - x_r2). With probability 0.1 a row tries a new F in (0.1, 1), likewise a new CR in
    (0, 1), and keeps what made a better trial.

    Source: J. Zhang & A. Sanderson, IEEE TEC 13 (2009), eq. 6, for the mutation; J. Brest et al., IEEE TEC 10 (2006),
    eq. 9 and 10, for the factors.
    """

    TRY: ClassVar[float] = 0.1  # tau of Brest et al.
    BEST: ClassVar[float] = 0.1  # p of Zhang & Sanderson: share of the population that counts as best

    def __init__(self, config: Any, toolbox: base.Toolbox, start: FloatArray) -> None:
        super().__init__(config, toolbox, start)
        self.factors: NDArray[np.float32] = np.tile(np.array([0.5, 0.9], np.float32), (len(start), 1))
        toolbox.register("best", tools.selBest, k=max(2, round(self.BEST * len(start))))

    def ask(self, rng: np.random.Generator) -> FloatArray:
        if not self.begun:
            return self.rows
        count, size = self.rows.shape
        fresh = rng.random((count, 2), dtype=np.float32)
        fresh[:, 0] = 0.1 + 0.9 * fresh[:, 0]
        keep = rng.random((count, 2)) >= self.TRY
        self._tried = np.where(keep, self.factors, fresh)
        f, cr = self._tried[:, :1], self._tried[:, 1:]
        best = genes(self.toolbox.best(individuals(self.rows, self.losses)))
        first, second = _others(rng, count)
        moved = self.rows + f * (best[rng.integers(len(best), size=count)] - self.rows)
        moved += f * (self.rows[first] - self.rows[second])
        cross = rng.random((count, size), dtype=np.float32) < cr
        cross[np.arange(count), rng.integers(size, size=count)] = True
        return np.where(cross, moved, self.rows)

    def tell(self, rows: FloatArray, losses: Losses) -> None:
        if not self.begun:
            self.losses = losses
            return
        better = losses <= self.losses
        self.rows = np.where(better[:, None], rows, self.rows)
        self.losses = np.where(better, losses, self.losses)
        self.factors = np.where(better[:, None], self._tried, self.factors)

    def state(self) -> Arrays:
        return super().state() | {"factors": self.factors.copy()}

    def restore(self, state: Arrays) -> None:
        super().restore(state)
        self.factors = state["factors"].copy()

    @property
    def details(self) -> dict[str, float]:
        f, cr = self.factors.mean(axis=0).tolist()
        return {"mean_f": f, "mean_cr": cr}


def _others(rng: np.random.Generator, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return for each of some rows two others, different from it and from one another."""
    own = np.arange(count)
    first = (own + rng.integers(1, count, size=count)) % count
    second = (own + rng.integers(1, count - 1, size=count)) % count
    low, high = (first - own) % count, (second - own) % count
    second = np.where(high >= low, (second + 1) % count, second)
    return first, second
