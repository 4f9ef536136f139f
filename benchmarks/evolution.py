"""Networks evaluated per second by evolution: the genetic trainer, and what users of DEAP, PyGAD and EvoTorch write.

    python benchmarks/evolution.py --data ../shared/data [--peers PYTHON]

A NARX network of 458 parameters forecasts wind speed 24 steps ahead in closed loop, temperature is a known input. Its
loss is the mean absolute error over the same windows for all, which is checked before anything is timed. Contestants
are processes that stay alive; rounds take turns (A B C A B C ...) and medians over rounds are printed, so that a
drifting machine slows all alike. An evaluation is one network on all windows; rates count whole generations: selection,
variation, evaluation and, for tsforecast only, validation. By itself ``train`` takes one thread for this network.
--peers names an interpreter that has torch, pygad and evotorch; DEAP runs in our own environment.

Unfair to tsforecast: it alone judges its answer on validation windows, and EvoTorch runs SNES, whose variation costs
less than a genetic algorithm's. Unfair to DEAP and PyGAD: their users, too, could evaluate a population as one tensor,
as the row "by hand" does, which knows this one network only, and DEAP's map could use a pool of processes.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

LAGS, HORIZON, HIDDEN = 24, 24, 8
REGRESSORS = 2 * LAGS + 1  # y(t-1..t-24), u(t-1..t-24), u(t)
PARAMETERS = (REGRESSORS + 1) * (HIDDEN + 1) + HIDDEN
SEED = 1
ENDLESS = 10**9  # generations, of which all are judged by the same windows
CHUNK = 25  # networks in a batched product by hand: the fastest of 10, 25, 50, 100 and 200
REFERENCE = "DEAP, loop over individuals"


class Clock:
    """A contestant's side of the measurement: it counts, and answers the parent."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        import torch

        torch.set_num_threads(chosen.threads[0])
        torch.manual_seed(SEED)
        random.seed(SEED)
        self.turn, self.left, self.out = chosen.turn, 1, os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # what libraries print is no answer
        self.sums = {"evaluation": 0.0, "validation": 0.0, "evaluations": 0.0}
        self.before: dict[str, float] = {}
        self.answer = lambda values: print(json.dumps(values), file=self.out, flush=True)

    def timed(self, function: Callable[..., Any], count: Callable[..., int], what: str = "evaluation") -> Any:
        """Return the function with its seconds and evaluations noted."""

        def wrapped(*args: Any) -> Any:
            began = time.perf_counter()
            value = function(*args)
            self.sums[what] += time.perf_counter() - began
            self.sums["evaluations"] += count(*args)
            return value

        return wrapped

    def generation(self, *_: Any) -> None:
        """Note the end of a generation, the first of which is a warm-up; end the process when no more are wanted."""
        self.left -= 1
        if self.left == 0:
            now = {**self.sums, "seconds": time.perf_counter()}
            if self.before:
                self.answer({name: value - self.before[name] for name, value in now.items()})
            if not sys.stdin.readline():
                raise SystemExit
            self.left, self.before = self.turn, {**self.sums, "seconds": time.perf_counter()}


def forward(flat: Any, past: Any, inputs: Any) -> Any:
    """Return forecasts (B, 24) of one network (458,), given past (B, 24), newest first, and inputs (24, B, 25)."""
    import torch

    linear = torch.nn.functional.linear
    hidden, bias, out, out_bias, skip = unpack(flat)
    history, outputs = past, []
    for step in inputs:
        r = torch.cat([history, step], 1)
        y = linear(torch.tanh(linear(r, hidden.T, bias)), out.T, out_bias) + linear(r, skip.T)
        outputs.append(y)
        history = torch.cat([y, history[:, :-1]], 1)
    return torch.cat(outputs, 1)


def unpack(flat: Any) -> Iterator[Any]:
    """Yield the tensors of parameters (..., 458)."""
    first = 0
    for shape in ((REGRESSORS, HIDDEN), (HIDDEN,), (HIDDEN, 1), (1,), (REGRESSORS, 1)):
        size = int(np.prod(shape))
        yield flat[..., first : first + size].reshape(*flat.shape[:-1], *shape)
        first += size


