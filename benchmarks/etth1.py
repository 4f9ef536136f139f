"""ETTh1, target OT, horizon 24: the default networks on the usual rows, error standardised by train.

    python benchmarks/etth1.py --data ../shared/data

Rows 0 to 8,640 train, 8,640 to 11,520 valid, 11,520 to 14,400 test (2,857 folds). Whole processes, three seeds.
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

TRAIN, VALID, END, HORIZON = 8640, 2880, 14400, 24


def run(*words: str) -> str:
    """Run tsforecast; return its stdout."""
    return subprocess.run(
        [sys.executable, "-m", "tsforecast", *words], capture_output=True, text=True, check=True
    ).stdout


def main() -> None:
    """Measure and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--models", nargs="*", default=["gru", "lstm", "rnn", "tdnn", "narx", "linear"])
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    chosen = parser.parse_args()
    lines = (chosen.data / "ett/ETTh1.csv").read_text().splitlines()
    column = lines[0].split(",").index("OT")
    spread = statistics.pstdev(float(line.split(",")[column]) for line in lines[1 : TRAIN + 1])
    with tempfile.TemporaryDirectory() as folder:
        data = f"{folder}/ETTh1.csv"
        Path(data).write_text("\n".join(lines[: END + 1]) + "\n")
        print("| model | MAE, standardised | naive | seconds, whole process |\n|---|---|---|---|")
        for model in chosen.models:
            scores, times = [], []
            for seed in chosen.seeds:
                path = f"{folder}/{model}{seed}.safetensors"
                began = time.perf_counter()
                sizes = ["--test", str(END - TRAIN - VALID), "--valid", str(VALID), "-H", str(HORIZON)]
                run("train", data, "-t", "OT", "-m", model, "--seed", str(seed), "-o", path, *sizes)
                times.append(time.perf_counter() - began)
                records = json.loads(run("evaluate", path, data, "--json", "--metric", "mae"))["scores"]
                whole = {r["model"]: r for r in records if r["step"] is None}
                folds = END - TRAIN - VALID - HORIZON + 1
                if whole["forecast"]["n"] != folds * HORIZON:
                    raise SystemExit(f"{whole['forecast']['n']} pairs scored, {folds * HORIZON} expected")
                scores.append(whole["forecast"]["mae"] / spread)
            deviation = statistics.stdev(scores) if len(scores) > 1 else 0.0
            naive = whole["naive"]["mae"] / spread
            slowest = max(times)
            print(
                f"| {model} | {statistics.mean(scores):.4f} ± {deviation:.4f} | {naive:.4f} | {slowest:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
