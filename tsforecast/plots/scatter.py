"""Predicted against actual."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from tsforecast.evaluating.forecasts import Forecasts
from tsforecast.plots import style

_POINTS = 3_000  # up to here every pair is a point, above they are counted in hexagons
_MOST = 500_000  # more pairs than this change no hexagon
_SHADES = ("#C6DDEE", style.FORECAST, "#00233A")


def draw(f: Forecasts, _history: style.History = (), /) -> Figure:
    """Draw every forecast over its actual, as points or, when there are many, as counts in hexagons.

    Those of unlike series are in their own units.

    Args:
        f: The forecasts.
    """
    note = "" if f.daylight is None else ", daylight only"
    unit = style.unit_note(f)
    f = f.by_day().comparable()
    figure, (ax,) = style.new_figure(f"{f.target}: forecast and actual{note}", width=7.5, height=7)
    known = np.isfinite(f.actual) & np.isfinite(f.forecast)
    every = max(1, int(known.sum()) // _MOST)
    actual, forecast = f.actual[known][::every], f.forecast[known][::every]
    if not actual.size:
        style.say_nothing_to_draw(ax, "no forecast has a known actual")
        return figure
    low, high = min(actual.min(), forecast.min()), max(actual.max(), forecast.max())
    if len(actual) <= _POINTS:
        ax.scatter(actual, forecast, s=10, alpha=0.4, color=style.FORECAST, linewidths=0)
    else:
        cmap = LinearSegmentedColormap.from_list("pairs", _SHADES)
        extent = (low, high, low, high)
        hexagons = ax.hexbin(actual, forecast, gridsize=60, extent=extent, bins="log", mincnt=1, cmap=cmap)
        figure.colorbar(hexagons, ax=ax, label="pairs", shrink=0.8)
    ax.axline((low, low), slope=1, color=style.ACTUAL, linewidth=1, linestyle="--", label="perfect forecast")
    pad = 0.03 * (high - low) or 1.0
    ax.set(xlim=(low - pad, high + pad), ylim=(low - pad, high + pad), aspect="equal")
    ax.set_xlabel(f"actual {f.target}{unit}")
    ax.set_ylabel(f"forecast {f.target}{unit}")
    ax.legend(frameon=False, fontsize=9, loc="upper left")
    return figure
