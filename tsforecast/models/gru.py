"""The gated recurrent unit."""

from __future__ import annotations

from typing import ClassVar, final

from tsforecast.models.recurrent import RecurrentNetwork


@final
class Gru(RecurrentNetwork):
    """Two gates, no separate cell; equations in ``ops.base.gru_step``.

    Source: K. Cho et al., Learning phrase representations using RNN encoder-decoder, EMNLP 2014, section 2.3.
    """

    summary: ClassVar[str] = "Gated recurrent unit over segments of the window; the default"
    source: ClassVar[str] = "Cho et al. (2014), EMNLP; segments: Lin et al. (2023), SegRNN"
    cell: ClassVar[str] = "gru"
