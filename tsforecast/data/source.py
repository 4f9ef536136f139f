"""Where the bytes come from: a path or standard input, plain or compressed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from tsforecast.errors import DataError, UsageError, closest

DAMAGED = "is it whole? copy or write it again"
CODECS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bz2"}
ARCHIVES = {
    b"PK\x03\x04": "a ZIP archive or a spreadsheet",
    b"\xd0\xcf\x11\xe0": "a spreadsheet",
    b"\x89HDF": "an HDF5 file",
}


@dataclass(frozen=True)
class Source:
    """Bytes that can be opened again, so that an error can look up its line.

    Attributes:
        name: What messages call it.
        path: The file; None for standard input and named pipes.
        data: What these held.
        codec: Compression, by magic bytes; "" when plain.
    """

    name: str
    path: Path | None = None
    data: bytes = b""
    codec: str = ""

    def open(self) -> Any:
        """Open the uncompressed bytes as a ``pyarrow.NativeFile``."""
        import pyarrow as pa

        raw = pa.BufferReader(self.data) if self.path is None else pa.OSFile(str(self.path))
        return pa.CompressedInputStream(raw, self.codec) if self.codec else raw

    def head(self, size: int) -> bytes:
        """Return the first ``size`` uncompressed bytes.

        Raises:
            DataError: The compressed data is damaged.
        """
        try:
            with self.open() as stream:
                return bytes(stream.read(size))
        except OSError as error:
            raise DataError(f"{self.name}: cannot be read: {error}", hint=DAMAGED) from error


def open_source(source: str | Path, stdin: BinaryIO | None) -> Source:
    """Find one input; "-" is standard input.

    Raises:
        DataError: It is missing, empty, a directory, unreadable or in a format that is not a table.
        UsageError: "-" was given and there is no standard input.
    """
    if str(source) == "-":
        if stdin is None:
            raise UsageError("'-' means standard input, and there is none", hint="name a file")
        data = stdin.read()
        return _identify("<stdin>", data[:8], Source("<stdin>", data=data))
    path = Path(source)
    if path.is_dir():
        raise DataError(f"{source}: is a directory", hint=f"name the files, for example {source}/*.csv")
    try:
        with path.open("rb") as file:
            content = b"" if path.is_file() else file.read()  # a pipe such as <(command) can be read only once
            magic = content[:8] or file.read(8)
    except FileNotFoundError:
        raise DataError(f"{source}: no such file", hint=_near(path)) from None
    except OSError as error:
        raise DataError(f"{source}: cannot be read: {error.strerror}", hint="check who may read it") from error
    kept = Source(str(source), data=content) if content else Source(str(source), path=path)
    return _identify(str(source), magic, kept)


def _near(path: Path) -> str:
    """Say what a file that is not there may be called."""
    try:
        stem = closest(path.stem, (entry.stem for entry in path.parent.iterdir() if entry.suffix == path.suffix))
    except OSError:
        return f"there is no folder {path.parent}"
    return f"did you mean '{path.with_stem(stem)}'?" if stem else "check the path; - is standard input"


def _identify(name: str, magic: bytes, source: Source) -> Source:
    if not magic:
        raise DataError(f"{name}: is empty", hint="check what was to write it")
    for start, what in ARCHIVES.items():
        if magic.startswith(start):
            raise DataError(f"{name}: is {what}, not a table of text", hint="export it as CSV")
    codec = next((codec for start, codec in CODECS.items() if magic.startswith(start)), "")
    return Source(source.name, source.path, source.data, codec)
