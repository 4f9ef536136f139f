"""Names of everything that can be plugged in, and where each one lives.

A registry maps a name to ``module:attribute`` and imports the module only when the name is used, so listing what
exists costs nothing. Adding a model, trainer, metric or plot is one new file and one line here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from tsforecast.errors import UsageError, did_you_mean


class Registry:
    """An ordered mapping of names to lazily imported objects.

    Args:
        kind: What the names are, for error messages (``model``, ``trainer``, ...).
        entries: Name to ``module:attribute``.
    """

    def __init__(self, kind: str, entries: Mapping[str, str]) -> None:
        self.kind = kind
        self._entries = dict(entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def get(self, name: str) -> Any:
        """Import and return the object registered under ``name``.

        Raises:
            UsageError: Nothing is registered under that name.
        """
        self.check(name)
        module, _, attribute = self._entries[name].partition(":")
        return getattr(import_module(module), attribute)

    def check(self, name: str) -> str:
        """Return ``name`` if it is registered, without importing anything.

        Raises:
            UsageError: Nothing is registered under that name.
        """
        if name not in self._entries:
            raise UsageError(f"unknown {self.kind} '{name}'", hint=did_you_mean(name, self._entries))
        return name

    def add(self, name: str, target: str) -> None:
        """Register ``target`` (``module:attribute``); a name can be taken once.

        Raises:
            UsageError: The name is already taken.
        """
        if name in self._entries:
            raise UsageError(f"{self.kind} '{name}' is already registered as {self._entries[name]}")
        self._entries[name] = target


MODELS = Registry(
    "model",
    {
        "naive": "tsforecast.models.naive:Naive",
        "seasonal_naive": "tsforecast.models.naive:SeasonalNaive",
        "drift": "tsforecast.models.naive:Drift",
        "linear": "tsforecast.models.linear:Linear",
        "narx": "tsforecast.models.narx:Narx",
        "tdnn": "tsforecast.models.tdnn:Tdnn",
        "rnn": "tsforecast.models.rnn:Rnn",
        "lstm": "tsforecast.models.lstm:Lstm",
        "gru": "tsforecast.models.gru:Gru",
    },
)

TRAINERS = Registry(
    "trainer",
    {
        "backprop": "tsforecast.trainers.backprop:Backprop",
        "levenberg_marquardt": "tsforecast.trainers.levenberg_marquardt:LevenbergMarquardt",
        "least_squares": "tsforecast.trainers.least_squares:LeastSquares",
        "genetic": "tsforecast.trainers.genetic:Genetic",
        "annealing": "tsforecast.trainers.annealing:Annealing",
        "none": "tsforecast.trainers.none:NoTraining",
    },
)

METRICS = Registry(
    "metric",
    {
        "mae": "tsforecast.metrics.point:MAE",
        "rmse": "tsforecast.metrics.point:RMSE",
        "nrmse": "tsforecast.metrics.point:NRMSE",
        "mape": "tsforecast.metrics.percentage:MAPE",
        "smape": "tsforecast.metrics.percentage:SMAPE",
        "wape": "tsforecast.metrics.percentage:WAPE",
        "mase": "tsforecast.metrics.scaled:MASE",
        "rmsse": "tsforecast.metrics.scaled:RMSSE",
        "r2": "tsforecast.metrics.point:R2",
        "fit": "tsforecast.metrics.point:Fit",
        "bias": "tsforecast.metrics.point:Bias",
        "directional_accuracy": "tsforecast.metrics.direction:DirectionalAccuracy",
        "pinball": "tsforecast.metrics.quantile:Pinball",
        "wql": "tsforecast.metrics.quantile:WQL",
        "crps": "tsforecast.metrics.quantile:CRPS",
        "coverage": "tsforecast.metrics.quantile:Coverage",
        "width": "tsforecast.metrics.quantile:Width",
        "msis": "tsforecast.metrics.quantile:MSIS",
    },
)

PLOTS = Registry(
    "plot",
    {
        "forecasts": "tsforecast.plots.forecasts:draw",
        "fan": "tsforecast.plots.fan:draw",
        "calibration": "tsforecast.plots.calibration:draw",
        "horizon": "tsforecast.plots.horizon:draw",
        "residuals": "tsforecast.plots.residuals:draw",
        "correlations": "tsforecast.plots.correlations:draw",
        "scatter": "tsforecast.plots.scatter:draw",
        "training": "tsforecast.plots.training:draw",
    },
)

SYNTHETIC = Registry(
    "demo",
    {
        "weather": "tsforecast.data.synthetic:weather",
        "solar": "tsforecast.data.synthetic:solar",
        "wind": "tsforecast.data.synthetic:wind",
        "solar_wind": "tsforecast.data.synthetic:solar_wind",
        "stock": "tsforecast.data.synthetic:stock",
    },
)

COMMANDS = Registry(
    "command",
    {
        "train": "tsforecast.cli.train:train",
        "tune": "tsforecast.cli.tune:tune",
        "compare": "tsforecast.cli.compare:compare",
        "predict": "tsforecast.cli.predict:predict",
        "evaluate": "tsforecast.cli.evaluate:evaluate",
        "info": "tsforecast.cli.info:info",
        "models": "tsforecast.cli.catalog:models",
        "trainers": "tsforecast.cli.catalog:trainers",
        "metrics": "tsforecast.cli.catalog:metrics",
        "recipes": "tsforecast.cli.catalog:recipes",
        "demo": "tsforecast.cli.demo:demo",
    },
)
