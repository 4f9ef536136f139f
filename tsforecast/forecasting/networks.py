"""The network that options describe, composed from the outside to the inside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tsforecast.config import make
from tsforecast.models.base import Dims, Network, make_network
from tsforecast.models.channels import Independent, single_channel
from tsforecast.models.cycle import Cycled
from tsforecast.models.ensemble import Ensemble
from tsforecast.models.levels import Levels
from tsforecast.models.local import Local
from tsforecast.models.normalize import USUAL, Normalized
from tsforecast.models.series import Embedded, with_vector
from tsforecast.models.shrunk import Shrunk
from tsforecast.options import FitOptions
from tsforecast.registry import MODELS


def build_network(options: FitOptions, model_options: Mapping[str, Any], dims: Dims, base: str = "") -> Network:
    """Return the network that options describe.

    From the inside out, each layer only where it is asked for: the model; a learned vector per series; one network for
    targets that stand alone; learned cycles; window normalisation (always); quantile levels in order (outside of the
    normalisation, whose learned gain may be negative); one network per series; an ensemble; a share of the way from a
    baseline.

    Args:
        options: What was asked for, resolved.
        model_options: Options of the model.
        dims: Sizes with all targets.
        base: The baseline that forecasts are drawn towards; empty for none.

    Raises:
        UsageError: Options that do not fit the sizes.
    """
    cls = MODELS.get(options.model)
    config = make(cls.Config, model_options, "model")
    whole = cls.mixes and (not options.channels or cls.trainer == "none")  # a baseline is never taken apart
    mixed = options.channels == "mixed" or whole
    alone = dims.targets > 1 and not mixed
    inner = single_channel(dims, options.embedding) if alone else dims
    if dims.series > 1 and options.embedding:
        network: Network = make_network(options.model, config, with_vector(inner, options.embedding))
        network = Embedded(network, inner, options.embedding)
    else:
        network = make_network(options.model, config, inner)
    if alone:
        network = Independent(network, dims, options.embedding)
    if dims.cycle:
        network = Cycled(network)
    network = Normalized(network, options.normalize or USUAL)
    if len(dims.levels) > 1:
        network = Levels(network)
    if options.local:
        network = Local(network)
    if options.ensemble > 1:
        network = Ensemble(network, options.ensemble)
    return Shrunk(network, base) if base else network
