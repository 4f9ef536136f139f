"""Write the reference pages of docs/ from the registries and the option dataclasses; ``--check`` only compares.

A page that is generated cannot disagree with the program: what it lists is what the program looks up.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from typer.main import get_command

from tsforecast.cli.app import make_app
from tsforecast.config import ENVIRONMENT_PREFIX, described
from tsforecast.domains import DOMAINS
from tsforecast.options import ColumnOptions, DomainOptions, FitOptions, ReadOptions
from tsforecast.registry import COMMANDS, METRICS, MODELS, TRAINERS, Registry

DOCS = Path(__file__).resolve().parents[1] / "docs"
NOTICE = "<!-- Written by scripts/docs.py: change the source that it reads, not this page. -->"
SHARED = {
    "Reading": (ReadOptions, "`train`, `tune`, `compare`, `predict`, `evaluate`"),
    "Columns": (ColumnOptions, "`train`, `tune`, `compare`"),
    "Domain": (
        DomainOptions,
        "`train`, `tune`, `compare`; `predict` and `evaluate` take them too, to change them after training",
    ),
    "Model and training": (FitOptions, "`train`, `tune`, `compare`"),
}


def models_page() -> str:
    """Return docs/models.md."""
    intro = (
        "What can be trained: `tsforecast train ... --model NAME`. An option is set with `--set model.NAME=VALUE` or "
        "in the `[model]` table of a TOML file. `tsforecast models NAME` prints the same from the program."
    )
    return _catalog("Models", intro, MODELS, "model")


def trainers_page() -> str:
    """Return docs/trainers.md."""
    intro = (
        "How parameters are found: `tsforecast train ... --trainer NAME`; each model names the one it uses by default. "
        "An option is set with `--set trainer.NAME=VALUE` or in the `[trainer]` table of a TOML file. "
        "`tsforecast trainers NAME` prints the same from the program."
    )
    return _catalog("Trainers", intro, TRAINERS, "trainer")


def metrics_page() -> str:
    """Return docs/metrics.md."""
    intro = (
        "How forecasts are scored: `tsforecast evaluate ... --metric NAME,NAME`; all of them by default. A pair of "
        "actual and forecast with either side unknown is left out of every metric. A metric may leave out more, as the "
        "column `leaves out` says; `NAME_excluded` in the scores counts those pairs."
    )
    rows = []
    for name in METRICS:
        metric = METRICS.get(name)
        direction = {True: "smaller", False: "larger", None: f"nearer to {metric.best}"}[metric.smaller_is_better]
        rows.append((f"`{name}`", metric.help, metric.unit, direction, metric.excludes or "nothing", metric.source))
    header = ("metric", "what it is", "unit", "better", "leaves out", "source")
    return _page("Metrics", intro, [_table(header, rows)])


def options_page() -> str:
    """Return docs/options.md."""
    intro = (
        "Every flag of every command. A setting is looked up in this order: flag, environment variable "
        f"(`{ENVIRONMENT_PREFIX}` and the name in capitals: `{ENVIRONMENT_PREFIX}HORIZON=24`), the file after "
        "`--config`, the recipe after `--recipe`, `tsforecast.toml` in the working folder, the preset of `--domain`, "
        "default. A TOML key is the "
        "flag without its dashes, with `_` inside: `season_length = 24`. `tsforecast train ... --print-config` prints "
        "the outcome with the origin of each value, as a file that `--config` reads."
    )
    parts = [f"## `tsforecast {name}`\n\n{_own_flags(name)}" for name in COMMANDS]
    inherited = {row[0] for row in described(DomainOptions)}
    for title, (cls, commands) in SHARED.items():
        rows = [row for row in described(cls) if cls is not FitOptions or row[0] not in inherited]
        lines = [_option_row("--" + name.replace("_", "-"), *rest) for name, _, *rest in rows]
        parts.append(f"## {title}\n\nTaken by {commands}.\n\n" + _table(("flag", "default", "what it does"), lines))
    domains = [(f"`{d.name}`", d.summary, _settings(d.settings), _code(d.baselines)) for d in DOMAINS.values()]
    header = ("`--domain`", "what it is for", "sets", "further baselines")
    parts.append("## Presets\n\n" + _table(header, domains))
    return _page("Options", intro, parts)


PAGES: Mapping[str, Callable[[], str]] = {
    "models.md": models_page,
    "trainers.md": trainers_page,
    "metrics.md": metrics_page,
    "options.md": options_page,
}


def _catalog(title: str, intro: str, registry: Registry, section: str) -> str:
    overview = _table((section, "what it is"), [(f"[`{n}`](#{n})", registry.get(n).summary) for n in registry])
    return _page(title, intro, [overview, *(_entry(registry.get(name), name, section) for name in registry)])


def _entry(found: Any, name: str, section: str) -> str:
    lines = [f"## {name}", inspect.cleandoc(found.__doc__).replace("``", "`")]
    if found.source and "Source:" not in found.__doc__:
        lines.append(f"Source: {found.source}.")
    if section == "model":
        lines.append(f"Trained by `{found.trainer}` unless `--trainer` says otherwise.")
    rows = [_option_row(f"{section}.{option}", *rest) for option, _, *rest in described(found.Config)]
    lines.append(_table(("option", "default", "what it does"), rows) if rows else "No options.")
    return "\n\n".join(lines)


def _option_row(label: str, default: Any, metadata: Mapping[str, Any]) -> tuple[str, str, str]:
    short = f", `-{metadata['short']}`" if metadata["short"] else ""
    choices = [c for c in metadata["choices"] if c]
    text = metadata["help"]
    if not all(choice in text for choice in choices):
        text += f" One of {_code(choices)}."
    return f"`{label}`{short}", "" if "by default" in text else _default(default), text


def _default(default: Any) -> str:
    if default in (None, "", ()):
        return ""
    if isinstance(default, bool):
        return "on" if default else "off"
    return f"`{_word(default) if isinstance(default, tuple) else default}`"


def _own_flags(name: str) -> str:
    """Return help and table of what a command declares itself."""
    command = get_command(make_app()).commands[name]  # type: ignore[attr-defined]
    rows = []
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            rows.append((f"`{parameter.name.upper()}`", parameter.help))
        elif "--help" not in parameter.opts and not _is_shared(parameter):
            rows.append((", ".join(f"`{flag}`" for flag in parameter.opts), parameter.help))
    about, *examples = inspect.cleandoc(command.help).split("\n\n")
    parts = [about, *(f"```sh\n{text}\n```" for text in examples), _table(("argument or flag", "what it does"), rows)]
    return "\n\n".join(parts)


def _is_shared(parameter: Any) -> bool:
    """Tell whether a flag comes from an option dataclass and not from the command, which may use the same name."""
    texts = [m["help"] for cls, _ in SHARED.values() for name, _, _, m in described(cls) if name == parameter.name]
    return any(parameter.help.startswith(text) for text in texts)


def _settings(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"`--{name} {_word(value)}`" for name, value in settings.items()) or "nothing"


def _word(value: Any) -> str:
    """Return a value as it is written after a flag."""
    if isinstance(value, tuple):
        return ",".join(map(_word, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _code(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _page(title: str, intro: str, parts: Sequence[str]) -> str:
    return "\n\n".join([NOTICE, f"# {title}", intro, *parts]) + "\n"


def stale() -> Iterator[str]:
    """Yield the names of the pages that are not what would be written now."""
    for name, page in PAGES.items():
        path = DOCS / name
        if not path.exists() or path.read_text(encoding="utf-8") != page():
            yield name


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or with ``--check`` say which are out of date and return 1."""
    old = list(stale())
    for name in old:
        if "--check" in arguments:
            print(f"docs/{name} is out of date: run python scripts/docs.py")
        else:
            (DOCS / name).write_text(PAGES[name](), encoding="utf-8")
            print(f"docs/{name}")
    return 1 if old and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
