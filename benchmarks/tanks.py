"""Cascaded tanks: the official system identification benchmark, simulated from its input and four outputs.

    python benchmarks/tanks.py --data ../shared/data

Estimation and validation record (1,024 rows each, 4 s apart) are the official ones; of the validation record only the
first four outputs initialise a run, the other 1,020 rows are scored. Settings were chosen on the last 22 % of the
estimation record; ``--refit`` then trains once more on all of it for as many steps as were best there. Whole processes,
three seeds.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FILE = "sysid_cascaded_tanks/dataBenchmark.csv"
KNOWN = 4  # outputs that may initialise a run
COMMON = "--sampling 4s -t y --future u --normalize none --loss mse --valid 0.22 --refit --patience 60"
RECIPES = {
    "narx, levenberg_marquardt": "-m narx --lags 30 -H 128 --set model.feedback_lags=1:4"
    " --set model.input_lags=0:4,6,8,12,16,20,25,30 --set model.hidden=12 --set model.loop=closed"
    " --trainer levenberg_marquardt --set trainer.weight_decay=0.001 --set trainer.steps=60",
    "gru, adamw": "-m gru --lags 16 -H 96 --set model.decoder=recursive --set model.segment=1 --set model.hidden=16"
    " --set trainer.optimizer=adamw --set trainer.weight_decay=0.1 --set trainer.learning_rate=0.005"
    " --set trainer.batch_size=16 --set trainer.steps=20 --set trainer.teacher_forcing=0",
}


def run(*words: str) -> str:
    """Run tsforecast; return its stdout."""
    done = subprocess.run([sys.executable, "-m", "tsforecast", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}\n{done.stderr}")
    return done.stdout


def records(source: Path, folder: Path) -> tuple[str, str]:
    """Write the two records as files of their own, with the columns u and y; return their paths."""
    rows = [row for row in csv.DictReader(source.open()) if row["yEst"]]
    paths = []
    for name in ("Est", "Val"):
        path = folder / f"{name}.csv"
        path.write_text("u,y\n" + "".join(f"{row['u' + name]},{row['y' + name]}\n" for row in rows))
        paths.append(str(path))
    return paths[0], paths[1]


def main() -> None:
    """Measure and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--recipes", nargs="*", default=list(RECIPES), choices=list(RECIPES))
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        estimation, validation = records(chosen.data / FILE, Path(folder))
        print("| recipe | parameters | test RMSE, V | by seed | fit, % | loss on valid | seconds, whole process |")
        print("|---" * 7 + "|")
        for name in chosen.recipes:
            made = []
            for seed in chosen.seeds:
                model = f"{folder}/m.safetensors"
                words = [*COMMON.split(), *RECIPES[name].split(), "--seed", str(seed), "-o", model, "--force"]
                began = time.perf_counter()
                summary = json.loads(run("train", estimation, *words, "--json", "-q"))
                seconds = time.perf_counter() - began
                words = ["--simulate", "--warmup", str(KNOWN), "--metric", "rmse,fit", "--json", "-q"]
                scores = json.loads(run("evaluate", model, validation, *words))["scores"]
                whole = next(r for r in scores if r["model"] == "forecast" and r["step"] is None)
                made.append((summary["parameters"], whole["rmse"], whole["fit"], summary["valid_loss"], seconds))
            parameters, rmse, fit, valid, took = zip(*made, strict=True)
            spread = statistics.stdev(rmse) if len(rmse) > 1 else 0.0
            print(
                f"| {name} | {parameters[0]} | {statistics.mean(rmse):.3f} ± {spread:.3f}"
                f" | {', '.join(f'{v:.3f}' for v in rmse)} | {statistics.mean(fit):.1f}"
                f" | {statistics.mean(valid):.4f} | {max(took):.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
