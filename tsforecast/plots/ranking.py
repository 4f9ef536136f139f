"""A ranking of models and baselines: their scores, and how sure the differences to the best are."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tsforecast.comparing.ranking import TOP, Ranking, Row
from tsforecast.plots import style

FAR = 2.5  # times the best score: what is farther off is an arrow at the border, so that the others can be told apart
PER_ROW, FRAME = 0.42, 2.1  # inches


def draw(ranking: Ranking) -> Figure:
    """Draw a dot for every score, the best on top, with the interval of its difference to the best.

    A dot is filled where a model or baseline cannot be told apart from the best. Baselines are grey, the name of the
    choice is bold.

    Args:
        ranking: From ``tsforecast.comparing.comparison``.
    """
    rows, metric = ranking.ranked, ranking.metric
    scores = [row.scores[metric] for row in rows]
    height = FRAME + PER_ROW * len(rows)
    steps = f"{ranking.horizon} step{'s' if ranking.horizon > 1 else ''} ahead"
    figure, (ax,) = style.new_figure(f"{', '.join(ranking.targets)}: ranking, {steps}", height=height)
    shown = [score for score in scores if not _is_far(score, scores)]
    margins = [row.margin if math.isfinite(row.margin) else 0.0 for row in rows[: len(shown)]]
    low = min(score - margin for score, margin in zip(shown, margins, strict=True))
    high = max(score + margin for score, margin in zip(shown, margins, strict=True))
    room = 0.05 * (high - low or abs(high) or 1.0)
    ax.set_xlim(low - room, high + room)
    ax.axvline(scores[0], color=style.MUTED, linewidth=0.9, linestyle=":", zorder=1)
    for place, (row, score) in enumerate(zip(rows, scores, strict=True)):
        _draw_row(ax, place, row, score, far=_is_far(score, scores))
    _name_rows(ax, rows)
    better = "smaller is better" if scores[0] <= scores[-1] else "larger is better"
    spread = f", means of {ranking.seeds} trainings" if ranking.seeds > 1 else ""
    ax.set_xlabel(f"{metric} on the same {ranking.folds} test folds for all ({better}){spread}")
    figure.legend(handles=_legend(rows), loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure


def _is_far(score: float, scores: Sequence[float]) -> bool:
    return scores[0] > 0 and score > FAR * scores[0] and score > FAR * scores[min(1, len(scores) - 1)]


def _draw_row(ax: Axes, place: int, row: Row, score: float, *, far: bool) -> None:
    color = style.MUTED if row.is_baseline else style.FORECAST
    right = ax.get_xlim()[1]
    if far:
        ax.plot(right, place, marker=">", color=color, markersize=7, clip_on=False, zorder=3)
    else:
        if math.isfinite(row.margin) and row.margin > 0:
            ends = [score - row.margin, score + row.margin]
            ax.plot(ends, [place, place], color=color, linewidth=2.2, alpha=0.45, solid_capstyle="butt", zorder=2)
        face = color if row.group == TOP else "white"
        ax.plot(
            score, place, marker="o", markersize=8, color=color, markerfacecolor=face, markeredgewidth=1.8, zorder=3
        )
    ax.annotate(
        f"{score:.4g}",
        (1.0, place),
        xycoords=("axes fraction", "data"),
        xytext=(12, 0),
        textcoords="offset points",
        va="center",
        fontsize=9,
        color=style.MUTED if row.is_baseline else style.ACTUAL,
    )


def _name_rows(ax: Axes, rows: Sequence[Row]) -> None:
    ax.set_yticks(range(len(rows)), [f"{row.model}{', chosen' if row.chosen else ''}  {row.rank}" for row in rows])
    for label, row in zip(ax.get_yticklabels(), rows, strict=True):
        label.set_color(style.MUTED if row.is_baseline else style.ACTUAL)
        label.set_fontweight("bold" if row.chosen else "normal")
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.grid(visible=False, axis="y")
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)


def _legend(rows: Sequence[Row]) -> list[Line2D]:
    """Return what the marks mean, as far as they occur."""

    def dot(color: str, face: str, label: str) -> Line2D:
        return Line2D(
            [],
            [],
            color=color,
            markerfacecolor=face,
            label=label,
            marker="o",
            linestyle="none",
            markersize=8,
            markeredgewidth=1.8,
        )

    blue, grey = style.FORECAST, style.MUTED
    marks = [
        dot(blue, blue, "not distinguishable from the best"),
        dot(blue, "white", "behind (Diebold-Mariano, Holm)"),
        Line2D(
            [],
            [],
            color=blue,
            alpha=0.45,
            linewidth=2.2,
            label="95 % interval of the difference to the best, each alone",
        ),
        dot(grey, grey, "baseline"),
    ]
    behind = any(row.group != TOP for row in rows)
    return [mark for mark in marks if behind or "behind" not in str(mark.get_label())]
