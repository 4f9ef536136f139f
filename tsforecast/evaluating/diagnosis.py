"""Diagnosis of residuals: is anything left in them that a better model of the system would explain?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MOST_LAGS = 25
CONFIDENCE = 0.95
_Z = 1.959963984540054  # normal quantile of a two-sided 95 %
_SURE = 0.99  # confidence that one lag alone, or all of them in sum, are more than luck
_FEW, _EQUAL = "too few residuals", "residuals or input do not vary"
_ALONE, _SCATTERED = "one residual per series: too few", "no two values lie within the lags"
_IN_WORDS = {_FEW: "too few", _EQUAL: "all equal", _ALONE: "too few: one per series", _SCATTERED: "too far apart"}


@dataclass(frozen=True)
class Correlation:
    """A sample correlation function beside what chance gives.

    Attributes:
        name: The input that the residuals are correlated with; empty for their own past.
        lags: (L,) steps by which the other series lies before the residuals; negative: after them.
        values: (L,) correlations, -1 to 1; NaN where no pair is known, or a series does not vary.
        bounds: (L,) half width of the 95 % band of series that have nothing to do with each other.
        outside: How many lags are outside their band.
        allowed: How many may be outside by chance, with 95 % confidence.
        peak: The lag that is outside by the largest factor; None where no correlation is known.
        significant: More lags are outside than allowed, or one is so far outside that chance would bring any of them
            there in 1 % of all cases.
        why: Why no correlation is known; empty where one is.
    """

    name: str
    lags: NDArray[np.int64]
    values: Floats
    bounds: Floats
    outside: int
    allowed: int
    peak: int | None
    significant: bool
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; numbers that are not known become None."""
        arrays = {"lags": self.lags.tolist(), "values": _known(self.values), "bounds": _known(self.bounds)}
        return {"name": self.name, **arrays, **{k: getattr(self, k) for k in _SUMMARY}}


_SUMMARY = ("outside", "allowed", "peak", "significant")


