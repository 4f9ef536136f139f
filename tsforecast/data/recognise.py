"""Recognise rows by their values, where no clock says which rows they are.

The rows of a record without a clock are only counted, and another record counts from 0 again. So the rows that training
saw are known by blocks of them: a hash of every 16 rows is kept, and rows of another file are looked up at any offset,
the idea of A. Tridgell & P. Mackerras, The rsync algorithm, TR-CS-96-05, Australian National University (1996).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tsforecast.data.frame import Frame

BLOCK = 16
LEAST = 3 * BLOCK  # rows that hold two blocks wherever they are cut: fewer are not recognised
_CANDIDATES = 64  # ends that are tried, those with most votes first
_COLUMN, _ROW = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)  # odd; the constants of splitmix64


def fingerprints(frame: Frame, ends: NDArray[np.int64], targets: int) -> NDArray[np.int64]:
    """Return what the rows of every series before ``ends`` (S,) are recognised by, where there is no clock.

    Blocks are counted from the end of a series. One in which no target changes says nothing, as any system at rest
    looks like that, and is left out.

    Returns:
        (n, 3) hash of each block, how many rows of its series follow it and which series that is, sorted; n = 0 with a
        clock.
    """
    if frame.freq.kind != "step" or not len(frame.time):
        return np.empty((0, 3), np.int64)
    starts, left, series = [], [], []
    for s, (first, end) in enumerate(zip(frame.bounds[:-1], ends, strict=True)):
        own = np.arange(end - BLOCK, first - 1, -BLOCK)
        starts.append(own)
        left.append(end - own - BLOCK)
        series.append(np.full(len(own), s))
    at = np.concatenate(starts)
    made = np.stack([_hashes(frame)[at], np.concatenate(left), np.concatenate(series)], axis=1)
    return np.asarray(np.unique(made[_moving(frame, targets)[at]], axis=0))


def seen_until(frame: Frame, blocks: NDArray[np.int64], targets: int) -> NDArray[np.int64]:
    """Return (S,) one past the last row of each series that is one of the rows before; its first row if none is.

    A block that matches says where the known rows would end. Copies of a record agree on that, coincidences, which
    records without noise are full of, do not: an end counts if at least two blocks and half of those that would lie in
    the series are found. Of several ends, as in a periodic record, the one with most blocks counts, then the first.
    """
    out = frame.bounds[:-1].copy()
    if not len(blocks) or len(frame.time) < BLOCK:
        return out
    hashes, moving = _hashes(frame), _moving(frame, targets)
    place = np.searchsorted(blocks[:, 0], hashes, side="right") - 1
    known = np.flatnonzero((blocks[place, 0] == hashes) & moving)
    blocks_of = blocks[np.argsort(blocks[:, 2], kind="stable")]  # of one series after those of another
    for s, (first, end) in enumerate(zip(frame.bounds[:-1], frame.bounds[1:], strict=True)):
        own = known[slice(*np.searchsorted(known, (first, end - BLOCK + 1)))]
        if not len(own):
            continue
        left, series = blocks[place[own], 1:].T
        ends, votes = np.unique(np.stack((own + BLOCK + left, series)), axis=1, return_counts=True)
        chosen = np.sort(np.argsort(-votes, kind="stable")[:_CANDIDATES])
        most = 1
        for candidate, copied in ends[:, chosen].T.tolist():
            copy = blocks_of[slice(*np.searchsorted(blocks_of[:, 2], (copied, copied + 1)))]
            starts = candidate - copy[:, 1] - BLOCK
            inside = (starts >= first) & (starts <= end - BLOCK)
            found = int(np.count_nonzero(hashes[starts[inside]] == copy[inside, 0]))
            if found > most and 2 * found >= np.count_nonzero(inside):
                out[s], most = min(candidate, int(end)), found
    return out


def _hashes(frame: Frame) -> NDArray[np.int64]:
    """Return (N,) hashes of the block that begins at each row; those of the last rows are of no block."""
    values = np.where(np.isnan(frame.values), np.float32(np.nan), frame.values + np.float32(0))  # one NaN, one zero
    bits = values.view(np.uint32)
    rows = np.zeros(len(bits), np.uint64)
    for column in bits.T:
        rows = (rows + column) * _COLUMN
    padded = np.concatenate((rows, np.zeros(BLOCK - 1, np.uint64)))
    out = np.zeros(len(rows), np.uint64)
    for k in range(BLOCK):
        out = (out + padded[k : k + len(rows)]) * _ROW
    return out.view(np.int64)


def _moving(frame: Frame, targets: int) -> NDArray[np.bool_]:
    """Return (N,) whether a target changes within the block that begins at each row."""
    count = np.concatenate(([0], np.cumsum(_changes(frame, targets))))
    rows = np.arange(len(frame.time))
    return np.asarray(count[np.minimum(rows + BLOCK, len(rows))] > count[rows + 1])


def _changes(frame: Frame, targets: int) -> NDArray[np.bool_]:
    """Return (N,) whether a target differs from the row above; True in the first row of a series."""
    values = frame.values[:, :targets]
    same = (values[1:] == values[:-1]) | (np.isnan(values[1:]) & np.isnan(values[:-1]))
    return np.concatenate(([True], ~same.all(axis=1))) | frame.breaks
