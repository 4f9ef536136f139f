"""How it is said that forecasts diverge."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsforecast.data.frame import Frame
from tsforecast.data.table import listed
from tsforecast.models.base import Network


def warning_of_divergence(
    network: Network,
    frame: Frame,
    cutoffs: NDArray[np.int64],
    time: NDArray[np.int64],
    lost: NDArray[np.bool_],
    outcome: str,
) -> str:
    """Say from when on forecasts are lost, see ``outputs.InUnits.lost``; empty where none is.

    Args:
        network: That made them.
        frame: The series.
        cutoffs: (K,) rows they follow; a series may have several.
        time: (K, H).
        lost: (K, H).
        outcome: What becomes of them, as the end of the sentence.
    """
    which = np.flatnonzero(lost.any(axis=1))
    if not len(which):
        return ""
    since = frame.clock.text(int(time[which, lost[which].argmax(axis=1)].min()))
    names = [frame.series[s] for s in np.unique(frame.series_of(cutoffs[which]))]
    whose = "" if names == [""] else f" of series {names[0]}"
    if len(names) > 1:
        whose = f" of {len(names)} series ({listed(names)})"
    since = f"{since} on" if len(which) == 1 else f"{since} on at the earliest"
    fed_back = network.free_running or lost.shape[1] > network.block
    what = "that is fed back diverges" if fed_back else "is not finite"
    return f"the forecast{whose} {what} from {since}: {outcome}"
