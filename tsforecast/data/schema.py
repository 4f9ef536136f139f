"""The schema: which columns a forecaster uses and how, as a model file remembers it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from tsforecast.data.clock import Clock
from tsforecast.data.table import Table, how_to_rename, listed
from tsforecast.errors import DataError, did_you_mean
from tsforecast.options import ColumnOptions, ReadOptions

Categories = dict[str, tuple[str, ...]]

AUTO = "auto"  # of --circular: the covariates that are directions by their names
_DIRECTION = re.compile(r"direction|(^|[^a-z])(wind|w)?_?dir([^a-z]|$)|(^|[^a-z])wd([^a-z]|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Schema:
    """What a model remembers of its data.

    Attributes:
        target: Columns to forecast.
        past: Past covariates.
        future: Future covariates.
        static: Static covariates.
        circular: Those of ``past`` and ``future`` that are degrees.
        calendar: Sine and cosine of the clock: some of "hour", "dayofweek", "dayofyear", "month".
        series_id: Column that tells series apart; "" when there is one series.
        missing: What to do with holes, as in ``ColumnOptions.missing``.
        duplicates: What to do with two rows of one timestamp, as in ``ReadOptions.duplicates``.
        freq: Alias of the spacing of time; "" before the first build finds it.
        categories: Covariate of texts to its categories, in order; filled by the first build.
        static_categories: The same for static covariates.
        no_time: Rows are steps.
        clock: The clock of the data first built, whose offset the calendar keeps to; None before.
    """

    target: tuple[str, ...]
    past: tuple[str, ...] = ()
    future: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    circular: tuple[str, ...] = ()
    calendar: tuple[str, ...] = ()
    series_id: str = ""
    missing: str = "skip"
    duplicates: str = "error"
    freq: str = ""
    categories: Categories = field(default_factory=dict)
    static_categories: Categories = field(default_factory=dict)
    no_time: bool = False
    clock: Clock | None = None

    @classmethod
    def of(cls, columns: ColumnOptions, read: ReadOptions) -> Schema:
        """Return the schema that the options of a command describe."""
        circular = columns.circular
        if circular == (AUTO,):
            circular = tuple(name for name in (*columns.past, *columns.future) if _DIRECTION.search(name))
        return cls(
            target=columns.target,
            past=columns.past,
            future=columns.future,
            static=columns.static,
            circular=circular,
            calendar=columns.calendar,
            series_id=columns.series_id,
            missing=columns.missing,
            duplicates=read.duplicates,
            freq=read.freq,
            no_time=read.rows_are_steps,
        )

    @property
    def target_columns(self) -> tuple[str, ...]:
        """Names of the target columns of a frame, in its order."""
        return self.target

    @property
    def past_columns(self) -> tuple[str, ...]:
        """Names of the past covariates of a frame, after expansion, in its order."""
        return tuple(name for column in self.past for name in self.expand(column))

    @property
    def future_columns(self) -> tuple[str, ...]:
        """Names of the future covariates of a frame, after expansion, in its order; the calendar comes last."""
        own = tuple(name for column in self.future for name in self.expand(column))
        return own + tuple(f"{name}#{part}" for name in self.calendar for part in ("sin", "cos"))

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns of a frame, in its order."""
        return self.target_columns + self.past_columns + self.future_columns

    @property
    def used(self) -> tuple[str, ...]:
        """All columns of the input that are needed, time left out."""
        names = (*self.target, *self.past, *self.future, *self.static, self.series_id)
        return tuple(dict.fromkeys(name for name in names if name))

    def expand(self, column: str) -> tuple[str, ...]:
        """Return the frame columns that one covariate becomes."""
        if column in self.circular:
            return (f"{column}#sin", f"{column}#cos")
        if column in self.categories:
            return tuple(f"{column}={category}" for category in self.categories[column])
        return (column,)

    def check(self, table: Table) -> None:
        """Check that every column exists and plays one part.

        Raises:
            DataError: One is missing, or is named for two parts.
        """
        if not self.target and self.clock is None:  # a model needs none where only the future is read
            hint = f"say --target; {table.name} has {listed(table.header, 20)}"
            raise DataError("no target column was named", hint=hint)
        parts: dict[str, str] = {}
        for part in ("target", "past", "future", "static", "series_id"):
            names = getattr(self, part)
            for name in [names] if isinstance(names, str) else names:
                if name and name in parts:
                    raise DataError(f"column '{name}' is both {parts[name]} and {part}", hint="give it one part")
                parts[name] = part
        for name in self.used:
            if name not in table.columns:
                raise self._missing(name, table)
        for name in self.circular:
            if name not in (*self.past, *self.future):
                raise DataError(f"--circular '{name}' is not a covariate", hint="also name it in --past or --future")

    def _missing(self, name: str, table: Table) -> DataError:
        if self.clock is not None:
            what = f"model needs column '{name}'; {table.name} has {listed(table.header, 20)}"
            return DataError(what, hint=how_to_rename(name, table))
        return DataError(f"{table.name}: there is no column '{name}'", hint=did_you_mean(name, table.header))

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-serialisable form."""
        document: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, Clock):
                value = value.to_json()
            elif isinstance(value, tuple):
                value = list(value)
            elif isinstance(value, dict):
                value = {key: list(texts) for key, texts in value.items()}
            document[item.name] = value
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Schema:
        """Restore what :meth:`to_json` gave."""
        values: dict[str, Any] = {}
        for key, value in document.items():
            if key == "clock":
                values[key] = None if value is None else Clock.from_json(value)
            elif isinstance(value, list):
                values[key] = tuple(value)
            elif isinstance(value, Mapping):
                values[key] = {name: tuple(texts) for name, texts in value.items()}
            else:
                values[key] = value
        return cls(**values)
