"""How the figures look: colours, sizes, axes and dates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tsforecast.data.clock import STEP
from tsforecast.data.freq import DAY, Freq
from tsforecast.durations import duration
from tsforecast.evaluating.forecasts import Forecasts

History: TypeAlias = Sequence[Mapping[str, float]]

# The palette of Okabe & Ito 2008, "Color universal design", told apart by colour-blind readers.
ACTUAL = "#000000"
FORECAST = "#0072B2"
ACCENT = "#D55E00"
MUTED = "#8C8C8C"
PALE = "#DDDDDD"
_BASELINES = {"naive": "#E69F00", "seasonal_naive": "#009E73", "drift": "#CC79A7"}
_OTHERS = ("#D55E00", "#56B4E9", "#F0E442")
_DASHES = ("--", "-.", ":")

WIDTH, HEIGHT = 10.0, 5.5


def new_figure(
    title: str, rows: int = 1, columns: int = 1, *, width: float = WIDTH, height: float = HEIGHT
) -> tuple[Figure, list[Axes]]:
    """Return a titled figure and its axes, row by row; sizes in inches."""
    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    figure.suptitle(title, fontsize=13, fontweight="bold")
    axes = list(np.ravel(figure.subplots(rows, columns, squeeze=False)))
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(color="0.9", linewidth=0.7)
        ax.set_axisbelow(True)
        ax.tick_params(labelsize=9)
        ax.margins(x=0.01)
    return figure, axes


def baseline_style(name: str, names: Sequence[str]) -> dict[str, Any]:
    """Return the line style of a baseline, the same in every figure of an evaluation.

    Args:
        name: The baseline.
        names: All baselines, in their order.
    """
    others = [other for other in names if other not in _BASELINES]
    color = _BASELINES.get(name) or _OTHERS[others.index(name) % len(_OTHERS)]
    return {"color": color, "linestyle": _DASHES[list(names).index(name) % len(_DASHES)], "linewidth": 1.3}


def shades(count: int) -> list[str]:
    """Return so many tints of the colour of the forecast, opaque, from pale to strong, told apart in grey too."""
    base = np.array(to_rgb(FORECAST))
    return [to_hex(1 - strength * (1 - base)) for strength in np.linspace(0.22, 0.6, count)]


def to_axis(time: NDArray[np.int64], f: Forecasts) -> NDArray[Any]:
    """Return times for an axis: datetimes from microseconds; seconds from steps of known length, other steps as are."""
    if f.is_clock:
        return time.astype("datetime64[us]")
    return time if f.unit_time == STEP else time * float(duration(f.unit_time, "unit_time"))


def format_time(ax: Axes, f: Forecasts) -> None:
    """Label the x axis with short dates, with seconds or with step indices."""
    if f.is_clock:
        locator = AutoDateLocator(minticks=3, maxticks=7)  # type: ignore[no-untyped-call]
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    else:
        ax.set_xlabel("step" if f.unit_time == STEP else "time in seconds")


def time_text(time: int, f: Forecasts) -> str:
    """Return one time as text: to the month, day or minute, as the freq is, in seconds, or the step index."""
    if f.is_clock:
        freq = Freq.parse(f.unit_time)
        days = freq.kind in ("business", "trading") or freq.step % DAY == 0
        unit = "M" if freq.kind == "month" else "D" if days and time % DAY == 0 else "m"
        return str(np.datetime64(time, "us").astype(f"datetime64[{unit}]")).replace("T", " ")
    return f"step {time}" if f.unit_time == STEP else f"{time * duration(f.unit_time, 'unit_time')} s"


def unit_note(f: Forecasts) -> str:
    """Return what a label must add where errors are those of ``f.comparable()``."""
    return " in each series' own unit" if f.unlike else ""


def say_nothing_to_draw(ax: Axes, why: str) -> None:
    """Write on empty axes why they are empty."""
    ax.set_axis_off()
    ax.text(0.5, 0.5, why, ha="center", va="center", color=MUTED, fontsize=12, transform=ax.transAxes)
