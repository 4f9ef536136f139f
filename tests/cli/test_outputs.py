"""Which files are written, which are replaced, and what is refused before any work."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from shell import Cli, Csv

Train = Callable[..., Path]
SMALL = ("-t", "power", "-H", 6, "-L", 24)
COMPARE = ("compare", "data.csv", *SMALL, "--models", "linear", "-q")
TUNE = ("tune", "data.csv", *SMALL[:4], "-m", "linear", "--search", "lags=6,12", "--population", 4, "-q")


@pytest.fixture
def model(csv: Csv, trained: Train) -> Path:
    return trained(csv(), "--test", 40)


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("--backtest", "nowhere/x.csv"), ["cannot write nowhere/x.csv: there is no folder nowhere"]),
        (("--backtest", "m"), ["cannot write m: it is a folder"]),
        (("-o", "nowhere/s.csv"), ["cannot write nowhere/s.csv: there is no folder nowhere"]),
        (("--plot", "nowhere/horizon.png"), ["cannot write nowhere/horizon.png: there is no folder nowhere"]),
        (("--plot", "data.csv"), ["'.csv'", ".png, .svg or .pdf"]),
        (("--plot", "data.csv/plots"), ["cannot make the folder data.csv/plots: data.csv is a file"]),
    ],
)
def test_evaluate_refuses_before_any_work_what_it_could_not_write(
    cli: Cli, model: Path, words: tuple[str, ...], parts: list[str]
) -> None:
    os.mkdir("m")
    before = sorted(os.listdir())
    usual = {"--plot": "pl", "--backtest": "x.csv", "-o": "s.csv"} | dict([words])
    done = cli("evaluate", model, "data.csv", *(word for pair in usual.items() for word in pair))
    done.refused(2, *parts)
    assert "note" not in done.err
    assert "--output" not in done.err
    assert sorted(os.listdir()) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_refused_before_any_work(cli: Cli, model: Path) -> None:
    os.mkdir("closed", mode=0o500)
    for words in (("--plot", "closed"), ("--plot", "closed/pl"), ("--backtest", "closed/x.csv")):
        cli("evaluate", model, "data.csv", *words).refused(2, "no permission in closed", "another folder")


def test_results_are_replaced(cli: Cli, model: Path) -> None:
    old = [Path(name) for name in ("f.csv", "s.csv", "bt.csv", "horizon.svg", "ranking.svg")]
    for path in old:
        path.write_text("old")
    assert cli("predict", model, "data.csv", "-o", "f.csv").code == 0
    folds = ("--n-windows", 5, "--backtest", "bt.csv", "--plot", "horizon.svg")
    assert cli("evaluate", model, "data.csv", "-o", "s.csv", *folds).code == 0
    assert cli(*COMPARE, "--plot", "ranking.svg").code == 0
    assert [path for path in old if path.read_text() == "old"] == []


@pytest.mark.parametrize(
    "command",
    [
        ("train", "data.csv", *SMALL, "-m", "linear", "-o", "old", "-q"),
        (*COMPARE, "-o", "old"),
        (*TUNE, "--generations", 1, "-o", "old"),
        (*TUNE, "--generations", 1, "--all", "old"),
    ],
)
def test_what_took_long_to_make_is_replaced_only_with_force(cli: Cli, csv: Csv, command: tuple[str, ...]) -> None:
    csv()
    Path("old").write_text("old")
    cli(*command).refused(2, "old exists already", "use --force to overwrite it, or name another file")
    assert Path("old").read_text() == "old"
    assert cli(*command, "--force").code == 0
    assert Path("old").read_bytes() != b"old"


@pytest.mark.parametrize(
    ("command", "path"),
    [
        (("predict", "{model}", "data.csv", "-o", "./data.csv"), "data.csv"),
        (("predict", "{model}", "data.csv", "-o", "{model}"), "{model}"),
        (("evaluate", "{model}", "data.csv", "--backtest", "data.csv"), "data.csv"),
        (("train", "data.csv", *SMALL, "-m", "linear", "-o", "data.csv", "--force"), "data.csv"),
        ((*COMPARE, "-o", "data.csv", "--force"), "data.csv"),
        ((*TUNE, "--all", "data.csv", "--force"), "data.csv"),
    ],
)
def test_what_is_read_is_never_written(cli: Cli, model: Path, command: tuple[str, ...], path: str) -> None:
    named = Path(path.format(model=model))
    before = named.read_bytes()
    words = [str(word).format(model=model) for word in command]
    cli(*words).refused(2, f"{named} is read, so it cannot be written, too", "name another file")
    assert named.read_bytes() == before


CONFIG = "horizon = 6\n"
FITS = ("data.csv", "-t", "power", "-L", 24, "-q")


@pytest.mark.parametrize(
    "command",
    [
        ("train", *FITS, "-m", "linear", "--config", "own.toml", "-o", "own.toml", "--force"),
        ("tune", *FITS[:3], "--config", "own.toml", "-m", "linear", "-o", "./own.toml", "--force"),
        ("tune", *FITS[:3], "--config", "own.toml", "-m", "linear", "--all", "own.toml", "--force"),
        ("compare", *FITS, "--config", "own.toml", "--models", "linear", "-o", "own.toml", "--force"),
        ("compare", *FITS, "--models", "gru:lags=1:2,own.toml:trainer.steps=3", "-o", "own.toml", "--force"),
    ],
)
def test_a_file_of_options_is_never_written(cli: Cli, csv: Csv, command: tuple[str, ...]) -> None:
    csv()
    Path("own.toml").write_text(CONFIG)
    cli(*command).refused(2, "own.toml is read, so it cannot be written, too", "name another file")
    assert Path("own.toml").read_text() == CONFIG


def test_the_settings_of_the_project_are_never_written(cli: Cli, model: Path) -> None:
    Path("tsforecast.toml").write_text(CONFIG)
    train = ("train", *FITS, "-m", "linear", "--force")
    for command in (train, ("predict", model, "data.csv"), ("evaluate", model, "data.csv")):
        cli(*command, "-o", "tsforecast.toml").refused(2, "tsforecast.toml is read")
    assert Path("tsforecast.toml").read_text() == CONFIG


@pytest.mark.parametrize(
    "command",
    [
        ("evaluate", "m.safetensors", "data.csv", "--backtest", "one.csv", "-o", "./one.csv"),
        ("evaluate", "m.safetensors", "data.csv", "--backtest", "fan.svg", "--plot", "fan.svg"),
        ("evaluate", "m.safetensors", "data.csv", "--backtest", "linked.csv", "-o", "one.csv"),
        (*TUNE, "-o", "tt.toml", "--all", "tt.toml", "--force"),
        (*COMPARE, "-o", "one.png", "--plot", "one.png", "--force"),
    ],
)
def test_two_results_are_never_one_file(cli: Cli, model: Path, command: tuple[str, ...]) -> None:
    Path("linked.csv").symlink_to("one.csv")
    before = sorted(os.listdir())
    cli(*command).refused(2, "is named for two results", "name a file for each")
    assert sorted(os.listdir()) == before
