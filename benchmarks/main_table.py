"""The main-job table: bare `tsforecast train FILE -t TARGET -o M` on real files, against naive and seasonal naive.

    python benchmarks/main_table.py --out cells.jsonl                      # everything, about two hours
    python benchmarks/main_table.py --sets etth1_ot airline --models gru   # a part
    python benchmarks/main_table.py --read cells.jsonl                     # the table in docs/benchmarks.md

Every cell is the real command line in a process of its own: the last 20 % of the rows are kept out with --test 0.2, the
budget is 60 s, three seeds. Only the flags without which a file cannot be read at all are given (they are in SETS).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

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


def command(*words: str) -> str:
    """Run tsforecast; return its stdout."""
    done = subprocess.run([sys.executable, "-m", "tsforecast", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}\n{done.stderr}")
    return done.stdout


def cell(data: Path, name: str, model: str, seed: int, extra: list[str]) -> dict[str, float | str]:
    """Train and evaluate one model on one set with one seed."""
    file, target, flags = SETS[name]
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "m.safetensors")
        began = time.monotonic()
        words = ["train", str(data / file), "-t", target, "-o", path, "--test", "0.2", "-m", model, "--seed", str(seed)]
        summary = json.loads(command(*words, "--time-budget", "60s", "--json", "-q", *flags, *extra))
        seconds = time.monotonic() - began
        reading = [f for f in flags if f not in ("--domain", "stock")]
        report = json.loads(
            command("evaluate", path, str(data / file), "--json", "-q", "--metric", "mae,rmse", *reading)
        )
    scores = {r["model"]: r["mae"] for r in report["scores"] if r["step"] is None and r["series"] is None}
    verdict = report["verdicts"][0]
    return {
        "set": name,
        "model": model,
        "seed": seed,
        "mae": scores["forecast"],
        "naive": scores["naive"],
        "seasonal_naive": scores["seasonal_naive"],
        "valid": summary["valid_loss"],
        "seconds": seconds,
        "horizon": summary["horizon"],
        "lags": summary["lags"],
        "verdict": verdict["sentence"],
    }


def markdown(cells: list[dict[str, float | str]]) -> str:
    """Return a table: a row per set, a column per model with mean and deviation over the seeds."""
    models = list(dict.fromkeys(str(c["model"]) for c in cells))
    names = ["set", "H", "naive", "seasonal naive", *models, "slowest", f"verdict on {models[0]}"]
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
            row.append(f"**{mean:.4g}**{spread}" if mean < least else f"{mean:.4g}{spread}")
        row.append(f"{max(float(c['seconds']) for c in own):.0f} s")
        row.append(str(own[0]["verdict"]).split(":")[0])
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--sets", nargs="*", default=list(SETS))
    parser.add_argument("--models", nargs="*", default=list(MODELS))
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--flags", default="", help="further flags of train, in one string")
    parser.add_argument("--out", type=Path, help="append every cell to this JSON Lines file")
    parser.add_argument("--read", type=Path, nargs="*", help="only print the table of these JSON Lines files")
    chosen = parser.parse_args()
    if chosen.read:
        print(markdown([json.loads(line) for file in chosen.read for line in file.read_text().splitlines()]))
        return
    for name in chosen.sets:
        row = []
        for model in chosen.models:
            cells = []
            for seed in chosen.seeds[:1] if model == "linear" else chosen.seeds:
                cells.append(cell(chosen.data, name, model, seed, chosen.flags.split()))
                if chosen.out:
                    with chosen.out.open("a") as file:
                        file.write(json.dumps(cells[-1]) + "\n")
            maes = [float(c["mae"]) for c in cells]
            spread = statistics.stdev(maes) if len(maes) > 1 else 0.0
            took = max(float(c["seconds"]) for c in cells)
            row.append(f"{model} {statistics.mean(maes):.4g} ± {spread:.2g} ({took:.0f} s)")
        first = cells[0]
        base = f"naive {first['naive']:.4g} | seasonal {first['seasonal_naive']:.4g}"
        size = f"H {first['horizon']} L {first['lags']}"
        print(f"| {name} | {base} | {size} | {' | '.join(row)} | {first['verdict']}", flush=True)


if __name__ == "__main__":
    main()
