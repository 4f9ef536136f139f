"""Every registered plot draws what it is given, and says so when there is nothing to draw."""

import os
from dataclasses import replace
from statistics import NormalDist

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from tsforecast.errors import UsageError
from tsforecast.evaluating.diagnosis import diagnose
from tsforecast.evaluating.forecasts import Forecasts, Record
from tsforecast.plots import style
from tsforecast.plots.save import save
from tsforecast.registry import PLOTS

HOUR = 3_600_000_000
START = 1_700_000_000_000_000
HISTORY = [
    {"step": 1, "train_loss": 1.0, "valid_loss": float("inf"), "is_best": True},
    {"step": 2, "train_loss": 0.5, "valid_loss": 0.7, "is_best": True},
    {"step": 3, "train_loss": 0.01, "valid_loss": 0.8, "is_best": False},
]


def make(folds=120, horizon=6, names=("",), clock=True, stride=1, daylight=False):
    rng = np.random.default_rng(0)
    cutoff = np.tile(np.arange(folds) * stride, len(names))
    time = cutoff[:, None] + np.arange(1, horizon + 1)
    actual = 5 + 4 * np.sin(time / 24 * 2 * np.pi) + rng.normal(0, 0.5, time.shape)
    actual[rng.random(time.shape) < 0.05] = np.nan
    last = 5 + 4 * np.sin(cutoff / 24 * 2 * np.pi)
    unit, start = (HOUR, START) if clock else (1, 0)
    every = np.arange(-48, folds * stride + horizon)
    known = np.tile(5 + 4 * np.sin(every / 24 * 2 * np.pi), len(names))
    bounds = np.arange(len(names) + 1) * len(every)
    return Forecasts(
        target="power",
        unit_time="h" if clock else "step",
        series=np.repeat(np.arange(len(names)), folds),
        series_names=names,
        cutoff=start + cutoff * unit,
        time=start + time * unit,
        is_clock=clock,
        actual=actual,
        forecast=5 + 4 * np.sin(time / 24 * 2 * np.pi),
        last=last,
        baselines={
            "naive": np.repeat(last[:, None], horizon, axis=1),
            "drift": np.full(time.shape, np.nan),
            "clear_sky": np.full(time.shape, 5.0),
        },
        season_length=24,
        scale=np.full((len(names), 2), np.nan),
        daylight=rng.random(time.shape) < 0.5 if daylight else None,
        record=Record(start + np.tile(every, len(names)) * unit, known, bounds),
    )


def with_quantiles(f, levels=(0.05, 0.25, 0.5, 0.75, 0.95), spread=0.5):
    normal = NormalDist(0, spread)
    return replace(f, quantiles={level: f.forecast + normal.inv_cdf(level) for level in levels})


POINTS = {
    "clock, daylight, many pairs": make(folds=1500, daylight=True),
    "steps, series, gaps between folds": make(names=("a", "b", "c"), folds=20, stride=24, clock=False),
    "rows every half second": replace(make(clock=False), unit_time="0.5s"),
    "one step ahead": make(horizon=1),
    "one fold": make(folds=1),
    "nothing known": replace(make(), actual=np.full((120, 6), np.nan)),
    "no folds": make().take(np.array([], dtype=np.int64)),
    "constant and alone": replace(make(), actual=np.ones((120, 6)), forecast=np.ones((120, 6)), baselines={}),
}
CASES = POINTS | {
    **{f"quantiles, {name}": with_quantiles(f) for name, f in POINTS.items()},
    "quantiles without a central interval": with_quantiles(make(), (0.5, 0.9)),
    "quantiles far ahead": with_quantiles(make(horizon=100)),
}


@pytest.mark.parametrize("case", list(CASES))
@pytest.mark.parametrize("name", list(PLOTS))
def test_draws(name, case):
    figure = PLOTS.get(name)(CASES[case], HISTORY)
    assert isinstance(figure, Figure)
    assert "power" in figure.get_suptitle()
    figure.draw_without_rendering()  # lays everything out; a warning fails the test


def test_training_without_history_says_so():
    (ax,) = PLOTS.get("training")(make(), []).axes
    assert [text.get_text() for text in ax.texts] == ["nothing was trained step by step"]


def test_one_step_of_training_is_no_curve():
    (ax,) = PLOTS.get("training")(make(), HISTORY[1:2]).axes
    assert [text.get_text() for text in ax.texts] == ["trained in one step: train loss 0.5, valid loss 0.7"]
    assert not ax.lines


def test_training_marks_the_step_that_was_kept():
    (ax,) = PLOTS.get("training")(make(), HISTORY).axes
    assert "kept: step 2" in [line.get_label() for line in ax.lines]


