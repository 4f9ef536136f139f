"""Time: found by trying, read exactly, written back as it came."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tsforecast.data.clock import Clock, find_clock, parse_time
from tsforecast.data.read import read
from tsforecast.errors import DataError, UsageError
from tsforecast.options import ReadOptions


def find(text: str, **options: object) -> tuple[Clock, NDArray[np.int64]]:
    chosen = ReadOptions(**options)  # type: ignore[arg-type]
    return find_clock(read(["-"], chosen, stdin=io.BytesIO(text.encode())), chosen)


def column(texts: list[str], name: str = "when") -> str:
    return f"{name},x\n" + "".join(f'"{text}",{i}\n' for i, text in enumerate(texts))


def micros(*texts: str) -> list[int]:
    return np.array(texts, "M8[us]").astype(np.int64).tolist()


STYLES = [
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%dT%H:%M:%SZ",
    "%Y-%m-%d %H:%M:%S+01:00",
    "%Y-%m-%dT%H:%M:%S+0530",
    "%Y/%m/%d %H:%M",
    "%d.%m.%Y %H:%M",
    "%d.%m.%y %H:%M",
    "%m/%d/%Y %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%d-%m-%Y",
    "%d %m %Y %H:%M",
    "%b %d %Y",
    "%d-%b-%Y %H:%M",
    "%B %d, %Y",
    "%m/%d/%Y %I:%M %p",
    "%m/%d/%Y %I:%M:%S %p",
    "%Y%m%d",
    "%Y%m%d%H",
    "%Y%m%d%H%M",
    "%Y%m%dT%H%M",
]


@settings(max_examples=60, deadline=None)
@given(
    style=st.sampled_from(STYLES),
    start=st.datetimes(datetime(1992, 1, 1), datetime(2060, 1, 1)),
    step=st.sampled_from([timedelta(minutes=15), timedelta(hours=1), timedelta(days=1)]),
)
def test_every_style_is_written_back_as_it_came(style: str, start: datetime, step: timedelta) -> None:
    start = start.replace(minute=0, second=0, microsecond=0, hour=0 if step == timedelta(days=1) else start.hour)
    if "H" not in style and "I" not in style:
        step, start = timedelta(days=1), start.replace(hour=0)
    elif style == "%Y%m%d%H":
        step = max(step, timedelta(hours=1))
    texts = [(start + i * step).strftime(style) for i in range(40)]
    dayfirst = {"%d": True, "%m": False}.get(style[:2])  # the forty rows may be of one ambiguous day
    clock, time = find(column(texts), dayfirst=dayfirst)
    assert list(map(str, clock.write(time)["when"])) == texts
    assert Clock.from_json(json.loads(json.dumps(clock.to_json()))) == clock


@pytest.mark.parametrize(
    "texts",
    [
        ["1/9/2006", "1/10/2006", "1/31/2006", "2/1/2006"],
        ["9.1.2006 0:00", "13.1.2006 9:30", "14.1.2006 10:00"],
        ["1749-01", "1749-02"],
        ["2020-01-01 00:00:00.010", "2020-01-01 00:00:00.020"],
        ["2020-01-01T00:00:00.5+00:00", "2020-01-01T00:00:01.0+00:00"],
        ["01/13/1988 01:00", "01/13/1988 24:00", "01/14/1988 01:00"],
        ["2020-12-31 23:00", "2020-12-31 24:00"],
        ["1475229326", "1475229626"],
        ["1475229326000", "1475229326010"],
        ["1475229326.50", "1475229326.75"],
    ],
)
def test_more_styles_are_written_back(texts: list[str]) -> None:
    clock, time = find(column(texts, "time"))
    assert list(map(str, clock.write(time)["time"])) == texts
    assert np.all(np.diff(time) > 0)


def test_no_seconds_of_a_day_are_lost() -> None:
    _, time = find(column(["2020-12-31 24:00", "2021-01-01 01:00"]))
    assert time.tolist() == micros("2021-01-01T00:00", "2021-01-01T01:00")


def test_offsets_that_change_keep_the_instants_and_the_last_is_written() -> None:
    texts = ["2015-03-29T01:00:00+0100", "2015-03-29T03:00:00+0200", "2015-03-29T04:00:00+0200"]
    clock, time = find(column(texts))
    assert np.diff(time).tolist() == [3_600_000_000] * 2
    assert clock.write(time)["when"] == ["2015-03-29T02:00:00+0200", *texts[1:]]
    assert clock.offset == 120


def test_parts_in_columns() -> None:
    text = "No,year,month,day,hour,x\n1,2010,1,1,0,5\n2,2010,1,1,1,5\n3,2010,1,31,2,5\n"
    clock, time = find(text)
    assert clock.columns == ("year", "month", "day", "hour")
    assert time[1] == micros("2010-01-01T01:00")[0]
    assert clock.write(time) == {"year": [2010] * 3, "month": [1] * 3, "day": [1, 1, 31], "hour": [0, 1, 2]}
    clock, time = find(text.replace(",1,1,", ",01,01,").replace(",1,31", ",01,31"))
    assert clock.write(time)["day"] == ["01", "01", "31"]


def test_date_and_time_in_two_columns() -> None:
    clock, time = find("Date (MM/DD/YYYY),Time (HH:MM),x\n01/31/1988,23:00,1\n01/31/1988,24:00,1\n")
    assert time.tolist() == micros("1988-01-31T23:00", "1988-02-01T00:00")
    assert clock.write(time) == {"Date (MM/DD/YYYY)": ["01/31/1988"] * 2, "Time (HH:MM)": ["23:00", "24:00"]}
    clock, time = find("date,hour,x\n2020-01-01,0,1\n2020-01-01,1,1\n")
    assert clock.write(time) == {"date": ["2020-01-01"] * 2, "hour": [0, 1]}


def test_years() -> None:
    clock, time = find("Year,x\n1999,1\n2000,2\n")
    assert time.tolist() == micros("1999-01-01", "2000-01-01")
    assert clock.write(time) == {"Year": [1999, 2000]}


def test_the_column_that_tells_rows_apart_wins() -> None:
    rows = "".join(f"{1475229000 + 300 * i},9/29/2016 12:00:00 AM,{i}\n" for i in range(5))
    clock, _ = find("UNIXTime,Data,x\n" + rows)
    assert clock.columns == ("UNIXTime",)


def test_names_break_ties() -> None:
    clock, _ = find("made,timestamp,x\n2020-01-01,2020-02-01,1\n2020-01-02,2020-02-02,2\n")
    assert clock.columns == ("timestamp",)


@pytest.mark.parametrize(
    ("texts", "first"),
    [
        (["03/04/2020", "04/04/2020", "13/04/2020"], "2020-04-03"),
        (["03/04/2020", "03/05/2020", "03/13/2020"], "2020-03-04"),
        ([f"{d:02d}/{m:02d}/2020" for m in (1, 2) for d in range(1, 13)], "2020-01-01"),
        ([f"01/{m:02d}/{y}" for y in (2019, 2020) for m in range(1, 13)], "2019-01-01"),
    ],
)
def test_day_and_month_are_told_apart_over_the_column(texts: list[str], first: str) -> None:
    _, time = find(column(texts))
    assert time[0] == micros(first)[0]


def test_regular_steps_decide_between_day_and_month() -> None:
    _, time = find(column([f"01/{m:02d}/{y}" for y in (2019, 2020) for m in range(1, 13)]))
    assert time[1] == micros("2019-02-01")[0]


def test_what_is_ambiguous_is_refused_and_can_be_said() -> None:
    texts = column(["03/04/2020", "03/05/2020", "03/06/2020"])
    with pytest.raises(DataError, match=r"'03/04/2020' may be day first or month first.*--dayfirst"):
        find(texts)
    assert find(texts, dayfirst=True)[1][0] == micros("2020-04-03")[0]
    assert find(texts, dayfirst=False)[1][0] == micros("2020-03-04")[0]
    assert find(texts, date_format="%d/%m/%Y")[1][0] == micros("2020-04-03")[0]


def test_no_time_is_an_error_until_it_is_said() -> None:
    text = "No,u,y\n1,0.5,1\n2,0.5,1\n"
    with pytest.raises(DataError, match=r"no column holds time.*--no-time"):
        find(text)
    clock, time = find(text, no_time=True)
    assert clock.write(time) == {"step": [0, 1]}


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        ("4s", ["0", "4", "8", "12"]),
        ("0.1s", ["0.0", "0.1", "0.2", "0.3"]),
        ("10us", ["0.00000", "0.00001", "0.00002", "0.00003"]),
        ("0.5min", ["0", "30", "60", "90"]),
        ("2.50", ["0.0", "2.5", "5.0", "7.5"]),
    ],
)
def test_a_known_sampling_writes_exact_seconds_that_read_back_as_steps(sampling: str, expected: list[str]) -> None:
    clock, time = find("u,y\n" + "1,2\n" * 4, sampling=sampling)
    assert time.tolist() == [0, 1, 2, 3]
    written = clock.write(time)
    assert {name: list(map(str, cells)) for name, cells in written.items()} == {"seconds": expected}
    assert clock.sampling == (f"{sampling}s" if sampling == "2.50" else sampling)
    assert clock.read_steps(np.array(expected, dtype=np.float64)).tolist() == [0, 1, 2, 3]
    assert [parse_time(text, clock) for text in expected] == [0, 1, 2, 3]
    assert Clock.from_json(json.loads(json.dumps(clock.to_json()))) == clock


def test_a_time_between_two_rows_means_the_row_before() -> None:
    clock = Clock(sampling="4s")
    assert [parse_time(text, clock) for text in ("7.9", "8", "8100ms", "1min")] == [1, 2, 2, 15]
    with pytest.raises(UsageError, match=r"'2020-01-01' is not a time.*seconds since its first row"):
        parse_time("2020-01-01", clock)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampling": "0s"}, "sampling: '0s' is not a duration; write 4s"),
        ({"sampling": "-4s"}, "sampling: '-4s' is not a duration"),
        ({"sampling": "4 furlongs"}, "sampling: '4 furlongs' is not a duration"),
        ({"sampling": "4s", "time": "t"}, "--sampling 4s and --time t exclude each other; leave --time away"),
        ({"sampling": "4s", "freq": "h"}, "--sampling 4s and --freq h exclude each other; leave --freq away"),
    ],
)
def test_a_sampling_that_cannot_be_is_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        find("t,y\n1,2\n2,3\n", **options)


@pytest.mark.parametrize("bad", ["2020-02-30", "soon", ""])
def test_a_bad_timestamp_is_named_with_its_line(bad: str) -> None:
    texts = [f"2020-01-{d:02d}" for d in range(1, 20)]
    texts[6] = bad
    with pytest.raises(DataError, match=f"<stdin>:8: column 'when': .*{bad}"):
        find(column(texts))


def test_named_columns() -> None:
    text = "y,m,d,t,x\n2020,1,2,2019-01-01,1\n2020,1,3,2019-01-02,1\n"
    assert find(text, time="t")[0].columns == ("t",)
    assert find(text, time="y,m,d", date_format="%Y %m %d")[1][0] == micros("2020-01-02")[0]
    with pytest.raises(DataError, match="no column 'tt'; did you mean 't'"):
        find(text, time="tt")
    with pytest.raises(UsageError, match="%Q is not supported"):
        find(text, time="t", date_format="%Q")


def test_the_clock_of_a_model_settles_what_a_short_file_cannot() -> None:
    known, _ = find(column(["30/04/2020", "01/05/2020"]))
    table = read(["-"], ReadOptions(), stdin=io.BytesIO(column(["03/04/2020", "04/04/2020"]).encode()))
    _, time = find_clock(table, ReadOptions(), known)
    assert time[0] == micros("2020-04-03")[0]
    with pytest.raises(DataError, match="model needs the time column 'when'"):
        find_clock(read(["-"], ReadOptions(), stdin=io.BytesIO(b"a,b\n1,2\n")), ReadOptions(), known)


def test_typed_time_with_a_zone() -> None:
    stamps = pa.array([1_600_000_000, 1_600_003_600], pa.timestamp("s", "Europe/Berlin"))
    clock, time = find_clock(read([pa.table({"t": stamps, "x": [1, 2]})], ReadOptions()), ReadOptions())
    assert clock.write(time)["t"] == ["2020-09-13 14:26:40+02:00", "2020-09-13 15:26:40+02:00"]


def test_a_user_types_a_time() -> None:
    clock, time = find(column(["31.12.2019 10:00", "31.12.2019 11:00"]))
    assert parse_time("31.12.2019 11:00", clock) == time[1]
    assert parse_time("2019-12-31 11:00", clock) == time[1]
    assert parse_time("2019-12-31", clock) == micros("2019-12-31")[0]
    assert parse_time("2019", clock) == micros("2019-01-01")[0]
    with pytest.raises(UsageError, match=r"'later' is not a time"):
        parse_time("later", clock)
    with pytest.raises(UsageError, match="has an offset"):
        parse_time("2019-12-31T00:00Z", clock)
    assert parse_time("12", Clock()) == 12
    zoned, time = find(column(["2020-01-01T00:00+01:00", "2020-01-01T01:00+01:00"]))
    assert parse_time("2020-01-01 01:00", zoned) == time[1]
    assert parse_time("2020-01-01T00:00Z", zoned) == time[1]
    epoch, time = find(column(["1475229326", "1475229626"], "time"))
    assert parse_time("1475229626", epoch) == time[1]
    parts, time = find("year,month,day,x\n2010,1,1,5\n2010,1,2,5\n")
    assert parse_time("2010-01-02", parts) == time[1]


@settings(max_examples=50, deadline=None)
@given(st.datetimes(datetime(1700, 1, 1), datetime(2250, 1, 1)))
def test_instants_are_exact(moment: datetime) -> None:
    texts = [moment.isoformat(" ", "microseconds"), (moment + timedelta(seconds=1)).isoformat(" ", "microseconds")]
    _, time = find(column(texts))
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert time[0] == (moment.replace(tzinfo=UTC) - epoch) // timedelta(microseconds=1)


def test_a_column_named_as_time_that_is_none_is_shown_as_it_is_written() -> None:
    for cells, line, text in ((("112", "118"), 2, "112"), (("", "1.50"), 3, "1.50")):
        with pytest.raises(DataError, match=f"<stdin>:{line}: column 'x': '{text}' is not a time; name the column"):
            find("when,x\n" + "".join(f"2020-0{i},{cell}\n" for i, cell in enumerate(cells, 1)), time="x")
