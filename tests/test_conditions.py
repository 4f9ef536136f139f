"""Options that are of certain values of others: what is refused, what is told, and that the marks are true."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import pytest

from tsforecast.conditions import obstacles, sentence
from tsforecast.config import checked, described, effective, make, option
from tsforecast.errors import UsageError
from tsforecast.models.base import Dims, make_network
from tsforecast.models.normalize import roll_out
from tsforecast.ops.numpy_ops import NumpyOps
from tsforecast.registry import MODELS, TRAINERS


@dataclass(frozen=True)
class Garden:
    kind: str = option("tree", "What grows.", choices=("tree", "herb", "moss"))
    height: int = option(3, "Of a tree.", low=1, when={"kind": ("tree", "herb")})
    fruit: bool = option(False, "Whether it bears.", when={"kind": ("tree",)}, unless={"height": (1, 2)})
    basket: int = option(5, "For the fruit.", low=1, when={"fruit": (True,), "bed": ("deep",)})
    bed: str = option("flat", "Of the ground.")
    layers: tuple[int, ...] = option((), "Of the bed.", unless={"bed": ("flat",)})


@pytest.mark.parametrize(
    ("said", "message", "hint"),
    [
        (
            {"kind": "moss", "height": 4},
            "g.height=4 has no effect with g.kind=moss",
            "leave it at 3, or use g.kind=tree or herb",
        ),
        ({"kind": "herb", "fruit": True}, "g.fruit=true has no effect with g.kind=herb", "leave it at false"),
        ({"height": 2, "fruit": "yes"}, "g.fruit=true has no effect with g.height=2", "or use another g.height"),
        (
            {"basket": 9},
            "g.basket=9 has no effect with g.fruit=false and g.bed=flat",
            "leave it at 5, or use g.fruit=true or g.bed=deep",
        ),
        ({"layers": "4,5"}, "g.layers=4,5 has no effect with g.bed=flat", "leave it at '', or use another g.bed"),
    ],
)
def test_an_option_without_effect_is_refused(said, message, hint):
    with pytest.raises(UsageError) as caught:
        make(Garden, said, "g")
    assert caught.value.message == message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "said",
    [
        {"kind": "herb", "height": 4},
        {"fruit": True, "basket": 9},
        {"basket": 9, "bed": "deep", "kind": "moss"},
        {"bed": "deep", "layers": "1"},
    ],
)
def test_an_option_with_effect_is_accepted(said):
    assert make(Garden, said)


def test_what_an_option_needs_must_count_itself():
    values = {"kind": "herb", "fruit": True, "bed": "flat", "height": 3}
    assert obstacles(Garden, "basket", lambda name: (values[name],)) == {"kind": "tree", "bed": "deep"}


@pytest.mark.parametrize("cls", [MODELS.get(n).Config for n in MODELS] + [TRAINERS.get(n).Config for n in TRAINERS])
def test_a_configuration_that_was_printed_is_read_back(cls):
    """With every option at its default, whatever the others are, also as a file has them."""
    for name, _, _, metadata in described(cls):
        for choice in metadata["choices"] or [None]:
            made = make(cls, {name: choice} if choice and not obstacles_of(cls, name) else {})
            printed = {k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(made).items()}
            assert make(cls, printed) == made


def obstacles_of(cls, name):
    defaults = {f.name: f.default for f in dataclasses.fields(cls)}
    return obstacles(cls, name, lambda other: (defaults[other],))


def test_a_search_asks_whether_any_value_helps():
    assert not obstacles(Garden, "height", lambda _: ("moss", "herb"))
    assert obstacles(Garden, "height", lambda _: ("moss", "fern"))
    assert not obstacles(Garden, "layers", lambda _: ("flat", "deep"))


def test_what_counts_beside_the_rest():
    assert effective(Garden, {"kind": "moss", "height": "4", "bed": "deep", "unknown": 1}) == {
        "kind": "moss",
        "bed": "deep",
    }


def test_the_help_tells_the_condition():
    told = {name: metadata["help"] for name, _, _, metadata in described(Garden)}
    assert told["kind"] == "What grows."
    assert told["height"] == "Of a tree. Of kind=tree or herb."
    assert told["fruit"] == "Whether it bears. Of kind=tree, not with height=1 or 2."
    assert told["basket"] == "For the fruit. Of fruit=true or bed=deep."
    assert sentence({}, {"hidden": ((),)}) == "Not with hidden=''."


OWNERS = [pytest.param(registry.get(name).Config, id=name) for registry in (MODELS, TRAINERS) for name in registry]


@pytest.mark.parametrize("cls", OWNERS)
def test_conditions_name_options_and_values_that_exist(cls):
    for name, *_, metadata in described(cls):
        for other, values in [*metadata["when"].items(), *metadata["unless"].items()]:
            assert other != name
            for value in values:
                assert checked(cls, {other: value}) == {other: value}


SIZES = Dims(lags=12, horizon=5, targets=2, past=1, future=1, static=1, season_length=4)
SAMPLES = {"hidden": 7, "kernel": 2, "dilations": (1, 2), "loop_steps": 3, "error_lags": "1:3", "activation": "sigmoid"}


def marked():
    """Yield every option of a model that has a condition, with a configuration in which it is not met."""
    for model in MODELS:
        cls = MODELS.get(model).Config
        for name, _, default, metadata in described(cls):
            others = [(o, v) for o in metadata["when"] for v in values_of(cls, o) if v not in metadata["when"][o]]
            others += [(o, v) for o, values in metadata["unless"].items() for v in values]
            for other, value in others:
                changed = not default if isinstance(default, bool) else SAMPLES[name]
                yield pytest.param(model, {other: value}, {name: changed}, id=f"{model}-{name}-{other}={value}")


def values_of(cls, name):
    return next(metadata["choices"] for n, _, _, metadata in described(cls) if n == name)


@pytest.mark.parametrize(("model", "rest", "idle"), list(marked()))
def test_what_is_said_to_have_no_effect_has_none(model, rest, idle, random_params, random_inputs):
    config = make(MODELS.get(model).Config, rest)
    nets = [make_network(model, each, SIZES) for each in (config, dataclasses.replace(config, **idle))]
    params = [random_params(net) for net in nets]
    outs = [
        roll_out(NumpyOps(), net, p, random_inputs(SIZES, horizon=7), 7) for net, p in zip(nets, params, strict=True)
    ]
    assert params[0].keys() == params[1].keys()
    np.testing.assert_array_equal(*outs)
    assert nets[0].block == nets[1].block
    with pytest.raises(UsageError, match="has no effect with"):
        make(MODELS.get(model).Config, {**rest, **idle}, "model")


@pytest.mark.parametrize(
    ("trainer", "said", "hint"),
    [
        ("backprop", {"optimizer": "adagrad", "beta1": 0.5}, "trainer.optimizer=adam or adamw"),
        ("backprop", {"optimizer": "adagrad", "nesterov": "true"}, "trainer.optimizer=sgd"),
        ("backprop", {"momentum": 0.2}, "leave it at 0.9, or use trainer.optimizer=sgd"),
        ("backprop", {"optimizer": "sgd", "momentum": 0, "nesterov": True}, "another trainer.momentum"),
        ("genetic", {"strategy": "cma_es", "crossover": "sbx"}, "trainer.strategy=ga"),
        ("genetic", {"strategy": "differential_evolution", "elites": 3}, "trainer.strategy=ga"),
        ("genetic", {"eta": 3}, "trainer.crossover=sbx or trainer.mutation=polynomial"),
        ("genetic", {"memetic_steps": 9}, "trainer.memetic=adam or levenberg_marquardt"),
    ],
)
def test_trainers_refuse_what_they_would_ignore(trainer, said, hint):
    with pytest.raises(UsageError, match="has no effect with") as caught:
        make(TRAINERS.get(trainer).Config, said, "trainer")
    assert hint in caught.value.hint
