"""How a setting is declared and found.

Flag > ``TSFORECAST_*`` > ``--config`` > ``--recipe`` > ``tsforecast.toml`` > default.

Every option is written once, as a field of a frozen dataclass made with :func:`option`: its default, its help and its
choices live there, and the command line, the TOML keys, ``--print-config`` and the reference pages are derived from it.
This module must stay light: ``tsforecast --help`` imports it, so neither numpy nor torch may be imported here.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import tomllib
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from tsforecast.errors import UsageError, did_you_mean

T = TypeVar("T")

PROJECT_FILE = "tsforecast.toml"
ENVIRONMENT_PREFIX = "TSFORECAST_"


class Facts(NamedTuple):
    """What the values that a search tries may depend on.

    Attributes:
        season_length: Steps per season; 1 if there is none.
        horizon: H.
        past: Past covariates.
        future: Future covariates.
        fits: Whether the data has windows enough with so many lags.
    """

    season_length: int
    horizon: int
    past: int
    future: int
    fits: Callable[[int], bool]


def option(
    default: Any,
    help: str,
    *,
    short: str = "",
    choices: Sequence[str] = (),
    low: float | None = None,
    high: float | None = None,
    group: str = "Options",
    tune: Sequence[Any] | Callable[[Facts], Sequence[Any]] = (),
) -> Any:
    """Declare one option of a frozen dataclass.

    Args:
        default: Value when nothing is said.
        help: One sentence for ``--help`` and the reference pages.
        short: One-letter flag, without the dash.
        choices: Accepted strings, if only some are.
        low: Smallest accepted number.
        high: Largest accepted number.
        group: Heading under which ``--help`` lists the flag.
        tune: Values that ``tsforecast tune`` tries beside the default, or a function that makes them from the data;
            without any it leaves the option alone, unless ``--search`` lists some.
    """
    metadata = {"help": help, "short": short, "choices": tuple(choices), "low": low, "high": high, "group": group}
    return field(default=default, metadata={**metadata, "tune": tune})


# ------------------------------------------------------------------------------------------------- values from text


def coerce(kind: Any, value: Any, name: str) -> Any:
    """Turn what a flag, an environment variable or a TOML key says into the type of its field.

    Args:
        kind: The field's type: str, int, float, bool, ``tuple[x, ...]`` or a union with None.
        value: Text, or an already typed TOML value.
        name: The option, for the error.

    Raises:
        UsageError: The value does not fit.
    """
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        inner = next(k for k in typing.get_args(kind) if k is not type(None))
        return None if value in (None, "", "none") else coerce(inner, value, name)
    if origin is tuple:
        parts = value if isinstance(value, (list, tuple)) else [value]
        flat = [p for part in parts for p in (part.split(",") if isinstance(part, str) else [part])]
        inner = typing.get_args(kind)[0]
        return tuple(coerce(inner, p.strip() if isinstance(p, str) else p, name) for p in flat if p != "")
    try:
        return _scalar(kind, value)
    except (ValueError, TypeError, OverflowError):
        word = {int: "a whole number", float: "a number", bool: "true or false"}.get(kind, "text")
        raise UsageError(f"{name}: '{value}' is not {word}") from None


def _scalar(kind: type, value: Any) -> Any:
    if kind is bool:
        words = {
            "true": True,
            "1": True,
            "yes": True,
            "on": True,
            "false": False,
            "0": False,
            "no": False,
            "off": False,
        }
        if str(value).casefold() not in words:
            raise ValueError(value)
        return words[str(value).casefold()]
    if isinstance(value, bool):
        raise TypeError(value)
    if kind is int and isinstance(value, float):
        if value != int(value):
            raise ValueError(value)
        return int(value)
    return kind(value)


def types_of(cls: type) -> dict[str, Any]:
    """Return the resolved type of every field of a dataclass."""
    hints = typing.get_type_hints(cls)
    return {f.name: hints[f.name] for f in dataclasses.fields(cls)}


def make(cls: type[T], values: Mapping[str, Any], section: str = "") -> T:
    """Build a frozen dataclass of options from loosely typed values.

    Args:
        cls: The dataclass.
        values: Field name to value; text is converted.
        section: Prefix of the names in errors, ``model`` for ``model.hidden``.

    Raises:
        UsageError: Unknown name, wrong type, value not among the choices or out of range.
    """
    kinds = types_of(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    prefix = f"{section}." if section else ""
    checked = {}
    for name, value in values.items():
        if name not in fields:
            hint = did_you_mean(prefix + name, [prefix + known for known in fields])
            raise UsageError(f"unknown option '{prefix}{name}'", hint=hint)
        checked[name] = coerce(kinds[name], value, prefix + name)
        _check_range(prefix + name, checked[name], fields[name].metadata)
    return cls(**checked)


def _check_range(name: str, value: Any, metadata: Mapping[str, Any]) -> None:
    choices, low, high = metadata["choices"], metadata["low"], metadata["high"]
    for single in value if isinstance(value, tuple) else (value,):
        if choices and single is not None and single not in choices:
            raise UsageError(
                f"{name}: '{single}' is not known", hint=did_you_mean(str(single), [c for c in choices if c])
            )
        if isinstance(single, (int, float)) and not isinstance(single, bool):
            if low is not None and not single >= low:
                raise UsageError(f"{name}: {single} is too small", hint=f"the smallest value is {low:g}")
            if high is not None and not single <= high:
                shares = ",".join(f"{s / 100:g}" for s in value) if isinstance(value, tuple) else f"{single / 100:g}"
                percent = f"; shares, not percent: {shares}" if high < 1 < single < 100 else ""
                raise UsageError(f"{name}: {single} is too large", hint=f"the largest value is {high:g}{percent}")


# ---------------------------------------------------------------------------------------------------------- layers


@dataclass(frozen=True)
class Layer:
    """Settings from one place.

    Attributes:
        origin: Where they come from, for ``--print-config`` and errors.
        top: Option name to value.
        model: Options of the model, from ``[model]`` or ``--set model.x=``.
        trainer: Options of the trainer, likewise.
        prefix: What stands before a name in capitals, for environment variables.
    """

    origin: str
    top: Mapping[str, Any]
    model: Mapping[str, Any] = field(default_factory=dict)
    trainer: Mapping[str, Any] = field(default_factory=dict)
    prefix: str = ""

    def spelled(self, name: str) -> str:
        """Return the name of an option as this place writes it."""
        return f"{self.prefix}{name.upper()}" if self.prefix else name


@dataclass(frozen=True)
class Settings:
    """The outcome of all layers: values that differ from the defaults, and where each came from."""

    top: Mapping[str, Any]
    model: Mapping[str, Any]
    trainer: Mapping[str, Any]
    origins: Mapping[str, str]

    def build(self, cls: type[T]) -> T:
        """Return the dataclass ``cls`` filled with the settings that belong to it."""
        names = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
        return make(cls, {k: v for k, v in self.top.items() if k in names})


def resolve(layers: Sequence[Layer], known: Sequence[type]) -> Settings:
    """Merge layers, the strongest first.

    Args:
        layers: For example flags, environment, ``--config`` file, project file, domain preset.
        known: The dataclasses whose fields are accepted at the top level.

    Raises:
        UsageError: A name that no dataclass has.
    """
    names = {f.name for cls in known for f in dataclasses.fields(cls)}
    top: dict[str, Any] = {}
    parts: dict[str, dict[str, Any]] = {"model": {}, "trainer": {}}
    origins: dict[str, str] = {}
    for layer in layers:
        for name, value in layer.top.items():
            if name not in names:
                raise UsageError(
                    f"{layer.origin}: unknown option '{layer.spelled(name)}'",
                    hint=did_you_mean(layer.spelled(name), [layer.spelled(n) for n in names]),
                )
            if name not in top:
                top[name], origins[name] = value, layer.origin
        for section, values in (("model", layer.model), ("trainer", layer.trainer)):
            for name, value in values.items():
                if name not in parts[section]:
                    parts[section][name], origins[f"{section}.{name}"] = value, layer.origin
    return Settings(top, parts["model"], parts["trainer"], origins)


def toml_layer(path: Path, origin: str = "") -> Layer:
    """Read a TOML file of options; ``[model]`` and ``[trainer]`` may carry a ``name`` beside their options.

    What a ``[recipe]`` table says about the file is no option.

    Args:
        path: The file.
        origin: How to call it where a setting's origin is told; its path by default.

    Raises:
        UsageError: The file is missing or is not TOML.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", hint="check the path after --config") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from None
    if isinstance(document.get("recipe"), dict):
        del document["recipe"]
    sections: dict[str, dict[str, Any]] = {}
    for name in ("model", "trainer"):
        if isinstance(document.get(name), dict):
            sections[name] = document.pop(name)
            if "name" in sections[name]:
                document[name] = sections[name].pop("name")
    top = {name.replace("-", "_"): value for name, value in document.items()}
    return Layer(origin or str(path), top, sections.get("model", {}), sections.get("trainer", {}))


