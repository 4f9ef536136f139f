"""Windows: found as by brute force, never across a gap, a hole, a series or a part; cut alike on both back ends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsforecast.data.split import Split, split
from tsforecast.data.window import Tables, WindowIndex, tables, thinned

PARTS = ("train", "valid", "test")
COLUMNS = (1, 1, 1)


@st.composite
def worlds(draw):
    """Series with gaps and holes, a split of them, and the sizes of a window."""
    lengths = draw(st.lists(st.integers(1, 18), min_size=1, max_size=3))
    total = sum(lengths)
    holes = draw(st.lists(st.tuples(st.integers(0, total - 1), st.integers(0, 2)), max_size=3))
    gaps = draw(st.lists(st.integers(0, total - 1), max_size=3, unique=True))
    cuts = [sorted(draw(st.tuples(st.integers(0, n), st.integers(0, n)))) for n in lengths]
    return lengths, gaps, holes, cuts, draw(st.integers(1, 6)), draw(st.integers(1, 4))


def build(make_frame, lengths, gaps, holes, cuts):
    values = np.arange(3 * sum(lengths), dtype=np.float32).reshape(-1, 3)
    for row, column in holes:
        values[row, column] = np.nan
    borders = set(np.cumsum([0, *lengths]))
    frame = make_frame(lengths, values=values, gaps=tuple(g for g in gaps if g not in borders))
    start = frame.bounds[:-1]
    valid, test = (start + np.array([cut[k] for cut in cuts]) for k in (0, 1))
    return frame, Split(start, valid, test, frame.bounds[1:])


def by_hand(frame, cut, part, lags, horizon):
    """Try every row as a start, and look at every row of its window."""
    edges = {"train": (cut.start, cut.valid), "valid": (cut.valid, cut.test), "test": (cut.test, cut.end)}[part]
    found = []
    for s in range(len(frame.series)):
        for start in range(frame.bounds[s], frame.bounds[s + 1]):
            past, ahead = range(start, start + lags), range(start + lags, start + lags + horizon)
            if ahead[0] < edges[0][s] or ahead[-1] >= edges[1][s]:
                continue
            whole = np.isfinite(frame.values[past]).all() and np.isfinite(frame.values[ahead][:, [0, 2]]).all()
            if whole and not any(frame.breaks[row] for row in (*past[1:], *ahead)):
                found.append(start)
    return found


@given(world=worlds())
def test_windows_are_those_of_brute_force(make_frame, world):
    *parts, lags, horizon = world
    frame, cut = build(make_frame, *parts)
    index = WindowIndex(frame, COLUMNS)
    for part in PARTS:
        found = index.starts(cut, part, lags, horizon)
        assert found.tolist() == by_hand(frame, cut, part, lags, horizon)
    candidates = np.arange(len(frame.values) - lags + 1)
    lags_only = [
        bool(np.isfinite(frame.values[a : a + lags]).all() and not frame.breaks[a + 1 : a + lags].any())
        for a in candidates
    ]
    assert index.complete(candidates, lags, 0).tolist() == lags_only


@given(world=worlds())
def test_lost_windows_are_counted(make_frame, world):
    *parts, lags, horizon = world
    frame, cut = build(make_frame, *parts)
    unharmed, _ = build(make_frame, parts[0], [], [], parts[3])
    horizons = (horizon, horizon + 1)
    found, possible = (
        [len(WindowIndex(f, COLUMNS).starts(cut, p, lags, h)) for p, h in zip(PARTS[:2], horizons, strict=True)]
        for f in (frame, unharmed)
    )
    assert WindowIndex.lost(cut, lags, horizons, tuple(found)) == sum(possible) - sum(found)


@given(world=worlds())
def test_parts_share_no_step_of_a_horizon(make_frame, world):
    *parts, lags, horizon = world
    frame, cut = build(make_frame, *parts)
    index = WindowIndex(frame, COLUMNS)
    forecast = [
        {row for start in index.starts(cut, part, lags, horizon) for row in range(start + lags, start + lags + horizon)}
        for part in PARTS
    ]
    assert not (forecast[0] & forecast[1] or forecast[1] & forecast[2] or forecast[0] & forecast[2])


@pytest.fixture
def cut_case(make_frame):
    values = np.arange(120, dtype=np.float32).reshape(30, 4)
    frame = make_frame([18, 12], values=values, static=[[1.0], [2.0]])
    return frame, tables(frame, frame.values, frame.static, targets=1, past=2, period=6)


def test_cut_gathers_the_rows_of_each_window(cut_case):
    frame, made = cut_case
    starts, lags, horizon = np.array([2, 20]), 5, 3
    batch = made.cut(starts, np.arange(lags), np.arange(lags, lags + horizon), taught=True)
    for b, start in enumerate(starts):
        past, ahead = slice(start, start + lags), slice(start + lags, start + lags + horizon)
        np.testing.assert_array_equal(batch["past_target"][b], frame.values[past, :1])
        np.testing.assert_array_equal(batch["past_covariates"][b], frame.values[past, 1:])
        np.testing.assert_array_equal(batch["future_covariates"][b], frame.values[ahead, 3:])
        np.testing.assert_array_equal(batch["future_target"][b], frame.values[ahead, :1])
    np.testing.assert_array_equal(batch["static_covariates"], [[1], [2]])
    np.testing.assert_array_equal(batch["phase"], made.phase[starts + lags - 1] + 1)
    assert batch["teacher"].shape == (2, 0, 1)


@pytest.mark.parametrize("taught", [False, True])
@pytest.mark.parametrize("past", [2, 3], ids=["future", "past only"])
def test_both_back_ends_cut_alike(cut_case, taught, past):
    import torch

    frame, _ = cut_case
    made = tables(frame, frame.values, frame.static, targets=1, past=past, period=6)
    starts, steps = np.array([0, 3, 19]), np.arange(7)
    ours = made.cut(starts, steps[:4], steps[4:], taught=taught)
    theirs = made.to(torch.tensor).cut(torch.tensor(starts), torch.arange(4), torch.arange(4, 7), taught=taught)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert tuple(theirs[name].shape) == value.shape
        np.testing.assert_array_equal(theirs[name], value)


@pytest.mark.parametrize("past", [2, 3], ids=["future", "past only"])
def test_a_window_at_the_very_end_needs_nothing_ahead(cut_case, past):
    frame, _ = cut_case
    made: Tables = tables(frame, frame.values, frame.static, targets=1, past=past, period=6)
    steps = np.arange(4)
    batch = made.cut(np.array([26]), steps, steps[:0])
    np.testing.assert_array_equal(batch["past_target"][0], frame.values[26:30, :1])
    assert batch["future_covariates"].shape == (1, 0, 3 - past)


def test_the_phase_goes_on_across_a_gap(make_frame):
    """Rows keep their place in the season when an hour is missing."""
    frame = make_frame([10], gaps=(5,))
    assert tables(frame, frame.values, frame.static, 1, 0, period=4).phase.tolist() == [0, 1, 2, 3, 0, 2, 3, 0, 1, 2]


def test_a_split_of_a_frame_gives_windows_of_every_part(make_frame):
    frame = make_frame([40])
    cut = split(frame, "0.25", "0.25", int)
    index = WindowIndex(frame, (1, 0, 0))
    assert [len(index.starts(cut, part, 6, 3)) for part in PARTS] == [20 - 8, 10 - 2, 10 - 2]


def test_many_rows_are_thinned_out_evenly_and_few_are_kept():
    assert thinned(np.arange(10, 21), 6).tolist() == [10, 12, 14, 16, 18, 20]
    assert thinned(np.arange(6), 6).tolist() == list(range(6))
