"""Real processes and real pipes: the program as a Unix filter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from shell import Csv, shell

Train = Callable[..., Path]


@pytest.fixture
def model(csv: Csv, trained: Train) -> Path:
    return trained(csv(), "--test", 40)


def test_train_and_predict_in_a_pipeline(csv: Csv) -> None:
    csv()
    assert shell("cat data.csv | tsforecast train - -t power -m linear -H 20 -o m -q").code == 0
    done = shell("cat data.csv | tsforecast predict m")
    assert (done.code, done.err) == (0, "")
    assert len(done.rows()) == 20


def test_head_ends_the_program_silently(model: Path) -> None:
    done = shell("set +o pipefail; cat data.csv | tsforecast predict m.safetensors -H 20000 -q | head -2")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[0] == "timestamp,power_forecast"
    assert len(done.out.splitlines()) == 2


def test_a_forecast_is_piped_into_its_score(model: Path) -> None:
    forecast = "tsforecast predict m.safetensors data.csv --at '2024-01-07 15:00'"
    done = shell(f"{forecast} | tsforecast evaluate --forecast - --actual data.csv --metric mae")
    assert done.code == 0
    assert [row["model"] for row in done.rows()] == ["forecast", "naive", "seasonal_naive", "drift"]


def test_one_model_feeds_another(csv: Csv, trained: Train, model: Path) -> None:
    wind = trained(Path("data.csv"), "-t", "wind", "--calendar", "hour", name="wind")
    power = trained(Path("data.csv"), "--future", "wind", name="power")
    ahead = f"tsforecast predict {wind} data.csv | sed 1s/wind_forecast/wind/"
    done = shell(f"{ahead} | tsforecast predict {power} data.csv --future-data -")
    assert (done.code, done.err) == (0, "")
    assert len(done.rows()) == 6
    assert shell(f"{ahead} > future; tsforecast predict {power} data.csv --future-data future") == done


def test_an_error_in_a_pipeline_says_nothing_on_stdout(model: Path) -> None:
    done = shell("head -5 data.csv | tsforecast predict m.safetensors | cat")
    assert (done.code, done.out) == (3, "")
    assert "4 rows of history" in done.err
    assert "Traceback" not in done.err


def test_demo_feeds_train(model: Path) -> None:
    done = shell("tsforecast demo solar --rows 400 | tsforecast train -t ghi -m linear -H 6 -L 24 -o solar -q")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert Path("solar").exists()


# -------------------------------------------------------------------------------------------- streams that are closed


def test_a_closed_stdin_is_not_missed_where_files_are_named(csv: Csv, model: Path) -> None:
    assert shell("tsforecast predict m.safetensors data.csv <&-") == shell("tsforecast predict m.safetensors data.csv")
    assert shell("tsforecast train data.csv -t power -m linear -o new -q <&- >&-").code == 0
    shell("tsforecast predict m.safetensors <&-").refused(2, "no data", "pipe one in")
    shell("tsforecast predict m.safetensors - <&-").refused(2, "'-' means standard input, and there is none")


@pytest.mark.parametrize(
    "command",
    [
        "predict m.safetensors data.csv",
        "evaluate m.safetensors data.csv",
        "evaluate m.safetensors data.csv --json",
        "compare data.csv -t power --models linear -H 6 -L 24 -o best",
        "compare data.csv -t power --models linear -H 6 -L 24 -o best --json",
        "tune data.csv -t power -m linear -o best",
        "train data.csv -t power -m linear --print-config",
        "info m.safetensors",
        "models",
        "models --json",
        "demo stock --rows 9",
    ],
)
def test_a_closed_stdout_is_an_error_and_no_bug(model: Path, command: str) -> None:
    shell(f"tsforecast {command} >&-").refused(2, "there is no standard output", "leave >&- away")
    assert not Path("best").exists()  # it was said before the work


def test_a_closed_stderr_is_silence(model: Path) -> None:
    words = "predict m.safetensors data.csv -H 15"  # a horizon that is spoken of
    loud, silent = shell(f"tsforecast {words}"), shell(f"tsforecast {words} 2>&-")
    assert loud.err != ""
    assert (silent.code, silent.out, silent.err) == (0, loud.out, "")
    shell("tsforecast predict none data.csv 2>&-").refused(4)
