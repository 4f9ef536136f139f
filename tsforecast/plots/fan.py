"""Quantile forecasts as shaded bands, against the truth, at a few cutoffs spread over the folds."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tsforecast.evaluating.forecasts import Forecasts
from tsforecast.metrics.base import Floats, central
from tsforecast.plots import style
from tsforecast.plots.forecasts import folds_since, history_of, spread


def draw(f: Forecasts, _history: style.History = (), /) -> Figure:
    """Draw up to four folds, each after some history: every central interval as a band, the widest palest.

    Actuals outside the widest band are marked, but not those of the night, which do not count. A level without its
    counterpart is a thin line.

    Args:
        f: The forecasts, with their quantiles.
    """
    f = f.in_order()
    folds = spread(f) if f.quantiles else np.zeros(0, np.intp)
    columns = 2 if len(folds) > 1 else 1
    rows = max(1, -(-len(folds) // columns))
    figure, axes = style.new_figure(f"{f.target}: {_what(f)}", rows, columns, height=1.4 + 2.9 * rows)
    for ax, fold in zip(axes, folds, strict=False):
        _panel(ax, f, int(fold))
    why = "no fold has a forecast and a known actual" if f.quantiles else "there are no quantile forecasts"
    for ax in axes[len(folds) :]:
        style.say_nothing_to_draw(ax, "" if len(folds) else why)
    if len(folds):
        marks = {label: mark for ax in axes for mark, label in zip(*ax.get_legend_handles_labels(), strict=True)}
        figure.legend(
            list(marks.values()), list(marks), loc="outside lower center", ncols=min(8, len(marks)), frameon=False
        )
    return figure


def _what(f: Forecasts) -> str:
    names = [f"{100 * (b - a):.3g} %" for a, b in central(tuple(f.quantiles))]
    if not names:
        return "quantile forecasts"
    return f"{', '.join(names[:-1])}{' and ' if names[1:] else ''}{names[-1]} interval{'s' if names[1:] else ''}"


def _panel(ax: Axes, f: Forecasts, fold: int) -> None:
    before, known = history_of(f, fold)
    cutoff = f.cutoff[fold : fold + 1]
    # One step alone is a point: then the folds before are drawn with it, as one band.
    shown = folds_since(f, fold, int(np.append(before, cutoff)[0])) if f.time.shape[1] == 1 else np.array([fold])
    ahead, actual = f.time[shown].ravel(), f.actual[shown].ravel()
    start = cutoff if len(shown) == 1 else cutoff[:0]  # a fan opens at the last known value
    axis = style.to_axis(np.concatenate([start, ahead]), f)

    def opened(values: Floats) -> Floats:
        return np.concatenate([f.last[[fold]][: len(start)], values[shown].ravel()])

    pairs = central(tuple(f.quantiles))
    for (lower, upper), color in zip(pairs, style.shades(len(pairs)), strict=True):
        bounds = opened(f.quantiles[lower]), opened(f.quantiles[upper])
        ax.fill_between(axis, *bounds, color=color, linewidth=0, label=f"{100 * (upper - lower):.3g} %")
    alone = [level for level in f.quantiles if level != 0.5 and not any(level in pair for pair in pairs)]
    for level in alone:
        look: dict[str, Any] = {"color": style.FORECAST, "linewidth": 1, "linestyle": "--"}
        ax.plot(axis, opened(f.quantiles[level]), label=f"quantile {level:g}", **look)
    ax.plot(axis, opened(f.forecast), color=style.FORECAST, linewidth=1.8, label="forecast")
    time = style.to_axis(np.concatenate([before, cutoff, f.time[fold]]), f)
    truth = np.concatenate([known, f.last[fold : fold + 1], f.actual[fold]])
    ax.plot(time, truth, color=style.ACTUAL, linewidth=1.2, label="actual")
    if pairs:
        _mark(ax, f, shown, style.to_axis(ahead, f), actual, pairs[0])
    line: Any = style.to_axis(cutoff, f)[0]
    ax.axvline(line, color=style.MUTED, linewidth=1, linestyle=":", label="cutoff")
    name = f.series_names[f.series[fold]]
    ax.set_title(f"{name + ', ' if name else ''}{style.time_text(int(cutoff[0]), f)}", fontsize=10)
    ax.set_ylabel(f.target)
    style.format_time(ax, f)


def _mark(
    ax: Axes, f: Forecasts, shown: NDArray[Any], axis: NDArray[Any], actual: Floats, widest: tuple[float, float]
) -> None:
    low, high = (f.quantiles[level][shown].ravel() for level in widest)
    missed = (actual < low) | (actual > high)
    if f.daylight is not None:
        missed &= f.daylight[shown].ravel()
    if missed.any():
        look: dict[str, Any] = {"color": style.ACCENT, "linestyle": "", "marker": "o", "markersize": 4}
        ax.plot(axis[missed], actual[missed], label="outside", zorder=3, **look)
