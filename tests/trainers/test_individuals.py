"""What DEAP is given: individuals that copy and travel, losses that compare, and randomness that stays inside."""

from __future__ import annotations

import ast
import copy
import math
import pickle
import random
from pathlib import Path

import numpy as np
import pytest
from deap import tools

from tsforecast.trainers import individuals as module
from tsforecast.trainers.individuals import Loss, LossAndSize, apart, genes, individuals, own_randomness, same_genes


def test_to_deap_itself_a_nan_beats_everything():
    """The trap that the rest of this file is about."""
    assert Loss((math.nan,)) > Loss((1.0,))
    assert not Loss((math.nan,)) <= Loss((1.0,))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_never_wins(bad):
    rows = np.arange(12, dtype=np.float32).reshape(4, 3)
    people = individuals(rows, np.array([bad, 3.0, 2.0, bad]))
    assert tools.selBest(people, 1)[0] is people[2]
    hall = tools.HallOfFame(1, similar=same_genes)
    hall.update(people)
    assert np.array_equal(hall[0].row, rows[2])
    with own_randomness([0]):
        chosen = tools.selTournament(people, 50, tournsize=4)
    assert {one.fitness.values[0] for one in chosen} <= {2.0, 3.0, math.inf}
    assert sum(one.fitness.values[0] == 2.0 for one in chosen) > 25


def test_a_diverged_network_does_not_survive_for_being_small():
    rows = np.array([[0.0, 0.0], [5.0, 5.0], [1.0, 1.0], [2.0, 2.0]], np.float32)
    people = individuals(rows, np.array([math.nan, 1.0, 3.0, 2.0]), sized=True)
    assert people[0] not in tools.selNSGA2(people, 3)
    assert people[1].fitness.values == (1.0, 25.0)
    assert all(isinstance(one.fitness, LossAndSize) for one in people)


@pytest.mark.parametrize("sized", [False, True])
def test_individuals_come_apart_again(sized):
    rows, losses = np.arange(6, dtype=np.float32).reshape(3, 2), np.array([2.0, math.nan, -3.0])
    back, found = apart(individuals(rows, losses, sized=sized))
    assert np.array_equal(back, rows)
    assert found.tolist() == [2.0, math.inf, -3.0]


def test_two_objectives_prefer_the_smaller_of_two_equals():
    people = individuals(np.array([[3.0], [1.0], [2.0]], np.float32), np.array([0.5, 0.5, 0.5]), sized=True)
    assert tools.selNSGA2(people, 1) == [people[1]]


def test_a_copy_is_independent():
    rows = np.ones((1, 3), np.float32)
    (one,) = individuals(rows, np.array([2.0]))
    other = copy.deepcopy(one)
    rows[:] = 7
    assert one.row[0] == 7  # a view of the population
    assert np.array_equal(other.row, [1, 1, 1])
    assert other.fitness.values == (2.0,)


def test_individuals_travel_between_processes():
    """They are made by no ``creator``, whose classes another process does not know."""
    people = individuals(np.ones((2, 3), np.float32), np.array([1.0, 2.0]), sized=True)
    back = pickle.loads(pickle.dumps(people))
    assert np.array_equal(genes(back), genes(people))
    assert [one.fitness.values for one in back] == [one.fitness.values for one in people]
    for path in Path(module.__file__).parent.glob("*.py"):
        names = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.alias)]
        assert all("creator" not in name.name for name in names)


def test_rows_are_arrays_to_numpy():
    people = individuals(np.arange(6, dtype=np.float32).reshape(2, 3), np.zeros(2))
    assert np.dot(np.array([1.0, 2.0]), people).tolist() == [6.0, 9.0, 12.0]
    assert (people - np.ones(3)).shape == (2, 3)


def drawn():
    return random.random(), np.random.standard_normal(), np.random.rand()  # noqa: NPY002 - what DEAP uses


def test_deap_draws_from_a_stream_of_its_own():
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    expected = drawn()
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    with own_randomness([3, 4]) as rng:
        inside = (*drawn(), rng.random())
    assert drawn() == expected
    random.seed(99)
    np.random.seed(99)  # noqa: NPY002
    with own_randomness([3, 4]) as rng:
        assert (*drawn(), rng.random()) == inside
    with own_randomness([3, 5]) as rng:
        assert (*drawn(), rng.random()) != inside


def test_the_global_state_is_put_back_after_an_error():
    before = random.getstate()
    with pytest.raises(KeyError), own_randomness([1]):
        random.random()
        raise KeyError
    assert random.getstate() == before
