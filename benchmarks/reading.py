"""Reading 1,000,000 rows x 8 columns into a frame, as a multiple of pyarrow's own reading in the same run.

python benchmarks/reading.py
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from tsforecast.data.build import Schema, build
from tsforecast.data.read import read
from tsforecast.options import ReadOptions

ROWS, RUNS = 1_000_000, 9


def timed(action: Callable[[], object]) -> float:
    """Return the wall time of one call."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    rng = np.random.default_rng(0)
    stamps = np.arange(ROWS).astype("timedelta64[m]") + np.datetime64("2020-01-01T00:00:00")
    names = [f"c{k}" for k in range(1, 8)]
    columns = {"time": pa.array(stamps.astype("datetime64[s]"))} | {
        n: pa.array(rng.normal(size=ROWS).round(4)) for n in names
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "million.csv"
        pyarrow.csv.write_csv(pa.table(columns), path)
        schema = Schema(target=("c1",), past=tuple(names[1:]))
        ours = lambda: build(read([path], ReadOptions()), schema, ReadOptions())  # noqa: E731
        floor = lambda: pyarrow.csv.read_csv(path)  # noqa: E731
        timed(ours), timed(floor)
        pairs = [(timed(ours), timed(floor)) for _ in range(RUNS)]
    ratio = statistics.median(a / b for a, b in pairs)
    a, b = (statistics.median(side) for side in zip(*pairs, strict=True))
    print(f"read and build {a:.3f} s, pyarrow {b:.3f} s, median ratio {ratio:.2f} (of {RUNS} pairs)")


if __name__ == "__main__":
    main()
