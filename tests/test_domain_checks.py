"""What cannot be, in training and in options that are set after it."""

from __future__ import annotations

from typing import Any

import pytest

from tsforecast.data.clock import Clock
from tsforecast.domains import check_domain
from tsforecast.errors import UsageError
from tsforecast.options import DomainOptions

CLOCK = Clock(columns=("time",), formats=("%Y-%m-%d",), numeric=(False,))


@pytest.mark.parametrize(
    ("options", "said", "hint"),
    [
        ({"lat": 50.0}, "--lat and --lon are only a place together", "give both"),
        ({"lon": 0.0}, "--lat and --lon are only a place together", "give both"),
        ({"rated": 0.0}, "--rated 0: no power", "units of the target"),
        ({"rated": 0.0, "floor": 0.0}, "--rated 0: no power", "leave it away"),
        ({"floor": 5.0, "cap": 3.0}, "--floor 5 is not below --cap 3", "lower --floor .* or a higher --cap"),
        ({"floor": 5.0, "cap": 5.0}, "--floor 5 is not below --cap 5", "--cap"),
        ({"floor": 5.0, "cap": 9.0, "rated": 4.5}, "--floor 5 is not below --rated 4.5", "a higher --rated"),
        ({"floor": 5.0, "cap": 3.0, "rated": 4.0}, "--floor 5 is not below --cap 3", "a higher --cap"),
    ],
)
def test_options_of_the_domain_that_contradict_each_other_are_refused(
    options: dict[str, Any], said: str, hint: str
) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        check_domain(DomainOptions(**options), CLOCK, 1)
    assert caught.match(hint)


@pytest.mark.parametrize(("clock", "targets", "said"), [(Clock(), 1, "without a clock"), (CLOCK, 2, "for one target")])
def test_a_night_needs_a_clock_and_one_target(clock: Clock, targets: int, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        check_domain(DomainOptions(night="auto"), clock, targets)
    check_domain(DomainOptions(), clock, targets)


@pytest.mark.parametrize(
    "options",
    [
        {"lat": 0.0, "lon": 0.0, "night": "auto"},
        {"floor": -1.0, "cap": 0.0},
        {"floor": 0.0, "cap": 3.0, "rated": 2.0},
        {"cap": -3.0},
    ],
)
def test_what_fits_together_passes(options: dict[str, Any]) -> None:
    check_domain(DomainOptions(**options), CLOCK, 1)
