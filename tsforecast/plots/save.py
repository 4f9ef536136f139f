"""Write a figure to a file, whole or not at all, and the same bytes for the same figure."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from tsforecast.errors import UsageError
from tsforecast.files import check_plot

# What would make two files of one figure differ: versions and dates.
_METADATA: dict[str, dict[str, Any]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def save(figure: Figure, path: str | Path) -> None:
    """Write ``figure`` to ``path`` in the format of its suffix: .png, .svg or .pdf.

    Args:
        figure: What a ``draw`` function returned.
        path: File to write; an existing one is replaced.

    Raises:
        UsageError: Another suffix, or the file cannot be written.
    """
    path = check_plot(Path(path))
    suffix = path.suffix.lower()
    try:
        handle, temporary = tempfile.mkstemp(suffix=suffix, prefix=f".{path.stem}-", dir=path.parent)
    except OSError as error:
        raise UsageError(
            f"{path}: cannot write: {error.strerror}", hint="choose a folder that you can write to"
        ) from error
    try:
        with os.fdopen(handle, "wb") as file, matplotlib.rc_context({"svg.hashsalt": "tsforecast"}):
            figure.savefig(file, format=suffix[1:], dpi=150, metadata=_METADATA[suffix])
        Path(temporary).chmod(0o666 & ~_umask())  # a temporary file is private, a plot is like any other file
        Path(temporary).replace(path)
    except BaseException as error:
        with suppress(OSError):
            Path(temporary).unlink()
        if isinstance(error, OSError):
            raise UsageError(
                f"{path}: cannot write: {error.strerror}", hint="free some space or write elsewhere"
            ) from error
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
