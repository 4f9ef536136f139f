"""``tsforecast info``: what is in a model file, and whether it still forecasts what it did."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from shell import Cli, Csv, stamps

from tsforecast import artifact

Train = Callable[..., Path]


def spoil(path: Path) -> None:
    """Replace the parameters and sign the file again."""
    tensors, document = artifact._unpack(path)
    tensors["param/weight"] = tensors["param/weight"] + np.float32(0.5)
    document["checksum"] = artifact._checksum(document, tensors)
    from safetensors.numpy import save

    path.write_bytes(save(tensors, metadata={artifact.KEY: json.dumps(document)}))


def test_info_shows_the_contract_of_the_model(cli: Cli, csv: Csv, trained: Train) -> None:
    done = cli("info", trained(csv(), "--past", "wind", "--test", 40))
    facts = dict(line.split(maxsplit=1) for line in done.out.splitlines())
    assert (done.code, done.err) == (0, "")
    shown = {"model": "linear", "target": "power", "past": "wind", "freq": "h", "horizon": "6", "lags": "24"}
    assert shown.items() <= facts.items()
    assert (facts["rows"], facts["last_seen"]) == ("160", stamps(200)[159])


def test_info_as_json_holds_the_whole_document(cli: Cli, csv: Csv, trained: Train) -> None:
    facts = json.loads(cli("info", trained(csv()), "--json").out)
    assert (facts["schema"], facts["model"], facts["document"]["format"]) == (1, "linear", artifact.FORMAT)


def test_steps_are_counted_without_the_start(cli: Cli, csv: Csv, trained: Train) -> None:
    sgd = ("--set", "trainer.steps=2", "--set", "trainer.optimizer=sgd", "--set", "trainer.learning_rate=1")
    model = trained(csv(), "-m", "tdnn", "-L", 2, "-H", 2, *sgd)
    assert json.loads(cli("info", model, "--json").out)["valid_loss"].endswith(" at step 0 of 2")


def test_verify_replays_the_stored_window(cli: Cli, csv: Csv, trained: Train) -> None:
    done = cli("info", trained(csv()), "--verify", "--json")
    assert done.code == 0
    assert json.loads(done.out)["verified"] is True


def test_verify_says_no_when_the_parameters_are_others(cli: Cli, csv: Csv, trained: Train) -> None:
    model = trained(csv())
    spoil(model)
    assert cli("info", model).code == 0
    done = cli("info", model, "--verify")
    assert done.code == 1
    assert "another forecast" in done.err
    assert "train again" in done.err
