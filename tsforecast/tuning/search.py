"""The search itself: candidates from NSGA-II to the bench and back, until it ends, its time is over, or Ctrl-C."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tsforecast.durations import seconds
from tsforecast.errors import TrainingError, UsageError
from tsforecast.options import TuneOptions
from tsforecast.tuning.bench import Bench, Limits, Trial
from tsforecast.tuning.nsga2 import front, nsga2

TRIAL_STEPS = 5


@dataclass(frozen=True)
class Study:
    """What a search has found.

    Attributes:
        trials: In the order in which they were made.
        objectives: Names of what was minimised.
        ended: Why the search ended: ``finished``, ``exhausted``, ``time budget`` or ``interrupted``.
    """

    trials: tuple[Trial, ...]
    objectives: tuple[str, ...]
    ended: str

    @property
    def failed(self) -> list[Trial]:
        """Candidates that could not be made or diverged."""
        return [trial for trial in self.trials if trial.problem]

    @property
    def front(self) -> list[Trial]:
        """Candidates that no other one dominates, sorted by the first objective."""
        return [self.trials[i] for i in front([values(trial, self.objectives) for trial in self.trials])]

    @property
    def best(self) -> Trial:
        """The candidate with the lowest loss.

        Raises:
            TrainingError: All have failed.
        """
        alive = [trial for trial in self.trials if not trial.problem]
        if not alive:
            first = self.trials[0]
            raise TrainingError(
                f"no candidate could be trained, {len(self.trials)} tried; the first: {first.problem}",
                hint=first.hint or "search other values with --search",
            )
        return min(alive, key=lambda trial: (trial.loss, trial.parameters))


def values(trial: Trial, objectives: Sequence[str]) -> tuple[float, ...]:
    """Return the objectives of a trial by their names."""
    return tuple(float(getattr(trial, name)) for name in objectives)


def search(bench: Bench, options: TuneOptions, *, budget: str = "", on_trial: Callable[[Trial], None]) -> Study:
    """Try candidates one after the other.

    Args:
        bench: Trains and judges them.
        options: Of the search.
        budget: Time for all of it, as ``60s``; the trial that runs when it ends is cut short.
        on_trial: Called after every one.

    Raises:
        UsageError: Options that do not make sense.
    """
    check(options)
    limits = limits_of(options)
    stream = nsga2(
        bench.space,
        objectives=len(options.objective),
        population=options.population,
        generations=options.generations,
        seed=bench.options.seed,
        allowed=bench.buildable,
    )
    trials: list[Trial] = []
    end = time.monotonic() + (seconds(budget) or math.inf)
    try:
        candidate = next(stream)
        while True:
            left = end - time.monotonic()
            if left <= 0 and trials:
                return Study(tuple(trials), options.objective, "time budget")
            trial = bench.run(len(trials) + 1, candidate, Limits(limits.steps, min(limits.seconds, left)))
            trials.append(trial)
            on_trial(trial)
            candidate = stream.send(values(trial, options.objective))
    except StopIteration:
        most = options.population * options.generations
        return Study(tuple(trials), options.objective, "finished" if len(trials) == most else "exhausted")
    except KeyboardInterrupt:
        return Study(tuple(trials), options.objective, "interrupted")


def limits_of(options: TuneOptions) -> Limits:
    """Return how long a candidate is trained."""
    return Limits(
        steps=options.trial_steps or (0 if options.trial_budget else TRIAL_STEPS),
        seconds=seconds(options.trial_budget, "trial_budget") or math.inf,
    )


def check(options: TuneOptions) -> None:
    """Refuse options of a search that do not make sense.

    Raises:
        UsageError: A population that is no multiple of four, the same objective twice, a budget that is no time.
    """
    if options.population % 4:
        hint = f"use --population {-(-options.population // 4) * 4}: couples are chosen from groups of four"
        raise UsageError(f"--population {options.population} is not a multiple of four", hint=hint)
    if not options.objective or len(set(options.objective)) < len(options.objective):
        raise UsageError(
            "--objective names something twice, or nothing", hint="write --objective loss,parameters, or loss"
        )
    limits_of(options)
