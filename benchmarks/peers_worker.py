"""One network of darts or neuralforecast, trained against the clock: a process that peers.py starts, as JSON lines.

What the library leaves to its user is decided here, for all networks alike: seven series of one channel each, which one
global network learns; squared error as training loss, because it is what is scored; architecture, optimiser, batch size
and the frequency of validation are the library's defaults. The weights of the best validation so far are kept (in
memory, which neuralforecast does not offer and darts does through files), before the first validation the present ones.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as lightning

ENDLESS = 10**6  # steps or epochs, cut short by the clock
BATCH = 1024  # windows forecast at a time, for the test only
MONITOR = {"darts": "val_loss", "neuralforecast": "ptl/val_loss"}
QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}

Weights = dict[str, Any]
Forecast = Callable[[Weights], np.ndarray]  # weights to forecasts (channels, windows, horizon) of the test rows


@dataclass(frozen=True)
class Snapshot:
    """What a user who stops at this time has; no weights when training has not done a step."""

    budget: float
    seconds: float
    steps: int
    weights: Weights | None


class Watch(lightning.Callback):
    """Takes a snapshot whenever a budget is spent, and ends training after the last."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        self.began, self.left, self.monitor = chosen.began, sorted(chosen.budgets), MONITOR[chosen.library]
        self.taken: list[Snapshot] = []
        self.best: Weights | None = None
        self.error = float("inf")

    def __deepcopy__(self, _: dict[int, Any]) -> Watch:
        return self  # libraries copy the arguments of their models

    def on_train_start(self, trainer: Any, *_: Any) -> None:
        self.look(trainer, None)

    def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
        self.look(trainer, module)

    def on_validation_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
        if not trainer.sanity_checking:
            self.look(trainer, module)

    def on_validation_end(self, trainer: Any, module: Any) -> None:
        error = float(trainer.callback_metrics.get(self.monitor, float("inf")))
        if not trainer.sanity_checking and error < self.error:
            self.best, self.error = copied(module), error

    def look(self, trainer: Any, module: Any) -> None:
        while self.left and time.time() - self.began >= self.left[0]:
            weights = self.best or (copied(module) if module is not None and trainer.global_step else None)
            self.taken.append(Snapshot(self.left.pop(0), time.time() - self.began, trainer.global_step, weights))
        trainer.should_stop = trainer.should_stop or not self.left


def copied(module: Any) -> Weights:
    """Return the weights as they are now."""
    return {name: value.clone() for name, value in module.state_dict().items()}


def fit_darts(chosen: argparse.Namespace, rows: np.ndarray, watch: Watch) -> Forecast:
    """A list of univariate series, which makes a global model; training and validation series, historical_forecasts."""
    from darts import TimeSeries, models

    kinds = {"TCN": models.TCNModel, "NLinear": models.NLinearModel, "DLinear": models.DLinearModel}
    cell = {} if chosen.model in kinds else {"model": chosen.model}
    model = kinds.get(chosen.model, models.BlockRNNModel)(
        input_chunk_length=chosen.lookback,
        output_chunk_length=chosen.horizon,
        n_epochs=ENDLESS,
        random_state=chosen.seed,
        pl_trainer_kwargs={**QUIET, "enable_checkpointing": False, "callbacks": [watch]},
        **cell,
    )

    def series(part: np.ndarray) -> list[Any]:
        return [TimeSeries.from_values(channel) for channel in part.T]

    train, valid = chosen.train, rows[chosen.train - chosen.lookback : chosen.train + chosen.test]
    model.fit(series(rows[:train]), val_series=series(valid), verbose=False)

    def forecast(weights: Weights) -> np.ndarray:
        model.model.load_state_dict(weights)
        made = model.historical_forecasts(
            series(rows[-chosen.test - chosen.lookback :]),
            start=chosen.lookback,
            forecast_horizon=chosen.horizon,
            retrain=False,
            last_points_only=False,
            predict_kwargs={"batch_size": BATCH},
        )
        return np.array([[window.values(copy=False)[:, 0] for window in channel] for channel in made])

    return forecast


