"""The normalisation that a ridge regression advises: seldom another than the usual one."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tsforecast
from tsforecast.training.probe import choose_normalization

ROWS, LAGS, HORIZON = 400, 24, 12


def chosen(series: Any, *, lags: int = LAGS, rows: int = ROWS) -> str:
    """Return what is chosen for one series, the last fifth of its windows being those of validation."""
    values = np.asarray(series, dtype=np.float64)[:rows]
    values = (values - values.mean()) / values.std()
    starts = np.arange(max(rows - lags - HORIZON + 1, 0))
    train, valid = np.split(starts, [len(starts) * 4 // 5])
    tables: Any = SimpleNamespace(target=values[:, None].astype(np.float32))
    return choose_normalization(tables, train, valid, lags, HORIZON, "mae")


def noise(size: float) -> Any:
    return size * np.random.default_rng(0).standard_normal(ROWS)


STEPS = np.arange(ROWS)
WAVE = np.sin(2 * np.pi * STEPS / 12)


@pytest.mark.parametrize(
    ("series", "expected"),
    [
        (lambda: np.exp(STEPS / 80) * (2 + WAVE + noise(0.2)), "revin"),  # swings that grow with the level
        (lambda: np.exp(STEPS / 150) * (2 + WAVE + noise(0.2)), "revin"),  # none is as good for a regression only
        (lambda: np.cumsum(noise(1.0)), "last"),  # a random walk
        (lambda: WAVE + noise(0.3), "last"),  # nothing moves: the others are as good, not clearly better
        (lambda: WAVE + 0.1 * np.sin(STEPS), "last"),  # all leave next to nothing
        (lambda: STEPS / 50 + WAVE + noise(0.1), "last"),  # a trend: naive and mean both follow it
    ],
)
def test_windows_are_divided_by_their_spread_where_the_swings_grow(series: Callable[[], Any], expected: str) -> None:
    assert chosen(series()) == expected


def test_too_few_windows_and_too_long_lags_leave_the_usual_one() -> None:
    growing = np.exp(STEPS / 80) * (2 + WAVE)
    assert chosen(growing, rows=LAGS + HORIZON + 2) == "last"
    assert chosen(np.resize(growing, 2_100), lags=2_060, rows=2_100) == "last"


def test_what_the_user_says_counts_and_what_is_chosen_is_told() -> None:
    growing = np.exp(STEPS / 80) * (2 + WAVE + noise(0.2))
    frame = pd.DataFrame({"y": growing}, index=pd.date_range("2001-01-01", periods=ROWS, freq="MS"))
    said: dict[str, Any] = {"target": "y", "lags": LAGS, "horizon": HORIZON}
    found = tsforecast.train(frame, model="linear", **said)
    assert found.forecaster.options.normalize == "revin"
    assert any("normalize revin" in note for note in found.notes)
    assert tsforecast.train(frame, model="linear", normalize="mean", **said).forecaster.options.normalize == "mean"
    assert tsforecast.train(frame, model="naive", **said).forecaster.options.normalize == "last"
