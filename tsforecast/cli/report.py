"""What goes to stderr: notes, warnings, the progress of training."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Reporter:
    """Speaks to the person, on stderr only.

    Args:
        quiet: Say nothing but warnings and errors.
        verbose: Also say what was detected.
    """

    def __init__(self, *, quiet: bool = False, verbose: bool = False) -> None:
        self.quiet, self.verbose = quiet, verbose

    def note(self, text: str) -> None:
        """Say something the user wants to know."""
        if not self.quiet:
            print(f"note: {text}", file=sys.stderr)

    def warning(self, text: str) -> None:
        """Say what the user must know even with ``--quiet``."""
        print(f"warning: {text}", file=sys.stderr)

    def detail(self, text: str) -> None:
        """Say something only with ``--verbose``."""
        if self.verbose and not self.quiet:
            print(f"  {text}", file=sys.stderr)

    @contextmanager
    def progress(self, steps: int | None) -> Iterator[Callable[[Any], None]]:
        """Show a bar while training, if a person is watching; yields what to call after every step."""
        if self.quiet or not sys.stderr.isatty():
            yield self._trace if self.verbose else _silent
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("training"), BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            job = bar.add_task("step 0", total=steps)
            best = [float("inf")]

            def show(done: Any) -> None:
                best[0] = min(best[0], done.valid_loss)
                text = f"step {done.step}  train {done.train_loss:.4g}  valid {done.valid_loss:.4g}  best {best[0]:.4g}"
                bar.update(job, completed=done.step, description=text)

            yield show

    def _trace(self, done: Any) -> None:
        mark = "  best" if done.is_best else ""
        details = "".join(f"  {name} {value:.4g}" for name, value in done.details.items())
        losses = f"step {done.step:3d}  train {done.train_loss:.5g}  valid {done.valid_loss:.5g}"
        self.detail(f"{losses}  {done.seconds:.1f} s{details}{mark}")


def _silent(done: Any) -> None:
    """Say nothing."""
