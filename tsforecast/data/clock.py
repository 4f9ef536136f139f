"""The clock: which columns hold time, how they write it, and how to write more of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tsforecast.data import timestyle
from tsforecast.data.timestyle import MINUTE
from tsforecast.durations import duration, in_seconds
from tsforecast.errors import UsageError

if TYPE_CHECKING:
    from tsforecast.data.table import Table
    from tsforecast.options import ReadOptions

STEP, SECONDS = "step", "seconds"  # what the time column is called where the input has none
EPOCH_UNITS = {"s": 1_000_000, "ms": 1_000, "us": 1}  # microseconds per unit
_EPOCH = re.compile(r"@(s|ms|us)(\d*)")
_INTEGER = re.compile(r"%Y(%[mdHMS])*|%-[mdHMS]|%M|%S")


@dataclass(frozen=True)
class Clock:
    """How the input writes time.

    Attributes:
        columns: Names of the time columns; () when there is no time.
        formats: One strptime-like format per column (see ``timestyle``), or "@s", "@ms", "@us" for the time since 1970
            in that unit ("@s3": with three decimals).
        numeric: Per column, whether its cells are numbers.
        zone: How the offset is written: "Z", "+01:00", "+0100", "+01"; "" when there is none, and time is that of the
            wall clock.
        offset: Minutes east of UTC of the last row.
        hour_24: Midnight is written as 24:00 of the day before.
        sampling: Time between two rows of a record without a clock, as the user wrote it ("4s"); "" when unknown.
    """

    columns: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    numeric: tuple[bool, ...] = ()
    zone: str = ""
    offset: int = 0
    hour_24: bool = False
    sampling: str = ""

    def write(self, time: NDArray[np.int64]) -> dict[str, list[str] | list[int] | list[Decimal]]:
        """Write timestamps as the input does.

        Args:
            time: (N,) microseconds, as in ``Frame.time``; steps when there is no clock.

        Returns:
            The user's own column names, each with N texts or integers. When there is no clock {"step": ...}, or, where
            the sampling is known, {"seconds": ...} since the first row: integers, or else exact decimal numbers.
        """
        if not self.columns:
            return self._write_steps(time.tolist())
        wall = self.wall(time)
        zone = offset_text(self.offset, self.zone)
        written: dict[str, list[str] | list[int] | list[Decimal]] = {}
        for name, format, numeric in zip(self.columns, self.formats, self.numeric, strict=True):
            epoch = _EPOCH.fullmatch(format)
            if epoch:
                written[name] = _write_epoch(time, epoch.group(1), int(epoch.group(2) or 0))
                continue
            texts = timestyle.write(wall, format, zone=zone, hour_24=self.hour_24)
            written[name] = list(map(int, texts)) if numeric and _INTEGER.fullmatch(format) else texts
        return written

    def text(self, moment: int) -> str:
        """Return one time as the input writes it, for messages."""
        return " ".join(str(cells[0]) for cells in self.write(np.array([moment], dtype=np.int64)).values())

    def _write_steps(self, steps: list[int]) -> dict[str, list[str] | list[int] | list[Decimal]]:
        if not self.sampling:
            return {STEP: steps}
        every = self.every
        if every == int(every):
            return {SECONDS: [step * int(every) for step in steps]}
        return {SECONDS: [step * every for step in steps]}

    @property
    def every(self) -> Decimal:
        """Seconds between two rows, without idle zeros."""
        return duration(self.sampling, "sampling").normalize()

    def read_steps(self, written: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the steps that :meth:`write` has written as numbers; there must be no clock."""
        return np.rint(written / float(self.every) if self.sampling else written).astype(np.int64)

    def wall(self, time: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return wall-clock microseconds: ``time`` shifted by the last known offset."""
        return time + self.offset * MINUTE if self.zone else time

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-serialisable form."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Clock:
        """Restore what :meth:`to_json` gave."""
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in document.items()}
        return cls(**values)


def offset_text(minutes: int, style: str) -> str:
    """Write an offset in the style of another: 60 like "+0530" is "+0100"."""
    if not style or (style in ("Z", "UTC", "GMT") and minutes == 0):
        return style
    hours, rest = divmod(abs(minutes), 60)
    sign = "-" if minutes < 0 else "+"
    if len(style) == 3 and style[0] in "+-" and rest == 0:
        return f"{sign}{hours:02d}"
    return f"{sign}{hours:02d}{'' if len(style) == 5 else ':'}{rest:02d}"


def _write_epoch(time: NDArray[np.int64], unit: str, decimals: int) -> list[str] | list[int]:
    size = EPOCH_UNITS[unit]
    if decimals == 0:
        return list((time // size).tolist())
    scale = 10**decimals
    return [f"{t // size}.{t % size * scale // size:0{decimals}d}" for t in time.tolist()]


def parse_time(text: str, clock: Clock) -> int:
    """Read one timestamp that a user typed: in the style of the clock, or plain ISO 8601.

    Without a clock it is a step; where the sampling is known, seconds or a duration ("1.5ms") since the first row, and
    the last step up to then.

    Returns:
        Microseconds as in ``Frame.time``. Without an offset it is taken as wall-clock time of the clock.

    Raises:
        UsageError: It is neither, or it has an offset and the data has none.
    """
    text = text.strip()
    if clock.sampling:
        moment = in_seconds(text)
        if moment is None:
            raise UsageError(
                f"'{text}' is not a time", hint="the data has no clock; give the seconds since its first row"
            )
        return int(moment // clock.every)
    if not clock.columns or _EPOCH.fullmatch(clock.formats[0]):
        unit = EPOCH_UNITS[_EPOCH.fullmatch(clock.formats[0]).group(1)] if clock.columns else 1  # type: ignore[union-attr]
        if re.fullmatch(r"-?\d+(\.\d+)?", text):
            return round(float(text) * unit) if "." in text else int(text) * unit
        if not clock.columns:
            raise UsageError(f"'{text}' is not a step", hint="the data has no clock; give a row number")
    own = " ".join(clock.formats).replace("%z", "").strip()
    iso = [*timestyle.find_formats([text])[:1], "%Y-%m", "%Y"]
    for format in dict.fromkeys([" ".join(clock.formats), own, *iso]):
        if "@" in format or not timestyle.reader(format).fullmatch(text):
            continue
        import pyarrow as pa

        time, ok, _ = timestyle.parse(pa.array([text]), format)
        if not ok[0]:
            continue
        if "%z" in format and not clock.zone:
            raise UsageError(f"'{text}' has an offset, the data has none", hint="leave the offset away")
        return int(time[0]) - (clock.offset * MINUTE if clock.zone and "%z" not in format else 0)
    raise UsageError(f"'{text}' is not a time", hint=f"write it like {clock.text(0)}, or like 1970-01-31 12:00")


def find_clock(table: Table, options: ReadOptions, known: Clock | None = None) -> tuple[Clock, NDArray[np.int64]]:
    """Find the time columns of a table by trying, and read them.

    Args:
        table: Columns as read.
        options: What the user has decided (``time``, ``no_time``, ``sampling``, ``dayfirst``, ``date_format``).
        known: The clock of a model: its columns are read, in its style first.

    Returns:
        The clock, and (N,) microseconds: of UTC when the input has offsets, else of the wall clock. Without time
        0, 1, ...

    Raises:
        DataError: There is no time, it is ambiguous, or a timestamp cannot be read; or the sampling is not the model's.
        UsageError: The sampling is not a duration, or there is a time column beside it.
    """
    from tsforecast.data.timecolumns import find  # it makes clocks

    return find(table, options, known)
