"""Peak memory of training on 10,000,000 rows x 3 columns, as the operating system accounts for the whole process.

python benchmarks/memory.py [--model gru] [--steps 2]
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

ROWS = 10_000_000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="gru")
    parser.add_argument("--steps", type=int, default=2)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ten_million.csv"
        rng = np.random.default_rng(0)
        stamps = (np.arange(ROWS).astype("timedelta64[s]") + np.datetime64("2020-01-01T00:00:00")).astype(
            "datetime64[s]"
        )
        wave = np.sin(np.arange(ROWS) * 2 * np.pi / 3600)
        columns = {n: pa.array((wave + rng.normal(size=ROWS)).round(3)) for n in ("a", "b", "c")}
        pyarrow.csv.write_csv(pa.table({"time": pa.array(stamps)} | columns), path)
        words = ["train", str(path), "-t", "a", "--past", "b,c", "-o", f"{folder}/m.safetensors", "-m", chosen.model]
        began = time.perf_counter()
        limits = ["--set", f"trainer.steps={chosen.steps}"] if chosen.model not in ("naive", "linear") else []
        subprocess.run([sys.executable, "-m", "tsforecast", *words, *limits], check=True)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        size = path.stat().st_size / 2**20
        print(f"{ROWS:,} rows ({size:.0f} MiB of CSV): peak {peak:.2f} GiB, {time.perf_counter() - began:.1f} s")


if __name__ == "__main__":
    main()