@dataclass(frozen=True)
class Diagnosis:
    """What is left in the residuals of one target.

    Attributes:
        n: Residuals known.
        autocorrelation: Of the residuals, lags 1 to K.
        ljung_box: Statistic of Ljung and Box over these lags; NaN where it is not known.
        p_value: Its probability if the residuals are white.
        inputs: One cross-correlation per input, lags -K to K; a lag k > 0 is an input k steps before the residual.
        white: The residuals do not tell what follows them: the autocorrelation is not significant, nor is ``p_value``
            below 1 %.
        sentence: All of this in plain words.
    """

    n: int
    autocorrelation: Correlation
    ljung_box: float
    p_value: float
    inputs: tuple[Correlation, ...]
    white: bool
    sentence: str

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; numbers that are not known become None."""
        return {
            "n": self.n,
            "white": self.white,
            "ljung_box": _known(np.array([self.ljung_box]))[0],
            "p_value": _known(np.array([self.p_value]))[0],
            "autocorrelation": self.autocorrelation.to_json(),
            "inputs": [correlation.to_json() for correlation in self.inputs],
            "sentence": self.sentence,
        }


def diagnose(
    residuals: Floats,
    inputs: Floats | None = None,
    names: Sequence[str] = (),
    *,
    lags: int | None = None,
    series: NDArray[np.int64] | None = None,
) -> Diagnosis:
    """Test whether residuals are white, and whether they are correlated with the inputs of the system.

    A model has taken out of the record what can be taken when its residuals one step ahead are white and no input tells
    them. Residuals of a simulation also hold the noise of the system, which need not be white: for them only the inputs
    count. Correlation with inputs after the residual says nothing about the model but that the record was taken in
    closed loop: the input answered to the output.

    The test of a correlation function counts lags outside the 95 % band: it passes with at most as many as independent
    trials of 5 % exceed in 5 % of all cases (a binomial quantile), if no single lag lies where chance brings the
    largest of them in 1 % of all cases. Correlations with a slow input go far, and outside together at neighbouring
    lags; so the band is that of the spectra of both, and the trials are as many as these make independent. Of simulated
    white residuals 4 % are called significant; of inputs without influence about 5 %, and up to 15 % where both are as
    slow as AR(1) of 0.98. With the band and trials of white series it would be 97 % where both are AR(1) of 0.9.

    Args:
        residuals: (n,) actual - forecast at consecutive steps; NaN where unknown.
        inputs: (n, M) inputs at the same steps; NaN where unknown.
        names: M names.
        lags: K; the smaller of 25 and a quarter of the known residuals by default.
        series: (n,) series code of each row, rows of one series together; all one series by default.

    Source:
        Ljung & Box 1978, On a measure of lack of fit in time series models, Biometrika 65, 297-303; Ljung 1999, System
        identification, 2nd ed., section 16.6 (residuals and past inputs, and the variance P of their covariance);
        Billings & Voon 1986, Correlation based model validity tests for non-linear models, Int. J. Control 44, 235-244
        (of their five tests the two that linear models share; the others need products of the series).
    """
    n = int(np.isfinite(residuals).sum())
    most = max(0, min(min(MOST_LAGS, n // 4) if lags is None else lags, len(residuals) - 1))
    code = np.zeros(len(residuals), np.int64) if series is None else series
    after = np.arange(1, most + 1)
    own = _moments(residuals, residuals, after, code)
    autocorrelation = _judged("", after, own, 1.0, most)
    lone = n == len(np.unique(code[np.isfinite(residuals)]))
    autocorrelation = replace(autocorrelation, why=_why(own, _ALONE if lone else _SCATTERED))
    ljung_box, p_value = _ljung_box(own)
    given = np.empty((len(residuals), 0)) if inputs is None else inputs
    crossed = tuple(_cross(residuals, u, most, code, name) for u, name in zip(given.T, names, strict=True))
    white = p_value >= 1 - _SURE and not autocorrelation.significant  # NaN, with too few residuals, is not white
    return Diagnosis(
        n=n,
        autocorrelation=autocorrelation,
        ljung_box=ljung_box,
        p_value=p_value,
        inputs=crossed,
        white=white,
        sentence=_sentence(n, white, autocorrelation, p_value, crossed),
    )


class _Moments(NamedTuple):
    """Of each of L lags: the (L,) correlation, how many pairs it is made of, and of how many rows without holes."""

    values: Floats
    pairs: Floats
    rows: Floats


def _moments(residuals: Floats, other: Floats, lags: NDArray[np.int64], code: NDArray[np.int64]) -> _Moments:
    """Correlate residuals with another series that lies ``lags`` steps before, pairs of one series only.

    Without holes this is the usual estimate, whose sum runs over the pairs and is divided by all rows.
    """
    n = len(residuals)
    (e, e_known), (u, u_known) = _standardized(residuals), _standardized(other)
    out = np.full((3, len(lags)), np.nan)
    for i, lag in enumerate(lags.tolist()):
        now, then = slice(max(lag, 0), n + min(lag, 0)), slice(max(-lag, 0), n - max(lag, 0))
        together = code[now] == code[then]
        pairs = np.count_nonzero(e_known[now] & u_known[then] & together)
        if pairs:
            share = np.count_nonzero(together) / n
            out[:, i] = (e[now] * u[then])[together].sum() / pairs * share, pairs, pairs / share
    return _Moments(*out)


def _standardized(values: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return (n,) values of mean 0 and variance 1, 0 where unknown, and which are known; NaN if they do not vary."""
    known = np.isfinite(values)
    if not known.any() or np.ptp(values[known]) == 0:
        return np.full(len(values), np.nan), known
    centered = np.where(known, values - values[known].mean(), 0.0)
    return centered / np.sqrt((centered @ centered) / np.count_nonzero(known)), known


def _cross(residuals: Floats, u: Floats, most: int, code: NDArray[np.int64], name: str) -> Correlation:
    lags = np.arange(-most, most + 1) if most else np.arange(0)
    found = _moments(residuals, u, lags, code)
    judged = _judged(name, lags, found, *_dependence(residuals, u, len(lags)))
    return replace(judged, why=_why(found, _SCATTERED))


def _why(found: _Moments, without_pairs: str) -> str:
    """Say why no correlation is known; nothing where one is."""
    if np.isfinite(found.values).any():
        return ""
    if np.isfinite(found.rows).any():
        return _EQUAL
    return without_pairs if len(found.rows) else _FEW


