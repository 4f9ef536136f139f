"""The simple recurrent network."""

from __future__ import annotations

from typing import ClassVar, final

from tsforecast.models.recurrent import RecurrentNetwork


@final
class Rnn(RecurrentNetwork):
    """h_t = tanh(W x_t + U h_{t-1} + b); equations in ``ops.base.rnn_step``.

    Source: J. L. Elman, Finding structure in time, Cognitive Science 14 (1990), 179-211.
    """

    summary: ClassVar[str] = "Elman network: one tanh layer that remembers its last output"
    source: ClassVar[str] = "Elman (1990), Cognitive Science 14"
    cell: ClassVar[str] = "rnn"
