"""Quantile levels: the network's own or put around the point, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tsforecast.errors import UsageError
from tsforecast.options import FitOptions
from tsforecast.training.quantile_levels import blind, check_windows, resolve


def test_levels_are_the_networks_own_or_put_around_the_point() -> None:
    notes: list[str] = []
    asked = FitOptions(quantiles=(0.9, 0.1), trainer="backprop")
    assert resolve(asked, "", notes) == (asked, (0.1, 0.5, 0.9))
    around = replace(asked, intervals="conformal")
    assert resolve(around, "", notes) == (around, (0.1, 0.5, 0.9))
    assert resolve(around, "it fits a point forecast", notes) == (around, ())
    assert resolve(replace(around, loss="mse"), "", notes)[1] == ()
    assert resolve(FitOptions(), "", notes) == (FitOptions(), ())
    assert notes == []
    options, levels = resolve(FitOptions(intervals="conformal"), "", notes)
    assert (options.quantiles, levels) == ((0.05, 0.95), ())
    assert "90 % interval" in notes[0]


@pytest.mark.parametrize(
    ("options", "point_only", "said", "hint"),
    [
        (FitOptions(quantiles=(0.1, 0.1)), "", "a level twice", "each level once"),
        (FitOptions(quantiles=(0.1,), trainer="least_squares"), "it is", "--quantiles: it is", "--trainer backprop"),
        (FitOptions(quantiles=(0.1,), trainer="none"), "it has", "--quantiles: it has", "--intervals conformal"),
        (FitOptions(quantiles=(0.1,), loss="huber"), "", "not by --loss huber", "use --loss mae, or put"),
    ],
)
def test_levels_that_cannot_be_trained_are_refused(options: FitOptions, point_only: str, said: str, hint: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        resolve(options, point_only, [])
    assert hint in (refused.value.hint or "")


def test_a_level_needs_as_many_windows_as_its_rank() -> None:
    options = FitOptions(quantiles=(0.1, 0.95), intervals="conformal")
    check_windows(options, 19)
    with pytest.raises(UsageError, match=r"level 0\.95 needs 19 validation windows, there are 18"):
        check_windows(options, 18)
    check_windows(replace(options, intervals="network"), 0)


def test_quantiles_of_one_step_are_called_what_they_are() -> None:
    options = FitOptions(quantiles=(0.1,))
    assert "one step ahead" in blind(options, (0.1, 0.5), 1, 24)
    assert blind(options, (0.1, 0.5), 24, 24) == ""
    assert blind(replace(options, intervals="conformal"), (0.1, 0.5), 1, 24) == ""