def environment_layer(environment: Mapping[str, str] | None = None) -> Layer:
    """Read ``TSFORECAST_HORIZON=24`` and its like; other variables are ignored."""
    source = os.environ if environment is None else environment
    start = len(ENVIRONMENT_PREFIX)
    found = {k[start:].lower(): v for k, v in source.items() if k.startswith(ENVIRONMENT_PREFIX)}
    found.pop("debug", None)  # read by the command line itself
    return Layer("environment", found, prefix=ENVIRONMENT_PREFIX)


def assignments(pairs: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Split ``--set model.hidden=64`` and ``--set trainer.optimizer=sgd`` into the options of model and trainer.

    Raises:
        UsageError: Not of the form ``model.NAME=VALUE`` or ``trainer.NAME=VALUE``.
    """
    parts: dict[str, dict[str, str]] = {"model": {}, "trainer": {}}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        section, dot, name = key.strip().partition(".")
        if not (equals and dot and section in parts and name):
            raise UsageError(
                f"--set {pair}: not understood", hint="write --set model.hidden=64 or --set trainer.optimizer=sgd"
            )
        parts[section][name] = value.strip()
    return parts["model"], parts["trainer"]


def parse_delays(text: str, name: str = "lags") -> tuple[int, ...]:
    """Read a set of delays: ``12`` is 1..12, ``1:24,168`` is 1..24 and 168.

    Args:
        text: What the user wrote.
        name: Name of the option, for the error.

    Raises:
        UsageError: Not whole numbers, negative, or a range that runs backwards.
    """
    if text.strip().isdecimal() and int(text) > 0:
        return tuple(range(1, int(text) + 1))
    delays: set[int] = set()
    for part in text.split(","):
        first, _, last = part.strip().partition(":")
        try:
            low, high = int(first), int(last or first)
        except ValueError:
            low, high = 1, 0
        if low > high or low < 0:
            hint = "write 24 (the last 24 steps) or 1:24,168"
            raise UsageError(f"{name}: '{text}' is not a set of delays", hint=hint)
        delays.update(range(low, high + 1))
    return tuple(sorted(delays))


def write_delays(delays: Sequence[int]) -> str:
    """Return a short text that :func:`parse_delays` reads as these ascending delays."""
    runs = [[d for _, d in run] for _, run in itertools.groupby(enumerate(delays), lambda pair: pair[1] - pair[0])]
    return ",".join(f"{run[0]}:{run[-1]}" if len(run) > 1 or len(delays) == 1 else f"{run[0]}" for run in runs)


def described(cls: type) -> Iterator[tuple[str, Any, Any, Mapping[str, Any]]]:
    """Yield name, type, default and metadata of every option of a dataclass, for help pages."""
    kinds = types_of(cls)
    for f in dataclasses.fields(cls):
        yield f.name, kinds[f.name], f.default, f.metadata
