"""M4 hourly (414 series, 48 steps) and weekly (359 series, 13 steps): one training command for all series of a set.

    python benchmarks/m4.py --data ../shared/data

The official measures: sMAPE (0 to 200), MASE (season 24 and 1), OWA (their mean relation to Naive2, which is computed
here and checked against the published figures), MSIS and coverage of the 95 % interval. Whole processes. With
``--part valid`` the last steps of the training rows take the place of the test rows: that is how the flags below were
chosen. ``--flags`` tries others.

Source: S. Makridakis, E. Spiliotis & V. Assimakopoulos, The M4 Competition, Int. J. Forecasting 36 (2020); Naive2 as in
the code of the organisers (Mcompetitions/M4-methods).
"""

from __future__ import annotations

import argparse
import csv
import io
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Series = dict[str, Floats]

LEVELS = (0.025, 0.975)
COMMON = "--recipe m4-hourly --quantiles 0.025,0.975 --intervals conformal"


@dataclass(frozen=True)
class Part:
    """One set of the competition: where it lies, season, horizon, official sMAPE and MASE of Naive2, and the flags."""

    files: str
    season: int
    horizon: int
    naive2: tuple[float, float]
    flags: str


PARTS = {
    "hourly": Part("m4_hourly/Hourly", 24, 48, (18.383, 2.395), COMMON),
    "weekly": Part("m4_weekly/Weekly", 1, 13, (9.161, 2.777), f"{COMMON} --lags 58 --season-length 1 --valid 0.1"),
}


def read(path: Path) -> Series:
    """Read a file of the competition: an id, then the values of a series, per line."""
    with path.open() as file:
        lines = csv.reader(file)
        next(lines)
        return {name: np.array([float(v) for v in values if v not in ("", "NA")]) for name, *values in lines}


def write_long(path: Path, series: Series) -> None:
    """Write series in the long layout, a row per value."""
    rows = "".join(f"{name},{value!r}\n" for name, values in series.items() for value in values.tolist())
    path.write_text(f"id,y\n{rows}")


