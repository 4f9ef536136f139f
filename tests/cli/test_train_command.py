"""``tsforecast train``: what it writes and says, what it refuses, stopping and resuming."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from shell import FAST, Cli, Csv, Result, csv_text, hours, stamps, start, wave

from tsforecast import artifact
from tsforecast.cli.train import _interruption
from tsforecast.training import fitting, preparation

SIZES = ("-H", 6, "-L", 24)


def weights(path: Path | str) -> dict[str, np.ndarray]:
    return dict(artifact.load(Path(path)).forecaster.params)


def test_training_speaks_on_stderr_and_writes_one_file(cli: Cli, csv: Csv) -> None:
    done = cli("train", csv(), "-t", "power", "-m", "linear", "-o", "m.safetensors")
    assert (done.code, done.out) == (0, "")
    assert "note: linear" in done.err
    assert "below naive" in done.err
    assert sorted(os.listdir()) == ["data.csv", "m.safetensors"]


def test_quiet_says_nothing_and_verbose_tells_of_every_step(cli: Cli, csv: Csv) -> None:
    command = ["train", csv(), "-t", "power", *FAST, *SIZES, "--force", "-o", "m"]
    assert cli(*command, "-q").err == ""
    assert [line for line in cli(*command, "-v").err.splitlines() if "step   2" in line]


def test_json_summary_is_alone_on_stdout(cli: Cli, csv: Csv) -> None:
    done = cli("train", csv(), "-t", "power", "-m", "linear", *SIZES, "-o", "m", "--json")
    summary = json.loads(done.out)
    assert (summary["schema"], summary["horizon"], summary["lags"], summary["freq"]) == (1, 6, 24, "h")
    assert 0 < summary["valid_loss"] < summary["naive_valid_loss"]
    assert summary["ended"] == "finished"


def test_a_baseline_cannot_be_refitted(cli: Cli, csv: Csv) -> None:
    words = ["train", csv(), "-t", "power", "-m", "drift", "--refit", "-o", "m"]
    cli(*words).refused(2, "is not trained", "leave --refit away")


def test_a_refit_is_said_and_changes_the_weights(cli: Cli, csv: Csv) -> None:
    words = ["train", csv(), "-t", "power", "-m", "linear", *SIZES, "--json"]
    once, again = (cli(*words, "-o", name, *more) for name, more in (("a", []), ("b", ["--refit"])))
    assert [json.loads(done.out)["refit"] for done in (once, again)] == [False, True]
    assert [json.loads(done.out)["valid_loss"] for done in (once, again)].count(json.loads(once.out)["valid_loss"]) == 2
    assert "then trained again on train and valid; b" in again.err
    assert "trained again" not in once.err
    assert not np.array_equal(weights("a")["weight"], weights("b")["weight"])


def test_piped_data_train_the_same_weights_as_a_file(cli: Cli, csv: Csv) -> None:
    words = ["-t", "power", *FAST, *SIZES]
    assert cli("train", csv(), *words, "-o", "a").code == 0
    assert cli("train", "-", *words, "-o", "b", stdin=csv_text(hours())).code == 0
    assert cli("train", *words, "-o", "c", stdin=csv_text(hours())).code == 0
    for name, value in weights("a").items():
        np.testing.assert_array_equal(value, weights("b")[name])
        np.testing.assert_array_equal(value, weights("c")[name])


def test_without_validation_windows_no_loss_is_called_validated(cli: Cli, csv: Csv) -> None:
    words = ["train", csv(), "-t", "power", "-m", "linear", *SIZES, "--valid", 3]
    told = cli(*words, "-o", "m").err
    assert "training loss" in told
    assert "not validated" in told
    assert "validation loss" not in told


def test_an_existing_model_is_overwritten_only_with_force(cli: Cli, csv: Csv, trained: Callable[..., Path]) -> None:
    before = trained(csv()).read_bytes()
    command = ["train", "data.csv", "-t", "power", "-m", "naive", "-o", "m.safetensors"]
    cli(*command).refused(2, "m.safetensors exists already", "--force")
    assert Path("m.safetensors").read_bytes() == before
    assert cli(*command, "--force").code == 0
    assert Path("m.safetensors").read_bytes() != before


def test_a_failed_run_leaves_the_old_model_alone(cli: Cli, csv: Csv, trained: Callable[..., Path]) -> None:
    before = trained(csv()).read_bytes()
    cli("train", "data.csv", "-t", "power", "--past", "wnd", "-o", "m.safetensors", "--force").refused(3, "'wind'?")
    assert Path("m.safetensors").read_bytes() == before
    assert sorted(os.listdir()) == ["data.csv", "m.safetensors"]


def holding(value: object, row: int = 50) -> dict[str, list[object]]:
    columns = hours()
    columns["power"][row] = value
    return columns


def stamped(text: str, row: int = 50) -> dict[str, list[object]]:
    columns = hours()
    columns["timestamp"][row] = text
    return columns


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"", ["data.csv: is empty"]),
        (b"timestamp,power\n", ["data.csv: has a header and no rows"]),
        (bytes(range(256)) * 20, ["data.csv", "not a table of text"]),
        (csv_text({**hours(), "power": [None] * 200}), ["data.csv: column 'power' holds no value"]),
        (csv_text({**hours(), "wind": [None] * 200}), ["data.csv: column 'wind' holds no value", "leave it out"]),
        (csv_text(hours(1)), ["data.csv: no series has two rows", "--freq"]),
        (csv_text(hours(10)), ["10 training rows are too few for lags 24 + horizon 6 = 30", "smaller --lags"]),
        (csv_text(holding("inf")), ["data.csv:52: column 'power': the value is infinite"]),
        (csv_text(holding("n/a?")), ["data.csv:52: column 'power': 'n/a?' is not a number", "--null 'n/a?'"]),
        (csv_text(stamped("yesterday")), ["data.csv:52: column 'timestamp': 'yesterday' is not a time like"]),
        (csv_text(stamped(stamps(200)[49])), ["data.csv:51 and data.csv:52: two rows for", "--duplicates"]),
        (csv_text(hours()) + "2024-01-09 08:00,1\n", ["data.csv:202: has 2 cells, the header has 3"]),
    ],
)
def test_data_that_cannot_be_used_is_named_by_line_column_and_value(
    cli: Cli, content: bytes | str, parts: list[str]
) -> None:
    Path("data.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    # a fixed validation part, so that the rows of the short files all train
    command = ["train", "data.csv", "-t", "power", "--past", "wind", "-m", "linear", *SIZES, "--valid", 0, "-o", "m"]
    cli(*command).refused(3, *parts)
    assert os.listdir() == ["data.csv"]


def test_other_inputs_that_are_no_data(cli: Cli, csv: Csv) -> None:
    os.mkdir("folder")
    csv({"timestamp": stamps(60), "load": wave(60)}, "other.csv")
    cli("train", "folder", "-t", "power", "-o", "m").refused(3, "folder: is a directory", "folder/*.csv")
    cli("train", csv(), "other.csv", "-t", "power", "-o", "m").refused(3, "other.csv: its columns differ", "load")
    cli("train", "data.csv", "-t", "power", "--past", "power", "-o", "m").refused(3, "both target and past")
    cli("train", "-", "-t", "power", "-o", "m").refused(3, "<stdin>: is empty")


def test_unsorted_rows_are_sorted_and_give_the_same_model(cli: Cli, csv: Csv, trained: Callable[..., Path]) -> None:
    columns = hours()
    order = np.random.default_rng(0).permutation(200)
    shuffled = {name: [cells[i] for i in order] for name, cells in columns.items()}
    trained(csv(columns), name="a")
    done = cli("train", csv(shuffled, "b.csv"), "-t", "power", "-m", "linear", *SIZES, "-o", "b")
    assert "they were sorted" in done.err
    np.testing.assert_array_equal(weights("a")["weight"], weights("b")["weight"])


def test_a_constant_target_is_forecast_as_that_constant(cli: Cli, csv: Csv, trained: Callable[..., Path]) -> None:
    model = trained(csv({"timestamp": stamps(200), "power": [5] * 200}), *FAST)
    rows = cli("predict", model, "data.csv").rows()
    assert {row["power_forecast"] for row in rows} == {"5.0"}


# ------------------------------------------------------------------------------------------- stopping and resuming


def steps_of(path: str) -> int:
    return len(artifact.load(Path(path)).forecaster.history)


def interrupted(command: list[object], after: int) -> Result:
    """Start training and press Ctrl-C when so many steps are done."""
    process = start([*command, "-v"], text=False)
    assert process.stderr is not None
    seen = b""
    while seen.count(b"  step ") < after:
        line = process.stderr.readline()
        assert line, seen
        seen += line
    process.send_signal(signal.SIGINT)
    out, rest = process.communicate(timeout=60)
    return Result(process.returncode, out, (seen + rest).decode())


def test_ctrl_c_keeps_the_best_model_and_resume_ends_as_an_unbroken_run(cli: Cli, csv: Csv) -> None:
    size = ["--set", "model.hidden=4", "--set", "trainer.batch_size=256", "--patience", 1000, *SIZES]
    command = ["train", csv(), "-t", "power", "-m", "gru", "--set", "trainer.steps=40", *size]
    stopped = interrupted([*command, "-o", "m"], after=3)
    assert (stopped.code, stopped.out) == (130, "")
    assert "the best so far is in m" in stopped.err
    assert "--resume" in stopped.err
    assert sorted(os.listdir()) == ["data.csv", "m", "m.resume"]
    assert 3 <= steps_of("m") < 40
    assert len(cli("predict", "m", "data.csv").rows()) == 6

    cli(*command, "--seed", 1, "-o", "m", "--resume").refused(2, "m.resume belongs to a run with other data or options")
    assert cli(*command, "-o", "m", "--resume").code == 0
    assert cli(*command, "-o", "whole").code == 0
    assert sorted(os.listdir()) == ["data.csv", "m", "whole"]
    assert steps_of("m") == steps_of("whole") == 40
    for name, value in weights("whole").items():
        np.testing.assert_array_equal(weights("m")[name], value)


def test_the_step_of_an_interruption_is_that_of_the_trainer(tmp_path: Path) -> None:
    """Where the start is the best so far, it is told as step 0 before the others."""

    def told(*steps: int) -> str:
        history = [{"step": float(step), "valid_loss": 1.0} for step in steps]
        outcome: Any = SimpleNamespace(forecaster=SimpleNamespace(history=history))
        return _interruption(tmp_path / "m", outcome).message

    assert told(0, 1, 2).startswith("interrupted after step 2: the best so far is in")
    assert told(1, 2, 3).startswith("interrupted after step 3")
    assert told() == "interrupted before the first step ended: nothing was saved"


@pytest.mark.parametrize("during", [preparation, fitting], ids=lambda module: module.__name__)
def test_ctrl_c_before_the_first_step_says_that_nothing_was_saved(
    during: Any, cli: Cli, csv: Csv, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While data are read and options are chosen, and while the start is judged."""
    name = {preparation: "choose_shape", fitting: "_Run"}[during]
    monkeypatch.setattr(during, name, ctrl_c)
    done = cli("train", csv(), "-t", "power", "-m", "gru", *SIZES, "-o", "m")
    assert (done.code, done.out) == (130, "")
    assert "interrupted before the first step ended: nothing was saved" in done.err
    assert os.listdir() == ["data.csv"]


