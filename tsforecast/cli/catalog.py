"""``tsforecast models``, ``trainers``, ``metrics`` and ``recipes``: what exists, with options, defaults and sources."""

from __future__ import annotations

import inspect
from typing import Any

import typer

from tsforecast.cli.options import DEBUG, with_options
from tsforecast.config import described
from tsforecast.registry import METRICS, MODELS, TRAINERS, Registry


@with_options()
def models(
    name: str = typer.Argument("", help="One model, with its options."),
    json: bool = typer.Option(False, "--json", help="Print as JSON."),
    debug: bool = DEBUG,  # noqa: ARG001 - read by app
) -> None:
    """List the models, or show one with its options and source."""
    _show(MODELS, "model", name, json)


@with_options()
def trainers(
    name: str = typer.Argument("", help="One trainer, with its options."),
    json: bool = typer.Option(False, "--json", help="Print as JSON."),
    debug: bool = DEBUG,  # noqa: ARG001 - read by app
) -> None:
    """List the trainers, or show one with its options and source."""
    _show(TRAINERS, "trainer", name, json)


@with_options()
def metrics(
    name: str = typer.Argument("", help="One metric."),
    json: bool = typer.Option(False, "--json", help="Print as JSON."),
    debug: bool = DEBUG,  # noqa: ARG001 - read by app
) -> None:
    """List the metrics, or show one with its direction and source."""
    _show(METRICS, "", name, json)


@with_options()
def recipes(
    name: str = typer.Argument("", help="One recipe: its file, which --config reads, too."),
    json: bool = typer.Option(False, "--json", help="Print as JSON."),
    debug: bool = DEBUG,  # noqa: ARG001 - read by app
) -> None:
    """List the recipes, named configurations for --recipe, or print one."""
    from tsforecast.cli.output import aligned, write_json, write_text
    from tsforecast.recipes import find_recipe, names

    found = [find_recipe(n) for n in ([name] if name else names())]
    if json:
        entries = [
            {"name": r.name, "summary": r.summary, "source": r.source, "measured": r.measured}
            | {"options": {**r.layer.top}, "model": {**r.layer.model}, "trainer": {**r.layer.trainer}}
            for r in found
        ]
        write_json(entries[0] if name else entries)
    elif name:
        write_text(found[0].text)
    else:
        rows = [[r.name, "yes" if r.measured else "no", r.summary] for r in found]
        write_text(aligned(["recipe", "measured here", "what it is for"], rows))


def _show(registry: Registry, section: str, name: str, json: bool) -> None:
    from tsforecast.cli.output import aligned, write_json, write_text

    entries = [_entry(registry, n, section) for n in ([registry.check(name)] if name else registry)]
    if json:
        write_json(entries[0] if name else entries)
    elif name:
        write_text(_page(entries[0]))
    else:
        write_text(aligned([registry.kind, "what it is"], [[e["name"], e["summary"]] for e in entries]))


def _entry(registry: Registry, name: str, section: str) -> dict[str, Any]:
    found = registry.get(name)
    entry = {
        "name": name,
        "summary": getattr(found, "summary", "") or getattr(found, "help", ""),
        "source": found.source,
    }
    entry["about"] = inspect.cleandoc(found.__doc__ or "")
    if section:
        entry["options"] = [
            {
                "name": f"{section}.{option}",
                "default": default,
                "choices": [c for c in metadata["choices"] if c],
                "help": metadata["help"],
            }
            for option, _, default, metadata in described(found.Config)
        ]
    return entry


def _page(entry: dict[str, Any]) -> str:
    from tsforecast.cli.output import aligned

    lines = [f"{entry['name']}: {entry['summary']}", "", entry["about"], ""]
    rows = []
    for option in entry.get("options", []):
        default = option["default"]
        shown = ",".join(map(str, default)) if isinstance(default, tuple) else str(default)
        choices = f" ({', '.join(map(str, option['choices']))})" if option["choices"] else ""
        rows.append([option["name"], shown or "-", option["help"] + choices])
    if "Source:" not in entry["about"] and entry["source"]:
        lines += [f"Source: {entry['source']}", ""]
    text = "\n".join(lines) + "\n"
    return text + (aligned(["--set", "default", "what it does"], rows) if rows else "")
