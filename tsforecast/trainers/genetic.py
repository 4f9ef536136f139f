"""Evolution of a network's weights, with DEAP as the engine and the whole population in one batched pass."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from deap import base

from tsforecast.config import option
from tsforecast.errors import UsageError
from tsforecast.trainers.base import Arrays, Course, FloatArray, ProgressStream, Spent, Trainer, endless
from tsforecast.trainers.contest import Contest, ContestConfig
from tsforecast.trainers.covariance import CmaEs
from tsforecast.trainers.individuals import own_randomness, whole
from tsforecast.trainers.memetic import LEARNERS, LOCAL, RHYTHM, improve
from tsforecast.trainers.objective import Objective
from tsforecast.trainers.population import Genome
from tsforecast.trainers.strategies import DifferentialEvolution, GeneticAlgorithm, Strategy
from tsforecast.trainers.variation import CROSSOVERS, MUTATIONS

STRATEGIES: dict[str, type[Strategy]] = {
    "ga": GeneticAlgorithm,
    "cma_es": CmaEs,
    "differential_evolution": DifferentialEvolution,
}
GA = {"strategy": ("ga",)}
LEARNING = {"memetic": tuple(LOCAL)}


@dataclass(frozen=True)
class GeneticConfig(ContestConfig):
    """Options of evolution."""

    strategy: str = option(
        "ga", "What moves the population.", choices=tuple(STRATEGIES), tune=("cma_es", "differential_evolution")
    )
    population: int = option(50, "Networks alive at a time.", low=4)
    generations: int = option(1000, "Generations at most.", low=1)
    crossover: str = option("blend", "How two parents make two children.", choices=tuple(CROSSOVERS), when=GA)
    mutation: str = option("gaussian", "How a gene mutates.", choices=tuple(MUTATIONS), when=GA)
    selection: str = option(
        "tournament",
        "Tournament among the parents; best of parents and children; or nsga2 by loss and mean squared weight.",
        choices=("tournament", "nsga2", "best"),
        when=GA,
    )
    elites: int = option(4, "Best networks that live on unchanged.", low=0, when={"selection": ("tournament",)})
    mutation_rate: float = option(0.02, "Share of the genes that mutate.", low=0, high=1, when=GA)
    eta: float = option(
        10.0,
        "The larger, the nearer children are to their parents.",
        low=0,
        when={"crossover": ("sbx",), "mutation": ("polynomial",)},
    )
    sigma: float = option(1.0, "Initial spread, in units of each parameter's own scale.", low=1e-6)
    restarts: int = option(
        0, "New beginnings with twice the population, once converged (IPOP).", low=0, when={"strategy": ("cma_es",)}
    )
    memetic: str = option("none", "Local search by which the two best networks learn.", choices=("none", *LOCAL))
    memetic_every: int = option(
        0, "Generations between local searches; 0: 50 with adam, 20 with levenberg_marquardt.", low=0, when=LEARNING
    )
    memetic_steps: int = option(
        0, "Steps of each local search; 0: 50 of adam, 3 of levenberg_marquardt.", low=0, when=LEARNING
    )
    memetic_mode: str = option(
        "lamarckian",
        "What a network has learnt is inherited (lamarckian), or only counts for its fitness (baldwinian).",
        choices=("lamarckian", "baldwinian"),
        when=LEARNING,
    )

    @property
    def point_only(self) -> str:
        """Why no quantile levels can be trained: the curvature is that of the point forecast alone."""
        if self.memetic == "levenberg_marquardt":
            return "trainer.memetic=levenberg_marquardt fits a point forecast (memetic=adam learns quantiles, too)"
        return super().point_only


@final
class Genetic(Trainer):
    """Genetic algorithm, CMA-ES or differential evolution; one step is a generation.

    All networks of a generation are judged by the same training windows (common random numbers); when these change, the
    living are judged again. The answer of a generation is the best network seen on its windows. In baldwinian mode what
    was learnt is not inherited, but the answer is the network that has learnt: it is what earned the fitness.

    Source: F.-A. Fortin et al., DEAP, JMLR 13 (2012); D. Whitley, V. S. Gordon & K. Mathias, PPSN 1994, for Lamarckian
    and Baldwinian learning; the strategies name their own.
    """

    Config: ClassVar[type] = GeneticConfig
    summary: ClassVar[str] = "Evolution with DEAP: genetic algorithm, CMA-ES, differential evolution, memetic if wanted"
    source: ClassVar[str] = "Holland (1975); Hansen & Ostermeier (2001); Brest et al. (2006); Fortin et al. (2012)"
    cuts_steps: ClassVar[bool] = True
    patience: ClassVar[int] = 100

    def __init__(self, config: GeneticConfig) -> None:
        super().__init__(config)
        self.point_only = config.point_only

    @property
    def steps(self) -> int:
        return int(self.config.generations)

    @property
    def population(self) -> int:
        return int(self.config.population)

    def check(self, params: dict[str, FloatArray]) -> None:
        name, size = self.config.strategy, sum(v.size for v in params.values())
        most = STRATEGIES[name].most_genes
        if most is not None and size > most:
            raise UsageError(
                f"trainer.strategy={name} is for up to {most} parameters, this network has {size}",
                hint="use --set trainer.strategy=ga or differential_evolution, or a smaller network",
            )

    def fit(
        self,
        objective: Objective,
        params: dict[str, FloatArray],
        *,
        seed: int,
        state: Arrays | None = None,
        spent: Spent = endless,
    ) -> ProgressStream:
        course = self._course = Course(state, spent)
        self._begin(objective, params, seed)
        if state:
            self._restore(state)
        while course.step < self.config.generations:
            with own_randomness([seed, course.step]) as rng:
                details = self._generation(rng, course.share(self.config.generations))
            yield course.tell(self._contest.loss, self._contest.valid_loss(), details)

    def _begin(self, objective: Objective, params: dict[str, FloatArray], seed: int) -> None:
        config = self.config
        self._genome = Genome(params)
        self._contest = Contest(objective, self._genome, config, seed, self._course.spent)
        self._toolbox = base.Toolbox()
        self._toolbox.register("evaluate", self._contest.judge)
        self._toolbox.register("map", whole)
        start = self._contest.first(params, config.population, config.sigma)
        self._strategy = STRATEGIES[config.strategy](config, self._toolbox, start)

    def _generation(self, rng: np.random.Generator, share: float) -> dict[str, float]:
        """Move on by one generation; return what there is to know of it."""
        strategy, toolbox, evaluator = self._strategy, self._toolbox, self._contest.evaluator
        changes = self._contest.open(self._course.step, share)
        began, busy = time.perf_counter(), evaluator.seconds
        if changes and strategy.begun and len(strategy.parents()):
            strategy.losses = toolbox.map(toolbox.evaluate, strategy.parents())
        rows = strategy.ask(rng)
        losses = toolbox.map(toolbox.evaluate, rows)
        strategy.tell(rows, losses)
        varied = time.perf_counter() - began - (evaluator.seconds - busy)
        if self._learns:
            self._learn()
        known = losses[np.isfinite(losses)]
        return {
            **({"median_loss": float(np.median(known))} if len(known) else {}),
            **evaluator.details,
            "variation_share": varied / (time.perf_counter() - began),
            **strategy.details,
        }

    @property
    def _learns(self) -> bool:
        how = self.config.memetic
        return how != "none" and (self._course.step + 1) % (self.config.memetic_every or RHYTHM[how][0]) == 0

    def _learn(self) -> None:
        """Let the best learn for a while."""
        config, strategy = self.config, self._strategy
        best = np.argsort(strategy.losses, kind="stable")[:LEARNERS]
        rows, losses = improve(
            self._contest.evaluator, config.memetic, strategy.rows[best], strategy.losses[best], config.memetic_steps
        )
        self._contest.enter(rows, losses)
        strategy.losses[best] = losses
        if config.memetic_mode == "lamarckian":
            strategy.rows[best] = rows

    @property
    def params(self) -> dict[str, FloatArray]:
        return self._genome.params(self._contest.answer)

    def state(self) -> Arrays:
        strategy = {f"strategy/{k}": v for k, v in self._strategy.state().items()}
        return self._course.state() | strategy | self._contest.state()

    def _restore(self, state: Arrays) -> None:
        """Continue from :meth:`state`."""
        prefix = "strategy/"
        self._strategy.restore({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
        self._contest.restore(state)
