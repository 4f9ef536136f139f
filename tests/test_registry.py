"""Registries: every entry can be imported and says what it is; a wrong name is told the right one."""

from __future__ import annotations

import dataclasses

import pytest

from tsforecast import registry
from tsforecast.errors import UsageError
from tsforecast.registry import COMMANDS, MODELS, TRAINERS, Registry

REGISTRIES = {name: value for name, value in vars(registry).items() if isinstance(value, Registry)}
ENTRIES = [(kind, name) for kind, entries in REGISTRIES.items() for name in entries]


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_every_entry_can_be_imported(kind, name):
    assert callable(REGISTRIES[kind].get(name))


@pytest.mark.parametrize("name", [*MODELS, *TRAINERS])
def test_models_and_trainers_describe_themselves(name):
    for entries in (MODELS, TRAINERS):
        if name in entries:
            cls = entries.get(name)
            assert cls.summary
            assert cls.source or name == "none"
            assert dataclasses.is_dataclass(cls.Config)
            assert all(f.metadata["help"] for f in dataclasses.fields(cls.Config))
            cls.Config()
    if name in MODELS:
        assert MODELS.get(name).trainer in TRAINERS


def test_a_wrong_name_is_told_the_right_one():
    with pytest.raises(UsageError, match="unknown model 'lstn'; did you mean 'lstm'"):
        MODELS.get("lstn")
    with pytest.raises(UsageError, match="unknown model 'zzz'; choose from drift, gru"):
        MODELS.check("zzz")
    with pytest.raises(UsageError, match="did you mean 'lstm'"):
        MODELS.check("LSTM")


def test_a_name_can_be_taken_once():
    own = Registry("model", {"one": "math:sqrt"})
    own.add("two", "math:floor")
    assert list(own) == ["one", "two"]
    assert own.get("two")(2.5) == 2
    assert "two" in own
    with pytest.raises(UsageError, match="already registered as math:sqrt"):
        own.add("one", "math:ceil")


def test_checking_a_name_imports_nothing():
    assert Registry("model", {"one": "no_such_module:thing"}).check("one") == "one"


def test_commands_exist():
    assert {"train", "predict", "evaluate", "info", "models", "trainers", "metrics", "demo"} <= set(COMMANDS)
