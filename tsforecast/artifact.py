"""The model file: one ``.safetensors`` file, tensors plus one JSON document, no pickle, written atomically.

Layout: the tensors ``param/...``, ``scaler/...``, ``memory/...``, ``intervals/...`` and ``fingerprint/...``; under the
metadata key ``tsforecast`` a JSON document with the format version, the resolved options, the data contract, the
training history, versions and a SHA-256 checksum of everything else. Loading needs NumPy only.

What a rule makes of model options that were left open (``usual_segment`` of the recurrent networks, the dilations of
the tdnn) is not in the file: it is found again when the file is loaded. Whoever changes such a rule raises ``FORMAT``,
so that no file is read as another network than it was written from.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsforecast.config import make
from tsforecast.data.build import Schema
from tsforecast.data.clock import Clock
from tsforecast.data.freq import Freq
from tsforecast.data.scale import Scaler
from tsforecast.errors import ModelFileError, UsageError
from tsforecast.files import write_atomically
from tsforecast.forecasting.forecaster import Forecaster
from tsforecast.forecasting.intervals import Margins
from tsforecast.forecasting.memory import Memory
from tsforecast.forecasting.reference import NightTable
from tsforecast.forecasting.shape import Shape
from tsforecast.models.base import Inputs
from tsforecast.models.normalize import roll_out
from tsforecast.ops.numpy_ops import NumpyOps
from tsforecast.options import FitOptions
from tsforecast.versions import version_of

FORMAT = 2
KEY = "tsforecast"
MAKE = "make one with `tsforecast train DATA -t COLUMN -o MODEL`"
TOLERANCE = (
    1e-4  # of the replayed fingerprint, in scaled units: room for another processor's rounding, for nothing else
)

Tensors = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Fingerprint:
    """A window with its forecast, stored to be replayed.

    Attributes:
        inputs: The window, the arrays of ``models.base.Inputs`` with B = 1.
        forecast: (1, H, T, Q) in scaled units.
    """

    inputs: Inputs
    forecast: NDArray[np.float32]

    @classmethod
    def of(cls, forecaster: Forecaster, inputs: Inputs) -> Fingerprint:
        """Forecast a window and remember the outcome."""
        out = roll_out(NumpyOps(), forecaster.network, dict(forecaster.params), inputs, forecaster.shape.horizon)
        return cls(inputs, np.ascontiguousarray(out))

    def deviation(self, forecaster: Forecaster) -> float:
        """Replay the window; return the largest difference from the stored forecast, in scaled units."""
        again = Fingerprint.of(forecaster, self.inputs)
        return float(np.abs(again.forecast - self.forecast).max())


@dataclass(frozen=True)
class Artifact:
    """What a model file holds.

    Attributes:
        forecaster: The fitted forecaster.
        fingerprint: For ``info --verify``.
        document: The JSON document, for ``info``.
        notes: What was noticed and decided in training; not kept in the file.
    """

    forecaster: Forecaster
    fingerprint: Fingerprint
    document: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Say what it is on one line; its weights are many."""
        made = self.forecaster
        targets, count = ", ".join(made.schema.target_columns), sum(np.size(value) for value in made.params.values())
        sizes = f"horizon={made.shape.horizon}, lags={made.shape.lags}, parameters={count}"
        return f"<Artifact {made.options.model} of {targets}: {sizes}>"

    @classmethod
    def of(cls, forecaster: Forecaster, inputs: Inputs, notes: Iterable[str] = ()) -> Artifact:
        """Return what a model file of the forecaster would hold, with a window to be fingerprinted."""
        fingerprint = Fingerprint.of(forecaster, inputs)
        document = json.loads(json.dumps(_contents(forecaster, fingerprint)[1]))  # as it is read: with lists, no tuples
        return cls(forecaster, fingerprint, document, tuple(notes))


# ---------------------------------------------------------------------------------------------------------- writing


