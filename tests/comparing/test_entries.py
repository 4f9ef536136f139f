"""What `--models` says: models, their own settings, files of tune, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tsforecast.comparing.entries import parse_entries, trained_models
from tsforecast.config import Layer, resolve
from tsforecast.errors import UsageError
from tsforecast.options import ColumnOptions, CompareOptions, FitOptions, ReadOptions
from tsforecast.registry import MODELS


def entries(models, model=None, trainer=None, **top):
    layer = Layer("argument", {"models": models, "target": "y", **top}, model or {}, trainer or {})
    settings = resolve([layer], (ReadOptions, ColumnOptions, FitOptions, CompareOptions))
    return parse_entries(settings, settings.build(CompareOptions))


def test_all_are_those_with_something_to_train():
    assert [entry.name for entry in entries("all")] == trained_models()
    assert {"naive", "seasonal_naive", "drift"} == set(MODELS) - set(trained_models())


def test_settings_of_an_entry_are_its_own_and_may_hold_commas_and_ranges():
    first, second, third = entries("narx:lags=1:24,168:model.hidden=4,gru, linear", horizon=6)
    assert first.name == "narx:lags=1:24,168:model.hidden=4"
    assert (first.options.lags, first.model) == ("1:24,168", {"hidden": "4"})
    assert (second.name, second.options.lags, second.model) == ("gru", "", {})
    assert {entry.options.horizon for entry in (first, second, third)} == {6}


def test_common_settings_go_to_those_that_have_them():
    linear, gru = entries("linear,gru", model={"hidden": "4"}, trainer={"steps": 2}, refit=True)
    assert (linear.model, gru.model) == ({}, {"hidden": "4"})
    assert gru.trainer == {"steps": 2}
    assert not gru.options.refit
    assert gru.options.test == "0.2"


def test_common_settings_go_to_those_where_they_have_an_effect():
    conv, linear, gru = entries("tdnn,tdnn:model.form=linear,gru", model={"kernel": 5, "highway": False})
    assert conv.model == {"kernel": 5, "highway": False}
    assert linear.model == {"form": "linear"}
    assert gru.model == {"highway": False}


def test_of_a_file_only_what_makes_a_network_counts(tmp_path):
    path = tmp_path / "found.toml"
    path.write_text(
        'target = "y"\nlags = "12"\nhorizon = 99\ntest = "0.5"\nseed = 7\n[model]\nname = "gru"\nhidden = 8\n'
        '[trainer]\nname = "backprop"\nsteps = 3\n'
    )
    (entry,) = entries(f"{path}:model.hidden=9", horizon=6)
    assert entry.name == "found:model.hidden=9"
    assert (entry.options.model, entry.options.lags, entry.options.horizon) == ("gru", "12", 6)
    assert (entry.options.test, entry.options.seed) == ("0.2", 0)
    assert (entry.model, entry.trainer) == ({"hidden": "9"}, {"steps": 3})


def test_of_a_recipe_only_what_makes_a_network_counts_and_settings_may_follow():
    recipe, gru = entries("cycle-mlp:lags=48:trainer.steps=2,gru", horizon=6)
    assert recipe.name == "cycle-mlp:lags=48:trainer.steps=2"
    assert (recipe.options.model, recipe.model["form"]) == ("tdnn", "mlp")
    assert (recipe.options.lags, recipe.options.horizon, recipe.options.cycle) == ("48", 6, "auto")
    assert (recipe.trainer["steps"], recipe.trainer["schedule"]) == ("2", "step_decay")
    assert (gru.options.cycle, gru.trainer) == ("none", {})


def test_a_file_with_other_columns_is_refused(tmp_path):
    path = tmp_path / "found.toml"
    path.write_text('target = "y"\npast = ["wind"]\nmodel = "gru"\n')
    with pytest.raises(UsageError, match="past is wind there") as refused:
        entries(str(path))
    assert "--past wind" in refused.value.hint
    assert entries(str(path), past="wind")[0].options.model == "gru"


@pytest.mark.parametrize(
    ("models", "settings", "message", "hint"),
    [
        ("grru", {}, "unknown model or recipe 'grru'", "'gru'"),
        ("long-horizn", {}, "unknown model or recipe 'long-horizn'", "'long-horizon'"),
        ("gru:model.hiden=3", {}, "model.hiden", "model.hidden"),
        ("gru:lag=3", {}, "unknown option 'lag'", "'lags'"),
        ("gru:horizon=3", {}, "horizon is the same for all", "--horizon 3"),
        ("naive", {}, "baselines take part anyway", "leave it out"),
        ("linear", {"model": {"hidden": 3}}, "no model that is compared has an option 'model.hidden'", ""),
        ("tdnn", {"model": {"hidden": 3}}, "model.hidden=3 has no effect with model.form=conv", "model.form=mlp"),
        ("tdnn:model.form=linear:model.kernel=5", {}, "kernel=5 has no effect with model.form=linear", "form=conv"),
        ("", {}, "no models", "--models"),
        ("no.toml", {}, "cannot read no.toml", "check the path"),
    ],
)
def test_mistakes_are_named_with_the_next_step(models, settings, message, hint):
    with pytest.raises(UsageError) as refused:
        entries(models, **settings)
    assert message in refused.value.message
    assert hint in refused.value.hint


def test_two_files_of_one_name_are_refused(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "best.toml").write_text('model = "gru"\n')
    with pytest.raises(UsageError, match="'best' twice"):
        entries(",".join(str(Path(tmp_path, folder, "best.toml")) for folder in ("a", "b")))


def test_one_model_for_all_is_refused():
    settings = resolve([Layer("command line", {"model": "gru"})], (FitOptions, CompareOptions))
    with pytest.raises(UsageError, match="--model is for one model"):
        parse_entries(settings, CompareOptions())
