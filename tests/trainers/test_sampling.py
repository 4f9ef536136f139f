"""Which windows a step passes through."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tsforecast.trainers.sampling import LEAST_WINDOWS, Sampler

LONG = np.repeat(np.array([3, 0, 7], dtype=np.int32), [500, 20, 4])  # windows of three series, of very unequal length


def sampler(series=LONG, size=0, *, fair=False, seed=0):
    return Sampler(series, size, fair, torch.Generator().manual_seed(seed))


def counts(rows, series=LONG):
    return np.bincount(series[rows.numpy()], minlength=8)


def test_size_0_is_every_window_once():
    assert sorted(sampler().draw().tolist()) == list(range(524))
    large = np.zeros(5 * LEAST_WINDOWS, np.int32)
    assert sorted(sampler(large).draw().tolist()) == list(range(len(large)))


@pytest.mark.parametrize("size", [10, 100, 300, 524, 5000])
@pytest.mark.parametrize("fair", [False, True])
def test_a_step_has_as_many_windows_whoever_they_are_of(size, fair):
    drawn = sampler(size=size, fair=fair).draw()
    assert len(drawn) == min(size, 524) if size < LEAST_WINDOWS else len(drawn) == LEAST_WINDOWS // 524 * 524
    assert int(drawn.min()) >= 0
    assert int(drawn.max()) < 524


def test_fair_is_fair_in_every_stretch():
    """Every three windows that follow one another are of the three series, in changing order."""
    drawn = sampler(size=300, fair=True).draw()
    rounds = LONG[drawn.numpy()].reshape(-1, 3)
    assert (np.sort(rounds, axis=1) == [0, 3, 7]).all()
    assert len({tuple(row) for row in rounds}) == 6


def test_unfair_is_by_length():
    share = counts(sampler(size=5000).draw())[[0, 3, 7]] / 524
    np.testing.assert_allclose(share, np.array([20, 500, 4]) / 524)


@pytest.mark.parametrize("count", [2, 60])
def test_rounds_hold_one_window_of_each_series_in_order(count):
    """Whether the set is much larger than what is drawn, or not."""
    rounds = sampler().rounds(count)
    assert rounds.shape == (count, 3)
    assert (LONG[rounds.numpy()] == [0, 3, 7]).all()


def test_rounds_pass_through_a_series_before_they_repeat_a_window():
    rounds = sampler().rounds(44)
    assert len(set(rounds[:, 1].tolist())) == 44
    assert sorted(rounds[:40, 0].tolist()) == sorted([*range(500, 520)] * 2)
    assert sorted(rounds[:, 2].tolist()) == sorted([*range(520, 524)] * 11)


def test_rounds_reach_every_window_of_every_series():
    made = sampler()
    seen = torch.cat([made.rounds(10).ravel() for _ in range(1000)])
    assert len(seen.unique()) == 524


def test_more_series_than_windows_in_a_step_take_turns():
    series = np.arange(50, dtype=np.int32)
    made = sampler(series, 8, fair=True)
    drawn = [made.draw() for _ in range(60)]
    assert all(len(set(rows.tolist())) == 8 for rows in drawn)
    assert len(set(torch.cat(drawn).tolist())) == 50


@pytest.mark.parametrize("fair", [False, True])
def test_the_seed_decides(fair):
    first, again, other = (sampler(size=100, fair=fair, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first.draw(), again.draw())
    assert not torch.equal(first.draw(), other.draw())
