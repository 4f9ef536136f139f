"""Intervals of 90 % on real data, 24 steps ahead: split conformal margins against margins that follow the errors.

    python benchmarks/intervals.py --data ../shared/data

Forecasts from every cutoff of the test rows. Coverage is over all pairs, by day for irradiance; the lowest local
coverage is that of 200 consecutive cutoffs, over all of their steps and over the worst single step; pinball is twice
the mean quantile loss of both levels.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

import tsforecast
from tsforecast.evaluating.forecasts import Forecasts

LEVELS, HORIZON, IN_A_ROW = (0.05, 0.95), 24, 200
ROWS = 14400  # of ETTh1: 8640 to train, 2880 to validate, 2880 to test
SETS = {
    "ETTh1, oil temperature": ("ett/ETTh1.csv", "OT", {"valid": "2880", "test": "2880"}),
    "DTU, irradiance": ("dtu_lyngby/dtu_hourly_2015_2018.csv", "ghi_wm2", {"test": "0.2"}),
    "DTU, irradiance by day": ("dtu_lyngby/dtu_hourly_2015_2018.csv", "ghi_wm2", {"test": "0.2", "domain": "solar"}),
    "France, load": (
        "opsd_france/fr_load_solar_60min.csv",
        "FR_load_actual_entsoe_transparency",
        {"test": "0.2", "time": "utc_timestamp"},
    ),
}
MODELS = {
    "linear": {"model": "linear"},
    "gru": {
        "model": "gru",
        "model_options": {"hidden": 32},
        "trainer_options": {"steps": 10},
        "quantiles": LEVELS,
    },
}


def measures(f: Forecasts) -> list[float]:
    """Return n, coverage, lowest coverage in 200 in a row of all steps and of one, mean width and pinball."""
    known = np.isfinite(f.actual)
    low, high = (f.quantiles[level] for level in LEVELS)
    inside = np.where(known, (f.actual >= low) & (f.actual <= high), np.nan)
    together = np.nansum(inside, axis=1)
    count = known.sum(axis=1)
    by_step = [lowest(inside[known[:, h], h], np.ones(known[:, h].sum())) for h in range(inside.shape[1])]
    miss = [(level, f.actual - f.quantiles[level]) for level in LEVELS]
    pinball = np.mean([np.maximum(level * m, (level - 1) * m)[known].mean() for level, m in miss])
    shares = [100 * np.nanmean(inside), 100 * lowest(together, count), 100 * min(by_step)]
    return [int(known.sum()), *shares, float((high - low)[known].mean()), 2 * float(pinball)]


def lowest(hits: np.ndarray, count: np.ndarray) -> float:
    """Return the smallest share of hits in so many in a row."""
    total, of = (np.cumsum(np.concatenate(([0], x))) for x in (hits, count))
    share = (total[IN_A_ROW:] - total[:-IN_A_ROW]) / np.maximum(of[IN_A_ROW:] - of[:-IN_A_ROW], 1)
    return float(share[of[IN_A_ROW:] > of[:-IN_A_ROW]].min())


def main() -> None:
    """Measure and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--models", nargs="*", default=list(MODELS))
    chosen = parser.parse_args()
    print("| data | model | margins | pairs | coverage | lowest in 200 | of one step | mean width | pinball |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, (file, target, options) in SETS.items():
        with tempfile.NamedTemporaryFile("w", suffix=".csv") as copy:
            lines = (chosen.data / file).read_text().splitlines()
            copy.write("\n".join(lines[: ROWS + 1] if "ETT" in name else lines) + "\n")
            copy.flush()
            for model in chosen.models:
                made = tsforecast.train(
                    copy.name, target, horizon=HORIZON, intervals="conformal", **options, **MODELS[model]
                )
                reading = {key: value for key, value in options.items() if key == "time"}
                for margins in ("split", "adaptive"):
                    how = {"adaptive": margins == "adaptive", "metric": ["mae"], **reading}
                    f = tsforecast.evaluate(made, copy.name, **how).forecasts[0].by_day()
                    n, share, together, single, width, pinball = measures(f)
                    shares = f"{share:.1f} % | {together:.1f} % | {single:.1f} %"
                    print(
                        f"| {name} | {model} | {margins} | {n} | {shares} | {width:.4g} | {pinball:.4g} |", flush=True
                    )


if __name__ == "__main__":
    main()
