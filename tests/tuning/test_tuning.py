"""The search for settings: the space, the common judgement, NSGA-II, and how a search ends."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tsforecast.config import Facts, Layer, Settings, resolve
from tsforecast.data.read import read
from tsforecast.errors import TrainingError, UsageError
from tsforecast.options import ColumnOptions, FitOptions, ReadOptions, TuneOptions
from tsforecast.training.fitting import fit
from tsforecast.training.preparation import prepare
from tsforecast.tuning import bench as benches
from tsforecast.tuning.bench import Bench, Limits, Trial
from tsforecast.tuning.nsga2 import front, nsga2
from tsforecast.tuning.search import Study, search
from tsforecast.tuning.space import Setting, Space, make_space, parse_searches

ROWS = 240
COLUMNS = ColumnOptions(target=("load",), past=("wind",), future=("heat",))
FACTS = Facts(season_length=24, horizon=6, past=1, future=1, fits=lambda lags: lags <= 48)


def said(top: dict[str, Any], model: dict[str, Any] | None = None, trainer: dict[str, Any] | None = None) -> Settings:
    return resolve([Layer("command line", top, model or {}, trainer or {})], (ReadOptions, ColumnOptions, FitOptions))


def values_of(space: Space) -> dict[tuple[str, ...], tuple[Any, ...]]:
    return {(s.name, *sorted(s.owners)): s.values for s in space.settings}


# ------------------------------------------------------------------------------------------------------------ space


def test_what_options_declare_is_searched_with_the_default_first() -> None:
    found = values_of(make_space(said({}), COLUMNS, {}, FACTS, 40))
    assert found["model",] == ("gru", "narx", "tdnn", "lstm", "linear")
    assert found["lags",] == ("40", "12", "24", "48")  # 72 and more do not fit
    assert found["past.wind",] == found["future.heat",] == (True, False)
    assert found["model.hidden", "gru", "lstm"] == (64, 16, 32, 128)  # one gene for both
    assert found["model.hidden", "narx"][0] == (32,)
    assert found["trainer.learning_rate", "backprop"][0] == 0  # the own of the optimizer
    assert ("horizon",) not in found


def test_what_is_fixed_is_not_searched_and_a_search_may_try_anything() -> None:
    fixed = said({"lags": "24", "model": "gru"}, {"hidden": "8"}, {"optimizer": "sgd"})
    searches = parse_searches(["model.segment=1,2", "scaler=none", "past.wind=yes"], ())
    found = values_of(make_space(fixed, COLUMNS, searches, FACTS, 24))
    assert not {("model",), ("lags",), ("model.hidden", "gru"), ("trainer.optimizer", "backprop")} & set(found)
    assert found["model.segment", "gru"] == (1, 2)
    assert found["scaler",] == ("none",)
    assert found["past.wind",] == (True,)


def test_values_may_hold_commas() -> None:
    searches = parse_searches(["lags=24|1:3,24", "model.hidden=8|16,4"], ["narx"])
    found = values_of(make_space(said({}), COLUMNS, searches, FACTS, 24))
    assert found["lags",] == ("24", "1:3,24")
    assert found["model.hidden", "narx"] == ((8,), (16, 4))


def test_a_candidate_has_only_the_settings_of_its_model_and_trainer() -> None:
    space = make_space(said({}), COLUMNS, parse_searches([], ["linear", "gru"]), FACTS, 24)
    linear, gru = (space.candidate(genome) for genome in space.defaults)
    assert set(linear) == {"model", "lags", "scaler", "normalize", "past.wind", "future.heat"}
    assert {"model.hidden", "trainer.learning_rate"} < set(gru)


def test_options_without_effect_take_no_gene() -> None:
    fixed = said({"model": "tdnn"}, {"form": "linear"})
    names = {setting.name for setting in make_space(fixed, COLUMNS, {}, FACTS, 24).settings}
    assert "model.kernel" not in names
    assert "model.dropout" in names
    assert "model.kernel" in {s.name for s in make_space(said({"model": "tdnn"}), COLUMNS, {}, FACTS, 24).settings}


def test_of_a_candidate_only_what_has_an_effect_counts() -> None:
    searches = parse_searches(["model.form=conv,linear,mlp", "model.hidden=0,9"], ["tdnn"])
    space = make_space(said({}, {"dilations": "1,2"}), COLUMNS, searches, FACTS, 24)
    found = [
        space.candidate([len(s.values) - 1 if s.name != "model.form" else k for s in space.settings]) for k in range(3)
    ]
    assert [candidate["model.form"] for candidate in found] == ["conv", "linear", "mlp"]
    assert ["model.kernel" in candidate for candidate in found] == [True, False, False]
    assert ["model.hidden" in candidate for candidate in found] == [False, False, True]


def test_what_is_fixed_goes_to_the_candidates_where_it_counts(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(["model=tdnn", "model.form=conv,linear"], model={"kernel": 2})
    made = [bench.task({"model": "tdnn", "model.form": form}).forecaster.model_options for form in ("conv", "linear")]
    assert [options["kernel"] for options in made] == [2, 3]


@pytest.mark.parametrize(
    ("pairs", "model", "message"),
    [
        (["model.kernel=2,5"], {"form": "linear"}, "model.kernel=2 has no effect with model.form=linear"),
        (["model.form=linear,patch"], {"kernel": 2}, "model.kernel=2 has no effect with model.form=linear"),
        (["model.highway=true,false"], {"form": "mlp"}, "model.highway=false has no effect with model.form=mlp"),
    ],
)
def test_what_has_no_effect_in_any_candidate_is_refused(pairs: list[str], model: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_space(said({"model": "tdnn"}, model), COLUMNS, parse_searches(pairs, ()), FACTS, 24)


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (["hidden"], "not understood"),
        (["model.hiden=3"], r"no such option of .* did you mean 'model.hidden'"),
        (["horizon=3,6"], "losses could no longer be compared"),
        (["lag=3"], "did you mean 'lags'"),
        (["lags=3", "lags=4"], "said twice"),
        (["lags=3,x"], "not a set of delays"),
        (["model=grru"], "did you mean 'gru'"),
        (["scaler=big"], "not known"),
        (["scaler="], "empty"),
        (["model.hidden=8"], "both fixed and searched"),
        (["past.wnd=yes"], "did you mean 'past.wind'"),
        (["past.wind=maybe"], "true or false"),
    ],
)
def test_a_search_that_makes_no_sense_is_refused(pairs: list[str], message: str) -> None:
    fixed = said({"model": "gru"} if pairs != ["model=grru"] else {}, {"hidden": 8} if "both" in message else {})
    with pytest.raises(UsageError, match=message):
        make_space(fixed, COLUMNS, parse_searches(pairs, ()), FACTS, 24).longest_lags  # noqa: B018


# ------------------------------------------------------------------------------------------------------- judgement


@pytest.fixture
def data(tmp_path: Path) -> Callable[..., Path]:
    """Write hours of load, wind and heat; wind has a hole in the validation rows, and two of the hours are missing."""

    def write(change: Callable[[np.ndarray], None] | None = None) -> Path:
        t, rng = np.arange(ROWS), np.random.default_rng(0)
        load = 20 + 5 * np.sin(2 * np.pi * t / 24) + rng.normal(0, 0.5, ROWS)
        if change:
            change(load)
        heat = np.roll(load, 2) + rng.normal(0, 1, ROWS)
        stamps = np.datetime64("2024-01-01T00") + t.astype("timedelta64[h]")
        lines = [
            f"{s},{x:.4f},{'' if i == 170 else i % 7},{h:.3f}"
            for i, (s, x, h) in enumerate(zip(stamps, load, heat, strict=True))
        ]
        path = tmp_path / "data.csv"
        path.write_text("\n".join(["time,load,wind,heat", *lines[:100], *lines[102:]]) + "\n")
        return path

    return write


@pytest.fixture
def make_bench(data: Callable[..., Path]) -> Callable[..., Bench]:
    """Make a bench of 6 steps ahead, a fifth of the rows for validation and a fifth for the test."""

    def build(searches: list[str], *, change: Any = None, model: Any = None, **top: Any) -> Bench:
        table = read([str(data(change))], ReadOptions())
        settings = said({"horizon": 6, "test": "0.2", **top}, model)
        return Bench(table, COLUMNS, ReadOptions(), settings, parse_searches(searches, ()))

    return build


SMALL = ["model=linear", "lags=6,12,24", "scaler=standard,minmax", "normalize=last,none"]


def test_candidates_are_judged_on_the_same_windows_which_all_of_them_have(
    make_bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(benches, "fit", lambda task: seen.append(task) or fit(task))
    bench = make_bench(SMALL)
    for lags in ("6", "12", "24"):
        for wind in (True, False):
            candidate = {"model": "linear", "lags": lags, "past.wind": wind, "future.heat": True}
            assert bench.run(1, candidate, Limits()).problem == ""
            own = bench.task(candidate).objective.valid
            used = seen[-1].objective.valid
            assert set(used) <= set(own)
            assert np.array_equal(used + int(lags) - 1, bench.cutoffs)
    assert len(bench.cutoffs) < len(bench.task({"model": "linear", "lags": "6", "past.wind": False}).objective.valid)


@pytest.mark.parametrize("change", [{"scaler": "minmax"}, {"scaler": "none"}, {"transform": "log"}, {"lags": "6"}])
def test_the_loss_of_one_forecast_is_the_same_under_every_scaler_transform_and_lags(
    make_bench: Callable[..., Bench], change: dict[str, str]
) -> None:
    bench = make_bench(SMALL)
    options = FitOptions(**{"model": "naive", "horizon": 6, "test": "0.2", "lags": "12", **change})
    loss = bench.judge(prepare(bench.table, bench.columns, bench.read_options, options))
    assert loss == pytest.approx(bench.baseline("naive"), rel=1e-4)


def test_the_loss_is_the_mean_error_in_deviations_of_training(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(SMALL)
    load = bench.frame.values[:, 0].astype(float)
    errors = [abs(load[c + h] - load[c]) for c in bench.cutoffs for h in range(1, 7)]
    first_valid = bench.cutoffs[0] + 1
    assert bench.baseline("naive") == pytest.approx(np.mean(errors) / load[: first_valid - 2].std(), rel=0.02)


def unlike_series() -> pa.Table:
    """Return nine series of a week's season, about 10, and a random walk about 1e5, of 120 days each."""
    days, rng = np.arange(120), np.random.default_rng(0)
    weekly = [10 + 3 * np.sin(2 * np.pi * days / 7 + s) + rng.normal(0, 0.3, 120) for s in range(9)]
    walk = 1e5 + np.cumsum(rng.normal(0, 1e3, 120))
    return pa.table(
        {
            "id": np.repeat([f"s{s}" for s in range(10)], 120),
            "time": np.tile(np.datetime64("2024-01-01", "us") + days * np.timedelta64(1, "D"), 10),
            "load": np.concatenate([*weekly, walk]),
        }
    )


