"""From a table to a frame: parts, order, duplicates, grid, holes, encodings."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsforecast.data.build import Schema, build, calendar_values
from tsforecast.data.clock import Clock
from tsforecast.data.frame import Frame
from tsforecast.data.freq import Freq
from tsforecast.data.read import read
from tsforecast.errors import DataError, UsageError
from tsforecast.options import ReadOptions

NAN = np.nan


def make(text: str, schema: Schema | None = None, **options: Any) -> tuple[Frame, Schema, list[str]]:
    chosen = ReadOptions(**options)
    return build(read(["-"], chosen, stdin=io.BytesIO(text.encode())), schema or Schema(("y",)), chosen)


def hourly(values: list[object], hours: list[int] | None = None) -> str:
    start = np.datetime64("2020-01-01T00:00")
    stamps = [str(start + np.timedelta64(hour, "h")) for hour in hours or range(len(values))]
    return "t,y\n" + "".join(f"{t.replace('T', ' ')},{v}\n" for t, v in zip(stamps, values, strict=True))


def test_a_frame_keeps_its_promises() -> None:
    frame, schema, notes = make(hourly([1, "", 3, 4.5]))
    assert frame.values.dtype == np.float32 and frame.values.flags.c_contiguous
    np.testing.assert_array_equal(frame.values, np.float32([[1], [NAN], [3], [4.5]]))
    assert frame.columns == ("y",)
    assert frame.freq.alias == schema.freq == "h"
    assert frame.series == ("",)
    assert frame.bounds.tolist() == [0, 4]
    assert frame.breaks.tolist() == [True, False, False, False]
    assert frame.static.shape == (1, 0)
    assert frame.clock.write(frame.time[-1:]) == {"t": ["2020-01-01 03:00"]}
    assert notes == []


def test_gaps_make_breaks_and_order_is_mended() -> None:
    frame, _, notes = make(hourly([5, 1, 2, 3, 4], hours=[5, 0, 1, 2, 3]))
    assert frame.values[:, 0].tolist() == [1, 2, 3, 4, 5]
    assert frame.breaks.tolist() == [True, False, False, False, True]
    assert frame.rows.tolist() == [1, 2, 3, 4, 0]
    assert "not in the order of time" in notes[0]


def test_series_are_sorted_and_never_mixed() -> None:
    text = "id,t,y,size\n" + "".join(f"{s},2020-01-0{d},{d},{ord(s)}\n" for d in (1, 2, 3) for s in "ba")
    frame, _, notes = make(text, Schema(("y",), series_id="id", static=("size",)))
    assert frame.series == ("a", "b")
    assert frame.bounds.tolist() == [0, 3, 6]
    assert frame.values[:, 0].tolist() == [1, 2, 3, 1, 2, 3]
    assert frame.breaks.tolist() == [True, False, False, True, False, False]
    assert frame.static.tolist() == [[97], [98]]
    assert notes == []
    with pytest.raises(DataError, match=r"<stdin>:2 and <stdin>:3: two rows for 2020-01-01.*--series-id"):
        make(text)


@pytest.mark.parametrize("value", ["1", "old"])
def test_a_static_covariate_is_known_of_every_series(value: str) -> None:
    rows = ["a,2020-01-01,1,", f"a,2020-01-02,1,{value}", "b,2020-01-01,1,", "b,2020-01-02,1,"]
    schema = Schema(("y",), series_id="id", static=("k",))
    with pytest.raises(DataError, match=r"<stdin>:4: static covariate 'k' has no value in its series; fill it in"):
        make("\n".join(["id,t,y,k", *rows, ""]), schema)
    rows[3] += value
    frame, _, _ = make("\n".join(["id,t,y,k", *rows, ""]), schema)
    assert frame.static.tolist() == [[1], [1]]


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(12)))
def test_the_order_of_rows_does_not_matter(order: list[int]) -> None:
    rows = [f"{s},2020-01-0{d},{ord(s) + d}\n" for s in "ab" for d in range(1, 7)]
    schema = Schema(("y",), series_id="id")
    expected, _, _ = make("id,t,y\n" + "".join(rows), schema)
    frame, _, _ = make("id,t,y\n" + "".join(rows[i] for i in order), schema)
    np.testing.assert_array_equal(frame.values, expected.values)
    np.testing.assert_array_equal(frame.time, expected.time)
    assert frame.rows.tolist() == [order.index(i) for i in range(12)]


@pytest.mark.parametrize(("how", "value"), [("first", 2), ("last", 6), ("mean", 4)])
def test_duplicates(how: str, value: float) -> None:
    text = hourly([1, 2, "", 6, 3], hours=[0, 1, 1, 1, 2])
    if how == "last":
        text = hourly([1, 2, 6, 3], hours=[0, 1, 1, 2])
    frame, _, notes = make(text, duplicates=how)
    assert frame.values[:, 0].tolist() == [1, value, 3]
    assert f"--duplicates {how}" in notes[0]


def test_duplicates_name_both_lines() -> None:
    with pytest.raises(DataError, match=r"<stdin>:3 and <stdin>:4: two rows for 2020-01-01 01:00 \(and 1 more\)"):
        make(hourly([1, 2, 3, 4], hours=[0, 1, 1, 1]))


def test_a_jittering_clock_is_moved_to_its_grid() -> None:
    seconds = [300 * i + (7 * i) % 11 - 5 for i in range(1, 40)]
    seconds.insert(10, 300 * 10 + 90)
    text = "time,y\n" + "".join(f"{1_475_229_000 + s},{i}\n" for i, s in enumerate(sorted(seconds)))
    frame, schema, notes = make(text)
    assert schema.freq == "5min"
    assert np.all(frame.time % 300_000_000 == 0)
    assert len(frame.time) == 39
    assert not frame.breaks[1:].any()
    assert "1 rows left out" in notes[0]


def test_each_series_keeps_its_phase() -> None:
    starts = (("a", "06"), ("b", "18"))
    text = "id,t,y\n" + "".join(f"{s},2020-01-0{d} {h}:00,1\n" for s, h in starts for d in (1, 2, 3))
    frame, _, notes = make(text, Schema(("y",), series_id="id"))
    assert notes == []
    assert frame.clock.write(frame.time)["t"][3] == "2020-01-01 18:00"


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ("interpolate", [0, 1, 2, 3, 4, 5, 6, 7, 8]),
        ("interpolate:2", [0, 1, 2, NAN, NAN, NAN, 6, 7, 8]),
        ("ffill", [0, 0, 2, 2, 2, 2, 6, 6, 8]),
        ("zero", [0, 0, 2, 0, 0, 0, 6, 0, 8]),
    ],
)
def test_missing_values_are_filled(missing: str, expected: list[float]) -> None:
    text = hourly([0, "", 2, "", "", "", 6, "", 8, "", ""])
    frame, _, _ = make(text, Schema(("y",), missing=missing))
    np.testing.assert_array_equal(frame.values[:, 0], np.float32([*expected, NAN, NAN]))


def test_missing_rows_are_inserted_up_to_the_limit() -> None:
    text = hourly([0, 3, 10], hours=[0, 3, 10])
    frame, _, notes = make(text, Schema(("y",), missing="interpolate:2"), freq="h")
    np.testing.assert_array_equal(frame.values[:, 0], np.float32([0, 1, 2, 3, 10]))
    assert frame.breaks.tolist() == [True, False, False, False, True]
    assert frame.clock.write(frame.time)["t"][2] == "2020-01-01 02:00"
    assert notes == ["--missing interpolate:2: 2 rows inserted, 2 values filled"]
    with pytest.raises(DataError, match="would add"):
        make(hourly([1, 1, 1], hours=[0, 1, 500]), Schema(("y",), missing="ffill"), freq="h")


@pytest.mark.parametrize(("missing", "peeks"), [("interpolate", [1, 2, 3, 5]), ("ffill", []), ("zero", [])])
def test_what_was_filled_in_and_what_knows_the_future_are_told_apart(missing: str, peeks: list[int]) -> None:
    rows = ("00:00,0,0,0", "01:00,,1,1", "02:00,2,,2", "04:00,4,4,4", "05:00,5,5,", "06:00,6,6,6")
    text = "t,a,b,x\n" + "".join(f"2020-01-01 {row}\n" for row in rows)
    schema = Schema(("a", "b"), past=("x",), calendar=("hour",), freq="h")
    frame, _, _ = make(text, replace(schema, missing=missing))
    assert frame.filled.shape == (7, 2)
    assert np.argwhere(frame.filled).tolist() == [[1, 0], [2, 1], [3, 0], [3, 1]]
    assert np.flatnonzero(frame.peeks).tolist() == peeks
    skipped, _, _ = make(text, schema)
    assert skipped.filled.shape == (6, 2) and not skipped.filled.any()
    assert skipped.peeks.shape == (6,) and not skipped.peeks.any()


def test_months_are_inserted_by_the_calendar() -> None:
    months = [m for m in range(1, 13) if m not in (6, 7)]
    text = "t,y\n" + "".join(f"2020-{m:02d}-01,{m}\n" for m in months)
    frame, _, _ = make(text, Schema(("y",), missing="interpolate"))
    assert frame.values[:, 0].tolist() == list(range(1, 13))
    assert frame.clock.write(frame.time)["t"][6] == "2020-07-01"


def test_missing_error_names_lines_but_not_the_future() -> None:
    schema = Schema(("y",), future=("x",), missing="error")
    rows = [(1, 1), ("", 2), (3, 3), ("", 4)]
    text = "t,y,x\n" + "".join(f"2020-01-0{i + 1},{y},{x}\n" for i, (y, x) in enumerate(rows))
    with pytest.raises(DataError, match="a value is missing: <stdin>:3;"):
        make(text, schema)
    frame, _, _ = make(text.replace("02,,2", "02,2,2"), schema)
    assert np.isnan(frame.values[-1, 0]) and frame.values[-1, 1] == 4
    with pytest.raises(DataError, match="timestamps are missing before: <stdin>:6"):
        make(hourly([0, 1, 2, 3, 4], hours=[0, 1, 2, 3, 6]), Schema(("y",), missing="error"))
    with pytest.raises(UsageError, match="--missing 'mean'"):
        make(hourly([1, 2]), Schema(("y",), missing="mean"))


WIND = "t,y,wd,dir\n2020-01-01,1,N,0\n2020-01-02,2,NNW,90\n2020-01-03,3,NA,180\n2020-01-04,4,N,270\n"


def test_texts_and_angles_become_columns() -> None:
    schema = Schema(("y",), past=("wd", "dir"), circular=("dir",), calendar=("dayofweek",))
    frame, fitted, _ = make(WIND, schema)
    assert frame.columns == ("y", "wd=N", "wd=NNW", "dir#sin", "dir#cos", "dayofweek#sin", "dayofweek#cos")
    assert frame.columns == fitted.target_columns + fitted.past_columns + fitted.future_columns
    np.testing.assert_array_equal(frame.values[:, 1], np.float32([1, 0, NAN, 1]))
    np.testing.assert_allclose(frame.values[:, 3:5], [[0, 1], [1, 0], [0, -1], [-1, 0]], atol=1e-6)
    calendar = calendar_values(frame.clock, frame.freq, frame.time, ["dayofweek"])
    np.testing.assert_array_equal(frame.values[:, 5:], calendar)
    assert fitted.categories == {"wd": ("N", "NNW")}


def test_a_model_meets_new_data() -> None:
    _, fitted, _ = make(WIND, Schema(("y",), past=("wd",)))
    fitted = Schema.from_json(json.loads(json.dumps(fitted.to_json())))
    frame, again, notes = make("y,wd,t\n1,SE,2021-01-01\n2,N,2021-01-02\n", fitted)
    assert again == fitted
    assert frame.columns == ("y", "wd=N", "wd=NNW")
    assert frame.values.tolist() == [[1, 0, 0], [2, 1, 0]]
    assert "'SE' is new" in notes[0]
    with pytest.raises(DataError, match=r"model needs column 'wd'; <stdin> has t, y"):
        make("t,y\n2020-01-01,1\n2020-01-02,1\n", fitted)
    with pytest.raises(DataError, match="the model was trained on steps of D, the data has steps of h"):
        make("t,y,wd\n2020-01-01 00:00,1,N\n2020-01-01 01:00,1,N\n2020-01-01 02:00,1,N\n", fitted)
    one, _, _ = make("t,y,wd\n2020-01-01,1,N\n", fitted)
    assert one.freq.alias == "D"


def test_the_calendar_of_a_model_keeps_its_offset() -> None:
    def days(offset: str) -> str:
        return "t,y\n" + "".join(f"2020-06-01T{hour:02d}:00:00{offset},{hour}\n" for hour in range(6))

    _, fitted, _ = make(days("+01:00"), Schema(("y",), calendar=("hour",)))
    frame, _, _ = make(days("+02:00"), fitted)
    assert fitted.clock is not None
    np.testing.assert_array_equal(frame.values[:, 1:], calendar_values(fitted.clock, frame.freq, frame.time, ["hour"]))
    assert frame.values[1, 1:].tolist() == [0, 1]  # 01:00+02:00 is midnight of the model
    assert frame.clock.write(frame.time[:1]) == {"t": ["2020-06-01T00:00:00+02:00"]}


def test_the_calendar_at_known_moments() -> None:
    stamps = ["2024-01-01T06:00", "2024-07-01T00:00", "2024-12-31T12:00"]
    time = np.array(stamps, "M8[us]").astype(np.int64)
    clock = Clock(("t",), ("%Y-%m-%d %H:%M%z",), (False,), "+01:00", 60)
    values = calendar_values(clock, Freq.parse("h"), time - 3_600_000_000, ["hour", "dayofweek", "month"])
    np.testing.assert_allclose(values[0], [1, 0, 0, 1, 0, 1], atol=1e-6)
    np.testing.assert_allclose(values[1], [0, 1, 0, 1, 0, -1], atol=1e-6)
    np.testing.assert_allclose(values[2, :2], [0, -1], atol=1e-6)
    with pytest.raises(UsageError, match="'dayofweeks' is unknown; did you mean 'dayofweek'"):
        calendar_values(clock, Freq.parse("h"), time, ["dayofweeks"])
    with pytest.raises(DataError, match="need a clock"):
        make("y\n1\n2\n", Schema(("y",), calendar=("hour",)), no_time=True)


def test_rows_are_steps_without_time() -> None:
    frame, schema, _ = make("id,y\na,1\nb,5\na,2\n", Schema(("y",), series_id="id"), no_time=True)
    assert frame.freq.kind == "step" and schema.no_time
    assert frame.time.tolist() == [0, 1, 0]
    assert frame.breaks.tolist() == [True, False, True]
    assert frame.clock.write(frame.freq.after(1, 2)) == {"step": [2, 3]}


def test_the_sampling_of_a_record_is_remembered() -> None:
    frame, schema, _ = make("id,y\na,1\nb,5\na,2\n", Schema(("y",), series_id="id"), sampling="4s")
    assert frame.freq.kind == "step" and schema.no_time
    known = Schema.from_json(json.loads(json.dumps(schema.to_json())))
    again = make("id,y\na,1\na,2\n", known)[0]
    assert again.clock.write(again.time) == {"seconds": [0, 4]}
    assert make("id,y\na,1\na,2\n", known, sampling="4000ms")[0].clock.write(again.time) == {"seconds": [0, 4]}
    with pytest.raises(DataError, match="the model was trained on rows every 4s; leave --sampling 2s away"):
        make("id,y\na,1\na,2\n", known, sampling="2s")


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (Schema(("yy",)), "no column 'yy'; did you mean 'y'"),
        (Schema(("y",), past=("y",)), "column 'y' is both target and past"),
        (Schema(("y",), circular=("dir",)), "--circular 'dir' is not a covariate"),
        (Schema(("y",), static=("dir",)), "<stdin>:3: static covariate 'dir' changes"),
        (Schema(("y",), static=("wd",)), "<stdin>:3: static covariate 'wd' changes"),
        (Schema(("wd",)), "<stdin>:2: column 'wd': 'N' is not a number"),
        (Schema(("y",), series_id="wd"), "<stdin>:4: series id 'wd' is empty"),
        (Schema(("y",), freq="h"), "--freq says steps of h"),
    ],
)
def test_what_does_not_fit_is_said(schema: Schema, message: str) -> None:
    if schema.freq:
        with pytest.raises(DataError, match=message):
            make(WIND.replace("2020-01-0", "2020-01-01 00:0").replace("01 00:01", "01 00:01"), schema)
        return
    with pytest.raises(DataError, match=message):
        make(WIND, schema)


def test_infinite_values_and_too_many_categories() -> None:
    with pytest.raises(DataError, match=r"<stdin>:3: column 'y': the value is infinite"):
        make(hourly([1, "inf", 2]))
    with pytest.raises(DataError, match=r"<stdin>:3: column 'y': the value is infinite"):
        make(hourly([1, "1e39", 2]))
    text = "t,y,k\n" + "".join(f"2020-01-01 {i // 60:02d}:{i % 60:02d},1,k{i}x\n" for i in range(60))
    with pytest.raises(DataError, match="column 'k' holds 60 different texts"):
        make(text, Schema(("y",), past=("k",)))


def test_circular_auto_takes_the_covariates_that_are_directions_by_name() -> None:
    from tsforecast.options import ColumnOptions

    names = (
        "wind_dir",
        "Wind Direction (deg)",
        "wd (deg)",
        "WindDirection(Degrees)",
        "wdir",
        "direct_radiation",
        "dirt",
        "wdx",
    )
    columns = ColumnOptions(target=("y",), past=names, circular=("auto",))
    assert Schema.of(columns, ReadOptions()).circular == names[:5]


@pytest.mark.parametrize(("freq", "apart"), [("h", "a month"), ("D", "a month")])
def test_a_frequency_much_finer_than_the_rows_is_refused(freq: str, apart: str) -> None:
    months = "t,y\n" + "".join(f"2020-{month:02d},1\n" for month in range(1, 13))
    said = f"--freq says steps of {freq}, and no two rows are less than {apart} apart; leave --freq away"
    with pytest.raises(DataError, match=said):
        make(months, freq=freq)


def test_a_frequency_a_little_finer_than_the_rows_is_a_record_with_holes() -> None:
    frame, _, _ = make(hourly([1, 2, 3, 4, 5], [0, 2, 4, 6, 8]), freq="h")
    assert frame.freq.alias == "h"
    assert frame.breaks.all()


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (
            "T,y",
            "model needs the time column 't'; <stdin> has T, y; did you mean 'T'? call it 't' in the data, or give",
        ),
        ("t,Y", "model needs column 'y'; <stdin> has t, Y; did you mean 'Y'? call it 'y' in the data"),
        ("t,else", "model needs column 'y'; <stdin> has t, else; rename the column of the data"),
    ],
)
def test_a_column_that_a_model_needs_is_looked_for_among_those_found(header: str, said: str) -> None:
    fitted = make(hourly([1, 2, 3]))[1]
    with pytest.raises(DataError, match=re.escape(said)):
        make(hourly([1, 2, 3]).replace("t,y", header), fitted)