def vectorized_losses(flat: Any, past: Any, inputs: Any, target: Any) -> Any:
    """Return the losses of networks (n, 458), with a population axis written by hand for this network."""
    import torch

    if len(flat) > CHUNK:
        return torch.cat([vectorized_losses(part, past, inputs, target) for part in flat.split(CHUNK)])
    hidden, bias, out, out_bias, skip = unpack(flat)
    count, (steps, windows, _) = len(flat), inputs.shape
    rows = torch.cat([hidden, skip], 2).transpose(1, 2)  # (n, 9, 49)
    recurrent = rows[:, :, :LAGS].flip(2).contiguous()  # the track runs forwards in time
    known = inputs.reshape(steps * windows, -1) @ rows[:, :, LAGS:].reshape(count * (HIDDEN + 1), -1).T  # of all steps
    known = known.view(steps, windows, count, HIDDEN + 1).permute(0, 2, 3, 1)
    known = (known + torch.cat([bias, out_bias], 1)[:, :, None]).contiguous()  # (24, n, 9, B)
    track = flat.new_empty((count, LAGS + steps, windows))
    track[:, :LAGS] = past.flip(1).T
    out = out.transpose(1, 2).contiguous()
    for t in range(steps):
        z = torch.baddbmm(known[t], recurrent, track[:, t : t + LAGS])
        track[:, LAGS + t] = torch.baddbmm(z[:, HIDDEN:], out, torch.tanh(z[:, :HIDDEN]))[:, 0]
    return (track[:, LAGS:] - target.T).abs().mean((1, 2))


# The contestants: each says what it makes of the probes, then calls clock.generation() after each generation


def run_tsforecast(clock: Clock, chosen: argparse.Namespace) -> None:
    """``train -m narx --trainer genetic``, driven as fitting does; writes the windows for the others."""
    from tsforecast.data.read import read
    from tsforecast.options import ColumnOptions, FitOptions, ReadOptions
    from tsforecast.trainers.objective import Objective
    from tsforecast.trainers.population import Evaluator
    from tsforecast.training.preparation import prepare

    used, losses = list[Evaluator](), Evaluator.losses

    def count(evaluator: Evaluator, rows: np.ndarray) -> int:
        used[:] = [evaluator]
        return len(rows)

    Evaluator.losses = clock.timed(losses, count)
    Objective.valid_loss = clock.timed(Objective.valid_loss, lambda *_: 0, "validation")
    table = read([chosen.data / "dtu_lyngby/dtu_hourly_2015_2018.csv"], ReadOptions())
    columns = ColumnOptions(target=("wind_speed_ms",), future=("air_temp_c",))
    options = FitOptions(horizon=HORIZON, lags=str(LAGS), model="narx", trainer="genetic", normalize="none", seed=SEED)
    model = {"hidden": (HIDDEN,), "loop": "closed", "input_lags": f"0:{LAGS}"}
    trainer = {"population": chosen.population, "windows": chosen.windows, "generations": ENDLESS, "resample": ENDLESS}
    task = prepare(table, columns, ReadOptions(), options, model, trainer)
    stream = task.trainer.fit(task.objective, dict(task.forecaster.params), seed=SEED)
    next(stream)
    write_windows({k: np.asarray(v) for k, v in used[0].batch.items()}, chosen.file)
    clock.answer(losses(used[0], load(chosen)[0] / used[0].genome.scale).tolist())
    while True:
        task.trainer.state()  # as fitting keeps it
        clock.generation()
        next(stream)


def write_windows(batch: dict[str, np.ndarray], file: str) -> None:
    """Write windows as the users' networks read them, and the networks to be compared."""
    u = np.concatenate([batch["past_covariates"], batch["future_covariates"]], 1)[:, :, 0]
    inputs = np.stack([u[:, [*range(LAGS + t - 1, t - 1, -1), LAGS + t]] for t in range(HORIZON)])
    probes = np.float32(0.1) * np.random.default_rng(SEED).standard_normal((6, PARAMETERS), dtype=np.float32)
    past, target = batch["past_target"][:, ::-1, 0].copy(), batch["future_target"][:, :, 0]
    np.savez(file, probes=probes, past=past, inputs=inputs, target=target)


def load(chosen: argparse.Namespace) -> list[Any]:
    """Return the networks to be compared, and past, inputs and target as tensors."""
    import torch

    data = np.load(chosen.file)
    return [data["probes"], *(torch.from_numpy(data[name]) for name in ("past", "inputs", "target"))]


