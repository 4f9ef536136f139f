"""Backpropagation: optimizers, schedules, sampling, truncation, curriculum, teacher forcing."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from tsforecast.config import make
from tsforecast.errors import UsageError
from tsforecast.models.base import Dims
from tsforecast.trainers.backprop import OPTIMIZERS, Backprop, BackpropConfig
from tsforecast.trainers.objective import Objective
from tsforecast.trainers.schedules import SCHEDULES, Reached

DIMS = Dims(lags=6, horizon=4, season_length=8)
RECURRENT = {"hidden": 3, "decoder": "recursive"}
RECURSIVE = {"hidden": 4, "layers": 2, "dropout": 0.3, "decoder": "recursive"}


def trainer(**options):
    return Backprop(
        make(BackpropConfig, {"steps": 4, "epoch_size": 100, "batch_size": 16, "learning_rate": 0.01} | options)
    )


def same(a, b):
    return all(np.array_equal(a[k], b[k]) for k in a)


@dataclasses.dataclass(frozen=True)
class Spy(Objective):
    """Notes what the trainer asks for."""

    seen: list = dataclasses.field(default_factory=list)

    def batch(self, rows):
        self.seen.append({"rows": rows.tolist()})
        return super().batch(rows)

    def train_loss(self, ops, params, batch, *, teacher=None, steps=0):
        self.seen[-1] |= {"teacher": None if teacher is None else float(teacher.mean()), "steps": steps}
        return super().train_loss(ops, params, batch, teacher=teacher, steps=steps)


def spy(objective):
    return Spy(**{f.name: getattr(objective, f.name) for f in dataclasses.fields(objective)})


@pytest.fixture
def watched(network, make_objective):
    """Train a recursive gru, or another network; return what was asked for, per update."""

    def run(model="gru", model_options=RECURRENT, **options):
        net = network(model, DIMS, model_options)
        objective = spy(make_objective(net))
        list(trainer(**options).fit(objective, net.init(np.random.default_rng(0)), seed=0))
        return objective.seen, objective.n_train

    return run


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_resuming_is_exact(optimizer, schedule, network, make_objective):
    net = network("narx", DIMS, {"hidden": (3,)})
    objective, params = make_objective(net, rows=80), net.init(np.random.default_rng(0))
    options = {"optimizer": optimizer, "schedule": schedule, "steps": 8, "batch_size": 32, "weight_decay": 0.01}
    whole, broken, resumed = (trainer(**options) for _ in range(3))
    list(whole.fit(objective, params, seed=0))
    list(itertools.islice(broken.fit(objective, params, seed=0), 5))
    list(resumed.fit(objective, params, seed=9, state=broken.state()))
    assert same(whole.params, resumed.params)
    assert not same(whole.params, broken.params)


def test_resuming_is_exact_with_dropout_and_a_teacher(network, make_objective):
    net = network("gru", DIMS, RECURSIVE, "revin")
    objective, params = make_objective(net, rows=80), net.init(np.random.default_rng(0))
    whole, broken, resumed = (trainer(epoch_size=20) for _ in range(3))
    list(whole.fit(objective, params, seed=0))
    list(itertools.islice(broken.fit(objective, params, seed=0), 2))
    list(resumed.fit(objective, params, seed=0, state=broken.state()))
    assert same(whole.params, resumed.params)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_lowers_the_loss(optimizer, network, make_objective):
    net = network("narx", DIMS, {"hidden": (4,)}, "last")
    objective, params = make_objective(net), net.init(np.random.default_rng(0))
    chosen = trainer(optimizer=optimizer, learning_rate=0, schedule="constant", steps=20)
    losses = [progress.train_loss for progress in chosen.fit(objective, params, seed=0)]
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("optimizer", ["rmsprop", "adagrad", "adadelta", "adam", "adamw"])
def test_an_optimizer_has_a_rate_of_its_own(optimizer):
    """That of torch; rmsprop, whose step is of the same size as adam's, steps like it."""
    usual = OPTIMIZERS[optimizer]([torch.zeros(1)]).param_groups[0]["lr"]
    assert BackpropConfig(optimizer=optimizer).rate == (0.001 if optimizer == "rmsprop" else usual)
    assert BackpropConfig(optimizer=optimizer, learning_rate=0.3).rate == 0.3


def test_the_remedy_for_divergence_is_a_smaller_step():
    assert "trainer.learning_rate=0.05 (now 0.5)" in trainer(learning_rate=0.5).remedy
    assert "trainer.learning_rate=0.1 (now 1)" in trainer(optimizer="adadelta", learning_rate=0).remedy


