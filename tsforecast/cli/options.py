"""From dataclasses of options to flags, and from flags, environment and TOML files to settings."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from tsforecast.config import (
    COMMAND_LINE,
    PROJECT_FILE,
    Layer,
    Settings,
    assignments,
    described,
    environment_layer,
    toml_layer,
    types_of,
)
from tsforecast.errors import Interrupted
from tsforecast.options import ColumnOptions, CompareOptions, FitOptions, ReadOptions, TuneOptions

KNOWN = (ReadOptions, ColumnOptions, FitOptions, TuneOptions, CompareOptions)
FORMATS = "csv, tsv, json, jsonl, parquet or table"
DATA: list[str] | None = typer.Argument(
    None, help="CSV, TSV, JSON, JSON Lines or Parquet files; text also as .gz, .zst or .bz2; - is stdin."
)
FORMAT: str = typer.Option("", "--format", "-f", help=f"{FORMATS} [default: table on a terminal]")
FUTURE_DATA: Path | None = typer.Option(None, "--future-data", help="File with the future covariates over the horizon.")
HORIZON: int | None = typer.Option(
    None, "--horizon", "-H", min=1, help="Steps to forecast; those of training by default."
)
MISSING: str = typer.Option("", "--missing", help="Treat holes otherwise than in training (interpolate:6, ...).")
FORCE: bool = typer.Option(False, "--force", help="Replace an existing model file, or what `tune` wrote.")
QUIET: bool = typer.Option(False, "--quiet", "-q", help="Say nothing but warnings and errors.")
VERBOSE: bool = typer.Option(False, "--verbose", "-v", help="Say what was detected and done on the way.")
DEBUG: bool = typer.Option(False, "--debug", help="Show a traceback with an error.")
RECIPE: str = typer.Option("", "--recipe", help="Named configuration; `tsforecast recipes` lists them.")
METAVARS = {int: "INT", float: "FLOAT", str: "TEXT"}


@dataclass(frozen=True)
class Flags:
    """What was said on the command line for options that live in dataclasses; what was not said is absent."""

    values: Mapping[str, Any]

    def said(self, cls: type) -> dict[str, Any]:
        """Return the options of a dataclass that were said on the command line itself."""
        return {name: value for name, value in self.values.items() if name in types_of(cls)}

    def settings(self, config: Path | None = None, pairs: Sequence[str] = (), recipe: str = "") -> Settings:
        """Merge flags, environment, the ``--config`` file, the recipe, the project file and the domain's preset.

        Raises:
            UsageError: An option or recipe that does not exist, or a file that cannot be read.
        """
        from tsforecast.domains import resolve_with_domain
        from tsforecast.recipes import find_recipe

        model, trainer = assignments(pairs)
        layers = [Layer(COMMAND_LINE, self.values, model, trainer), environment_layer()]
        if config is not None:
            layers.append(toml_layer(config))
        if recipe:
            layers.append(find_recipe(recipe).layer)
        if Path(PROJECT_FILE).is_file():
            layers.append(toml_layer(Path(PROJECT_FILE)))
        return resolve_with_domain(layers, KNOWN)


def with_options(*classes: type) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command one flag per field of the dataclasses; it receives them as ``flags``.

    The flags' names, help and choices come from the dataclass; conversion and checks happen in ``config``, where TOML
    and environment values go through too. Ctrl-C becomes the exit code 130.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        hints = typing.get_type_hints(command)
        own = [
            p.replace(annotation=hints[p.name])
            for p in inspect.signature(command).parameters.values()
            if p.name != "flags"
        ]
        rows: dict[str, Any] = {}
        for row in (row for cls in classes for row in described(cls)):
            rows.setdefault(row[0], row)  # of two flags of one name the first counts
        extra = [_parameter(*row) for row in rows.values()]
        names = {p.name for p in extra}

        @functools.wraps(command)
        def wrapper(**given: Any) -> None:
            said = {k: v for k, v in given.items() if k in names and v is not None and v != []}
            rest = {k: v for k, v in given.items() if k not in names}
            try:
                command(**rest, **({"flags": Flags(said)} if classes else {}))
            except KeyboardInterrupt:
                raise Interrupted("interrupted") from None

        wrapper.__signature__ = inspect.Signature([*own, *extra])  # type: ignore[attr-defined]
        wrapper.__annotations__ = {p.name: p.annotation for p in [*own, *extra]}
        del wrapper.__wrapped__  # else the signature of the command is read
        return wrapper

    return decorate


def _parameter(name: str, kind: Any, default: Any, metadata: Mapping[str, Any]) -> inspect.Parameter:
    """Return the flag of one option as a parameter that Typer understands; None means that it was not said."""
    flag = "--" + name.replace("_", "-")
    short = [f"-{metadata['short']}"] if metadata["short"] else []
    text = metadata["help"] + _default_text(default, metadata["choices"])
    inner = _scalar_kind(kind)
    if inner is bool:
        annotation: Any = bool | None
        declaration = typer.Option(None, f"{flag}/--no-{flag[2:]}" if default is None else flag, *short, help=text)
    elif typing.get_origin(kind) is tuple:
        annotation = list[str] | None
        declaration = typer.Option(None, flag, *short, help=text, metavar="TEXT")
    else:
        annotation = str | None
        metavar = "|".join(c for c in metadata["choices"] if c) or METAVARS.get(inner, "TEXT")
        declaration = typer.Option(None, flag, *short, help=text, metavar=metavar)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=declaration, annotation=annotation)


def _scalar_kind(kind: Any) -> Any:
    return next((k for k in typing.get_args(kind) if k is not type(None)), kind)


def _default_text(default: Any, choices: Sequence[str]) -> str:
    if default in (None, "", (), False, -1, 0) and default not in choices:
        return ""
    shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
    return f" [default: {shown}]" if shown not in ("", None) else ""
