"""Named configurations: settings that were published or measured together, as TOML files that ``--recipe`` names.

This module must stay light: ``tsforecast --help`` may import it, so neither numpy nor torch may be imported here.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from tsforecast.config import Layer, toml_layer
from tsforecast.errors import UsageError, did_you_mean

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Recipe:
    """One file of this folder.

    Attributes:
        name: Its name without the ending.
        summary: What it is for, in one line.
        source: Where the settings come from.
        measured: What it scored, each line with its command; empty where it was not measured here.
        text: The whole file, which ``--config`` reads, too.
        layer: Its settings.
    """

    name: str
    summary: str
    source: str
    measured: tuple[str, ...]
    text: str
    layer: Layer


def names() -> list[str]:
    """Return the names of all recipes in alphabetical order."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def find_recipe(name: str) -> Recipe:
    """Return a recipe by its name.

    Raises:
        UsageError: There is none of this name.
    """
    if name not in names():
        raise UsageError(f"unknown recipe '{name}'", hint=did_you_mean(name, names()))
    path = FOLDER / f"{name}.toml"
    text = path.read_text(encoding="utf-8")
    about = tomllib.loads(text)["recipe"]
    layer = toml_layer(path, origin=f"--recipe {name}")
    return Recipe(name, about["summary"], about["source"], tuple(about["measured"]), text, layer)
