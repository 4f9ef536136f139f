"""What the tests share: small windows, series, objectives and forecasts, made by hand."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the networks are tiny, and the workers of xdist share the cores

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

from tsforecast.config import make
from tsforecast.data.clock import Clock
from tsforecast.data.frame import Frame
from tsforecast.data.freq import HOUR, Freq
from tsforecast.data.window import Tables
from tsforecast.models.base import Dims, Inputs, make_network
from tsforecast.models.normalize import Normalized, roll_out
from tsforecast.registry import MODELS
from tsforecast.trainers.objective import Objective

SHARED = Path(__file__).resolve().parents[1] / ".." / "shared" / "data"

settings.register_profile("tests", deadline=None, database=None, derandomize=True, max_examples=60)
settings.load_profile("tests")


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """Find a file or folder of the real data; skip where it is absent."""

    def find(name: str) -> Path:
        path = SHARED / name
        if not path.exists():
            pytest.skip(f"real data not present: {name}")
        return path

    return find


@pytest.fixture(scope="session")
def random_inputs() -> Callable[..., Inputs]:
    """Make a batch of random windows; ``taught`` adds the true future and a teacher that shows all of it."""

    def build(dims: Dims, *, batch: int = 3, horizon: int | None = None, taught: bool = False, seed: int = 0) -> Inputs:
        rng = np.random.default_rng(seed)
        steps = dims.horizon if horizon is None else horizon
        known = steps if taught else 0

        def draw(*shape: int) -> np.ndarray:
            return rng.normal(size=shape).astype(np.float32)

        return Inputs(
            past_target=draw(batch, dims.lags, dims.targets),
            past_covariates=draw(batch, dims.lags, dims.past + dims.future),
            future_covariates=draw(batch, steps, dims.future),
            static_covariates=draw(batch, dims.static),
            series=np.zeros(batch, dtype=np.int64),
            phase=rng.integers(dims.season_length, size=batch).astype(np.int32),
            future_target=draw(batch, known, dims.targets),
            teacher=np.ones((batch, known, 1), dtype=np.float32),
        )

    return build


@pytest.fixture(scope="session")
def to_torch() -> Callable[[Inputs], Inputs]:
    """Convert windows to torch."""
    import torch

    def convert(inputs: Inputs) -> Inputs:
        return Inputs(**{name: torch.tensor(value) for name, value in vars(inputs).items()})

    return convert


@pytest.fixture(scope="session")
def network() -> Callable[..., Normalized]:
    """Make a network by name inside its window normalisation."""

    def build(name: str, dims: Dims, options: dict[str, Any] | None = None, mode: str = "none") -> Normalized:
        return Normalized(make_network(name, make(MODELS.get(name).Config, options or {}, "model"), dims), mode)

    return build


@pytest.fixture(scope="session")
def random_params() -> Callable[..., dict[str, np.ndarray]]:
    """Draw initial parameters and shake them, so that no bias is zero."""

    def draw(net: Normalized, seed: int = 1) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(seed)
        drawn = net.init(rng)
        return {k: (v + 0.1 * rng.normal(size=v.shape)).astype(np.float32) for k, v in drawn.items()}

    return draw


@pytest.fixture(scope="session")
def make_frame() -> Callable[..., Frame]:
    """Make hourly series of given lengths; ``gaps`` are rows that follow an hour that is missing."""

    def build(lengths: list[int], *, values: Any = None, gaps: tuple[int, ...] = (), static: Any = None) -> Frame:
        bounds = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
        total = int(bounds[-1])
        inside = np.concatenate([np.arange(n) for n in lengths]) if lengths else np.zeros(0)
        breaks = np.zeros(total, dtype=bool)
        breaks[[row for row in (*gaps, *bounds[:-1]) if row < total]] = True
        skipped = np.zeros(total, dtype=np.int64)
        for row in gaps:
            last = bounds[np.searchsorted(bounds, row, side="right")]
            skipped[row:last] += 1
        table = np.arange(total)[:, None] if values is None else values
        return Frame(
            values=np.ascontiguousarray(table, dtype=np.float32),
            columns=tuple(f"c{k}" for k in range(np.shape(table)[1])),
            time=(inside.astype(np.int64) + skipped) * HOUR,
            freq=Freq.parse("h"),
            series=tuple(f"s{k}" for k in range(len(lengths))),
            bounds=bounds,
            breaks=breaks,
            static=np.zeros((len(lengths), 0), np.float32) if static is None else np.asarray(static, np.float32),
            static_columns=(),
            clock=Clock(),
            filled=np.zeros((total, 1), dtype=bool),  # stands for any number of targets
            peeks=np.zeros(total, dtype=bool),
            rows=np.arange(total),
        )

    return build


def waves(rows: int, dims: Dims) -> Tables:
    """Return one series of sines of the season, with covariates that repeat them a little shifted."""
    t = np.arange(rows)[:, None]
    shift = np.arange(dims.targets + dims.past + dims.future)
    columns = np.sin(2 * np.pi * (t / max(dims.season_length, 2) + shift / 7)).astype(np.float32)
    return Tables(
        target=np.ascontiguousarray(columns[:, : dims.targets]),
        covariates=np.ascontiguousarray(columns[:, dims.targets :]),
        static=np.ones((1, dims.static), dtype=np.float32),
        series=np.zeros(rows, dtype=np.int32),
        phase=(np.arange(rows) % dims.season_length).astype(np.int32),
        known=np.zeros(1, dtype=np.int64),
        past=dims.past,
    )


@pytest.fixture(scope="session")
def make_objective() -> Callable[..., Objective]:
    """Make the objective of a network over sines: the first three quarters of the rows train, the rest validates."""

    def build(net: Normalized, *, rows: int = 120, loss: str = "mse", tables: Tables | None = None) -> Objective:
        dims, border = net.dims, 3 * rows // 4

        def forecast(ops: Any, params: Any, batch: Any, horizon: int) -> Any:
            return roll_out(ops, net, dict(params), Inputs(**batch), horizon)

        def design(ops: Any, batch: Any) -> Any:
            inside = net.inside(ops, Inputs(**batch))
            return net.network.design(ops, inside), inside.future_target.reshape((len(inside.future_target), -1))

        return Objective(
            tables=waves(rows, dims) if tables is None else tables,
            train=np.arange(border - dims.lags - net.block + 1),
            valid=np.arange(border - dims.lags, rows - dims.lags - dims.horizon + 1),
            lags=dims.lags,
            block=net.block,
            horizon=dims.horizon,
            loss=loss,
            forecast=forecast,
            linear=design if net.network.design else None,
            teachable=net.teachable,
        )

    return build
