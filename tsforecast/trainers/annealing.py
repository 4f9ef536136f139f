"""Simulated annealing of a network's weights, many chains in one batched pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from tsforecast.config import option
from tsforecast.trainers.base import Arrays, Course, FloatArray, ProgressStream, Spent, Trainer, endless
from tsforecast.trainers.contest import Contest, ContestConfig
from tsforecast.trainers.individuals import Losses
from tsforecast.trainers.objective import Objective
from tsforecast.trainers.population import Genome

ACCEPTANCE = 0.3  # of the moves: the step size of a chain grows above it and shrinks below
PACE = 0.1  # of that adaptation, per move
WARMTH = 0.01  # first temperature by the spread of the first losses, most of which is between bad ones


@dataclass(frozen=True)
class AnnealingConfig(ContestConfig):
    """Options of simulated annealing."""

    steps: int = option(1000, "Steps at most; the temperature falls with them, or with the time budget.", low=1)
    chains: int = option(50, "Networks that move at a time.", low=2)
    moves: int = option(5, "Moves of every chain in a step.", low=1)
    temperature: float = option(
        0.0, "When training begins, in units of the loss; 0: a hundredth of the spread of the first losses.", low=0
    )
    cooling: str = option("exponential", "Course of the temperature.", choices=("exponential", "linear"))
    last_temperature: float = option(0.01, "When training ends, as a share of the first one.", low=1e-9, high=1)
    sigma: float = option(0.1, "Size of the first moves, in units of each parameter's own scale.", low=1e-6)
    move_rate: float = option(0.02, "Share of the parameters that a move changes.", low=0, high=1)


@final
class Annealing(Trainer):
    """Metropolis chains at a falling temperature; at every fall, better chains take the place of worse ones.

    A move to a loss that is higher by D is accepted with probability exp(-D / T). When T falls to T', each chain is
    copied in proportion to exp(-(1 / T' - 1 / T) loss), so that the chains stay a sample of the new temperature.

    Source: S. Kirkpatrick, C. D. Gelatt & M. P. Vecchi, Science 220 (1983); K. Hukushima & Y. Iba, AIP Conf. Proc. 690
    (2003), for the copies; C. Andrieu & J. Thoms, Statistics and Computing 18 (2008), section 5, for moves whose size
    follows their acceptance.
    """

    Config: ClassVar[type] = AnnealingConfig
    summary: ClassVar[str] = "Simulated annealing, many chains at a time"
    source: ClassVar[str] = "Kirkpatrick, Gelatt & Vecchi (1983); Hukushima & Iba (2003)"
    cuts_steps: ClassVar[bool] = True
    patience: ClassVar[int] = 100

    def __init__(self, config: AnnealingConfig) -> None:
        super().__init__(config)
        self.point_only = config.point_only
        self._first, self._temperature, self._accepted = config.temperature, config.temperature, 0.0
        self._losses: Losses = np.zeros(0)

    @property
    def population(self) -> int:
        return int(self.config.chains)

    def fit(
        self,
        objective: Objective,
        params: dict[str, FloatArray],
        *,
        seed: int,
        state: Arrays | None = None,
        spent: Spent = endless,
    ) -> ProgressStream:
        course, config = Course(state, spent), self.config
        self._course = course
        self._genome = Genome(params)
        self._contest = Contest(objective, self._genome, config, seed, spent)
        self._rows = self._contest.first(params, config.chains, config.sigma)
        self._sizes = np.full(config.chains, config.sigma, np.float32)
        if state:
            self._restore(state)
        while course.step < config.steps:
            self._anneal(np.random.default_rng([seed, course.step]), course.share(config.steps))
            details = {
                "temperature": self._temperature,
                "acceptance": self._accepted,
                "move_size": float(self._sizes.mean()),
                **self._contest.evaluator.details,
            }
            yield course.tell(self._contest.loss, self._contest.valid_loss(), details)

    def _anneal(self, rng: np.random.Generator, share: float) -> None:
        """Lower the temperature, then move all chains some times."""
        if self._contest.open(self._course.step, share):
            self._losses = self._contest.judge(self._rows)
        self._cool(rng, share)
        accepted = moves = 0
        while moves < self.config.moves and not (moves and self._course.is_over):
            noise = rng.standard_normal(self._rows.shape, dtype=np.float32) * self._sizes[:, None]
            moved = self._rows + noise * (rng.random(self._rows.shape, dtype=np.float32) < self.config.move_rate)
            losses = self._contest.judge(moved)
            taken = metropolis(rng, self._losses, losses, self._temperature)
            self._rows = np.where(taken[:, None], moved, self._rows)
            self._losses = np.where(taken, losses, self._losses)
            self._sizes *= np.exp(PACE * (taken - ACCEPTANCE)).astype(np.float32)
            accepted, moves = accepted + int(taken.sum()), moves + 1
        self._accepted = accepted / (moves * len(self._rows))

    def _cool(self, rng: np.random.Generator, share: float) -> None:
        """Lower the temperature and choose the chains that live on."""
        config, before = self.config, self._temperature
        if not self._first:
            known = self._losses[np.isfinite(self._losses)]
            self._first = WARMTH * float(known.std()) if len(known) else 0.0
        last = config.last_temperature
        fall = last**share if config.cooling == "exponential" else 1 - (1 - last) * share
        self._temperature = self._first * fall
        if 0 < self._temperature < before:
            chosen = survivors(rng, self._losses, 1 / self._temperature - 1 / before)
            self._rows, self._losses, self._sizes = self._rows[chosen], self._losses[chosen], self._sizes[chosen]

    @property
    def params(self) -> dict[str, FloatArray]:
        return self._genome.params(self._contest.answer)

    def state(self) -> Arrays:
        out: Arrays = {"temperature": np.array([self._first, self._temperature])}
        out |= {"rows": self._rows.copy(), "losses": self._losses.copy(), "sizes": self._sizes.copy()}
        return out | self._course.state() | self._contest.state()

    def _restore(self, state: Arrays) -> None:
        """Continue from :meth:`state`."""
        self._first, self._temperature = map(float, state["temperature"])
        self._rows, self._losses, self._sizes = (state[name].copy() for name in ("rows", "losses", "sizes"))
        self._contest.restore(state)


def metropolis(rng: np.random.Generator, before: Losses, after: Losses, temperature: float) -> NDArray[np.bool_]:
    """Return which moves (n,) are accepted: those that are no worse, others with probability exp(-rise / T)."""
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        rise = np.where(np.isfinite(after), after - before, np.inf)  # from inf to anything is a fall: -inf
        chance = np.exp(-np.maximum(rise, 0.0) / temperature) if temperature else (rise <= 0).astype(np.float64)
    return np.asarray(rng.random(len(rise)) < chance)


def survivors(rng: np.random.Generator, losses: Losses, fall: float) -> NDArray[np.int64]:
    """Return the numbers (n,) of the chains that live on, by systematic sampling of exp(-fall * loss).

    Args:
        rng: Source of randomness.
        losses: (n,).
        fall: How much the inverse temperature has grown.
    """
    lowest = losses.min()
    if not np.isfinite(lowest):
        return np.arange(len(losses))
    weight = np.cumsum(np.exp(-fall * (losses - lowest)))
    points = (np.arange(len(losses)) + rng.random()) / len(losses) * weight[-1]
    return np.asarray(np.searchsorted(weight, points).clip(max=len(losses) - 1))
