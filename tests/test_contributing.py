"""The recipes of CONTRIBUTING.md work as they are printed: each one passes the contract tests of its registry."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CONTRACTS = [
    "tests/models/test_network_contract.py",
    "tests/trainers/test_trainer_contract.py",
    "tests/metrics/test_metrics.py",
]
BLOCK = re.compile(r"`(tsforecast/\S+\.py)`:\n\n```python\n(.*?)```.*?In `([A-Z]+)` of .*?```python\n(.*?)```", re.S)


def recipes():
    """Yield registry, name, class, path and source of every recipe."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for path, source, registry, line in BLOCK.findall(text):
        name, module, attribute = re.fullmatch(r'"(\w+)": "([\w.]+):(\w+)",\n', line).groups()
        assert path == module.replace(".", "/") + ".py"
        yield registry, name, attribute, path, source


def test_there_is_a_recipe_for_each_of_the_three():
    assert [registry for registry, *_ in recipes()] == ["MODELS", "TRAINERS", "METRICS"]


@pytest.fixture(scope="module")
def plugin(tmp_path_factory):
    """Write each recipe as a module, and a plug-in of pytest that registers them."""
    folder = tmp_path_factory.mktemp("recipes")
    lines = ["from tsforecast import registry"]
    for registry, name, attribute, _, source in recipes():
        (folder / f"recipe_{name}.py").write_text(source, encoding="utf-8")
        lines.append(f"registry.{registry}.add('{name}', 'recipe_{name}:{attribute}')")
    oracle = re.search(r"one line in `ORACLES`.*?```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.S)
    lines += [
        "def pytest_collection_modifyitems(items):",
        "    import math",
        "    for module in {item.module for item in items if hasattr(item.module, 'ORACLES')}:",
        f"        module.ORACLES |= eval({'{' + oracle.group(1) + '}'!r}, vars(module))",
    ]
    (folder / "recipes.py").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def test_every_recipe_passes_the_contract_tests(plugin):
    names = [name for _, name, *_ in recipes()]
    command = [sys.executable, "-m", "pytest", "-p", "recipes", "-p", "no:cacheprovider", "-n", "0", "-rp", *CONTRACTS]
    wanted = " or ".join([*names, "test_every_metric_has_an_oracle"])
    environment = os.environ | {"PYTHONPATH": f"{plugin}{os.pathsep}{ROOT}"}
    done = run([*command, "-k", wanted], cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(re.search(rf"PASSED .*\[{name}", done.stdout) for name in names)


@pytest.mark.parametrize("tool", [("check",), ("format", "--check")])
def test_every_recipe_is_clean(tool):
    for *_, path, source in recipes():
        done = run(
            [sys.executable, "-m", "ruff", *tool, "--no-cache", "--stdin-filename", path, "-"], cwd=ROOT, input=source
        )
        assert done.returncode == 0, done.stdout + done.stderr


def run(command, **options):
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, **options)
