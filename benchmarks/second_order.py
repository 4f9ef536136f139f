"""Levenberg-Marquardt against Adam: how long each takes to Adam's best validation loss, on NARX networks.

    python benchmarks/second_order.py --data ../shared/data

Adam runs to the end of its patience, with its default learning rate and with ten times that; its time counts to the
step that was best. Both minimise the same loss of the same network from the same start, one after the other, on one
thread. Seconds of training, without reading and start-up.
"""

from __future__ import annotations

import argparse
import csv
import math
import statistics
import tempfile
from pathlib import Path
from typing import Any

RATES = (0.001, 0.01)
PENALTY = 0.001  # weight decay of both on the tanks, a short record: as in benchmarks/tanks.py
HOURLY: dict[str, Any] = {"horizon": 24, "lags": "24", "normalize": "none"}
TANKS: dict[str, Any] = {"horizon": 128, "lags": "30", "normalize": "none", "loss": "mse", "valid": "0.22"}
SETS = {"feedback_lags": "1:4", "input_lags": "0:4,6,8,12,16,20,25,30"}
WIND = ("dtu_lyngby/dtu_hourly_2015_2018.csv", "wind_speed_ms", "air_temp_c")
SUN = ("dtu_lyngby/dtu_hourly_2015_2018.csv", "ghi_wm2", "air_temp_c")
RECORD = ("sysid_cascaded_tanks/dataBenchmark.csv", "y", "u")
TASKS: dict[str, tuple[tuple[str, str, str], dict[str, Any], dict[str, Any]]] = {
    "wind, closed loop": (WIND, HOURLY, {"hidden": (8,), "loop": "closed"}),
    "wind, open loop": (WIND, HOURLY, {"hidden": (8,)}),
    "sun, closed loop": (SUN, HOURLY, {"hidden": (8,), "loop": "closed"}),
    "tanks, closed loop": (RECORD, TANKS, {"hidden": (12,), "loop": "closed", **SETS}),
}


def load(data: Path, source: tuple[str, str, str], folder: Path) -> Any:
    """Read a file; of the tanks, the estimation record."""
    from tsforecast.data.read import read
    from tsforecast.options import ReadOptions

    path = data / source[0]
    if source is RECORD:
        rows = [row for row in csv.DictReader(path.open()) if row["yEst"]]
        path = folder / "tanks.csv"
        path.write_text("u,y\n" + "".join(f"{row['uEst']},{row['yEst']}\n" for row in rows))
    return read([str(path)], ReadOptions(no_time=source is RECORD))


def course(
    table: Any, task: str, seed: int, trainer: str, options: dict[str, Any]
) -> tuple[int, list[tuple[float, float]]]:
    """Train; return the number of parameters and (seconds, validation loss) of every step."""
    from tsforecast.options import ColumnOptions, FitOptions, ReadOptions
    from tsforecast.training.fitting import fit
    from tsforecast.training.preparation import prepare

    (_, target, known), given, model = TASKS[task]
    chosen = FitOptions(model="narx", trainer=trainer, seed=seed, threads=1, **given)
    columns = ColumnOptions(target=(target,), future=(known,))
    read_options = ReadOptions(no_time=given is TANKS)
    made = fit(prepare(table, columns, read_options, chosen, model, options)).forecaster
    return sum(v.size for v in made.params.values()), [(h["seconds"], h["valid_loss"]) for h in made.history]


def best(steps: list[tuple[float, float]]) -> tuple[float, float]:
    """Return (validation loss, seconds) of the best step."""
    return min((loss, seconds) for seconds, loss in steps)


def main() -> None:
    """Measure and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--tasks", nargs="*", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    chosen = parser.parse_args()
    print("| task | seed | rate | Adam's best | seconds | LM there, seconds | times as fast | LM's best |")
    print("|---" * 8 + "|")
    for task in chosen.tasks:
        ratios: dict[float, list[float]] = {rate: [] for rate in RATES}
        for seed in chosen.seeds:
            with tempfile.TemporaryDirectory() as folder:
                table = load(chosen.data, TASKS[task][0], Path(folder))
            course(table, task, seed, "levenberg_marquardt", {"steps": 1})  # warm: the first call imports
            penalty = {"weight_decay": PENALTY if TASKS[task][0] is RECORD else 0.0}
            parameters, steps = course(table, task, seed, "levenberg_marquardt", penalty)
            lowest, when = best(steps)
            for rate in RATES:
                goal, took = best(course(table, task, seed, "backprop", {"learning_rate": rate, **penalty})[1])
                reached = next((seconds for seconds, loss in steps if loss <= goal), math.inf)
                ratios[rate].append(took / reached)
                told = f"{reached:.2f} | {took / reached:.1f}" if reached < math.inf else "never | "
                print(
                    f"| {task}, {parameters} parameters | {seed} | {rate:g} | {goal:.4f} | {took:.1f} | {told}"
                    f" | {lowest:.4f}, {when:.1f} s |",
                    flush=True,
                )
        for rate, found in ratios.items():
            middle = statistics.median(found)
            told = f"{middle:.1f}" if middle else "never"
            print(f"| **{task}, median** | | {rate:g} | | | | **{told}** | |", flush=True)


if __name__ == "__main__":
    main()
