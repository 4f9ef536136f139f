"""The one exception tree: every error knows its exit code and carries the next step.

    TSForecastError        70  a bug, if it is ever raised as itself
    |-- UsageError          2  a flag, an option or a configuration is wrong
    |-- DataError           3  the input data cannot be used
    |-- ModelFileError      4  the model file is missing, damaged or of another format
    |-- TrainingError       5  training diverged
    |-- AnswerNo            1  everything worked, and the answer is no
    `-- Interrupted       130  the user stopped the run; the best so far is saved

Library code raises; only ``tsforecast.cli`` turns an error into a message and an exit code.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable

ALIKE = 0.6  # as difflib has it
VERY_ALIKE = 0.75  # where a name that is none of the known ones may well be meant


class TSForecastError(Exception):
    """Root of every error that tsforecast raises on purpose.

    Args:
        message: What is wrong, naming file, line, column and value where they are known.
        hint: The next step, as something the reader can type or change.
    """

    exit_code = 70

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


class UsageError(TSForecastError):
    """A flag, an option value or a configuration file is wrong."""

    exit_code = 2


class DataError(TSForecastError):
    """The input data cannot be used as it is."""

    exit_code = 3


class ModelFileError(TSForecastError):
    """The model file is missing, damaged, of another format or not a model file."""

    exit_code = 4


class TrainingError(TSForecastError):
    """Training diverged or could not make a usable forecaster."""

    exit_code = 5


class AnswerNo(TSForecastError):
    """Everything ran, and the answer to the question is no (skill too low, verification failed)."""

    exit_code = 1


class Interrupted(TSForecastError):
    """The user interrupted the run; what was best so far has been saved."""

    exit_code = 130


def closest(name: str, known: Iterable[str], alike: float = ALIKE) -> str:
    """Return the known name that is most like what the user wrote; empty where none is like it."""
    folded = {n.casefold(): n for n in known}
    close = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=alike)
    return folded[close[0]] if close else ""


def did_you_mean(name: str, known: Iterable[str], *, alike: float = ALIKE, spelled: Callable[[str], str] = str) -> str:
    """Return ``did you mean 'x'?`` for the closest known name, else the list of what is known.

    Args:
        name: What the user wrote.
        known: Every accepted name.
        alike: How much of two names must be the same, 0 to 1.
        spelled: How a name is written where the user wrote it.
    """
    names = sorted(known)
    if close := closest(name, names, alike):
        return f"did you mean '{spelled(close)}'?"
    if not names:
        return ""
    shown = ", ".join(map(spelled, names[:20])) + (", ..." if len(names) > 20 else "")
    return f"choose from {shown}"
