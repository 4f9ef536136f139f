"""Whether quantile forecasts keep what they promise: the share of the actuals below each level and in an interval."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tsforecast.data.clock import STEP
from tsforecast.evaluating.calibration import Calibration, Interval, by_step, calibrate
from tsforecast.evaluating.forecasts import Forecasts
from tsforecast.plots import style

_STEPS = 48


def draw(f: Forecasts, _history: style.History = (), /) -> Figure:
    """Draw the share of the actuals not above each quantile against its level, and the widest interval's by step.

    Both over the range of chance around what was promised. With one step, or no central interval, the first panel is
    alone.

    Args:
        f: The forecasts, with their quantiles.
    """
    found = calibrate(f)
    steps = f.actual.shape[1] > 1 and found is not None and len(found.intervals) > 0 and found.n > 0
    title = f"{f.target}: calibration of the quantiles" + ("" if f.daylight is None else ", daylight only")
    figure, axes = style.new_figure(title, 1, 1 + steps, width=style.WIDTH if steps else 6.0, height=5.2)
    if found is None or not found.n:
        why = "no fold has a forecast and a known actual" if found else "there are no quantile forecasts"
        style.say_nothing_to_draw(axes[0], why)
        return figure
    _levels(axes[0], found)
    if steps:
        _steps(axes[1], f, found.intervals[0])
    return figure


def _levels(ax: Axes, found: Calibration) -> None:
    level, share, reach = np.array([(s.level, s.share, s.tolerance) for s in found.levels]).T
    ends, away = np.array([0, *level, 1]), np.array([0, *reach, 0])
    band = np.clip(ends - away, 0, 1), np.clip(ends + away, 0, 1)
    ax.fill_between(ends, *band, color=style.PALE, linewidth=0, label="range of chance (95 %)")
    ax.plot([0, 1], [0, 1], color=style.MUTED, linewidth=1, linestyle="--", label="promised")
    ax.plot(level, share, color=style.FORECAST, linewidth=1.8, marker="o", markersize=5, label="found")
    ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="quantile level", ylabel="share of actuals not above it")
    ax.set_title(f"levels, {found.n:,} forecasts", fontsize=10)
    ax.legend(frameon=False, fontsize=9, loc="upper left")


def _steps(ax: Axes, f: Forecasts, widest: Interval) -> None:
    horizon = f.actual.shape[1]
    steps = np.unique(np.linspace(1, horizon, min(_STEPS, horizon)).astype(np.int64))
    coverage, reach = by_step(f.by_day().in_order(), widest.lower, widest.upper, steps)
    band = np.clip(widest.nominal - reach, 0, 1), np.clip(widest.nominal + reach, 0, 1)
    ax.fill_between(steps, *band, color=style.PALE, linewidth=0)
    ax.axhline(widest.nominal, color=style.MUTED, linewidth=1, linestyle="--")
    marker = "o" if horizon <= 30 else ""
    ax.plot(steps, coverage, color=style.FORECAST, linewidth=1.8, marker=marker, markersize=4)
    lowest = float(np.nanmin([band[0].min(), np.nanmin(coverage)]))
    ax.set_ylim(max(0.0, lowest - 0.05), 1.02)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("step of the horizon" + ("" if f.unit_time == STEP else f" (freq {f.unit_time})"))
    ax.set_ylabel("share of actuals inside")
    ax.set_title(f"{100 * widest.nominal:.3g} % interval by step", fontsize=10)
