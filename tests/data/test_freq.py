"""Spacing of time: names, grids, what comes next, detection."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsforecast.data.freq import Freq, detect_freq
from tsforecast.errors import DataError, UsageError

ALIASES = [
    *("us", "10ms", "s", "15min", "h", "6h", "D", "2D", "W"),
    *("MS", "ME", "2MS", "QS", "QE", "YS", "YE", "B", "trading"),
]


@settings(max_examples=100, deadline=None)
@given(alias=st.sampled_from(ALIASES), start=st.integers(-(10**15), 4 * 10**15), count=st.integers(1, 50))
def test_what_comes_next_is_one_step_ahead(alias: str, start: int, count: int) -> None:
    freq = Freq.parse(alias)
    time = freq.after(start, count + 1)
    np.testing.assert_array_equal(time, np.concatenate([time[:1], freq.after(int(time[0]), count)]))
    np.testing.assert_array_equal(np.diff(freq.ordinal(time)), 1)
    assert Freq.parse(freq.alias) == freq


@pytest.mark.parametrize("alias", [a for a in ALIASES if a not in ("trading", "2MS", "us")])
def test_what_was_made_is_detected(alias: str) -> None:
    freq = Freq.parse(alias)
    time = freq.after(1_600_000_000_000_000, 40)
    assert detect_freq(time, np.array([0, 40])) == freq
    holes = np.delete(time, [7, 8, 20])
    if alias != "B":  # weekdays with holes are a trading calendar
        assert detect_freq(holes, np.array([0, 37])) == freq


@pytest.mark.parametrize("alias", ["MS", "ME", "QS", "YS", "B", "W", "h", "D"])
def test_dates_agree_with_pandas(alias: str) -> None:
    import pandas as pd

    expected = pd.date_range("2019-11-20", periods=60, freq="W-MON" if alias == "W" else alias)
    time = expected.to_numpy("M8[us]").astype(np.int64)
    freq = detect_freq(time, np.array([0, 60]))
    assert freq.alias == alias
    np.testing.assert_array_equal(freq.after(int(time[9]), 50), time[10:])


def test_month_ends_and_anchors() -> None:
    last = np.array(["2024-01-31", "2024-02-29", "2024-03-31"], "M8[us]").astype(np.int64)
    freq = detect_freq(last, np.array([0, 3]))
    assert freq.alias == "ME"
    assert freq.after(int(last[2]), 1).astype("M8[us]").astype(str)[0].startswith("2024-04-30")
    middle = np.array(["2024-01-15", "2024-02-15", "2024-03-15"], "M8[us]").astype(np.int64)
    assert detect_freq(middle, np.array([0, 3])) == Freq("month", "MS", 1, 15)


def test_quarters_that_are_whole_weeks_apart_are_quarters() -> None:
    time = np.array(["2020-01-01", "2020-04-01", "2020-07-01"], "M8[us]").astype(np.int64)
    assert detect_freq(time, np.array([0, 3])).alias == "QS"


def test_trading_days_have_holidays() -> None:
    days = np.arange("2019-01-01", "2021-01-01", dtype="M8[D]")
    days = days[np.is_busday(days)]
    days = np.delete(days, [30, 77, 150, 200, 201, 350])
    time = days.astype("M8[us]").astype(np.int64) + 57_600_000_000
    freq = detect_freq(time, np.array([0, len(time)]))
    assert freq.alias == "trading"
    following = freq.after(int(time[-1]), 3).astype("M8[us]").astype(str).tolist()
    assert following == [f"2021-01-0{d}T16:00:00.000000" for d in (1, 4, 5)]


def test_series_borders_do_not_count() -> None:
    hour = 3_600_000_000
    time = np.concatenate([np.arange(3) * hour, np.arange(2) * hour])
    assert detect_freq(time, np.array([0, 3, 5])).alias == "h"


def test_a_jittering_clock_has_a_round_step() -> None:
    rng = np.random.default_rng(0)
    time = np.arange(500) * 300_000_000 + rng.integers(-9, 10, 500) * 1_000_000
    assert detect_freq(time, np.array([0, 500])).alias == "5min"


def test_what_has_no_spacing_is_refused() -> None:
    with pytest.raises(DataError, match="--freq, or --no-time"):
        detect_freq(np.array([5]), np.array([0, 1]))
    irregular = np.cumsum(np.random.default_rng(0).integers(1, 10**9, 50))
    with pytest.raises(DataError, match="no regular spacing"):
        detect_freq(irregular, np.array([0, 50]))


def test_names() -> None:
    assert Freq.parse("H") == Freq.parse("60min") == Freq.parse("h")
    assert Freq.parse("W-SUN").alias == Freq.parse("7D").alias == "W"
    assert Freq.parse("3MS").alias == "QS"
    with pytest.raises(UsageError, match="'15mins' is not a frequency; did you mean '15min'"):
        Freq.parse("15mins")


@pytest.mark.parametrize(
    ("alias", "seasons"),
    [
        ("h", (24, 168)),
        ("15min", (96, 672)),
        ("10min", (144, 1008)),
        ("min", (1440,)),
        ("D", (7, 365)),
        ("W", (52,)),
        ("MS", (12,)),
        ("QE", (4,)),
        ("YS", ()),
        ("B", (5,)),
        ("trading", (5,)),
        ("step", ()),
        ("10ms", ()),
    ],
)
def test_seasons(alias: str, seasons: tuple[int, ...]) -> None:
    assert Freq.parse(alias).seasons() == seasons


@pytest.mark.parametrize(
    ("alias", "words"),
    [
        ("MS", "a month"),
        ("QE", "3 months"),
        ("2YS", "2 years"),
        ("W", "a week"),
        ("D", "a day"),
        ("h", "an hour"),
        ("15min", "15 minutes"),
        ("36h", "36 hours"),
        ("ms", "a millisecond"),
        ("us", "a microsecond"),
        ("B", "a business day"),
        ("trading", "a trading day"),
        ("step", "a step"),
    ],
)
def test_a_step_in_words(alias: str, words: str) -> None:
    assert Freq.parse(alias).spacing == words
