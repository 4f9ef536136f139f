"""What is known about a field: defaults of documented options, and what its forecasts are to be judged against.

Light on purpose, as the command line reads it for ``--help``; the arithmetic is in ``tsforecast.reference``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from tsforecast.config import Layer, Settings, resolve
from tsforecast.errors import UsageError, did_you_mean


@dataclass(frozen=True)
class Domain:
    """Defaults for one field of use.

    Attributes:
        name: What ``--domain`` is given.
        summary: One sentence for ``--help`` and the reference pages.
        settings: Option name to the value it takes unless the user sets it.
        baselines: Functions of ``tsforecast.reference`` that ``evaluate`` adds to naive, seasonal naive and drift.
        random_walk: Whether ``evaluate`` calls naive the random walk, and says how often the direction was right.
    """

    name: str
    summary: str
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    baselines: tuple[str, ...] = ()
    random_walk: bool = False


DOMAINS: Mapping[str, Domain] = MappingProxyType(
    {
        domain.name: domain
        for domain in (
            Domain(
                "solar",
                "Irradiance or solar power: never negative, zero at night, to be judged against clear-sky persistence.",
                MappingProxyType({"floor": 0.0, "night": "auto"}),
                ("clear_sky_persistence",),
            ),
            Domain("wind", "Wind speed or wind power: never negative.", MappingProxyType({"floor": 0.0})),
            Domain(
                "weather",
                "Temperature, pressure, humidity: to be judged against what is usual for the day and hour.",
                MappingProxyType({"circular": ("auto",)}),
                ("climatology",),
            ),
            Domain(
                "stock",
                "Prices: forecast as relative moves from the last price, to be judged against the random walk (naive).",
                MappingProxyType({"transform": "log", "normalize": "last"}),
                random_walk=True,
            ),
        )
    }
)


def find_domain(name: str) -> Domain:
    """Return the domain called ``name``.

    Raises:
        UsageError: There is none.
    """
    if name not in DOMAINS:
        raise UsageError(f"unknown domain '{name}'", hint=did_you_mean(name, DOMAINS))
    return DOMAINS[name]


def resolve_with_domain(layers: Sequence[Layer], known: Sequence[type], beside: Iterable[str] = ()) -> Settings:
    """Merge layers as ``config.resolve`` does; the preset of the domain that they name is the weakest.

    Raises:
        UsageError: An option or a domain that does not exist.
    """
    settings = resolve(layers, known, beside)
    name = settings.top.get("domain")
    if not name:
        return settings
    return resolve([*layers, Layer(f"--domain {name}", find_domain(name).settings)], known)