@pytest.mark.parametrize(("clip", "offered"), [(0, True), (0.5, False), (1, False), (5, True)])
def test_clipping_is_a_remedy_where_the_gradient_is_not_clipped_as_hard(clip, offered):
    assert ("--set trainer.clip=1" in trainer(clip=clip).remedy) is offered


def test_one_update_of_plain_sgd_is_the_gradient(network, make_objective):
    """w - rate * dL/dw over all windows, by torch's own autograd on the closed form of a linear forecast."""
    net = network("linear", DIMS)
    objective, params = make_objective(net), net.init(np.random.default_rng(0))
    options = {"optimizer": "sgd", "momentum": 0, "schedule": "constant", "steps": 1, "clip": 0}
    sgd = trainer(**options, batch_size=objective.n_train, learning_rate=0.1)
    next(sgd.fit(objective, params, seed=0))
    series = torch.tensor(objective.tables.target[:, 0]).unfold(0, 10, 1)[: objective.n_train]
    weight = torch.tensor(params["weight"], requires_grad=True)
    loss = ((series[:, :6] @ weight - series[:, 6:]) ** 2).mean()
    loss.backward()
    np.testing.assert_allclose(sgd.params["weight"], params["weight"] - 0.1 * weight.grad.numpy(), atol=1e-6)


def test_clipping_bounds_the_update(network, make_objective):
    net = network("linear", DIMS)
    objective, params = make_objective(net), net.init(np.random.default_rng(0))
    options = {"optimizer": "sgd", "momentum": 0, "schedule": "constant", "steps": 1}
    chosen = trainer(**options, batch_size=objective.n_train, learning_rate=1.0, clip=0.01)
    next(chosen.fit(objective, params, seed=0))
    moved = sum(float(((chosen.params[k] - v) ** 2).sum()) for k, v in params.items())
    assert moved**0.5 == pytest.approx(0.01, rel=1e-3)


def epochs_of(seen):
    """Return the windows of the first and of the second half of all updates."""
    half = len(seen) // 2
    return [[row for update in part for row in update["rows"]] for part in (seen[:half], seen[half:])]


@pytest.mark.parametrize("size", [10, 20, 30, 100])
def test_a_step_draws_epoch_size_windows(size, watched):
    """Each at most once, unless the training set is more than four times as large."""
    seen, windows = watched(epoch_size=size, batch_size=8, steps=2)
    epochs = epochs_of(seen)
    assert all(len(rows) == min(size, windows) for rows in epochs)
    assert all(0 <= row < windows for rows in epochs for row in rows)
    assert epochs[0] != epochs[1]
    if windows <= 4 * size:
        assert all(len(set(rows)) == len(rows) for rows in epochs)


def test_a_small_set_is_passed_through_several_times(watched):
    """Every window equally often, in a new order each time."""
    seen, windows = watched(epoch_size=1000, batch_size=50, steps=2)
    for rows in epochs_of(seen):
        passes = np.array(rows).reshape(-1, windows)
        assert len(passes) == 1000 // windows
        assert (np.sort(passes, axis=1) == np.arange(windows)).all()
        assert (passes[0] != passes[1]).any()


def test_truncation_at_the_window_is_no_truncation(network, make_objective):
    net = network("lstm", DIMS, {"hidden": 4, "layers": 2})

    def run(truncate):
        chosen = trainer(truncate=truncate, steps=2)
        list(chosen.fit(make_objective(net), net.init(np.random.default_rng(0)), seed=0))
        return chosen.params

    full = run(0)
    assert same(run(DIMS.lags), full)
    assert same(run(DIMS.lags + 5), full)
    assert not same(run(2), full)


