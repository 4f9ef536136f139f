"""How large the errors are, and to which side."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tsforecast.evaluating.forecasts import Forecasts
from tsforecast.plots import style


def draw(f: Forecasts, _history: style.History = (), /) -> Figure:
    """Draw a histogram of all errors, beside the normal distribution of their mean and spread.

    Errors of unlike series are in their own units. Whether one error tells the next is drawn by ``correlations``.

    Args:
        f: The forecasts.
    """
    figure, (ax,) = style.new_figure(f"{f.target}: errors (forecast - actual)", width=7.5, height=4.6)
    alike = f.by_day().comparable()
    errors = alike.forecast - alike.actual
    errors = errors[np.isfinite(errors)]
    if not errors.size:
        style.say_nothing_to_draw(ax, "no forecast has a known actual")
        return figure
    _histogram(ax, errors)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    ax.set_xlabel(f"error of {f.target}{style.unit_note(f)}")
    ax.set_title("all steps" if f.daylight is None else "all steps, daylight only", fontsize=10)
    return figure


def _histogram(ax: Axes, errors: NDArray[np.float64]) -> None:
    mean, spread = float(errors.mean()), float(errors.std())
    ax.hist(errors, bins=min(60, 10 + errors.size // 10), density=True, color=style.FORECAST, alpha=0.55)
    if spread > 0:
        x = np.linspace(errors.min(), errors.max(), 300)
        curve = np.exp(-(((x - mean) / spread) ** 2) / 2) / (spread * np.sqrt(2 * np.pi))
        ax.plot(x, curve, color=style.ACCENT, linewidth=1.6, label=f"normal, sd {spread:.3g}")
    ax.axvline(mean, color=style.ACTUAL, linewidth=1, linestyle="--", label=f"bias {mean:+.3g}")
    ax.set_ylabel("density")
