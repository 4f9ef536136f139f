"""How the error grows with the step of the horizon, against every baseline."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tsforecast.data.clock import STEP
from tsforecast.evaluating.forecasts import Forecasts
from tsforecast.evaluating.scores import FORECAST, OPEN_LOOP, score_table
from tsforecast.plots import style


def draw(f: Forecasts, _history: style.History = (), /) -> Figure:
    """Draw the MAE by step, of the forecast in closed and open loop and of each baseline; as bars with one step only.

    Unlike series count alike, each in its own unit.

    Args:
        f: The forecasts.
    """
    single = f.actual.shape[1] == 1
    figure, (ax,) = style.new_figure(f"{f.target}: error {'one step ahead' if single else 'by step of the horizon'}")
    rows, note = ("all", "") if f.daylight is None else ("daylight", ", daylight only")
    errors: dict[str, list[float]] = {}
    for record in score_table(f.comparable(), ["mae"]):
        if record["step"] is not None and record["rows"] == rows:
            errors.setdefault(record["model"], []).append(record["mae"])
    looks = {name: style.baseline_style(name, list(f.baselines)) for name in f.baselines}
    if f.open_loop is not None:
        looks[OPEN_LOOP] = {"color": style.FORECAST, "linestyle": ":", "linewidth": 1.6}
    looks[FORECAST] = {"color": style.FORECAST, "linestyle": "-", "linewidth": 2.2}
    label = f"mean absolute error of {f.target}{style.unit_note(f)}{note}"
    if single:
        ax.barh(list(looks), [errors[name][0] for name in looks], color=[look["color"] for look in looks.values()])
        ax.set_xlabel(label)
        return figure
    for name, look in looks.items():
        _line(ax, errors[name], name, look)
    ax.set_ylim(bottom=0)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("step of the horizon" + ("" if f.unit_time == STEP else f" (freq {f.unit_time})"))
    ax.set_ylabel(label)
    ax.legend(frameon=False, fontsize=9)
    return figure


def _line(ax: Axes, errors: list[float], name: str, look: dict[str, Any]) -> None:
    marker = "o" if len(errors) <= 30 else ""
    ax.plot(range(1, len(errors) + 1), errors, marker=marker, markersize=4, label=name, **look)
