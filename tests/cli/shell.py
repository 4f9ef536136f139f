"""What the tests of the command line share: results, processes with pipes, and small tables."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
FAST = ("-m", "gru", "--set", "trainer.steps=2", "--set", "model.hidden=4", "--set", "trainer.batch_size=256")


@dataclass(frozen=True)
class Result:
    """How a command ended, and what it said where."""

    code: int
    raw: bytes
    err: str

    @property
    def out(self) -> str:
        return self.raw.decode()

    def rows(self) -> list[dict[str, str]]:
        """Return stdout, read as CSV."""
        return csv_rows(self.out)

    def refused(self, code: int, *parts: str) -> None:
        """Check that the command failed cleanly: nothing on stdout, and a message with these parts."""
        assert (self.code, self.out) == (code, ""), self.err
        assert "Traceback" not in self.err
        for part in parts:
            assert part in self.err, self.err


Cli = Callable[..., Result]
Csv = Callable[..., Path]


def csv_rows(text: str) -> list[dict[str, str]]:
    header, *lines = text.splitlines()
    return [dict(zip(header.split(","), line.split(","), strict=True)) for line in lines]


def start(words: Iterable[Any], **options: Any) -> subprocess.Popen[bytes]:
    """Start the program of this source tree as a process with pipes."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    command = [sys.executable, "-m", "tsforecast", *map(str, words)]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, **{**pipes, **options})


def shell(command: str) -> Result:
    """Run a line of shell in which ``tsforecast`` is the program."""
    program = f'tsforecast() {{ "{sys.executable}" -m tsforecast "$@"; }}; '
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", program + command],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )
    return Result(done.returncode, done.stdout, done.stderr.decode())


def stamps(rows: int, start: str = "2024-01-01T00:00", step: str = "h") -> list[str]:
    """Return ``2024-01-01 00:00`` and so on."""
    times = np.datetime64(start) + np.arange(rows) * np.timedelta64(1, step)
    return [str(t).replace("T", " ") for t in times]


def wave(rows: int, *, season: int = 24, seed: int = 0, level: float = 10.0) -> list[Any]:
    """Return a noisy season, with two decimals."""
    t = np.arange(rows)
    noise = np.random.default_rng(seed).normal(0, 0.3, rows)
    return np.round(level + 5 * np.sin(2 * np.pi * t / season) + noise, 2).tolist()


def hours(rows: int = 200) -> dict[str, list[Any]]:
    """Return the columns ``timestamp``, ``power`` and ``wind``."""
    return {"timestamp": stamps(rows), "power": wave(rows), "wind": wave(rows, seed=1)}


def csv_text(columns: Mapping[str, Sequence[Any]]) -> str:
    """Return columns as CSV; None is an empty cell."""
    rows = [",".join("" if cell is None else str(cell) for cell in row) for row in zip(*columns.values(), strict=True)]
    return "\n".join([",".join(columns), *rows]) + "\n"
