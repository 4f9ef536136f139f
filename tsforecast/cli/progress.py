"""The one display of progress, for every command that takes time: a line per training, on a terminal only."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tsforecast.cli.report import Reporter
from tsforecast.durations import seconds

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

    from tsforecast.trainers.base import Progress
    from tsforecast.training.task import Task

SPARKS = "▁▂▃▄▅▆▇█"
WIDTH = 16  # characters of a sparkline
LEADER, DONE, FAILED = "★", "✓", "✗"
PLAIN = {LEADER: "*", DONE: "+", FAILED: "x"}


class Line:
    """One line of the board: mark, name, bar, text, time. Does nothing where nobody watches.

    Args:
        bars: Rich's display; None: nobody watches.
        name: What stands before the bar.
        begun: Whether its time runs already.
    """

    def __init__(self, bars: Bars | None, name: str, *, begun: bool) -> None:
        self._bars = bars
        if bars is not None:
            self._job = bars.add_task(name, start=begun, total=1.0, mark=" ", text="" if begun else "waiting")

    def begin(self, name: str = "") -> None:
        """Let its time run, from now on."""
        if self._bars is not None:
            self._bars.reset(self._job, start=True, description=name or None, mark=" ", text="")

    def show(self, text: str, *, done: float | None = None, mark: str = " ") -> None:
        """Change text, bar (the share that is done; left as it is by default) and mark."""
        if self._bars is not None:
            sign = mark if _unicode(self._bars) else PLAIN.get(mark, mark)
            self._bars.update(self._job, completed=done, text=text, mark=sign)

    def end(self, text: str, *, mark: str = DONE) -> None:
        """Stop its time, with a full bar."""
        if self._bars is not None:
            self.show(text, mark=mark)
            self._bars.update(self._job, completed=1.0)
            self._bars.stop_task(self._job)

    def spark(self, losses: Sequence[float]) -> str:
        """Return the course of the losses in a few characters; nothing where the terminal has not got these."""
        return sparkline(losses) if self._bars is not None and _unicode(self._bars) else ""


class Board:
    """Lines of progress on stderr.

    Args:
        report: Speaks of single steps, where nobody watches and everything is to be told.
        bars: Rich's display; None: nobody watches.
    """

    def __init__(self, report: Reporter, bars: Bars | None = None) -> None:
        self.report, self._bars = report, bars

    def line(self, name: str, *, begun: bool = True) -> Line:
        """Return a new line, the lowest."""
        return Line(self._bars, name, begun=begun)

    def training(self, line: Line, task: Task) -> Callable[[Progress], None]:
        """Return what to call after every step of a training: it moves a line, or with ``--verbose`` says the step."""
        if self._bars is None:
            return self._say if self.report.verbose else _silent
        naive, losses, best = task.naive_loss(), list[float](), math.inf
        budget = seconds(task.forecaster.options.time_budget)

        def show(step: Progress) -> None:  # within the training loop: a step must not cost more the later it comes
            nonlocal best
            losses.append(step.valid_loss)
            best = min(best, step.valid_loss)
            line.show(_text(step, best, naive, line.spark(losses)), done=_share(step, task.steps, budget))

        return show

    def _say(self, step: Progress) -> None:
        mark = "  best" if step.is_best else ""
        details = "".join(f"  {name} {value:.4g}" for name, value in step.details.items())
        losses = f"step {step.step:3d}  train {step.train_loss:.5g}  valid {step.valid_loss:.5g}"
        self.report.detail(f"{losses}  {step.seconds:.1f} s{details}{mark}")


@contextmanager
def board(report: Reporter) -> Iterator[Board]:
    """Show lines of progress while the body runs, if a person is watching; they are gone afterwards."""
    if report.quiet or not sys.stderr.isatty():
        yield Board(report)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.progress_bar import ProgressBar

    class Bar(BarColumn):
        """A bar that stands still while it waits."""

        def render(self, task: Any) -> ProgressBar:
            bar = super().render(task)
            bar.pulse = False
            return bar

    columns: tuple[Any, ...] = (
        TextColumn("{task.fields[mark]}", style="bold yellow", markup=False),
        TextColumn("{task.description}", markup=False),
        Bar(bar_width=20),
        TimeElapsedColumn(),
        TextColumn("{task.fields[text]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        yield Board(report, bars)


def sparkline(losses: Sequence[float]) -> str:
    """Return the course of the losses as a row of bars, on a logarithmic scale where all are positive.

    Args:
        losses: Of every step; of many, an even choice is shown, without those that are not finite.
    """
    marks = min(WIDTH, len(losses))
    picked = [losses[i * (len(losses) - 1) // max(marks - 1, 1)] for i in range(marks)]
    shown = [loss for loss in picked if math.isfinite(loss)]
    if len(shown) < 2:
        return ""
    heights = [math.log(loss) for loss in shown] if min(shown) > 0 else shown
    low, high = min(heights), max(heights)
    scale = (len(SPARKS) - 1) / (high - low) if high > low else 0.0
    return "".join(SPARKS[round((height - low) * scale)] for height in heights)


def _text(step: Progress, best: float, naive: float, spark: str) -> str:
    told = f"step {step.step}  valid {step.valid_loss:.4g}  best {best:.4g}"
    if naive > 0 and math.isfinite(best):  # a fitness may be negative, and then shares of it mean nothing
        told += f"  {abs(1 - best / naive):.0%} {'below' if best <= naive else 'ABOVE'} naive"
    return f"{told}  {spark}" if spark else told


def _share(step: Progress, steps: int | None, budget: float | None) -> float | None:
    """Return how much of a training is over: of its steps or of its time, whichever ends first; None: not known."""
    shares = [step.step / steps] if steps else []
    shares += [step.seconds / budget] if budget else []
    return min(1.0, max(shares)) if shares else None


def _unicode(bars: Bars) -> bool:
    return bars.console.encoding.startswith("utf")


def _silent(step: Progress) -> None:
    """Say nothing."""
