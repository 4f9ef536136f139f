"""How a setting is declared and found.

Flag > ``TSFORECAST_*`` > ``--config`` > ``--recipe`` > ``tsforecast.toml`` > default.

Every option is written once, as a field of a frozen dataclass made with :func:`option`: its default, its help and its
choices live there, and the command line, the TOML keys, ``--print-config`` and the reference pages are derived from it.
This module must stay light: ``tsforecast --help`` imports it, so neither numpy nor torch may be imported here.
"""

from __future__ import annotations

import dataclasses
import math
import os
import tomllib
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from tsforecast.conditions import Condition, obstacles, sentence, shown
from tsforecast.errors import ALIKE, VERY_ALIKE, UsageError, did_you_mean

T = TypeVar("T")
EXAMPLES = {int: ("a whole number", "12"), float: ("a number", "0.5"), bool: ("true or false", "true")}

PROJECT_FILE = "tsforecast.toml"
COMMAND_LINE, ENVIRONMENT, ARGUMENT = "command line", "environment", "argument"
THIS_CALL = (COMMAND_LINE, ENVIRONMENT, ARGUMENT)  # origins of what is said for one call, and not in a file
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


@dataclass(frozen=True)
class NoOptions:
    """Of a model or trainer without options."""


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
    when: Condition = MappingProxyType({}),
    unless: Condition = MappingProxyType({}),
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
        when: Other options, each with values of which one is needed for this option to have an effect; one of them is
            enough. The help says so, and where there is no effect, only the default is accepted.
        unless: Other options, each with values under which this one has no effect; likewise.
    """
    help = f"{help} {sentence(when, unless)}".strip()
    metadata = {"help": help, "short": short, "choices": tuple(choices), "low": low, "high": high, "group": group}
    return field(default=default, metadata={**metadata, "tune": tune, "when": when, "unless": unless})


# ------------------------------------------------------------------------------------------------- values from text


def coerce(kind: Any, value: Any, name: str) -> Any:
    """Turn what a flag, an environment variable or a TOML key says into the type of its field.

    Args:
        kind: The field's type: str, int, float, bool, ``tuple[x, ...]`` or a union with None.
        value: Text, or an already typed TOML value.
        name: The option, for the error.

    Raises:
        UsageError: The value does not fit; infinity and NaN fit nowhere.
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
        made = _scalar(kind, value)
    except (ValueError, TypeError, OverflowError):
        word, example = EXAMPLES.get(kind, ("text", '"text"'))
        raise UsageError(f"{name}: '{value}' is not {word}", hint=f"write it like {example}") from None
    if isinstance(made, float) and not math.isfinite(made):
        raise UsageError(f"{name}: '{value}' is not finite", hint="give a number, or leave it away")
    return made


def _scalar(kind: type, value: Any) -> Any:
    if kind is bool:
        words = dict.fromkeys(("true", "1", "yes", "on"), True) | dict.fromkeys(("false", "0", "no", "off"), False)
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
        UsageError: Unknown name, wrong type, value not among the choices or out of range, or without effect.
    """
    made = cls(**checked(cls, values, section))
    prefix = f"{section}." if section else ""
    for f in dataclasses.fields(cls):  # type: ignore[arg-type]
        value = getattr(made, f.name)
        if f.name in values and value != f.default and (found := obstacles(cls, f.name, lambda o: (getattr(made, o),))):
            present = " and ".join(f"{prefix}{other}={shown(getattr(made, other))}" for other in found)
            helping = " or ".join(f"{prefix}{o}={v}" if v else f"another {prefix}{o}" for o, v in found.items())
            raise UsageError(
                f"{prefix}{f.name}={shown(value)} has no effect with {present}",
                hint=f"leave it at {shown(f.default)}, or use {helping}",
            )
    return made


def checked(cls: type, values: Mapping[str, Any], section: str = "") -> dict[str, Any]:
    """Return loosely typed values as :func:`make` takes them, each checked by itself.

    Raises:
        UsageError: Unknown name, wrong type, value not among the choices or out of range.
    """
    kinds = types_of(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}
    prefix = f"{section}." if section else ""
    read = {}
    for name, value in values.items():
        if name not in fields:
            hint = did_you_mean(prefix + name, [prefix + known for known in fields])
            raise UsageError(f"unknown option '{prefix}{name}'", hint=hint)
        read[name] = coerce(kinds[name], value, prefix + name)
        _check_range(prefix + name, read[name], fields[name].metadata)
    return read


def effective(cls: type, values: Mapping[str, Any], section: str = "") -> dict[str, Any]:
    """Return those of some values that a dataclass has an option for, and that have an effect beside the others."""
    fields = {f.name: f for f in dataclasses.fields(cls)}

    def value(name: str) -> tuple[Any, ...]:
        return (checked(cls, {name: values[name]}, section)[name] if name in values else fields[name].default,)

    return {name: said for name, said in values.items() if name in fields and not obstacles(cls, name, value)}


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


def resolve(layers: Sequence[Layer], known: Sequence[type], beside: Iterable[str] = ()) -> Settings:
    """Merge layers, the strongest first.

    Args:
        layers: For example flags, environment, ``--config`` file, project file, domain preset.
        known: The dataclasses whose fields are accepted at the top level.
        beside: Further names that the user may have meant.

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
                alike = VERY_ALIKE if layer.prefix else ALIKE  # TSFORECAST_FORCE is a flag's name, not one of these
                hint = did_you_mean(name, (*names, *beside), alike=alike, spelled=layer.spelled)
                raise UsageError(f"{layer.origin}: unknown option '{layer.spelled(name)}'", hint=hint)
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
        raise UsageError(f"{path} is not valid TOML: {error}", hint="mend that line") from None
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
    return Layer(ENVIRONMENT, found, prefix=ENVIRONMENT_PREFIX)


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


def described(cls: type) -> Iterator[tuple[str, Any, Any, Mapping[str, Any]]]:
    """Yield name, type, default and metadata of every option of a dataclass, for help pages."""
    kinds = types_of(cls)
    for f in dataclasses.fields(cls):
        yield f.name, kinds[f.name], f.default, f.metadata