def test_ctrl_c_after_the_last_step_says_where_the_steps_are(
    cli: Cli, csv: Csv, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["train", csv(), "-t", "power", "-m", "gru", "--set", "trainer.steps=1", *SIZES, "-o", "m"]
    with monkeypatch.context() as patch:
        patch.setattr(fitting, "measure_margins", ctrl_c)
        done = cli(*command)
    assert done.code == 130
    assert "interrupted: what is done is in m.resume\n  continue with the same command and --resume" in done.err
    assert sorted(os.listdir()) == ["data.csv", "m.resume"]
    with monkeypatch.context() as patch:
        patch.setattr(preparation, "version_of", lambda _: "0.0.1")  # whose trainers may have kept something else
        cli(*command, "--resume").refused(
            2, "m.resume belongs to a run with other data or options, or of another version"
        )
    assert cli(*command, "--resume").code == 0
    assert sorted(os.listdir()) == ["data.csv", "m"]


def ctrl_c(*_: Any) -> None:
    raise KeyboardInterrupt


def test_a_time_budget_ends_training_early(cli: Cli, csv: Csv) -> None:
    size = ["--set", "model.hidden=4", "--set", "trainer.steps=100000", "--patience", 100000, *SIZES]
    done = cli("train", csv(), "-t", "power", "-m", "gru", *size, "--time-budget", "0.3s", "--json", "-o", "m")
    assert json.loads(done.out)["ended"] == "time budget"
    assert os.listdir().count("m.resume") == 0
