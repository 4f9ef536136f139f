"""``tsforecast tune``: the front on stdout, the best as a configuration, what it refuses, and Ctrl-C."""

from __future__ import annotations

import csv as csv_reader
import io
import json
import os
import signal
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shell import Cli, Csv, Result, hours, start

from tsforecast import artifact

SMALL = (
    "-t",
    "power",
    "-H",
    6,
    "--past",
    "wind",
    "--test",
    "0.2",
    "--search",
    "lags=6,12,24",
    "--search",
    "scaler=standard",
)
LINEAR = (*SMALL, "-m", "linear", "--population", 4, "--generations", 2)
NETS = (
    "--models",
    "narx,gru",
    "--search",
    "model.hidden=2,4",
    "--trial-steps",
    1,
    "--population",
    4,
    "--generations",
    2,
)


def table(done: Result) -> list[dict[str, str]]:
    assert done.code == 0, done.err
    return list(csv_reader.DictReader(io.StringIO(done.out)))


def test_the_front_is_on_stdout_and_the_rest_on_stderr(cli: Cli, csv: Csv) -> None:
    done = cli("tune", csv(), *SMALL, *NETS, "-o", "best.toml", "--all", "all.csv")
    rows = table(done)
    losses, sizes = ([float(row[name]) for row in rows] for name in ("loss", "parameters"))
    assert losses == sorted(losses)
    assert sizes == sorted(sizes, reverse=True)
    assert list(rows[0])[:4] == ["loss", "parameters", "model", "lags"]
    assert {row["model"] for row in rows} <= {"narx", "gru"}
    assert "validation loss of naive" in done.err
    assert "best of 8 candidates (finished)" in done.err
    tried = list(csv_reader.DictReader(io.StringIO(Path("all.csv").read_text())))
    assert len(tried) == 8
    assert min(float(row["loss"]) for row in tried if not row["problem"]) == losses[0]
    assert sorted(os.listdir()) == ["all.csv", "best.toml", "data.csv"]


def test_the_best_is_a_configuration_that_train_needs_nothing_else_with(cli: Cli, csv: Csv) -> None:
    best = table(cli("tune", csv(), *SMALL, *NETS, "-o", "best.toml"))[0]
    assert cli("train", "data.csv", "--config", "best.toml", "-o", "m").code == 0
    forecaster = artifact.load(Path("m")).forecaster
    assert len(forecaster.history) == 1
    assert (forecaster.options.model, forecaster.shape.lags) == (best["model"], int(best["lags"]))
    assert forecaster.schema.past == (("wind",) if best["past.wind"] == "true" else ())
    assert np.atleast_1d(forecaster.model_options["hidden"]).tolist() == [int(best["model.hidden"])]
    written = tomllib.loads(Path("best.toml").read_text())
    assert written["trainer"]["steps"] == 1
    assert written["test"] == "0.2"
    assert 'lags = "' + best["lags"] + '"  # found by tune' in Path("best.toml").read_text()
    assert cli("train", "data.csv", "--config", "best.toml", "--print-config").out != ""


def test_the_same_seed_prints_the_same_front(cli: Cli, csv: Csv) -> None:
    command = ["tune", csv(), *SMALL, *NETS, "-q", "--seed", 3]
    first, again = cli(*command), cli(*command)
    assert first.out == again.out != ""
    assert first.err == ""


def test_what_is_fixed_by_flags_has_no_column(cli: Cli, csv: Csv) -> None:
    words = ("-t", "power", "-H", 6, "-L", 12, "-m", "gru", "--set", "model.hidden=4", "--set", "trainer.epoch_size=64")
    rows = table(cli("tune", csv(), *words, "--population", 4, "--generations", 1, "--trial-steps", 1))
    assert not {"model", "lags", "model.hidden"} & set(rows[0])
    assert {"scaler", "model.layers", "trainer.learning_rate"} <= set(rows[0])


def test_one_objective_and_json(cli: Cli, csv: Csv) -> None:
    found = json.loads(cli("tune", csv(), *LINEAR, "--objective", "loss", "--json").out)
    assert (found["schema"], found["objectives"], found["failed"]) == (1, ["loss"], 0)
    assert set(found["baselines"]) == {"naive", "seasonal_naive"}
    assert found["best"]["loss"] == min(entry["loss"] for entry in found["front"])
    assert set(found["best"]["settings"]) == {"lags", "scaler", "normalize", "past.wind"}


