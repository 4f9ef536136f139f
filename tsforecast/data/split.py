"""Which rows are for training, validation and test: by time, each series by its own rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsforecast.data.frame import Frame
from tsforecast.errors import UsageError


@dataclass(frozen=True)
class Split:
    """Row bounds per series: train is ``[start, valid)``, valid is ``[valid, test)``, test is ``[test, end)``.

    Attributes:
        start: (S,) first row.
        valid: (S,) first row of the validation part.
        test: (S,) first row of the test part.
        end: (S,) one past the last row.
    """

    start: NDArray[np.int64]
    valid: NDArray[np.int64]
    test: NDArray[np.int64]
    end: NDArray[np.int64]

    def rows(self, first: NDArray[np.int64], last: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return an (N,) mask of the rows between two of the bounds."""
        steps = np.zeros(int(self.end[-1]) + 1, dtype=np.int32)
        np.add.at(steps, first, 1)
        np.add.at(steps, last, -1)
        return np.cumsum(steps)[:-1] > 0

    @property
    def train_rows(self) -> NDArray[np.bool_]:
        """(N,) mask of the training rows."""
        return self.rows(self.start, self.valid)


def split(frame: Frame, valid: str, test: str, parse: Callable[[str], int]) -> Split:
    """Cut every series into train, valid and test, in this order of time.

    Args:
        frame: Series to cut.
        valid: Size of the validation part: a fraction of all rows, a number of rows, or the date it starts at.
        test: Size of the test part, likewise.
        parse: Turns a date into the frame's time.

    Raises:
        UsageError: Sizes that leave no training rows, that are no size, or dates after the last row.
    """
    start, end = frame.bounds[:-1], frame.bounds[1:]
    tested = _cut(frame, test, "test", end, parse)
    validated = np.minimum(_cut(frame, valid, "valid", tested, parse), tested)
    if not np.any(validated > start):
        raise UsageError(f"--valid {valid} and --test {test} leave no rows to train on", hint="make them smaller")
    return Split(start, np.maximum(validated, start), np.maximum(tested, start), end)


def _cut(frame: Frame, size: str, name: str, end: NDArray[np.int64], parse: Callable[[str], int]) -> NDArray[np.int64]:
    """Return (S,) first rows of a part that ends at ``end``."""
    lengths = frame.bounds[1:] - frame.bounds[:-1]
    try:
        number = float(size)
    except ValueError:
        moment = parse(size)
        if not (frame.time >= moment).any():
            last = frame.clock.text(int(frame.time.max()))
            raise UsageError(f"--{name} {size}: the last row is at {last}", hint="give a date of the data") from None
        bounds = zip(frame.bounds[:-1], frame.bounds[1:], strict=True)
        return np.array([a + np.searchsorted(frame.time[a:b], moment) for a, b in bounds], dtype=np.int64)
    if not 0 <= number < np.inf or (number >= 1 and number != int(number)):
        raise UsageError(f"--{name} {size}: not a size", hint="give a fraction (0.2), a number of rows (500) or a date")
    rows = np.floor(number * lengths + 1e-9) if number < 1 else np.full(len(lengths), number)
    return np.maximum(end - rows.astype(np.int64), frame.bounds[:-1])
