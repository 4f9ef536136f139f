"""The state of a run that has not ended: it lies beside the model file and goes when the run ends."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsforecast.errors import UsageError
from tsforecast.files import write_atomically

SUFFIX = ".resume"


@dataclass(frozen=True)
class Checkpoint:
    """Everything needed to continue a run exactly.

    Attributes:
        signature: Fingerprint of version, data and options; a run continues only under the same one.
        trainer: The trainer's own state.
        best: The best parameters so far.
        history: One record per step so far.
        waiting: Steps since the best one.
    """

    signature: str
    trainer: Mapping[str, NDArray[Any]]
    best: Mapping[str, NDArray[np.float32]]
    history: list[dict[str, float]]
    waiting: int


def path_beside(model: Path) -> Path:
    """Return where the state of a run towards ``model`` lies."""
    return model.with_name(model.name + SUFFIX)


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint atomically.

    Raises:
        UsageError: The folder cannot be written to.
    """
    from safetensors.numpy import save as pack

    tensors = {f"trainer/{k}": np.asarray(v, order="C") for k, v in checkpoint.trainer.items()}
    tensors |= {f"best/{k}": np.asarray(v, order="C") for k, v in checkpoint.best.items()}
    meta = {"signature": checkpoint.signature, "history": checkpoint.history, "waiting": checkpoint.waiting}
    write_atomically(path, pack(tensors, metadata={"tsforecast": json.dumps(meta)}))


def load(path: Path, signature: str) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        UsageError: There is none, it is damaged, or it belongs to other data, other options or another version.
    """
    from safetensors import SafetensorError, safe_open

    if not path.exists():
        raise UsageError(f"nothing to resume: {path} does not exist", hint="start without --resume")
    try:
        with safe_open(path, framework="np") as file:
            meta = json.loads(file.metadata()["tsforecast"])
            found, history, waiting = meta["signature"], meta["history"], meta["waiting"]
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError, KeyError, TypeError, ValueError):
        raise UsageError(f"{path} is damaged", hint="delete it and train again without --resume") from None
    if found != signature:
        raise UsageError(
            f"{path} belongs to a run with other data or options, or of another version",
            hint="repeat the command as it was, with --resume, or delete the file",
        )
    parts: dict[str, dict[str, NDArray[Any]]] = {"trainer": {}, "best": {}}
    for name, value in tensors.items():
        part, _, rest = name.partition("/")
        parts[part][rest] = value
    return Checkpoint(signature, parts["trainer"], parts["best"], history, waiting)
