"""What is chosen when the user leaves it open."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tsforecast.data.freq import Freq
from tsforecast.data.seasons import Seasons
from tsforecast.data.split import Split
from tsforecast.errors import UsageError
from tsforecast.options import FitOptions
from tsforecast.training.defaults import choose_shape, explain, look, parse_lengths

ONE = (1, 0, 0)
NOTHING = Seasons((), ())


@pytest.fixture
def rows(make_frame):
    """Make training rows of one frequency: noise, unless values are given."""

    def build(count, freq="h", values=None, gaps=()):
        noise = np.random.default_rng(0).normal(size=count) if values is None else values
        frame = make_frame([count], values=np.asarray(noise, np.float32)[:, None], gaps=gaps)
        spacing = Freq.parse(freq)
        if not gaps:
            time = np.arange(count) if spacing.kind == "step" else spacing.after(0, count)
            frame = replace(frame, freq=spacing, time=time)
        start, end = np.array([0]), np.array([count])
        return frame, Split(start, end * 4 // 5, end, end)

    return build


def shape(frame, cut, seasons=None, **options):
    return choose_shape(FitOptions(**options), frame, cut, ONE, seasons)


def test_the_strongest_confirmed_season_counts(rows):
    frame, cut = rows(5000)
    assert shape(frame, cut, Seasons((168, 24), (24, 168))).season_length == 168
    assert shape(frame, cut, Seasons((168, 24), (24, 168)), season_length=12).season_length == 12


def test_where_nothing_repeats_there_is_no_season_but_hours_are_still_forecast_for_a_day(rows):
    made = shape(*rows(5000))
    assert (made.season_length, made.horizon) == (1, 24)


def test_too_few_rows_to_tell_leave_the_usual_season(rows):
    assert shape(*rows(110)).season_length == 24
    assert shape(*rows(30)).season_length == 1


def test_without_a_clock_the_season_that_is_found_sets_the_horizon(rows):
    frame, cut = rows(1000, "step", np.sin(2 * np.pi * np.arange(1000) / 17))
    made = shape(frame, cut)
    assert (made.season_length, made.horizon) == (17, 17)


def test_a_fortnight_of_lags_where_rows_are_many_and_whole(rows):
    assert shape(*rows(20_000)).lags == 14 * 24
    assert shape(*rows(8_000)).lags == 7 * 24  # fewer than thirty training rows per lag
    assert shape(*rows(20_000, gaps=tuple(range(500, 20_000, 500)))).lags == 7 * 24  # gaps leave few complete windows


def test_cycles_need_ten_of_each_and_a_clock(rows):
    found = Seasons((24, 168), (24, 168))
    frame, cut = rows(1800)
    assert shape(frame, cut, found, cycle="auto").cycle == (24,)
    assert shape(*rows(3000), found, cycle="auto").cycle == (24, 168)
    assert shape(frame, cut, NOTHING, cycle="auto").cycle == ()
    assert shape(frame, cut, found).cycle == ()
    assert shape(*rows(3000, "step"), found, cycle="auto").cycle == ()
    with pytest.raises(UsageError, match="needs a clock"):
        shape(*rows(3000, "step"), found, cycle="24")
    with pytest.raises(UsageError, match="do not show a whole cycle of 5000 steps"):
        shape(frame, cut, found, cycle="24,5000")


def test_a_cycle_that_is_named_twice_is_one():
    assert parse_lengths("24,168, 24") == (24, 168)


def test_cycles_that_hardly_ever_meet_are_refused(rows):
    frame, cut = rows(5000)
    with pytest.raises(UsageError, match="season of 24 they repeat too rarely to count"):
        shape(frame, cut, NOTHING, season_length=24, cycle="997,991,983")
    found = Seasons((677, 673, 661, 24), ())
    assert shape(*rows(20_000), found, season_length=24, cycle="auto").cycle == (677, 673, 24)


def test_tables_of_cycles_stay_small(rows):
    assert shape(*rows(40_000), Seasons((2000, 96), ()), cycle="auto").cycle == (2000,)


def test_nothing_is_looked_for_where_all_is_said(rows):
    assert look(FitOptions(season_length=24), *rows(5000)) == NOTHING
    assert look(FitOptions(), *rows(3000, values=np.sin(2 * np.pi * np.arange(3000) / 24))).lengths == (24,)


def test_what_was_chosen_is_told_and_what_was_said_is_not(rows):
    frame, cut = rows(5000)
    found = Seasons((24, 168), (24, 168))
    options = FitOptions(cycle="auto", lags="48")
    told = explain(options, choose_shape(options, frame, cut, ONE, found), found)
    assert told == "chosen from the data: season 24 and 168, cycle 24,168, horizon 24"
    options = FitOptions(horizon=3, lags="48", season_length=24)
    assert explain(options, choose_shape(options, frame, cut, ONE, found), NOTHING) == ""
    assert explain(FitOptions(), shape(frame, cut, NOTHING), NOTHING).startswith("chosen from the data: horizon 24")