def test_horizon_draws_the_error_of_every_step():
    f = make()
    (ax,) = PLOTS.get("horizon")(f).axes
    (line,) = [line for line in ax.lines if line.get_label() == "forecast"]
    assert np.allclose(line.get_ydata(), np.nanmean(np.abs(f.forecast - f.actual), axis=0))


def test_the_errors_of_unlike_series_are_drawn_in_their_own_units():
    size = np.array([1.0, 1e4])
    f = make(names=("a", "b"))
    scale = np.stack([size, size**2], axis=1)
    each = size[f.series][:, None]
    unlike = replace(f, actual=f.actual * each, forecast=f.forecast * each, last=f.last * each[:, 0], scale=scale)
    unlike = replace(unlike, baselines={name: v * each for name, v in f.baselines.items()}, unlike=True)
    for name, where in (("horizon", "ylabel"), ("residuals", "xlabel"), ("scatter", "xlabel")):
        ax, plain = (PLOTS.get(name)(made).axes[0] for made in (unlike, f))
        label = getattr(ax, f"get_{where}")()
        assert label == getattr(plain, f"get_{where}")() + " in each series' own unit"
        np.testing.assert_allclose(ax.dataLim.get_points(), plain.dataLim.get_points())


def test_horizon_draws_both_loops():
    f = make()
    (ax,) = PLOTS.get("horizon")(replace(f, open_loop=f.actual + 0.25)).axes
    (line,) = [line for line in ax.lines if line.get_label() == "open_loop"]
    assert np.allclose(line.get_ydata(), 0.25)


def test_a_fold_alone_is_drawn_over_its_residuals():
    f = make(folds=1)
    above, below = PLOTS.get("forecasts")(f).axes
    assert above.get_title() != "" and "residuals" in below.get_title()
    assert np.allclose(below.lines[0].get_ydata(), (f.actual - f.forecast)[0], equal_nan=True)
    assert all("residuals" not in ax.get_title() for ax in PLOTS.get("forecasts")(make(folds=2)).axes)


def test_each_page_of_the_errors_tells_its_own():
    f = replace(make(), diagnosis=diagnose(np.random.default_rng(0).normal(size=100)))
    assert [ax.get_title() for ax in PLOTS.get("residuals")(f).axes] == ["all steps"]
    assert [ax.get_title().split(":")[0] for ax in PLOTS.get("correlations")(f).axes] == ["autocorrelation"]


@pytest.mark.parametrize("name", ["forecasts", "fan"])
@pytest.mark.parametrize("folds", [1, 120])
def test_what_is_known_before_the_cutoff_is_drawn_also_where_no_fold_forecasts_it(name, folds):
    f = with_quantiles(make(folds=folds, names=("a", "b")))
    for ax, series in zip(PLOTS.get(name)(f).axes, (0, 1) if folds == 1 else (0, 0, 1, 1), strict=False):
        line = next(line for line in ax.lines if line.get_label() == "actual")
        cutoff = next(line for line in ax.lines if line.get_label() == "cutoff").get_xdata()[0]
        time = np.asarray(line.get_xdata()).astype("datetime64[us]").astype(np.int64)
        before = time < np.datetime64(cutoff, "us").astype(np.int64)
        assert before.sum() == 2 * f.season_length
        assert np.all(np.diff(time) == HOUR)
        assert np.allclose(line.get_ydata()[before], 5 + 4 * np.sin((time[before] - START) / HOUR / 24 * 2 * np.pi))
        assert ax.get_title().startswith("ab"[series])


def test_the_best_baseline_is_drawn():
    lines = PLOTS.get("forecasts")(make()).axes[0].lines
    assert [line.get_label() for line in lines if "baseline" in line.get_label()] == ["best baseline (naive)"]


@pytest.mark.parametrize(
    ("alias", "moment", "text"),
    [
        ("MS", "2009-03-01T00:00", "2009-03"),
        ("QE", "2009-03-31T00:00", "2009-03"),
        ("D", "2009-03-01T00:00", "2009-03-01"),
        ("W", "2009-03-01T00:00", "2009-03-01"),
        ("trading", "2009-03-02T00:00", "2009-03-02"),
        ("D", "2009-03-01T06:00", "2009-03-01 06:00"),
        ("h", "2009-03-01T00:00", "2009-03-01 00:00"),
        ("15min", "2009-03-01T00:45", "2009-03-01 00:45"),
    ],
)
def test_a_time_is_written_to_what_the_freq_tells(alias, moment, text):
    time = int(np.datetime64(moment, "us").astype(np.int64))
    assert style.time_text(time, replace(make(), unit_time=alias)) == text


def test_rows_of_a_known_sampling_are_drawn_in_seconds():
    ax = PLOTS.get("forecasts")(CASES["rows every half second"]).axes[0]
    actual = next(line for line in ax.lines if line.get_label() == "actual")
    assert np.allclose(np.diff(actual.get_xdata()), 0.5)
    assert ax.get_xlabel() == "time in seconds"
    assert ax.get_title() == "7.5 s"  # the first of four among 120 cutoffs is at row 15
    assert PLOTS.get("horizon")(CASES["rows every half second"]).axes[0].get_xlabel().endswith("(freq 0.5s)")
    assert PLOTS.get("horizon")(make(clock=False)).axes[0].get_xlabel() == "step of the horizon"


