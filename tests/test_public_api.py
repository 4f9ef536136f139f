"""The names that a Python user sees."""

from __future__ import annotations

import importlib.metadata
import inspect

import pytest

import tsforecast


def test_every_act_of_the_command_line_that_returns_something_is_a_function():
    acts = {"train", "predict", "evaluate", "compare", "tune", "save", "load"}
    assert {"Forecaster", "TSForecastError", *acts} == set(tsforecast.__all__)


@pytest.mark.parametrize("name", tsforecast.__all__)
def test_every_public_name_exists_and_is_documented(name):
    assert inspect.getdoc(getattr(tsforecast, name))
    assert name in dir(tsforecast)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        tsforecast.trian  # noqa: B018 - the access is the test


def test_the_version_is_that_of_the_distribution():
    try:
        expected = importlib.metadata.version("tsforecast")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("tsforecast is not installed")
    assert tsforecast.__version__ == expected
