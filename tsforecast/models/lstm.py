"""Long short-term memory, with optional peepholes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from tsforecast.config import option
from tsforecast.models.recurrent import RecurrentConfig, RecurrentNetwork


@dataclass(frozen=True)
class LstmConfig(RecurrentConfig):
    """Options of the lstm."""

    peepholes: bool = option(False, "Let the gates see the cell (slower: no fused kernel has them).")


@final
class Lstm(RecurrentNetwork):
    """Input, forget and output gate around a cell; equations in ``ops.base.lstm_step``.

    Source: S. Hochreiter & J. Schmidhuber, Neural Computation 9 (1997), 1735-1780; F. Gers, J. Schmidhuber &
    F. Cummins (2000) for the forget gate; F. Gers, N. Schraudolph & J. Schmidhuber, JMLR 3 (2002) for peepholes.
    """

    Config: ClassVar[type] = LstmConfig
    summary: ClassVar[str] = "Long short-term memory over segments of the window, peepholes as an option"
    source: ClassVar[str] = "Hochreiter & Schmidhuber (1997); peepholes: Gers et al. (2002), JMLR 3"
    cell: ClassVar[str] = "lstm"
