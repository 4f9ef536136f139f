"""Files are written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tsforecast.errors import UsageError
from tsforecast.files import check_plot, write_atomically


def test_a_file_is_written_and_replaced(tmp_path):
    path = tmp_path / "model.bin"
    for data in (b"one", b"two and more", b""):
        write_atomically(path, data)
        assert path.read_bytes() == data
    assert [p.name for p in tmp_path.iterdir()] == ["model.bin"]


def test_the_file_has_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    write_atomically(tmp_path / "ours", b"")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_was_there_survives_a_failure(tmp_path, monkeypatch, error):
    path = tmp_path / "model.bin"
    path.write_bytes(b"good")

    def fail(_):
        raise error

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(UsageError if isinstance(error, OSError) else KeyboardInterrupt):
        write_atomically(path, b"half")
    assert path.read_bytes() == b"good"
    assert [p.name for p in tmp_path.iterdir()] == ["model.bin"]


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"cannot write .*absent.*model.bin: No such file"):
        write_atomically(tmp_path / "absent" / "model.bin", b"")


def test_a_folder_in_the_way_stays(tmp_path):
    (tmp_path / "sub").mkdir()
    with pytest.raises(UsageError, match=r"cannot write .*sub"):
        write_atomically(tmp_path / "sub", b"")
    assert [p.name for p in tmp_path.iterdir()] == ["sub"]


@pytest.mark.parametrize(("name", "said"), [("out.bmp", "cannot be written as '.bmp'"), ("out", "the suffix says")])
def test_a_plot_needs_a_suffix_that_can_be_drawn(name, said):
    with pytest.raises(UsageError, match=said) as refused:
        check_plot(Path(name))
    assert refused.value.hint == "name it out.png, .svg or .pdf"
    assert check_plot(Path("out.SVG")) == Path("out.SVG")
