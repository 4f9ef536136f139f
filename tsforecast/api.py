"""The Python face: the same acts as the command line, with data frames in and out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tsforecast.artifact import Artifact, Fingerprint
from tsforecast.artifact import load as load_artifact
from tsforecast.artifact import save as save_artifact
from tsforecast.comparing.comparison import Comparison
from tsforecast.comparing.ranking import Ranking
from tsforecast.config import Layer, Settings, coerce, make
from tsforecast.data.clock import SECONDS, parse_time
from tsforecast.data.read import read
from tsforecast.domains import resolve_with_domain
from tsforecast.evaluation import Evaluation
from tsforecast.evaluation import evaluate as score
from tsforecast.fitting import fit
from tsforecast.options import ColumnOptions, CompareOptions, DomainOptions, FitOptions, ReadOptions
from tsforecast.prediction import adjusted, changes_of_domain, read_frame, read_future
from tsforecast.prediction import predict as forecast
from tsforecast.preparation import prepare
from tsforecast.recipes import find_recipe

if TYPE_CHECKING:
    import pandas as pd

    Source = str | Path | pd.DataFrame | Sequence[str | Path]

KNOWN = (ReadOptions, ColumnOptions, FitOptions)


def train(
    data: Source,
    target: str | Sequence[str],
    *,
    model_options: Mapping[str, Any] | None = None,
    trainer_options: Mapping[str, Any] | None = None,
    **options: Any,
) -> Artifact:
    """Fit a forecaster.

    Args:
        data: A data frame with a time column, or a file or several.
        target: Column or columns to forecast.
        model_options: Options of the model, as ``--set model.`` takes them.
        trainer_options: Options of the trainer, likewise.
        **options: Any flag of ``tsforecast train``: ``horizon=24``, ``model="lstm"``, ``recipe="sparse"``.

    Returns:
        What :func:`save` writes and :func:`predict` and :func:`evaluate` take.

    Raises:
        UsageError: An option is wrong.
        DataError: The data cannot be used.
        TrainingError: Training diverged.
        KeyboardInterrupt: Training was interrupted before its first step ended; later, the best so far is returned.
    """
    settings = _settings({"target": target, **options}, model_options, trainer_options)
    columns, read_options = settings.build(ColumnOptions), settings.build(ReadOptions)
    chosen = settings.build(FitOptions)
    task = prepare(read(_sources(data), read_options), columns, read_options, chosen, settings.model, settings.trainer)
    forecaster = fit(task).forecaster
    if not forecaster.history:
        raise KeyboardInterrupt
    return Artifact(forecaster, Fingerprint.of(forecaster, task.example()), {})


def predict(
    artifact: Artifact,
    data: Source,
    *,
    horizon: int = 0,
    at: str = "",
    future_data: Source | None = None,
    include_history: int = 0,
    missing: str = "",
    **options: Any,
) -> pd.DataFrame:
    """Forecast what follows the last row of every series; see ``tsforecast predict``.

    Args:
        artifact: From :func:`train` or :func:`load`.
        data: The history.
        horizon: Steps; those of training by default.
        at: Forecast from the last row up to this time.
        future_data: Future covariates over the horizon.
        include_history: Also return the last so many known rows.
        missing: Treat holes otherwise than in training.
        **options: Options of reading.

    Returns:
        The columns that the command prints; the time column holds the input's own texts.
    """
    import pandas as pd

    forecaster, read_options = artifact.forecaster, make(ReadOptions, options)
    table = read(_sources(data), read_options, columns=forecaster.source_columns)
    frame, _ = read_frame(forecaster, table, read_options, missing=missing)
    future = None
    if future_data is not None:
        future = read_future(forecaster, read(_sources(future_data), read_options), read_options)
    moment = parse_time(at, frame.clock) if at else None
    made = forecast(forecaster, frame, horizon=horizon, at=moment, future=future)
    columns = made.columns(frame.clock, include_history)
    if SECONDS in columns and frame.clock.sampling:
        columns[SECONDS] = list(map(float, columns[SECONDS]))  # exact decimals suit a text, not arithmetic
    return pd.DataFrame(columns)


def evaluate(artifact: Artifact, data: Source, *, metric: str | Sequence[str] = (), **options: Any) -> Evaluation:
    """Score on rows that training has not seen; see ``tsforecast evaluate``.

    Args:
        artifact: From :func:`train` or :func:`load`.
        data: History and the rows to score.
        metric: Registered names, as a list or joined by commas; all by default.
        **options: ``horizon``, ``stride``, ``n_windows``, ``in_sample``, ``simulate``, ``warmup``, ``adaptive``, the
            options of the domain (``rated=100``) and those of reading.

    Raises:
        UsageError: An option is wrong.
        DataError: Nothing to score.
    """
    names = ("horizon", "stride", "n_windows", "in_sample", "simulate", "warmup", "adaptive")
    span = {k: options.pop(k) for k in names if k in options}
    domain = {k: options.pop(k) for k in DomainOptions.__dataclass_fields__ if k in options}
    forecaster, read_options = artifact.forecaster, make(ReadOptions, options)
    table = read(_sources(data), read_options, columns=forecaster.source_columns)
    frame, _ = read_frame(forecaster, table, read_options)
    if changes := changes_of_domain(_settings(domain)):
        forecaster = adjusted(forecaster, frame, **changes)
    return score(forecaster, frame, metrics=coerce(tuple[str, ...], metric, "metric"), **span)


def compare(
    data: Source,
    target: str | Sequence[str],
    *,
    models: str | Sequence[str] = "all",
    model_options: Mapping[str, Any] | None = None,
    trainer_options: Mapping[str, Any] | None = None,
    **options: Any,
) -> Ranking:
    """Train several models and rank them, with the baselines, on the same test folds; see ``tsforecast compare``.

    Args:
        data: A data frame with a time column, or a file or several.
        target: Column or columns to forecast.
        models: What to compare: names, names with settings (``gru:model.hidden=128``), TOML files, ``all``.
        model_options: Options of the models that have them.
        trainer_options: Options of the trainers that have them.
        **options: Any flag of ``tsforecast compare``: ``time_budget="30s"``, ``metric="rmse"``, ``seeds=3``.

    Returns:
        The table as ``.to_frame()``, the chosen model as ``.kept``, what may be claimed of it as ``.sentence``.

    Raises:
        UsageError: An option is wrong.
        DataError: The data cannot be used.
        TrainingError: No model could be trained.
    """
    top = {"target": target, "models": models, **options}
    settings = _settings(top, model_options, trainer_options, (*KNOWN, CompareOptions))
    return Comparison(read(_sources(data), settings.build(ReadOptions)), settings).run()


def save(artifact: Artifact, path: str | Path) -> None:
    """Write a model file, atomically."""
    save_artifact(Path(path), artifact.forecaster, artifact.fingerprint)


def load(path: str | Path) -> Artifact:
    """Read a model file.

    Raises:
        ModelFileError: Missing, damaged or from a newer version.
    """
    return load_artifact(Path(path))


def _settings(
    top: Mapping[str, Any],
    model: Mapping[str, Any] | None = None,
    trainer: Mapping[str, Any] | None = None,
    known: Sequence[type] = KNOWN,
) -> Settings:
    layers = [Layer("argument", {k: v for k, v in top.items() if k != "recipe"}, model or {}, trainer or {})]
    if top.get("recipe"):
        layers.append(find_recipe(top["recipe"]).layer)
    return resolve_with_domain(layers, known)


def _sources(data: Any) -> list[Any]:
    return list(data) if isinstance(data, (list, tuple)) else [data]