def test_the_curriculum_grows_to_the_whole_horizon(watched):
    seen, _ = watched(curriculum=0.5, steps=8)
    steps = [update["steps"] or DIMS.horizon for update in seen]
    assert steps[0] == 1
    assert steps == sorted(steps)
    assert set(steps) == {1, 2, 3, 4}
    assert all(update["steps"] == 0 for update in seen[len(seen) // 2 :])
    assert all(update["steps"] == 0 for update in watched()[0])


def test_teacher_forcing_fades_as_scheduled(watched):
    shares = [update["teacher"] for update in watched(steps=10)[0]]
    assert shares[0] == 1
    assert shares[-1] < 0.2
    half = len(shares) // 2
    assert np.polyfit(np.arange(half), shares[:half], 1)[0] * half == pytest.approx(-1, abs=0.2)
    assert set(shares[half:]) == {0.0}, "the second half trains what forecasts will do"
    for chance in (0.0, 1.0):
        seen, _ = watched(teacher_forcing=chance, teacher_forcing_end=chance)
        assert all(update["teacher"] == chance for update in seen)


@pytest.mark.parametrize(("loop", "taught"), [("open", False), ("closed", False), ("mixed", True)])
def test_only_a_network_that_can_be_taught_is(loop, taught, watched):
    seen, _ = watched("narx", {"hidden": (2,), "loop": loop})
    assert all((update["teacher"] is not None) == taught for update in seen)


def test_the_time_budget_shortens_the_schedule(network, make_objective):
    """When nearly all of the time is spent, the learning rate is the last one of the cosine."""
    net = network("narx", DIMS, {"hidden": (3,)})
    objective, params = make_objective(net), net.init(np.random.default_rng(0))
    chosen = trainer(optimizer="sgd", momentum=0, steps=50, learning_rate=0.1)
    now = [0.0]
    stream = iter(chosen.fit(objective, params, seed=0, spent=lambda: now[0]))
    moves, before = [], params
    next(stream)
    for now[0] in (0.0, 0.999):
        before = chosen.params
        next(stream)
        moves.append(sum(float(np.abs(chosen.params[k] - v).sum()) for k, v in before.items()))
    assert moves[1] < 0.1 * moves[0]


def test_the_learning_rate_falls_with_the_budget_within_a_step(network, make_objective, monkeypatch):
    """Where the budget is four updates long, the cosine is, too; then the step ends: its loss is that of the four."""
    net = network("narx", DIMS, {"hidden": (3,)})
    objective, params, chosen = make_objective(net), net.init(np.random.default_rng(0)), trainer(steps=50, batch_size=8)
    rates, losses, batch, train_loss = [], [], Objective.batch, Objective.train_loss

    def noted(*given):
        rates.append(chosen._optimizer.param_groups[0]["lr"])
        return batch(*given)

    def kept(*given, **named):
        loss = train_loss(*given, **named)
        losses.append(float(loss.detach()))
        return loss

    monkeypatch.setattr(Objective, "batch", noted)
    monkeypatch.setattr(Objective, "train_loss", kept)
    progress = next(iter(chosen.fit(objective, params, seed=0, spent=lambda: len(rates) / 4)))
    assert rates == pytest.approx([0.01, 0.00855, 0.00505, 0.00155], rel=0.01)
    assert progress.train_loss == pytest.approx(np.mean(losses), rel=1e-5)


def test_divergence_is_infinite(network, make_objective):
    net = network("narx", DIMS, {"hidden": (4,), "activation": "relu"})
    objective, params = make_objective(net), net.init(np.random.default_rng(0))
    chosen = trainer(optimizer="sgd", learning_rate=1e6, clip=0, schedule="constant")
    losses = [progress.train_loss for progress in chosen.fit(objective, params, seed=0)]
    assert losses[-1] == np.inf


def test_nesterov_without_momentum_is_refused():
    with pytest.raises(UsageError, match="nesterov"):
        trainer(optimizer="sgd", nesterov=True, momentum=0)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_stay_between_0_and_1(name):
    shares, steps = np.linspace(0, 1.2, 25), range(1, 26)
    factors = [
        SCHEDULES[name](Reached(share, step, plateaus))
        for share, step in zip(shares, steps, strict=True)
        for plateaus in range(4)
    ]
    assert all(0 < factor <= 1 for factor in factors)


def test_schedules_at_their_corners():
    def rate(name, share=0.0, step=1, plateaus=0):
        return SCHEDULES[name](Reached(share, step, plateaus))

    assert rate("constant", 0.7, 5, 5) == 1
    assert rate("cosine") == pytest.approx(1)
    assert rate("cosine", 1) == pytest.approx(0.01)
    assert [rate("plateau", plateaus=plateaus) for plateaus in (0, 1, 2)] == [1, 0.5, 0.25]
    assert rate("one_cycle") == pytest.approx(0.04)
    assert rate("one_cycle", 0.3) == pytest.approx(1)
    assert rate("one_cycle", 1) == pytest.approx(1e-4)
    assert [rate("step_decay", step=step) for step in range(1, 8)] == pytest.approx(
        [1 / 25, 1, 1, 1, 0.8, 0.8**2, 0.8**3]
    )
    assert rate("sigmoid", step=1) == pytest.approx(0.00395, abs=1e-5)
    assert max(range(1, 101), key=lambda step: rate("sigmoid", step=step)) in range(15, 25)
    assert rate("sigmoid", step=100) == pytest.approx(0.5)


def test_a_rate_that_a_plateau_has_halved_stays_so(network, make_objective, monkeypatch):
    """Also where the loss improves afterwards, and where the run is resumed in the middle of the next plateau."""
    net = network("linear", DIMS)
    objective, params = make_objective(net), net.init(np.random.default_rng(0))
    course = [5, 6, 6, 6, 4, 4, 4, 4, 3, 3]
    expected = [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25]

    def rates(chosen, losses, state=None):
        told = iter(losses)
        monkeypatch.setattr(Objective, "valid_loss", lambda *_: next(told))
        stream = itertools.islice(chosen.fit(objective, params, seed=0, state=state), len(losses))
        return [chosen._optimizer.param_groups[0]["lr"] for _ in stream]

    whole, broken, resumed = (trainer(schedule="plateau", learning_rate=1.0, steps=len(course)) for _ in range(3))
    assert rates(whole, course) == expected
    assert rates(broken, course[:7]) + rates(resumed, course[7:], broken.state()) == expected
    assert same(whole.params, resumed.params)


def test_the_schedule_is_told_the_step(network, make_objective):
    """The first step of ``step_decay`` moves as far as a constant rate of 1/25, the next ones as far as the rate."""
    net = network("narx", DIMS, {"hidden": (3,)})
    objective, params = make_objective(net), net.init(np.random.default_rng(0))
    options = {"optimizer": "sgd", "momentum": 0, "steps": 2, "epoch_size": 0}
    decayed, slow = (
        trainer(**options, schedule="step_decay", learning_rate=0.1),
        trainer(**options, schedule="constant", learning_rate=0.1 / 25),
    )
    for chosen in (decayed, slow):
        next(chosen.fit(objective, params, seed=0))
    for name, value in slow.params.items():
        np.testing.assert_allclose(decayed.params[name], value, atol=1e-6)


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_the_decays_of_adam_can_be_set(optimizer, network, make_objective):
    """With both at 0 and no weight decay, adam steps by the sign of the gradient."""
    net = network("linear", DIMS)
    objective, params = make_objective(net), net.init(np.random.default_rng(0))
    options = {"optimizer": optimizer, "beta1": 0, "beta2": 0, "schedule": "constant", "steps": 2, "clip": 0}
    chosen = trainer(**options, batch_size=objective.n_train, learning_rate=0.01)
    before = params
    for _ in chosen.fit(objective, params, seed=0):
        moved = np.abs(chosen.params["weight"] - before["weight"])
        np.testing.assert_allclose(moved, 0.01, rtol=1e-3)
        before = chosen.params


def test_epoch_size_0_is_every_window_once(watched):
    seen, windows = watched(epoch_size=0, batch_size=8, steps=2)
    for rows in epochs_of(seen):
        assert sorted(rows) == list(range(windows))


def test_fair_sampling_draws_every_series_alike_often(network, make_objective):
    """A long series and a short one, told apart by the rows' series."""
    net = network("linear", DIMS)
    plain = make_objective(net)
    series = (np.arange(len(plain.tables.target)) >= 70).astype(np.int32)
    tables = dataclasses.replace(plain.tables, series=series, static=np.ones((2, 0), np.float32), known=np.arange(2))
    objective = spy(dataclasses.replace(plain, tables=tables))
    list(trainer(draw="series", epoch_size=60, steps=3).fit(objective, net.init(np.random.default_rng(0)), seed=0))
    drawn = np.concatenate([objective.series[update["rows"]] for update in objective.seen])
    assert len(drawn) == 180
    assert drawn.mean() == 0.5
    assert objective.series.mean() < 0.2


def test_the_average_is_what_is_judged_and_kept(network, make_objective):
    net = network("narx", DIMS, {"hidden": (4,)}, "last")
    objective, start = make_objective(net), net.init(np.random.default_rng(0))
    plain, averaged = trainer(), trainer(average=0.9)
    list(plain.fit(objective, start, seed=0))
    steps = list(averaged.fit(objective, start, seed=0))
    assert steps[-1].valid_loss == pytest.approx(objective.valid_loss(averaged.params), rel=1e-5)
    state = averaged.state()
    assert same({k: state[f"param/{k}"] for k in start}, plain.params)  # averaging does not disturb training
    assert not same(averaged.params, plain.params)


def test_resuming_is_exact_with_an_average(network, make_objective):
    net = network("narx", DIMS, {"hidden": (3,)})
    objective, start = make_objective(net, rows=80), net.init(np.random.default_rng(0))
    whole, broken, resumed = (trainer(average=0.99) for _ in range(3))
    list(whole.fit(objective, start, seed=0))
    list(itertools.islice(broken.fit(objective, start, seed=0), 2))
    list(resumed.fit(objective, start, seed=0, state=broken.state()))
    assert same(whole.params, resumed.params)
