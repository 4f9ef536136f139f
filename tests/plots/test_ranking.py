"""The plot of a ranking: a dot each, intervals, arrows for what is far off, and the choice."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, cast

import pytest
from matplotlib.figure import Figure

from tsforecast.comparing.ranking import Ranking, Row
from tsforecast.plots.ranking import draw
from tsforecast.plots.save import save


def row(model: str, rank: int, score: float, **more: Any) -> Row:
    given = {"group": "behind", "margin": 0.1, "ended": "finished", **more}
    return Row(model=model, rank=rank, scores={"mae": score}, **given)


ROWS = (
    row("gru", 1, 1.0, group="top", margin=math.nan),
    row("lstm", 2, 1.1, group="top", margin=0.2, chosen=True),
    row("seasonal_naive", 3, 1.5, ended="baseline"),
    row("naive", 4, 9.0, ended="baseline"),
    Row(model="tdnn", problem="too few rows"),
)
RANKING = Ranking(
    rows=ROWS,
    metrics=("mae",),
    targets=("power",),
    horizon=6,
    folds=100,
    valid_folds=90,
    seeds=1,
    ended="finished",
    p_value=0.01,
    notes=(),
    kept=cast(Any, None),
)


def texts(figure: Figure) -> list[str]:
    (ax,) = figure.axes
    return [label.get_text() for label in (*ax.get_yticklabels(), *ax.texts)]


def test_all_that_are_ranked_are_drawn_and_the_choice_stands_out() -> None:
    figure = draw(RANKING)
    (ax,) = figure.axes
    assert texts(figure) == ["gru  1", "lstm, chosen  2", "seasonal_naive  3", "naive  4", "1", "1.1", "1.5", "9"]
    assert [label.get_fontweight() for label in ax.get_yticklabels()] == ["normal", "bold", "normal", "normal"]
    assert "smaller is better" in ax.get_xlabel()


def test_what_is_far_off_is_an_arrow_and_does_not_squeeze_the_others() -> None:
    (ax,) = draw(RANKING).axes
    low, high = ax.get_xlim()
    assert low < 0.9
    assert 1.6 < high < 2
    assert [line.get_marker() for line in ax.lines].count(">") == 1


def test_groups_are_filled_or_hollow() -> None:
    (ax,) = draw(RANKING).axes
    faces = [line.get_markerfacecolor() for line in ax.lines if line.get_marker() == "o"]
    assert [face == "white" for face in faces] == [False, False, True]


@pytest.mark.parametrize(
    "ranking",
    [
        RANKING,
        replace(RANKING, rows=ROWS[:1]),
        replace(RANKING, rows=tuple(replace(r, margin=math.inf) for r in ROWS), seeds=3),
        replace(RANKING, rows=(row("linear", 1, 0.9), row("naive", 2, -3.0, ended="baseline"))),
        replace(RANKING, rows=(row("linear", 1, 0.0), row("naive", 2, 0.0, ended="baseline"))),
    ],
)
def test_any_ranking_can_be_drawn(ranking: Ranking, tmp_path: Any) -> None:
    save(draw(ranking), tmp_path / "ranking.png")
    assert (tmp_path / "ranking.png").stat().st_size > 5000
