"""Who forecasts best: a ranking of models and baselines, and what may be claimed about it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tsforecast.evaluating.verdict import NEGLIGIBLE, SIGNIFICANT
from tsforecast.metrics.groups import Standing

if TYPE_CHECKING:
    import pandas as pd

    from tsforecast.artifact import Artifact

TOP, BEHIND = "top", "behind"


@dataclass(frozen=True)
class Row:
    """One model or baseline.

    Attributes:
        model: Name of the entry or of the baseline.
        rank: 1, 2, ... by the first metric on the test folds; None: it has failed.
        scores: Metric to score on the test folds, the mean over the seeds.
        by_target: Metric to target to score, likewise.
        spread: Standard deviation of the first score over the seeds; NaN with one, and for baselines.
        valid: First score on the validation folds; NaN for baselines.
        skill: 1 - score / score of the best baseline; NaN where larger is better.
        p_value: Diebold-Mariano test against the first, adjusted by Holm; NaN for the first itself.
        margin: Half the width of the 95 % interval of the difference to the first.
        group: ``top`` where it is not distinguishable from the first, else ``behind``.
        parameters: Size of the network.
        seconds: Of training, of all seeds together.
        steps: Of training, of all seeds together.
        ended: Why training ended: ``finished``, ``patience``, ``time budget``; ``failed``, or ``baseline``.
        problem: Why it has failed.
        hint: What to do about it.
        chosen: Whether it is the choice.
    """

    model: str
    rank: int | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    by_target: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    spread: float = math.nan
    valid: float = math.nan
    skill: float = math.nan
    p_value: float = math.nan
    margin: float = math.nan
    group: str = ""
    parameters: int = 0
    seconds: float = math.nan
    steps: int = 0
    ended: str = "failed"
    problem: str = ""
    hint: str = ""
    chosen: bool = False

    @property
    def is_baseline(self) -> bool:
        """Whether nothing was trained."""
        return self.ended == "baseline"


@dataclass(frozen=True)
class Ranking:
    """The outcome of a comparison.

    Attributes:
        rows: The ranked ones in order, then those that have failed.
        metrics: Names; the first one ranks.
        targets: What was forecast.
        horizon: H.
        folds: Test folds, the same for all.
        valid_folds: Validation folds that the choice was made on; 0: there were none, and the test folds chose.
        seeds: Trainings of each model.
        ended: ``finished`` or ``interrupted``.
        p_value: Diebold-Mariano test of the choice against the best baseline, adjusted by Holm for all that are ranked.
        notes: What a reader must know.
        kept: The choice, as a model file holds it.
    """

    rows: tuple[Row, ...]
    metrics: tuple[str, ...]
    targets: tuple[str, ...]
    horizon: int
    folds: int
    valid_folds: int
    seeds: int
    ended: str
    p_value: float
    notes: Sequence[str]
    kept: Artifact

    @property
    def metric(self) -> str:
        """The metric that ranks."""
        return self.metrics[0]

    @property
    def ranked(self) -> list[Row]:
        """Rows with a rank, the best first."""
        return [row for row in self.rows if row.rank is not None]

    @property
    def failed(self) -> list[Row]:
        """Rows of what could not be trained."""
        return [row for row in self.rows if row.rank is None]

    @property
    def chosen(self) -> Row:
        """The choice."""
        return next(row for row in self.rows if row.chosen)

    @property
    def baseline(self) -> Row:
        """The best baseline."""
        return next(row for row in self.ranked if row.is_baseline)

    @property
    def skilled(self) -> bool:
        """Whether the choice is better than the best baseline by more than luck."""
        return self.chosen.skill > NEGLIGIBLE and self.p_value < SIGNIFICANT

    def columns(self) -> dict[str, list[Any]]:
        """Return the table: a column for each figure, a row for each model and baseline."""
        rows = self.rows
        out: dict[str, list[Any]] = {"rank": [row.rank for row in rows], "model": [row.model for row in rows]}
        out |= {name: [row.scores.get(name) for row in rows] for name in self.metrics}
        if self.seeds > 1:
            out["spread"] = [row.spread for row in rows]
        out |= {name: [getattr(row, name) for row in rows] for name in ("skill", "p_value", "group", "valid")}
        trained = [not row.is_baseline and row.rank is not None for row in rows]
        for name in ("parameters", "seconds", "steps"):
            out[name] = [getattr(row, name) if known else None for row, known in zip(rows, trained, strict=True)]
        out["ended"] = [row.ended for row in rows]
        out["chosen"] = ["yes" if row.chosen else "" for row in rows]
        if self.failed:
            out["problem"] = [row.problem for row in rows]
        return out

    def to_frame(self) -> pd.DataFrame:
        """Return the table as a data frame."""
        import pandas as pd

        return pd.DataFrame(self.columns())

    def to_json(self) -> dict[str, Any]:
        """Return everything but the kept model as plain values; NaN stands for what there is not."""
        return {
            "schema": 1,
            "metric": self.metric,
            "targets": list(self.targets),
            "horizon": self.horizon,
            "folds": self.folds,
            "valid_folds": self.valid_folds,
            "seeds": self.seeds,
            "ended": self.ended,
            "chosen": self.chosen.model,
            "chosen_on": "valid" if self.valid_folds else "test",
            "baseline": self.baseline.model,
            "skill": self.chosen.skill,
            "skilled": self.skilled,
            "p_value": self.p_value,
            "sentence": self.sentence,
            "groups": self.groups,
            "correction": "holm",
            "ranking": [dict(vars(row)) for row in self.rows],
            "notes": list(self.notes),
        }

    @property
    def sentence(self) -> str:
        """What the comparison comes to, and what may be claimed about the choice."""
        row, metric = self.chosen, self.metric
        trained = sum(not r.is_baseline for r in self.ranked)
        mean = f" (mean of {self.seeds} trainings)" if self.seeds > 1 else ""
        score, place = f"its {metric} of {row.scores[metric]:.4g}{mean}", _place(row, self.ranked)
        if trained == 1:
            claim = f"is the choice, as the only one trained; {score} is over {self.folds} test folds, {place}"
        elif self.valid_folds:
            how = f"is the choice among {trained} by the {metric} of {self.valid_folds} validation folds"
            claim = f"{how}; {score} is over {self.folds} test folds that chose nothing, {place}"
        else:
            claim = f"is the choice among {trained} on these very {self.folds} folds: {score} ({place}) is too good"
        return f"{row.model} {claim}{self._skill(row)}"

    def _skill(self, row: Row) -> str:
        if math.isnan(row.skill):
            return ""
        better = f"{abs(row.skill):.1%} {'better' if row.skill > 0 else 'worse'} than {self.baseline.model}"
        luck = f", which may be luck (p = {self.p_value:.3f})" if row.skill > 0 and not self.skilled else ""
        return f", {better}{luck}"

    @property
    def groups(self) -> str:
        """Who cannot be told apart from the first, in one sentence."""
        first, *others = self.ranked
        near = [row.model for row in others if row.group == TOP]
        test = "Diebold-Mariano, Holm-adjusted"
        if not near:
            return f"{first.model} is ahead of all others, by more than luck ({test})"
        return f"not distinguishable from {first.model}: {', '.join(near)} ({test})"


def _place(row: Row, ranked: Sequence[Row]) -> str:
    told = ", not distinguishable from the first" if row.group == TOP and row.rank != 1 else ""
    return f"rank {row.rank} of {len(ranked)}{told}"


def rank(rows: Sequence[Row], standings: Sequence[Standing], metric: str, *, loss: bool) -> list[Row]:
    """Return rows in order, the best first, with rank, skill, group and interval.

    Args:
        rows: With their scores, in order.
        standings: Each against the first.
        metric: That of the order.
        loss: Whether smaller is better, so that a skill can be computed.
    """
    scores = [row.scores[metric] for row in rows]
    reference = next((s for s, row in zip(scores, rows, strict=True) if row.is_baseline), math.nan)
    out = []
    for place, (row, score, standing) in enumerate(zip(rows, scores, standings, strict=True), start=1):
        difference = abs(score - scores[0])
        near = not standing.p_value < SIGNIFICANT or difference <= NEGLIGIBLE * abs(scores[0])
        out.append(
            replace(
                row,
                rank=place,
                skill=1 - score / reference if loss and reference > 0 else math.nan,
                p_value=standing.p_value,
                margin=difference * standing.margin if difference else 0.0,
                group=TOP if near else BEHIND,
            )
        )
    return out
