"""The model file: the same forecaster comes back, and nothing else is taken for a model file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from safetensors.numpy import save as pack

import tsforecast
from tsforecast import artifact
from tsforecast.artifact import FORMAT, KEY, Artifact
from tsforecast.errors import ModelFileError

Edit = Callable[[dict[str, Any], dict[str, np.ndarray]], None]


def table(rows: int = 200) -> pa.Table:
    rng = np.random.default_rng(0)
    time = np.datetime64("2024-01-01T00", "us") + np.arange(rows) * np.timedelta64(1, "h")
    power = np.sin(np.arange(rows) / 4) + rng.normal(0, 0.1, rows)
    kinds = [("calm", "windy")[x] for x in rng.integers(2, size=rows)]
    return pa.table({"time": time, "power": power, "kind": kinds, "temperature": rng.normal(size=rows)})


QUICK = {"model_options": {"hidden": 4}, "trainer_options": {"steps": 1, "epoch_size": 64}}


@pytest.fixture(scope="module")
def trained() -> Artifact:
    roles = {"past": "kind", "future": "temperature", "calendar": "hour", "night": "auto"}
    return tsforecast.train(table(), "power", model="narx", horizon=6, lags="1:12,24", test="40", **QUICK, **roles)


@pytest.fixture
def path(trained: Artifact, tmp_path: Path) -> Path:
    tsforecast.save(trained, tmp_path / "m")
    return tmp_path / "m"


def rewrite(path: Path, edit: Edit, *, sign: bool = True) -> None:
    tensors, document = artifact._unpack(path)
    edit(document, tensors)
    if sign:
        document["checksum"] = artifact._checksum(document, tensors)
    path.write_bytes(pack(tensors, metadata={KEY: json.dumps(document)}))


def test_everything_comes_back(trained: Artifact, path: Path) -> None:
    old, new = trained.forecaster, tsforecast.load(path).forecaster
    for name in ("options", "model_options", "shape", "schema", "freq", "clock", "columns", "dims"):
        assert getattr(new, name) == getattr(old, name), name
    assert list(new.history) == [dict(record) for record in old.history]
    assert (new.memory.series, new.memory.rows) == (old.memory.series, old.memory.rows)
    for name in ("last_seen", "scale", "slope", "ranges", "blocks"):
        np.testing.assert_array_equal(getattr(new.memory, name), getattr(old.memory, name))
    assert old.memory.night is not None and new.memory.night is not None
    np.testing.assert_array_equal(new.memory.night.dark, old.memory.night.dark)
    for mine, other in ((new.params, old.params), (vars(new.scaler), vars(old.scaler))):
        for name, value in other.items():
            np.testing.assert_array_equal(mine[name], value)


def test_the_document_after_training_is_that_of_the_file(trained: Artifact, path: Path) -> None:
    drop = {"created", "checksum"}
    first, second = trained.document, tsforecast.load(path).document
    assert {k: v for k, v in first.items() if k not in drop} == {k: v for k, v in second.items() if k not in drop}
    assert len(first["checksum"]) == len(second["checksum"]) == 64


def test_a_second_saving_differs_in_nothing_but_its_date(trained: Artifact, path: Path, tmp_path: Path) -> None:
    tsforecast.save(tsforecast.load(path), tmp_path / "again")
    first, second = artifact._unpack(path), artifact._unpack(tmp_path / "again")
    assert first[0].keys() == second[0].keys()
    drop = {"created", "checksum"}
    assert {k: v for k, v in first[1].items() if k not in drop} == {k: v for k, v in second[1].items() if k not in drop}


def test_the_fingerprint_replays_exactly_and_notices_other_parameters(path: Path) -> None:
    loaded = tsforecast.load(path)
    assert loaded.fingerprint.deviation(loaded.forecaster) == 0
    rewrite(path, lambda _, tensors: tensors.update({"param/out.bias": tensors["param/out.bias"] + 1}))
    spoiled = tsforecast.load(path)
    assert spoiled.fingerprint.deviation(spoiled.forecaster) > artifact.TOLERANCE


def refused(path: Path, message: str) -> None:
    with pytest.raises(ModelFileError, match=message):
        tsforecast.load(path)


@pytest.mark.parametrize("name", ["param/out.bias", "memory/slope"])
def test_arrays_of_another_shape_are_refused(path: Path, name: str) -> None:
    rewrite(path, lambda _, tensors: tensors.update({name: np.concatenate([tensors[name]] * 2)}))
    refused(path, "has shape")


def test_a_missing_parameter_is_refused(path: Path) -> None:
    rewrite(path, lambda _, tensors: tensors.pop("param/out.bias"))
    refused(path, "'out.bias' has shape None instead of")


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_a_truncated_file_is_refused(path: Path, keep: int) -> None:
    path.write_bytes(path.read_bytes()[:keep])
    refused(path, "is not a model file, or only part of one")


def test_a_single_changed_bit_is_noticed(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-10] ^= 1
    path.write_bytes(content)
    refused(path, "was changed after it was written: its checksum is wrong")


def test_a_changed_option_is_noticed(path: Path) -> None:
    rewrite(path, lambda document, _: document["options"].update(floor=0.0), sign=False)
    refused(path, "checksum is wrong")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda document, _: document.update(format=FORMAT + 1), f"format {FORMAT + 1}, this version reads {FORMAT}"),
        (lambda document, _: document.update(format=FORMAT - 1), f"format {FORMAT - 1} of an older version"),
        (lambda document, _: document.update(format="one"), "says nothing of its format"),
        (lambda document, _: document.pop("options"), "lacks something a model file must have: 'options'"),
        (lambda document, _: document.update(clock=3), "lacks something"),
        (lambda document, _: document["options"].update(model="tft"), "lacks: unknown model 'tft'"),
        (lambda document, _: document["options"].update(warp=9), "lacks: unknown option 'warp'"),
        (lambda document, _: document["model_options"].update(warp=9), "lacks: unknown option 'model.warp'"),
        (lambda _, tensors: tensors.pop("memory/scale"), "lacks something a model file must have: 'memory/scale'"),
    ],
)
def test_a_file_of_another_version_is_refused(path: Path, edit: Edit, message: str) -> None:
    rewrite(path, edit)
    refused(path, message)


@pytest.mark.parametrize("description", [None, "[1, 2", "[1, 2]", "{}"])
def test_other_safetensors_files_are_refused(tmp_path: Path, description: str | None) -> None:
    metadata = None if description is None else {KEY: description}
    (tmp_path / "m").write_bytes(pack({"a": np.ones(3)}, metadata=metadata))
    refused(tmp_path / "m", "not one that tsforecast wrote|description is damaged|says nothing of its format")


def test_paths_that_are_no_files_are_refused(tmp_path: Path) -> None:
    refused(tmp_path / "none", "no such model file")
    refused(tmp_path, "is a folder")


def test_a_failed_saving_leaves_the_old_file_and_no_other(
    trained: Artifact, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(tsforecast.TSForecastError, match="No space left on device"):
        tsforecast.save(trained, path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_it_shows_itself_on_one_line(trained: Artifact) -> None:
    count = sum(value.size for value in trained.forecaster.params.values())
    assert repr(trained) == f"<Artifact narx of power: horizon=6, lags=24, parameters={count}>"