def bench_of(table: pa.Table, **top: Any) -> Bench:
    settings = said({"target": "load", "series_id": "id", "horizon": 7, "lags": "14", "model": "linear", **top})
    columns, options = settings.build(ColumnOptions), settings.build(ReadOptions)
    return Bench(read([table], options), columns, options, settings, {})


@pytest.mark.parametrize("scale_by", ["", "series", "column"])
def test_series_are_judged_in_the_unit_that_they_are_trained_in(scale_by: str) -> None:
    bench = bench_of(unlike_series(), scale_by=scale_by)
    values, (starts, ends) = bench.frame.values[:, 0].astype(float), (bench.frame.bounds[:-1], bench.frame.bounds[1:])
    train = [values[start : end - 24] for start, end in zip(starts, ends, strict=True)]  # a fifth of 120 is validation
    spread = [np.std(np.concatenate(train) if scale_by == "column" else own) for own in train]
    steps = bench.cutoffs[:, None] + np.arange(1, 8)
    errors = np.abs(values[steps] - values[bench.cutoffs, None]).mean(axis=1)
    expected = np.mean(errors / np.take(spread, bench.frame.series_of(bench.cutoffs)))
    assert bench.baseline("naive") == pytest.approx(expected, rel=1e-3)


def test_a_huge_series_does_not_drown_the_others() -> None:
    """Nine of ten series have a season, so a seasonal forecast is better, whatever the tenth does."""
    bench = bench_of(unlike_series())
    trial = bench.run(1, {"model": "linear"}, Limits())
    assert trial.loss < bench.baseline("seasonal_naive") < 0.5 * bench.baseline("naive")


