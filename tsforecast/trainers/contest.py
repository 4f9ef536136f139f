"""By which training windows many networks are judged, and which of them is the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from deap import tools

from tsforecast.config import option
from tsforecast.trainers.base import Arrays, FloatArray, Spent, endless, finite
from tsforecast.trainers.individuals import Losses, individuals, same_genes
from tsforecast.trainers.objective import Objective, chance_of_truth
from tsforecast.trainers.population import WAYS, Evaluator, Genome

START, SAMPLES = (1 << 32) - 1, 1 << 32  # what follows the seed for the first rows and for samples, beyond any step


@dataclass(frozen=True)
class ContestConfig:
    """Options of trainers that judge many networks by samples of windows."""

    windows: int = option(
        0, "Training windows that a step is judged by, the same for all; 0: enough for 3000 values to forecast.", low=0
    )
    resample: int = option(10, "Steps that share one sample of windows.", low=1)
    way: str = option(
        "auto",
        "How networks are computed: together, one by one through fused kernels, or the faster way by trial (auto). The "
        "last bits differ: where both are nearly as fast, name one for the same weights in every run.",
        choices=tuple(WAYS),
    )
    fitness: str = option("loss", "What is minimised: loss, a metric by name, or a CSV file of costs (error,cost).")

    @property
    def point_only(self) -> str:
        """Why no quantile levels can be trained, for :class:`Trainer`."""
        return "" if self.fitness == "loss" else f"trainer.fitness={self.fitness} scores a point forecast"


class Contest:
    """Judges networks by samples of training windows; the answer is the best network of the present sample.

    Everybody is judged by the same windows (common random numbers). A new sample is drawn every ``resample`` steps; the
    answer is judged again by it, and so must be whoever else lives on. A network that can be shown the truth inside a
    window is shown it less and less often over the first half of the training.

    Args:
        objective: What is minimised.
        genome: How rows become parameters.
        config: The trainer's options.
        seed: Seed of the samples.
        spent: Share of the time budget that is spent.
    """

    def __init__(
        self, objective: Objective, genome: Genome, config: ContestConfig, seed: int, spent: Spent = endless
    ) -> None:
        self.evaluator = Evaluator(objective, genome, config.windows, config.way, spent)
        self.resample, self._seed = config.resample, seed
        self._varies = objective.teachable or self.evaluator.windows < objective.n_train
        self._hall = tools.HallOfFame(1, similar=same_genes)
        self._sample, self._chance = -1, 1.0
        self._drawn = -1
        self._valid, self._validated = float("inf"), np.zeros(0, np.float32)

    def first(self, params: Mapping[str, FloatArray], count: int, sigma: float) -> FloatArray:
        """Return the first rows (count, d), made by :meth:`Genome.initial`."""
        return self.evaluator.genome.initial(params, count, sigma, np.random.default_rng([self._seed, START]))

    def open(self, step: int, share: float) -> bool:
        """Begin step 0, 1, ...; return whether the living are to be judged by other windows than before.

        Args:
            step: Steps done.
            share: Of the training that is done, 0 to 1.
        """
        sample = step // self.resample if self._varies else 0
        changes = sample != self._sample
        if changes:
            self._sample, self._chance = sample, chance_of_truth(share)
        if self._drawn != sample:
            self.evaluator.draw(np.random.default_rng([self._seed, SAMPLES, sample]), self._chance)
            self._drawn = sample
        if changes and len(self._hall):
            answer = self.answer[None]
            self._hall.clear()
            self.judge(answer)
        return changes

    def judge(self, rows: FloatArray) -> Losses:
        """Return the losses (n,) of rows (n, d) over the sample."""
        losses = self.evaluator.losses(rows)
        self.enter(rows, losses)
        return losses

    def enter(self, rows: FloatArray, losses: Losses) -> None:
        """Take note of rows (n, d) whose losses (n,) over the sample are known."""
        best = [losses.argmin()]  # nobody else could enter a hall of one
        self._hall.update(individuals(rows[best], losses[best]))

    @property
    def answer(self) -> FloatArray:
        """The best row (d,) of the present sample."""
        row: FloatArray = self._hall[0].row
        return row

    @property
    def loss(self) -> float:
        """Its loss over the sample."""
        return finite(self._hall[0].fitness.values[0])

    def valid_loss(self) -> float:
        """Return its validation loss, which is computed only when the answer is another than the last time."""
        if not np.array_equal(self.answer, self._validated):
            self._validated = self.answer
            self._valid = finite(self.evaluator.valid_loss(self.answer))
        return self._valid

    def state(self) -> Arrays:
        """Return everything that is needed to go on."""
        counters = np.array([self._sample, self._chance, self._valid, *self._hall[0].fitness.values])
        return {"contest": counters, "answer": self.answer.copy()} | self.evaluator.state()

    def restore(self, state: Arrays) -> None:
        """Continue from :meth:`state`."""
        sample, self._chance, self._valid, loss = map(float, state["contest"])
        self._sample = int(sample)
        self.enter(state["answer"][None], np.array([loss]))
        self._validated = self.answer
        self.evaluator.restore(state)
