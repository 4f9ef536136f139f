"""The main-job table: bare `tsforecast train FILE -t TARGET -o M` on real files, against naive and seasonal naive.

    python benchmarks/main_table.py --out cells.jsonl                         # every model, about two hours
    python benchmarks/main_table.py --sets etth1_ot airline --models gru      # a part
    python benchmarks/main_table.py --recipes --out cells.jsonl               # beside it the recipes, for "best"
    python benchmarks/main_table.py --read cells.jsonl                        # the table in docs/benchmarks.md

Every cell is the real command line in a process of its own: the last 20 % of the rows are kept out with --test 0.2, the
budget is 60 s, three seeds. Only the flags without which a file cannot be read at all are given (they are in SETS).
With recipes the table says how near the default comes to the best of them: the one with the lowest validation loss.
A run goes on where it stopped: cells that are in --out are not measured again.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

Cell = dict[str, float | str]

SETS: dict[str, tuple[str, str, list[str]]] = {
    "dtu_ghi": ("dtu_lyngby/dtu_hourly_2015_2018.csv", "ghi_wm2", []),
    "dtu_wind": ("dtu_lyngby/dtu_hourly_2015_2018.csv", "wind_speed_ms", []),
    "france_load": ("opsd_france/fr_load_solar_60min.csv", "FR_load_actual_entsoe_transparency", []),
    "france_solar": ("opsd_france/fr_load_solar_60min.csv", "FR_solar_generation_actual", []),
    "jena_temperature": ("jena_weather_2020/weather.csv.gz", "T (degC)", ["--duplicates", "first"]),
    "beijing_pm25": ("beijing_pm25/pollution.csv", "pm2.5", []),
    "pjm_load": ("pjm_load/DOM_hourly.csv", "DOM_MW", ["--duplicates", "first"]),
    "turbine_power": ("wind_turbine_turkey/T1.csv", "LV ActivePower (kW)", []),
    "min_temperature": ("classic/daily-min-temperatures.csv", "Temp", []),
    "sunspots": ("classic/monthly-sunspots.csv", "Sunspots", []),
    "airline": ("classic/airline-passengers.csv", "Passengers", []),
    "etth1_ot": ("ett/ETTh1.csv", "OT", []),
    "sp500": ("stocks/sp500_daily_2000_2020.csv", "close", ["--domain", "stock"]),
    "aapl_2015": ("stocks/AAPL_2015_2017.csv", "AAPL.Close", ["--domain", "stock"]),
    "aapl_2017": ("stocks/AAPL_2017_2022.csv", "Close", ["--domain", "stock"]),
    "eth": ("stocks/ETH-USD_2022.csv", "Close", ["--domain", "stock"]),
}
MODELS = ("gru", "lstm", "tdnn", "narx", "linear")
RECIPES = {  # name -> flags beside the default; each must be able to run on every set
    "gru": "",
    "lstm": "-m lstm",
    "tdnn": "-m tdnn",
    "linear": "-m linear",
    "gru_ensemble": "--ensemble 3",
    "gru_cycle": "--cycle auto",
    "gru_revin": "--normalize revin",
}
NEAR = 1.05  # times the MAE of the best recipe, which the default may have


def command(*words: str) -> str:
    """Run tsforecast; return its stdout."""
    done = subprocess.run([sys.executable, "-m", "tsforecast", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}\n{done.stderr}")
    return done.stdout


def cell(data: Path, name: str, model: str, seed: int, extra: list[str], budget: str) -> Cell:
    """Train and evaluate one model or recipe on one set with one seed."""
    file, target, flags = SETS[name]
    own = RECIPES[model].split() if model in RECIPES else ["-m", model]
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "m.safetensors")
        began = time.monotonic()
        words = ["train", str(data / file), "-t", target, "-o", path, "--test", "0.2", "--seed", str(seed)]
        summary = json.loads(command(*words, "--time-budget", budget, "--json", "-q", *own, *flags, *extra))
        seconds = time.monotonic() - began
        reading = [f for f in flags if f not in ("--domain", "stock")]
        report = json.loads(
            command("evaluate", path, str(data / file), "--json", "-q", "--metric", "mae,rmse", *reading)
        )
    scores = {r["model"]: r["mae"] for r in report["scores"] if r["step"] is None and r["series"] is None}
    return {
        "set": name,
        "model": model,
        "seed": seed,
        "flags": " ".join(extra),
        "mae": scores["forecast"],
        "naive": scores["naive"],
        "seasonal_naive": scores["seasonal_naive"],
        "valid": summary["valid_loss"],
        "valid_naive": summary["naive_valid_loss"],
        "base": summary["base"],
        "weight": summary["weight"],
        "best_step": summary["best_step"],
        "seconds": seconds,
        "horizon": summary["horizon"],
        "lags": summary["lags"],
        "verdict": report["verdicts"][0]["sentence"],
    }


def markdown(cells: list[Cell]) -> str:
    """Return a table: a row per set, a column per model with mean and deviation over the seeds.

    ``weight`` is the share of its difference from a baseline that the first model keeps (``--shrink``).
    """
    models = list(dict.fromkeys(str(c["model"]) for c in cells))
    names = ["set", "H", "naive", "seasonal naive", *models, "weight", "slowest", f"verdict on {models[0]}"]
    lines = ["| " + " | ".join(names) + " |", "|---" * len(names) + "|"]
    for name in dict.fromkeys(c["set"] for c in cells):
        own = [c for c in cells if c["set"] == name]
        row = [str(name), str(own[0]["horizon"]), f"{own[0]['naive']:.4g}", f"{own[0]['seasonal_naive']:.4g}"]
        least = min(float(own[0]["naive"]), float(own[0]["seasonal_naive"]))
        for model in models:
            maes = [float(c["mae"]) for c in own if c["model"] == model]
            if not maes:
                row.append("")
                continue
            mean = statistics.mean(maes)
            spread = f" ± {statistics.stdev(maes):.2g}" if len(maes) > 1 else ""
            better = float(f"{mean:.4g}") < float(f"{least:.4g}")  # as printed
            row.append(f"**{mean:.4g}**{spread}" if better else f"{mean:.4g}{spread}")
        row.append(f"{statistics.mean(float(c['weight']) for c in own if c['model'] == models[0]):.2g}")
        row.append(f"{max(float(c['seconds']) for c in own):.0f} s")
        row.append(str(own[0]["verdict"]).split(":")[0])
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


def nearness(cells: list[Cell]) -> str:
    """Say on how many sets the first model comes near the recipe that the validation loss names; empty without one."""
    first = str(cells[0]["model"])
    recipes = [m for m in dict.fromkeys(str(c["model"]) for c in cells) if m in RECIPES]
    if len(recipes) < 2:
        return ""
    near, names = 0, list(dict.fromkeys(c["set"] for c in cells if c["model"] != first))  # where there is a choice
    for name in names:
        own = [c for c in cells if c["set"] == name]

        def mean(model: str, what: str, own: list[Cell] = own) -> float:
            return statistics.mean([float(c[what]) for c in own if c["model"] == model] or [float("inf")])

        best = min(recipes, key=lambda model: mean(model, "valid"))
        near += mean(first, "mae") <= NEAR * mean(best, "mae")
    return (
        f"{first} within {NEAR - 1:.0%} of the best recipe, chosen by validation loss, on {near} of {len(names)} sets"
    )


def wanted(models: list[str], names: list[str], seeds: list[int], done: list[Cell]) -> Iterator[tuple[str, str, int]]:
    """Yield set, model and seed of every cell that has not been measured; linear has nothing random."""
    have = {(c["set"], c["model"], c["seed"]) for c in done}
    for name in names:
        for model in models:
            for seed in seeds[:1] if model == "linear" else seeds:
                if (name, model, seed) not in have:
                    yield name, model, seed


def read(file: Path) -> list[Cell]:
    """Return the cells of a JSON Lines file."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def main() -> None:
    """Measure and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=SETS)
    parser.add_argument("--models", nargs="*", default=list(MODELS))
    parser.add_argument("--recipes", nargs="*", choices=RECIPES, help="measure these instead of --models; all if bare")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--time-budget", default="60s", help="of every training")
    parser.add_argument("--workers", type=int, default=1, help="cells measured at a time")
    parser.add_argument("--flags", default="", help="further flags of train, in one string")
    parser.add_argument("--out", type=Path, help="append every cell to this JSON Lines file, and skip what it has")
    parser.add_argument("--read", type=Path, nargs="*", help="only print the table of these JSON Lines files")
    chosen = parser.parse_args()
    if chosen.read:
        cells = [cell for file in chosen.read for cell in read(file)]
        print(markdown(cells), nearness(cells), sep="\n\n")
        return
    models = chosen.models if chosen.recipes is None else chosen.recipes or list(RECIPES)
    cells, extra = read(chosen.out) if chosen.out else [], chosen.flags.split()

    def measure(key: tuple[str, str, int]) -> Cell:
        return cell(chosen.data, *key, extra, chosen.time_budget)

    with ThreadPoolExecutor(chosen.workers) as pool:
        for made in pool.map(measure, list(wanted(models, chosen.sets, chosen.seeds, cells))):
            cells.append(made)
            if chosen.out:
                with chosen.out.open("a") as file:
                    file.write(json.dumps(made) + "\n")
            print(json.dumps(made), file=sys.stderr, flush=True)
    print(markdown(cells), nearness(cells), sep="\n\n")


if __name__ == "__main__":
    main()
