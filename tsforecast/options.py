"""The options of every command, each written once; those of a model or a trainer stand beside it.

This module must stay light: ``tsforecast --help`` imports it, so neither numpy nor torch may be imported here.
"""

from __future__ import annotations

from dataclasses import dataclass

from tsforecast.config import Facts, option


def _lags(facts: Facts) -> list[str]:
    """Return half a season to fourteen of them; multiples of the horizon where there is no season."""
    if facts.season_length > 1:
        wanted = [facts.season_length * halves // 2 for halves in (1, 2, 4, 6, 14, 28)]
    else:
        wanted = [facts.horizon * halves // 2 for halves in (1, 2, 4, 8)]
    return [str(lags) for lags in wanted if lags and facts.fits(lags)]


@dataclass(frozen=True)
class ReadOptions:
    """How to read the input; everything is detected when it is not set."""

    delimiter: str = option("", "Column separator; detected by default.", group="Reading")
    encoding: str = option("", "Text encoding; detected by default (UTF-8, UTF-16, Latin-1).", group="Reading")
    decimal: str = option("", "Decimal mark, '.' or ','; detected by default.", choices=("", ".", ","), group="Reading")
    skip_lines: int = option(-1, "Lines before the header; detected by default.", low=-1, group="Reading")
    no_header: bool = option(False, "The first row is data; columns are called c1, c2, ...", group="Reading")
    null: tuple[str, ...] = option(
        (), "Further texts that mean 'missing'; repeat or separate by commas.", group="Reading"
    )
    time: str = option(
        "", "Time column (several, joined by commas: year,month,day,hour); found by trying.", group="Columns"
    )
    no_time: bool = option(False, "The data has no clock: rows are steps.", group="Columns")
    sampling: str = option(
        "",
        "Time between two rows of a record without a clock: 4s, 0.5ms, 10us; implies --no-time.",
        group="Columns",
    )
    dayfirst: bool | None = option(
        None, "Dates like 03/04/2024 are day first (--no-dayfirst: month first).", group="Reading"
    )
    date_format: str = option("", "strptime format of the time column, for example '%d.%m.%Y %H:%M'.", group="Reading")
    duplicates: str = option(
        "error",
        "What to do with two rows of one timestamp.",
        choices=("error", "first", "last", "mean"),
        group="Reading",
    )
    freq: str = option(
        "", "Spacing of time as a pandas alias (h, 15min, D, MS, B, ...); found by majority.", group="Columns"
    )

    @property
    def rows_are_steps(self) -> bool:
        """Whether the user says that the data has no clock."""
        return self.no_time or bool(self.sampling)


@dataclass(frozen=True)
class ColumnOptions:
    """Which column plays which part."""

    target: tuple[str, ...] = option((), "Column to forecast; repeat for several.", short="t", group="Columns")
    series_id: str = option("", "Column that tells series apart (long layout).", group="Columns")
    past: tuple[str, ...] = option((), "Past covariates: known up to now.", group="Columns")
    future: tuple[str, ...] = option((), "Future covariates: also known over the horizon.", group="Columns")
    static: tuple[str, ...] = option((), "Static covariates: constant per series.", group="Columns")
    circular: tuple[str, ...] = option(
        (), "Covariates in degrees, read as sine and cosine; auto: those named like a direction.", group="Columns"
    )
    calendar: tuple[str, ...] = option(
        (), "Sine/cosine future covariates from the clock: hour, dayofweek, dayofyear, month.", group="Columns"
    )
    missing: str = option(
        "skip",
        "Holes: skip, interpolate, ffill, zero or error; a limit in steps may follow (interpolate:6).",
        group="Columns",
    )


@dataclass(frozen=True)
class DomainOptions:
    """What is known about the quantity that is forecast; can also be set after training."""

    domain: str = option(
        "",
        "Preset: solar, wind, weather or stock. It sets options left open, and further baselines of `evaluate`.",
        choices=("", "solar", "wind", "weather", "stock"),
        group="Domain",
    )
    floor: float | None = option(None, "No forecast goes below this.", group="Domain")
    cap: float | None = option(None, "No forecast goes above this.", group="Domain")
    rated: float | None = option(
        None, "Rated power: cap of the forecast and normaliser of nrmse.", low=0, group="Domain"
    )
    night: str = option(
        "none",
        "Forecast zero at night, known from the data or from --lat and --lon.",
        choices=("none", "auto"),
        group="Domain",
    )
    lat: float | None = option(None, "Latitude in degrees north.", low=-90, high=90, group="Domain")
    lon: float | None = option(None, "Longitude in degrees east.", low=-180, high=180, group="Domain")


@dataclass(frozen=True)
class FitOptions(DomainOptions):
    """What to train, on which rows, for how long."""

    horizon: int = option(0, "Steps to forecast; a season or less by default.", short="H", low=1, group="Model")
    lags: str = option(
        "", "Past steps the network sees: a number, or a set such as 1:24,168.", short="L", group="Model", tune=_lags
    )
    season_length: int = option(
        0, "Steps per season; the strongest season found in the data by default.", low=0, group="Model"
    )
    model: str = option(
        "gru",
        "Architecture; `tsforecast models` lists them.",
        short="m",
        group="Model",
        tune=("narx", "tdnn", "gru", "lstm", "linear"),
    )
    trainer: str = option(
        "", "Optimisation; the model's own by default. `tsforecast trainers` lists them.", group="Model"
    )
    scaler: str = option(
        "standard",
        "Scaling of every column, fitted on train.",
        choices=("standard", "robust", "minmax", "none"),
        group="Model",
        tune=("robust", "minmax"),
    )
    scale_by: str = option(
        "",
        "Scale each column over all series, or each series by its own training rows; by default series if they are of "
        "different orders of magnitude. A series that training has not seen is scaled by its own known rows.",
        choices=("", "column", "series"),
        group="Model",
    )
    normalize: str = option(
        "",
        "Normalisation of every window; by default last, or mean or revin where a ridge regression is clearly better "
        "with it.",
        choices=("", "last", "mean", "revin", "none"),
        group="Model",
        tune=("last", "mean", "revin", "none"),
    )
    cycle: str = option(
        "none",
        "Learned cycles around the network, in steps: 24 or 24,168; auto: the seasons found in the data.",
        group="Model",
    )
    channels: str = option(
        "",
        "Several targets: each forecast from itself alone by one shared network, or all together; the model's own by "
        "default.",
        choices=("", "independent", "mixed"),
        group="Model",
    )
    embedding: int = option(
        0, "Learned numbers that tell series, and independent channels, apart; 0: none.", low=0, group="Model"
    )
    local: bool = option(
        False, "One small network per series, all trained as one batch; it knows only these series.", group="Model"
    )
    ensemble: int = option(
        1, "Networks trained together from different starts, averaged in one model file.", low=1, group="Model"
    )
    loss: str = option(
        "mae", "What training minimises, in scaled units.", choices=("mae", "mse", "huber"), group="Model"
    )
    emphasis: str = option(
        "even",
        "Which steps of the horizon training minds most: all alike, or the near ones.",
        choices=("even", "near"),
        group="Model",
    )
    quantiles: tuple[float, ...] = option(
        (), "Quantile levels to forecast beside the point: 0.1,0.9.", low=0.0005, high=0.9995, group="Model"
    )
    intervals: str = option(
        "network",
        "Where --quantiles come from: the network alone, or conformal, measured on the validation rows, for any model.",
        choices=("network", "conformal"),
        group="Model",
    )
    transform: str = option(
        "none",
        "Transform of the target: log for prices and other positive values.",
        choices=("none", "log"),
        group="Domain",
    )
    valid: str = option(
        "0.2", "Rows for validation: a fraction, a number of rows, or the date they start at.", group="Training"
    )
    test: str = option(
        "0", "Rows kept out for `evaluate`: a fraction, a number of rows, or the date they start at.", group="Training"
    )
    refit: bool = option(
        False,
        "Then train once more, on train and valid together, for as many steps as were best; beyond --time-budget.",
        group="Training",
    )
    shrink: str = option(
        "auto",
        "After training, draw the forecast towards naive or seasonal naive as far as the validation windows advise.",
        choices=("auto", "none"),
        group="Training",
    )
    seed: int = option(0, "Seed of everything random.", low=0, group="Training")
    patience: int = option(
        0,
        "Stop after this many steps without a better validation loss; the trainer's own by default.",
        low=0,
        group="Training",
    )
    time_budget: str = option("", "Stop training after this long: 60s, 5m, 1h.", group="Training")
    device: str = option("auto", "Where to train.", choices=("auto", "cpu", "cuda"), group="Training")
    threads: int = option(0, "CPU threads; chosen for the size of the network by default.", low=0, group="Training")


@dataclass(frozen=True)
class TuneOptions:
    """How to search for settings."""

    models: tuple[str, ...] = option((), "Models to choose from: narx,gru; short for --search model=narx,gru.")
    objective: tuple[str, ...] = option(
        ("loss", "parameters"),
        "What should be small: loss, parameters, seconds.",
        choices=("loss", "parameters", "seconds"),
    )
    population: int = option(12, "Candidates per generation, a multiple of four.", low=4)
    generations: int = option(6, "Generations, the first one included.", low=1)
    trial_steps: int = option(
        0, "Training steps per candidate; 5 by default, no limit by default with --trial-budget.", low=0
    )
    trial_budget: str = option("", "Training time per candidate: 5s, 1m; --time-budget is for the whole search.")


@dataclass(frozen=True)
class FoldOptions:
    """Which folds are scored, by which metrics, and how good is good enough."""

    metric: tuple[str, ...] = option((), "Metrics, all by default; `tsforecast metrics` lists them.")
    stride: int = option(1, "Steps between two cutoffs.", low=1)
    n_windows: int = option(0, "Only the last N cutoffs of every series.", low=0)
    min_skill: float | None = option(None, "Exit with 1 if the skill over the best baseline is lower, or may be luck.")


@dataclass(frozen=True)
class CompareOptions(FoldOptions):
    """What to compare, on which folds, by which score."""

    models: tuple[str, ...] = option(
        ("all",),
        "Models, each perhaps with settings: gru,lstm:model.hidden=128; recipes; TOML files of `tune`; all.",
    )
    metric: tuple[str, ...] = option(("mae",), "Metrics; the first one ranks.")
    test: str = option(
        "0.2", "Rows to rank on, which nobody trains on: a fraction, a number of rows, or the date they start at."
    )
    seeds: int = option(1, "Trainings of each model, from different seeds; scores are their means.", low=1)
