"""Rows that training saw are recognised: by time with a clock, by their values without one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import tsforecast
from tsforecast.data.read import read
from tsforecast.data.recognise import LEAST
from tsforecast.evaluating.seen import first_new_rows, is_another_record
from tsforecast.forecasting.prediction import read_frame
from tsforecast.options import ReadOptions

ROWS, TEST = 203, 40
SEEN = ROWS - TEST


def walk(rows: int, seed: int = 0) -> np.ndarray:
    return np.round(np.cumsum(np.random.default_rng(seed).normal(size=rows)), 1)


def first_new(train: np.ndarray, data: np.ndarray, *, test: int = TEST, **columns: Any) -> tuple[int, bool]:
    options = ReadOptions(no_time=True)
    said = {"lags": "4", "horizon": 2, "no_time": True, "trainer": "none", "model": "narx", "test": str(test)}
    forecaster = tsforecast.train(pa.table({"y": train}), "y", **said).forecaster
    frame = read_frame(forecaster, read([pa.table({"y": data})], options), options)[0]
    return int(first_new_rows(forecaster, frame)[0]), is_another_record(forecaster, frame)


def test_the_record_of_training_is_new_after_its_last_seen_row() -> None:
    assert first_new(walk(ROWS), walk(ROWS)) == (SEEN, False)
    longer = np.concatenate([walk(ROWS), walk(50, seed=1)])
    assert first_new(walk(ROWS), longer) == (SEEN, False)
    assert first_new(walk(ROWS), walk(ROWS), test=0) == (ROWS, False)


@pytest.mark.parametrize("start", [1, 7, 100])
def test_an_excerpt_is_recognised_wherever_it_begins(start: int) -> None:
    assert first_new(walk(ROWS), walk(ROWS)[start:])[0] == SEEN - start
    inside = walk(ROWS)[start : start + LEAST]
    assert first_new(walk(ROWS), inside) == (len(inside), False)
    behind = np.concatenate([walk(30, seed=2), walk(ROWS)[start:SEEN], walk(30, seed=3)])
    assert first_new(walk(ROWS), behind)[0] == 30 + SEEN - start


def test_another_record_is_new_although_its_rows_have_the_same_numbers() -> None:
    assert first_new(walk(ROWS), walk(ROWS, seed=1)) == (0, True)
    assert first_new(walk(ROWS), walk(ROWS)[SEEN:]) == (0, True)


def test_a_system_at_rest_tells_nothing_but_the_rest_after_a_known_record_is_known() -> None:
    rest = np.zeros(60)
    train = np.concatenate([rest, walk(80), rest])
    assert first_new(train, np.concatenate([rest, walk(80, seed=1), rest]), test=0) == (0, True)
    assert first_new(train, np.concatenate([train, walk(40, seed=2)]), test=0) == (200, False)


def test_a_series_too_short_to_be_recognised_goes_by_name_and_number() -> None:
    short = LEAST - 2
    assert first_new(walk(short), np.concatenate([walk(short), walk(9, seed=1)]), test=0)[0] == short


def test_a_system_without_noise_repeats_itself_and_is_another_record_all_the_same() -> None:
    def tank(seed: int) -> np.ndarray:
        valve = np.repeat(np.random.default_rng(seed).integers(0, 2, 250), 20)
        level = np.zeros(len(valve))
        for t in range(1, len(valve)):
            level[t] = 0.9 * level[t - 1] + 0.1 * valve[t - 1]
        return np.round(level, 2)

    assert first_new(tank(0), tank(1), test=0) == (0, True)
    assert first_new(tank(0), tank(0), test=100) == (4900, False)
    assert first_new(tank(0), tank(0)[1000:3000], test=100) == (2000, False)


def test_series_are_recognised_under_any_name() -> None:
    def table(names: str) -> pa.Table:
        parts = [pa.table({"id": [name] * ROWS, "y": walk(ROWS, seed)}) for seed, name in enumerate(names)]
        return pa.concat_tables(parts)

    options = ReadOptions(no_time=True)
    said = {"lags": "4", "horizon": 2, "no_time": True, "trainer": "none", "model": "narx", "test": str(TEST)}
    forecaster = tsforecast.train(table("cab"), "y", series_id="id", **said).forecaster
    frame = read_frame(forecaster, read([table("ayx")], options), options)[0]
    assert first_new_rows(forecaster, frame).tolist() == [SEEN, ROWS + SEEN, 2 * ROWS + SEEN]
    new = pa.table({"id": ["a"] * ROWS, "y": walk(ROWS, seed=9)})
    assert is_another_record(forecaster, read_frame(forecaster, read([new], options), options)[0])


def test_a_periodic_record_goes_on_after_its_last_seen_row() -> None:
    sine = np.round(np.sin(2 * np.pi * np.arange(ROWS) / 16), 6)
    assert first_new(sine, sine) == (SEEN, False)


def test_holes_are_values_like_others() -> None:
    train = walk(ROWS)
    train[40::50] = np.nan
    assert first_new(train, train)[0] == SEEN


def test_a_clock_counts_and_not_the_values() -> None:
    time = np.datetime64("2024-01-01T00", "us") + np.arange(ROWS) * np.timedelta64(1, "h")
    train = pa.table({"time": time, "y": walk(ROWS)})
    forecaster = tsforecast.train(
        train, "y", lags="4", horizon=2, trainer="none", model="narx", test=str(TEST)
    ).forecaster
    other = pa.table({"time": time, "y": walk(ROWS, seed=1)})
    for data, first in ((train, SEEN), (other, SEEN)):
        frame = read_frame(forecaster, read([data], ReadOptions()), ReadOptions())[0]
        assert first_new_rows(forecaster, frame).tolist() == [first]
        assert not is_another_record(forecaster, frame)
    assert forecaster.memory.blocks.shape == (0, 3)