def test_fan_shades_every_interval_and_marks_what_lies_outside_the_widest():
    f = with_quantiles(make(folds=1))
    (ax,) = PLOTS.get("fan")(f).axes
    assert [band.get_label() for band in ax.collections] == ["90 %", "50 %"]
    edges = ax.collections[0].get_paths()[0].get_extents()
    assert np.allclose([edges.ymin, edges.ymax], [min(f.quantiles[0.05].min(), f.last[0]), f.quantiles[0.95].max()])
    (forecast,) = [line for line in ax.lines if line.get_label() == "forecast"]
    assert np.allclose(forecast.get_ydata(), [f.last[0], *f.forecast[0]])
    missed = (f.actual < f.quantiles[0.05]) | (f.actual > f.quantiles[0.95])
    marked = [line.get_ydata() for line in ax.lines if line.get_label() == "outside"]
    assert np.array_equal(np.concatenate([[], *marked]), f.actual[missed])


def test_fan_marks_no_misses_at_night():
    f = with_quantiles(make(folds=1))
    dark = replace(f, actual=f.forecast + 100, daylight=np.arange(6)[None] >= 4)  # all are misses, two of them by day
    (marked,) = (line.get_ydata() for line in PLOTS.get("fan")(dark).axes[0].lines if line.get_label() == "outside")
    assert np.array_equal(marked, dark.actual[0, 4:])
    night = replace(dark, daylight=np.zeros((1, 6), bool))
    assert "outside" not in [line.get_label() for line in PLOTS.get("fan")(night).axes[0].lines]


def test_fan_draws_a_level_without_counterpart_as_a_line():
    axes = PLOTS.get("fan")(with_quantiles(make(), (0.5, 0.9))).axes
    assert all(not ax.collections for ax in axes)
    assert all("quantile 0.9" in [line.get_label() for line in ax.lines] for ax in axes)


def test_calibration_draws_what_was_found_over_what_chance_allows():
    f = with_quantiles(make(folds=600))
    levels, steps = PLOTS.get("calibration")(f).axes
    (found,) = [line for line in levels.lines if line.get_label() == "found"]
    known = np.isfinite(f.actual)
    below = [(f.actual <= values)[known].mean() for values in f.quantiles.values()]
    assert np.allclose(found.get_xydata(), list(zip(f.quantiles, below, strict=True)))
    inside = (f.quantiles[0.05] <= f.actual) & (f.actual <= f.quantiles[0.95])
    assert np.allclose(steps.lines[-1].get_ydata(), inside.sum(axis=0) / known.sum(axis=0))
    assert steps.get_title() == "90 % interval by step"
    assert len(levels.collections) == len(steps.collections) == 1


@pytest.mark.parametrize("name", ["fan", "calibration"])
def test_without_quantiles_there_is_nothing_to_draw(name):
    (ax,) = PLOTS.get(name)(make()).axes
    assert [text.get_text() for text in ax.texts] == ["there are no quantile forecasts"]


def test_drawing_leaves_pyplot_and_its_settings_alone():
    before = dict(matplotlib.rcParams)
    for name in PLOTS:
        PLOTS.get(name)(make(folds=30), HISTORY)
    assert dict(matplotlib.rcParams) == before


# ------------------------------------------------------------------------------------------------------------ saving


@pytest.mark.parametrize(("suffix", "magic"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".PDF", b"%PDF")])
def test_format_by_suffix_and_same_bytes_every_time(suffix, magic, tmp_path):
    files = [tmp_path / f"{i}{suffix}" for i in range(2)]
    for file in files:
        save(PLOTS.get("training")(make(), HISTORY), str(file))
    assert files[0].read_bytes().startswith(magic)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_another_suffix_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"name it plot\.png, \.svg or \.pdf"):
        save(Figure(), tmp_path / "plot.bmp")


def test_a_missing_folder_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="No such file"):
        save(Figure(), tmp_path / "missing" / "plot.png")


def test_a_failure_leaves_the_old_file_and_no_rest(tmp_path, monkeypatch):
    file = tmp_path / "plot.png"
    file.write_bytes(b"old")
    full = OSError(28, "No space left on device")
    monkeypatch.setattr(
        os, "fsync", lambda _: (_ for _ in ()).throw(full)
    )  # on disk before it takes the old one's place
    with pytest.raises(UsageError, match="No space left"):
        save(Figure(), file)
    assert [(f.name, f.read_bytes()) for f in tmp_path.iterdir()] == [("plot.png", b"old")]
