"""The columns of a forecast file, as they are written and as they are read: ``power_forecast``, ``power_q0.1``."""

from __future__ import annotations

import re
from collections.abc import Iterable

CUTOFF = "cutoff"  # the time up to which the actual values were known
FORECAST = "_forecast"  # what the name of a target is followed by


def forecast_column(target: str) -> str:
    """Return the name of the column of the point forecasts of a target: ``power_forecast``."""
    return f"{target}{FORECAST}"


def quantile_column(target: str, level: float) -> str:
    """Return the name of the column of a quantile of a target: ``power_q0.1``."""
    return f"{target}_q{level:g}"


def forecast_targets(columns: Iterable[str]) -> tuple[str, ...]:
    """Return the targets that some columns are point forecasts of, in their order."""
    return tuple(name.removesuffix(FORECAST) for name in columns if name.endswith(FORECAST))


def quantile_columns(columns: Iterable[str], target: str) -> dict[float, str]:
    """Return the columns of the quantiles of a target by level, ascending."""
    pattern = re.compile(re.escape(target) + r"_q(0?\.\d+)")
    found = {float(match[1]): name for name in columns if (match := pattern.fullmatch(name))}
    return {level: found[level] for level in sorted(found) if level > 0}
