"""Which rows a forecaster has seen in training, and which are new to it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsforecast.data.frame import Frame
from tsforecast.data.recognise import LEAST, seen_until
from tsforecast.forecasting.forecaster import Forecaster


def first_new_rows(forecaster: Forecaster, frame: Frame) -> NDArray[np.int64]:
    """Return (S,) the first row of each series after those that training saw.

    With a clock these are the rows after the last time that training saw of the series of that name. Without one a row
    number says nothing, as every record counts from 0: rows that training saw are then recognised by their values,
    wherever they are in the data, and series too short for that by name and number.
    """
    memory = forecaster.memory
    if frame.freq.kind == "step":
        out, longest = seen_until(frame, memory.blocks, forecaster.targets), LEAST - 1
    else:
        out, longest = frame.bounds[:-1].copy(), np.iinfo(np.int64).max
    seen = dict(zip(memory.series, memory.last_seen, strict=True))
    for s, name in enumerate(frame.series):
        if name in seen and seen[name] < longest:
            own = frame.time[frame.bounds[s] : frame.bounds[s + 1]]
            out[s] = max(out[s], frame.bounds[s] + np.searchsorted(own, seen[name], side="right"))
    return out


def is_another_record(forecaster: Forecaster, frame: Frame) -> bool:
    """Return whether rows are only counted and training saw none of these."""
    return frame.freq.kind == "step" and bool((first_new_rows(forecaster, frame) == frame.bounds[:-1]).all())
