"""Sets of delays: what is read, and that it is written as it is read."""

from __future__ import annotations

import pytest

from tsforecast.errors import UsageError
from tsforecast.lag_sets import parse_delays, write_delays


@pytest.mark.parametrize(
    ("text", "delays"),
    [
        ("3", (1, 2, 3)),
        (" 2 ", (1, 2)),
        ("1:3,7", (1, 2, 3, 7)),
        ("7,1:3,2", (1, 2, 3, 7)),
        ("0", (0,)),
        ("0:2", (0, 1, 2)),
        ("24,", None),
        ("", None),
        ("3:1", None),
        ("-1", None),
        ("-2:2", None),
        ("1.5", None),
        ("1;3", None),
        ("²", None),
    ],
)
def test_parse_delays(text, delays):
    if delays is None:
        with pytest.raises(UsageError, match="not a set of delays"):
            parse_delays(text)
    else:
        assert parse_delays(text) == delays


@pytest.mark.parametrize(
    ("delays", "text"),
    [
        ((1, 2, 3), "1:3"),
        ((1, 2, 4, 7, 8, 9), "1:2,4,7:9"),
        ((5,), "5:5"),
        ((0,), "0:0"),
        ((0, 2), "0,2"),
        ((3, 4), "3:4"),
    ],
)
def test_delays_are_written_as_they_are_read(delays, text):
    assert write_delays(delays) == text
    assert parse_delays(text) == delays
