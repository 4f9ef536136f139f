"""``tsforecast compare``: the ranking on stdout, the rest on stderr, the model that is kept, failures and Ctrl-C."""

from __future__ import annotations

import csv as csv_reader
import io
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from shell import Cli, Csv, hours, shell, start

TRAINED = ("--set", "trainer.steps=2", "--set", "model.hidden=4", "--set", "trainer.batch_size=256")
SMALL = ("-t", "power", "-H", 6, "-L", 24, *TRAINED)
MODELS = ("--models", "gru,rnn:lags=12")


def test_the_ranking_is_csv_in_a_pipe_and_the_rest_on_stderr(cli: Cli, csv: Csv) -> None:
    done = cli("compare", csv(), *SMALL, *MODELS, "--metric", "mae,rmse", "-o", "best.safetensors")
    assert done.code == 0, done.err
    rows = done.rows()
    names = ["rank", "model", "mae", "rmse", "skill", "p_value", "group", "valid"]
    assert list(rows[0]) == [*names, "parameters", "seconds", "steps", "ended", "chosen"]
    assert [row["rank"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert {row["model"] for row in rows} == {"gru", "rnn:lags=12", "naive", "seasonal_naive", "drift"}
    trained = [row for row in rows if row["ended"] != "baseline"]
    assert [row["chosen"] for row in rows].count("yes") == 1
    assert min(trained, key=lambda row: float(row["valid"]))["chosen"] == "yes"
    for part in (
        "the choice among 2",
        "chose nothing",
        "Holm-adjusted",
        "one training each",
        "; kept in best.safetensors",
    ):
        assert part in done.err
    assert sorted(os.listdir()) == ["best.safetensors", "data.csv"]


def test_the_kept_file_scores_as_the_ranking_says(cli: Cli, csv: Csv) -> None:
    words = ("compare", csv(), *SMALL, "--models", "gru,rnn", "-o", "best.safetensors")
    chosen = next(row for row in cli(*words).rows() if row["chosen"])
    scored = cli("evaluate", "best.safetensors", "data.csv", "--metric", "mae").rows()
    assert float(scored[0]["mae"]) == pytest.approx(float(chosen["mae"]), rel=1e-5)
    assert cli("info", "best.safetensors", "--verify").code == 0


def test_json_has_everything(cli: Cli, csv: Csv) -> None:
    done = cli("compare", csv(), *SMALL, "--models", "gru,tdnn:lags=9999", "--json")
    found = json.loads(done.out)
    assert (found["schema"], found["metric"], found["correction"], found["ended"]) == (1, "mae", "holm", "finished")
    assert (found["chosen"], found["chosen_on"], found["seeds"]) == ("gru", "valid", 1)
    first, *others = found["ranking"]
    assert first["p_value"] is None
    assert {row["group"] for row in others if row["rank"]} <= {"top", "behind"}
    assert others[-1]["model"] == "tdnn:lags=9999"
    assert others[-1]["rank"] is None
    assert "too few for lags 9999" in others[-1]["problem"]
    assert found["ranking"][0]["by_target"]["mae"]["power"] == first["scores"]["mae"]
    claims = [line.removeprefix("note: ") for line in done.err.splitlines()]
    assert claims[-2:] == [found["groups"], found["sentence"]]
    rows = {row["model"]: row for row in found["ranking"]}
    gru, baseline = rows["gru"], rows[found["baseline"]]
    assert baseline["ended"] == "baseline"
    assert found["skill"] == gru["skill"] == pytest.approx(1 - gru["scores"]["mae"] / baseline["scores"]["mae"])


def test_who_fails_is_a_row_and_a_warning(cli: Cli, csv: Csv) -> None:
    done = cli("compare", csv(), *SMALL, "--models", "gru,tdnn:lags=9999", "-q")
    assert done.code == 0
    (failed,) = (row for row in csv_reader.DictReader(io.StringIO(done.out)) if not row["rank"])
    assert failed["problem"].startswith("120 training rows are too few")
    assert done.err.startswith("warning: tdnn:lags=9999: 120 training rows are too few")


def test_too_little_skill_is_exit_code_1_after_the_ranking(cli: Cli, csv: Csv) -> None:
    done = cli("compare", csv(), *SMALL, "--models", "gru", "--min-skill", "0.99")
    assert done.code == 1
    assert done.out.startswith("rank,model")
    assert "the skill of gru over" in done.err
    assert cli("compare", "data.csv", *SMALL, "--models", "gru", "--min-skill", "-99").code == 0


def test_skill_that_may_be_luck_is_exit_code_1_too(cli: Cli, csv: Csv) -> None:
    words = ("compare", csv(), "-t", "power", "-H", 6, "--models", "linear", "--test", "0.2", "--n-windows", 2)
    done = cli(*words, "--min-skill", 0.01)
    assert done.code == 1
    assert "which is enough, but the two are not distinguishable (Diebold-Mariano p = " in done.err
    assert ", which may be luck (p = " in done.err
    assert cli(*words, "--min-skill", -0.01).code == 0


def test_nothing_is_said_to_be_kept_without_a_file(cli: Cli, csv: Csv) -> None:
    done = cli("compare", csv(), *SMALL, *MODELS)
    assert "is the choice among 2" in done.err
    assert "kept" not in done.err


def test_formats_and_a_plot(cli: Cli, csv: Csv) -> None:
    done = cli("compare", csv(), *SMALL, "--models", "gru", "-f", "table", "--plot", "ranking.svg")
    assert done.out.splitlines()[0].split()[:3] == ["rank", "model", "mae"]
    assert "plot ranking.svg" in done.err
    assert "<svg" in Path("ranking.svg").read_text()


def test_what_was_found_by_tune_can_be_compared(cli: Cli, csv: Csv) -> None:
    words = ("-t", "power", "-H", 6, "--test", "0.2")
    tuned = ("tune", csv(), *words, "-m", "linear", "--search", "lags=6,12", "--population", 4, "--generations", 1)
    assert cli(*tuned, "-o", "found.toml").code == 0
    done = cli("compare", "data.csv", *words, "--models", "found.toml,linear")
    assert {"found", "linear"} <= {row["model"] for row in done.rows()}


def test_settings_of_the_project_file_count(cli: Cli, csv: Csv) -> None:
    Path("tsforecast.toml").write_text('target = "power"\nhorizon = 6\nmodels = ["linear"]\nmetric = "rmse"\n')
    rows = cli("compare", csv()).rows()
    assert "linear" in {row["model"] for row in rows}
    assert "rmse" in rows[0]


@pytest.mark.parametrize(
    ("words", "code", "parts"),
    [
        (("--models", "grru"), 2, ["unknown model or recipe 'grru'", "'gru'"]),
        (("--models", "naive"), 2, ["baselines take part anyway"]),
        (("-m", "gru"), 2, ["--model is for one model", "--models gru"]),
        (("--metric", "mea"), 2, ["unknown metric 'mea'", "'mae'"]),
        (("--metric", "bias"), 2, ["cannot rank", "mae"]),
        (("--metric", "r2", "--min-skill", "0.1"), 2, ["skill cannot be measured with r2", "mae"]),
        (("--test", "0"), 3, ["no rows are kept out", "--test 0.2"]),
        (("--seeds", "0"), 2, ["seeds: 0 is too small"]),
        (("--plot", "ranking"), 2, ["the suffix", "ranking.png"]),
        (("--time-budget", "soon"), 2, ["'soon' is not a duration"]),
        (("-L", "9999"), 3, ["too few for lags 9999"]),
        (("-o", "old.safetensors"), 2, ["old.safetensors exists already", "--force"]),
    ],
)
def test_mistakes_are_named_with_the_next_step(
    cli: Cli, csv: Csv, words: tuple[Any, ...], code: int, parts: list[str]
) -> None:
    csv()
    Path("old.safetensors").write_text("mine")
    cli("compare", "data.csv", "-t", "power", "-H", 6, *words).refused(code, *parts)
    assert sorted(os.listdir()) == ["data.csv", "old.safetensors"]


def test_ctrl_c_ranks_who_is_finished_and_keeps_the_best(csv: Csv) -> None:
    words = ("-t", "power", "-H", 6, "-L", 24, "--set", "trainer.steps=100000", "--set", "trainer.patience=100000")
    endless = ("--models", "linear,gru,rnn", "--patience", 100000, *words[:-2])
    process = start(["compare", csv(), *endless, "-v", "-o", "best.safetensors"])
    assert process.stderr is not None
    seen = b""
    while b"gru: lags" not in seen or b"step   1" not in seen.split(b"gru: lags")[1]:
        line = process.stderr.readline()
        assert line, seen
        seen += line
    process.send_signal(signal.SIGINT)
    out, rest = process.communicate(timeout=60)
    assert process.returncode == 130, rest
    ranked = [line.split(b",")[1] for line in out.splitlines()[1:]]
    assert ranked[-2:] == [b"gru", b"rnn"]
    assert b"linear" in ranked
    assert b"interrupted: 1 of 3 models are ranked" in rest
    assert b"the best of them is in best.safetensors" in rest
    assert Path("best.safetensors").is_file()


def test_data_may_come_from_a_pipe(csv: Csv) -> None:
    csv(hours(150))
    command = "cat data.csv | tsforecast compare -t power -H 6 -L 12 --models linear -q | head -1"
    done = shell(command)
    assert done.out.startswith("rank,model,mae")
    assert done.err == ""
