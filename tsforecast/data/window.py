"""Windows: which rows start a complete one, and gathering a batch of them by index on either back end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsforecast.data.frame import Frame
from tsforecast.data.split import Split


@dataclass(frozen=True)
class Tables:
    """The scaled columns of a frame by role, as NumPy arrays or as tensors on a device.

    Attributes:
        target: (N, T).
        covariates: (N, P + F), past covariates first.
        static: (S, K).
        series: (N,) series code of each row.
        phase: (N,) position of each row on the time grid, counted modulo a common multiple of all seasons.
        known: (S,) number of each series among those that training saw; -1 for a new one.
        past: P.
    """

    target: Any
    covariates: Any
    static: Any
    series: Any
    phase: Any
    known: Any
    past: int

    def to(self, convert: Callable[[Any], Any]) -> Tables:
        """Return the same tables with every array converted, for example to a tensor on a device."""
        arrays = {f.name: convert(getattr(self, f.name)) for f in fields(self) if f.name != "past"}
        return Tables(**arrays, past=self.past)

    def cut(self, starts: Any, lags: Any, ahead: Any, *, taught: bool = False) -> dict[str, Any]:
        """Gather windows.

        Args:
            starts: (B,) first row of each window, an index array of the tables' back end.
            lags: (L,) the numbers 0..L-1, likewise.
            ahead: (H,) the numbers L..L+H-1, likewise; rows beyond the table are only read where they exist.
            taught: Whether the true future targets are wanted.

        Returns:
            The arrays of ``models.base.Inputs`` by name.
        """
        past = starts[:, None] + lags
        future = starts[:, None] + ahead
        last = starts + (len(lags) - 1)
        known_ahead = self.covariates.shape[1] > self.past
        target, covariates = self.target[past], self.covariates[past]
        return {
            "past_target": target,
            "past_covariates": covariates,
            "future_covariates": self.covariates[future][:, :, self.past :]
            if known_ahead
            else _hollow(target, len(ahead)),
            "static_covariates": self.static[self.series[starts]],
            "series": self.known[self.series[starts]],
            "phase": self.phase[last] + 1,
            "future_target": self.target[future] if taught else target[:, :0],
            "teacher": target[:, :0, :1],
        }


def _hollow(like: Any, steps: int) -> Any:
    """Return a (B, steps, 0) array of the back end of ``like`` (B, L, T)."""
    empty = like[:, :1, :0]
    shape = (len(like), steps, 0)
    return np.broadcast_to(empty, shape) if isinstance(like, np.ndarray) else empty.expand(shape)


def tables(
    frame: Frame,
    scaled: NDArray[np.float32],
    static: NDArray[np.float32],
    targets: int,
    past: int,
    *,
    period: int = 1,
    known: NDArray[np.int64] | None = None,
) -> Tables:
    """Sort the scaled columns of a frame by role.

    Args:
        frame: Where the rows come from.
        scaled: (N, C) scaled values in the frame's column order: target, past, future.
        static: (S, K) scaled static covariates.
        targets: T.
        past: P.
        period: A common multiple of the seasons that the network knows.
        known: (S,) number of each series among those of training; the frame's own numbers by default.
    """
    series = np.repeat(np.arange(len(frame.series), dtype=np.int32), np.diff(frame.bounds))
    return Tables(
        target=np.ascontiguousarray(scaled[:, :targets]),
        covariates=np.ascontiguousarray(scaled[:, targets:]),
        static=static,
        series=series,
        phase=(positions(frame) % period).astype(np.int32),
        known=np.arange(len(frame.series)) if known is None else known,
        past=past,
    )


def positions(frame: Frame) -> NDArray[np.int64]:
    """Return (N,) positions on the time grid: one step apart is one; calendars without a grid count rows."""
    return frame.freq.ordinal(frame.time)


def thinned(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Return at most ``most`` of the rows (n,), evenly spread, the first and the last among them."""
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).round().astype(np.int64)]


class WindowIndex:
    """Knows, for a frame, where complete windows start.

    Args:
        frame: The rows.
        columns: T, P and F, the numbers of target, past and future columns, in frame order.
    """

    def __init__(self, frame: Frame, columns: tuple[int, int, int]) -> None:
        targets, past, _ = columns
        finite = np.isfinite(frame.values)
        behind = np.asarray(finite.all(axis=1))
        observed = finite[:, :targets] & ~frame.filled
        ahead = np.asarray(observed.all(axis=1) & finite[:, targets + past :].all(axis=1))
        self._past = _running(~behind)
        self._future = _running(~ahead)
        self._breaks = _running(frame.breaks)
        self._frame = frame

    def starts(self, split: Split, part: str, lags: int, horizon: int) -> NDArray[np.int64]:
        """Return the starts of the complete windows whose whole horizon lies in ``train``, ``valid`` or ``test``.

        A window never crosses a gap or a border between series. Its lags may reach back into an earlier part.
        """
        edges = {
            "train": (split.start, split.valid),
            "valid": (split.valid, split.test),
            "test": (split.test, split.end),
        }
        first, last = edges[part]
        low = np.maximum(first - lags, split.start)
        candidates = _ranges(low, last - lags - horizon + 1)
        return candidates[self.complete(candidates, lags, horizon)]

    def complete(self, starts: NDArray[np.int64], lags: int, horizon: int) -> NDArray[np.bool_]:
        """Return whether windows have every value they need and no gap; with horizon 0 only the lags matter.

        The last lag may not have been interpolated, as it would know what comes next, and no target may be filled in.
        """
        cut, end = starts + lags, starts + lags + horizon
        holes = self._past[cut] - self._past[starts]
        holes += self._future[end] - self._future[cut]
        holes += self._breaks[end] - self._breaks[starts + 1]  # a break at the first row is before the window
        return np.asarray((holes == 0) & ~self._frame.peeks[cut - 1])

    @staticmethod
    def lost(split: Split, lags: int, horizons: tuple[int, int], found: tuple[int, int]) -> int:
        """Return how many windows holes and gaps cost in train and valid, of which ``found`` are complete."""
        train = np.maximum(split.valid - split.start - lags - horizons[0] + 1, 0)
        reach = np.maximum(split.valid - lags, split.start)
        valid = np.maximum(split.test - reach - lags - horizons[1] + 1, 0)
        return int(train.sum() + valid.sum()) - sum(found)


def _running(flags: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return counts such that ``out[b] - out[a]`` is the number of true flags in ``[a, b)``."""
    out = np.zeros(len(flags) + 1, dtype=np.int32)
    np.cumsum(flags, out=out[1:])
    return out


def _ranges(low: NDArray[np.int64], high: NDArray[np.int64]) -> NDArray[np.int64]:
    """Concatenate the ranges ``low[s]..high[s]-1``."""
    counts = np.maximum(high - low, 0)
    offsets = np.repeat(low - np.concatenate(([0], np.cumsum(counts)[:-1])), counts)
    return np.arange(counts.sum(), dtype=np.int64) + offsets
