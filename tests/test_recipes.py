"""Every recipe is complete, known to the program, and trains."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

from tsforecast.cli.options import KNOWN, Flags
from tsforecast.config import resolve, toml_layer
from tsforecast.data.read import read
from tsforecast.errors import UsageError
from tsforecast.options import ColumnOptions, FitOptions, ReadOptions
from tsforecast.recipes import FOLDER, find_recipe, names
from tsforecast.training.preparation import prepare

ROWS = 1_500
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path: Path = tmp_path_factory.mktemp("recipes") / "data.csv"
    step = np.arange(ROWS)
    value = 10 + np.sin(2 * np.pi * step / 24) + np.random.default_rng(0).normal(size=ROWS)
    moment = np.datetime64("2024-01-01T00:00") + step.astype("m8[h]")
    series = np.repeat(["p", "q"], ROWS // 2)
    path.write_text(
        "time,a,b,id\n"
        + "".join(f"{t},{v:.3f},{2 * v:.3f},{name}\n" for t, v, name in zip(moment, value, series, strict=True))
    )
    return path


@pytest.mark.parametrize("name", names())
def test_a_recipe_says_what_it_is(name):
    recipe = find_recipe(name)
    assert recipe.summary
    assert recipe.source
    assert recipe.text.startswith("# ")
    assert "recipe" not in recipe.layer.top
    assert ("not measured here" in recipe.text) == (not recipe.measured)
    for line in recipe.measured:  # a figure, and the command that gives it
        script = re.search(r"\d.* \(python (benchmarks/\w+\.py)\b.*\)$", line)
        assert script and (ROOT / script[1]).is_file()


@pytest.mark.parametrize("target", [("a",), ("a", "b")])
@pytest.mark.parametrize("name", names())
def test_a_recipe_can_be_prepared(name, target, data):
    settings = resolve([find_recipe(name).layer], KNOWN)
    options = settings.build(FitOptions)
    columns = ColumnOptions(target=target, series_id="id" if options.local else "")
    task = prepare(read([str(data)], ReadOptions()), columns, ReadOptions(), options, settings.model, settings.trainer)
    assert np.isfinite(task.objective.valid_loss(task.forecaster.params))
    assert task.forecaster.options.model == settings.top["model"]


def test_an_unknown_recipe_is_refused_with_the_nearest_name():
    with pytest.raises(UsageError, match="unknown recipe 'cycle-liner'") as refused:
        find_recipe("cycle-liner")
    assert "cycle-linear" in refused.value.hint


def test_a_file_outranks_a_recipe_and_a_recipe_the_project_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("tsforecast.toml").write_text("lags = 5\nseed = 3\n")
    Path("own.toml").write_text("horizon = 7\n")
    top = Flags({"patience": "2"}).settings(Path("own.toml"), recipe="cycle-linear").top
    assert (top["patience"], top["horizon"], top["lags"], top["seed"]) == ("2", 7, 720, 3)
    assert Flags({}).settings(recipe="cycle-linear").origins["lags"] == "--recipe cycle-linear"


def test_a_recipe_is_a_file_for_config_too():
    path = FOLDER / "sparse.toml"
    assert toml_layer(path).top == find_recipe("sparse").layer.top
    assert tomllib.loads(path.read_text())["recipe"]["measured"] is not None
