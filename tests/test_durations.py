"""Durations: exact, and nothing else."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tsforecast.durations import duration, seconds
from tsforecast.errors import UsageError


@pytest.mark.parametrize(
    ("text", "expected"), [("", None), ("60s", 60), ("5m", 300), ("1.5h", 5400), ("90", 90), ("0.5", 0.5)]
)
def test_durations(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4s", "4"),
        ("0.5ms", "0.0005"),
        ("10us", "0.00001"),
        ("2min", "120"),
        ("2m", "120"),
        ("0.1 h", "360"),
        ("3", "3"),
    ],
)
def test_durations_are_exact(text, expected):
    assert duration(text, "sampling") == Decimal(expected)


@pytest.mark.parametrize("text", ["0", "-5s", "five", "5d", "nan", "inf", "s", "ms", "1:30", " "])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(UsageError, match=f"--time-budget: '{text}' is not a duration"):
        seconds(text)


def test_an_option_is_named_as_it_is_written_with_durations_of_its_size():
    with pytest.raises(UsageError, match=r"^--time-budget: '-5s' is not a duration; write 60s, 5m or 1h$"):
        seconds("-5s")
    with pytest.raises(UsageError, match=r"^--trial-budget: 'soon' is not a duration; write 60s, 5m or 1h$"):
        seconds("soon", "trial_budget")
    with pytest.raises(UsageError, match=r"^--sampling: '-1ms' is not a duration; write 4s, 0\.5ms or 10us$"):
        duration("-1ms", "sampling")
