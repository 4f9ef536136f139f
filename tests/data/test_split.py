"""Train, valid and test share the rows of every series, in this order of time, and nothing else sees test."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsforecast.data.freq import HOUR
from tsforecast.data.scale import Scaler
from tsforecast.data.split import split
from tsforecast.errors import UsageError

FRACTIONS = st.floats(0, 0.45).map(str)
ROWS = st.integers(0, 6).map(str)
LENGTHS = st.lists(st.integers(1, 25), min_size=1, max_size=4)


def hours(text):
    """Read a date of the tests: ``@7`` is the eighth hour."""
    return int(text[1:]) * HOUR


@given(lengths=LENGTHS, valid=FRACTIONS | ROWS, test=FRACTIONS | ROWS)
def test_parts_partition_every_series(make_frame, lengths, valid, test):
    frame = make_frame(lengths)
    try:
        cut = split(frame, valid, test, hours)
    except UsageError as error:
        assert "leave no rows to train on" in str(error)
        return
    np.testing.assert_array_equal(cut.start, frame.bounds[:-1])
    np.testing.assert_array_equal(cut.end, frame.bounds[1:])
    assert (cut.start <= cut.valid).all()
    assert (cut.valid <= cut.test).all()
    assert (cut.test <= cut.end).all()
    parts = [cut.rows(cut.start, cut.valid), cut.rows(cut.valid, cut.test), cut.rows(cut.test, cut.end)]
    assert (np.sum(parts, axis=0) == 1).all()
    assert (parts[0] == cut.train_rows).all()
    assert cut.train_rows.any()
    for first, last in zip(frame.bounds[:-1], frame.bounds[1:], strict=True):
        part = np.argmax([p[first:last] for p in parts], axis=0)
        assert (np.diff(part) >= 0).all()


@pytest.mark.parametrize(
    ("valid", "test", "sizes"),
    [
        ("0.2", "0", ([16, 8], [4, 2], [0, 0])),
        ("0.2", "0.1", ([14, 7], [4, 2], [2, 1])),
        ("3", "2", ([15, 5], [3, 3], [2, 2])),
        ("0", "0", ([20, 10], [0, 0], [0, 0])),
        ("@8", "@9", ([8, 8], [1, 1], [11, 1])),
        ("@9", "0", ([9, 9], [11, 1], [0, 0])),
        ("@15", "@12", ([12, 10], [0, 0], [8, 0])),
        ("12", "0", ([8, 0], [12, 10], [0, 0])),
        ("0.3", "0", ([14, 7], [6, 3], [0, 0])),
    ],
)
def test_sizes_are_fractions_rows_or_dates(valid, test, sizes, make_frame):
    cut = split(make_frame([20, 10]), valid, test, hours)
    got = (cut.valid - cut.start, cut.test - cut.valid, cut.end - cut.test)
    assert [list(part) for part in got] == [list(part) for part in sizes]


@pytest.mark.parametrize("size", ["-1", "-0.1", "1.5", "inf", "nan", "-inf"])
@pytest.mark.parametrize("part", ["valid", "test"])
def test_what_is_no_size_is_refused(size, part, make_frame):
    sizes = {"valid": "0.2", "test": "0"} | {part: size}
    with pytest.raises(UsageError, match=rf"--{part} {size}: not a size"):
        split(make_frame([20]), sizes["valid"], sizes["test"], hours)


@pytest.mark.parametrize(("valid", "test"), [("20", "0"), ("0", "99"), ("@0", "0"), ("15", "5")])
def test_no_rows_to_train_on_is_refused(valid, test, make_frame):
    with pytest.raises(UsageError, match="leave no rows to train on"):
        split(make_frame([20]), valid, test, hours)


@given(lengths=LENGTHS, kind=st.sampled_from(["standard", "robust", "minmax"]))
def test_a_scaler_of_train_never_sees_the_rest(make_frame, lengths, kind):
    frame = make_frame(lengths)
    try:
        cut = split(frame, "0.2", "0.2", hours)
    except UsageError:
        return
    other = frame.values.copy()
    other[~cut.train_rows] = 1e6
    mine, theirs = (Scaler.fit(values[cut.train_rows], kind) for values in (frame.values, other))
    np.testing.assert_array_equal(mine.center, theirs.center)
    np.testing.assert_array_equal(mine.spread, theirs.spread)


@pytest.mark.parametrize("part", ["valid", "test"])
def test_a_date_after_the_last_row_keeps_nothing_out_and_is_refused(part, make_frame):
    sizes = {"valid": "0.2", "test": "0"}
    with pytest.raises(UsageError, match=f"--{part} @20: the last row is at"):
        split(make_frame([20, 10]), **(sizes | {part: "@20"}), parse=hours)
    assert split(make_frame([20, 10]), **(sizes | {part: "@19"}), parse=hours).train_rows.any()
