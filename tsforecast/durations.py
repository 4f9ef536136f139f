"""Durations as a user writes them, read exactly."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from tsforecast.errors import UsageError

# In seconds; an ending stands before those that are a part of it.
_UNITS = {"us": "1e-6", "ms": "1e-3", "s": "1", "min": "60", "m": "60", "h": "3600", "": "1"}


def seconds(text: str, name: str = "time_budget") -> float | None:
    """Read a time budget such as ``60s``, ``5m`` or ``1.5h``; empty is None.

    Raises:
        UsageError: Not a positive duration.
    """
    return float(duration(text, name, "60s, 5m or 1h")) if text else None


def duration(text: str, name: str, examples: str = "4s, 0.5ms or 10us") -> Decimal:
    """Read a positive duration such as ``4s``, ``0.5ms``, ``10us``, ``5m``, ``5min`` or ``1.5h``, exactly, in seconds.

    Args:
        text: A number and a unit; a bare number is seconds.
        name: Name of the option, for the error.
        examples: What to write, likewise.

    Raises:
        UsageError: Not a positive duration.
    """
    value = in_seconds(text)
    if value is None or value <= 0:
        raise UsageError(f"--{name.replace('_', '-')}: '{text}' is not a duration", hint=f"write {examples}")
    return value


def in_seconds(text: str) -> Decimal | None:
    """Read a time of any sign, as :func:`duration` does; None when it is none."""
    number, unit = next((text.removesuffix(u), size) for u, size in _UNITS.items() if text.endswith(u))
    try:
        value = Decimal(number.strip()) * Decimal(unit)
    except InvalidOperation:
        return None
    return value if value.is_finite() else None
