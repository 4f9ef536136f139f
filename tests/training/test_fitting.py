"""Fitting owns how a run ends: patience, time budget, Ctrl-C, divergence; the best step is kept, resuming is exact."""

from __future__ import annotations

import itertools
import math
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from tsforecast.config import make
from tsforecast.data.build import Schema
from tsforecast.data.clock import Clock
from tsforecast.data.freq import Freq
from tsforecast.data.scale import Scaler
from tsforecast.errors import TrainingError, UsageError
from tsforecast.forecasting.forecaster import Forecaster, Memory
from tsforecast.forecasting.shape import Shape
from tsforecast.models.base import Dims
from tsforecast.options import FitOptions
from tsforecast.trainers.backprop import Backprop, BackpropConfig
from tsforecast.trainers.base import Best, Progress, Trainer
from tsforecast.training import checkpoint as checkpoints
from tsforecast.training import fitting
from tsforecast.training.checkpoint import Checkpoint
from tsforecast.training.fitting import fit
from tsforecast.training.task import Task

DIMS = Dims(lags=4, horizon=2, season_length=8)
UNIT = Scaler(np.zeros(1), np.ones(1))
NOTHING = Scaler(np.zeros(0), np.ones(0))


class Scripted(Trainer):
    """Reports the losses it was told to; its only parameter is the number of the step."""

    def __init__(self, losses, *, train=None, pause=0.0):
        super().__init__(None)
        self.losses, self.train, self.pause = losses, train, pause
        self.spent = []

    @property
    def params(self):
        return {"w": np.array([self.step], dtype=np.float32)}

    def state(self):
        return {"step": np.array([self.step])}

    def fit(self, objective, params, *, seed, state=None, spent=None):
        self.step = int(state["step"][0]) if state else 0
        best = Best()
        for loss in itertools.islice(self.losses, self.step, None):
            time.sleep(self.pause)
            if loss is None:
                raise KeyboardInterrupt
            self.step += 1
            train = loss if self.train is None else self.train
            yield Progress(self.step, train, loss, best.improved_by(loss), 0.0)
            self.spent.append(spent())


class Delicate(Scripted):
    remedy = "use a smaller dose"


@pytest.fixture
def make_task(network, make_objective, make_frame):
    """Make a task by hand around a trainer."""

    def build(trainer, *, model="linear", model_options=None, signature="same", fitness=None, patience=8, **options):
        net = network(model, DIMS, model_options, "last")
        named = {"model": model, "trainer": "backprop"}
        forecaster = Forecaster(
            options=FitOptions(
                horizon=2, season_length=8, seed=3, patience=patience, shrink="none", **named, **options
            ),
            model_options=model_options or {},
            trainer_options={},
            shape=Shape(2, 4, (1, 2, 3, 4), 8),
            schema=Schema(("y",)),
            freq=Freq.parse("h"),
            clock=Clock(),
            scaler=UNIT,
            static_scaler=NOTHING,
            params=net.init(np.random.default_rng(0)),
            memory=Memory(("",), np.zeros(1, np.int64), np.ones((1, 1, 2)), np.zeros(1), np.zeros((1, 2))),
        )
        objective = replace(make_objective(net, rows=60), fitness=fitness)
        reach = int(objective.valid[-1]) + DIMS.lags + DIMS.horizon - DIMS.lags - net.block + 1
        whole = replace(objective, train=np.arange(reach), valid=objective.valid[:0])
        return Task(forecaster, objective, whole, trainer, [], signature, make_frame([60]))

    return build


def test_training_runs_to_its_end_and_keeps_the_best(make_task):
    outcome = fit(make_task(Scripted([3, 1, 2])))
    assert outcome.ended == "finished"
    assert outcome.forecaster.params == {"w": 2}
    assert [record["valid_loss"] for record in outcome.forecaster.history] == [3, 1, 2]


def test_patience_counts_steps_without_a_better_one(make_task):
    outcome = fit(make_task(Scripted([5, 4, 4, 4.5, 3, 3, 3, 1]), patience=2))
    assert outcome.ended == "patience"
    assert len(outcome.forecaster.history) == 4  # an equal loss is not a better one
    assert outcome.forecaster.params == {"w": 2}


