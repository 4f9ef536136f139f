"""Reading: every way a table can be written, and what is said when it cannot be read."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from tsforecast.data.read import read
from tsforecast.data.table import Table
from tsforecast.errors import DataError
from tsforecast.options import ReadOptions

PLAIN = "date,a,b\n2020-01-01,1.5,2\n2020-01-02,-0.25,3\n2020-01-03,4e3,\n"


def load(content: str | bytes, **options: object) -> Table:
    data = content.encode() if isinstance(content, str) else content
    return read(["-"], ReadOptions(**options), stdin=io.BytesIO(data))  # type: ignore[arg-type]


def same_as_plain(table: Table) -> None:
    assert table.columns == ("date", "a", "b")
    np.testing.assert_array_equal(table.numbers("a"), np.float32([1.5, -0.25, 4000]))
    np.testing.assert_array_equal(table.numbers("b"), np.float32([2, 3, np.nan]))


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", "|"),
        PLAIN.replace(",", ";").replace(".", ","),
        PLAIN.replace("\n", "\r\n"),
        "\ufeff" + PLAIN,
        PLAIN.replace("\n", ",\n"),
        PLAIN.replace("2,3", "2,3").replace("1.5,2", "1.5,2").replace("2020-01-02", '"2020-01-02"'),
        "# a comment\n# another, with commas\n" + PLAIN,
        "Station 7,Berlin\n\n" + PLAIN,
        PLAIN.replace("4e3", '"4,000.0"'),
        PLAIN.replace("date,a,b", "date, a, b"),
        PLAIN.replace("\n2020-01-03", "\n\n2020-01-03"),
    ],
)
def test_text_is_read_however_it_is_written(content: str) -> None:
    same_as_plain(load(content))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "latin-1"])
def test_encodings(encoding: str) -> None:
    table = load(PLAIN.replace("date", "öde").encode(encoding))
    assert table.columns[0] == "öde"
    assert table.n_rows == 3


def test_latin_1_far_below_the_first_rows() -> None:
    rows = "".join(f"2020-01-01,{i},x\n" for i in range(20_000))
    table = load(("date,a,s\n" + rows).encode() + "2020-01-01,1,ö\n".encode("latin-1"))
    assert table.texts("s")[-1] == "ö"


def test_blanks_as_delimiter_and_no_header() -> None:
    table = load("2020  1   1 0.5\n2020  1   2 0.75\n2020 1 3 1\n")
    assert table.columns == ("c1", "c2", "c3", "c4")
    np.testing.assert_array_equal(table.numbers("c4"), np.float32([0.5, 0.75, 1]))
    assert table.where(2) == "<stdin>:3"


def test_corner_of_pandas_is_a_header() -> None:
    table = load(",0\n2020-01-01,1.0\n2020-01-02,2.0\n")
    assert table.columns == ("c1", "0")
    assert table.n_rows == 2


def test_options_override_what_is_found() -> None:
    assert load("a;b\n1;2\n", delimiter=",").columns == ("a;b",)
    assert load("1,2\n3,4\n", skip_lines=0).columns == ("1", "2")
    assert load("a,b\n3,4\n", no_header=True).n_rows == 2
    np.testing.assert_array_equal(load('a,b\n"1,234",2\n', decimal=",").numbers("a"), np.float32([1.234]))


def test_a_comma_is_decimal_where_another_delimiter_makes_room_for_it() -> None:
    np.testing.assert_array_equal(load("a;b\n1,234;2\n").numbers("a"), np.float32([1.234]))
    np.testing.assert_array_equal(load('a,b\n"1,234",2\n').numbers("a"), np.float32([1234]))
    np.testing.assert_array_equal(load("a;b\n1.234,5;2\n").numbers("a"), np.float32([1234.5]))


def test_null_texts() -> None:
    table = load("a,b\n1,x\nNA,\n#N/A,n/a\n-,-\n?,y\n-9999.0,y\n", null=("?", "-9999"))
    np.testing.assert_array_equal(table.numbers("a"), np.float32([1] + [np.nan] * 5))
    assert table.texts("b") == ["x", "", "", "", "y", "y"]


def test_a_text_among_numbers_is_named_with_its_line() -> None:
    with pytest.raises(DataError, match=r"<stdin>:4: column 'a': 'n/a ' is not a number \(and 1 more\).*--null 'n/a '"):
        load("a,b\n1,2\n\nn/a ,3\noops,3\n2,2\n3,3\n").numbers("a")


def test_a_late_text_among_numbers_is_found() -> None:
    table = load("a\n" + "1.5\n" * 5000 + "bad\n")
    with pytest.raises(DataError, match=r"<stdin>:5002: column 'a': 'bad'"):
        table.numbers("a")


def test_integers_that_become_decimals_late() -> None:
    table = load("rain,b\n" + "0,1\n" * 5000 + "0.2,1\n")
    assert table.numbers("rain")[-1] == np.float32(0.2)


def test_lines_count_quoted_newlines_and_the_preamble() -> None:
    table = load('site 7\nname,a\n"two\nlines",1\n\nx,2\n')
    assert table.texts("name") == ["two\nlines", "x"]
    assert table.places([0, 1]) == ["<stdin>:3", "<stdin>:6"]


def test_quoted_newline_below_the_first_rows() -> None:
    table = load("name,a\n" + "x,1\n" * 3000 + '"two\nlines",2\ny,3\n')
    assert table.n_rows == 3002
    assert table.where(3001) == "<stdin>:3004"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("a,b\n", "has a header and no rows"),
        ("a,b,a\n1,2,3\n", "stand twice: a"),
        ("a,b\n1,2\n1,2,3\n1,2\n", r"<stdin>:3: has 3 cells, the header has 2"),
        ("PK\x03\x04xxxx", "ZIP archive or a spreadsheet"),
        ("a\x00\x01\x02\x00b\n", "zero bytes"),
        ('{"a": 1}\n{"a": \n', "JSON"),
    ],
)
def test_what_cannot_be_read_is_said(content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(content)


def test_missing_file_and_directory(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such file"):
        read([tmp_path / "none.csv"], ReadOptions())
    with pytest.raises(DataError, match="is a directory"):
        read([tmp_path], ReadOptions())


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_compression_is_seen_by_magic_bytes(codec: str, tmp_path: Path) -> None:
    packed = gzip.compress(PLAIN.encode()) if codec == "gzip" else pa.compress(PLAIN.encode(), codec, asbytes=True)
    same_as_plain(load(packed))
    path = tmp_path / "data.csv"
    path.write_bytes(packed)
    table = read([path], ReadOptions())
    same_as_plain(table)
    assert table.where(1) == f"{path}:3"


def test_json_lines_and_json_array() -> None:
    lines = '{"date": "2020-01-01", "a": 1.5, "b": 2}\n\n{"date": "2020-01-02", "a": null, "b": 3}\n'
    table = load(lines)
    assert table.columns == ("date", "a", "b")
    assert table.texts("date") == ["2020-01-01", "2020-01-02"]
    assert table.where(1) == "<stdin>:3"
    np.testing.assert_array_equal(table.numbers("a"), np.float32([1.5, np.nan]))
    array = "[" + lines.strip().replace("\n\n", ",") + "]"
    np.testing.assert_array_equal(load(array).numbers("b"), np.float32([2, 3]))


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    columns = {"t": np.array(["2020-01-01", "2020-01-02"], "M8[us]"), "a": [1, None], "kind": ["x", "y"], "z": [0.5, 1]}
    parquet.write_table(pa.table(columns), path)
    table = read([path], ReadOptions(), columns=["a"])
    assert table.columns == ("t", "a")
    assert table.header == ("t", "a", "kind", "z")
    assert table.where(1) == f"{path}: row 2"
    np.testing.assert_array_equal(table.numbers("a"), np.float32([1, np.nan]))


def test_pandas_and_arrow() -> None:
    import pandas as pd

    frame = pd.DataFrame({"a": [1.0, 2.0]}, index=pd.date_range("2020-01-01", periods=2))
    table = read([frame], ReadOptions())
    assert table.columns == ("timestamp", "a")
    assert read([pa.table({"a": [1, 2], "s": pa.array(["x", "x"]).dictionary_encode()})], ReadOptions()).texts("s") == [
        "x",
        "x",
    ]


def test_several_inputs_are_put_under_each_other(tmp_path: Path) -> None:
    for i, body in enumerate(["1,2\n3,4\n", "5,x\n"]):
        (tmp_path / f"{i}.csv").write_text("a,b\n" + body)
    table = read([tmp_path / "0.csv", tmp_path / "1.csv"], ReadOptions())
    np.testing.assert_array_equal(table.numbers("a"), np.float32([1, 3, 5]))
    assert table.texts("b") == ["2", "4", "x"]
    assert table.where(2).endswith("1.csv:2")
    (tmp_path / "2.csv").write_text("a,c\n1,2\n")
    with pytest.raises(DataError, match=r"columns differ from those of .*: b, c"):
        read([tmp_path / "0.csv", tmp_path / "2.csv"], ReadOptions())


def test_only_what_is_needed_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("day,when,a,b,c\n1,2020-01-01,1,2,3\n")
    table = read([path], ReadOptions(), columns=["b"])
    assert table.columns == ("day", "when", "b")
    with pytest.raises(DataError, match=r"no column 'bb'; did you mean 'b'\?"):
        table.numbers("bb")


def test_keys_keep_their_zeros() -> None:
    assert load("id,a\n007,1\n010,2\n").texts("id") == ["007", "010"]
    assert load("id,a\n7,1\n10,2\n").texts("id") == ["7", "10"]
    assert load("id,a\n12345678901234567,1\n").texts("id") == ["12345678901234567"]


def test_what_is_numeric() -> None:
    table = load('a,wd,empty,dirty\n1,N,,1\n2,NW,,"1,234.5"\n3,N,,x\n')
    assert [table.is_numeric(name) for name in table.columns] == [True, False, True, True]


def test_a_file_that_is_not_there_may_have_another_name(tmp_path: Path) -> None:
    (tmp_path / "readings.csv").write_text(PLAIN)
    with pytest.raises(DataError, match=r"no such file; did you mean '.*readings\.csv'"):
        read([tmp_path / "reading.csv"], ReadOptions())
    for name, hint in (("other.csv", "check the path"), ("reading.txt", "check the path"), ("a/b.csv", "no folder")):
        with pytest.raises(DataError, match=f"no such file; .*{hint}"):
            read([tmp_path / name], ReadOptions())
