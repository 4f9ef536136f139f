"""Writing files so that nothing is ever half written."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from tsforecast.errors import UsageError

PLOT_FORMATS = (".png", ".svg", ".pdf")


def write_atomically(path: Path, data: bytes) -> None:
    """Write ``data`` to a temporary file beside ``path``, flush it to disk, and rename it into place.

    Raises:
        UsageError: ``path`` is a folder, or its folder does not exist or cannot be written to.
    """
    if path.is_dir():
        raise _is_folder(path)
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}", hint="name a folder that is there") from None
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())  # mkstemp makes files that only the owner can read
        temporary.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            raise UsageError(f"cannot write {path}: {error.strerror}", hint="is the disk full?") from None
        raise


def check_writable(path: Path, *, replace: bool) -> None:
    """Refuse, before any work, a file that could not be written in the end.

    Args:
        path: The file.
        replace: Whether it may exist already.

    Raises:
        UsageError: It is a folder, there is no folder for it or no permission, or it exists and is not to be replaced.
    """
    if path.is_dir():
        raise _is_folder(path)
    if path.exists() and not replace:
        raise UsageError(f"{path} exists already", hint="use --force to overwrite it, or name another file")
    if not path.parent.is_dir():
        raise UsageError(f"cannot write {path}: there is no folder {path.parent}", hint="make the folder first")
    if not os.access(path.parent, os.W_OK):
        raise UsageError(f"cannot write {path}: no permission in {path.parent}", hint="name another folder")


def check_folder(path: Path) -> None:
    """Refuse, before any work, a folder that could not be made, or not be written to, in the end.

    Raises:
        UsageError: It or what it would lie in is a file, or there is no permission.
    """
    nearest = next(folder for folder in (path, *path.parents) if folder.exists())
    if not nearest.is_dir():
        raise UsageError(f"cannot make the folder {path}: {nearest} is a file", hint="name another one")
    if not os.access(nearest, os.W_OK):
        raise UsageError(f"cannot write to {path}: no permission in {nearest}", hint="name another folder")


def check_plot(path: Path) -> Path:
    """Return a path whose suffix names a format that plots are written in.

    Raises:
        UsageError: It does not.
    """
    if path.suffix.lower() not in PLOT_FORMATS:
        what = f"a plot cannot be written as '{path.suffix}'" if path.suffix else "the suffix says what to draw"
        raise UsageError(
            f"{path}: {what}", hint=f"name it {path.stem}{', '.join(PLOT_FORMATS[:-1])} or {PLOT_FORMATS[-1]}"
        )
    return path


def _is_folder(path: Path) -> UsageError:
    return UsageError(f"cannot write {path}: it is a folder", hint=f"name a file in it, such as {path / 'NAME'}")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