def test_json_is_one_thing_by_either_name(cli: Cli, csv: Csv) -> None:
    csv()
    words = ("tune", "data.csv", *LINEAR, "--objective", "loss,parameters")
    flag, format = (json.loads(cli(*words, *kind).out) for kind in (["--json"], ["--format", "json"]))
    for found in (flag, format):
        for entry in (found["best"], *found["front"]):
            del entry["seconds"]  # no two trainings take as long
    assert flag == format
    spaces = [cli(*words, "--print-space", *kind).out for kind in (["--json"], ["--format", "json"])]
    assert spaces[0] == spaces[1]
    assert {"setting": "lags", "of": None, "values": "6|12|24"} in json.loads(spaces[0])


def test_the_space_can_be_looked_at(cli: Cli, csv: Csv) -> None:
    rows = {row["setting"]: row for row in table(cli("tune", csv(), *SMALL, "-m", "gru", "--print-space"))}
    assert rows["lags"]["values"] == "6|12|24"
    assert rows["model.hidden"] == {"setting": "model.hidden", "of": "gru", "values": "64|16|32|128"}
    assert rows["past.wind"]["values"] == "true|false"
    assert "model" not in rows


def test_verbose_tells_of_every_candidate(cli: Cli, csv: Csv) -> None:
    said = cli("tune", csv(), *LINEAR, "-v").err
    assert "candidate   8  loss" in said
    assert "lags=" in said


def test_when_nothing_beats_the_baselines_that_is_said(cli: Cli, csv: Csv) -> None:
    done = cli("tune", csv({**hours(), "power": [5] * 200}), *LINEAR)
    assert "no better than naive" in done.err
    assert "nothing to learn" in done.err


def test_files_are_not_overwritten_without_force(cli: Cli, csv: Csv) -> None:
    Path("best.toml").write_text("mine")
    csv()
    cli("tune", "data.csv", *LINEAR, "-o", "best.toml").refused(2, "best.toml exists already", "--force")
    cli("tune", "data.csv", *LINEAR, "--all", "best.toml").refused(2, "best.toml exists already")
    cli("tune", "data.csv", *LINEAR, "-o", "no/best.toml").refused(2, "there is no folder no")
    assert Path("best.toml").read_text() == "mine"
    assert cli("tune", "data.csv", *LINEAR, "-o", "best.toml", "--force").code == 0
    assert Path("best.toml").read_text() != "mine"


@pytest.mark.parametrize(
    ("words", "code", "parts"),
    [
        (("--population", 6), 2, ["not a multiple of four", "--population 8"]),
        (("--objective", "los"), 2, ["objective: 'los' is not known", "'loss'"]),
        (("--models", "grru"), 2, ["unknown model 'grru'", "'gru'"]),
        (("--models", "gru", "-m", "gru"), 2, ["model is both fixed and searched"]),
        (("--set", "model.hiden=3"), 2, ["'model.hiden'", "'model.hidden'"]),
        (("--search", "valid=0.1,0.3"), 2, ["losses could no longer be compared", "--valid"]),
        (("--search", "lags=500"), 3, ["no complete validation window of 500 lags", "shorter lags"]),
        (("--past", "wnd"), 3, ["no column 'wnd'", "'wind'"]),
        (("--trial-budget", "soon"), 2, ["--trial-budget: 'soon' is not a duration"]),
        (
            ("-m", "gru", "--search", "model.segment=30", "-L", 6),
            5,
            ["no candidate could be trained, 1 tried", "segment"],
        ),
    ],
)
def test_mistakes_are_named_with_the_next_step(
    cli: Cli, csv: Csv, words: tuple[Any, ...], code: int, parts: list[str]
) -> None:
    csv()
    usual = ("-t", "power", "-H", 6, "--population", 4, "--generations", 1, "-o", "best.toml")
    cli("tune", "data.csv", *usual, *words).refused(code, *parts)
    assert os.listdir() == ["data.csv"]


def test_ctrl_c_prints_the_front_so_far_and_writes_the_best(csv: Csv) -> None:
    process = start(["tune", csv(), *SMALL, *NETS, "--generations", 1000, "-v", "-o", "best.toml"])
    assert process.stderr is not None
    seen = b""
    while seen.count(b"candidate") < 3:
        line = process.stderr.readline()
        assert line, seen
        seen += line
    process.send_signal(signal.SIGINT)
    out, rest = process.communicate(timeout=60)
    assert process.returncode == 130, rest
    assert out.startswith(b"loss,parameters,model")
    assert b"the best of them is in best.toml" in rest
    assert "[model]" in Path("best.toml").read_text()
