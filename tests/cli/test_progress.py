"""The display of progress: lines on a terminal, silence elsewhere, nothing left behind."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from shell import FAST, ROOT, Cli, Csv

from tsforecast.cli.progress import SPARKS, Board, board, sparkline
from tsforecast.cli.report import Reporter
from tsforecast.trainers.base import Progress

# Many short steps: long enough to be drawn.
LONGER = ("--set", "trainer.steps=60", "--set", "trainer.epoch_size=256", "--set", "model.hidden=4", "--patience", 60)
WORDS = ("-t", "power", "-H", 6, "-L", 24)


def on_terminal(*words: Any, encoding: str = "utf-8") -> tuple[int, bytes, str]:
    """Run the program with stderr on a terminal of 120 columns; return exit code, stdout and what the terminal got."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding, "TERM": "xterm"}
    command = [sys.executable, "-m", "tsforecast", *map(str, words)]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=slave, env=surroundings
    )
    os.close(slave)
    seen = b"".join(_all(master))
    os.close(master)
    assert process.stdout is not None
    out = process.stdout.read()
    process.stdout.close()
    return process.wait(), out, seen.decode(encoding)


def _all(master: int) -> Iterator[bytes]:
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:  # what Linux says at the end of a terminal
            return
        if not part:
            return
        yield part


def last_screen(seen: str) -> str:
    """Return what is left on the screen: what is erased goes, and so do colours."""
    after = re.split(r"\x1b\[2K", seen)[-1]
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", after)


def test_compare_shows_a_line_for_every_model_and_clears_them(csv: Csv) -> None:
    words = ("compare", csv(), *WORDS, "--models", "rnn,gru", *LONGER)
    code, out, seen = on_terminal(*words)
    assert code == 0, seen
    assert out.startswith(b"rank,model,mae")
    for part in ("waiting", "  valid ", "naive", "★", "validation mae", "rnn", "gru", *SPARKS[0]):
        assert part in seen
    assert re.search(r"step \d+  valid", seen)
    assert not re.search(r"step \d+  valid", last_screen(seen))
    assert "note: " in last_screen(seen)


def test_train_and_tune_use_the_same_display(csv: Csv) -> None:
    code, _, seen = on_terminal("train", csv(), *WORDS, "-m", "gru", *LONGER, "-o", "m.safetensors")
    assert code == 0, seen
    assert "training" in seen
    assert re.search(r"step \d+  valid", seen)
    code, _, seen = on_terminal(
        "tune", "data.csv", "-t", "power", "-H", 6, "-m", "linear", "--search", "lags=6,12", "--population", 4,
        "--generations", 1,
    )  # fmt: skip
    assert code == 0, seen
    assert re.search(r"candidate \d of 4  loss", seen)


def test_a_terminal_without_unicode_gets_plain_marks(csv: Csv) -> None:
    code, _, seen = on_terminal("compare", csv(), *WORDS, "--models", "gru", *FAST[2:], encoding="ascii")
    assert code == 0, seen
    assert "*" in seen


@pytest.mark.parametrize("quiet", [True, False])
def test_nothing_is_shown_where_nobody_watches(quiet: bool, cli: Cli, csv: Csv) -> None:
    words = ("compare", csv(), *WORDS, "--models", "gru", *FAST[2:])
    done = cli(*words, "-q") if quiet else cli(*words)
    assert done.code == 0
    assert "\x1b" not in done.err
    assert "step" not in done.err
    assert (done.err == "") == quiet


def test_quiet_is_silent_on_a_terminal_too(csv: Csv) -> None:
    code, _, seen = on_terminal("compare", csv(), *WORDS, "--models", "gru", *FAST[2:], "-q")
    assert (code, seen) == (0, "")


def test_lines_do_nothing_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    with board(Reporter()) as shown:
        line = shown.line("training")
        line.begin()
        line.show("step 1", done=0.5)
        line.end("done")
    assert line.spark([3.0, 2.0]) == ""
    assert capsys.readouterr() == ("", "")


def test_a_sparkline_falls_with_the_loss() -> None:
    assert sparkline([8.0, 4.0, 2.0, 1.0]) == "█▆▃▁"
    assert sparkline([1.0] * 3) == SPARKS[0] * 3
    assert sparkline([float("inf"), 2.0, -1.0]) == "█▁"
    assert sparkline([1.0]) == ""
    assert len(sparkline([1 / step for step in range(1, 1000)])) == 16
    assert len(sparkline([float("inf"), *(1 / step for step in range(1, 1000))])) == 15


def test_a_sparkline_costs_the_same_after_any_number_of_steps() -> None:
    class Counted(list[float]):
        read = 0

        def __getitem__(self, place: Any) -> Any:
            self.read += 1
            return super().__getitem__(place)

        def __iter__(self) -> Iterator[float]:
            raise AssertionError("the whole list was read")

    losses = Counted(1 / step for step in range(1, 10_000))
    assert len(sparkline(losses)) == losses.read == 16


def test_the_best_loss_so_far_is_told() -> None:
    told = []

    class Bars(SimpleNamespace):
        def add_task(self, *_: Any, **__: Any) -> int:
            return 0

        def update(self, _: int, *, text: str, **__: Any) -> None:
            told.append(text.split("  ")[2])

    bars: Any = Bars(console=SimpleNamespace(encoding="ascii"))
    task: Any = SimpleNamespace(
        naive_loss=lambda: 0.0, steps=None, forecaster=SimpleNamespace(options=SimpleNamespace(time_budget=""))
    )
    shown = Board(Reporter(), bars)
    follow = shown.training(shown.line("training"), task)
    for number, loss in enumerate((3.0, float("inf"), 2.0, 2.5), start=1):
        follow(Progress(number, loss, loss, is_best=False, seconds=0.0))
    assert told == ["best 3", "best 3", "best 2", "best 2"]
