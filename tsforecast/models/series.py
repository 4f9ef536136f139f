"""Who a series is, for a network that many of them train."""

from __future__ import annotations

from dataclasses import replace
from typing import final

import numpy as np

from tsforecast.models.base import Around, Dims, FloatArray, Inputs, Network, Params
from tsforecast.ops.base import Array, Ops


def with_vector(dims: Dims, embedding: int) -> Dims:
    """Return the sizes of the network inside :class:`Embedded`."""
    return replace(dims, static=dims.static + embedding)


@final
class Embedded(Around):
    """A network that is told which series a window is of: a learned vector per series joins the static covariates.

    A series that training has not seen is given the mean of the vectors.

    Source: C. Guo & F. Berkhahn, Entity embeddings of categorical variables (2016); for series: D. Salinas et al.,
    DeepAR, Int. J. Forecasting 36 (2020), section 3.

    Args:
        network: The network inside, made for :func:`with_vector`.
        dims: Sizes with S series.
        embedding: E, length of the vectors.
    """

    def __init__(self, network: Network, dims: Dims, embedding: int) -> None:
        super().__init__(network, dims)
        self.embedding = embedding

    def init(self, rng: np.random.Generator) -> dict[str, FloatArray]:
        vectors = rng.normal(size=(self.dims.series, self.embedding)).astype(np.float32)
        return dict(self.network.init(rng)) | {"series.embedding": vectors}

    def apply(self, ops: Ops, params: Params, inputs: Inputs) -> Array:
        vectors = params["series.embedding"]
        table = ops.concat([vectors, ops.mean(vectors, 0)], 0)
        places = inputs.series % (self.dims.series + 1)  # -1, a new series, is the row after the last: the mean
        who = ops.lookup(table, places[:, None])[:, 0]
        return self.network.apply(
            ops, params, inputs.replace(static_covariates=ops.concat([inputs.static_covariates, who], 1))
        )
