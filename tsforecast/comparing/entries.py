"""What is compared: models with the settings that are theirs, and those that all have in common."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tsforecast.config import Layer, Settings, effective, make, toml_layer, types_of
from tsforecast.errors import UsageError, did_you_mean
from tsforecast.options import ColumnOptions, CompareOptions, FitOptions
from tsforecast.recipes import find_recipe
from tsforecast.recipes import names as recipe_names
from tsforecast.registry import MODELS, TRAINERS

ALL = "all"
# What an entry may say for itself. Everything else is one for all, or their errors could not be compared.
SHARED = ("horizon", "season_length", "quantiles")
OWN = frozenset(
    {f.name for f in dataclasses.fields(FitOptions) if f.metadata["group"] == "Model" and f.name not in SHARED}
    | {"transform", "patience"}
)


@dataclass(frozen=True)
class Entry:
    """One that takes part.

    Attributes:
        name: As the user wrote it; a TOML file by its stem.
        options: Complete, without refit.
        model: Options of its model that differ from the defaults.
        trainer: Options of its trainer, likewise.
    """

    name: str
    options: FitOptions
    model: Mapping[str, Any]
    trainer: Mapping[str, Any]


def parse_entries(settings: Settings, chosen: CompareOptions) -> list[Entry]:
    """Read the models to compare; settings of a model or trainer that an entry does not have are not for it.

    Args:
        settings: What all have in common.
        chosen: ``models`` names them: a registered model, ``all`` that have parameters, a recipe, a TOML file as
            ``tsforecast tune`` writes it; settings may follow, ``gru:model.hidden=128:lags=48``.

    Raises:
        UsageError: Unknown model, recipe or setting, the same entry twice, or a setting that no entry has.
    """
    if settings.origins.get("model") in ("command line", "argument"):
        raise UsageError("--model is for one model", hint=f"use --models {settings.top['model']}")
    words = [w for word in _words(chosen.models) for w in (trained_models() if word == ALL else [word])]
    if not words:
        raise UsageError("no models to compare", hint="write --models gru,lstm, or --models all")
    entries = [_entry(word, settings, chosen) for word in dict.fromkeys(words)]
    names = [entry.name for entry in entries]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UsageError(f"--models names '{twice}' twice", hint="give the files different names")
    _refuse_idle(settings, entries)
    return entries


def toml_files(models: Sequence[str]) -> list[Path]:
    """Return the TOML files among ``--models``."""
    return [path for word in _words(models) if (path := Path(_parts(word)[0])).suffix == ".toml"]


def trained_models() -> list[str]:
    """Return the registered models that have something to train."""
    return [name for name in MODELS if MODELS.get(name).trainer != "none"]


def _words(models: Sequence[str]) -> list[str]:
    """Return the entries; a comma inside a setting, as in ``lags=1:24,168``, does not end it, a name after one does."""
    joined = ",".join(models)
    return [word.strip() for word in re.split(r",(?=\s*[A-Za-z_./])", joined) if word.strip()]


def _parts(word: str) -> list[str]:
    """Return the name of an entry, then its settings."""
    return re.split(r":(?=[A-Za-z_.]+=)", word)


def _entry(word: str, settings: Settings, chosen: CompareOptions) -> Entry:
    name, *pairs = _parts(word)
    path = Path(name)
    if path.suffix == ".toml":
        name, own = path.stem, _from_layer(toml_layer(path), settings)
    elif name in recipe_names():
        own = _from_layer(find_recipe(name).layer, settings)
    else:
        if name not in MODELS:
            raise UsageError(f"unknown model or recipe '{name}'", hint=did_you_mean(name, [*MODELS, *recipe_names()]))
        if MODELS.get(name).trainer == "none":
            raise UsageError(f"--models {name}: baselines take part anyway", hint="leave it out")
        own = {"model": name}
    own |= dict(_assignment(word, pair) for pair in pairs)
    top = {**settings.top, **{k: v for k, v in own.items() if "." not in k}}
    options = Settings(top, {}, {}, {}).build(FitOptions)
    options = dataclasses.replace(options, test=chosen.test, refit=False)
    model = MODELS.get(options.model)
    trainer = TRAINERS.get(options.trainer or model.trainer)
    entry = Entry(
        name=":".join([name, *pairs]),
        options=options,
        model=_of(model.Config, "model", settings.model, own),
        trainer=_of(trainer.Config, "trainer", settings.trainer, own),
    )
    make(model.Config, entry.model, "model")
    make(trainer.Config, entry.trainer, "trainer")
    return entry


def _from_layer(layer: Layer, settings: Settings) -> dict[str, Any]:
    """Return what a TOML file says of a network and its training; the columns must be those of all.

    Raises:
        UsageError: They are others.
    """
    columns = settings.build(ColumnOptions)
    kinds = types_of(ColumnOptions)
    for name in kinds.keys() & layer.top.keys():
        theirs = getattr(make(ColumnOptions, {name: layer.top[name]}), name)
        if theirs != getattr(columns, name):
            said = ",".join(theirs) if isinstance(theirs, tuple) else theirs
            what = f"{layer.origin}: {name} is {said or 'nothing'} there, so it forecasts from other columns"
            raise UsageError(what, hint=f"give all the same: --{name.replace('_', '-')} {said}")
    own = {name: value for name, value in layer.top.items() if name in OWN}
    for section, values in (("model", layer.model), ("trainer", layer.trainer)):
        own |= {f"{section}.{name}": value for name, value in values.items()}
    return own


def _assignment(word: str, pair: str) -> tuple[str, str]:
    name, _, value = pair.partition("=")
    section, dot, _ = name.partition(".")
    key = name if dot else name.replace("-", "_")
    if (dot and section in ("model", "trainer")) or key in OWN - {"model"}:
        return key, value.strip()
    if key in {f.name for f in dataclasses.fields(FitOptions)}:
        flag = f"--{key.replace('_', '-')} {value}"
        raise UsageError(f"--models {word}: {name} is the same for all", hint=f"use {flag} beside --models")
    raise UsageError(f"--models {word}: unknown option '{name}'", hint=did_you_mean(name, OWN))


def _of(cls: type, section: str, fixed: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of an entry: its own, and those of all as far as it has them and they count beside its own."""
    said = _section(own, section)
    return {k: v for k, v in effective(cls, {**fixed, **said}, section).items() if k not in said} | said


def _section(own: Mapping[str, Any], section: str) -> dict[str, Any]:
    start = f"{section}."
    return {name.removeprefix(start): value for name, value in own.items() if name.startswith(start)}


def _names(cls: type) -> set[str]:
    return {f.name for f in dataclasses.fields(cls)}


def _refuse_idle(settings: Settings, entries: Sequence[Entry]) -> None:
    """Refuse ``--set`` of an option that no entry has."""
    for section, fixed in (("model", settings.model), ("trainer", settings.trainer)):
        known = {f"{section}.{name}" for entry in entries for name in _names(_config(entry, section))}
        for name in fixed:
            if f"{section}.{name}" not in known:
                what = f"no model that is compared has an option '{section}.{name}'"
                raise UsageError(what, hint=did_you_mean(f"{section}.{name}", known))
            if not any(name in getattr(entry, section) for entry in entries):  # where it exists, it has no effect
                for entry in entries:
                    if name in _names(_config(entry, section)):
                        make(_config(entry, section), {**getattr(entry, section), name: fixed[name]}, section)


def _config(entry: Entry, section: str) -> type:
    model = MODELS.get(entry.options.model)
    found: type = model.Config if section == "model" else TRAINERS.get(entry.options.trainer or model.trainer).Config
    return found
