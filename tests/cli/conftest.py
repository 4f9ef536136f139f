"""Running the command line: in this process, where it is fast, or as a process of its own, where pipes matter."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tsforecast.cli.app import run

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = [sys.executable, "-m", "tsforecast"]
FAST = ["-m", "gru", "--set", "trainer.steps=2", "--set", "model.hidden=4"]

Cli = Callable[..., "Result"]
Csv = Callable[..., Path]


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


def csv_rows(text: str) -> list[dict[str, str]]:
    header, *lines = text.splitlines()
    return [dict(zip(header.split(","), line.split(","), strict=True)) for line in lines]


@pytest.fixture(autouse=True)
def clean_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Work in an empty folder, without the settings of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    for name in [n for n in os.environ if n.startswith("TSFORECAST_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Run the command line in this process."""

    def call(*words: Any, stdin: bytes | str = b"") -> Result:
        given = stdin.encode() if isinstance(stdin, str) else stdin
        streams = {"stdin": io.BytesIO(given), "stdout": io.BytesIO(), "stderr": io.BytesIO()}
        wrapped = {name: io.TextIOWrapper(stream, encoding="utf-8") for name, stream in streams.items()}
        with monkeypatch.context() as patch:
            for name, stream in wrapped.items():
                patch.setattr(sys, name, stream)
            code = run([str(word) for word in words])
        for stream in (wrapped["stdout"], wrapped["stderr"]):
            stream.flush()
        return Result(code, streams["stdout"].getvalue(), streams["stderr"].getvalue().decode())

    return call


def start(words: Iterable[Any], **options: Any) -> subprocess.Popen[bytes]:
    """Start the program as a process with pipes; tests run against this source tree."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([*PROGRAM, *map(str, words)], env=environment, **{**pipes, **options})


def stamps(rows: int, start: str = "2024-01-01T00:00", step: str = "h") -> list[str]:
    """Return ``2024-01-01 00:00`` and so on."""
    times = np.datetime64(start) + np.arange(rows) * np.timedelta64(1, step)
    return [str(t).replace("T", " ") for t in times]


def wave(rows: int, *, season: int = 24, seed: int = 0, level: float = 10.0) -> list[float]:
    """Return a noisy season, with two decimals."""
    t = np.arange(rows)
    noise = np.random.default_rng(seed).normal(0, 0.3, rows)
    return np.round(level + 5 * np.sin(2 * np.pi * t / season) + noise, 2).tolist()


@pytest.fixture
def csv(tmp_path: Path) -> Csv:
    """Write columns (or 200 hours of ``power`` and ``wind``) to a CSV file; None is an empty cell."""

    def write(columns: dict[str, Any] | None = None, *, name: str = "data.csv", rows: int = 200) -> Path:
        if columns is None:
            columns = {"timestamp": stamps(rows), "power": wave(rows), "wind": wave(rows, seed=1)}
        lines = [",".join(columns)]
        for row in zip(*columns.values(), strict=True):
            lines.append(",".join("" if cell is None else str(cell) for cell in row))
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


@pytest.fixture
def trained(cli: Cli, csv: Csv, tmp_path: Path) -> Callable[..., Path]:
    """Train a small model; the file is ``m.safetensors`` unless named otherwise."""

    def train(data: Path, *words: Any, name: str = "m.safetensors") -> Path:
        model = tmp_path / name
        chosen = [] if "-t" in words else ["-t", "power"]
        kind = [] if "-m" in words else ["-m", "linear"]
        sizes = ["-H", "6"] if "-H" not in words else []
        sizes += ["-L", "24"] if "-L" not in words else []
        done = cli("train", data, *chosen, *kind, *sizes, "-o", model, *words, "--force")
        assert done.code == 0, done.err
        return model

    return train
