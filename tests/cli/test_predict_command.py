"""``tsforecast predict``: the user's own columns and time style, covariates, several series, holes, formats."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest
from shell import FAST, ROOT, Cli, Csv, csv_text, hours, stamps, wave

import tsforecast
from tsforecast.registry import MODELS

Train = Callable[..., Path]


def test_the_forecast_follows_the_last_row(cli: Cli, csv: Csv, trained: Train) -> None:
    done = cli("predict", trained(csv()), "data.csv")
    assert (done.code, done.err) == (0, "")
    assert [row["timestamp"] for row in done.rows()] == stamps(206)[200:]
    assert list(done.rows()[0]) == ["timestamp", "power_forecast"]
    expected = wave(206)[200:]
    assert np.abs([float(row["power_forecast"]) - e for row, e in zip(done.rows(), expected, strict=True)]).max() < 2


def test_data_may_come_from_stdin_with_or_without_a_dash(cli: Cli, csv: Csv, trained: Train) -> None:
    model = trained(csv())
    plain = cli("predict", model, "data.csv")
    assert cli("predict", model, stdin=csv_text(hours())) == plain
    assert cli("predict", model, "-", stdin=csv_text(hours())) == plain


def test_numbers_round_trip(cli: Cli, csv: Csv, trained: Train) -> None:
    model = trained(csv())
    texts = [row["power_forecast"] for row in cli("predict", model, "data.csv").rows()]
    numbers = [record["power_forecast"] for record in json.loads(cli("predict", model, "data.csv", "--json").out)]
    assert [str(np.float32(text)) for text in texts] == texts
    assert [float(text) for text in texts] == numbers


def test_every_format_holds_the_same_table(cli: Cli, csv: Csv, trained: Train) -> None:
    command = ["predict", trained(csv()), "data.csv"]
    rows = [{**row, "power_forecast": float(row["power_forecast"])} for row in cli(*command).rows()]
    assert json.loads(cli(*command, "-f", "json").out) == rows
    assert cli(*command, "--json").raw == cli(*command, "-f", "json").raw
    assert [json.loads(line) for line in cli(*command, "-f", "jsonl").out.splitlines()] == rows
    assert cli(*command, "-f", "tsv").out == cli(*command, "-f", "csv").out.replace(",", "\t")
    assert cli(*command, "-f", "table").out.splitlines()[0].split() == ["timestamp", "power_forecast"]
    Path("piped.parquet").write_bytes(cli(*command, "-f", "parquet").raw)
    assert parquet.read_table("piped.parquet").to_pylist() == rows
    for suffix in ("csv", "tsv", "json", "jsonl", "parquet"):
        assert cli(*command, "-o", f"out.{suffix}").out == ""
        assert Path(f"out.{suffix}").read_bytes() == cli(*command, "-f", suffix).raw


def test_an_output_file_is_replaced_as_a_whole_or_not_at_all(cli: Cli, csv: Csv, trained: Train) -> None:
    model = trained(csv())
    Path("out.csv").write_text("old")
    cli("predict", model, "data.csv", "-o", "out.csv", "-f", "xlsx").refused(2, "unknown format 'xlsx'", "choose from")
    cli("predict", model, "data.csv", "-o", "out.csv", "--at", "soon").refused(2, "'soon' is not a time")
    cli("predict", model, csv(hours(10), "short.csv"), "-o", "out.csv").refused(3)
    assert Path("out.csv").read_text() == "old"
    assert cli("predict", model, "data.csv", "-o", "out.csv").code == 0
    assert Path("out.csv").read_text() == cli("predict", model, "data.csv").out
    cli("predict", model, "data.csv", "-o", "none/out.csv").refused(2, "cannot write none/out.csv")
    cli("predict", model, "data.csv", "-o", ".").refused(2, "it is a folder")
    assert sorted(os.listdir()) == ["data.csv", "m.safetensors", "out.csv", "short.csv"]


STYLES = {
    "iso_z": (lambda t: t.strftime("%Y-%m-%dT%H:%M:%SZ"), "2024-03-06T00:00:00Z"),
    "offset": (lambda t: t.strftime("%Y-%m-%dT%H:%M:%S+01:00"), "2024-03-06T00:00:00+01:00"),
    "german": (lambda t: t.strftime("%d.%m.%Y %H:%M"), "06.03.2024 00:00"),
    "american": (lambda t: t.strftime("%m/%d/%Y %I:%M %p"), "03/06/2024 12:00 AM"),
    "epoch": (lambda t: int((t - datetime(1970, 1, 1)).total_seconds()), "1709683200"),
    "milliseconds": (lambda t: int((t - datetime(1970, 1, 1)).total_seconds()) * 1000, "1709683200000"),
}


@pytest.mark.parametrize("style", STYLES)
def test_time_is_written_as_the_input_writes_it(cli: Cli, csv: Csv, trained: Train, style: str) -> None:
    write, first = STYLES[style]
    times = [write(datetime(2024, 3, 1) + timedelta(hours=i)) for i in range(120)]
    data = csv({"when": times, "power": wave(120)})
    model = trained(data, "--time", "when")
    assert cli("predict", model, data).rows()[0]["when"] == first
    assert cli("predict", model, data, "--at", times[99]).rows()[0]["when"] == str(times[100])


def test_time_in_several_columns_comes_back_in_several_columns(cli: Cli, csv: Csv, trained: Train) -> None:
    times = [datetime(2024, 3, 1) + timedelta(hours=i) for i in range(120)]
    data = csv({**{n: [getattr(t, n) for t in times] for n in ("year", "month", "day", "hour")}, "power": wave(120)})
    first = cli("predict", trained(data), data).rows()[0]
    assert list(first.items())[:4] == [("year", "2024"), ("month", "3"), ("day", "6"), ("hour", "0")]


def test_rows_without_a_clock_are_steps(cli: Cli, csv: Csv, trained: Train) -> None:
    data = csv({"power": wave(120)})
    cli("train", data, "-t", "power", "-o", "m").refused(3, "data.csv: no column holds time", "--no-time")
    model = trained(data, "--no-time")
    assert [row["step"] for row in cli("predict", model, data).rows()] == ["120", "121", "122", "123", "124", "125"]
    assert cli("predict", model, data, "--at", 50).rows()[0]["step"] == "51"


def test_a_record_of_known_sampling_tells_seconds(cli: Cli, csv: Csv, trained: Train) -> None:
    data = csv({"power": wave(120)})
    cli("train", data, "-t", "power", "-o", "m", "--sampling", "soon").refused(2, "'soon' is not a duration", "0.5ms")
    cli("train", data, "-t", "power", "-o", "m", "--sampling", "4s", "--time", "power").refused(2, "leave --time away")
    model = trained(data, "--sampling", "0.1s")
    seconds = ["12.0", "12.1", "12.2", "12.3", "12.4", "12.5"]
    assert [row["seconds"] for row in cli("predict", model, data).rows()] == seconds
    assert [row["seconds"] for row in json.loads(cli("predict", model, data, "--json").out)] == [*map(float, seconds)]
    assert cli("predict", model, data, "--at", 5, "-H", 1, "-f", "table").out.split()[-2] == "5.1"
    assert cli("predict", model, data, "-H", 1, "-f", "parquet", "-o", "made.parquet").code == 0
    assert parquet.read_table("made.parquet")["seconds"].to_pylist() == [12.0]
    assert [type(x) for x in tsforecast.predict(tsforecast.load(model), data)["seconds"]] == [float] * 6
    cli("predict", model, data, "--sampling", "1s").refused(3, "trained on rows every 0.1s", "leave --sampling 1s away")


def test_at_forecasts_from_an_earlier_row_as_if_later_ones_were_unknown(cli: Cli, csv: Csv, trained: Train) -> None:
    model = trained(csv())
    earlier = cli("predict", model, csv(hours(150), "earlier.csv"))
    assert cli("predict", model, "data.csv", "--at", stamps(150)[-1]) == earlier
    cli("predict", model, "data.csv", "--at", "2023-01-01").refused(3, "--at", "later time")


def test_history_is_printed_before_the_forecast(cli: Cli, csv: Csv, trained: Train) -> None:
    rows = cli("predict", trained(csv()), "data.csv", "--include-history", 2).rows()
    assert [row["power"] for row in rows] == [str(x) for x in wave(200)[-2:]] + [""] * 6
    assert [row["power_forecast"] == "" for row in rows] == [True] * 2 + [False] * 6


def test_a_longer_horizon_than_trained_is_said_on_stderr(cli: Cli, csv: Csv, trained: Train) -> None:
    model = trained(csv())
    done = cli("predict", model, "data.csv", "-H", 15)
    assert len(done.rows()) == 15
    assert "horizon 15 is beyond the 6 steps of training" in done.err
    assert cli("predict", model, "data.csv", "-H", 15, "-q").err == ""
    assert cli("predict", model, "data.csv", "-H", 2).rows() == done.rows()[:2]


def test_several_targets_have_a_column_each(cli: Cli, csv: Csv, trained: Train) -> None:
    model = trained(csv(), "-t", "power", "-t", "wind")
    assert list(cli("predict", model, "data.csv").rows()[0]) == ["timestamp", "power_forecast", "wind_forecast"]


# ------------------------------------------------------------------------------------------------- data that differ


def test_data_that_do_not_fit_the_model_are_refused(cli: Cli, csv: Csv, trained: Train) -> None:
    model = trained(csv(), "--past", "wind")
    days = csv({**hours(60), "timestamp": stamps(60, step="D")}, "days.csv")
    cli("predict", model, days).refused(3, "days.csv", "trained on steps of h, the data has steps of D")
    bare = csv({"timestamp": stamps(60), "power": wave(60)}, "bare.csv")
    cli("predict", model, bare).refused(3, "model needs column 'wind'", "bare.csv has timestamp, power")
    cli("predict", model, csv(hours(10), "short.csv")).refused(3, "10 rows of history", "looks back 24 steps")


def test_holes_in_the_lags_are_refused_or_filled_on_request(cli: Cli, csv: Csv, trained: Train) -> None:
    model = trained(csv())
    hole, gap = hours(60), hours(60)
    hole["power"][50] = None
    for cells in gap.values():
        del cells[50]
    cli("predict", model, csv(hole, "hole.csv")).refused(3, "'power' is missing at 2024-01-03 02:00", "interpolate")
    cli("predict", model, csv(gap, "gap.csv")).refused(3, "there is a gap in time", "--missing interpolate")
    for name in ("hole.csv", "gap.csv"):
        done = cli("predict", model, name, "--missing", "interpolate")
        assert len(done.rows()) == 6
        assert "1 values filled" in done.err
    cli("predict", model, "hole.csv", "--missing", "guess").refused(2, "--missing 'guess' is unknown", "interpolate")


# --------------------------------------------------------------------------------------------------- several series


def sites(rows: dict[str, int]) -> dict[str, list[object]]:
    """Return long data: sites of different length, each with its size and kind."""
    table: dict[str, list[object]] = {name: [] for name in ("timestamp", "site", "power", "size", "kind")}
    for k, (site, count) in enumerate(rows.items()):
        cells = (stamps(count), [site] * count, wave(count, seed=k), [k] * count, ["big" if k else "small"] * count)
        for column, more in zip(table.values(), cells, strict=True):
            column.extend(more)
    return table


def test_series_are_forecast_each_from_its_own_end(cli: Cli, csv: Csv, trained: Train) -> None:
    data = csv(sites({"b": 200, "a": 150}))
    model = trained(data, "--series-id", "site", "--static", "size,kind")
    rows = cli("predict", model, data).rows()
    assert [row["site"] for row in rows] == ["a"] * 6 + ["b"] * 6
    assert [row["timestamp"] for row in rows] == stamps(156)[150:] + stamps(206)[200:]
    assert len(cli("predict", model, data, "--at", "2024-01-03").rows()) == 12
    cli("train", data, "-t", "power", "-o", "x").refused(3, "data.csv:2 and data.csv:202", "--series-id")


def test_new_series_can_be_forecast_and_short_ones_are_named(cli: Cli, csv: Csv, trained: Train) -> None:
    model = trained(csv(sites({"b": 200, "a": 150})), "--series-id", "site", "--static", "kind")
    assert len(cli("predict", model, csv(sites({"new": 60}), "new.csv")).rows()) == 6
    done = cli("predict", model, csv(sites({"new": 60, "short": 10, "shorter": 5}), "short.csv"))
    assert {row["site"] for row in done.rows()} == {"new"}
    assert "2 series have too few rows of history (short: 10, shorter: 5)" in done.err
    alone = cli("predict", model, csv(sites({"short": 10, "shorter": 5}), "shorter.csv"))
    alone.refused(3, "series 'short': 10 rows of history", "and 1 more series", "give more history")


# ------------------------------------------------------------------------------------------------------- covariates


@pytest.fixture
def driven(csv: Csv, trained: Train) -> Path:
    """Train on power that is twice the wind, which is known ahead, and a door that opens in the morning."""
    wind = np.round(np.random.default_rng(5).uniform(0, 10, 212), 2).tolist()
    door = ["open" if i % 24 < 8 else "shut" for i in range(212)]
    power = [round(2 * a, 2) for a in wind]
    whole = {"timestamp": stamps(212), "power": power, "wind": wind, "door": door}
    csv({name: cells[:200] for name, cells in whole.items()})
    csv({**whole, "power": power[:200] + [None] * 12}, "extended.csv")
    csv({name: whole[name][200:] for name in ("timestamp", "wind", "door")}, "future.csv")
    csv({name: whole[name][200:203] for name in ("timestamp", "wind", "door")}, "short.csv")
    return trained(Path("data.csv"), "--future", "wind,door", name="driven")


def test_future_covariates_come_from_later_rows_or_from_their_own_file(cli: Cli, driven: Path) -> None:
    extended = cli("predict", driven, "extended.csv")
    assert extended == cli("predict", driven, "data.csv", "--future-data", "future.csv")
    assert [row["timestamp"] for row in extended.rows()] == stamps(206)[200:]
    wind = np.random.default_rng(5).uniform(0, 10, 212)[200:206]
    np.testing.assert_allclose([float(row["power_forecast"]) for row in extended.rows()], 2 * wind, atol=0.5)


def test_future_covariates_that_end_too_early_are_named_with_both_times(cli: Cli, driven: Path) -> None:
    parts = ["future covariate 'wind' is needed until 2024-01-09 13:00", "--future-data FILE"]
    cli("predict", driven, "data.csv").refused(3, *parts, "missing from 2024-01-09 08:00 on")
    short = cli("predict", driven, "data.csv", "--future-data", "short.csv")
    short.refused(3, *parts, "missing from 2024-01-09 11:00 on")
    assert cli("predict", driven, "data.csv", "--future-data", "short.csv", "-H", 3).code == 0


def test_rows_after_the_last_target_do_not_change_the_model(cli: Cli, driven: Path, trained: Train) -> None:
    again = trained(Path("extended.csv"), "--future", "wind,door", name="again")
    assert cli("predict", again, "extended.csv").rows() == cli("predict", driven, "extended.csv").rows()


def test_calendar_covariates_need_no_future_rows(cli: Cli, csv: Csv, trained: Train) -> None:
    model = trained(csv(), "--calendar", "hour,dayofweek")
    assert len(cli("predict", model, "data.csv", "-H", 30).rows()) == 30
    cli("train", "data.csv", "-t", "power", "--calendar", "hours", "-o", "x").refused(2, "'hours'", "'hour'?")


# ------------------------------------------------------------------------------------------------------------ speed


def test_no_model_needs_more_than_numpy_and_pyarrow_to_predict(csv: Csv, cli: Cli) -> None:
    heavy = ("torch", "pandas", "scipy", "matplotlib", "sklearn", "deap", "rich")
    data, words = csv(hours(80)), []
    for model in MODELS:
        hidden = getattr(MODELS.get(model).Config, "hidden", None)
        options = () if hidden is None else FAST[2:] if hidden else ("--set", "model.channels=4", *FAST[2:4])
        assert cli("train", data, "-t", "power", "-m", model, "-H", 3, "-L", 12, *options, "-o", model).code == 0
        words.append(["predict", model, str(data)])
    program = f"import sys\nfrom tsforecast.cli.app import run\nfor words in {words!r}:\n    assert run(words) == 0\n"
    program += f"sys.exit(str([m for m in {heavy!r} if m in sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True
    )
    assert done.stderr.decode().strip() == "[]"
    assert done.stdout.decode().count("timestamp,power_forecast") == len(list(MODELS))


def test_a_horizon_of_nothing_is_refused(cli: Cli, csv: Csv, trained: Train) -> None:
    model = trained(csv())
    for command in ("predict", "evaluate"):
        cli(command, model, "data.csv", "-H", 0).refused(2, "--horizon")
    cli("train", "data.csv", "-t", "power", "-H", 0, "-o", "m").refused(2, "horizon: 0 is too small")


def test_a_time_that_no_row_reaches_is_refused(cli: Cli, csv: Csv, trained: Train) -> None:
    model = trained(csv())
    cli("predict", model, "data.csv", "--at", "2025").refused(3, "beyond the data", "2024-01-09 07:00")