def save(path: Path, forecaster: Forecaster, fingerprint: Fingerprint) -> None:
    """Write a model file atomically.

    Raises:
        UsageError: The folder cannot be written to.
    """
    from safetensors.numpy import save as pack

    tensors, document = _contents(forecaster, fingerprint)
    write_atomically(path, pack(tensors, metadata={KEY: json.dumps(document)}))


def _contents(forecaster: Forecaster, fingerprint: Fingerprint) -> tuple[Tensors, dict[str, Any]]:
    """Return the tensors of a model file and its JSON document, the checksum in it."""
    tensors = {name: np.ascontiguousarray(value) for name, value in _tensors(forecaster, fingerprint).items()}
    document = _document(forecaster)
    document["checksum"] = _checksum(document, tensors)
    return tensors, document


def _tensors(forecaster: Forecaster, fingerprint: Fingerprint) -> Tensors:
    memory = forecaster.memory
    tensors: Tensors = {f"param/{k}": v for k, v in forecaster.params.items()}
    for name, scaler in (("scaler", forecaster.scaler), ("static_scaler", forecaster.static_scaler)):
        tensors |= {f"{name}/center": scaler.center, f"{name}/spread": scaler.spread}
    tensors |= {f"memory/{name}": getattr(memory, name) for name in ("last_seen", "scale", "slope", "ranges", "blocks")}
    if memory.night is not None:
        tensors["memory/night"] = memory.night.dark
    if forecaster.margins is not None:
        tensors |= {f"intervals/{name}": value for name, value in vars(forecaster.margins).items()}
    for field in dataclasses.fields(Inputs):
        tensors[f"fingerprint/{field.name}"] = np.asarray(getattr(fingerprint.inputs, field.name))
    tensors["fingerprint/forecast"] = fingerprint.forecast
    return tensors


def _document(forecaster: Forecaster) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "options": dataclasses.asdict(forecaster.options),
        "model_options": dict(forecaster.model_options),
        "trainer_options": dict(forecaster.trainer_options),
        "shape": dataclasses.asdict(forecaster.shape),
        "schema": forecaster.schema.to_json(),
        "freq": dataclasses.asdict(forecaster.freq),
        "clock": forecaster.clock.to_json(),
        "series": list(forecaster.memory.series),
        "rows": forecaster.memory.rows,
        "history": [dict(record) for record in forecaster.history],
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version()}
        | {name: version_of(name) for name in ("tsforecast", "numpy", "torch")},
    }


def _checksum(document: Mapping[str, Any], tensors: Tensors) -> str:
    plain = {k: v for k, v in document.items() if k != "checksum"}
    digest = hashlib.sha256(json.dumps(plain, sort_keys=True).encode())
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name}{value.dtype}{value.shape}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()


# ---------------------------------------------------------------------------------------------------------- reading


def load(path: Path) -> Artifact:
    """Read a model file and check that it is whole.

    Raises:
        ModelFileError: Missing, truncated, tampered with, not a model file, or of another format.
    """
    tensors, document = _unpack(path)
    if not isinstance(document.get("format"), int):
        raise ModelFileError(f"{path} says nothing of its format", hint="train it again")
    if document["format"] > FORMAT:
        raise ModelFileError(
            f"{path} has format {document['format']}, this version reads {FORMAT}",
            hint="install a newer tsforecast",
        )
    if document["format"] < FORMAT:
        raise ModelFileError(
            f"{path} has format {document['format']} of an older version, this one reads {FORMAT}",
            hint="train it again",
        )
    if document.get("checksum") != _checksum(document, tensors):
        raise ModelFileError(f"{path} was changed after it was written: its checksum is wrong", hint="train it again")
    try:
        forecaster = _forecaster(tensors, document)
        _check_shapes(forecaster)
        inputs = Inputs(**{f.name: tensors[f"fingerprint/{f.name}"] for f in dataclasses.fields(Inputs)})
        made = Artifact(forecaster, Fingerprint(inputs, tensors["fingerprint/forecast"]), document)
        _ = forecaster.network  # whose name or options this installation may not know
        return made
    except UsageError as error:
        raise ModelFileError(
            f"{path} needs what this installation lacks: {error.message}", hint="install a newer tsforecast"
        ) from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelFileError(
            f"{path} lacks something a model file must have: {error}", hint="train it again"
        ) from error


