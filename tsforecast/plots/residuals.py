"""The errors: their distribution, and whether one tells the next."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tsforecast.plots import style
from tsforecast.scores import Forecasts

_MOST_LAGS = 60


def draw(f: Forecasts, _history: style.History = (), /) -> Figure:
    """Draw a histogram of all errors, and the autocorrelation of the errors one step ahead.

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
    _autocorrelation(right, (f.forecast - f.actual)[order, 0], f.series[order], f.season_length)
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


def _autocorrelation(ax: Axes, errors: NDArray[np.float64], series: NDArray[np.int64], season: int) -> None:
    known = np.isfinite(errors)
    n = int(known.sum())
    lags = min(max(2 * season, 20), _MOST_LAGS, n // 3)
    ax.set_title("autocorrelation of the errors one step ahead", fontsize=10)
    if lags < 1 or np.ptp(errors[known]) == 0:
        style.say_nothing_to_draw(ax, "too few folds" if lags < 1 else "these errors are all equal")
        return
    centered = np.where(known, errors - errors[known].mean(), 0.0)
    products = [(centered[lag:] * centered[:-lag])[series[lag:] == series[:-lag]].sum() for lag in range(1, lags + 1)]
    values = np.array(products) / (centered @ centered)
    bound = 1.96 / np.sqrt(n)
    ax.axhspan(-bound, bound, color=style.MUTED, alpha=0.25, linewidth=0, label="95 % of white noise")
    ax.vlines(range(1, lags + 1), 0, values, color=style.FORECAST, linewidth=1.8)
    ax.axhline(0, color=style.ACTUAL, linewidth=0.8)
    ax.set_xlabel("lag (folds)")
    ax.set_ylabel("autocorrelation")
    ax.legend(frameon=False, fontsize=9)
