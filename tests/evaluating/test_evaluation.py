"""Scoring a forecaster, and its forecasts in a file: one forecast, one verdict."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import tsforecast
from tsforecast.artifact import Artifact
from tsforecast.cli.scores import write_backtest
from tsforecast.data.read import read
from tsforecast.data.table import Table
from tsforecast.domains import DOMAINS, Domain
from tsforecast.evaluating import backtest, evaluation
from tsforecast.evaluating.evaluation import Evaluation, evaluate, evaluate_files
from tsforecast.forecasting.prediction import read_frame
from tsforecast.options import ReadOptions
from tsforecast.plots.save import save
from tsforecast.registry import PLOTS

LENGTH = 36  # of a season that no calendar names


def two_sites(rows: int = 700) -> pa.Table:
    """Return the hours of two sites, the second one in service for half as long, with a season and a trend."""
    parts = []
    for s, n in enumerate((rows, rows // 2)):
        t = np.arange(n)
        power = 5 * np.sin(2 * np.pi * t / LENGTH) + 0.01 * t + np.random.default_rng(s).normal(0, 0.3, n)
        time = np.datetime64("2024-01-01T00", "us") + t * np.timedelta64(1, "h")
        parts.append(pa.table({"time": time, "site": ["ab"[s]] * n, "power": power}))
    return pa.concat_tables(parts)


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    sizes: dict[str, Any] = {"horizon": 6, "lags": "48", "series_id": "site", "test": "0.2"}
    return tsforecast.train(two_sites(), "power", model="linear", **sizes)


def table(source: Any) -> Table:
    return read([source], ReadOptions())


def scored(artifact: Artifact, **options: Any) -> Evaluation:
    frame, _ = read_frame(artifact.forecaster, table(two_sites()), ReadOptions())
    return evaluate(artifact.forecaster, frame, **options)


def test_the_file_of_a_backtest_gets_the_verdict_and_the_scores_of_the_model(
    artifact: Artifact, tmp_path: Path
) -> None:
    made, path = scored(artifact), tmp_path / "backtest.parquet"
    assert made.forecasts[0].season_length == LENGTH
    write_backtest(made, artifact.forecaster.clock, "site", path)
    again = evaluate_files(table(path), table(two_sites()), ReadOptions())
    assert again.verdicts[0].sentence == made.verdicts[0].sentence
    assert len(again.records) == len(made.records)
    keys = ["target", "rows", "series", "step", "model"]
    for old, new in zip(made.records, again.records, strict=True):
        assert [new.pop(key) for key in keys] == [old.pop(key) for key in keys]
        assert new == pytest.approx(old, rel=1e-5, nan_ok=True)
        assert np.isfinite([new["mase"], new["rmsse"], new["nrmse"]]).all()


def grown(artifact: Artifact, factor: float) -> Artifact:
    """Return the model with weights that are larger than any training makes them."""
    params = {name: np.float32(factor) * value for name, value in artifact.forecaster.params.items()}
    return replace(artifact, forecaster=replace(artifact.forecaster, params=params))


@pytest.mark.parametrize("limits", [{}, {"cap": 50.0, "floor": -50.0}])
@pytest.mark.parametrize("simulate", [False, True])
def test_a_forecast_that_diverges_is_warned_of_and_worse(
    limits: dict[str, float], simulate: bool, tmp_path: Path
) -> None:
    words: dict[str, Any] = {"horizon": 6, "lags": "48", "series_id": "site", "test": "0.2", "shrink": "none"}
    if not simulate:
        words |= {"quantiles": "0.1,0.9", "intervals": "conformal"}
    model = grown(tsforecast.train(two_sites(), "power", model="linear", **words, **limits), 1e5)
    made = scored(model, simulate=True) if simulate else scored(model, horizon=60)
    (said,) = (text for text in made.warnings if "diverges" in text)
    assert re.match(
        r"the forecast of (2 series \(a, b\)|series a) that is fed back diverges from 2024-\S+ \S+ on", said
    )
    assert said.endswith(": its errors there count as infinite")
    (f,), (verdict,) = made.forecasts, made.verdicts
    assert np.isfinite(f.forecast[:, 0]).all() and np.isinf(f.forecast[0, 50:60]).all()
    assert verdict.skilled is False and verdict.score == np.inf
    assert re.search(r"Worse than (\w+): it diverges; use the \1 forecast\.$", verdict.sentence)
    (whole,) = (r for r in made.records if (r["model"], r["series"], r["step"]) == ("forecast", None, None))
    assert whole["mae"] == np.inf and (simulate or whole["pinball"] == whole["msis"] == np.inf)
    assert len(made.calibrations) == (not simulate)
    for name in PLOTS:
        if (name != "training") and (f.quantiles or name not in ("fan", "calibration")):
            save(PLOTS.get(name)(f, []), tmp_path / f"{name}.png")


def test_the_rated_value_scales_the_nrmse_of_a_file(artifact: Artifact, tmp_path: Path) -> None:
    path = tmp_path / "backtest.parquet"
    write_backtest(scored(artifact), artifact.forecaster.clock, "site", path)
    files = table(path), table(two_sites()), ReadOptions()
    (record, *_) = evaluate_files(*files, metrics=["rmse", "nrmse"], rated=50.0).records
    assert record["nrmse"] == pytest.approx(record["rmse"] / 50)
    (rows,) = {f.season_length for f in evaluate_files(*files, season_length=24).forecasts}
    assert rows == 24


@pytest.mark.parametrize(
    ("metrics", "judged"), [((), "mae"), (("rmse", "mae"), "rmse"), (("mase",), "mase"), (("r2", "rmse"), "mae")]
)
def test_skill_is_in_the_first_metric_if_it_is_a_loss(
    artifact: Artifact, tmp_path: Path, metrics: tuple[str, ...], judged: str
) -> None:
    made, path = scored(artifact, metrics=metrics), tmp_path / "backtest.parquet"
    write_backtest(made, artifact.forecaster.clock, "site", path)
    again = evaluate_files(table(path), table(two_sites()), ReadOptions(), metrics=metrics)
    run = scored(artifact, metrics=metrics, simulate=True)
    by_model = {record["model"]: record.get(judged) for record in reversed(made.records) if record["step"] is None}
    for verdict in (made.verdicts[0], again.verdicts[0], run.verdicts[0]):
        assert verdict.metric == judged
        assert f" {judged.upper()} than" in verdict.sentence
    if judged in metrics:
        first, best = made.verdicts[0], made.verdicts[0].best
        assert first.skill == pytest.approx(1 - by_model["forecast"] / by_model[best], rel=1e-6)


def test_any_domain_may_call_naive_the_random_walk(artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {**DOMAINS, "coins": Domain("coins", "Heads or tails.", random_walk=True)}
    for module in (evaluation, backtest):
        monkeypatch.setattr(module, "DOMAINS", known)
    forecaster = artifact.forecaster
    tossed = replace(artifact, forecaster=replace(forecaster, options=replace(forecaster.options, domain="coins")))
    assert any("the direction was right in" in note for note in scored(tossed).notes)
    assert not any("the direction was right in" in note for note in scored(artifact).notes)


def drifting(share: float) -> pa.Table:
    """Return a price that goes up on a share of its days."""
    up = np.random.default_rng(0).random(800) < share
    price = 100 * np.exp(np.cumsum(np.where(up, 0.01, -0.01)))
    return pa.table({"time": np.datetime64("2020-01-06", "us") + np.arange(800) * np.timedelta64(1, "D"), "p": price})


def test_a_direction_must_beat_the_one_that_is_usual() -> None:
    data = drifting(0.75)
    words: dict[str, Any] = {"horizon": 1, "lags": "5", "test": "0.4", "domain": "stock"}
    made = tsforecast.train(data, "p", model="linear", **words)
    (note,) = (n for n in tsforecast.evaluate(made, data).notes if "direction was right" in n)
    assert re.search(r"right in 7\d\.\d% .*: no better than always \"up\" \(7\d\.\d%\)$", note)


@pytest.mark.parametrize("unlike", [False, True])
def test_a_file_is_judged_in_the_units_of_the_model(tmp_path: Path, unlike: bool) -> None:
    data = two_sites()
    power = data["power"].to_numpy() * np.where(np.array(data["site"].to_pylist()) == "b", 1e4 if unlike else 1, 1)
    data = data.set_column(2, "power", pa.array(power))
    made = tsforecast.train(data, "power", model="linear", horizon=6, lags="48", series_id="site", test="0.2")
    told, path = tsforecast.evaluate(made, data), tmp_path / "backtest.parquet"
    write_backtest(told, made.forecaster.clock, "site", path)
    again = evaluate_files(table(path), table(data), ReadOptions())
    assert [v.own_units for v in (told.verdicts[0], again.verdicts[0])] == [unlike, unlike]
    assert ("in each series' own unit" in told.verdicts[0].sentence) == unlike
    assert again.verdicts[0].sentence == told.verdicts[0].sentence