def _dependence(residuals: Floats, u: Floats, count: int) -> tuple[float, float]:
    """Return n times the variance of a cross-correlation of unrelated series, and how many lags are independent.

    The covariance of the correlations at two lags k and k + j is sum_i r_e(i) r_u(i + j) / n (Bartlett 1946; Ljung's P
    is j = 0). By the convolution theorem these sums are the inverse transform of the product of the two spectra.
    """
    e, u = _standardized(residuals)[0], _standardized(u)[0]
    if not count or np.isnan(e[0] + u[0]):
        return math.nan, 0.0
    size = 1 << (2 * len(e) + count).bit_length()
    spectra = [np.abs(np.fft.rfft(x, size)) ** 2 for x in (e, u)]
    sums = np.fft.irfft(spectra[0] * spectra[1], size)[:count]
    shared = (sums[1:] / sums[0]) ** 2 * (1 - np.arange(1, count) / count)
    return float(sums[0] / ((e @ e) * (u @ u))), count / float(1 + 2 * shared.sum())


def _judged(name: str, lags: NDArray[np.int64], found: _Moments, variance: float, trials: float) -> Correlation:
    """Compare correlations with the band of unrelated series.

    Args:
        name: Of the input.
        lags: (L,).
        found: The correlations.
        variance: Of one correlation, times its rows.
        trials: How many of the lags are independent.
    """
    from scipy.special import bdtr, ndtri

    deviation = np.sqrt(variance / found.rows)
    factor = np.abs(found.values) / deviation
    known = np.isfinite(factor)  # with a stride between the residuals only its multiples are
    outside = int(np.count_nonzero(factor[known] > _Z))
    n, allowed, farthest = max(1, round(min(trials, float(known.sum())))), 0, 0.0
    if known.any():
        quantile = next(k for k in range(n + 1) if bdtr(k, n, 1 - CONFIDENCE) >= CONFIDENCE)
        allowed = int(quantile * np.count_nonzero(known) / n)
        farthest = float(factor[known].max())
    highest = -ndtri((1 - _SURE ** (1 / n)) / 2)  # of n independent normal values, Sidak 1967
    return Correlation(
        name=name,
        lags=lags,
        values=found.values,
        bounds=_Z * deviation,
        outside=outside,
        allowed=allowed,
        peak=int(lags[np.nanargmax(factor)]) if known.any() else None,
        significant=bool(outside > allowed or farthest > highest),
    )


def _ljung_box(found: _Moments) -> tuple[float, float]:
    """Return the statistic and its p-value; without holes Q = n (n + 2) sum_k r_k^2 / (n - k)."""
    from scipy.special import chdtrc

    terms = found.rows * (found.rows + 2) / found.pairs * found.values**2
    terms = terms[np.isfinite(terms)]
    return (float(terms.sum()), float(chdtrc(len(terms), terms.sum()))) if len(terms) else (math.nan, math.nan)


def _sentence(n: int, white: bool, own: Correlation, p_value: float, inputs: tuple[Correlation, ...]) -> str:
    if own.peak is None:
        return f"No diagnosis: {n} residuals are {_IN_WORDS[own.why]}."
    chance = "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
    parts = [
        f"residuals are {'' if white else 'not '}white: {_count(own)} (Ljung-Box {chance})",
        *(_explained(correlation) for correlation in inputs if correlation.significant),
    ]
    if inputs and len(parts) == 1:
        parts.append("no input is correlated with them")
    return "; ".join(parts) + "."


def _count(found: Correlation) -> str:
    far = f", lag {found.peak} far" if found.significant and found.outside <= found.allowed else ""
    return f"{found.outside} of {np.isfinite(found.values).sum()} lags outside the 95 % band{far}"


def _explained(found: Correlation) -> str:
    """Say what a correlation with an input means: before the residual the model has missed it, after it is feedback."""
    assert found.peak is not None
    value = found.values[np.flatnonzero(found.lags == found.peak)[0]]
    where = f"lag {found.peak} (correlation {value:.2f}; {_count(found)})"
    if found.peak < 0:
        return f"input {found.name} follows the residuals, at {where}: the record was taken with feedback"
    return f"input {found.name} still explains residuals at {where}"


def _known(values: Floats) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values.tolist()]
