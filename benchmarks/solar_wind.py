"""Sun and wind from temperature: one NARX network, every way to train it, at equal time.

    python benchmarks/solar_wind.py --out cells.jsonl                    # everything, two processes: about 40 minutes
    python benchmarks/solar_wind.py --tasks wind_8h --arms ga adam       # a part
    python benchmarks/solar_wind.py --read cells.jsonl --plots docs/images   # tables and plots of docs/solar-wind.md

Hourly irradiance and wind speed of three years (Lyngby, Denmark), 8 and 24 hours ahead, with air temperature as the
exogenous input, in the manner of Di Piazza, Di Piazza and Vitale (2016). The last fifth of the rows is the test part;
the fifth before it chooses the best step of each run. Every trainer minimises the same loss (absolute error in closed
loop) of the same network on the same windows for the same seconds, on one thread.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

FILE = "dtu_lyngby/dtu_hourly_2015_2018.csv"
PLACE: dict[str, Any] = {"lat": 55.791, "lon": 12.525}
SOLAR: dict[str, Any] = {"domain": "solar", "floor": 0.0, "night": "auto", **PLACE}
WIND: dict[str, Any] = {"domain": "wind", "floor": 0.0}
TASKS: dict[str, tuple[str, int, dict[str, Any]]] = {
    "sun_8h": ("ghi_wm2", 8, SOLAR),
    "sun_24h": ("ghi_wm2", 24, SOLAR),
    "wind_8h": ("wind_speed_ms", 8, WIND),
    "wind_24h": ("wind_speed_ms", 24, WIND),
}
NARX: dict[str, Any] = {"hidden": (8,), "loop": "closed"}
FOREVER = 10**6
RIDGE = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)  # what version 0.1 tried
GA: dict[str, Any] = {"strategy": "ga", "generations": FOREVER}
ARMS: dict[str, tuple[str, dict[str, Any], str, dict[str, Any]]] = {
    "ga": ("narx", NARX, "genetic", GA),
    "cma_es": ("narx", NARX, "genetic", {"strategy": "cma_es", "generations": FOREVER}),
    "differential_evolution": (
        "narx",
        NARX,
        "genetic",
        {"strategy": "differential_evolution", "generations": FOREVER},
    ),
    "memetic (ga + adam)": ("narx", NARX, "genetic", {**GA, "memetic": "adam"}),
    "memetic (ga + lm)": ("narx", NARX, "genetic", {**GA, "memetic": "levenberg_marquardt"}),
    "annealing": ("narx", NARX, "annealing", {"steps": FOREVER}),
    "adam": ("narx", NARX, "backprop", {"learning_rate": 0.01, "steps": 400}),
    "levenberg_marquardt": ("narx", NARX, "levenberg_marquardt", {"steps": FOREVER}),
    "gru (adam, default)": ("gru", {}, "backprop", {"steps": 400}),
    "linear (ridge, default)": ("linear", {}, "least_squares", {"ridge": RIDGE}),
}
DAY, WEEK = 24, 168  # hours: the lags of NARX, and those that version 0.1 chose for the models beside it
ROLES = {"past": "temperature known until now", "future": "temperature known ahead (a perfect forecast of it)"}


def lags_of(arm: str) -> int:
    """Return the lags: more of them leave fewer folds, on which the baselines have other errors."""
    return DAY if ARMS[arm][0] == "narx" else WEEK


@cache
def table(data: Path) -> Any:
    """Read the file once per process."""
    from tsforecast.data.read import read
    from tsforecast.options import ReadOptions

    return read([str(data / FILE)], ReadOptions())


def cell(data: Path, task: str, arm: str, seed: int, budget: float, role: str) -> dict[str, Any]:
    """Train once and score on the test part."""
    from tsforecast.evaluating.evaluation import evaluate
    from tsforecast.forecasting.prediction import read_frame
    from tsforecast.options import ColumnOptions, FitOptions, ReadOptions
    from tsforecast.training.fitting import fit
    from tsforecast.training.preparation import prepare

    target, horizon, known = TASKS[task]
    model, model_options, trainer, trainer_options = ARMS[arm]
    columns = ColumnOptions(target=(target,), **{role: ("air_temp_c",)})
    inputs = {"input_lags": "0:24"} if model == "narx" and role == "future" else {}
    options = FitOptions(
        horizon=horizon,
        lags=str(lags_of(arm)),
        shrink="none",
        normalize="last",
        model=model,
        trainer=trainer,
        valid="0.25",
        test="0.2",
        seed=seed,
        time_budget=f"{budget}s",
        patience=FOREVER,
        threads=1,
        **known,
    )
    made = prepare(table(data), columns, ReadOptions(), options, model_options | inputs, trainer_options)
    outcome = fit(made)
    frame, _ = read_frame(outcome.forecaster, table(data), ReadOptions())
    report = evaluate(outcome.forecaster, frame, metrics=["mae", "rmse"])
    scores = {(r["model"], r["rows"]): (r["mae"], r["rmse"]) for r in report.records if r["step"] is None}
    history = outcome.forecaster.history
    return {
        "task": task,
        "arm": arm,
        "seed": seed,
        "budget": budget,
        "role": role,
        "parameters": int(sum(v.size for v in outcome.forecaster.params.values())),
        "scores": [[m, rows, *values] for (m, rows), values in scores.items()],
        "valid": min(h["valid_loss"] for h in history),
        "naive_valid": made.naive_loss(),
        "steps": len(history),
        "seconds": history[-1]["seconds"],
        "course": [[h["seconds"], h["valid_loss"]] for h in history],
        "verdict": report.verdicts[0].sentence,
    }


# ---------------------------------------------------------------------------------------------------------- reporting


def mean_and_spread(values: list[float]) -> str:
    """Write ``1.23 ± 0.04``."""
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.4g} ± {spread:.2g}"


def score(made: dict[str, Any], model: str = "forecast", rows: str = "all", which: int = 2) -> float | None:
    """Return the MAE (``which`` 2) or RMSE (3) of a model on some rows; None when there is none."""
    return next((float(s[which]) for s in made["scores"] if s[0] == model and s[1] == rows), None)


def one_table(cells: list[dict[str, Any]], which: int, unit: str) -> str:
    """Return a table of one budget and role: a row per way of training, a column per task and kind of rows."""
    kinds = [
        (t, rows)
        for t in TASKS
        for rows in ("all", "daylight")
        if any(score(c, rows=rows) for c in cells if c["task"] == t)
    ]
    heads = [f"{t}, {rows}" if t.startswith("sun") else t for t, rows in kinds]
    lines = [f"| {unit} | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for lags in (DAY, WEEK):
        lines += rows_of([c for c in cells if lags_of(c["arm"]) == lags], kinds, which, lags)
    return "\n".join(lines)


def rows_of(cells: list[dict[str, Any]], kinds: list[tuple[str, str]], which: int, lags: int) -> list[str]:
    """Return the rows of the arms with as many lags, under those of the baselines on the same folds."""
    lines = []
    baselines = list(dict.fromkeys(s[0] for c in cells for s in c["scores"] if s[0] not in ("forecast", "open_loop")))
    for name in baselines:
        row = [next((score(c, name, rows, which) for c in cells if c["task"] == t), None) for t, rows in kinds]
        values = " | ".join("" if v is None else f"{v:.4g}" for v in row)
        lines.append(f"| *{name}, folds with {lags} lags* | {values} |")
    for arm in dict.fromkeys(c["arm"] for c in cells):
        row = [
            [
                v
                for c in cells
                if c["arm"] == arm and c["task"] == t and (v := score(c, rows=rows, which=which)) is not None
            ]
            for t, rows in kinds
        ]
        lines.append(f"| {arm} | " + " | ".join(mean_and_spread(v) if v else "" for v in row) + " |")
    return lines


def valid_table(cells: list[dict[str, Any]]) -> str:
    """Return validation loss (scaled MAE) by way of training and task, what memetic against pure is judged by."""
    lines = ["| validation loss | " + " | ".join(TASKS) + " |", "|---" * (len(TASKS) + 1) + "|"]
    for arm in dict.fromkeys(c["arm"] for c in cells):
        row = [[c["valid"] for c in cells if c["arm"] == arm and c["task"] == t] for t in TASKS]
        lines.append(f"| {arm} | " + " | ".join(mean_and_spread(v) if v else "" for v in row) + " |")
    return "\n".join(lines)


def print_tables(cells: list[dict[str, Any]]) -> None:
    """Print every table as Markdown."""
    for role, budget in sorted({(c["role"], c["budget"]) for c in cells}, reverse=True):
        own = [c for c in cells if (c["role"], c["budget"]) == (role, budget)]
        print(f"\n### {ROLES[role]}, {budget:g} s of training\n")
        print(one_table(own, 2, "MAE"), "\n\n", one_table(own, 3, "RMSE"), "\n\n", valid_table(own), sep="")


def draw(cells: list[dict[str, Any]], folder: Path) -> None:
    """Draw the test error of every way of training, and how the validation loss falls over the seconds."""
    from matplotlib.figure import Figure

    longest = max(c["budget"] for c in cells)
    own = [c for c in cells if c["budget"] == longest and c["role"] == "past"]
    arms = list(dict.fromkeys(c["arm"] for c in own))
    errors = Figure(figsize=(11, 5.5), layout="constrained")
    courses = Figure(figsize=(11, 7), layout="constrained")
    for figure, seeds in ((errors, "three seeds"), (courses, "seed 0")):
        figure.suptitle(f"One NARX network, and gru and linear beside it: {longest:g} s of training, {seeds}")
    bars, lines = errors.subplots(1, len(TASKS), sharey=True), courses.subplots(2, 2).ravel()
    for ax, curve, task in zip(bars, lines, TASKS, strict=True):
        of_task = [c for c in own if c["task"] == task]
        name = "clear_sky_persistence" if task.startswith("sun") else "naive"  # the best baseline
        for k, arm in enumerate(arms):
            values = [score(c) for c in of_task if c["arm"] == arm]
            ax.plot(values, [k] * len(values), "o", color=f"C{k}", alpha=0.8)
            for c in of_task:
                if c["arm"] == arm and c["seed"] == 0:
                    curve.plot(*zip(*running_best(c["course"]), strict=True), color=f"C{k}", label=arm)
        for k, arm in enumerate(arms):
            best = score(next(c for c in of_task if c["arm"] == arm), name)
            ax.plot([best, best], [k - 0.4, k + 0.4], color="0.3")
        ax.set(title=f"{task}\n(| {name})", xlabel="test MAE")
        ax.set_yticks(range(len(arms)), arms)
        curve.set(title=task, xlabel="seconds", ylabel="best validation loss", xscale="log", yscale="log")
        ax.grid(alpha=0.3)
        curve.grid(alpha=0.3, which="both")
    courses.legend(*lines[0].get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    errors.savefig(folder / "solar_wind_errors.png", dpi=110)
    courses.savefig(folder / "solar_wind_courses.png", dpi=75)


def running_best(course: list[list[float]]) -> list[tuple[float, float]]:
    """Return (seconds, lowest validation loss so far)."""
    return list(zip([s for s, _ in course], itertools.accumulate((v for _, v in course), min), strict=True))


def main() -> None:
    """Measure, or print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--tasks", nargs="*", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--arms", nargs="*", default=list(ARMS), choices=list(ARMS))
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--budgets", type=float, nargs="*", default=[6.0, 20.0], help="seconds of training")
    parser.add_argument("--roles", nargs="*", default=["past"], choices=list(ROLES))
    parser.add_argument("--processes", type=int, default=2, help="cells measured side by side, one thread each")
    parser.add_argument("--out", type=Path, help="append every cell to this JSON Lines file")
    parser.add_argument("--read", type=Path, nargs="*", help="only print the tables of these JSON Lines files")
    parser.add_argument("--plots", type=Path, help="with --read: folder for the plots")
    chosen = parser.parse_args()
    if chosen.read:
        cells = [json.loads(line) for file in chosen.read for line in file.read_text().splitlines()]
        print_tables(cells)
        if chosen.plots:
            draw(cells, chosen.plots)
        return
    grid = list(itertools.product([chosen.data], chosen.tasks, chosen.arms, chosen.seeds, chosen.budgets, chosen.roles))
    with ProcessPoolExecutor(chosen.processes, mp_context=get_context("spawn")) as pool:
        for made in pool.map(cell, *zip(*grid, strict=True)):
            told = f"{made['task']} {made['arm']} seed {made['seed']} {made['budget']:g} s {made['role']}"
            print(f"{told}: valid {made['valid']:.4f}, test MAE {score(made):.4g}, {made['steps']} steps", flush=True)
            if chosen.out:
                with chosen.out.open("a") as file:
                    file.write(json.dumps(made) + "\n")


if __name__ == "__main__":
    main()
