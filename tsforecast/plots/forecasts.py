"""Forecasts against the truth at a few cutoffs spread over the folds."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tsforecast.evaluating.forecasts import Forecasts
from tsforecast.plots import style

_PANELS = 4


def draw(f: Forecasts, _history: style.History = (), /) -> Figure:
    """Draw up to four folds, spread over series and time, each after some history, with the strongest baseline thin.

    One fold alone, as a simulated record is, is drawn over its residuals.

    Args:
        f: The forecasts.
    """
    f = f.in_order()
    folds = spread(f)
    alone = len(folds) == 1 and f.time.shape[1] > 1
    columns = 2 if len(folds) > 1 else 1
    rows = 2 if alone else max(1, -(-len(folds) // columns))
    title = f"{f.target}: forecasts from {len(folds)} of {len(f.cutoff)} cutoffs"
    if alone and len(f.cutoff) == 1:
        title = f"{f.target}: forecast of {f.time.shape[1]} steps"
    figure, axes = style.new_figure(title, rows, columns, height=1.4 + 2.9 * rows)
    best = _best_baseline(f)
    for ax, fold in zip(axes, folds, strict=False):
        _panel(ax, f, int(fold), best)
    if alone:
        _residuals(axes[1], f, int(folds[0]))
    for ax in axes[len(folds) + alone :]:
        style.say_nothing_to_draw(ax, "" if len(folds) else "no fold has a forecast and a known actual")
    if len(folds):
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    return figure


def _panel(ax: Axes, f: Forecasts, fold: int, best: str) -> None:
    before, known = history_of(f, fold)
    cutoff = f.cutoff[fold : fold + 1]
    time = np.concatenate([before, cutoff, f.time[fold]])
    actual = np.concatenate([known, f.last[fold : fold + 1], f.actual[fold]])
    ax.plot(style.to_axis(time, f), actual, color=style.ACTUAL, linewidth=1.3, label="actual")
    # One step alone is a point: then the folds before are drawn with it, as one line.
    shown = folds_since(f, fold, int(time[0])) if f.time.shape[1] == 1 else np.array([fold])
    ahead = style.to_axis(f.time[shown].ravel(), f)
    if best:
        thin = style.baseline_style(best, list(f.baselines))
        ax.plot(ahead, f.baselines[best][shown].ravel(), label=f"best baseline ({best})", **thin)
    ax.plot(ahead, f.forecast[shown].ravel(), color=style.FORECAST, linewidth=2, label="forecast")
    line: Any = style.to_axis(cutoff, f)[0]
    ax.axvline(line, color=style.MUTED, linewidth=1, linestyle=":", label="cutoff")
    name = f.series_names[f.series[fold]]
    ax.set_title(f"{name + ', ' if name else ''}{style.time_text(int(cutoff[0]), f)}", fontsize=10)
    ax.set_ylabel(f.target)
    style.format_time(ax, f)


def _residuals(ax: Axes, f: Forecasts, fold: int) -> None:
    left = f.actual[fold] - f.forecast[fold]
    ax.plot(style.to_axis(f.time[fold], f), left, color=style.FORECAST, linewidth=1)
    ax.axhline(0, color=style.ACTUAL, linewidth=0.8)
    ax.set_title("residuals (actual - forecast)", fontsize=10)
    ax.set_ylabel(f.target)
    style.format_time(ax, f)


def folds_since(f: Forecasts, fold: int, start: int) -> NDArray[np.intp]:
    """Return this fold and those of its series before it, from a time on; folds in order."""
    same = (f.series == f.series[fold]) & (f.cutoff >= start) & (f.cutoff <= f.cutoff[fold])
    return np.flatnonzero(same)


def spread(f: Forecasts) -> NDArray[np.intp]:
    """Return up to four folds with something to show, at equal distances; folds in order of series and time."""
    shown = np.flatnonzero((np.isfinite(f.actual) & np.isfinite(f.forecast)).any(axis=1))
    n = min(_PANELS, len(shown))
    places: NDArray[np.intp] = ((np.arange(n) + 0.5) / max(n, 1) * len(shown)).astype(np.intp)
    return np.take(shown, places)


def history_of(f: Forecasts, fold: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return times and actuals before the cutoff: as far back as the horizon, and two seasons, reach."""
    if f.record is None:
        return f.time[fold, :0], f.actual[fold, :0]
    step = (f.time[fold, -1] - f.cutoff[fold]) / f.time.shape[1]
    start = f.cutoff[fold] - max(f.time.shape[1], 2 * f.season_length) * step
    first, end = f.record.bounds[f.series[fold]], f.record.bounds[f.series[fold] + 1]
    rows = slice(*(first + np.searchsorted(f.record.time[first:end], [start, f.cutoff[fold]])))
    return f.record.time[rows], f.record.values[rows]


def _best_baseline(f: Forecasts) -> str:
    f = f.comparable()
    errors = {name: np.abs(values - f.actual) for name, values in f.baselines.items()}
    known = {name: error[np.isfinite(error)].mean() for name, error in errors.items() if np.isfinite(error).any()}
    return min(known, key=lambda name: known[name], default="")
