"""Diagnosis of residuals: correlations as plain loops give them, and simulated records of which the answer is known."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chi2

from tsforecast.evaluating.diagnosis import diagnose

Floats = NDArray[np.float64]


def loop(e: Floats, u: Floats, lag: int, series: NDArray[np.int64]) -> float:
    """Correlate e(t) with u(t - lag), pair by pair; the estimate of as many rows as there would be without holes."""
    (e, u) = ((x - np.nanmean(x)) / np.nanstd(x) for x in (e, u))
    places = [t for t in range(len(e)) if 0 <= t - lag < len(e) and series[t] == series[t - lag]]
    products = [e[t] * u[t - lag] for t in places if math.isfinite(e[t] * u[t - lag])]
    return sum(products) / len(products) * len(places) / len(e)


def white(n: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(size=n)


def slow(n: int, seed: int, memory: float = 0.9) -> Floats:
    out, noise = np.zeros(n), white(n, seed)
    for t in range(1, n):
        out[t] = memory * out[t - 1] + noise[t]
    return out


def test_without_holes_the_textbook_formulas() -> None:
    e, n = white(200) + slow(200, 1), 200
    found = diagnose(e)
    centered = e - e.mean()
    r = [sum(centered[t] * centered[t - k] for t in range(k, n)) / sum(centered**2) for k in range(1, 26)]
    assert found.autocorrelation.lags.tolist() == list(range(1, 26))
    np.testing.assert_allclose(found.autocorrelation.values, r)
    np.testing.assert_allclose(found.autocorrelation.bounds, 1.959964 / math.sqrt(n), rtol=1e-6)
    q = n * (n + 2) * sum(r[k - 1] ** 2 / (n - k) for k in range(1, 26))
    assert found.ljung_box == pytest.approx(q)
    assert found.p_value == pytest.approx(chi2.sf(q, 25))
    assert found.autocorrelation.outside == sum(abs(x) > 1.959964 / math.sqrt(n) for x in r)


def test_pairs_with_a_hole_or_of_two_series_are_left_out() -> None:
    e, u, series = white(120), white(240, 1).reshape(120, 2), np.repeat([0, 1], [50, 70])
    e[[3, 4, 60]], u[[7, 90], 1] = np.nan, np.nan
    found = diagnose(e, u, ["a", "b"], lags=7, series=series)
    np.testing.assert_allclose(found.autocorrelation.values, [loop(e, e, k, series) for k in range(1, 8)])
    for i, name in enumerate("ab"):
        assert found.inputs[i].name == name
        assert found.inputs[i].lags.tolist() == list(range(-7, 8))
        np.testing.assert_allclose(found.inputs[i].values, [loop(e, u[:, i], k, series) for k in range(-7, 8)])
    assert found.n == 117


def test_the_band_of_slow_series_is_that_of_bartlett() -> None:
    e, u, n = slow(300, 0), slow(300, 1), 300
    series = np.zeros(n, np.int64)
    shared = sum(loop(e, e, k, series) * loop(u, u, k, series) for k in range(1 - n, n))
    (found,) = diagnose(e, u[:, None], ["u"]).inputs
    np.testing.assert_allclose(found.bounds, 1.959964 * math.sqrt(shared / n), rtol=1e-6)


@pytest.mark.parametrize("holes", [0.0, 0.3])
def test_white_residuals_are_seldom_called_coloured(holes: float) -> None:
    rng = np.random.default_rng(0)
    found = [diagnose(np.where(rng.random(400) < holes, np.nan, rng.normal(size=400))) for _ in range(200)]
    assert np.mean([not d.white for d in found]) < 0.09  # 4 % of more records
    assert 0.02 < np.mean([d.p_value < 0.05 for d in found]) < 0.11


def test_lags_that_a_stride_leaves_out_are_no_trials() -> None:
    """Of five lags with a value one may be outside in 95 % of all cases, although 25 were asked for."""
    found = [diagnose(np.where(np.arange(1000) % 5, np.nan, white(1000, seed))) for seed in range(200)]
    assert {d.autocorrelation.allowed for d in found} == {1}
    assert f"white: {found[0].autocorrelation.outside} of 5 lags outside" in found[0].sentence
    assert np.mean([d.autocorrelation.significant for d in found]) < 0.09


@pytest.mark.parametrize("memory", [0.0, 0.9])
def test_an_input_without_influence_is_seldom_blamed_however_slow(memory: float) -> None:
    blamed = [
        diagnose(slow(500, 2 * seed, memory), slow(500, 2 * seed + 1, memory)[:, None], ["u"]).inputs[0].significant
        for seed in range(100)
    ]
    assert np.mean(blamed) < 0.13


def test_coloured_residuals_are_told() -> None:
    found = diagnose(slow(500, 0))
    assert not found.white
    assert found.sentence.startswith("residuals are not white: ")
    assert found.sentence.endswith("of 25 lags outside the 95 % band (Ljung-Box p < 0.001).")
    noise = white(501)
    moving = diagnose(noise[1:] + 0.5 * noise[:-1])  # one correlation only
    assert (moving.white, moving.autocorrelation.peak) == (False, 1)
    assert moving.autocorrelation.outside <= moving.autocorrelation.allowed
    assert "lag 1 far (Ljung-Box p < 0.001)" in moving.sentence


def test_an_input_that_was_missed_is_told_with_its_lag_and_feedback_as_such() -> None:
    u, noise = white(600, 1), white(600)
    missed = noise + 0.4 * np.concatenate([np.zeros(3), u[:-3]])
    found = diagnose(missed, np.stack([white(600, 2), u], axis=1), ["flow", "voltage"])
    assert found.white
    assert [c.significant for c in found.inputs] == [False, True]
    assert "; input voltage still explains residuals at lag 3 (correlation 0.41; " in found.sentence
    assert "flow" not in found.sentence
    answer = u + 0.4 * np.concatenate([np.zeros(2), noise[:-2]])
    assert "; input u follows the residuals, at lag -2 (" in diagnose(noise, answer[:, None], ["u"]).sentence
    assert diagnose(noise, u[:, None], ["u"]).sentence.endswith("; no input is correlated with them.")


def test_what_cannot_be_diagnosed_is_said() -> None:
    assert diagnose(white(3)).sentence == "No diagnosis: 3 residuals are too few."
    assert diagnose(np.ones(50)).sentence == "No diagnosis: 50 residuals are all equal."
    lone = diagnose(white(50), series=np.arange(50))
    assert lone.sentence == "No diagnosis: 50 residuals are too few: one per series."
    far = diagnose(np.where(np.arange(300) % 50, np.nan, white(300)), lags=4)
    assert far.sentence == "No diagnosis: 6 residuals are too far apart."
    empty = diagnose(np.full(9, np.nan), np.ones((9, 1)), ["u"])
    assert (empty.n, empty.white, empty.sentence) == (0, False, "No diagnosis: 0 residuals are too few.")
    still = diagnose(white(100), np.ones((100, 1)), ["u"]).inputs[0]
    assert (np.isnan(still.values).all(), still.peak, still.significant) == (True, None, False)


def test_json_holds_everything_and_no_nan() -> None:
    u = np.stack([white(100, 1), np.ones(100)], axis=1)
    found = diagnose(white(100), u, ["u", "still"], lags=4)
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert (document["n"], document["white"], document["sentence"]) == (100, found.white, found.sentence)
    assert document["p_value"] == found.p_value
    assert document["autocorrelation"]["values"] == found.autocorrelation.values.tolist()
    assert [c["name"] for c in document["inputs"]] == ["u", "still"]
    assert document["inputs"][0]["peak"] == found.inputs[0].peak
    assert document["inputs"][1]["values"] == [None] * 9
    assert json.loads(json.dumps(diagnose(white(3)).to_json(), allow_nan=False))["p_value"] is None
