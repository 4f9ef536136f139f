"""Start-up as multiples of `python -c 'import numpy'` in the same run: --help, and a cold predict of every network.

    python benchmarks/startup.py --data ../shared/data [--peers PYTHON]

Medians of interleaved runs, so that a drifting machine slows both sides alike. --peers names an interpreter that has
darts and neuralforecast, and also times the import of a recurrent network from each, with nothing done with it.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NETWORKS = ("naive", "linear", "narx", "tdnn", "rnn", "lstm", "gru")
PEERS = {
    "darts": "from darts.models import BlockRNNModel",
    "neuralforecast": "from neuralforecast.models import GRU",
}


def seconds(words: list[str]) -> float:
    """Run a command as a whole process; return its wall time."""
    began = time.perf_counter()
    subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def main() -> None:
    """Measure and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--peers", help="interpreter that has darts and neuralforecast")
    chosen = parser.parse_args()
    csv = str(chosen.data / "ett/ETTh1.csv")
    tool = [sys.executable, "-m", "tsforecast"]
    floor = [sys.executable, "-c", "import numpy"]
    with tempfile.TemporaryDirectory() as folder:
        commands = {"--help": [*tool, "--help"]}
        for name in NETWORKS:
            path = f"{folder}/{name}.safetensors"
            quick = [] if name in ("naive", "linear") else ["--set", "trainer.steps=1"]
            seconds([*tool, "train", csv, "-t", "OT", "-m", name, "-o", path, *quick])
            commands[f"predict ({name})"] = [*tool, "predict", path, csv]
        if chosen.peers:
            commands |= {f"import of {peer}": [chosen.peers, "-c", line] for peer, line in PEERS.items()}
        print("| command | median s | multiple of `import numpy` |\n|---|---|---|")
        for name, words in commands.items():
            seconds(words)  # warm the caches
            pairs = [(seconds(words), seconds(floor)) for _ in range(chosen.runs)]
            ratio = statistics.median(a / b for a, b in pairs)
            print(f"| {name} | {statistics.median(a for a, _ in pairs):.3f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
