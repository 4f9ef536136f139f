"""The plot of a diagnosis."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from tsforecast.evaluating.diagnosis import Diagnosis, diagnose
from tsforecast.evaluating.forecasts import Forecasts
from tsforecast.plots.correlations import draw

RNG = np.random.default_rng(0)
U = RNG.normal(size=(300, 9))
E = RNG.normal(size=300) + 0.5 * np.roll(U[:, 8], 2)
NAMES = [f"u{i}" for i in range(9)]


def made(diagnosis: Diagnosis | None, unit: str = "4s") -> Forecasts:
    none = np.empty((0, 1))
    return Forecasts(
        target="level",
        unit_time=unit,
        series=np.empty(0, np.int64),
        series_names=("",),
        cutoff=np.empty(0, np.int64),
        time=np.empty((0, 1), np.int64),
        is_clock=False,
        actual=none,
        forecast=none,
        last=none[:, 0],
        baselines={},
        season_length=1,
        scale=np.full((1, 2), np.nan),
        diagnosis=diagnosis,
    )


def titles(figure: Figure) -> list[str]:
    return [ax.get_title() for ax in figure.axes if ax.get_title()]


def test_a_panel_for_the_residuals_and_one_for_each_input() -> None:
    found = diagnose(E, U[:, 7:], ["flow", "voltage"])
    figure = draw(made(found))
    assert titles(figure)[1:] == [
        f"input flow: {found.inputs[0].outside} of 51 lags outside, as chance allows",
        f"input voltage: {found.inputs[1].outside} of 51 lags outside, more than chance",
    ]
    assert figure.axes[0].get_xlabel() == "lag (steps of 4s)"
    drawn = [segment[1] for mark in figure.axes[2].collections[1:] for segment in mark.get_segments()]  # type: ignore[attr-defined]
    expected = zip(found.inputs[1].lags, found.inputs[1].values, strict=True)
    assert sorted(map(tuple, drawn)) == [(float(lag), pytest.approx(value)) for lag, value in expected]


def test_of_many_inputs_those_with_most_to_say_are_drawn() -> None:
    shown = titles(draw(made(diagnose(E, U, NAMES))))
    assert len(shown) == 8
    assert any("input u8: " in title for title in shown)


@pytest.mark.parametrize(
    ("diagnosis", "texts"),
    [
        (None, ["too few residuals"]),
        (diagnose(E[:3]), ["too few residuals"]),
        (diagnose(E, np.ones((300, 1)), ["u"]), ["residuals or input do not vary"]),
        (diagnose(E, series=np.arange(300)), ["one residual per series: too few"]),
        (diagnose(np.where(np.arange(300) % 50, np.nan, E), lags=4), ["no two values lie within the lags"]),
    ],
)
def test_what_cannot_be_drawn_is_said(diagnosis: Diagnosis | None, texts: list[str]) -> None:
    figure = draw(made(diagnosis, "step"))
    assert [text.get_text() for ax in figure.axes for text in ax.texts] == texts
    assert figure.get_suptitle().startswith("level: ")
    figure.draw_without_rendering()


def test_without_a_diagnosis_the_first_steps_are_taken_fold_by_fold() -> None:
    f = made(None)
    folds = np.arange(100)
    values = E[:100, None]
    of_file = replace(
        f, series=0 * folds, cutoff=folds, time=folds[:, None] + 1, actual=values, forecast=0 * values, last=E[:100]
    )
    (ax,) = draw(of_file).axes
    found = diagnose(E[:100]).autocorrelation
    assert ax.get_title().startswith(f"autocorrelation: {found.outside} of 25 lags outside")
    assert ax.get_xlabel() == "lag (folds)"