def run_deap(clock: Clock, chosen: argparse.Namespace) -> None:
    """algorithms.eaSimple with list individuals; all are new in each generation, so all are evaluated."""
    import torch
    from deap import algorithms, base, creator, tools

    probes, past, inputs, target = load(chosen)
    creator.create("FitnessMin", base.Fitness, weights=(-1.0,))
    creator.create("Individual", list, fitness=creator.FitnessMin)

    def evaluate(individual: list[float]) -> tuple[float]:
        with torch.no_grad():
            return ((forward(torch.tensor(individual), past, inputs) - target).abs().mean().item(),)

    toolbox = base.Toolbox()
    toolbox.register("attribute", random.gauss, 0.0, 0.1)
    toolbox.register("mate", tools.cxSimulatedBinary, eta=10.0)
    toolbox.register("mutate", tools.mutGaussian, mu=0.0, sigma=0.05, indpb=0.1)
    toolbox.register("select", tools.selTournament, tournsize=3)
    toolbox.register("evaluate", clock.timed(evaluate, lambda _: 1))
    clock.answer([evaluate(row)[0] for row in probes.tolist()])
    people = [tools.initRepeat(creator.Individual, toolbox.attribute, PARAMETERS) for _ in range(chosen.population)]
    end = SimpleNamespace(update=clock.generation)  # of each generation
    algorithms.eaSimple(people, toolbox, cxpb=0.9, mutpb=1.0, ngen=ENDLESS, halloffame=end, verbose=False)


def run_pygad(clock: Clock, chosen: argparse.Namespace) -> None:
    """torchga.predict in fitness_func and pygad.GA with its default operators, as its documentation shows."""
    import pygad.torchga
    import torch

    probes, past, inputs, target = load(chosen)

    class Network(torch.nn.Module):
        def forward(self, windows: Any) -> Any:
            return forward(self.flat, *windows)

    model, loss = Network(), torch.nn.L1Loss()
    model.flat = torch.nn.Parameter(0.1 * torch.randn(PARAMETERS))

    def fitness(solution: np.ndarray) -> Any:
        predictions = pygad.torchga.predict(model=model, solution=solution, data=(past, inputs))
        return 1.0 / (loss(predictions, target).detach().numpy() + 1e-8)

    clock.answer([1.0 / float(fitness(row)) for row in probes])
    timed = clock.timed(fitness, lambda _: 1)
    start = pygad.torchga.TorchGA(model=model, num_solutions=chosen.population)
    pygad.GA(
        num_generations=ENDLESS,
        num_parents_mating=chosen.population // 2,
        initial_population=start.population_weights,
        fitness_func=lambda _ga, solution, _index: timed(solution),
        on_generation=lambda _ga: clock.generation(),
    ).run()


def run_evotorch(clock: Clock, chosen: argparse.Namespace, *, by_hand: bool = False) -> None:
    """SNES over a vectorised problem: @rowwise (torch.func.vmap) around the plain network, or written by hand."""
    import torch
    from evotorch import Problem
    from evotorch.algorithms import SNES
    from evotorch.decorators import rowwise, vectorized

    probes, past, inputs, target = load(chosen)
    own = rowwise(lambda flat: (forward(flat, past, inputs) - target).abs().mean())

    @torch.no_grad()
    def evaluate(values: Any) -> Any:
        flat = values.as_subclass(torch.Tensor)  # the library hands over a read-only subclass
        return vectorized_losses(flat, past, inputs, target) if by_hand else own(flat)

    clock.answer(evaluate(torch.from_numpy(probes)).tolist())
    sizes = {"solution_length": PARAMETERS, "initial_bounds": (-0.1, 0.1), "dtype": torch.float32, "seed": SEED}
    problem = Problem("min", vectorized(clock.timed(evaluate, len)), **sizes)
    search = SNES(problem, popsize=chosen.population, stdev_init=0.1)
    while True:
        search.step()
        clock.generation()


CONTESTANTS: dict[str, Callable[[Clock, argparse.Namespace], None]] = {
    "tsforecast, genetic trainer": run_tsforecast,
    REFERENCE: run_deap,
    "PyGAD, torchga": run_pygad,
    "EvoTorch, @rowwise": run_evotorch,
    "EvoTorch, @vectorized by hand": functools.partial(run_evotorch, by_hand=True),
}


