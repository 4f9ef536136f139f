"""How far a forecast is drawn towards a baseline: not at all where it is good, all the way where nothing is learned."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from tsforecast import artifact
from tsforecast.data.read import read
from tsforecast.errors import TSForecastError
from tsforecast.models.base import Inputs
from tsforecast.models.naive import Naive
from tsforecast.models.normalize import roll_out
from tsforecast.models.shrunk import Shrunk
from tsforecast.ops.numpy_ops import NumpyOps
from tsforecast.options import ColumnOptions, FitOptions, ReadOptions
from tsforecast.trainers.base import Progress
from tsforecast.training import fitting, shrinkage
from tsforecast.training.preparation import prepare
from tsforecast.training.shrinkage import WEIGHTS, choose

ROWS, TEST = 1_500, 300
RNG = np.random.default_rng(7)
WALK = RNG.normal(size=ROWS).cumsum()
SEASONAL = 3 * np.sin(2 * np.pi * np.arange(ROWS) / 12) + 0.2 * RNG.normal(size=ROWS)
SMALL = {"gru": {"hidden": 4}, "linear": None}


@pytest.fixture(scope="module")
def make_task(tmp_path_factory):
    """Prepare a task on a series."""
    folder = tmp_path_factory.mktemp("shrinkage")

    def build(values, model="linear", trainer_settings=None, **options):
        path = folder / f"{len(list(folder.iterdir()))}.csv"
        path.write_text("y\n" + "".join(f"{v:.5f}\n" for v in values))
        read_options = ReadOptions(no_time=True)
        named = {"horizon": 6, "lags": "24", "season_length": 12, "valid": "0.25", "test": str(TEST), "model": model}
        table = read([str(path)], read_options)
        fit = FitOptions(**named | options)
        columns = ColumnOptions(target=("y",))
        return prepare(table, columns, read_options, fit, SMALL.get(model), trainer_settings)

    return build


def test_maes(forecaster, values):
    """Return the MAE of a forecaster and of naive on the last rows, in scaled units."""
    scaled = ((values - forecaster.scaler.center[0]) / forecaster.scaler.spread[0]).astype(np.float32)
    starts = np.arange(ROWS - TEST - 24, ROWS - 30)
    past, future = scaled[starts[:, None] + np.arange(24)], scaled[starts[:, None] + np.arange(24, 30)]
    nothing = np.zeros((len(starts), 24, 0), np.float32)
    inputs = Inputs(
        past[..., None],
        nothing,
        nothing[:, :6],
        nothing[:, 0],
        np.zeros(len(starts), np.int64),
        starts,
        nothing[:, :0],
        nothing[:, :0],
    )
    made = roll_out(NumpyOps(), forecaster.network, dict(forecaster.params), inputs, 6)[..., 0, 0]
    return np.abs(made - future).mean(), np.abs(past[:, -1:] - future).mean()


test_maes.__test__ = False


@pytest.mark.parametrize(("model", "settings"), [("linear", None), ("gru", {"steps": 3})])
def test_of_a_random_walk_nothing_but_naive_is_left(make_task, model, settings):
    outcome = fitting.fit(make_task(WALK, model, settings))
    mae, naive = test_maes(outcome.forecaster, WALK)
    assert outcome.shrinkage.weight <= 0.2
    assert mae <= 1.01 * naive
    assert "naive" in outcome.notes[-1]


@pytest.mark.parametrize("model", ["linear", "gru"])
def test_of_a_season_all_is_kept(make_task, model):
    """Seasonal naive has the noise twice."""
    outcome = fitting.fit(make_task(SEASONAL, model))
    assert (outcome.shrinkage.base, outcome.shrinkage.weight) == ("seasonal_naive", 1.0)
    assert not outcome.forecaster.shape.base
    assert "shrink.weight" not in outcome.forecaster.params
    assert not outcome.notes or "start" in outcome.notes[0]


def test_the_losses_are_those_of_the_network_so_drawn(make_task, monkeypatch):
    task = make_task(WALK)
    seen = []
    monkeypatch.setattr(shrinkage, "choose", lambda losses, independent: seen.append((losses, independent)) or 8)
    outcome = fitting.fit(task)
    forecaster, objective = outcome.forecaster, task.objective
    assert forecaster.params["shrink.weight"] == pytest.approx(0.4)
    assert isinstance(forecaster.network, Shrunk)

    def forecast(ops, params, batch, horizon):
        return roll_out(ops, forecaster.network, dict(params), Inputs(**batch), horizon)

    brute = replace(objective, forecast=forecast)
    losses, independent = seen[0]
    weights = [forecaster.params | {"shrink.weight": np.array([w], np.float32)} for w in WEIGHTS]
    np.testing.assert_allclose(losses.mean(axis=1), [brute.valid_loss(params) for params in weights], rtol=1e-5)
    assert outcome.shrinkage.loss == pytest.approx(brute.valid_loss(forecaster.params), rel=1e-5)
    assert independent == pytest.approx(len(objective.valid) / 6, abs=2)


def table(*means, noise=0.0, windows=200):
    rng = np.random.default_rng(0)
    return np.array([mean + noise * rng.normal(size=windows) for mean in means])


@pytest.mark.parametrize(
    ("means", "noise", "chosen"),
    [
        ((2.0, 1.5, 1.0), 0.1, 2),  # the network is best
        ((2.0, 0.996, 1.0), 0.0, 2),  # or nearly
        ((2.0, 0.9, 1.0), 0.1, 1),  # something between is better beyond noise
        ((2.0, 0.9, 1.0), 5.0, 2),  # and here it may not be
        ((1.0, 1.5, 2.0), 0.1, 0),
        ((1.0, 0.99, 2.0), 5.0, 0),  # a gain over the baseline that noise explains is none
        ((1.0, math.nan, math.nan), 0.0, 2),
    ],
)
def test_the_weight_is_one_end_unless_another_is_better_beyond_noise(means, noise, chosen):
    assert choose(table(*means, noise=noise), 100) == chosen


def test_fewer_windows_that_do_not_overlap_make_more_noise():
    losses = table(1.0, 0.9, 0.9, noise=0.4)
    assert choose(losses, 200) != 0
    assert choose(losses, 4) == 0


@pytest.mark.parametrize(("model", "options"), [("linear", {"shrink": "none"}), ("naive", {}), ("drift", {})])
def test_the_baselines_stay_what_they_are_and_so_does_what_is_told_to(make_task, model, options):
    outcome = fitting.fit(make_task(WALK, model, **options))
    assert outcome.shrinkage is None
    assert not outcome.forecaster.shape.base


def test_what_a_fitness_has_chosen_stays(make_task):
    task = make_task(WALK)
    task = replace(task, objective=replace(task.objective, fitness=lambda made, starts: np.abs(made).mean()))
    assert shrinkage.measure(task, task.forecaster.params) is None


def test_a_refit_keeps_the_weight_of_the_first_training(make_task):
    once, again = (fitting.fit(make_task(WALK, refit=refit)).forecaster for refit in (False, True))
    np.testing.assert_array_equal(once.params["shrink.weight"], again.params["shrink.weight"])
    assert once.shape.base == again.shape.base == "naive"
    assert not np.array_equal(once.params["weight"], again.params["weight"])


def test_margins_are_those_of_the_forecast_that_is_given(make_task):
    options = {"quantiles": (0.1, 0.9), "intervals": "conformal"}
    drawn, free = (fitting.fit(make_task(WALK, shrink=shrink, **options)).forecaster for shrink in ("auto", "none"))
    assert drawn.shape.base == "naive"
    assert not np.array_equal(drawn.margins.margin, free.margins.margin)


def test_a_model_file_knows_it(make_task, tmp_path):
    task = make_task(WALK)
    forecaster = fitting.fit(task).forecaster
    artifact.save(tmp_path / "m", forecaster, artifact.Fingerprint.of(forecaster, task.example()))
    loaded = artifact.load(tmp_path / "m")
    assert loaded.forecaster.shape == forecaster.shape
    assert loaded.fingerprint.deviation(loaded.forecaster) == 0
    example = task.example()
    if forecaster.params["shrink.weight"] == 0:
        naive = Naive(None, forecaster.dims).apply(NumpyOps(), {}, example)
        np.testing.assert_array_equal(loaded.fingerprint.forecast, naive)


class Worsening:
    """A trainer that only ever makes the start worse."""

    def __new__(cls, trainer):
        def fit(objective, params, *, seed, state=None, spent=None):
            for step in (1, 2):
                trainer.worse = {name: value + np.float32(step) for name, value in params.items()}
                loss = objective.valid_loss(trainer.worse)
                yield Progress(step, loss, loss, step == 1, 0.1 * step)

        made = type("Worsening", (type(trainer),), {"params": property(lambda self: self.worse), "state": lambda _: {}})
        trainer.__class__, trainer.fit = made, fit
        return trainer


def test_a_start_that_training_makes_worse_is_kept(make_task):
    task = make_task(SEASONAL, "gru", lags="18", valid="100", shrink="none")
    Worsening(task.trainer)
    outcome = fitting.fit(task)
    start = task.forecaster.params
    assert all(np.array_equal(outcome.forecaster.params[name], value) for name, value in start.items())
    history = outcome.forecaster.history
    assert [record["step"] for record in history] == [0, 1, 2]
    assert [record["is_best"] for record in history] == [True, False, False]
    assert history[0]["valid_loss"] == pytest.approx(task.objective.valid_loss(start), rel=1e-5)
    assert "no step was better than the start" in outcome.notes[0]


def test_a_start_that_was_drawn_is_no_candidate(make_task):
    task = make_task(SEASONAL[:700], "gru", lags="24", valid="100", shrink="none")
    Worsening(task.trainer)
    history = fitting.fit(task).forecaster.history
    assert [record["step"] for record in history] == [1, 2]


def test_a_start_that_was_kept_is_solved_again_on_all_rows(make_task):
    task = make_task(SEASONAL, "gru", lags="18", valid="100", shrink="none", refit=True)
    Worsening(task.trainer)
    params = fitting.fit(task).forecaster.params
    assert not np.array_equal(params["head.highway"], task.forecaster.params["head.highway"])
    assert task.objective.valid_loss(params) < task.naive_loss() / 2


def test_an_unknown_way_of_shrinking_is_refused():
    from tsforecast.config import make

    with pytest.raises(TSForecastError, match="shrink"):
        make(FitOptions, {"shrink": "much"})
