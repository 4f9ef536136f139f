"""A comparison: the same folds for all, the scores that evaluate gives, an honest choice, failures and interrupts."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import tsforecast
from tsforecast.artifact import Artifact
from tsforecast.comparing import comparison, lineup
from tsforecast.comparing.comparison import Comparison, Nobody
from tsforecast.comparing.ranking import Row
from tsforecast.config import Layer, resolve
from tsforecast.data.read import read
from tsforecast.errors import DataError, Interrupted, TrainingError, UsageError
from tsforecast.options import ColumnOptions, CompareOptions, FitOptions, ReadOptions
from tsforecast.training import preparation
from tsforecast.training.fitting import fit

QUICK = {"trainer_options": {"steps": 2, "batch_size": 256}, "model_options": {"hidden": 4}}
BASELINES = {"naive", "seasonal_naive", "drift"}


def table(rows=400, series=("",), seed=0, **columns):
    """Return noisy seasons of a day, hourly; each series on a level of its own."""
    parts = []
    for code, name in enumerate(series):
        rng, t = np.random.default_rng([seed, code]), np.arange(rows)
        power = 10 * (code + 1) + 5 * np.sin(2 * np.pi * t / 24) + rng.normal(0, 0.3, rows)
        part = {"timestamp": pd.date_range("2024-01-01", periods=rows, freq="h"), "power": power, "wind": power[::-1]}
        parts.append(pd.DataFrame(part | ({"plant": name} if name else {})))
    return pd.concat(parts).assign(**columns)


def contest(data, models, *, model=None, trainer=None, **top):
    top = {"target": "power", "horizon": 6, "models": models, **top}
    known = (ReadOptions, ColumnOptions, FitOptions, CompareOptions)
    settings = resolve([Layer("argument", top, model or {"hidden": 4}, trainer or {"steps": 2})], known)
    return Comparison(read([data], settings.build(ReadOptions)), settings)


@pytest.fixture(scope="module")
def ranking():
    models = "linear,gru:lags=24,tdnn:lags=12"
    return tsforecast.compare(table(), "power", models=models, horizon=6, metric="mae,rmse", **QUICK)


def test_models_and_baselines_are_ranked_together(ranking):
    assert {row.model for row in ranking.rows} == {"linear", "gru:lags=24", "tdnn:lags=12", *BASELINES}
    assert [row.rank for row in ranking.rows] == [1, 2, 3, 4, 5, 6]
    scores = [row.scores["mae"] for row in ranking.rows]
    assert scores == sorted(scores)
    assert ranking.baseline.skill == 0
    assert [row.skill > 0 for row in ranking.rows] == [score < ranking.baseline.scores["mae"] for score in scores]
    assert ranking.rows[0].group == "top"
    assert math.isnan(ranking.rows[0].p_value)
    assert all((row.p_value < 0.05) == (row.group == "behind") for row in ranking.rows[1:])


def test_scores_are_those_of_a_loop_over_evaluate():
    """With one number of lags, training and evaluating each model by itself gives the same scores and order."""
    data, words = table(), {"horizon": 6, "lags": "24", **QUICK}
    made = tsforecast.compare(data, "power", models="rnn,gru", metric="mae,rmse", **words)
    for name in ("rnn", "gru"):
        artifact = tsforecast.train(data, "power", model=name, test="0.2", **words)
        told = tsforecast.evaluate(artifact, data, metric=["mae", "rmse"]).records
        scores = {r["model"]: (r["mae"], r["rmse"]) for r in told if r["step"] is None}
        for row in made.rows:
            expected = scores["forecast"] if row.model == name else scores.get(row.model)
            if expected:
                assert tuple(row.scores.values()) == pytest.approx(expected, rel=1e-6)


def test_folds_are_those_that_the_longest_lags_leave():
    data = table(300)
    data.loc[data.index[270], "power"] = np.nan  # a hole in the test rows: lags across it are not complete
    made = contest(data, "rnn:lags=4,gru:lags=20")
    assert 0 < len(made.lineup.test) < len(contest(data, "rnn:lags=4").lineup.test)
    assert list(made.lineup.test.cutoffs) == list(contest(data, "gru:lags=20").lineup.test.cutoffs)
    assert any("have all of 20 lags" in note for note in made.lineup.notes)


def test_stride_and_windows_choose_the_newest_folds_of_every_series():
    made = contest(table(series=("a", "b")), "gru", series_id="plant", stride=6, n_windows=3)
    times = made.lineup.test.frame.time[made.lineup.test.cutoffs]
    assert len(times) == 6
    assert np.all(np.diff(times[:3]) == np.diff(times[3:]))
    assert np.unique(np.diff(times[:3])).tolist() == [6 * 3_600_000_000]


def test_rows_are_laid_out_once_for_all(monkeypatch):
    calls = []
    monkeypatch.setattr(lineup, "lay_out", lambda *words: calls.append(1) or preparation.lay_out(*words))
    made = contest(table(), "linear:lags=12,gru:lags=24,tdnn", seeds=2)
    made.run()
    assert len(calls) == 1


def test_the_choice_is_made_on_validation_rows(monkeypatch, ranking):
    trained = [row for row in ranking.rows if not row.is_baseline]
    assert ranking.chosen.valid == min(row.valid for row in trained)
    assert "is the choice among 3 by the mae of" in ranking.sentence
    assert "test folds that chose nothing" in ranking.sentence
    assert ranking.to_json()["chosen_on"] == "valid"


def test_who_is_chosen_does_not_depend_on_the_test_rows():
    data = table()
    mad = data.copy()
    mad.iloc[-80:, 1] = 1000 * np.random.default_rng(0).normal(size=80)
    first, second = (
        tsforecast.compare(d, "power", models="linear,gru", horizon=6, test="80", **QUICK) for d in (data, mad)
    )
    assert [r.valid for r in sorted(first.rows, key=lambda r: r.model) if not r.is_baseline] == pytest.approx(
        [r.valid for r in sorted(second.rows, key=lambda r: r.model) if not r.is_baseline]
    )
    assert first.chosen.model == second.chosen.model


def test_without_validation_folds_the_claim_says_that_the_test_rows_chose():
    made = tsforecast.compare(table(200), "power", models="linear,gru:lags=24", horizon=6, valid="3", **QUICK)
    assert made.valid_folds == 0
    assert "is the choice among 2 on these very" in made.sentence
    assert "too good" in made.sentence
    assert made.to_json()["chosen_on"] == "test"


@pytest.mark.parametrize("valid", ["0.2", "3"])
def test_of_one_model_nothing_is_said_to_have_chosen_it(valid):
    made = tsforecast.compare(table(200), "power", models="gru:lags=24", horizon=6, valid=valid, **QUICK)
    assert (made.valid_folds > 0) == (valid == "0.2")
    assert made.sentence.startswith("gru:lags=24 is the choice, as the only one trained; its mae of ")
    assert not any(word in made.sentence for word in ("kept", "by the mae", "chose", "too good"))
    assert not any("choose" in note for note in made.notes)


def test_the_kept_model_is_the_chosen_one_and_forecasts_the_same(tmp_path, ranking):
    kept = ranking.kept
    assert isinstance(kept, Artifact)
    told = tsforecast.evaluate(kept, table(), metric=["mae"]).records
    tsforecast.save(kept, tmp_path / "m.safetensors")
    again = tsforecast.predict(tsforecast.load(tmp_path / "m.safetensors"), table())
    pd.testing.assert_frame_equal(tsforecast.predict(kept, table()), again)
    assert told[0]["mae"] == pytest.approx(ranking.chosen.scores["mae"], rel=0.05)  # here over all of its own folds


def test_who_cannot_be_trained_again_does_not_take_part():
    data = table(200, series=("a", "b"))
    made = contest(data, "linear,gru", series_id="plant", local=True, refit=True)
    assert "its own best step" in made.lineup.problems["gru"].message
    assert list(made.lineup.problems) == ["gru"]
    with pytest.raises(UsageError, match="its own best step"):
        contest(data, "gru", series_id="plant", local=True, refit=True)


def test_refit_trains_the_chosen_one_again_and_says_so():
    words = {"models": "linear", "horizon": 6, "lags": "24", "trainer_options": {}}
    plain, again = (tsforecast.compare(table(), "power", refit=refit, **words) for refit in (False, True))
    assert plain.rows[0].scores == again.rows[0].scores
    assert again.kept.forecaster.options.refit
    weights = [made.kept.forecaster.params for made in (plain, again)]
    assert any(not np.array_equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert any("scores are from before" in note for note in again.notes)


def test_several_seeds_give_means_and_a_spread():
    alone = [tsforecast.compare(table(), "power", models="gru", horizon=6, seed=s, **QUICK) for s in (5, 6)]
    both = tsforecast.compare(table(), "power", models="gru", horizon=6, seed=5, seeds=2, **QUICK)
    scores = [made.chosen.scores["mae"] for made in alone]
    assert both.chosen.scores["mae"] == pytest.approx(np.mean(scores))
    assert both.chosen.spread == pytest.approx(np.std(scores, ddof=1))
    best = min(alone, key=lambda made: made.chosen.valid)
    assert both.kept.forecaster.options.seed == best.kept.forecaster.options.seed
    assert "spread" in both.to_frame()
    assert not any("--seeds" in note for note in both.notes)


def test_several_targets_are_averaged_in_shares_of_naive():
    data = table(wind=lambda frame: 1000 * frame.power.to_numpy()[::-1])
    made = tsforecast.compare(data, ["power", "wind"], models="linear", horizon=6)
    naive = next(row for row in made.rows if row.model == "naive")
    assert naive.scores["mae"] == pytest.approx(1)
    for row in made.rows:
        shares = [row.by_target["mae"][t] / naive.by_target["mae"][t] for t in ("power", "wind")]
        assert row.scores["mae"] == pytest.approx(np.mean(shares))
    assert any("share of naive's" in note for note in made.notes)


@pytest.mark.parametrize("unlike", [False, True])
def test_unlike_series_count_alike(unlike):
    data = table(series=("a", "b"))
    data.loc[data.plant == "b", "power"] *= 1e4 if unlike else 1
    words = {"models": "linear,gru", "horizon": 6, "series_id": "plant", "metric": "mae,mase,rmse,wape", **QUICK}
    made = tsforecast.compare(data, "power", **words)
    by_metric = {m: [row.scores[m] for row in made.rows] for m in made.metrics}
    assert (by_metric["mae"] == pytest.approx(by_metric["mase"])) == unlike
    assert ("series differ in size: mae, rmse in each series' own unit, that of MASE" in made.notes) == unlike


def test_whether_the_choice_is_better_by_more_than_luck(ranking):
    """The test of the choice against the best baseline; of a choice that leads it is the one in the table."""
    assert ranking.skilled == (ranking.p_value < 0.05 and ranking.chosen.skill > 0.001)
    assert ranking.skilled and "luck" not in ranking.sentence
    if ranking.chosen.rank == 1:
        assert ranking.p_value == ranking.baseline.p_value
    assert {k: ranking.to_json()[k] for k in ("skilled", "p_value")} == {"skilled": True, "p_value": ranking.p_value}
    doubtful = replace(ranking, p_value=0.276)
    assert not doubtful.skilled
    assert doubtful.sentence.endswith(f"% better than {ranking.baseline.model}, which may be luck (p = 0.276)")


def test_a_choice_behind_the_leader_is_tested_against_the_baseline_itself(monkeypatch):
    made = contest(table(), "linear,gru,tdnn:lags=4")
    monkeypatch.setattr(made, "leader", lambda rows: max(rows, key=lambda row: row.scores["mae"]))
    ranked = made.run()
    assert ranked.chosen.rank > 1
    assert math.isfinite(ranked.p_value) and ranked.p_value != ranked.baseline.p_value


def test_a_forecast_that_rounding_tells_from_a_baseline_is_the_baseline():
    ground = contest(table(), "gru").lineup.test
    naive, seasonal = ground.baseline("naive"), ground.baseline("seasonal_naive")
    made = np.where(np.arange(6)[:, None] < 3, naive * (1 + 3e-7), seasonal * (1 - 3e-7))
    maker = SimpleNamespace(forecast=lambda *_: SimpleNamespace(point=made))
    out = ground.forecasts(maker)
    np.testing.assert_array_equal(out, np.where(np.arange(6)[:, None] < 3, naive, seasonal))


@pytest.mark.parametrize("metric", ["rmse", "mape", "mase", "wape", "r2", "fit", "directional_accuracy"])
def test_any_metric_with_a_direction_ranks(metric):
    made = tsforecast.compare(table(), "power", models="linear", horizon=6, metric=metric, trainer_options={})
    scores = [row.scores[metric] for row in made.rows]
    larger = metric in ("r2", "fit", "directional_accuracy")
    assert scores == sorted(scores, reverse=larger)
    assert math.isnan(made.chosen.skill) == larger
    assert made.rows[-1].group == "behind"


def test_the_baselines_of_the_domain_take_part():
    made = tsforecast.compare(table(), "power", models="linear", horizon=6, domain="weather", trainer_options={})
    assert "climatology" in {row.model for row in made.rows if row.is_baseline}


def test_who_fails_is_a_row_with_its_problem_and_does_not_end_it(monkeypatch):
    def diverges(task, **words):
        if task.forecaster.options.model == "gru":
            raise TrainingError("training diverged at step 1", hint="use a smaller step")
        return fit(task, **words)

    monkeypatch.setattr(comparison, "fit", diverges)
    made = contest(table(), "gru,linear,tdnn:lags=9999").run()
    assert [(row.model, row.rank) for row in made.failed] == [("gru", None), ("tdnn:lags=9999", None)]
    assert made.failed[0].hint == "use a smaller step"
    assert "too few for lags 9999" in made.failed[1].problem
    assert made.chosen.model == "linear"
    assert made.to_frame()["problem"].notna().sum() >= 2


def test_a_first_entry_that_cannot_be_laid_out_does_not_end_it():
    made = contest(table().assign(power=lambda frame: frame.power - 12), "gru:transform=log,linear").run()
    assert [(row.model, row.rank) for row in made.failed] == [("gru:transform=log", None)]
    assert made.chosen.model == "linear"


def test_only_the_first_metric_needs_a_direction():
    made = contest(table(), "gru", metric="mae,bias").run()
    assert made.metrics == ("mae", "bias")
    assert all(math.isfinite(row.scores["bias"]) for row in made.ranked)


def test_a_metric_without_a_value_on_the_validation_rows_is_refused():
    data = table()
    data.loc[data.index[192:320], "power"] = 0.0  # of zeros no relative error is known
    with pytest.raises(UsageError, match="mape has no value for the validation rows") as refused:
        contest(data, "gru", metric="mape", lags="24")
    assert "--metric mae" in refused.value.hint


@pytest.mark.parametrize("metric", ["mae", "r2"])
def test_a_score_that_is_no_number_is_never_the_best(metric):
    rows = [Row(str(valid), valid=valid) for valid in (math.nan, 0.5, math.nan)]
    assert contest(table(), "gru", metric=metric).leader(rows).model == "0.5"


def test_when_nobody_can_be_trained_that_is_an_error(monkeypatch):
    def diverges(task, **words):
        raise TrainingError("training diverged", hint="use a smaller step")

    monkeypatch.setattr(comparison, "fit", diverges)
    with pytest.raises(TrainingError, match="no model could be trained; linear: training diverged"):
        contest(table(), "linear,gru").run()


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"metric": "bias"}, UsageError, "cannot rank"),
        ({"metric": "mae,crps"}, UsageError, "for quantiles"),
        ({"metric": "ma"}, UsageError, "unknown metric"),
        ({"metric": "r2,mae", "min_skill": 0.1}, UsageError, "skill cannot be measured with r2, .*choose from mae"),
        ({"test": "0"}, DataError, "no rows are kept out"),
        ({"target": "powr"}, DataError, "powr"),
        ({"test": "3"}, DataError, "no test fold"),
        ({"lags": "9999"}, DataError, "too few for lags"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_any_training(settings, error, message):
    with pytest.raises(error, match=message):
        contest(table(), "linear,gru", **settings)


class Stopper(Nobody):
    """Interrupts the training of one entry after its first step."""

    def __init__(self, name):
        self.name, self.rows = name, []

    def started(self, name, seed, task):
        def step(_):
            if name == self.name:
                raise KeyboardInterrupt

        return step

    def finished(self, row):
        self.rows.append(row)


def test_an_interrupt_ranks_who_is_finished():
    watch = Stopper("gru")
    made = contest(table(), "linear,gru,tdnn").run(watch)
    assert made.ended == "interrupted"
    assert [row.model for row in made.ranked if not row.is_baseline] == ["linear"]
    assert [(row.model, row.problem) for row in made.failed] == [("gru", "interrupted"), ("tdnn", "not begun")]
    assert [row.model for row in watch.rows] == ["linear", "gru", "tdnn"]
    with pytest.raises(Interrupted, match="before the first model"):
        contest(table(), "gru,linear").run(Stopper("gru"))


def test_pairs_that_a_baseline_lacks_are_scored_for_nobody(monkeypatch):
    whole = contest(table(), "gru").lineup.test
    real = whole.targets[0]

    def holed(*words):
        (made,) = assemble(*words)
        values = made.baselines["seasonal_naive"].copy()
        values[:2] = np.nan
        few = np.where(np.arange(len(values))[:, None] % 2, made.baselines["drift"], np.nan)
        return (replace(made, baselines={**made.baselines, "seasonal_naive": values, "drift": few}),)

    from tsforecast.comparing import ground

    assemble = ground.assemble
    monkeypatch.setattr(ground, "assemble", holed)
    made = contest(table(), "gru")
    assert made.lineup.test.baselines == ["naive", "seasonal_naive"]
    assert np.isnan(made.lineup.test.targets[0].actual[:2]).all()
    assert np.array_equal(made.lineup.test.targets[0].actual[2:], real.actual[2:])
    assert "not ranked, as it lacks forecasts: drift" in made.lineup.notes