def fit_neuralforecast(chosen: argparse.Namespace, rows: np.ndarray, watch: Watch) -> Forecast:
    """A long frame with unique_id, val_size, and cross_validation of the fitted network with step_size 1."""
    from neuralforecast import NeuralForecast, models
    from neuralforecast.losses.pytorch import MSE

    network = getattr(models, chosen.model)(
        h=chosen.horizon,
        input_size=chosen.lookback,
        loss=MSE(),
        max_steps=ENDLESS,
        random_seed=chosen.seed,
        alias="forecast",
        callbacks=[watch],
        **QUIET,
    )
    library = NeuralForecast([network], freq=1)

    def frame(part: np.ndarray) -> pd.DataFrame:
        count, channels = part.shape
        ids, steps = np.repeat(np.arange(channels), count), np.tile(np.arange(count), channels)
        return pd.DataFrame({"unique_id": ids, "ds": steps, "y": part.T.ravel()})

    library.fit(frame(rows[: -chosen.test]), val_size=chosen.test)

    def forecast(weights: Weights) -> np.ndarray:
        library.models[0].load_state_dict(weights)
        made = library.cross_validation(
            frame(rows[-chosen.test - chosen.lookback :]),
            n_windows=None,
            test_size=chosen.test,
            step_size=1,
            use_fitted=True,
        )
        made = made.sort_values(["unique_id", "cutoff", "ds"])
        values, truth = (made[name].to_numpy().reshape(rows.shape[1], -1, chosen.horizon) for name in ("forecast", "y"))
        if squared_error(truth, rows, chosen):
            raise SystemExit("the folds of cross_validation are not the test windows")
        return values

    return forecast


def squared_error(forecast: np.ndarray, rows: np.ndarray, chosen: argparse.Namespace) -> float:
    """Return the mean over channels, windows and steps, of every window within the test rows."""
    actual = np.lib.stride_tricks.sliding_window_view(rows[-chosen.test :], chosen.horizon, axis=0).swapaxes(0, 1)
    if forecast.shape != actual.shape:
        raise SystemExit(f"forecasts {forecast.shape}, {actual.shape} expected")
    return float(np.square(forecast.astype(np.float64) - actual).mean())


def main() -> None:
    """Train; then forecast the test with every snapshot and print a JSON line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="CSV: a time column, then channels")
    parser.add_argument("--library", choices=MONITOR, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--began", type=float, required=True, help="seconds since 1970 when the process was started")
    parser.add_argument("--budgets", type=float, nargs="+", required=True)
    for number in ("lookback", "horizon", "train", "test", "seed"):
        parser.add_argument(f"--{number}", type=int, required=True)
    chosen = parser.parse_args()
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    warnings.simplefilter("ignore")
    for name in ("pytorch_lightning", "lightning", "darts", "neuralforecast"):
        logging.getLogger(name).setLevel(logging.ERROR)
    rows = pd.read_csv(chosen.data, index_col=0).to_numpy(np.float64)
    known = rows[: chosen.train]
    rows = ((rows - known.mean(0)) / known.std(0)).astype(np.float32)
    watch = Watch(chosen)
    forecast = (fit_darts if chosen.library == "darts" else fit_neuralforecast)(chosen, rows, watch)
    for taken in watch.taken:
        began, made, error = time.time(), None, None
        if taken.weights is not None:
            made = forecast(taken.weights)
            error = squared_error(made, rows, chosen)
        record = {"budget": taken.budget, "seconds": taken.seconds, "steps": taken.steps, "mse": error}
        record |= {"windows": None if made is None else made.shape[1], "scoring": time.time() - began}
        print(json.dumps(record), file=out, flush=True)


if __name__ == "__main__":
    main()
