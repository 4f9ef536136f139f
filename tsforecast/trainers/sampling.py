"""Which training windows a step passes through, and in which order."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

LEAST_WINDOWS = 1024  # per step: smaller training sets are passed through several times
MUCH = 4  # times as many windows as are wanted: drawing with replacement then hardly repeats one, and costs less


class Sampler:
    """Draws the windows of every step.

    Args:
        series: (n,) series of every training window.
        size: Windows per step at most; 0: all of them, each once.
        fair: Whether every series gives as many windows as every other one, whatever its length.
        generator: Source of randomness.
        least: Windows per step at least, by passing through a smaller set again.
    """

    def __init__(
        self,
        series: NDArray[np.int32],
        size: int,
        fair: bool,
        generator: torch.Generator,
        least: int = LEAST_WINDOWS,
    ) -> None:
        self.size, self.fair, self.generator, self.least = size, fair, generator, least
        _, codes, counts = np.unique(series, return_inverse=True, return_counts=True)
        self.windows = len(series)
        self.codes, self.counts = torch.from_numpy(codes), torch.from_numpy(counts)
        self.grouped = torch.argsort(self.codes, stable=True)

    def draw(self) -> torch.Tensor:
        """Return the windows of one step in random order.

        A set much larger than a step is sampled with replacement; a small one is passed through several times, so that
        a step means a useful number of updates whatever the size of the data, unless every window is wanted once.
        """
        size = min(self.windows, self.size or self.windows)
        passes = max(1, min(self.least, self.size) // self.windows)
        if self.fair:
            rounds = self.rounds(-(-size * passes // len(self.counts)))
            mixed = torch.rand(rounds.shape, generator=self.generator).argsort(dim=1)
            return rounds.gather(1, mixed).ravel()[: size * passes]
        if self.windows > MUCH * size:
            return torch.randint(self.windows, (size,), generator=self.generator)
        return torch.cat([torch.randperm(self.windows, generator=self.generator)[:size] for _ in range(passes)])

    def rounds(self, count: int) -> torch.Tensor:
        """Return random windows (count, S), the k-th of every row from the k-th series.

        A window comes back only when all others of its series have been drawn, or when the set is much larger.
        """
        first = self.counts.cumsum(0) - self.counts
        if self.windows > MUCH * count * len(self.counts):
            drawn = torch.rand((count, len(self.counts)), generator=self.generator, dtype=torch.float64)
            return self.grouped[first + (drawn * self.counts).long()]
        mixed = torch.randperm(self.windows, generator=self.generator)
        mixed = mixed[torch.argsort(self.codes[mixed], stable=True)]
        return mixed[first + torch.arange(count)[:, None] % self.counts]
