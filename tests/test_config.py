"""Options: from loosely typed values to checked dataclasses, and the order of precedence of where they come from."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

import pytest

from tsforecast.config import (
    Layer,
    assignments,
    coerce,
    described,
    environment_layer,
    make,
    option,
    resolve,
    toml_layer,
)
from tsforecast.errors import UsageError
from tsforecast.options import ColumnOptions, FitOptions, ReadOptions


@dataclass(frozen=True)
class Sample:
    count: int = option(1, "A count.", low=1, high=10)
    rate: float = option(0.5, "A rate.", low=0)
    name: str = option("a", "A name.", choices=("a", "b"))
    sizes: tuple[int, ...] = option((1,), "Sizes.", low=1)
    levels: tuple[float, ...] = option((), "Levels.", high=0.9)
    cap: float | None = option(None, "A cap.")
    on: bool = option(False, "A switch.")


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (int, "7", 7),
        (int, 7.0, 7),
        (float, "1e-3", 1e-3),
        (float, 2, 2.0),
        (str, 24, "24"),
        (bool, "Yes", True),
        (bool, "off", False),
        (bool, True, True),
        (tuple[int, ...], "64,32", (64, 32)),
        (tuple[int, ...], [64, "32,16"], (64, 32, 16)),
        (tuple[int, ...], 64, (64,)),
        (tuple[int, ...], "", ()),
        (tuple[str, ...], ["a, b", "c"], ("a", "b", "c")),
        (float | None, "none", None),
        (float | None, "", None),
        (float | None, "3.5", 3.5),
        (bool | None, "false", False),
    ],
)
def test_values_become_the_type_of_their_option(kind, value, expected):
    got = coerce(kind, value, "x")
    assert got == expected
    assert type(got) is type(expected)


@pytest.mark.parametrize(
    ("kind", "value", "word"),
    [
        (int, "many", "a whole number"),
        (int, "1.5", "a whole number"),
        (int, 1.5, "a whole number"),
        (int, float("inf"), "a whole number"),
        (int, float("nan"), "a whole number"),
        (int, True, "a whole number"),
        (float, "fast", "a number"),
        (float, [1.0], "a number"),
        (bool, "maybe", "true or false"),
        (tuple[int, ...], "3,x", "a whole number"),
        (float | None, "x", "a number"),
    ],
)
def test_values_that_do_not_fit_are_refused(kind, value, word):
    with pytest.raises(UsageError, match=f"size: '.*' is not {word}"):
        coerce(kind, value, "size")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"count": 0}, "count: 0 is too small; the smallest value is 1"),
        ({"count": "11"}, "count: 11 is too large; the largest value is 10"),
        ({"rate": "nan"}, "rate: 'nan' is not finite"),
        ({"rate": float("inf")}, "rate: 'inf' is not finite"),
        ({"levels": "0.1,-inf"}, "levels: '-inf' is not finite"),
        ({"levels": "10,90"}, "levels: 10.0 is too large; the largest value is 0.9; shares, not percent: 0.1,0.9"),
        ({"levels": "0.1,0.95"}, "levels: 0.95 is too large; the largest value is 0.9"),
        ({"sizes": "4,0"}, "sizes: 0 is too small"),
        ({"name": "c"}, "name: 'c' is not known; choose from a, b"),
        ({"cuont": 3}, "unknown option 'm.cuont'; did you mean 'm.count'?"),
    ],
)
def test_a_dataclass_is_checked(values, message):
    with pytest.raises(UsageError) as caught:
        make(Sample, values, "m")
    assert message.removeprefix("unknown option") in str(caught.value)


def test_defaults_pass_their_own_checks():
    for cls in (Sample, ReadOptions, ColumnOptions, FitOptions):
        said = {name: default for name, _, default, _ in described(cls) if default is not None and name != "horizon"}
        assert make(cls, said) == cls()


def test_every_option_has_help_and_flags_are_unique():
    rows = [row for cls in (ReadOptions, ColumnOptions, FitOptions) for row in described(cls)]
    assert all(metadata["help"] for *_, metadata in rows)
    names = [name for name, *_ in rows]
    shorts = [metadata["short"] for *_, metadata in rows if metadata["short"]]
    assert len(set(names)) == len(names)
    assert len(set(shorts)) == len(shorts)


def test_the_strongest_layer_wins():
    layers = [
        Layer("command line", {"horizon": "3"}, {"hidden": "8"}),
        Layer("environment", {"horizon": "4", "lags": "9"}),
        Layer("f.toml", {"lags": "5", "seed": 1}, {"hidden": 16, "layers": 2}, {"steps": 5}),
    ]
    settings = resolve(layers, [FitOptions])
    options = settings.build(FitOptions)
    assert (options.horizon, options.lags, options.seed) == (3, "9", 1)
    assert settings.model == {"hidden": "8", "layers": 2}
    assert settings.trainer == {"steps": 5}
    origins = {"horizon": "command line", "lags": "environment", "seed": "f.toml"}
    assert settings.origins.items() >= (origins | {"model.hidden": "command line", "trainer.steps": "f.toml"}).items()


def test_an_unknown_option_names_its_place():
    with pytest.raises(UsageError, match=r"f\.toml: unknown option 'horizn'; did you mean 'horizon'"):
        resolve([Layer("f.toml", {"horizn": 3})], [FitOptions])


def test_toml_may_name_model_and_trainer_with_their_options(tmp_path):
    path = tmp_path / "f.toml"
    path.write_text('time-budget = "5m"\nvalid = 0.3\n[model]\nname = "lstm"\nhidden = 32\n[trainer]\nsteps = 3\n')
    layer = toml_layer(path)
    assert layer.top == {"time_budget": "5m", "valid": 0.3, "model": "lstm"}
    assert (layer.model, layer.trainer) == ({"hidden": 32}, {"steps": 3})
    path.write_text('model = "gru"\ntest = 2024-03-01\n')
    options = resolve([toml_layer(path)], [FitOptions]).build(FitOptions)
    assert (options.model, options.test) == ("gru", "2024-03-01")


def test_toml_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"cannot read .*absent\.toml: No such file"):
        toml_layer(tmp_path / "absent.toml")
    (tmp_path / "bad.toml").write_text("horizon = ")
    with pytest.raises(UsageError, match=r"bad\.toml is not valid TOML"):
        toml_layer(tmp_path / "bad.toml")
    (tmp_path / "latin.toml").write_bytes(b'time = "\xe9"')
    with pytest.raises(UsageError, match=r"latin\.toml is not valid TOML"):
        toml_layer(tmp_path / "latin.toml")


def test_the_environment_gives_options():
    layer = environment_layer({"TSFORECAST_TIME_BUDGET": "60s", "TSFORECAST_DEBUG": "1", "HOME": "/root"})
    assert layer.top == {"time_budget": "60s"}


def test_assignments_are_split_by_section():
    assert assignments(["model.hidden=64", " trainer.optimizer = sgd", "model.input_lags=0:3=x"]) == (
        {"hidden": "64", "input_lags": "0:3=x"},
        {"optimizer": "sgd"},
    )
    for pair in ("hidden=64", "model.hidden", "data.x=1", "model.=3"):
        with pytest.raises(UsageError, match=f"--set {pair}: not understood"):
            assignments([pair])


def test_config_stays_light():
    code = "import sys, tsforecast.config; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("values", "hint"), [({"count": "many"}, "like 12"), ({"rate": "abc"}, "like 0.5"), ({"on": "maybe"}, "like true")]
)
def test_a_value_of_another_kind_is_refused_with_an_example(values, hint):
    with pytest.raises(UsageError) as caught:
        make(Sample, values, "m")
    assert caught.value.hint == f"write it {hint}"


def test_a_horizon_of_nothing_is_refused_where_somebody_says_it():
    with pytest.raises(UsageError, match="horizon: 0 is too small; the smallest value is 1"):
        make(FitOptions, {"horizon": 0})
    assert make(FitOptions, {}).horizon == 0


def test_a_name_that_no_option_has_may_be_one_beside_them():
    layer = Layer("argument", {"horizn": 3})
    with pytest.raises(UsageError, match="argument: unknown option 'horizn'; did you mean 'horizon'"):
        resolve([layer], [ReadOptions], ["horizon"])
