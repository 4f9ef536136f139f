"""``tsforecast evaluate``: which rows are scored, what is refused, files, plots and the verdict."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as parquet
import pytest
from shell import Cli, Csv, csv_rows, csv_text, hours, stamps, wave

Train = Callable[..., Path]
H, TEST = 6, 40
FOLDS = TEST - H + 1


@pytest.fixture
def model(csv: Csv, trained: Train) -> Path:
    return trained(csv(), "--test", TEST)


def counts(rows: list[dict[str, str]], **wanted: str) -> set[int]:
    return {int(row["n"]) for row in rows if all(row[k] == v for k, v in wanted.items())}


def test_every_row_after_the_last_seen_is_scored(cli: Cli, model: Path) -> None:
    done = cli("evaluate", model, "data.csv", "--metric", "mae,rmse")
    assert done.code == 0
    assert [row["model"] for row in done.rows()] == ["forecast", "naive", "seasonal_naive", "drift"]
    assert list(done.rows()[0]) == ["target", "model", "n", "mae", "rmse"]
    assert counts(done.rows()) == {FOLDS * H}
    assert done.err.startswith("note: power: Skill: ")
    assert cli("evaluate", model, "data.csv", "-q").err == ""
    assert counts(cli("evaluate", model, stdin=Path("data.csv").read_text()).rows()) == {FOLDS * H}


def test_scores_are_the_errors_of_the_forecasts_that_predict_makes(cli: Cli, model: Path) -> None:
    actual = np.array(wave(200))
    errors = []
    for last in range(159, 194):
        made = cli("predict", model, "data.csv", "--at", stamps(200)[last]).rows()
        errors.append(np.abs([float(row["power_forecast"]) for row in made] - actual[last + 1 : last + 1 + H]).mean())
    scored = cli("evaluate", model, "data.csv", "--metric", "mae").rows()[0]
    assert float(scored["mae"]) == pytest.approx(np.mean(errors), rel=1e-5)


def test_rows_the_model_has_seen_are_refused_unless_asked_for(cli: Cli, csv: Csv, trained: Train) -> None:
    model = trained(csv())
    cli("evaluate", model, "data.csv").refused(3, "has seen every row", "--test 0.2", "--in-sample")
    done = cli("evaluate", model, "data.csv", "--in-sample")
    assert counts(done.rows()) == {(200 - 24 - H + 1) * H}
    assert "scored in sample" in done.err
    assert "24 of 200 rows have no forecast" in done.err
    longer = csv(hours(210), "longer.csv")
    assert counts(cli("evaluate", model, longer).rows()) == {5 * H}
    refused = cli("evaluate", model, longer, "-H", 24)
    refused.refused(3, "only 10 rows follow", "the horizon is 24", "--horizon 10")


def test_rows_that_only_carry_covariates_are_no_folds(cli: Cli, csv: Csv, model: Path) -> None:
    later = hours(220)
    later["power"][200:] = [None] * 20
    path = csv(later, "later.csv")
    assert cli("evaluate", model, path).out == cli("evaluate", model, "data.csv").out
    assert counts(cli("evaluate", model, path, "--n-windows", 1).rows()) == {H}


def test_stride_and_n_windows_count_from_the_end(cli: Cli, model: Path) -> None:
    strided = cli("evaluate", model, "data.csv", "--stride", H)
    assert counts(strided.rows()) == {TEST // H * H}
    assert "4 of 40 rows have no forecast" in strided.err
    one = cli("evaluate", model, "data.csv", "--n-windows", 1, "--backtest", "one.csv")
    assert counts(one.rows()) == {H}
    assert "too few for a test" in one.err
    assert [row["timestamp"] for row in csv_rows(Path("one.csv").read_text())] == stamps(200)[-H:]


def test_gaps_cost_the_folds_that_touch_them_and_the_note_counts_rows(cli: Cli, csv: Csv, model: Path) -> None:
    columns = hours()
    for cells in columns.values():
        del cells[170]
    path = csv(columns, "gap.csv")
    done = cli("evaluate", model, path)
    # cutoffs 159 to 169 score the known rows beyond the gap too; then 24 lags must be complete: cutoffs 194 on
    assert "rows have no forecast (no complete lags before them)" in done.err
    known = {row["timestamp"] for row in _backtest(cli, model, path)}
    assert known == set(stamps(200)[160:176]) - {stamps(200)[170]}


def _backtest(cli: Cli, model: Path, data: Path) -> list[dict[str, str]]:
    assert cli("evaluate", model, data, "--backtest", "bt.csv").code == 0
    return [row for row in csv_rows(Path("bt.csv").read_text()) if row["power"]]


def test_tables_by_step_and_by_series(cli: Cli, model: Path) -> None:
    steps = cli("evaluate", model, "data.csv", "--by", "step", "--metric", "mae").rows()
    assert [row["step"] for row in steps if row["model"] == "forecast"] == ["1", "2", "3", "4", "5", "6"]
    assert counts(steps) == {FOLDS}
    whole = cli("evaluate", model, "data.csv", "--metric", "mae")
    assert cli("evaluate", model, "data.csv", "--by", "series", "--metric", "mae").out == whole.out
    cli("evaluate", model, "data.csv", "--by", "day").refused(2, "--by day", "all, series, step")


def test_every_format_holds_the_same_scores(cli: Cli, model: Path) -> None:
    command = ["evaluate", model, "data.csv", "--metric", "mae", "-q"]
    rows = [{**row, "n": int(row["n"]), "mae": float(row["mae"])} for row in cli(*command).rows()]
    assert [json.loads(line) for line in cli(*command, "-f", "jsonl").out.splitlines()] == rows
    assert cli(*command, "-f", "tsv").out == cli(*command).out.replace(",", "\t")
    assert "seasonal_naive" in cli(*command, "-f", "table").out
    assert cli(*command, "-o", "scores.parquet").out == ""
    assert parquet.read_table("scores.parquet").to_pylist() == rows
    document = cli(*command, "--json")
    parsed = json.loads(document.out)
    assert (parsed["schema"], parsed["scores"][0]["mae"]) == (1, rows[0]["mae"])
    assert parsed["verdicts"][0]["target"] == "power"
    assert cli(*command, "-o", "scores.json").code == 0
    assert Path("scores.json").read_bytes() == document.raw


def test_mistakes_are_found_before_any_file_is_written(cli: Cli, model: Path) -> None:
    files = sorted(os.listdir())
    command = ["evaluate", model, "data.csv", "--backtest", "bt.csv"]
    cli(*command, "-f", "xlsx").refused(2, "unknown format 'xlsx'")
    cli(*command, "--metric", "msae").refused(2, "did you mean 'mae'")
    cli(*command, "--plot", "out.bmp").refused(2, "'.bmp'", "out.png, .svg or .pdf")
    cli(*command, "--plot", "data.csv/plots").refused(2, "cannot make the folder")
    assert sorted(os.listdir()) == files


def test_plots_are_written_where_they_are_asked_for(cli: Cli, model: Path) -> None:
    done = cli("evaluate", model, "data.csv", "--plot", "plots", "--n-windows", 5)
    assert "note: plot plots/forecasts.png" in done.err
    names = ["correlations", "forecasts", "horizon", "residuals", "scatter", "training"]
    assert sorted(os.listdir("plots")) == [f"{name}.png" for name in names]
    for name, magic in (("horizon.png", b"\x89PNG"), ("scatter.svg", b"<?xml"), ("any.pdf", b"%PDF")):
        assert cli("evaluate", model, "data.csv", "--plot", name, "--n-windows", 5).code == 0
        assert Path(name).read_bytes().startswith(magic)


def test_a_file_for_a_plot_is_that_plot(cli: Cli, model: Path) -> None:
    for name, near in (("calibratoin", "calibration"), ("Scatter", "scatter"), ("train", "training")):
        refused = cli("evaluate", model, "data.csv", "--plot", f"{name}.png", "--backtest", "bt.csv")
        refused.refused(2, f"there is no plot '{name}'", f"did you mean {near}.png?")
    done = cli("evaluate", model, "data.csv", "--plot", "result.svg", "--n-windows", 5)
    assert done.code == 0 and "note: plot result.svg (of forecasts)" in done.err
    assert not Path("bt.csv").exists()


def test_a_plot_that_there_is_not_is_refused_before_any_work(cli: Cli, csv: Csv, model: Path) -> None:
    none = "there are no quantiles (train with --quantiles"
    for words, why in (
        (("--plot", "fan.png"), f"no fan plot: {none}"),
        (("--plot", "calibration.svg"), f"no calibration plot: {none}"),
        (("--plot", "horizon.png", "--simulate"), "no horizon plot: a simulation has no horizon"),
        (("--plot", "fan.png", "--simulate"), "no fan plot: a simulation forecasts no quantiles"),
    ):
        done = cli("evaluate", model, "data.csv", *words)
        done.refused(2, why, "name another plot, or a folder")
        assert "note" not in done.err and not list(Path().glob("*.[ps][nv]g"))
    made = csv({"timestamp": stamps(200)[50:53], "power_forecast": [1, 2, 3]}, "f.csv")
    files = ("--forecast", made, "--actual", "data.csv", "--plot")
    cli("evaluate", *files, "fan.png").refused(2, f"no fan plot: {none}")
    cli("evaluate", *files, "training.png").refused(2, "no training plot: nothing was trained")


def test_plots_of_several_targets_are_named_after_them(cli: Cli, csv: Csv, trained: Train) -> None:
    model = trained(csv(), "-t", "power,wind", "--test", TEST)
    assert cli("evaluate", model, "data.csv", "--plot", "horizon.svg", "--n-windows", 5).code == 0
    assert sorted(path.name for path in Path().glob("*.svg")) == ["horizon-power.svg", "horizon-wind.svg"]


# -------------------------------------------------------------------------------------------- data as predict takes it


def test_holes_may_be_treated_otherwise_than_in_training(cli: Cli, csv: Csv, model: Path) -> None:
    columns = hours()
    columns["power"][165] = None
    hole = csv(columns, "hole.csv")
    skipped = cli("evaluate", model, hole)
    filled = cli("evaluate", model, hole, "--missing", "interpolate")
    assert "1 values filled" in filled.err
    assert counts(filled.rows()).pop() > counts(skipped.rows()).pop()
    cli("evaluate", model, hole, "--missing", "guess").refused(2, "--missing 'guess' is unknown")


def test_future_covariates_may_come_from_a_file_of_their_own(cli: Cli, csv: Csv, trained: Train) -> None:
    """What was forecast of the wind counts, not what the wind then was, as when ``predict`` is given that file."""
    model = trained(csv(), "--future", "wind", "--test", TEST, name="driven")
    ahead = csv({"timestamp": stamps(200), "wind": wave(200, seed=7)}, "ahead.csv")
    said = ("--backtest", "bt.csv", "--future-data", ahead)
    assert cli("evaluate", model, "data.csv", *said).code == 0
    last = [row for row in csv_rows(Path("bt.csv").read_text()) if row["cutoff"] == stamps(200)[193]]
    made = cli("predict", model, "data.csv", "--at", stamps(200)[193], "--future-data", ahead).rows()
    values = [[float(row["power_forecast"]) for row in rows] for rows in (last, made)]
    assert values[0] == pytest.approx(values[1], rel=1e-5)
    assert cli("evaluate", model, "data.csv").out != cli("evaluate", model, "data.csv", *said).out

    unknown = hours()
    unknown["wind"][160:] = [None] * 40
    hollow = csv(unknown, "hollow.csv")
    cli("evaluate", model, hollow).refused(3, "its future covariates after it")
    assert counts(cli("evaluate", model, hollow, *said).rows()) == {H}  # beyond it wind is unknown within the lags
    cli("evaluate", model, "data.csv", *said, "--simulate").refused(2, "leave --", "--future-data")


# --------------------------------------------------------------------------------------------------------- quantiles

OF_QUANTILES = ["pinball", "wql", "crps", "coverage", "width", "msis"]


@pytest.fixture
def probabilistic(csv: Csv, trained: Train) -> Path:
    return trained(csv(), "--test", TEST, "--quantiles", "0.1,0.9", "--intervals", "conformal", name="q.safetensors")


def test_quantiles_are_scored_and_their_honesty_is_told(cli: Cli, probabilistic: Path) -> None:
    done = cli("evaluate", probabilistic, "data.csv", "--backtest", "bt.csv")
    forecast, naive = done.rows()[:2]
    assert [name for name in forecast if name in OF_QUANTILES] == OF_QUANTILES
    assert {naive[name] for name in OF_QUANTILES} == {""}
    made = csv_rows(Path("bt.csv").read_text())
    assert list(made[0])[-3:] == ["power_forecast", "power_q0.1", "power_q0.9"]
    low, actual, high = (np.array([float(row[f"power{end}"]) for row in made]) for end in ("_q0.1", "", "_q0.9"))
    covered = ((low <= actual) & (actual <= high)).mean()
    assert float(forecast["coverage"]) == pytest.approx(covered)
    assert float(forecast["width"]) == pytest.approx((high - low).mean(), rel=1e-5)
    assert "note: power: 80 % interval: " in done.err
    assert f": covers {100 * covered:.1f} % of {FOLDS * H} actuals (by chance" in done.err
    (told,) = json.loads(cli("evaluate", probabilistic, "data.csv", "--json").out)["calibrations"]
    assert told["target"] == "power" and told["sentence"] in done.err
    assert [entry["level"] for entry in told["levels"]] == [0.1, 0.9]
    assert told["levels"][0]["share"] == pytest.approx((actual <= low).mean())
    assert told["intervals"][0]["coverage"] == pytest.approx(covered)


def test_a_backtest_file_keeps_its_quantiles(cli: Cli, probabilistic: Path) -> None:
    command = ["--metric", "coverage,crps"]
    table = cli("evaluate", probabilistic, "data.csv", "--backtest", "bt.csv", *command).rows()[0]
    again = cli("evaluate", "--forecast", "bt.csv", "--actual", "data.csv", *command).rows()[0]
    assert {name: float(again[name]) for name in ("coverage", "crps")} == pytest.approx(
        {name: float(table[name]) for name in ("coverage", "crps")}, rel=1e-5
    )


def test_a_point_forecast_is_spared_the_quantiles(cli: Cli, model: Path) -> None:
    done = cli("evaluate", model, "data.csv", "--n-windows", 5)
    assert not set(OF_QUANTILES) & set(done.rows()[0]) and "interval" not in done.err
    assert json.loads(cli("evaluate", model, "data.csv", "--json").out)["calibrations"] == []
    refused = cli("evaluate", model, "data.csv", "--metric", "mae,coverage", "--backtest", "bt.csv")
    refused.refused(2, "--metric coverage: there are no quantiles", "--quantiles", "--intervals conformal")
    assert not Path("bt.csv").exists()


def test_plots_of_quantiles_are_drawn_where_there_are_any(cli: Cli, probabilistic: Path) -> None:
    assert cli("evaluate", probabilistic, "data.csv", "--plot", "plots", "--n-windows", 5).code == 0
    assert {"fan.png", "calibration.png"} <= set(os.listdir("plots"))


# ---------------------------------------------------------------------------------------------------- several series


def two_sites() -> dict[str, list[object]]:
    return {
        "timestamp": stamps(200) + stamps(150),
        "site": ["b"] * 200 + ["a"] * 150,
        "power": wave(200) + wave(150, seed=3),
    }


def test_every_series_is_scored_after_its_own_last_row(cli: Cli, csv: Csv, trained: Train) -> None:
    model = trained(csv(two_sites()), "--series-id", "site", "--test", 30)
    rows = cli("evaluate", model, "data.csv", "--by", "series", "--backtest", "bt.csv").rows()
    assert counts(rows, series="a") == counts(rows, series="b") == {25 * H}
    made = csv_rows(Path("bt.csv").read_text())
    assert list(made[0]) == ["timestamp", "site", "cutoff", "step", "power", "power_forecast"]
    assert min(row["timestamp"] for row in made if row["site"] == "a") == stamps(200)[120]
    assert min(row["timestamp"] for row in made if row["site"] == "b") == stamps(200)[170]
    fresh = csv({"timestamp": stamps(60), "site": ["c"] * 60, "power": wave(60)}, "fresh.csv")
    assert counts(cli("evaluate", model, fresh).rows()) == {(60 - 24 - H + 1) * H}


# --------------------------------------------------------------------------------------------------- forecast files


def test_a_forecast_file_is_scored_against_what_happened(cli: Cli, csv: Csv, model: Path) -> None:
    made = cli("predict", model, "data.csv", "--at", stamps(200)[159])
    piped = cli("evaluate", "--forecast", "-", "--actual", "data.csv", "--metric", "mae", stdin=made.out)
    assert counts(piped.rows(), model="forecast") == {H}
    Path("made.csv").write_text(made.out)
    assert cli("evaluate", "--forecast", "made.csv", "--actual", "data.csv", "--metric", "mae").out == piped.out
    late = cli("predict", model, "data.csv").out
    refused = cli("evaluate", "--forecast", "-", "--actual", "data.csv", stdin=late)
    refused.refused(3, "the files share no timestamp", "predict --at")


@pytest.mark.parametrize("words", [(), ("--series-id", "site"), ("--no-time",), ("--sampling", "4s")])
def test_a_backtest_file_gives_the_scores_of_the_backtest(
    cli: Cli, csv: Csv, trained: Train, words: tuple[str, ...]
) -> None:
    data = csv(two_sites() if words == ("--series-id", "site") else {"power": wave(200)} if words else hours())
    metrics, season = ["mae", "rmsse"], ("--season-length", 24)
    model = trained(data, "--test", TEST, *season, *words)
    table = cli("evaluate", model, data, "--backtest", "bt.csv", "--metric", ",".join(metrics)).rows()
    reading = season if words == ("--series-id", "site") else (*season, *words)
    again = cli("evaluate", "--forecast", "bt.csv", "--actual", data, "--metric", ",".join(metrics), *reading).rows()
    for old, new in zip(table, again, strict=True):
        assert (new["model"], new["n"]) == (old["model"], old["n"])
        assert [float(new[m]) for m in metrics] == pytest.approx([float(old[m]) for m in metrics], rel=1e-5)


def test_the_least_skill_is_asked_of_the_first_metric(cli: Cli, model: Path) -> None:
    command = ["evaluate", model, "data.csv", "--backtest", "bt.csv", "--metric", "rmse,mae", "--json", "--min-skill"]
    (verdict,) = json.loads(cli(*command, -9).out)["verdicts"]
    assert verdict["metric"] == "rmse" and "RMSE" in verdict["sentence"]
    assert cli(*command, verdict["skill"] - 1e-6).code == 0
    done = cli(*command, verdict["skill"] + 1e-6)
    assert done.code == 1
    assert f"power: the skill over {verdict['best']} in RMSE is {verdict['skill']:.3f}, less than" in done.err
    told = cli("evaluate", "--forecast", "bt.csv", "--actual", "data.csv", "--metric", "rmse", "--min-skill", 1)
    assert told.code == 1 and f" in RMSE is {verdict['skill']:.3f}, less than 1" in told.err


def test_one_forecast_is_too_few_for_an_answer(cli: Cli, csv: Csv, model: Path) -> None:
    perfect = csv({"timestamp": stamps(200)[50:60], "power_forecast": wave(200)[50:60]}, "f.csv")
    done = cli("evaluate", "--forecast", perfect, "--actual", "data.csv", "--min-skill", 0.1)
    assert done.code == 1 and "No verdict: 1 fold is too few for a test" in done.err
    assert "which is enough, but 1 fold is too few to tell" in done.err
    assert "give forecasts from more cutoffs" in done.err and "Diebold" not in done.err
    one = cli("evaluate", model, "data.csv", "--n-windows", 1, "--min-skill", 0.0)
    assert one.code == 1 and "1 fold is too few to tell" in one.err and "a smaller --stride" in one.err


def test_forecast_files_that_do_not_fit_are_refused(cli: Cli, csv: Csv, model: Path) -> None:
    cli("evaluate", "--forecast", "data.csv").refused(2, "--forecast needs --actual")
    files = ["--forecast", "data.csv", "--actual", "data.csv"]
    cli("evaluate", *files).refused(3, "no column that ends in _forecast", "timestamp, power, wind")
    cli("evaluate", model, *files).refused(2, "MODEL cannot go with --forecast")
    idle = ["--backtest", "bt.csv", "--missing", "zero", "--n-windows", 3, "--floor", 0]
    cli("evaluate", *files, *idle).refused(
        2, "--n-windows and --backtest and --missing and --floor cannot go with --forecast"
    )
    cli("evaluate", model, "data.csv", "-t", "power").refused(2, "--target cannot go with a MODEL")
    cli("evaluate", model, "data.csv", "--season-length", 24).refused(2, "--season-length cannot go with a MODEL")
    csv({"timestamp": stamps(3), "load_forecast": [1, 2, 3]}, "load.csv")
    cli("evaluate", "--forecast", "load.csv", "--actual", "data.csv").refused(3, "data.csv: there is no column 'load'")


def test_season_and_rated_value_of_a_forecast_file_may_be_said(cli: Cli, csv: Csv, model: Path) -> None:
    Path("made.csv").write_text(cli("predict", model, "data.csv", "--at", stamps(200)[159]).out)

    def scores(*words: Any) -> dict[str, dict[str, float]]:
        metrics = ("--metric", "mae,rmse,nrmse")
        rows = cli("evaluate", "--forecast", "made.csv", "--actual", "data.csv", *metrics, *words).rows()
        return {row["model"]: {name: float(row[name]) for name in ("mae", "rmse", "nrmse")} for row in rows}

    forecast = scores("--rated", 50)["forecast"]
    assert forecast["nrmse"] == pytest.approx(forecast["rmse"] / 50)
    assert scores("--season-length", 1)["seasonal_naive"] == scores()["naive"] != scores()["seasonal_naive"]


def test_a_column_of_a_forecast_file_may_be_chosen(cli: Cli, csv: Csv) -> None:
    made = csv({"timestamp": stamps(200)[50:53], "power_forecast": [1, 2, 3], "wind_forecast": [1, 2, 3]}, "f.csv")
    done = cli("evaluate", "--forecast", made, "--actual", csv(), "-t", "wind")
    assert {row["target"] for row in done.rows()} == {"wind"}


def test_a_perfect_forecast_scores_zero(cli: Cli, csv: Csv) -> None:
    perfect = {"timestamp": stamps(200)[50:60], "power_forecast": wave(200)[50:60]}
    done = cli("evaluate", "--forecast", "-", "--actual", csv(), "--metric", "mae", stdin=csv_text(perfect))
    assert float(done.rows()[0]["mae"]) == 0
