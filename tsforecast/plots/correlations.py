"""Whether the residuals tell what follows them, and whether an input tells them."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tsforecast.data.clock import STEP
from tsforecast.evaluating.diagnosis import Correlation, Diagnosis, diagnose
from tsforecast.evaluating.forecasts import Forecasts
from tsforecast.plots import style

_PANELS = 8


def draw(f: Forecasts, _history: style.History = (), /) -> Figure:
    """Draw the autocorrelation of the residuals and their correlation with each input, over the bands of chance.

    They are the residuals one step ahead, of the diagnosis; forecasts of a file have none, and their first steps are
    taken, fold by fold. With more inputs than there is room for, those with most lags outside their band are drawn.

    Args:
        f: The forecasts.
    """
    title = f"{f.target}: correlations of the residuals one step ahead (actual - forecast)"
    found = f.diagnosis or _by_fold(f.in_order())
    inputs = found.inputs
    chosen = sorted(sorted(range(len(inputs)), key=lambda i: -inputs[i].outside)[: _PANELS - 1])
    shown = [found.autocorrelation, *(inputs[i] for i in chosen)]
    unit = "folds" if f.diagnosis is None else "steps" if f.unit_time == STEP else f"steps of {f.unit_time}"
    rows, columns = -(-len(shown) // 2), min(2, len(shown))
    figure, axes = style.new_figure(title, rows, columns, height=1.6 + 3.0 * rows)
    for ax, correlation in zip(axes, shown, strict=False):
        _panel(ax, correlation)
        ax.set_xlabel(f"lag ({unit})")
    for ax in axes[len(shown) :]:
        style.say_nothing_to_draw(ax, "")
    marks = {label: mark for ax in axes for mark, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    if marks:
        figure.legend(marks.values(), marks.keys(), loc="outside lower center", ncols=len(marks), frameon=False)
    return figure


def _by_fold(f: Forecasts) -> Diagnosis:
    return diagnose((f.actual - f.forecast)[:, 0], series=f.series)


def _panel(ax: Axes, found: Correlation) -> None:
    """Draw one correlation function over its band, or say why there is none."""
    name = f"input {found.name}" if found.name else "autocorrelation"
    ax.set_title(name, fontsize=10)
    known = np.isfinite(found.values)
    if not known.any():
        style.say_nothing_to_draw(ax, found.why)
        return
    lags, values, bounds = found.lags[known], found.values[known], found.bounds[known]
    edges = np.concatenate([lags[:1] - 0.5, lags, lags[-1:] + 0.5])
    band = np.pad(bounds, 1, mode="edge")
    ax.fill_between(edges, -band, band, color=style.MUTED, alpha=0.25, linewidth=0, label="95 % of unrelated series")
    outside = np.abs(values) > bounds
    for part, color, label in ((~outside, style.FORECAST, "inside"), (outside, style.ACCENT, "outside")):
        if part.any():
            ax.vlines(lags[part], 0, values[part], color=color, linewidth=1.8, label=label)
    ax.axhline(0, color=style.ACTUAL, linewidth=0.8)
    if lags[0] < 0:
        ax.axvline(0, color=style.MUTED, linewidth=1, linestyle=":")
    highest = 1.15 * max(float(np.abs(values).max()), float(bounds.max()))
    ax.set_ylim(-highest, highest)
    ax.set_ylabel("correlation")
    told = "more than chance" if found.significant else "as chance allows"
    ax.set_title(f"{name}: {found.outside} of {len(lags)} lags outside, {told}", fontsize=10)
