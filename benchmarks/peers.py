"""Error reached after 10, 30, 60 and 300 s of whole-process time: ours, and recurrent and linear networks of the peers.

    python benchmarks/peers.py --data ../shared/data --peers PYTHON --out peers.jsonl
    python benchmarks/peers.py --read peers.jsonl

ETTh1 (rows 0 to 8,640 train, to 11,520 validate, to 14,400 test) and ETTm1 (four times as many), seven channels, 96
steps ahead. Mean squared error over channels, steps and every test window (2,785 and 11,425, asserted), each channel
standardised by its training rows. --peers names an interpreter that has darts and neuralforecast; peers_worker.py says
how their networks are built. All get the same rows and as many threads as OMP_NUM_THREADS says, 2 by default.

The budget runs from the start of the process: the interpreter, imports, reading, training and validation. Forecasting
the test windows comes after it, for all, and is reported apart. A peer is trained once without an end, and what it has
when a budget is spent is scored. tsforecast is trained anew for each budget by --time-budget, from which the time that
the process takes beside training is deducted; that is measured first. Cells that took 5 % longer than their budget, as
a step of training or an import cannot be cut short, say so; a dash: training had not done a step.

To the peers' good: the weights of their best validation are kept for them at no cost, as tsforecast does by itself.
Unfair to the peers: they run with their default architecture and at a constant learning rate, which is their default,
too, and know of no budget. As the window length is a choice of the user, they are trained with all --lookbacks: 96, the
usual one, and 720, which is ours (TCN of darts wants more inputs than outputs and gets 97 for 96).
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HORIZON = 96
RECIPE = "--recipe long-horizon --embedding 16 --set trainer.epoch_size=2048 --set trainer.steps=200 --patience 99"
# name to the flags of `train`
OURS = {"gru": RECIPE.split(), "linear": ["-m", "linear", "--lags", "720", "--loss", "mse"]}
NETWORKS = ("LSTM", "GRU", "TCN", "NLinear", "DLinear")
PEERS = [f"{library}-{network}" for library in ("darts", "neuralforecast") for network in NETWORKS]
SETS = {"ETTh1": 1, "ETTm1": 4}  # rows per hour
HOURS = {"train": 8640, "test": 2880}  # validation takes as many hours as the test
PROBE = 1  # second of training, to learn what the process takes beside it
LATE = 1.05  # of the budget
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "2")}
THREADS = ENVIRONMENT["OMP_NUM_THREADS"]

Record = dict[str, Any]


def run(words: list[str]) -> str:
    """Run a process; return its stdout, or stop with its last words."""
    done = subprocess.run(words, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}\n{done.stderr[-2000:]}")
    return done.stdout


class Task:
    """The rows of one set, in a file that every contestant reads."""

    def __init__(self, name: str, folder: Path, data: Path) -> None:
        self.name, self.file = name, folder / f"{name}.csv"
        self.train, self.test = (hours * SETS[name] for hours in HOURS.values())
        self.windows = self.test - HORIZON + 1
        source = data / f"ett/{name}.csv"
        text = source.read_text() if source.exists() else gzip.decompress(Path(f"{source}.gz").read_bytes()).decode()
        lines = text.splitlines()[: 1 + self.train + 2 * self.test]
        self.file.write_text("\n".join(lines) + "\n")
        self.channels = lines[0].split(",")[1:]
        columns = zip(*(line.split(",")[1:] for line in lines[1 : self.train + 1]), strict=True)
        self.spread = dict(
            zip(self.channels, (statistics.pstdev(map(float, column)) for column in columns), strict=True)
        )


def ours(task: Task, name: str, chosen: argparse.Namespace) -> Iterator[Record]:
    """Train and evaluate by command line, for each budget."""
    model = task.file.with_suffix(".safetensors")
    targets = [word for channel in task.channels for word in ("-t", channel)]
    tool = [sys.executable, "-m", "tsforecast"]
    parts = ["--valid", str(task.test), "--test", str(task.test), "--horizon", str(HORIZON), "--threads", THREADS]

    def train(seconds: float) -> tuple[float, Record]:
        began = time.perf_counter()
        flags = [*OURS[name], *parts, "--seed", str(chosen.seed), "--time-budget", f"{seconds:g}s", "--json", "--force"]
        summary = json.loads(run([*tool, "train", str(task.file), *targets, *flags, "-o", str(model)]))
        return time.perf_counter() - began, summary

    seconds, summary = train(PROBE)
    beside = seconds - summary["seconds"]
    for budget in chosen.budgets:
        seconds, summary = train(max(budget - beside, 0.1))
        began = time.perf_counter()
        scores = json.loads(run([*tool, "evaluate", str(model), str(task.file), "--json", "--metric", "rmse"]))[
            "scores"
        ]
        whole = [s for s in scores if s["model"] == "forecast" and s["step"] is None]
        counts = {s["target"]: s["n"] for s in whole}
        if counts != dict.fromkeys(task.channels, task.windows * HORIZON):
            raise SystemExit(f"{counts} scored, {task.windows * HORIZON} of each channel expected")
        error = statistics.fmean((s["rmse"] / task.spread[s["target"]]) ** 2 for s in whole)
        scoring = time.perf_counter() - began
        record = {"budget": budget, "seconds": seconds, "steps": summary["steps"], "mse": error}
        yield record | {"windows": task.windows, "scoring": scoring, "lookback": summary["lags"]}


def peers(task: Task, name: str, chosen: argparse.Namespace) -> Iterator[Record]:
    """Train once per lookback in a process of the peer, which is scored with its weights at each budget."""
    library, model = name.split("-")
    for lookback in chosen.lookbacks:
        if name == "darts-TCN":  # it wants more inputs than outputs
            lookback = max(lookback, HORIZON + 1)
        sizes = {"lookback": lookback, "horizon": HORIZON, "train": task.train, "test": task.test, "seed": chosen.seed}
        flags = [word for key, value in sizes.items() for word in (f"--{key}", str(value))]
        budgets = [str(budget) for budget in chosen.budgets]
        worker = [chosen.peers, str(Path(__file__).with_name("peers_worker.py")), str(task.file), *flags]
        words = [*worker, "--library", library, "--model", model, "--began", repr(time.time()), "--budgets", *budgets]
        records = [json.loads(line) for line in run(words).splitlines()]
        if len(records) != len(budgets) or {r["windows"] for r in records} - {task.windows, None}:
            raise SystemExit(f"{name}: {task.windows} windows expected at every budget, not {records}")
        yield from (record | {"lookback": lookback} for record in records)


def show(path: Path) -> None:
    """Print a table per set: rows are contestants, columns are budgets; several seeds are averaged."""
    records = [json.loads(line) for line in path.read_text().splitlines()]
    budgets = sorted({r["budget"] for r in records})
    for name in dict.fromkeys(r["set"] for r in records):
        here = [r for r in records if r["set"] == name]
        print(f"\n{name}, threads: {', '.join(sorted({r['threads'] for r in here}))}\n")
        print("| contestant | lookback |" + "".join(f" {b:g} s |" for b in budgets) + " scoring s |")
        print("|---" * (len(budgets) + 3) + "|")
        for key in dict.fromkeys((r["contestant"], r["lookback"]) for r in here):
            rows = [r for r in here if (r["contestant"], r["lookback"]) == key]
            cells = [cell([r for r in rows if r["budget"] == b]) for b in budgets]
            scoring = statistics.median([r["scoring"] for r in rows if r["mse"] is not None] or [0.0])
            print(f"| {key[0]} | {key[1]} | {' | '.join(cells)} | {scoring:.1f} |")


def cell(records: list[Record]) -> str:
    """Return the error at one budget, averaged over seeds, with the seconds where they are more than the budget."""
    if not records or any(r["mse"] is None for r in records):
        return "-"
    slowest, budget = max(r["seconds"] for r in records), records[0]["budget"]
    late = f" (at {slowest:.1f} s)" if slowest > LATE * budget else ""
    return f"{statistics.fmean(r['mse'] for r in records):.4f}{late}"


def main() -> None:
    """Measure and append to --out, or --read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    numbers = {"budgets": ([10.0, 30.0, 60.0, 300.0], float), "lookbacks": ([96, 720], int)}
    parser.add_argument("--read", type=Path, help="print the table of this file and stop")
    parser.add_argument("--out", type=Path, help="JSON Lines to append to")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--peers", default="", help="interpreter that has darts and neuralforecast")
    parser.add_argument("--only", choices=("peers", "ours"))
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--models", nargs="+", choices=[*OURS, *PEERS], default=[*OURS, *PEERS])
    parser.add_argument("--seed", type=int, default=1)
    for name, (default, kind) in numbers.items():
        parser.add_argument(
            f"--{name}", default=default, type=lambda text, kind=kind: sorted(map(kind, text.split(",")))
        )
    chosen = parser.parse_args()
    if chosen.read:
        return show(chosen.read)
    if not (chosen.data and chosen.out):
        parser.error("--data and --out are needed to measure")
    if not chosen.peers and chosen.only != "ours":
        parser.error("--peers names the interpreter of the peers; without it, use --only ours")
    names = [name for name in chosen.models if chosen.only is None or (name in OURS) == (chosen.only == "ours")]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # which ends the contestant, too
    with tempfile.TemporaryDirectory() as folder, chosen.out.open("a") as out:
        for task in (Task(name, Path(folder), chosen.data) for name in chosen.sets):
            for name in names:
                for record in (ours if name in OURS else peers)(task, name, chosen):
                    label = {"set": task.name, "contestant": f"tsforecast-{name}" if name in OURS else name}
                    line = json.dumps({**label, **record, "seed": chosen.seed, "threads": THREADS})
                    print(line, file=out, flush=True)
                    print(line, file=sys.stderr, flush=True)
    return None


if __name__ == "__main__":
    main()