def naive2(y: Floats, season: int, horizon: int) -> Floats:
    """Repeat the last value of the seasonally adjusted series, if a test at 90 % finds a season; else of the series."""
    if season == 1 or len(y) < 3 * season or not is_seasonal(y, season):
        return np.full(horizon, y[-1])
    weights = np.ones(season) if season % 2 else np.concatenate(([0.5], np.ones(season - 1), [0.5]))
    trend = np.full(len(y), np.nan)
    middle = np.convolve(y, weights / season, "valid")
    trend[len(weights) // 2 : len(weights) // 2 + len(middle)] = middle
    index = np.array([np.nanmean((y / trend)[place::season]) for place in range(season)])
    index /= index.mean()
    steps = np.arange(len(y), len(y) + horizon) % season
    return y[-1] / index[(len(y) - 1) % season] * index[steps]


def is_seasonal(y: Floats, season: int) -> bool:
    """Test the autocorrelation one season apart at 90 %, with Bartlett's variance."""
    x = y - y.mean()
    acf = np.array([(x[lag:] * x[:-lag]).sum() for lag in range(1, season + 1)]) / (x * x).sum()
    return bool(abs(acf[-1]) > 1.645 * np.sqrt((1 + 2 * (acf[:-1] ** 2).sum()) / len(y)))


def points(actual: Series, made: Series, known: Series, season: int) -> tuple[float, float]:
    """Return the mean sMAPE and MASE over the series."""
    smape = [200 * np.mean(np.abs(y - made[k]) / (np.abs(y) + np.abs(made[k]))) for k, y in actual.items()]
    mase = [np.mean(np.abs(y - made[k])) / scale(known[k], season) for k, y in actual.items()]
    return float(np.mean(smape)), float(np.mean(mase))


def interval(actual: Series, low: Series, high: Series, known: Series, season: int) -> tuple[float, float]:
    """Return MSIS and the share of values inside of the 95 % interval."""
    found, inside = [], []
    for k, y in actual.items():
        beyond = np.maximum(low[k] - y, 0) + np.maximum(y - high[k], 0)
        found.append(np.mean(high[k] - low[k] + 2 / (1 - LEVELS[1] + LEVELS[0]) * beyond) / scale(known[k], season))
        inside.append(np.mean((low[k] <= y) & (y <= high[k])))
    return float(np.mean(found)), float(np.mean(inside))


def scale(known: Floats, season: int) -> float:
    """Return the mean absolute seasonal difference of the known values."""
    return float(np.mean(np.abs(known[season:] - known[:-season])))


def tsforecast(*words: str) -> tuple[str, float]:
    """Run a command; return its stdout and its seconds."""
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "tsforecast", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout, time.perf_counter() - began


def forecast(data: Path, horizon: int, flags: str, seed: int) -> tuple[dict[str, Series], float, float]:
    """Train once and predict once; return forecasts and quantiles by column, and the seconds of both."""
    model = str(data.with_name(f"{data.stem}{seed}.safetensors"))
    layout = ["--target", "y", "--series-id", "id", "--no-time", "--horizon", str(horizon), "--seed", str(seed)]
    _, training = tsforecast("train", str(data), *layout, "-o", model, "--quiet", *flags.split())
    out, predicting = tsforecast("predict", model, str(data))
    rows = list(csv.DictReader(io.StringIO(out)))
    ids = [row["id"] for row in rows]
    made: dict[str, Series] = {}
    for column in (name for name in rows[0] if name.startswith("y_")):
        found: dict[str, list[float]] = {}
        for name, row in zip(ids, rows, strict=True):
            found.setdefault(name, []).append(float(row[column]))
        made[column] = {name: np.array(values) for name, values in found.items()}
    return made, training, predicting


def measure(name: str, chosen: argparse.Namespace, folder: Path) -> None:
    """Measure one set and print a row of the table."""
    part = PARTS[name]
    known, actual = read(chosen.data / f"{part.files}-train.csv"), read(chosen.data / f"{part.files}-test.csv")
    if chosen.part == "valid":
        actual = {k: y[-part.horizon :] for k, y in known.items()}
        known = {k: y[: -part.horizon] for k, y in known.items()}
    reference = points(actual, {k: naive2(y, part.season, part.horizon) for k, y in known.items()}, known, part.season)
    if chosen.part == "test" and not np.allclose(reference, part.naive2, atol=6e-4):
        raise SystemExit(f"Naive2 of {name} has {reference}, officially {part.naive2}")
    data = folder / f"{name}.csv"
    write_long(data, known)
    flags = chosen.flags or part.flags
    found = []
    for seed in chosen.seeds:
        made, training, predicting = forecast(data, part.horizon, flags, seed)
        smape, mase = points(actual, made["y_forecast"], known, part.season)
        row = [(smape / reference[0] + mase / reference[1]) / 2, smape, mase]
        bounds = [made.get(f"y_q{level}") for level in LEVELS]
        if bounds[0] and bounds[1]:
            row += interval(actual, bounds[0], bounds[1], known, part.season)
        else:
            row += [float("nan")] * 2
        found.append([*row, training, predicting])
    cells = []
    for values, digits in zip(zip(*found, strict=True), (4, 3, 3, 3, 3, 1, 1), strict=True):
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        cells.append(f"{statistics.mean(values):.{digits}f} ± {spread:.{digits}f}")
    print(f"| {name} | {' | '.join(cells)} | `{flags}` |", flush=True)


def main() -> None:
    """Measure and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", nargs="*", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--part", choices=("test", "valid"), default="test")
    parser.add_argument("--flags", default="", help="flags of train instead of the chosen ones")
    chosen = parser.parse_args()
    print("| M4 | OWA | sMAPE | MASE | MSIS | inside 95 % | s to train | s to predict | flags |")
    print("|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen.sets:
            measure(name, chosen, Path(folder))


if __name__ == "__main__":
    main()