class Process:
    """The parent's side of a contestant; ``losses`` of the probes, or in ``missing`` why there are none."""

    def __init__(self, name: str, threads: int, folder: str, chosen: argparse.Namespace) -> None:
        python = chosen.peers if chosen.peers and name.startswith(("PyGAD", "EvoTorch")) else sys.executable
        words = [python, __file__, f"--worker={name}", f"--file={folder}/windows.npz", f"--threads={threads}"]
        words += [f"--{k}={getattr(chosen, k)}" for k in ("data", "population", "windows", "turn")]
        self.name, self.rounds, errors = name, list[dict[str, float]](), Path(folder) / f"{name}.txt"
        how = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        how["env"] = os.environ | {"OMP_NUM_THREADS": str(threads)}
        with errors.open("w") as file:
            self.child: Any = subprocess.Popen(words, stderr=file, **how)
        line, self.missing = self.child.stdout.readline(), ""
        self.losses = np.array(json.loads(line or "[]"))
        if not line:
            self.child.wait()
            self.missing = (errors.read_text().strip().splitlines() or ["it ended"])[-1]

    def rates(self, part: str = "seconds") -> list[float]:
        return [r["evaluations"] / r[part] for r in self.rounds]

    def cells(self, base: list[float]) -> str:
        """Return the figures of this contestant, given the rates of the reference in the same rounds."""
        if self.missing:
            return f"not measured: {self.missing} | | | |"
        median, rates = statistics.median, self.rates()
        rest = median(1 - (r["evaluation"] + r["validation"]) / r["seconds"] for r in self.rounds)
        validation = median(r["validation"] / r["seconds"] for r in self.rounds)
        ratio = f"{median(a / b for a, b in zip(rates, base, strict=True)):.2f}" if base else ""
        whole = f"{median(rates):.0f} ({min(rates):.0f} to {max(rates):.0f})"
        return f"{whole} | {median(self.rates('evaluation')):.0f} | {rest:.0%} | {validation:.0%} | {ratio}"


def measure(threads: int, folder: str, chosen: argparse.Namespace) -> float:
    """Print the rows of all contestants with so many threads each; return the largest difference of a loss."""
    started = [Process(name, threads, folder, chosen) for name in CONTESTANTS]  # the first writes the windows
    there = [p for p in started if not p.missing]
    if started[0] not in there:
        raise SystemExit(f"{started[0].name}: {started[0].missing}")
    differences = {p.name: float(np.abs(p.losses / started[0].losses - 1).max()) for p in there}
    if not max(differences.values()) < 1e-4:
        raise SystemExit(f"the contestants compute different losses: {differences}")
    for _ in range(chosen.rounds):
        for process in there:
            print("go", file=process.child.stdin, flush=True)
            process.rounds.append(json.loads(process.child.stdout.readline()))
    base = next(p.rates() for p in started if p.name == REFERENCE)
    for process in started:
        process.child.communicate()  # the end of its input ends it
        print(f"| {process.name} | {threads} | {process.cells(base)} |", flush=True)
    return max(differences.values())


def main() -> None:
    """Measure and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--peers", help="interpreter that has torch, pygad and evotorch")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--population", type=int, default=200)
    parser.add_argument("--windows", type=int, default=128)
    parser.add_argument("--turn", type=int, default=3, help="generations in a row")
    parser.add_argument("--worker", choices=list(CONTESTANTS), help=argparse.SUPPRESS)
    parser.add_argument("--file", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.worker:
        try:
            CONTESTANTS[chosen.worker](Clock(chosen), chosen)
        except ImportError as problem:
            raise SystemExit(f"{problem} in {sys.executable}") from None
    titles = "contestant | threads | evaluations/s | evaluation only | selection, variation | validation | times DEAP"
    print(f"{chosen.windows} windows, population {chosen.population}\n\n| {titles} |\n{'|---' * 7}|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        worst = max([measure(threads, folder, chosen) for threads in chosen.threads])
    print(f"\nLargest relative difference of a loss between contestants: {worst:.1e}")


if __name__ == "__main__":
    main()
