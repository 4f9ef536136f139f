"""What is said on stderr: notes and warnings."""

from __future__ import annotations

import sys


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
            _say(f"note: {text}")

    def warning(self, text: str) -> None:
        """Say what the user must know even with ``--quiet``."""
        _say(f"warning: {text}")

    def detail(self, text: str) -> None:
        """Say something only with ``--verbose``."""
        if self.verbose and not self.quiet:
            _say(f"  {text}")


def _say(text: str) -> None:
    """Write a line at once, so that the next command of a pipe does not write into it."""
    sys.stderr.write(f"{text}\n")