def test_the_rows_of_the_test_part_change_nothing(make_bench: Callable[..., Bench]) -> None:
    def spoil(load: np.ndarray) -> None:
        load[-40:] = 1e6

    candidate = {"model": "linear", "lags": "12", "future.heat": False}
    losses = [make_bench(SMALL, change=change).run(1, candidate, Limits()).loss for change in (None, spoil)]
    assert losses[0] == losses[1]
    assert math.isfinite(losses[0])


def test_what_is_refitted_is_not_judged(make_bench: Callable[..., Bench]) -> None:
    candidate = {"model": "linear", "lags": "12"}
    losses = [make_bench(SMALL, refit=refit).run(1, candidate, Limits()).loss for refit in (True, False)]
    assert losses[0] == losses[1]
    assert make_bench(SMALL, refit=True).task(candidate).forecaster.options.refit


def test_limits_shorten_training_and_nothing_else(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(["model=gru"], model={"hidden": 4})
    candidate = bench.space.candidate(bench.space.defaults[0])
    limited = bench.task(candidate, Limits(steps=2, seconds=3.0))
    assert (limited.steps, limited.forecaster.options.time_budget) == (2, "3s")
    whole = bench.task(candidate)
    assert (whole.steps, whole.forecaster.options.time_budget) == (40, "")
    assert whole.forecaster.model_options["hidden"] == 4


def test_a_covariate_that_is_left_out_is_not_read(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(SMALL)
    columns = bench.task({"lags": "6", "model": "linear", "past.wind": False}).forecaster.schema
    assert (columns.past, columns.future) == ((), ("heat",))


# ----------------------------------------------------------------------------------------------------------- NSGA-II

TOY = Space(tuple(Setting(name, tuple(range(8))) for name in ("loss", "scaler", "patience")), "naive", "")


def evolve(space: Space, generations: int = 12, seed: int = 0) -> list[tuple[dict[str, Any], tuple[float, ...]]]:
    """Minimise the distance to (3, 3, 3), and ``patience``."""
    stream = nsga2(space, objectives=2, population=8, generations=generations, seed=seed)
    tried = []
    candidate = next(stream)
    while candidate is not None:
        distance = float(sum(abs(candidate[name] - 3) for name in ("loss", "scaler", "patience")))
        tried.append((candidate, (distance, float(candidate["patience"]))))
        try:
            candidate = stream.send(tried[-1][1])
        except StopIteration:
            candidate = None
    return tried


def test_it_finds_most_of_the_front_with_a_fraction_of_the_trials() -> None:
    tried = evolve(TOY)
    assert len(tried) == 96  # of 512
    best = {tried[i][1] for i in front([point for _, point in tried])}
    assert len(best & {(0.0, 3.0), (1.0, 2.0), (2.0, 1.0), (3.0, 0.0)}) >= 3


def test_no_candidate_is_tried_twice_and_the_seed_decides() -> None:
    tried = evolve(TOY)
    assert len({tuple(c.values()) for c, _ in tried}) == len(tried)
    assert tried == evolve(TOY)
    assert tried != evolve(TOY, seed=1)


def test_a_small_space_is_searched_to_the_end() -> None:
    small = Space(tuple(Setting(s.name, s.values[:2]) for s in TOY.settings), "naive", "")
    assert len(evolve(small)) == 8
    single = Space(tuple(Setting(s.name, s.values[:1]) for s in TOY.settings), "naive", "")
    assert len(evolve(single)) == 1


def test_the_global_random_state_is_left_alone() -> None:
    random.seed(7)
    before = random.getstate()
    evolve(TOY, generations=3)
    assert random.getstate() == before


def test_the_front_is_what_nothing_dominates() -> None:
    points = [(2.0, 1.0), (1.0, 2.0), (2.0, 2.0), (1.0, 2.0), (math.inf, math.inf), (0.5, math.inf)]
    assert front(points) == [1, 3, 0]
    assert front([(3.0,), (1.0,), (1.0,)]) == [1, 2]


# ------------------------------------------------------------------------------------------------------- the search

SHORT = TuneOptions(population=4, generations=2, trial_steps=1)
NETWORKS = ["model=narx,gru", "lags=6,12", "model.hidden=2,4", "trainer.batch_size=64,128", "scaler=standard"]


def facts_of(study: Study) -> list[tuple[Any, ...]]:
    return [(t.candidate, t.loss, t.parameters) for t in study.front]


def test_the_same_seed_finds_the_same_front(make_bench: Callable[..., Bench]) -> None:
    studies = [search(make_bench(NETWORKS), SHORT, on_trial=lambda _: None) for _ in range(2)]
    assert facts_of(studies[0]) == facts_of(studies[1])
    assert len(studies[0].trials) == 8
    assert studies[0].ended == "finished"
    assert studies[0].best in studies[0].front


def fake_run(outcome: Callable[[int], Trial]) -> Callable[..., Trial]:
    return lambda self, number, candidate, limits: outcome(number)


def trial(number: int, loss: float, problem: str = "") -> Trial:
    return Trial(number, {}, loss, 10.0 - number, 1.0, problem)


def test_failures_are_counted_and_never_the_best(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(["model=tdnn", "trainer=|least_squares", "lags=6,8", "model.channels=2", "scaler=standard"])
    study = search(bench, SHORT, on_trial=lambda _: None)
    assert study.failed
    assert all("linear in its parameters" in t.problem and t.loss == math.inf for t in study.failed)
    assert not any(t.problem for t in [study.best, *study.front])


def test_what_a_model_refuses_outright_is_not_bred(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(["model=tdnn", "lags=6,8", "model.kernel=2,9,10,11", "model.dilations=1", "model.channels=2"])
    study = search(bench, SHORT, on_trial=lambda _: None)
    assert {t.candidate["model.kernel"] for t in study.trials} == {2}
    assert not bench.buildable({"model": "tdnn", "lags": "8", "model.kernel": 9, "model.dilations": (1,)})


def test_when_all_fail_the_first_reason_is_given(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(["model=tdnn", "trainer=least_squares", "lags=6,8"])
    study = search(bench, SHORT, on_trial=lambda _: None)
    assert study.front == []
    with pytest.raises(TrainingError, match=r"no candidate could be trained, 8 tried; the first: .*linear in its"):
        _ = study.best


def test_an_interrupt_ends_the_search_with_what_was_found(
    make_bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    def outcome(number: int) -> Trial:
        if number == 3:
            raise KeyboardInterrupt
        return trial(number, 1.0 + number)

    monkeypatch.setattr(Bench, "run", fake_run(outcome))
    study = search(make_bench(NETWORKS), SHORT, on_trial=lambda _: None)
    assert (study.ended, len(study.trials), study.best.number) == ("interrupted", 2, 1)


def test_the_time_budget_ends_the_search(make_bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch) -> None:
    clock: Iterator[float] = iter(range(0, 1000, 10))
    monkeypatch.setattr("tsforecast.tuning.search.time.monotonic", lambda: float(next(clock)))
    left = []
    monkeypatch.setattr(Bench, "run", lambda self, number, candidate, limits: left.append(limits) or trial(number, 1.0))
    study = search(make_bench(NETWORKS), SHORT, budget="25s", on_trial=lambda _: None)
    assert (study.ended, len(study.trials)) == ("time budget", 2)
    assert [limit.seconds for limit in left] == [15.0, 5.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (TuneOptions(population=6), "use --population 8"),
        (TuneOptions(objective=("loss", "loss")), "twice"),
        (TuneOptions(trial_budget="soon"), "--trial-budget: 'soon' is not a duration"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    make_bench: Callable[..., Bench], options: TuneOptions, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        search(make_bench(SMALL), options, on_trial=lambda _: None)
