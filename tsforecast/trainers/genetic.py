"""Evolution of a network's weights, with DEAP as the engine and the whole population in one batched pass."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
from deap import base

from tsforecast.config import option
from tsforecast.errors import UsageError
from tsforecast.trainers.base import Arrays, Best, FloatArray, Progress, ProgressStream, Trainer
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
LEARNING = ("memetic_every", "memetic_steps", "memetic_mode")


@dataclass(frozen=True)
class GeneticConfig(ContestConfig):
    """Options of evolution."""

    strategy: str = option(
        "ga", "What moves the population.", choices=tuple(STRATEGIES), tune=("cma_es", "differential_evolution")
    )
    population: int = option(50, "Networks alive at a time.", low=4)
    generations: int = option(1000, "Generations at most.", low=1)
    crossover: str = option("blend", "Of ga: how two parents make two children.", choices=tuple(CROSSOVERS))
    mutation: str = option("gaussian", "Of ga.", choices=tuple(MUTATIONS))
    selection: str = option(
        "tournament",
        "Of ga: tournament among the parents; best of parents and children; or nsga2 by loss and mean squared weight.",
        choices=("tournament", "nsga2", "best"),
    )
    elites: int = option(4, "Of tournament: best networks that live on unchanged.", low=0)
    mutation_rate: float = option(0.02, "Of ga: share of the genes that mutate.", low=0, high=1)
    eta: float = option(10.0, "Of sbx and polynomial: the larger, the nearer children are to their parents.", low=0)
    sigma: float = option(1.0, "Initial spread, in units of each parameter's own scale.", low=1e-6)
    restarts: int = option(0, "Of cma_es: new beginnings with twice the population, once converged (IPOP).", low=0)
    memetic: str = option("none", "Local search by which the two best networks learn.", choices=("none", *LOCAL))
    memetic_every: int = option(
        0, "Generations between local searches; 0: 50 with adam, 20 with levenberg_marquardt.", low=0
    )
    memetic_steps: int = option(0, "Steps of each local search; 0: 50 of adam, 3 of levenberg_marquardt.", low=0)
    memetic_mode: str = option(
        "lamarckian",
        "What a network has learnt is inherited (lamarckian), or only counts for its fitness (baldwinian).",
        choices=("lamarckian", "baldwinian"),
    )


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
    patience: ClassVar[int] = 100

    def __init__(self, config: GeneticConfig) -> None:
        super().__init__(config)
        _refuse_unused(config)
        self._step, self._best, self._seconds, self._spent = 0, Best(), 0.0, 0.0

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
        self, objective: Objective, params: dict[str, FloatArray], *, seed: int, state: Arrays | None = None
    ) -> ProgressStream:
        began = time.monotonic()
        self._begin(objective, params, seed)
        earlier = self._restore(state) if state else 0.0
        while self._step < self.config.generations:
            with own_randomness([seed, self._step]) as rng:
                details = self._generation(rng, max(self._step / self.config.generations, self._spent))
            self._step += 1
            valid = self._contest.valid_loss()
            improved = self._best.improved_by(valid)
            self._seconds = earlier + time.monotonic() - began
            progress = Progress(self._step, self._contest.loss, valid, improved, self._seconds, details)
            self._spent = (yield progress) or 0.0

    def _begin(self, objective: Objective, params: dict[str, FloatArray], seed: int) -> None:
        config = self.config
        self._genome = Genome(params)
        self._contest = Contest(objective, self._genome, config, seed)
        self._toolbox = base.Toolbox()
        self._toolbox.register("evaluate", self._contest.judge)
        self._toolbox.register("map", whole)
        start = self._contest.first(params, config.population, config.sigma)
        self._strategy = STRATEGIES[config.strategy](config, self._toolbox, start)

    def _generation(self, rng: np.random.Generator, share: float) -> dict[str, float]:
        """Move on by one generation; return what there is to know of it."""
        strategy, toolbox, evaluator = self._strategy, self._toolbox, self._contest.evaluator
        changes = self._contest.open(self._step, share)
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
        return how != "none" and (self._step + 1) % (self.config.memetic_every or RHYTHM[how][0]) == 0

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
        out = {f"strategy/{k}": v for k, v in self._strategy.state().items()} | self._contest.state()
        counters = [self._step, self._best.value, self._seconds, self._spent]
        return out | {"counters": np.array(counters, dtype=np.float64)}

    def _restore(self, state: Arrays) -> float:
        """Continue from :meth:`state`; return the seconds already spent."""
        step, best, seconds, self._spent = map(float, state["counters"])
        self._step, self._best = int(step), Best(best)
        prefix = "strategy/"
        self._strategy.restore({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
        self._contest.restore(state)
        return seconds


def _refuse_unused(config: Any) -> None:
    """Refuse options that would have no effect.

    Raises:
        UsageError: One of them is not at its default.
    """
    defaults = {f.name: f.default for f in dataclasses.fields(config)}
    changed = {name for name, default in defaults.items() if getattr(config, name) != default}
    used = STRATEGIES[config.strategy].uses
    others = frozenset().union(*(strategy.uses for strategy in STRATEGIES.values())) - used
    learning = config.memetic != "none"
    for name in sorted(changed & others):
        owners = [key for key, strategy in STRATEGIES.items() if name in strategy.uses]
        raise UsageError(
            f"trainer.{name} has no effect with trainer.strategy={config.strategy}",
            hint=f"leave it away, or use --set trainer.strategy={owners[0]}",
        )
    for name in sorted(changed & set(LEARNING)) if not learning else ():
        raise UsageError(f"trainer.{name} has no effect without local search", hint="use --set trainer.memetic=adam")
    if "elites" in changed and config.selection != "tournament":
        raise UsageError(
            f"trainer.elites has no effect with trainer.selection={config.selection}, which keeps the best anyway",
            hint="leave it away, or use --set trainer.selection=tournament",
        )
    if "eta" in changed and config.crossover != "sbx" and config.mutation != "polynomial":
        raise UsageError("trainer.eta has no effect without sbx or polynomial", hint="use --set trainer.crossover=sbx")
