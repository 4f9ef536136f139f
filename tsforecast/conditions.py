"""When an option has an effect: some are of certain values of other options only.

A condition is written once, with its option: ``when`` names other options, each with values of which one is needed, and
one of these options is enough; ``unless`` names options with values under which there is no effect. An option that
helps another one must have an effect itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Condition = Mapping[str, Sequence[Any]]


def obstacles(cls: type, name: str, values: Callable[[str], Sequence[Any]]) -> dict[str, str]:
    """Return what keeps an option from having an effect.

    Args:
        cls: The dataclass of options.
        name: One of them.
        values: From the name of an option to the values that it may have: one for a certain configuration, several
            for a search.

    Returns:
        Other options, each with the values that would help, in words, "" for any but its own; none if the option may
        have an effect.
    """
    metadata = next(f.metadata for f in dataclasses.fields(cls) if f.name == name)
    for other, ruled_out in metadata["unless"].items():
        if all(value in ruled_out for value in values(other)):
            return {other: ""}
    found: dict[str, str] = {}
    for other, needed in metadata["when"].items():
        if not any(value in needed for value in values(other)):
            found[other] = _alternatives(needed)
        elif further := obstacles(cls, other, values):
            found |= further
        else:
            return {}
    return found


def sentence(when: Condition, unless: Condition) -> str:
    """Return a condition as help pages say it: ``Of form=conv.``; empty where there is none."""
    parts = [
        word + " or ".join(f"{other}={_alternatives(values)}" for other, values in condition.items())
        for word, condition in (("of ", when), ("not with ", unless))
        if condition
    ]
    text = ", ".join(parts)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def shown(value: Any) -> str:
    """Return a value as ``--set`` takes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return (",".join(map(str, value)) if isinstance(value, tuple) else str(value)) or "''"


def _alternatives(values: Sequence[Any]) -> str:
    *first, last = map(shown, values)
    return f"{', '.join(first)} or {last}" if first else last
