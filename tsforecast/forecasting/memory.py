"""What a forecaster remembers of the rows it was fitted on: how far they go, how large their changes are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsforecast.data.frame import Frame
from tsforecast.data.recognise import fingerprints
from tsforecast.data.split import Split
from tsforecast.forecasting.baselines import mean_steps, seasonal_differences
from tsforecast.forecasting.reference import NightTable
from tsforecast.forecasting.shape import Shape
from tsforecast.options import FitOptions


@dataclass(frozen=True)
class Memory:
    """What a forecaster knows of the rows it was fitted on.

    Attributes:
        series: S series ids.
        last_seen: (S,) time of the last row of each series that training or validation saw.
        scale: (S, T, 2) mean absolute and mean squared seasonal-naive difference per series and target, data units.
        slope: (S, T) mean step of the targets between neighbouring rows of each series, data units; 0 where unknown.
        ranges: (C, 2) lowest and highest value per column, data units.
        night: When the target is zero because the sun is down, if ``--night`` asked for it.
        rows: Rows of training and validation.
        blocks: (n, 3) what these rows are recognised by where there is no clock, see ``seen``; none with a clock.
    """

    series: tuple[str, ...]
    last_seen: NDArray[np.int64]
    scale: NDArray[np.float64]
    slope: NDArray[np.float64]
    ranges: NDArray[np.float64]
    night: NightTable | None = None
    rows: int = 0
    blocks: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 3), np.int64))


def remember(frame: Frame, cut: Split, options: FitOptions, shape: Shape, targets: int) -> Memory:
    """Measure what evaluation and prediction need to know of the rows before the test part."""
    seen = cut.rows(cut.start, cut.test)
    ends = np.maximum(cut.test - 1, 0)
    night = None
    if options.night == "auto":
        night = NightTable.build(frame.time[seen], frame.observed(0)[seen], options.lat, options.lon)
    return Memory(
        series=frame.series,
        last_seen=np.where(cut.test > cut.start, frame.time[ends], np.iinfo(np.int64).min),
        scale=seasonal_differences(frame, seen, shape.season_length, targets),
        slope=np.nan_to_num(mean_steps(frame, seen, targets)),
        ranges=np.stack([_reduce(how, frame.values[seen]) for how in (np.min, np.max)], axis=1),
        night=night,
        rows=int(seen.sum()),
        blocks=fingerprints(frame, cut.test, targets),
    )


def _reduce(how: Callable[..., Any], values: NDArray[Any]) -> NDArray[np.float64]:
    """Reduce (N, C) over the rows; NaN for a column without a known value."""
    columns = [values[np.isfinite(values[:, c]), c] for c in range(values.shape[1])]
    return np.array([how(column) if len(column) else np.nan for column in columns], dtype=np.float64)
