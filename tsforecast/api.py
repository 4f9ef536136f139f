"""The Python face: the same acts as the command line, with data frames in and out."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tsforecast.artifact import Artifact
from tsforecast.artifact import load as load_artifact
from tsforecast.artifact import save as save_artifact
from tsforecast.comparing.comparison import Comparison
from tsforecast.comparing.ranking import Ranking
from tsforecast.config import ARGUMENT, Layer, Settings, checked, coerce, resolve
from tsforecast.data.clock import SECONDS, parse_time
from tsforecast.data.read import read
from tsforecast.domains import resolve_with_domain
from tsforecast.evaluating.evaluation import Evaluation
from tsforecast.evaluating.evaluation import evaluate as score
from tsforecast.forecasting.prediction import Ready, make_ready
from tsforecast.forecasting.prediction import predict as forecast
from tsforecast.options import ColumnOptions, CompareOptions, DomainOptions, FitOptions, ReadOptions, TuneOptions
from tsforecast.recipes import find_recipe
from tsforecast.training.fitting import fit
from tsforecast.training.preparation import prepare
from tsforecast.tuning.bench import BASELINES, Bench
from tsforecast.tuning.search import check, search
from tsforecast.tuning.space import parse_searches
from tsforecast.tuning.tuned import Tuned

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
        What :func:`save` writes and :func:`predict` and :func:`evaluate` take; what the command would say of data and
        training is in its ``notes``.

    Raises:
        UsageError: An option is wrong.
        DataError: The data cannot be used.
        TrainingError: Training diverged.
        KeyboardInterrupt: Training was interrupted before its first step ended; later, the best so far is returned.
    """
    settings = _settings({"target": target, **options}, model_options, trainer_options, beside=_own(train))
    columns, read_options = settings.build(ColumnOptions), settings.build(ReadOptions)
    chosen = settings.build(FitOptions)
    table = read(_sources(data), read_options)
    task = prepare(table, columns, read_options, chosen, settings.model, settings.trainer)
    outcome = fit(task)
    if not outcome.forecaster.history:
        raise KeyboardInterrupt
    return Artifact.of(outcome.forecaster, task.example(), (*table.notes, *task.notes, *outcome.notes))


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
        **options: Options of the domain (``floor=0``, ``cap=100``) and of reading.

    Returns:
        The columns that the command prints; the time column holds the input's own texts. What the command would say of
        data and forecasts, such as which series are left out, is in ``attrs["notes"]``, a list of texts, and what is
        wrong with the forecasts in ``attrs["warnings"]``.

    Raises:
        UsageError: An option is wrong.
        DataError: The data cannot be used, or no series can be forecast.
        TrainingError: The model diverges on this data.
    """
    import pandas as pd

    ready, notes = _ready(artifact, data, options, missing, future_data, _own(predict))
    clock = ready.frame.clock
    moment = parse_time(at, clock) if at else None
    steps = _steps(horizon)
    made = forecast(ready.forecaster, ready.frame, horizon=steps, at=moment, future=ready.future)
    columns = made.columns(clock, include_history)
    if SECONDS in columns and clock.sampling:
        columns[SECONDS] = list(map(float, columns[SECONDS]))  # exact decimals suit a text, not arithmetic
    table = pd.DataFrame(columns)
    table.attrs |= {"notes": [*notes, *made.notes], "warnings": list(made.warnings)}
    return table


def evaluate(
    artifact: Artifact,
    data: Source,
    *,
    metric: str | Sequence[str] = (),
    future_data: Source | None = None,
    missing: str = "",
    **options: Any,
) -> Evaluation:
    """Score on rows that training has not seen; see ``tsforecast evaluate``.

    Args:
        artifact: From :func:`train` or :func:`load`.
        data: History and the rows to score.
        metric: Registered names, as a list or joined by commas; all by default.
        future_data: Future covariates over the horizon of every cutoff, where the data has none or others.
        missing: Treat holes otherwise than in training; what is filled in is not scored.
        **options: ``horizon``, ``stride``, ``n_windows``, ``in_sample``, ``simulate``, ``warmup``, ``adaptive``, the
            options of the domain (``rated=100``) and those of reading.

    Returns:
        Scores as ``.records``, a verdict per target as ``.verdicts``, what the command would say as ``.notes`` and
        ``.warnings``.

    Raises:
        UsageError: An option is wrong.
        DataError: Nothing to score.
    """
    names = ("horizon", "stride", "n_windows", "in_sample", "simulate", "warmup", "adaptive")
    span = {k: options.pop(k) for k in names if k in options}
    span["horizon"] = _steps(span.get("horizon", 0))
    ready, notes = _ready(artifact, data, options, missing, future_data, (*_own(evaluate), *names))
    metrics = coerce(tuple[str, ...], metric, "metric")
    made = score(ready.forecaster, ready.frame, metrics=metrics, future=ready.future, **span)
    return replace(made, notes=[*notes, *made.notes])


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
    settings = _settings(top, model_options, trainer_options, (*KNOWN, CompareOptions), _own(compare))
    return Comparison(read(_sources(data), settings.build(ReadOptions)), settings).run()


def tune(
    data: Source,
    target: str | Sequence[str],
    *,
    searches: Sequence[str] = (),
    model_options: Mapping[str, Any] | None = None,
    trainer_options: Mapping[str, Any] | None = None,
    **options: Any,
) -> Tuned:
    """Search for settings that forecast well; see ``tsforecast tune``.

    Args:
        data: A data frame with a time column, or a file or several.
        target: Column or columns to forecast.
        searches: Values to try, each as ``--search`` takes them: ``["lags=24,48", "model.hidden=8,16"]``.
        model_options: Options of the model that are not to be searched.
        trainer_options: Options of the trainer, likewise.
        **options: Any flag of ``tsforecast tune``: ``models="gru,lstm"``, ``generations=3``, ``time_budget="10m"``.

    Returns:
        The front as ``.front``; ``train(data, **tuned.best)`` trains the candidate with the lowest loss.

    Raises:
        UsageError: An option is wrong.
        DataError: The data cannot be used.
        TrainingError: No candidate could be trained.
        KeyboardInterrupt: The search was interrupted before it found anything; later, what it found is returned.
    """
    known = (*KNOWN, TuneOptions)
    settings = _settings({"target": target, **options}, model_options, trainer_options, known, _own(tune))
    chosen, read_options = settings.build(TuneOptions), settings.build(ReadOptions)
    check(chosen)
    wanted = parse_searches(searches, chosen.models)
    bench = Bench(read(_sources(data), read_options), settings.build(ColumnOptions), read_options, settings, wanted)
    baselines = {name: bench.baseline(name) for name in BASELINES}
    study = search(bench, chosen, budget=settings.build(FitOptions).time_budget, on_trial=lambda _: None)
    if study.ended == "interrupted" and len(study.failed) == len(study.trials):
        raise KeyboardInterrupt
    return Tuned.of(study, bench, chosen, baselines)


def save(artifact: Artifact, path: str | Path) -> None:
    """Write a model file, atomically."""
    save_artifact(Path(path), artifact.forecaster, artifact.fingerprint)


def load(path: str | Path) -> Artifact:
    """Read a model file.

    Raises:
        ModelFileError: Missing, damaged or of another format.
    """
    return load_artifact(Path(path))


def _ready(
    artifact: Artifact,
    data: Source,
    options: Mapping[str, Any],
    missing: str,
    future_data: Source | None,
    beside: Sequence[str],
) -> tuple[Ready, list[str]]:
    """Return a forecaster and its data, with the options of reading and of the domain, and what was noticed."""
    resolve([Layer(ARGUMENT, options)], (ReadOptions, DomainOptions), beside)  # refuses all others
    settings = _settings(options)
    read_options = settings.build(ReadOptions)
    table = read(_sources(data), read_options, columns=artifact.forecaster.source_columns)
    future = None if future_data is None else read(_sources(future_data), read_options)
    ready = make_ready(artifact.forecaster, table, settings, missing=missing, future=future)
    return ready, [*table.notes, *ready.notes]


def _settings(
    top: Mapping[str, Any],
    model: Mapping[str, Any] | None = None,
    trainer: Mapping[str, Any] | None = None,
    known: Sequence[type] = KNOWN,
    beside: Sequence[str] = (),
) -> Settings:
    layers = [Layer(ARGUMENT, {k: v for k, v in top.items() if k != "recipe"}, model or {}, trainer or {})]
    if top.get("recipe"):
        layers.append(find_recipe(top["recipe"]).layer)
    return resolve_with_domain(layers, known, beside)


def _own(act: Callable[..., Any]) -> list[str]:
    """Return the names of a function's own keywords."""
    return [p.name for p in inspect.signature(act).parameters.values() if p.kind is p.KEYWORD_ONLY]


def _steps(horizon: Any) -> int:
    """Return a horizon, 0 for that of training.

    Raises:
        UsageError: It is none.
    """
    return int(checked(FitOptions, {"horizon": horizon})["horizon"]) if horizon else 0


def _sources(data: Any) -> list[Any]:
    return list(data) if isinstance(data, (list, tuple)) else [data]
