"""Seasons found in the data: lengths that a spectrum proposes and that cycles, compared with one another, confirm."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsforecast.data.frame import Frame
from tsforecast.data.split import Split

Floats = NDArray[np.float64]
Cycles = tuple[Floats, NDArray[np.int64]]  # (C, p) detrended cycles, and the (C,) numbers that tell neighbours

MOST_ROWS = 2**17  # rows that are looked at, over all series together
MOST_SERIES = 96
MOST_CYCLES = 128  # of them all together; fewer where lengths are only compared
FEW_CYCLES = 16
MOST_CELLS = 2**16
LEAST_CYCLES = 4  # of all series together
OF_ONE = 3  # of each
MOST_PEAKS = 5
MOST_NEAR = 4  # whole lengths that are compared for one peak, twice
LONGEST = 2_016  # as for the usual seasons: a week of five-minute steps
NAMED = (0.03, 1.5, 0.0)  # what confirms a usual length: agreement of base + surplus / cycles, and that share of what
FOUND = (0.2, 1.5, 0.5)  # neighbours have; and any other length
CERTAIN = 4.0  # standard deviations above chance
MULTIPLES = (5, 7)  # where no clock names a week: weeks of working days or days; longer lengths are no overtones


@dataclass(frozen=True)
class Seasons:
    """What the training rows say about seasons.

    Attributes:
        lengths: Confirmed season lengths in steps, the strongest first.
        judged: Usual lengths of the frequency that the rows are long enough to judge.
    """

    lengths: tuple[int, ...]
    judged: tuple[int, ...]


def find_seasons(frame: Frame, cut: Split, target: int = 0) -> Seasons:
    """Find the seasons of a target in the training rows.

    A length p is a season when cycles of p steps that lie apart in time look alike. Each is freed from its trend by the
    centred moving average over p steps, and two cycles agree as far as they correlate. Noise, however strongly it
    depends on its own past, does not repeat, so that agreement is zero in the mean for it, and for a random walk, too.
    Candidates are the usual seasons of the frequency and the peaks of the periodogram of the differences. Of a length
    that holds a confirmed shorter one a whole number of times, only what the shorter one leaves over counts.

    Args:
        frame: The series.
        cut: Says which rows are for training; no other is read.
        target: Number of the target column.
    """
    usual = tuple(p for p in frame.freq.seasons() if 2 <= p <= LONGEST)
    grids = [_standard(grid) for grid in _grids(frame, cut, target)]
    found = {p: _agreement(_cycles(grids, p)) for p in usual}
    judged = tuple(p for p in usual if found[p].cycles >= LEAST_CYCLES)
    confirmed = {p: found[p].share for p in usual if found[p].confirms(NAMED)}
    if not confirmed:
        found = {p: _agreement(_cycles(grids, p)) for p in _peaks(grids, usual)}
        confirmed = {p: found[p].share for p in found if found[p].confirms(FOUND)}
        for p in _untangle(grids, confirmed, usual):
            week = max((k * p for k in MULTIPLES), key=lambda q: _beyond(grids, q, p).share)
            if week <= LONGEST and _beyond(grids, week, p).confirms(NAMED):
                confirmed[week] = _agreement(_cycles(grids, week)).share
    return Seasons(_untangle(grids, confirmed, usual), judged)


def _grids(frame: Frame, cut: Split, target: int) -> list[Floats]:
    """Return training values of some series on the time grid, NaN where there is none; newest rows where too many."""
    every = np.flatnonzero(cut.valid > cut.start)
    chosen = every[np.unique(np.linspace(0, len(every) - 1, min(len(every), MOST_SERIES)).round().astype(np.int64))]
    span = MOST_ROWS // max(len(chosen), 1)
    grids = []
    for s in chosen:
        first, last = max(int(cut.start[s]), int(cut.valid[s]) - span), int(cut.valid[s])
        place = frame.freq.ordinal(frame.time[first:last])
        place = place - (place[-1] - span + 1)
        kept = place >= 0
        grid = np.full(span, np.nan)
        known = np.where(frame.filled[first:last, target], np.nan, frame.values[first:last, target])
        grid[place[kept]] = known[kept]
        grids.append(grid[place[kept][0] :])
    return grids


def _standard(grid: Floats) -> Floats:
    """Return the values in standard deviations of their differences, as one unit for all series."""
    steps = np.diff(grid)
    spread = float(np.nanstd(steps)) if np.isfinite(steps).any() else 0.0
    return grid / spread if spread > 0 else np.full_like(grid, np.nan)


def _peaks(grids: Sequence[Floats], usual: Sequence[int]) -> list[int]:
    """Return whole lengths near the highest peaks of the pooled periodogram of the differences, over the frequency.

    Dividing by the frequency lies between the spectrum of the series, where a trend hides the rest, and that of its
    differences, where overtones hide the season.
    """
    longest = max((len(grid) for grid in grids), default=0)
    if longest < 2 * LEAST_CYCLES:
        return []
    size = 2 ** int(np.ceil(np.log2(2 * longest)))
    power = np.zeros(size // 2 + 1)
    for grid in grids:
        steps = np.nan_to_num(np.diff(grid))
        power += np.abs(np.fft.rfft(steps - steps.mean(), size)) ** 2
    frequency = np.arange(len(power)) / size
    low, high = max((LEAST_CYCLES + 1) / longest, 1 / LONGEST), 0.5
    weight = np.where((frequency >= low) & (frequency <= high), power / np.maximum(frequency, low), 0.0)
    tops = np.flatnonzero((weight[1:-1] > weight[:-2]) & (weight[1:-1] >= weight[2:])) + 1
    tops = tops[np.argsort(-weight[tops])][:MOST_PEAKS]
    lengths: list[int] = []
    for f in frequency[tops]:
        near = range(max(2, int(1 / (f + 0.5 / longest))), int(np.ceil(1 / (f - 0.5 / longest))) + 1)
        if any(u % p == 0 for u in usual for p in near):  # 23.9 is 24 where there is a clock, and 12 its overtone
            continue
        best = _best(grids, near)
        lengths += [best] if best not in lengths else []
    return lengths


def _best(grids: Sequence[Floats], near: range) -> int:
    """Return the length in whose steps cycles agree most, found in two rounds of a few."""
    some = grids[:: -(-len(grids) // 6)]
    for _ in range(2):
        tried = near[:: max(1, -(-len(near) // MOST_NEAR))]
        best = max(tried, key=lambda p: _agreement(_cycles(some, p, FEW_CYCLES)).share)
        near = range(max(2, best - tried.step + 1), best + tried.step)
    return best


def _cycles(grids: Sequence[Floats], length: int, most: int = MOST_CYCLES) -> list[Cycles]:
    """Return for each series some of its cycles, spread in time by twos, without trend, zero where missing."""
    half, out = length // 2, []
    most = max(min(most, MOST_CELLS // length) // max(len(grids), 1), 2 * LEAST_CYCLES)
    for grid in grids:
        count = (len(grid) - 2 * half) // length
        if count < OF_ONE:
            continue
        couples = np.linspace(0, count - 2, min(count - 1, most // 2)).round().astype(np.int64)
        number = np.unique(np.concatenate((couples, couples + 1)))
        begin = len(grid) - half - length * (count - number)
        block = grid[begin[:, None] + np.arange(-half, length + half)]
        known = np.isfinite(block)
        total, seen = (_moving(a, half, length) for a in (np.where(known, block, 0.0), known.astype(np.float64)))
        middle = known[:, half : half + length]
        cycle = np.where(middle, block[:, half : half + length] - total / np.maximum(seen, 1), 0.0)
        whole = (middle.mean(axis=1) > 0.75) & (seen.min(axis=1) > 0.5 * length)
        out.append((cycle[whole], number[whole]))
    return out


def _moving(rows: Floats, half: int, length: int) -> Floats:
    """Return sums over ``length`` steps about each but the outer ``half``; an even length has halves at both ends."""
    sums = np.concatenate((np.zeros((len(rows), 1)), rows.cumsum(axis=1)), axis=1)
    out: Floats = sums[:, 2 * half + 1 :] - sums[:, : -2 * half - 1]
    if length % 2 == 0:
        out = out - 0.5 * (rows[:, : out.shape[1]] + rows[:, 2 * half :])
    return out


class Agreement(NamedTuple):
    """How far the cycles of one length agree.

    Attributes:
        share: Mean correlation of two cycles far apart: the part of the variance that always repeats.
        above: How far that is above chance, in standard deviations.
        near: Mean correlation of neighbours.
        cycles: Cycles compared.
    """

    share: float
    above: float
    near: float
    cycles: int

    def confirms(self, least: tuple[float, float, float]) -> bool:
        """Tell whether cycles agree more than chance lets them, enough to matter, and for good.

        A cycle that wanders agrees with itself for a while: neighbours do, those far apart do not.
        """
        base, surplus, lasting = least
        if self.cycles < LEAST_CYCLES or self.share < max(base + surplus / self.cycles, lasting * self.near):
            return False
        return self.above >= min(CERTAIN, 0.35 * self.cycles)


def _agreement(series: Iterable[Cycles]) -> Agreement:
    """Compare the cycles of each series with one another.

    Those less than a quarter of the record apart count as neighbours at most. The deviation is the sum over pairs of
    cycles divided by the root of the sum of their squares, which needs no assumption about how the noise is correlated
    within a cycle.
    """
    far, near, cycles = [np.zeros(0)], [np.zeros(0)], 0
    for values, number in series:
        norm = np.sqrt((values**2).sum(axis=1))
        shown = norm > 1e-9
        if not shown.any():
            continue
        unit, number = values[shown] / norm[shown, None], number[shown]
        distance = number[None] - number[:, None]
        products = unit @ unit.T
        far.append(products[distance > max(1, int(np.ptp(number)) // 4)])
        near.append(products[(distance > 0) & (distance <= 1)])
        cycles += len(unit)
    pairs, beside = np.concatenate(far), np.concatenate(near)
    squares = float((pairs**2).sum())
    if squares == 0:
        return Agreement(0.0, 0.0, 0.0, 0)
    close = float(beside.mean()) if len(beside) else 0.0
    return Agreement(float(pairs.mean()), float(pairs.sum() / np.sqrt(squares)), close, cycles)


def _untangle(grids: Sequence[Floats], confirmed: Mapping[int, float], usual: Sequence[int]) -> tuple[int, ...]:
    """Keep what a length adds to those it is a multiple of; let overtones go; return the strongest first."""
    kept: dict[int, float] = {}
    for length in sorted(confirmed):
        inner = [p for p in kept if length % p == 0]
        share = confirmed[length]
        if inner:
            rest = _beyond(grids, length, max(inner))
            if not rest.confirms(NAMED):
                continue
            overtones = [p for p in inner if length // p < min(MULTIPLES) and p not in usual]
            kept = {p: own for p, own in kept.items() if p not in overtones}  # seasons nest as the days of a week do
            if overtones != inner:
                share = rest.share * (1 - kept[max(p for p in inner if p in kept)])
        kept[length] = share
    lengths = sorted(kept)
    near = {b for a, b in pairwise(lengths) if b - a <= max(1, a // 20)}  # one season, found twice
    return tuple(sorted((p for p in lengths if p not in near), key=lambda p: -kept[p]))


def _beyond(grids: Sequence[Floats], length: int, inner: int) -> Agreement:
    """Return how far cycles agree in what does not repeat every ``inner`` steps within them."""
    left = []
    for cycles, number in _cycles(grids, length):
        shape = (len(cycles), length // inner, inner)
        left.append((cycles - np.tile(cycles.reshape(shape).mean(axis=1), shape[1]), number))
    return _agreement(left)


def main_season(seasons: Seasons, usual: Sequence[int]) -> int:
    """Return the strongest season found, the first usual length where too few rows tell, or 1 where there is none."""
    if seasons.lengths:
        return seasons.lengths[0]
    return usual[0] if usual and not seasons.judged else 1
