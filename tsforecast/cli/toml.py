"""``--print-config``: every resolved option as TOML that ``--config`` reads back, with the origin of each."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

from tsforecast.config import Settings
from tsforecast.options import ColumnOptions, ReadOptions

if TYPE_CHECKING:
    from tsforecast.training.task import Task

CHOSEN = (
    "horizon",
    "lags",
    "season_length",
    "cycle",
    "scale_by",
    "normalize",
)  # what preparation resolves from the rows
LEFT_OPEN = ("", 0, "0", "auto")


def config_text(task: Task, settings: Settings, columns: ColumnOptions, read_options: ReadOptions) -> str:
    """Return the configuration of a task as TOML.

    Args:
        task: Holds the options as completed from the data.
        settings: Holds the origin of each option.
        columns: Roles of the columns.
        read_options: How the data is read.
    """
    forecaster = task.forecaster
    top: dict[str, Any] = {}
    for part in (columns, read_options, forecaster.options):
        top |= {k: v for k, v in dataclasses.asdict(part).items() if k not in ("model", "trainer")}
    lines = [_line(name, value, _origin(name, settings)) for name, value in top.items()]
    for section, name, options in (
        ("model", forecaster.options.model, forecaster.model_options),
        ("trainer", forecaster.options.trainer, forecaster.trainer_options),
    ):
        lines += ["", f"[{section}]", _line("name", name, settings.origins.get(section, "default"))]
        lines += [_line(k, v, settings.origins.get(f"{section}.{k}", "default")) for k, v in options.items()]
    return "\n".join(line for line in lines if line is not None) + "\n"


def _origin(name: str, settings: Settings) -> str:
    """Return where the value of an option comes from: who said it, unless that was to leave it open."""
    if name in CHOSEN and settings.top.get(name, "none" if name == "cycle" else "") in LEFT_OPEN:
        return "from the data"
    return settings.origins.get(name, "default")


def _line(name: str, value: Any, origin: str) -> str | None:
    """Return ``name = value  # origin``; None for an option that is not set, as TOML has no null."""
    if value is None:
        return None
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, (list, tuple)):
        text = "[" + ", ".join(json.dumps(v) for v in value) + "]"
    elif isinstance(value, str):
        text = json.dumps(value)
    else:
        text = repr(value)
    return f"{name} = {text}" + ("" if origin == "default" else f"  # {origin}")
