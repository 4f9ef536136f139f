"""NSGA-II over the genomes of a space, through DEAP."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Generator, Sequence
from typing import Any

from tsforecast.tuning.space import Candidate, Space

CROSSOVER = 0.9  # share of the couples that exchange genes: Deb et al. (2002), section V
ATTEMPTS = 50  # at making a candidate that has not been tried

Search = Generator[Candidate, tuple[float, ...], None]


def nsga2(
    space: Space,
    *,
    objectives: int,
    population: int,
    generations: int,
    seed: int,
    allowed: Callable[[Candidate], bool] = lambda _: True,
) -> Search:
    """Yield candidates, no two alike, and be sent the objectives of each: smaller is better, ``inf`` has failed.

    The first generation has the default of every model in it, the rest is drawn. The search ends early when there is
    nothing new left to try.

    Args:
        space: What can be tried.
        objectives: How many numbers are sent.
        population: Candidates per generation, a multiple of four.
        generations: Generations at most, the first one included.
        seed: Of all draws; the global state of ``random`` is not touched.
        allowed: Says of a candidate that was drawn or bred whether it is worth a trial.

    Source: K. Deb, A. Pratap, S. Agarwal & T. Meyarivan, IEEE Trans. Evolutionary Computation 6 (2002), 182-197.
    """
    from deap import tools

    breeder = _Breeder(space, objectives, seed, allowed)
    pool = breeder.founders(population)
    for _ in range(generations):
        for individual in pool:
            if not individual.fitness.valid:
                individual.fitness.values = yield space.candidate(individual)
        parents = tools.selNSGA2(pool, population)  # measures the crowding, too
        children = breeder.children(parents, population) if len(parents) == population else []
        if not children:
            return
        pool = parents + children


class _Breeder:
    """Makes individuals: lists of genes that carry a fitness, as DEAP's operators want them.

    Args:
        space: What can be tried.
        objectives: How many numbers a fitness has.
        seed: Of all draws.
        allowed: As in :func:`nsga2`.
    """

    def __init__(self, space: Space, objectives: int, seed: int, allowed: Callable[[Candidate], bool]) -> None:
        from deap import base

        self._space, self._seed, self._generation, self._allowed = space, seed, 0, allowed
        self._last = [len(setting.values) - 1 for setting in space.settings]
        self._known: set[frozenset[tuple[str, Any]]] = set()
        fitness = type("Fitness", (base.Fitness,), {"weights": (-1.0,) * objectives})

        class Individual(list[int]):
            def __init__(self, genes: Sequence[int]) -> None:
                super().__init__(genes)
                self.fitness = fitness()

        self._individual = Individual

    def founders(self, count: int) -> list[Any]:
        """Return the default of every model and random individuals, fewer if there are no more."""
        from tsforecast.trainers.individuals import own_randomness

        found = [self._individual(genes) for genes in self._space.defaults[:count] if self._is_new(genes)]
        with own_randomness((self._seed, self._generation)):
            for _ in range(count * ATTEMPTS):
                genes = [random.randint(0, last) for last in self._last]
                if len(found) < count and self._is_promising(genes):
                    found.append(self._individual(genes))
        return found

    def children(self, parents: list[Any], count: int) -> list[Any]:
        """Return individuals that no one has seen, fewer if there are no more."""
        from deap import tools

        from tsforecast.trainers.individuals import own_randomness

        found: list[Any] = []
        self._generation += 1
        with own_randomness((self._seed, self._generation)):
            for _ in range(ATTEMPTS):
                chosen = [self._individual(parent) for parent in tools.selTournamentDCD(parents, len(parents))]
                for one, other in zip(chosen[::2], chosen[1::2], strict=True):
                    if random.random() < CROSSOVER:
                        tools.cxUniform(one, other, 0.5)
                    for child in (one, other):
                        share = 1 / max(len(self._space.candidate(child)), 1)  # about one of the genes that count
                        tools.mutUniformInt(child, 0, self._last, share)
                        if len(found) < count and self._is_promising(child):
                            found.append(child)
                if len(found) == count:
                    break
        return found

    def _is_promising(self, genes: Sequence[int]) -> bool:
        return self._is_new(genes) and self._allowed(self._space.candidate(genes))

    def _is_new(self, genes: Sequence[int]) -> bool:
        """Take note of a candidate; return whether it is the first of its kind."""
        key = frozenset(self._space.candidate(genes).items())
        if key in self._known:
            return False
        self._known.add(key)
        return True


def dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    """Return whether one is nowhere worse than the other and somewhere better."""
    return all(a <= b for a, b in zip(one, other, strict=True)) and tuple(one) != tuple(other)


def front(points: Sequence[Sequence[float]]) -> list[int]:
    """Return which of the points no other one dominates, sorted by the first objective; failures are left out."""
    alive = [i for i, point in enumerate(points) if all(map(math.isfinite, point))]
    best = [i for i in alive if not any(dominates(points[j], points[i]) for j in alive)]
    return sorted(best, key=lambda i: (*points[i], i))
