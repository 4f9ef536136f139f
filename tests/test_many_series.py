"""Many series of unequal length: scaled, told apart, forecast by one network or each by its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import tsforecast
from tsforecast.artifact import Artifact
from tsforecast.data import scale
from tsforecast.data.frame import Frame
from tsforecast.data.read import read
from tsforecast.data.window import Tables
from tsforecast.errors import DataError, UsageError
from tsforecast.forecasting.prediction import predict, read_frame
from tsforecast.options import ReadOptions

LENGTHS = (60, 35, 90, 48)
LEVELS = (1e-3, 5.0, 2e4, 300.0)
LINEAR = {"model": "linear", "horizon": 3, "lags": "7"}
SMALL: dict[str, Any] = {"horizon": 3, "lags": "7", "trainer_options": {"steps": 2, "epoch_size": 64}}
GRU = {**SMALL, "model": "gru", "model_options": {"hidden": 3}}


def table(lengths: tuple[int, ...] = LENGTHS, levels: tuple[float, ...] = LEVELS, first: int = 0) -> pa.Table:
    """Return weekly waves, each of its own level; the series are called s0, s1, ..."""
    parts = []
    for s, (rows, level) in enumerate(zip(lengths, levels, strict=True)):
        noise = np.random.default_rng(s).normal(0, 0.1, rows)
        parts.append(level * (2 + np.sin(2 * np.pi * np.arange(rows) / 7) + noise))
    time = [np.datetime64("2024-01-01", "us") + np.arange(rows) * np.timedelta64(1, "D") for rows in lengths]
    names = np.repeat([f"s{first + s}" for s in range(len(lengths))], lengths)
    return pa.table({"id": names, "time": np.concatenate(time), "y": np.concatenate(parts)})


def train(data: pa.Table, **options: Any) -> Artifact:
    return tsforecast.train(data, "y", series_id="id", **options)


def frame_of(made: Artifact, data: pa.Table) -> Frame:
    return read_frame(made.forecaster, read([data], ReadOptions()), ReadOptions())[0]


def forecasts(made: Artifact, data: pa.Table) -> np.ndarray:
    return predict(made.forecaster, frame_of(made, data)).values[..., 0]


def saved(made: Artifact, folder: Path) -> Artifact:
    tsforecast.save(made, folder / "m.safetensors")
    return tsforecast.load(folder / "m.safetensors")


CASES = {
    "scaled": LINEAR,
    "embedding": {**GRU, "embedding": 2},
    "local": {**GRU, "local": True},
    "local ensemble": {**GRU, "local": True, "ensemble": 2, "normalize": "revin"},
    "local linear": {**LINEAR, "local": True, "model_options": {"block": 1}},
    "local refit": {**LINEAR, "local": True, "refit": True},
    "local narx": {**SMALL, "model": "narx", "local": True, "model_options": {"hidden": (3,)}},
}


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
def test_series_of_every_size_are_forecast_at_their_own_level_and_survive_the_file(options, tmp_path):
    made = train(table(), **options)
    assert made.forecaster.scaler.center.shape == (4, 1)
    out = forecasts(made, table())
    assert out.shape == (4, 3)
    assert ((out > np.array(LEVELS)[:, None] * 0.5) & (out < np.array(LEVELS)[:, None] * 3.5)).all()
    again = saved(made, tmp_path)
    assert again.fingerprint.deviation(again.forecaster) < 1e-5
    np.testing.assert_array_equal(forecasts(again, table()), out)


@pytest.mark.parametrize("options", [GRU | {"embedding": 2}, LINEAR | {"local": True}], ids=["embedding", "local"])
def test_order_and_company_do_not_change_a_forecast(options):
    made, data = train(table(), **options), table()
    whole = forecasts(made, data)
    rows = np.array(data["id"].to_pylist())
    two = data.filter(pa.array((rows == "s3") | (rows == "s1")))
    np.testing.assert_allclose(forecasts(made, two), whole[[1, 3]], rtol=1e-5)


@pytest.mark.parametrize("options", [LINEAR, {**GRU, "embedding": 2}], ids=["linear", "embedding"])
def test_a_new_series_is_scaled_by_what_is_known_of_it(options):
    """The same wave at another level has the same forecast at that level: nothing else of it is new."""
    made = train(table(), **options)
    low, high = (forecasts(made, table((40,), (level,), first=9)) for level in (1.0, 1e5))
    np.testing.assert_allclose(high, low * 1e5, rtol=1e-4)
    assert ((low > 0.5) & (low < 3.5)).all()


def test_a_new_series_is_not_scaled_by_what_comes_after_the_cutoff():
    made = train(table(), **LINEAR)
    data = table((40,), (1.0,), first=9)
    changed = data["y"].to_numpy().copy()
    changed[30:] *= 1000
    frames = [frame_of(made, data.set_column(2, "y", pa.array(y))) for y in (data["y"].to_numpy(), changed)]
    cutoffs = np.array([29])
    before, after = (made.forecaster.forecast(frame, cutoffs, 3).point for frame in frames)
    np.testing.assert_array_equal(before, after)


def test_local_networks_know_only_their_series():
    made = train(table(), **LINEAR, local=True)
    with pytest.raises(DataError, match=r"series 's7' \(and 1 more\) is new"):
        forecasts(made, table((40, 40), (1.0, 2.0), first=7))


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        (GRU | {"local": True, "embedding": 2}, UsageError, "every series has a network of its own already"),
        (LINEAR | {"embedding": 2}, UsageError, "beyond trainer 'least_squares'"),
        (LINEAR | {"local": True, "lags": "30"}, DataError, "series 's1' has no complete training window"),
        ({"model": "naive", "local": True}, UsageError, "trainer 'none' does not train one network per series"),
        (GRU | {"local": True, "trainer": "genetic", "trainer_options": {}}, UsageError, "--local: trainer 'genetic'"),
        (GRU | {"local": True, "refit": True}, UsageError, "'backprop' ends every series at its own best step"),
    ],
)
def test_what_does_not_fit_is_refused(options, error, said):
    with pytest.raises(error, match=said):
        train(table(), **options)


@pytest.mark.parametrize(("flag", "said"), [("local", "there is one series"), ("embedding", "no series or channels")])
def test_one_series_needs_no_telling_apart(flag, said):
    data = table((60,), (1.0,)).drop_columns(["id"])
    with pytest.raises(UsageError, match=said):
        tsforecast.train(data, "y", **GRU, **{flag: True if flag == "local" else 2})


def test_the_work_grows_with_the_series_and_not_with_their_square(monkeypatch):
    """Rows that are gathered and columns that are measured are counted, for a few series and for four times as many."""
    count = {"rows": 0, "measured": 0}
    cut, measure = Tables.cut, scale._measure

    def counting_cut(self, starts, lags, ahead, **options):
        count["rows"] += len(starts)
        return cut(self, starts, lags, ahead, **options)

    def counting_measure(column, kind):
        count["measured"] += len(column)
        return measure(column, kind)

    monkeypatch.setattr(Tables, "cut", counting_cut)
    monkeypatch.setattr(scale, "_measure", counting_measure)
    found = []
    for many in (8, 32):
        count.update(rows=0, measured=0)
        data = table((30,) * many, tuple(10.0 ** (s % 4) for s in range(many)))
        forecasts(train(data, **LINEAR, local=True), data)
        found.append(dict(count))
    for name in count:
        assert found[1][name] <= 4.5 * found[0][name]
