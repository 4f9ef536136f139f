"""The names of the columns of a forecast file are read as they are written."""

from __future__ import annotations

import pytest

from tsforecast.forecasting.forecast_columns import forecast_column, forecast_targets, quantile_column, quantile_columns

LEVELS = (0.0005, 0.1, 0.25, 0.5, 0.9, 0.9995)


@pytest.mark.parametrize("target", ["power", "power_forecast", "a.b (kW)", "wind_q0.1"])
def test_what_is_written_is_read(target: str) -> None:
    written = [forecast_column(target), *(quantile_column(target, level) for level in reversed(LEVELS))]
    assert forecast_targets(["time", target.replace("_forecast", ""), "cutoff", *written]) == (target,)
    found = quantile_columns(["time", *written], target)
    assert found == {level: quantile_column(target, level) for level in LEVELS}
    assert list(found) == sorted(LEVELS)


def test_only_levels_between_zero_and_one_are_quantiles_of_the_target() -> None:
    names = ["power_q0", "power_q0.0", "power_q1.5", "power_quiet", "power_q.2", "powers_q0.1", "x_power_q0.1"]
    assert quantile_columns(names, "power") == {0.2: "power_q.2"}