def test_an_infinite_validation_loss_is_never_best(make_task):
    outcome = fit(make_task(Scripted([math.inf, math.inf, 2, math.inf], train=1.0)))
    assert outcome.forecaster.params == {"w": 3}
    assert fit(make_task(Scripted([math.inf, math.inf], train=1.0))).forecaster.params == {"w": 1}


def test_the_time_budget_ends_the_run_and_is_told_to_the_trainer(make_task):
    trainer = Scripted(range(1000, 0, -1), pause=0.02)
    began = time.monotonic()
    outcome = fit(make_task(trainer, time_budget="0.3s"))
    assert outcome.ended == "time budget"
    assert time.monotonic() - began < 1.5
    assert len(outcome.forecaster.history) < 20
    assert trainer.spent == sorted(trainer.spent)
    assert all(0 < share < 1 for share in trainer.spent)


class Work:
    """A clock that only work moves."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(fitting.time, "monotonic", lambda: self.now)

    def of(self, trainer, *, cuts=True):
        """Return a trainer whose steps take ten seconds; it may end one after any of them."""
        work = self

        class Slow(type(trainer)):
            cuts_steps = cuts

            def fit(self, objective, params, *, seed, state=None, spent=None):
                stream = super().fit(objective, params, seed=seed, state=state, spent=spent)
                while True:
                    for _ in range(10):
                        work.now += 1.0
                        if cuts and spent() >= 1:
                            break
                    progress = next(stream, None)
                    if progress is None:
                        return
                    yield progress

        trainer.__class__, trainer.config = Slow, trainer.losses
        return trainer


@pytest.mark.parametrize(
    ("budget", "cuts", "seconds", "steps"),
    [
        ("4s", True, 4, 1),  # a first step that is longer than the budget ends with it
        ("14s", True, 14, 2),
        ("18s", True, 18, 2),
        ("14s", False, 10, 1),  # what cannot be cut does not begin where it would mostly lie beyond
        ("18s", False, 20, 2),
    ],
)
def test_the_time_budget_is_kept(budget, cuts, seconds, steps, make_task, monkeypatch):
    work = Work(monkeypatch)
    outcome = fit(make_task(work.of(Scripted([3, 2, 1]), cuts=cuts), time_budget=budget))
    assert (work.now, outcome.ended, len(outcome.forecaster.history)) == (seconds, "time budget", steps)


def test_a_refit_takes_no_longer_than_the_budget(make_task, monkeypatch):
    """The step that was best may have been cut short; whole, it would take more than twice the budget."""
    work = Work(monkeypatch)
    fit(make_task(work.of(Scripted([3, 2, 1])), time_budget="4s", refit=True))
    assert work.now == 8


def test_a_budget_that_was_spent_in_an_earlier_sitting_is_spent(make_task, tmp_path):
    path = tmp_path / "m.resume"
    checkpoints.save(path, Checkpoint("same", {"step": np.array([1])}, {"w": np.ones(1)}, [earlier(seconds=9.0)], 0))
    outcome = fit(make_task(Scripted([3, 2, 1]), time_budget="9s"), checkpoint=path, resume=True)
    assert (outcome.ended, len(outcome.forecaster.history)) == ("time budget", 1)


def earlier(seconds):
    return Progress(1, 3.0, 3.0, True, seconds).record()


def test_ctrl_c_while_the_start_is_judged_ends_as_an_interrupt_does(make_task, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(fitting, "is_solved", interrupted)
    outcome = fit(make_task(Scripted([3])), checkpoint=tmp_path / "m.resume")
    assert (outcome.ended, outcome.forecaster.history) == ("interrupted", ())
    assert list(tmp_path.iterdir()) == []


def test_without_a_budget_nothing_is_spent(make_task):
    trainer = Scripted([3, 2, 1])
    fit(make_task(trainer))
    assert trainer.spent == [0, 0, 0]


def test_ctrl_c_keeps_the_best_and_writes_a_checkpoint(make_task, tmp_path):
    path = tmp_path / "m.resume"
    outcome = fit(make_task(Scripted([3, 1, 2, None])), checkpoint=path)
    assert outcome.ended == "interrupted"
    assert outcome.forecaster.params == {"w": 2}
    saved = checkpoints.load(path, "same")
    assert saved.best == {"w": 2}
    assert saved.trainer["step"] == 3
    assert (len(saved.history), saved.waiting) == (3, 1)


def test_ctrl_c_before_the_first_step_saves_nothing(make_task, tmp_path):
    outcome = fit(make_task(Scripted([None])), checkpoint=tmp_path / "m.resume")
    assert outcome.ended == "interrupted"
    assert not outcome.forecaster.history
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_is_kept_while_running(make_task, tmp_path, monkeypatch):
    monkeypatch.setattr(fitting, "CHECKPOINT_SECONDS", 0.0)
    path, seen = tmp_path / "m.resume", []
    fit(make_task(Scripted([3, 2, 1])), checkpoint=path, on_progress=lambda _: seen.append(path.exists()))
    assert seen == [False, True, True]


def test_patience_goes_on_counting_after_a_resume(make_task, tmp_path):
    path = tmp_path / "m.resume"
    losses = [1, 2, 3, 4, 5]
    fit(make_task(Scripted([*losses[:2], None]), patience=3), checkpoint=path)
    outcome = fit(make_task(_Continued(losses), patience=3), checkpoint=path, resume=True)
    assert outcome.ended == "patience"
    assert [record["step"] for record in outcome.forecaster.history] == [1, 2, 3, 4]
    assert outcome.forecaster.params == {"w": 1}


class _Continued(Scripted):
    """A trainer that remembers nothing but the step must still not call a worse loss the best."""

    def fit(self, objective, params, *, seed, state=None, spent=None):
        for progress in super().fit(objective, params, seed=seed, state=state, spent=spent):
            yield Progress(progress.step, progress.train_loss, progress.valid_loss, False, 0.0)


def test_divergence_is_an_error_with_a_way_out(make_task):
    with pytest.raises(TrainingError, match=r"diverged at step 2.*use a smaller dose"):
        fit(make_task(Delicate([1.0, math.inf])))


def test_flat_validation_rows_make_no_divergence(make_task):
    """Where naive is nearly perfect, a normal loss is a huge multiple of its loss."""
    task = make_task(Scripted([0.5, 0.4]))
    task.objective.tables.target[task.objective.valid[0] :] *= 1e-6
    assert task.naive_loss() < 1e-9
    assert fit(task).ended == "finished"
    with pytest.raises(TrainingError, match="1e\\+05 scaled units"):
        fit(replace(task, trainer=Scripted([1e5])))


def test_an_interrupt_after_the_last_step_does_not_cost_the_training(make_task, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    path = tmp_path / "m.resume"
    with monkeypatch.context() as during:
        during.setattr(fitting.shrinkage, "measure", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fit(make_task(Scripted([3, 1, 2])), checkpoint=path)
    outcome = fit(make_task(Scripted([3, 1, 2])), checkpoint=path, resume=True)
    assert (outcome.ended, len(outcome.forecaster.history)) == ("finished", 3)
    assert outcome.forecaster.params == {"w": 2}


@pytest.mark.parametrize("naive", [-0.9, 0.0, 1e-9])
def test_a_fitness_of_any_size_and_sign_is_no_divergence(naive, make_task):
    """A negated accuracy, or a bias near zero, is nothing that a loss could be a multiple of."""
    outcome = fit(make_task(Scripted([0.5, -0.7]), fitness=lambda *_: naive))
    assert outcome.ended == "finished"
    assert outcome.forecaster.params == {"w": 2}
    with pytest.raises(TrainingError, match="not finite"):
        fit(make_task(Scripted([math.inf]), fitness=lambda *_: naive))


def test_what_a_trainer_tells_of_a_step_is_kept(make_task):
    class Talkative(Scripted):
        def fit(self, objective, params, *, seed, state=None, spent=None):
            for progress in super().fit(objective, params, seed=seed, state=state, spent=spent):
                yield replace(progress, details={"damping": 10.0 * progress.step})

    history = fit(make_task(Talkative([2, 1]))).forecaster.history
    assert [record["damping"] for record in history] == [10, 20]
    assert "details" not in history[0]


def interrupt_at(step):
    def on_progress(progress):
        if progress.step == step:
            raise KeyboardInterrupt

    return on_progress


@pytest.mark.parametrize(
    ("model", "options"), [("narx", {"hidden": (4,)}), ("gru", {"hidden": 3, "dropout": 0.2, "decoder": "recursive"})]
)
def test_an_interrupted_run_resumes_to_identical_weights(model, options, make_task, tmp_path):
    path = tmp_path / "m.resume"

    def task():
        trainer = Backprop(make(BackpropConfig, {"steps": 6, "epoch_size": 60, "batch_size": 8}))
        return make_task(trainer, model=model, model_options=options)

    whole = fit(task())
    cut = fit(task(), checkpoint=path, on_progress=interrupt_at(3))
    assert (cut.ended, len(cut.forecaster.history)) == ("interrupted", 3)
    resumed = fit(task(), checkpoint=path, resume=True)
    assert resumed.ended == whole.ended
    for name, value in whole.forecaster.params.items():
        np.testing.assert_array_equal(resumed.forecaster.params[name], value)
    losses = [[record["valid_loss"] for record in run.forecaster.history] for run in (whole, resumed)]
    assert losses[0] == losses[1]


def test_resuming_another_run_is_refused(make_task, tmp_path):
    path = tmp_path / "m.resume"
    fit(make_task(Scripted([1, None])), checkpoint=path)
    with pytest.raises(UsageError, match="other data or options"):
        fit(make_task(Scripted([1]), signature="other"), checkpoint=path, resume=True)
    with pytest.raises(UsageError, match="nothing to resume"):
        fit(make_task(Scripted([1])), checkpoint=tmp_path / "absent", resume=True)


def test_the_number_of_threads_is_put_back(make_task):
    before, seen = torch.get_num_threads(), []
    fit(make_task(Scripted([1]), threads=2), on_progress=lambda _: seen.append(torch.get_num_threads()))
    fit(make_task(Scripted([1])), on_progress=lambda _: seen.append(torch.get_num_threads()))
    assert seen == [2, 1]
    assert torch.get_num_threads() == before


def test_the_naive_loss_is_that_of_repeating_the_last_value(make_task):
    task = make_task(Scripted([1]))
    target = task.objective.tables.target[:, 0]
    errors = [target[s + 3] - target[s + 4 : s + 6] for s in task.objective.valid]
    assert task.naive_loss() == pytest.approx(np.mean(np.square(errors)), rel=1e-5)


def test_the_example_is_the_newest_window(make_task):
    task = make_task(Scripted([1]))
    newest = task.objective.valid[-1]
    example = task.example()
    np.testing.assert_array_equal(example.past_target[0], task.objective.tables.target[newest : newest + 4])
    assert example.future_target.shape[1] == 0


def test_refit_trains_on_train_and_valid_for_as_many_steps_as_were_best(make_task):
    """The refit starts from the same parameters, sees the rows of valid, too, and ends at the step that was best."""
    options = {"model": "narx", "model_options": {"hidden": (4,)}}
    made = {refit: make_task(make_backprop(), refit=refit, **options) for refit in (False, True)}
    once, again = fit(made[False]), fit(made[True])
    assert [record["valid_loss"] for record in once.forecaster.history] == [
        record["valid_loss"] for record in again.forecaster.history
    ]
    best = min(once.forecaster.history, key=lambda record: record["valid_loss"])["step"]
    trainer, task = make_backprop(), made[True]
    done = 0
    stream = trainer.fit(task.whole, dict(task.forecaster.params), seed=3, spent=lambda: done / best)
    for progress in stream:
        done = progress.step
        if done == best:
            break
    assert all(np.array_equal(trainer.params[k], v) for k, v in again.forecaster.params.items())
    assert not all(np.array_equal(once.forecaster.params[k], v) for k, v in again.forecaster.params.items())


def make_backprop():
    return Backprop(make(Backprop.Config, {"steps": 4, "epoch_size": 50, "batch_size": 8}))
