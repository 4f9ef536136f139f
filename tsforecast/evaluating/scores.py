"""The table of scores of an evaluation: overall, by series and by step of the horizon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsforecast.errors import UsageError
from tsforecast.evaluating.forecasts import Forecasts
from tsforecast.metrics.base import Floats, Metric, Pairs, central
from tsforecast.registry import METRICS

FORECAST, OPEN_LOOP = "forecast", "open_loop"
_BLOCK = 1 << 15  # pairs per block: the arrays of a block stay in the processor's cache


def metrics_for(made: Sequence[Forecasts], names: Sequence[str] = ()) -> list[str]:
    """Return the metrics to score forecasts with.

    Args:
        made: The forecasts, one per target.
        names: Registered names; by default all that have what they need: those of quantiles only where there are any.

    Raises:
        UsageError: A name is not registered, or asks for quantiles or an interval that the forecasts do not have.
    """
    levels = sorted({level for f in made for level in f.quantiles})
    have = {"": True, "quantiles": bool(levels), "interval": bool(central(levels))}
    if not names:
        return [name for name in METRICS if have[METRICS.get(name).needs]]
    for name in names:
        if not have[METRICS.get(name).needs]:
            raise _lacking(name, levels)
    return list(names)


def _lacking(name: str, levels: Sequence[float]) -> UsageError:
    if not levels:
        hint = "train with --quantiles 0.05,0.95; --intervals conformal makes them for any model"
        return UsageError(f"--metric {name}: there are no quantiles to score", hint=hint)
    given = ", ".join(f"{level:g}" for level in levels)
    hint = "train with two levels a and 1 - a, such as --quantiles 0.05,0.95"
    return UsageError(f"--metric {name}: no central interval lies between the levels {given}", hint=hint)


def score_table(f: Forecasts, metrics: Sequence[str]) -> list[dict[str, Any]]:
    """Score the forecast and every baseline, each over all pairs it has, in long records.

    Args:
        f: The forecasts.
        metrics: Registered names.

    Returns:
        One record per (rows, group, model) with the keys ``target``, ``rows`` (``all``, and ``daylight`` if given),
        ``series`` (None: all of them), ``step`` (1 to H; None: all of them), ``model`` (``forecast``, a baseline, or
        ``open_loop`` if given), ``n`` (pairs with both sides known), one key per metric (NaN where it has no value),
        and ``<metric>_excluded`` (pairs that the metric left out) for the metrics that leave pairs out. Records by
        series only where there are several.

    Raises:
        UsageError: A metric is not registered.
    """
    chosen: list[Metric] = [METRICS.get(name)() for name in metrics]
    ordered = f if bool(np.all(np.diff(f.series) >= 0)) else f.take(np.argsort(f.series, kind="stable"))
    records = _records(ordered, chosen, "all")
    return records if f.daylight is None else records + _records(ordered.by_day(), chosen, "daylight")


def _records(f: Forecasts, metrics: Sequence[Metric], rows: str) -> list[dict[str, Any]]:
    """Return the records of one selection of rows; the folds must be sorted by series."""
    several = len(f.series_names) > 1
    groups: list[tuple[str | None, int | None]] = [(None, None)]
    groups += [(name, None) for name in f.series_names if several]
    groups += [(None, step) for step in range(1, f.actual.shape[1] + 1)]
    keys = [{"target": f.target, "rows": rows, "series": series, "step": step} for series, step in groups]
    columns = {name: _scores(f, whole, metrics, several) for name, whole in _models(f).items()}
    return [
        {**key, "model": model, **{name: values[i].item() for name, values in scores.items()}}
        for i, key in enumerate(keys)
        for model, scores in columns.items()
    ]


def _models(f: Forecasts) -> dict[str, Pairs]:
    opened = {} if f.open_loop is None else {OPEN_LOOP: f.open_loop}
    return {FORECAST: f.pairs()} | {name: f.pairs(values) for name, values in {**opened, **f.baselines}.items()}


def _scores(f: Forecasts, whole: Pairs, metrics: Sequence[Metric], several: bool) -> dict[str, NDArray[Any]]:
    """Return the columns of one model, one entry per group: all, each series if there are several, each step."""
    sums, counts, known = _cells(f, whole, metrics)

    def grouped(cells: NDArray[Any]) -> NDArray[Any]:
        series = cells.sum(axis=1) if several else cells[:0, 0]
        return np.concatenate([cells.sum()[None], series, cells.sum(axis=0)])

    n = grouped(known)
    columns: dict[str, NDArray[Any]] = {"n": n}
    with np.errstate(all="ignore"):
        for metric, totals, count in zip(metrics, sums, counts, strict=True):
            used = grouped(count)
            columns[metric.name] = metric.finish(*(grouped(total) / used for total in totals))
            if metric.excludes:
                idle = metric.needs and not whole.quantiles  # a baseline has no quantiles that it could leave out
                columns[f"{metric.name}_excluded"] = np.full(len(n), np.nan) if idle else n - used
    return columns


def _cells(
    f: Forecasts, whole: Pairs, metrics: Sequence[Metric]
) -> tuple[list[list[Floats]], list[NDArray[np.int64]], NDArray[np.int64]]:
    """Add the terms of each metric up over the folds of each series: (S, H) sums, counts, and pairs known."""
    shape = (len(f.series_names), f.actual.shape[1])
    sums: list[list[Floats]] = [[] for _ in metrics]
    counts = [np.zeros(shape, np.int64) for _ in metrics]
    known = np.zeros(shape, np.int64)
    block = max(1, _BLOCK // max(1, shape[1]))
    for first in range(0, max(1, len(f.series)), block):
        rows = slice(first, first + block)
        starts = np.flatnonzero(np.diff(f.series[rows], prepend=-1))
        codes = f.series[rows][starts]
        part = _rows(whole, rows)
        with np.errstate(all="ignore"):
            known[codes] += _known((part.error,), starts)[1]
            for totals, count, metric in zip(sums, counts, metrics, strict=True):
                terms, used = _known(metric.terms(part), starts)
                count[codes] += used
                totals.extend(np.zeros(shape) for _ in terms[len(totals) :])
                for total, term in zip(totals, terms, strict=True):
                    total[codes] += np.add.reduceat(term, starts, axis=0)
    return sums, counts, known


def _rows(p: Pairs, rows: slice) -> Pairs:
    cut = {name: getattr(p, name)[rows] for name in ("actual", "forecast", "last", "scale_abs", "scale_sq")}
    return replace(p, **cut, quantiles={level: values[rows] for level, values in p.quantiles.items()})


def _known(terms: tuple[Floats, ...], starts: NDArray[np.intp]) -> tuple[tuple[Floats, ...], NDArray[np.int64]]:
    """Return the terms with zeros where any is NaN, and how many folds of each group remain, (groups, H or 1)."""
    unknown = np.isnan(sum(terms[1:], start=terms[0]))
    if not unknown.any():
        return terms, np.diff(starts, append=len(unknown))[:, None]
    used = np.add.reduceat(~unknown, starts, axis=0, dtype=np.int64)
    return tuple(np.where(unknown, 0.0, term) for term in terms), used
