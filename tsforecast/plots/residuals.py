"""The errors: their distribution, and whether one tells the next."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tsforecast.diagnosis import diagnose
from tsforecast.plots import style
from tsforecast.plots.correlations import panel
from tsforecast.scores import Forecasts


def draw(f: Forecasts, _history: style.History = (), /) -> Figure:
    """Draw a histogram of all errors, and the autocorrelation of the errors one step ahead.

    The latter is that of the diagnosis; forecasts of a file have none, and their first steps are taken, fold by fold.

    Args:
        f: The forecasts.
    """
    figure, (left, right) = style.new_figure(f"{f.target}: errors (forecast - actual)", 1, 2, height=4.6)
    errors = f.forecast - f.by_day().actual
    errors = errors[np.isfinite(errors)]
    if not errors.size:
        for ax in (left, right):
            style.say_nothing_to_draw(ax, "no forecast has a known actual")
        return figure
    _histogram(left, errors, f.target)
    left.set_title("all steps" if f.daylight is None else "all steps, daylight only", fontsize=10)
    order = np.lexsort((f.cutoff, f.series))
    found = f.diagnosis or diagnose((f.actual - f.forecast)[order, 0], series=f.series[order])
    panel(right, found.autocorrelation)
    right.set_xlabel(f"lag of the errors one step ahead ({'steps' if f.diagnosis else 'folds'})")
    if right.get_legend_handles_labels()[0]:
        right.legend(frameon=False, fontsize=9)
    return figure


def _histogram(ax: Axes, errors: NDArray[np.float64], target: str) -> None:
    mean, spread = float(errors.mean()), float(errors.std())
    ax.hist(errors, bins=60, density=True, color=style.FORECAST, alpha=0.55)
    if spread > 0:
        x = np.linspace(errors.min(), errors.max(), 300)
        curve = np.exp(-(((x - mean) / spread) ** 2) / 2) / (spread * np.sqrt(2 * np.pi))
        ax.plot(x, curve, color=style.ACCENT, linewidth=1.6, label=f"normal, sd {spread:.3g}")
    ax.axvline(mean, color=style.ACTUAL, linewidth=1, linestyle="--", label=f"bias {mean:+.3g}")
    ax.set_xlabel(f"error of {target}")
    ax.set_ylabel("density")
    ax.legend(frameon=False, fontsize=9)
