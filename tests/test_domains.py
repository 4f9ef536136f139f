from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from tsforecast.config import make
from tsforecast.domains import DOMAINS, find_domain
from tsforecast.errors import UsageError
from tsforecast.forecasting import reference
from tsforecast.options import ColumnOptions, FitOptions, ReadOptions


@pytest.mark.parametrize("name", DOMAINS)
def test_a_domain_only_sets_documented_options(name: str) -> None:
    options = {field.name for cls in (ReadOptions, ColumnOptions, FitOptions) for field in dataclasses.fields(cls)}
    assert set(DOMAINS[name].settings) <= options
    for cls in (ColumnOptions, FitOptions):
        own = {field.name for field in dataclasses.fields(cls)}
        make(cls, {k: v for k, v in DOMAINS[name].settings.items() if k in own})


@pytest.mark.parametrize("name", DOMAINS)
def test_every_baseline_exists_and_is_documented(name: str) -> None:
    assert DOMAINS[name].name == name
    assert DOMAINS[name].summary.endswith(".")
    for baseline in DOMAINS[name].baselines:
        assert getattr(reference, baseline).__doc__


def test_every_choice_of_the_option_is_a_domain() -> None:
    choices = next(field for field in dataclasses.fields(FitOptions) if field.name == "domain").metadata["choices"]
    assert set(choices) - {""} == set(DOMAINS)


def test_unknown_domain_is_a_usage_error_with_a_guess() -> None:
    with pytest.raises(UsageError, match="did you mean 'solar'"):
        find_domain("soler")


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        find_domain("solar").settings["floor"] = 1.0  # type: ignore[index]


def test_importing_domains_needs_no_numpy() -> None:
    code = "import sys, tsforecast.domains; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