def _unpack(path: Path) -> tuple[Tensors, dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    if not path.exists():
        raise ModelFileError(f"{path}: no such model file", hint=MAKE)
    if path.is_dir():
        raise ModelFileError(f"{path} is a folder, not a model file", hint="name a file in it")
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError):
        raise ModelFileError(f"{path} is not a model file, or only part of one", hint="train it again") from None
    if KEY not in metadata:
        raise ModelFileError(f"{path} is a safetensors file, but not one that tsforecast wrote", hint=MAKE)
    try:
        document = dict(json.loads(metadata[KEY]))
    except (TypeError, ValueError):
        raise ModelFileError(f"{path}: its description is damaged", hint="train it again") from None
    return tensors, document


def _forecaster(tensors: Tensors, document: Mapping[str, Any]) -> Forecaster:
    shape = dict(document["shape"])
    shape |= {name: tuple(shape.get(name, ())) for name in ("lag_set", "cycle", "levels")}
    night = NightTable(tensors["memory/night"]) if "memory/night" in tensors else None
    memory = Memory(
        series=tuple(document["series"]),
        **{name: tensors[f"memory/{name}"] for name in ("last_seen", "scale", "slope", "ranges", "blocks")},
        night=night,
        rows=document["rows"],
    )
    return Forecaster(
        options=make(FitOptions, document["options"]),
        model_options=_options(document["model_options"]),
        trainer_options=_options(document["trainer_options"]),
        shape=Shape(**shape),
        schema=Schema.from_json(document["schema"]),
        freq=Freq(**document["freq"]),
        clock=Clock.from_json(document["clock"]),
        scaler=Scaler(tensors["scaler/center"], tensors["scaler/spread"]),
        static_scaler=Scaler(tensors["static_scaler/center"], tensors["static_scaler/spread"]),
        params={k.removeprefix("param/"): v for k, v in tensors.items() if k.startswith("param/")},
        memory=memory,
        history=document["history"],
        margins=_margins(tensors) if document["options"].get("intervals") == "conformal" else None,
    )


def _margins(tensors: Tensors) -> Margins:
    return Margins(**{field.name: tensors[f"intervals/{field.name}"] for field in dataclasses.fields(Margins)})


def _check_shapes(forecaster: Forecaster) -> None:
    """Check that every array has the shape that the network and the data contract give it.

    Raises:
        ValueError: One is missing, unknown, or of another shape.
    """
    memory, series, targets = forecaster.memory, len(forecaster.memory.series), forecaster.targets
    wanted = {name: value.shape for name, value in forecaster.network.init(np.random.default_rng(0)).items()}
    found = {name: value.shape for name, value in forecaster.params.items()}
    wanted |= {"memory/last_seen": (series,), "memory/scale": (series, targets, 2), "memory/slope": (series, targets)}
    wanted["memory/blocks"] = (len(memory.blocks), 3)
    found |= {f"memory/{name}": getattr(memory, name).shape for name in ("last_seen", "scale", "slope", "blocks")}
    if forecaster.margins is not None:
        steps, levels = forecaster.shape.horizon, len(forecaster.options.quantiles)
        wanted |= dict.fromkeys(("margin", "start"), (steps, targets, levels))
        wanted |= {"spread": (series, targets), "size": (steps, targets)}
        found |= {name: value.shape for name, value in vars(forecaster.margins).items()}
    for name in sorted({*wanted, *found}):
        if wanted.get(name) != found.get(name):
            raise ValueError(f"'{name}' has shape {found.get(name)} instead of {wanted.get(name)}")


def _options(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return options as they were before JSON, which knows no tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in document.items()}
