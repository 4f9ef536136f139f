"""tsforecast: forecast time series from the shell or from Python.

Public names are resolved when they are used, so ``import tsforecast`` loads neither torch nor pandas.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {
    "Forecaster": "tsforecast.forecasting.forecaster",
    "TSForecastError": "tsforecast.errors",
    "compare": "tsforecast.api",
    "evaluate": "tsforecast.api",
    "load": "tsforecast.api",
    "predict": "tsforecast.api",
    "save": "tsforecast.api",
    "train": "tsforecast.api",
    "tune": "tsforecast.api",
}

__all__ = ["Forecaster", "TSForecastError", "compare", "evaluate", "load", "predict", "save", "train", "tune"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("tsforecast")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'tsforecast' has no attribute '{name}'")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
