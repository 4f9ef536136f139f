"""What a search has found, as a Python user takes it: a table to look at, and arguments to train with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tsforecast.options import TuneOptions
from tsforecast.tuning.bench import Bench, Trial
from tsforecast.tuning.search import Study, limits_of

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Tuned:
    """What a search has found.

    Attributes:
        front: Candidates that no other one dominates, a row each: the objectives, then the settings that were searched.
        best: The candidate with the lowest loss, as arguments of ``tsforecast.train``, all but the data.
        loss: Its loss over the validation windows, in standard deviations of the targets in training.
        baselines: Name to loss of what needs no training, likewise.
        ended: Why the search ended: ``finished``, ``exhausted``, ``time budget`` or ``interrupted``.
        notes: What a reader must know.
    """

    front: pd.DataFrame
    best: Mapping[str, Any]
    loss: float
    baselines: Mapping[str, float]
    ended: str
    notes: tuple[str, ...]

    @classmethod
    def of(cls, study: Study, bench: Bench, options: TuneOptions, baselines: Mapping[str, float]) -> Tuned:
        """Sum up a search.

        Args:
            study: Its outcome.
            bench: Where the candidates were judged.
            options: Of the search.
            baselines: Name to loss.

        Raises:
            TrainingError: All candidates have failed.
        """
        import pandas as pd

        best = study.best
        rows = [{name: getattr(trial, name) for name in study.objectives} | trial.candidate for trial in study.front]
        front = pd.DataFrame(rows).astype({"parameters": int} if "parameters" in study.objectives else {})
        notes = tuple(dict.fromkeys((*bench.table.notes, *bench.notes)))  # rows are laid out for every candidate
        return cls(front, _arguments(bench, best, options), best.loss, baselines, study.ended, notes)


def _arguments(bench: Bench, best: Trial, options: TuneOptions) -> dict[str, Any]:
    """Return what trains as the trial did: a learning rate is only good with the steps it was for."""
    forecaster = bench.task(best.candidate, limits_of(options)).forecaster
    parts = (bench.columns_of(best.candidate), bench.read_options, forecaster.options)
    top = {name: value for part in parts for name, value in asdict(part).items()}
    return top | {"model_options": forecaster.model_options, "trainer_options": forecaster.trainer_options}
