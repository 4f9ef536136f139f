"""The losses over the steps of training."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from tsforecast.evaluating.forecasts import Forecasts
from tsforecast.plots import style


def draw(f: Forecasts, history: style.History = (), /) -> Figure:
    """Draw training and validation loss by step, and the step whose parameters were kept; say them if it was one step.

    Args:
        f: The forecasts, for the name of the target.
        history: One mapping per step with ``step``, ``train_loss``, ``valid_loss`` and ``is_best``; losses may be NaN
            or infinite.
    """
    figure, (ax,) = style.new_figure(f"{f.target}: training")
    if not history:
        style.say_nothing_to_draw(ax, "nothing was trained step by step")
        return figure
    step = np.array([h["step"] for h in history])
    train, valid = _finite(history, "train_loss"), _finite(history, "valid_loss")
    if len(step) == 1:
        losses = {"train loss": train[0], "valid loss": valid[0]}
        known = ", ".join(f"{name} {loss:.4g}" for name, loss in losses.items() if not np.isnan(loss))
        style.say_nothing_to_draw(ax, f"trained in one step: {known or 'no loss is known'}")
        return figure
    marker = "o" if len(step) < 10 else ""
    ax.plot(step, train, color=style.MUTED, linewidth=1.8, marker=marker, label="train loss")
    if not np.isnan(valid).all():
        ax.plot(step, valid, color=style.FORECAST, linewidth=1.8, marker=marker, label="valid loss")
    best = [i for i, h in enumerate(history) if h.get("is_best")]
    if best:
        kept = f"kept: step {step[best[-1]]:g}"
        ax.axvline(step[best[-1]], color=style.ACCENT, linewidth=1.3, linestyle="--", label=kept)
    shown = np.concatenate([train, valid])
    shown = shown[~np.isnan(shown)]
    if shown.size and shown.min() > 0 and shown.max() > 10 * shown.min():
        ax.set_yscale("log")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    ax.set_xlabel("step")
    ax.set_ylabel("loss")
    ax.legend(frameon=False, fontsize=9)
    return figure


def _finite(history: style.History, key: str) -> NDArray[np.float64]:
    loss = np.array([h.get(key, np.nan) for h in history], dtype=np.float64)
    return np.where(np.isfinite(loss), loss, np.nan)
