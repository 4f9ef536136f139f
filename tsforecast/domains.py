"""What is known about a field: defaults of documented options, and what its forecasts are to be judged against.

Light on purpose, as the command line reads it for ``--help``; the arithmetic is in ``forecasting.reference``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tsforecast.config import Layer, Settings, resolve
from tsforecast.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from tsforecast.data.clock import Clock
    from tsforecast.options import DomainOptions


@dataclass(frozen=True)
class Domain:
    """Defaults for one field of use.

    Attributes:
        name: What ``--domain`` is given.
        summary: One sentence for ``--help`` and the reference pages.
        settings: Option name to the value it takes unless the user sets it.
        baselines: Functions of ``forecasting.reference`` that ``evaluate`` adds to naive, seasonal naive and drift.
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


def check_domain(options: DomainOptions, clock: Clock, targets: int) -> None:
    """Refuse half a place, nights where there are none, and limits between which no forecast fits.

    Args:
        options: Of the domain, set in training or after it.
        clock: Of the data.
        targets: T.

    Raises:
        UsageError: They do not fit together, or not the data.
    """
    if (options.lat is None) != (options.lon is None):
        raise UsageError("--lat and --lon are only a place together", hint="give both, or neither")
    if options.night == "auto" and not clock.columns:
        raise UsageError("there is no night without a clock", hint="use --night none, or data with a time column")
    if options.night == "auto" and targets > 1:
        raise UsageError("--night auto is for one target", hint="train one model per target, or use --night none")
    if options.rated == 0:
        raise UsageError(
            "--rated 0: no power could be forecast", hint="give it in units of the target, or leave it away"
        )
    highest = {name: high for name in ("cap", "rated") if (high := getattr(options, name)) is not None}
    name = min(highest, key=lambda name: highest[name], default="")
    if name and options.floor is not None and options.floor >= highest[name]:
        raise UsageError(
            f"--floor {options.floor:g} is not below --{name} {highest[name]:g}: no forecast lies between them",
            hint=f"give a lower --floor (none for no floor) or a higher --{name}",
        )
