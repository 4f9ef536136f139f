"""The house stands: imports run downwards, heavy libraries stay where they belong, functions and files stay short."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tsforecast.registry import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "tsforecast"
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
LONGEST_FUNCTION, LONGEST_FILE = 60, 350
LAYERS = (
    {"errors", ""},
    {"conditions", "registry", "lag_sets", "config", "durations", "options", "files", "plain", "versions"},
    {"domains", "ops", "recipes"},
    {"data", "models", "metrics", "trainers"},
    {"forecasting"},
    {"artifact"},
    {"training", "evaluating"},
    {"comparing", "tuning"},
    {"api", "plots"},
    {"cli"},
    {"__main__"},
)
HEAVY = ("torch", "pandas", "matplotlib", "sklearn", "scipy", "deap")
OPTIMIZING = ("tsforecast.training", "tsforecast.trainers", "tsforecast.ops.torch_ops")


@cache
def tree(module):
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def is_type_checking(node):
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def statements(node, *, lazy):
    """Yield every node that runs; what only type checkers read is left out, and function bodies unless ``lazy``."""
    for child in ast.iter_child_nodes(node):
        if is_type_checking(child):
            continue
        if not lazy and isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        yield child
        yield from statements(child, lazy=lazy)


def imports(module, *, lazy=True):
    """Return the modules that a module imports; ``from package import module`` counts as the module."""
    found = set()
    for node in statements(tree(module), lazy=lazy):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found.update(name if name in MODULES else node.module for name in names)
    return found


def part(module):
    return module.split(".")[1] if "." in module else ""


def layer(module):
    return next(height for height, names in enumerate(LAYERS) if part(module) in names)


def own(names):
    return {name for name in names if name.split(".")[0] == "tsforecast"}


def within(module, *packages):
    return any(module == package or module.startswith(package + ".") for package in packages)


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_downwards(module):
    upwards = {name for name in own(imports(module)) if layer(name) > layer(module)}
    assert upwards == set()


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [
        ("tsforecast.models", ("tsforecast.trainers", "tsforecast.data", "tsforecast.metrics", *HEAVY)),
        ("tsforecast.trainers", ("tsforecast.models", "tsforecast.metrics", "tsforecast.data.read")),
        ("tsforecast.metrics", ("tsforecast.data", "tsforecast.models", "tsforecast.trainers", "torch", "pandas")),
        ("tsforecast.forecasting", ("tsforecast.trainers", "torch", "sklearn", "scipy")),
        ("tsforecast.training", ("tsforecast.evaluating",)),
        ("tsforecast.evaluating", ("tsforecast.training", "tsforecast.trainers")),
        ("tsforecast.data", ("tsforecast.models", "tsforecast.trainers", "tsforecast.metrics", "torch")),
    ],
)
def test_neighbours_do_not_know_each_other(package, forbidden):
    found = {(m, name) for m in MODULES if within(m, package) for name in imports(m) if within(name, *forbidden)}
    assert found == set()


@pytest.mark.parametrize(("library", "allowed"), [("matplotlib", ("tsforecast.plots",)), ("torch", OPTIMIZING)])
def test_libraries_stay_where_they_belong(library, allowed):
    users = {m for m in MODULES for name in imports(m) if within(name, library)}
    assert {m for m in users if not within(m, *allowed)} == set()


def test_nothing_is_imported_in_a_circle():
    graph = {module: own(imports(module, lazy=False)) - {module, "tsforecast"} for module in MODULES}
    assert len(list(graphlib.TopologicalSorter(graph).static_order())) >= len(graph)


@pytest.mark.parametrize("module", MODULES)
def test_only_the_command_line_prints(module):
    if within(module, "tsforecast.cli"):
        return
    calls = [node for node in ast.walk(tree(module)) if isinstance(node, ast.Call)]
    assert [node.lineno for node in calls if ast.unparse(node.func) in ("print", "sys.stdout.write")] == []


@pytest.mark.parametrize("module", MODULES)
def test_functions_and_files_are_short(module):
    lines = MODULES[module].read_text(encoding="utf-8").count("\n")
    functions = [node for node in ast.walk(tree(module)) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    long = {f.name: size for f in functions if (size := f.end_lineno - f.lineno + 1) > LONGEST_FUNCTION}
    assert long == {}
    assert lines <= LONGEST_FILE


def loaded_by(code, *arguments):
    """Run code in a process of its own; return which heavy libraries it has loaded in the end."""
    report = f"import sys; print('loaded', *[m for m in {HEAVY} if m in sys.modules], file=sys.stderr)"
    program = f"import atexit\natexit.register(lambda: exec({report!r}, {{}}))\n{code}"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr.rpartition("loaded")[2].split()


RUN = "import sys\nfrom tsforecast.cli.app import run\nsys.exit(run(sys.argv[1:]))"


def test_importing_the_package_loads_nothing_heavy():
    assert loaded_by("import tsforecast") == []


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_help_loads_nothing_heavy(command):
    assert loaded_by(RUN, *([command] if command else []), "--help") == []


def test_baselines_and_prediction_load_nothing_heavy(tmp_path):
    """A model without a gradient trains without torch, and every model predicts without it."""
    data = tmp_path / "data.csv"
    rows = [f"2024-01-{1 + t // 24:02d} {t % 24:02d}:00,{(t * 7) % 24},{t % 5}" for t in range(480)]
    data.write_text("\n".join(["time,load,wind", *rows]) + "\n")
    model = tmp_path / "m.safetensors"
    said = ["-t", "load", "--past", "wind", "-q", "-o", str(model)]
    assert loaded_by(RUN, "train", str(data), *said, "-m", "linear") == []
    small = ["--set", "model.hidden=4", "--set", "trainer.steps=1", "--set", "trainer.epoch_size=32", "--force"]
    assert "torch" in loaded_by(RUN, "train", str(data), *said, "-m", "gru", *small)
    assert loaded_by(RUN, "predict", str(model), str(data)) == []
