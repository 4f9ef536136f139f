"""``tsforecast info``: what is in a model file, and whether it still forecasts what it did."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tsforecast.cli.options import DEBUG, with_options
from tsforecast.errors import AnswerNo

if TYPE_CHECKING:
    from tsforecast.artifact import Artifact
    from tsforecast.forecasting.forecaster import Forecaster

PROGRESS = ("step", "train_loss", "valid_loss", "is_best", "seconds")  # in every record; the rest is the trainer's own


@with_options()
def info(
    model: Path = typer.Argument(..., help="Model file written by `tsforecast train`."),
    verify: bool = typer.Option(
        False, "--verify", help="Replay the stored window; exit with 1 if the forecast differs."
    ),
    json: bool = typer.Option(False, "--json", help="Print everything as JSON."),
    debug: bool = DEBUG,  # noqa: ARG001 - read by app
) -> None:
    """Show what is in a model file.

    tsforecast info plant.safetensors --verify
    """
    from tsforecast import artifact
    from tsforecast.cli.output import write_json, write_text

    loaded = artifact.load(model)
    facts = _facts(loaded)
    if verify:
        deviation = loaded.fingerprint.deviation(loaded.forecaster)
        facts["verified"] = deviation <= artifact.TOLERANCE
        facts["deviation"] = deviation
    if json:
        write_json({"schema": 1, **facts, "document": loaded.document})
    else:
        width = max(map(len, facts))
        write_text("".join(f"{name.ljust(width)}  {value}\n" for name, value in facts.items()))
    if verify and not facts["verified"]:
        raise AnswerNo(
            f"{model}: the stored window now gives another forecast (off by {facts['deviation']:.2g} scaled units)",
            hint="the file or this installation has changed; train again",
        )


def _quantiles(forecaster: Forecaster) -> str:
    levels = ", ".join(f"{level:g}" for level in forecaster.options.quantiles)
    whence = ["of the network"] if forecaster.shape.levels else []
    whence += ["conformal"] if forecaster.margins else []
    return levels and f"{levels} ({', '.join(whence)})"


def _shrunk(forecaster: Forecaster) -> str:
    base = forecaster.shape.base
    return base and f"to {forecaster.params['shrink.weight'][0]:.0%} of its difference from {base}"


def _facts(loaded: Artifact) -> dict[str, Any]:
    forecaster = loaded.forecaster
    schema, memory, shape = forecaster.schema, forecaster.memory, forecaster.shape
    best = min(forecaster.history, key=lambda record: record["valid_loss"], default=None)
    clock = forecaster.clock
    seen = int(memory.last_seen.max())
    facts = {
        "model": forecaster.options.model,
        "trainer": forecaster.options.trainer,
        "parameters": sum(int(v.size) for v in forecaster.params.values()),
        "target": ", ".join(schema.target),
        "past": ", ".join(schema.past_columns),
        "future": ", ".join(schema.future_columns),
        "static": ", ".join(schema.static),
        "range": ", ".join(
            f"{name} {low:.5g} to {high:.5g}" for name, (low, high) in zip(schema.target, memory.ranges, strict=False)
        ),
        "time": ", ".join(clock.columns) or "none (steps)",
        "freq": clock.sampling or forecaster.freq.alias,
        "horizon": shape.horizon,
        "lags": shape.lags if len(shape.lag_set) == shape.lags else f"{len(shape.lag_set)} of the last {shape.lags}",
        "season_length": shape.season_length,
        "normalize": forecaster.options.normalize,
        "quantiles": _quantiles(forecaster),
        "shrunk": _shrunk(forecaster),
        "series": len(memory.series),
        "rows": memory.rows,
        "last_seen": " ".join(
            str(cell[0]) for cell in clock.write(memory.last_seen[memory.last_seen == seen][:1]).values()
        ),
        "valid_loss": f"{best['valid_loss']:.5f} at step {best['step']:.0f} of {forecaster.history[-1]['step']:.0f}"
        + (", before shrinking" if shape.base else "")
        if best
        else "",
        "at_best": ", ".join(f"{k} {v:.4g}" for k, v in (best or {}).items() if k not in PROGRESS),
        "seed": forecaster.options.seed,
        "created": loaded.document["created"],
        "versions": ", ".join(f"{k} {v}" for k, v in loaded.document["versions"].items() if v),
    }
    return {name: value for name, value in facts.items() if value != ""}
