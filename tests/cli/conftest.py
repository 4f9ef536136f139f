"""Running the command line in this process, where it is fast; pipes and signals need ``shell.start``."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shell import Cli, Csv, Result, csv_text, hours

from tsforecast.cli.app import run


@pytest.fixture(autouse=True)
def clean_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Work in an empty folder, without the settings of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    for name in [n for n in os.environ if n.startswith("TSFORECAST_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Run the command line in this process; nothing is a terminal."""

    def call(*words: Any, stdin: bytes | str = b"") -> Result:
        given = stdin.encode() if isinstance(stdin, str) else stdin
        raw = {"stdin": io.BytesIO(given), "stdout": io.BytesIO(), "stderr": io.BytesIO()}
        streams = {name: io.TextIOWrapper(stream, encoding="utf-8") for name, stream in raw.items()}
        with monkeypatch.context() as patch:
            for name, stream in streams.items():
                patch.setattr(sys, name, stream)
            code = run([str(word) for word in words])
        for stream in streams.values():
            stream.flush()
        return Result(code, raw["stdout"].getvalue(), raw["stderr"].getvalue().decode())

    return call


@pytest.fixture
def csv() -> Csv:
    """Write columns, by default 200 hours of power and wind, to ``data.csv``."""

    def write(columns: dict[str, Any] | None = None, name: str = "data.csv") -> Path:
        Path(name).write_text(csv_text(columns or hours()))
        return Path(name)

    return write


@pytest.fixture
def trained(cli: Cli) -> Callable[..., Path]:
    """Train a small linear model on some data, into ``m.safetensors`` unless named otherwise; later words win."""

    def train(data: Path, *words: Any, name: str = "m.safetensors") -> Path:
        target = [] if "-t" in words else ["-t", "power"]
        done = cli("train", data, *target, "-m", "linear", "-H", 6, "-L", 24, "-o", name, "--force", *words)
        assert (done.code, done.out) == (0, ""), done.err
        return Path(name)

    return train
