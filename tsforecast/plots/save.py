"""Write a figure to a file, whole or not at all, and the same bytes for the same figure."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from tsforecast.files import check_plot, write_atomically

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
    suffix, drawn = path.suffix.lower(), io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "tsforecast"}):
        figure.savefig(drawn, format=suffix[1:], dpi=150, metadata=_METADATA[suffix])
    write_atomically(path, drawn.getvalue())
