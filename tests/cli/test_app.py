"""What holds for every command: help, exit codes, streams, mistakes."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from shell import ROOT, Cli, Csv, shell, start

from tsforecast import errors
from tsforecast.data.source import CODECS
from tsforecast.registry import COMMANDS

HEAVY = ("torch", "pandas", "scipy", "matplotlib", "sklearn", "deap", "pyarrow")


@pytest.mark.parametrize("command", [*COMMANDS, None])
def test_help_shows_usage_and_options(cli: Cli, command: str | None) -> None:
    done = cli(*([command] if command else []), "--help")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("Usage: tsforecast")
    assert "--help" in done.out


def test_help_says_what_can_be_read_and_what_a_domain_does(cli: Cli) -> None:
    told = " ".join(cli("train", "--help").out.split())
    endings = {"gzip": ".gz", "zstd": ".zst", "bz2": ".bz2"}
    assert all(endings[codec] in told for codec in CODECS.values())
    assert "further baselines of `evaluate`" in told


def test_without_a_command_help_goes_to_stderr(cli: Cli) -> None:
    done = cli()
    assert (done.code, done.out) == (2, "")
    assert "Commands:" in done.err


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["trian"], ["No such command 'trian'"]),
        (["train", "--horizn", "3"], ["No such option: --horizn", "--horizon"]),
        (["train", "data.csv"], ["no model file to write", "--output"]),
        (["train", "data.csv", "-t", "power", "-o", "-"], ["a model is not text", "name a file with --output"]),
        (["train", "data.csv", "-o", "m"], ["no target column", "--target", "timestamp, power, wind"]),
        (
            ["train", "data.csv", "-o", "m", "-t", "power", "-m", "lstn"],
            ["unknown model 'lstn'", "did you mean 'lstm'"],
        ),
        (["train", "data.csv", "-o", "m", "-t", "power", "--trainer", "backprp"], ["did you mean 'backprop'"]),
        (["train", "data.csv", "-o", "m", "-t", "power", "--domain", "sollar"], ["did you mean 'solar'"]),
        (["train", "data.csv", "-o", "m", "-t", "power", "-H", "six"], ["horizon: 'six' is not a whole number"]),
        (["train", "data.csv", "-o", "m", "-t", "power", "--lat", "91"], ["lat: 91.0 is too large", "90"]),
        (["train", "data.csv", "-o", "m", "-t", "power", "--lags", "0"], ["--lags 0", "newest lag is 1"]),
        (["train", "data.csv", "-o", "m", "-t", "power", "--freq", "hourly"], ["--freq 'hourly'", "choose from"]),
        (["train", "data.csv", "-o", "m", "-t", "power", "--test", "1000"], ["--test 1000", "make them smaller"]),
        (["train", "data.csv", "-o", "m", "-t", "power", "--time-budget", "soon"], ["'soon'", "60s, 5m or 1h"]),
        (["train", "data.csv", "-o", "none/m", "-t", "power"], ["there is no folder none"]),
        (["train", "data.csv", "-o", ".", "-t", "power", "--force"], ["it is a folder"]),
        (["train", "data.csv", "-o", "m", "--set", "hidden=3"], ["--set hidden=3", "model.hidden=64"]),
        (["train", "data.csv", "-t", "power", "-o", "m", "--set", "model.hiden=3"], ["did you mean 'model.hidden'"]),
        (["train", "data.csv", "-t", "power", "-o", "m", "--set", "trainer.step=3"], ["did you mean 'trainer.steps'"]),
        (["train", "data.csv", "-t", "power", "-o", "m", "--resume"], ["nothing to resume", "--resume"]),
        (["models", "grru"], ["unknown model 'grru'", "did you mean 'gru'"]),
        (["metrics", "msae"], ["unknown metric 'msae'", "did you mean 'mae'"]),
        (["demo", "sun"], ["unknown demo 'sun'", "choose from solar"]),
        (["evaluate"], ["name a MODEL and DATA, or use --forecast F --actual A"]),
    ],
)
def test_usage_errors_exit_with_2_and_leave_nothing_behind(
    cli: Cli, csv: Csv, words: list[str], parts: list[str]
) -> None:
    csv()
    cli(*words).refused(2, *parts)
    assert os.listdir() == ["data.csv"]


def test_data_errors_exit_with_3(cli: Cli, csv: Csv) -> None:
    cli("train", csv(), "-t", "pwoer", "-o", "m").refused(3, "data.csv: there is no column 'pwoer'", "'power'?")
    cli("train", "none.csv", "-t", "power", "-o", "m").refused(3, "none.csv: no such file")


def test_model_file_errors_exit_with_4(cli: Cli, csv: Csv) -> None:
    cli("predict", "none.safetensors", csv()).refused(4, "none.safetensors: no such model file", "tsforecast train")
    cli("info", csv()).refused(4, "data.csv is not a model file")


def test_diverged_training_exits_with_5_and_writes_nothing(cli: Cli, csv: Csv) -> None:
    wild = ["--set", "trainer.optimizer=sgd", "--set", "trainer.learning_rate=1e30", "--set", "trainer.clip=0"]
    done = cli("train", csv(), "-t", "power", "-m", "tdnn", "-H", 6, "-L", 24, "-o", "m", "--loss", "mse", *wild)
    done.refused(5, "training diverged at step", "--set trainer.learning_rate=")
    assert not Path("m").exists()


def test_answer_no_exits_with_1_after_the_scores(cli: Cli, csv: Csv, trained: Callable[..., Path]) -> None:
    model = trained(csv(), "--test", 40)
    done = cli("evaluate", model, "data.csv", "--min-skill", 0.99)
    assert done.code == 1
    assert done.out.startswith("target,model,n,")
    assert "less than 0.99" in done.err
    assert cli("evaluate", model, "data.csv", "--min-skill", -5).code == 0


def test_skill_that_may_be_luck_is_no_skill(cli: Cli, csv: Csv, trained: Callable[..., Path]) -> None:
    """Two folds of a good forecast: the least skill is reached, and the verdict is still that it may be luck."""
    model = trained(csv(), "--test", 40)
    verdict = cli("evaluate", model, "data.csv", "--n-windows", 2, "--json").out
    (told,) = json.loads(verdict)["verdicts"]
    assert told["skill"] > 0.01 and not told["skilled"]
    done = cli("evaluate", model, "data.csv", "--n-windows", 2, "--min-skill", 0.01)
    assert done.code == 1
    assert "which is enough, but the two are not distinguishable (Diebold-Mariano p = " in done.err
    assert cli("evaluate", model, "data.csv", "--min-skill", 0.01).code == 0
    assert cli("evaluate", model, "data.csv", "--n-windows", 2, "--min-skill", -0.01).code == 0


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Let ``demo`` raise something."""

    def install(error: BaseException) -> None:
        def fail(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr("tsforecast.data.synthetic.to_csv", fail)

    return install


def test_a_bug_exits_with_70_and_a_traceback_only_with_debug(
    cli: Cli, broken: Callable[[BaseException], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(ZeroDivisionError("oops"))
    cli("demo").refused(70, "bug: ZeroDivisionError: oops", "test_app.py", "please report")
    assert "Traceback" in cli("demo", "--debug").err
    monkeypatch.setenv("TSFORECAST_DEBUG", "1")
    assert "Traceback" in cli("demo").err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("command", ["demo stock --rows 9", "models --json", "models"])
def test_a_full_disk_behind_stdout_is_an_error_and_no_bug(command: str) -> None:
    done = shell(f"tsforecast {command} > /dev/full")
    done.refused(2, "No space left on device")
    assert "bug" not in done.err


def test_ctrl_c_exits_with_130(cli: Cli, broken: Callable[[BaseException], None]) -> None:
    broken(KeyboardInterrupt())
    cli("demo").refused(130, "interrupted")


def test_every_error_class_has_the_documented_exit_code() -> None:
    codes = {cls.__name__: cls.exit_code for cls in errors.TSForecastError.__subclasses__()}
    assert codes == {
        "UsageError": 2, "DataError": 3, "ModelFileError": 4, "TrainingError": 5, "AnswerNo": 1, "Interrupted": 130
    }  # fmt: skip


@pytest.mark.parametrize("words", [["train", "-t", "power", "-o", "new"], ["predict", "m.safetensors"]])
def test_a_terminal_on_stdin_is_a_usage_error_and_not_a_hang(
    csv: Csv, trained: Callable[..., Path], words: list[str]
) -> None:
    trained(csv())
    terminal, end = pty.openpty()
    try:
        process = start(words, stdin=end)
        out, err = process.communicate(timeout=20)
    finally:
        os.close(terminal)
        os.close(end)
    assert (process.returncode, out) == (2, b"")
    assert b"pipe one in" in err


def test_help_imports_nothing_heavy() -> None:
    report = "import sys\nfrom tsforecast.cli.app import run\nrun(['train', '--help'])\n"
    report += f"print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", report], cwd=ROOT, capture_output=True, check=True)
    assert done.stderr.decode().strip() == "[]"


@pytest.mark.parametrize("command", ["models", "trainers", "metrics"])
def test_catalogs_list_everything_as_text_and_as_json(cli: Cli, command: str) -> None:
    entries = json.loads(cli(command, "--json").out)
    listing = cli(command)
    assert listing.code == 0
    for entry in entries:
        assert entry["name"] in listing.out
        page = cli(command, entry["name"])
        assert page.code == 0
        assert "Source:" in page.out or not entry["source"]
        for option in entry.get("options", []):
            assert option["name"] in page.out
        assert json.loads(cli(command, entry["name"], "--json").out) == entry


def test_demo_writes_the_same_bytes_for_the_same_seed(cli: Cli) -> None:
    first = cli("demo", "wind", "--rows", 50, "--seed", 3)
    assert (first.code, first.err, first.out.count("\n")) == (0, "", 51)
    assert cli("demo", "wind", "--rows", 50, "--seed", 3, "-o", "wind.csv").out == ""
    assert Path("wind.csv").read_bytes() == first.raw
    assert cli("demo", "wind", "--rows", 50, "--seed", 4).raw != first.raw
