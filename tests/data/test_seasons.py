"""Seasons that are there are found, under their usual names; where there are none, none is found."""

from __future__ import annotations

import numpy as np
import pytest

from tsforecast.data import seasons
from tsforecast.data.frame import Frame
from tsforecast.data.freq import Freq
from tsforecast.data.seasons import find_seasons
from tsforecast.data.split import Split


def series(*values, freq="h", keep=None):
    """Return a frame of series on one grid, without the rows that ``keep`` leaves out, all of it for training."""
    spacing = Freq.parse(freq)
    kept = [np.ones(len(v), bool) if keep is None else keep[: len(v)] for v in values]
    rows = np.concatenate([np.asarray(v, np.float32)[k] for v, k in zip(values, kept, strict=True)])[:, None]
    bounds = np.concatenate(([0], np.cumsum([k.sum() for k in kept]))).astype(np.int64)
    moments = [
        np.arange(len(v))[k] if spacing.kind == "step" else spacing.after(0, len(v))[k]
        for v, k in zip(values, kept, strict=True)
    ]
    size = len(rows)
    frame = Frame(
        values=rows,
        columns=("y",),
        time=np.concatenate(moments),
        freq=spacing,
        series=tuple(map(str, range(len(values)))),
        bounds=bounds,
        breaks=np.zeros(size, bool),
        static=np.zeros((len(values), 0), np.float32),
        static_columns=(),
        clock=None,
        filled=np.zeros((size, 1), bool),
        peeks=np.zeros(size, bool),
        rows=np.arange(size),
    )
    return frame, Split(bounds[:-1], bounds[1:], bounds[1:], bounds[1:])


def wave(rows, length):
    return np.sin(2 * np.pi * np.arange(rows) / length)


def noise(rows, seed=0):
    return np.random.default_rng(seed).normal(size=rows)


def load(rows, seed=0):
    """A day with two peaks, and weekends."""
    step = np.arange(rows)
    day = np.sin(2 * np.pi * step / 24) + np.sin(4 * np.pi * step / 24)
    return day + 1.5 * (step // 24 % 7 < 5) + 0.3 * noise(rows, seed) + 0.02 * noise(rows, seed + 1).cumsum()


def test_a_day_and_a_week_of_hourly_data():
    assert find_seasons(*series(load(3000))).lengths == (24, 168)


def test_a_day_and_a_week_without_a_clock():
    assert set(find_seasons(*series(load(3000), freq="step")).lengths) == {24, 168}


@pytest.mark.parametrize(("freq", "length"), [("D", 7), ("MS", 12), ("15min", 96), ("B", 5), ("step", 17)])
def test_a_weak_season_under_a_trend(freq, length):
    rows = 60 * length
    assert find_seasons(*series(wave(rows, length) + noise(rows) + 0.05 * np.arange(rows), freq=freq)).lengths == (
        length,
    )


def test_the_spectrum_is_off_a_little_and_the_clock_names_the_season():
    values = wave(700, 24) + 0.3 * noise(700)  # no whole number of days
    assert find_seasons(*series(values)).lengths == (24,)


@pytest.mark.parametrize("freq", ["h", "D", "MS", "B", "step"])
@pytest.mark.parametrize("kind", ["noise", "walk", "constant"])
def test_nothing_where_there_is_nothing(freq, kind):
    made = {"noise": noise(2000), "walk": noise(2000).cumsum(), "constant": np.ones(2000)}
    assert find_seasons(*series(made[kind], freq=freq)).lengths == ()


@pytest.mark.parametrize("seed", range(5))
def test_a_wandering_cycle_is_no_season(seed):
    phase = np.cumsum(2 * np.pi / 60 * (1 + 1.5 * noise(10_000, seed)))
    assert find_seasons(*series(np.sin(phase), freq="D")).lengths == ()


def test_holes_and_gaps_do_not_shift_the_season():
    values = load(3000)
    keep = np.ones(3000, bool)
    keep[700:803] = keep[1500:1511] = False
    values[::13] = np.nan
    assert find_seasons(*series(values, keep=keep)).lengths == (24, 168)


def test_many_short_series_tell_together():
    every = [10.0**k * load(700, seed) for seed, k in enumerate([-3, 0, 5] * 20)]
    assert find_seasons(*series(*every)).lengths == (24, 168)
    assert find_seasons(*series(every[0][:500])).lengths == (24,)  # three weeks alone tell nothing of weeks


def test_only_training_rows_are_looked_at():
    values = np.concatenate((noise(1000), wave(1000, 24)))
    frame, cut = series(values)
    cut = Split(cut.start, np.array([1000]), cut.test, cut.end)
    assert find_seasons(frame, cut).lengths == ()


def test_too_short_to_tell():
    found = find_seasons(*series(wave(60, 24)))
    assert (found.lengths, found.judged) == ((), ())


def test_a_million_rows_are_thinned():
    frame, cut = series(wave(1_000_000, 24) + noise(1_000_000))
    assert sum(map(len, seasons._grids(frame, cut, 0))) <= seasons.MOST_ROWS
    assert find_seasons(frame, cut).lengths == (24,)


def test_airline_passengers_without_dates(shared_data):
    lines = shared_data("classic/airline-passengers.csv").read_text().splitlines()[1:]
    values = [float(line.rpartition(",")[2]) for line in lines if line.strip()]
    assert find_seasons(*series(values, freq="step")).lengths == (12,)


@pytest.mark.parametrize(("freq", "lengths"), [("h", (24, 168)), ("step", (24, 168))])
def test_the_hourly_series_of_m4(shared_data, freq, lengths):
    lines = shared_data("m4_hourly/Hourly-train.csv").read_text().splitlines()[1:]
    every = [[float(cell.strip('"')) for cell in line.split(",")[1:] if cell.strip('"')] for line in lines]
    assert find_seasons(*series(*every, freq=freq)).lengths == lengths
