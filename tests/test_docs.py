"""The documentation says what the program does: pages are current, examples run, names and links exist."""

from __future__ import annotations

import importlib.util
import math
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from tsforecast import errors
from tsforecast.cli.app import make_app
from tsforecast.config import described
from tsforecast.domains import DOMAINS
from tsforecast.registry import COMMANDS, METRICS, MODELS, TRAINERS

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(ROOT.glob("docs/**/*.md"))
RUN = ("guide", "uncertainty", "simulation", "data", "errors", "from-matlab")
SHORT = ("README.md", *(f"docs/{name}.md" for name in RUN))
TOLERANCE = 0.05  # of shown numbers: another machine rounds otherwise
NUMBER = re.compile(r"[+-]?\d[\d,]*(\.\d+)?(e[+-]?\d+)?$")


def text_of(path):
    return (ROOT / path).read_text(encoding="utf-8")


def blocks(path, kind):
    return re.findall(rf"^```{kind}\n(.*?)^```$", text_of(path), re.S | re.M)


# ------------------------------------------------------------------------------------------------------------ pages


@pytest.fixture(scope="module")
def generator():
    spec = importlib.util.spec_from_file_location("docs_script", ROOT / "scripts" / "docs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_pages_are_current(generator):
    assert list(generator.stale()) == []  # else run: python scripts/docs.py


def test_the_options_page_has_every_flag_of_every_command():
    page = text_of("docs/options.md")
    for name, command in get_command(make_app()).commands.items():
        assert f"## `tsforecast {name}`" in page
        flags = {flag for parameter in command.params for flag in parameter.opts if flag.startswith("--")}
        assert [flag for flag in flags - {"--help"} if f"`{flag}`" not in page] == []


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("docs/models.md", MODELS),
        ("docs/trainers.md", TRAINERS),
        ("docs/metrics.md", METRICS),
        ("docs/data.md", DOMAINS),
        ("docs/options.md", COMMANDS),
        ("README.md", MODELS),
        ("README.md", TRAINERS),
    ],
)
def test_every_registered_name_is_documented(page, names):
    words = set(re.findall(r"[a-z_]\w*", text_of(page)))
    assert [name for name in names if name not in words] == []


def test_every_exception_and_exit_code_is_documented():
    found = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.TSForecastError)]
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \|", text_of("docs/errors.md"), re.M)
    assert sorted((e.exit_code, e.__name__) for e in found) == sorted((int(code), name) for code, name in rows)


# --------------------------------------------------------------------------------------------------------- examples


@pytest.fixture
def shell(tmp_path):
    """Run a line of shell in a folder with the sample data, where ``tsforecast`` is this source tree."""
    program = tmp_path / "bin" / "tsforecast"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tsforecast "$@"\n')
    program.chmod(0o755)
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "sample_data").symlink_to(ROOT / "sample_data")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TSFORECAST_")}
    path = f"{program.parent}{os.pathsep}{clean['PATH']}"

    def run(line):
        return subprocess.run(
            ["bash", "-c", line],
            cwd=tmp_path / "work",
            env=clean | {"PATH": path, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )

    return run


def examples(path):
    """Yield each command of the console blocks of a page with the lines that are shown under it."""
    for block in blocks(path, "console"):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, *shown = part.splitlines()
            yield command, shown


def alike(shown, printed):
    """Tell whether a printed line is the one shown: the same words, nearly the same numbers, ``...`` for the rest."""
    start, cut, _ = shown.partition("...")
    want, have = (re.split(r"[\s,:;=()]+", line.strip()) for line in (start, printed))
    if cut:
        want, have = want[:-1], have[: len(want) - 1]
    return len(want) == len(have) and all(map(same_word, want, have))


def same_word(want, have):
    if want == have:
        return True
    numbers = [word.strip("%{}[]\"'") for word in (want, have)]
    return all(map(NUMBER.match, numbers)) and math.isclose(*map(float, numbers), rel_tol=TOLERANCE, abs_tol=0.02)


@pytest.mark.parametrize("page", SHORT)
def test_examples_run_and_print_what_is_shown(page, shell):
    code = 0
    for command, shown in examples(page):
        if command == "echo $?":
            assert shown == [str(code)]
            code = 0
            continue
        assert code == 0, f"the command before `{command}` failed with {code}"
        done = shell(command)
        code, printed = done.returncode, done.stdout.splitlines()
        missing = [line for line in shown if line != "..." and not any(alike(line, other) for other in printed)]
        assert missing == [], f"{command}\n{done.stdout}"
    assert code == 0


def test_the_example_from_python_runs(shell, tmp_path):
    script = tmp_path / "example.py"
    script.write_text("".join(blocks("docs/from-python.md", "python")))
    done = shell(f"{sys.executable} -W error {script}")
    assert done.returncode == 0, done.stdout
    assert "temperature_forecast" in done.stdout
    assert "Skill" in done.stdout


def commands_shown():
    """Yield page and words of every call of the program in a block of shell, run or not."""
    call = re.compile(rf"tsforecast ((?:{'|'.join(COMMANDS)}) .*)")
    for page in PAGES:
        path = page.relative_to(ROOT)
        for block in [*blocks(path, "sh"), *blocks(path, "console")]:
            for words in call.findall(block):
                yield str(path), shlex.split(re.split(r" [|>#] ", words)[0], comments=True)


def test_every_flag_in_an_example_exists():
    known = get_command(make_app()).commands
    for page, (name, *words) in commands_shown():
        flags = {flag for parameter in known[name].params for flag in (*parameter.opts, *parameter.secondary_opts)}
        used = {word.partition("=")[0] for word in words if re.match(r"--?[a-zA-Z]", word)}
        assert used <= flags, page


def test_the_readme_shows_what_the_demo_runs():
    script = text_of("scripts/demo")
    lines = re.search(r"<<'LINES'\n(.*?)LINES", script, re.S).group(1)
    assert lines in "".join(blocks("README.md", "sh"))


# ------------------------------------------------------------------------------------------------------------ words


def test_links_between_pages_resolve():
    broken = []
    for page in PAGES:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
            path, _, anchor = target.partition("#")
            file = (page.parent / path) if path else page
            if "://" in target or (file.exists() and (not anchor or anchor in anchors(file))):
                continue
            broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert broken == []


def anchors(path):
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_no_option_has_a_name_that_the_glossary_rules_out():
    rows = [row.split("|") for row in re.findall(r"^\|.*\|$", text_of("docs/glossary.md"), re.M)[2:]]
    banned = {word.strip() for row in rows for word in row[3].split(",")} - {""}
    classes = [registry.get(name).Config for registry in (MODELS, TRAINERS) for name in registry]
    options = {name for cls in classes for name, *_ in described(cls)}
    options |= {p.name for command in get_command(make_app()).commands.values() for p in command.params}
    assert options & banned == set()


@pytest.mark.parametrize("path", sorted(ROOT.glob("docs/adr/*.md")), ids=lambda path: path.stem)
def test_a_decision_fits_on_a_page(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 40
    assert re.findall(r"^## (.*)$", text, re.M) == ["Context", "Decision", "Evidence", "Consequences"]


@pytest.mark.parametrize("path", sorted(ROOT.glob("docs/images/*.png")), ids=lambda path: path.stem)
def test_an_image_is_small_and_shown(path):
    assert path.stat().st_size < 150_000
    assert any(f"images/{path.name}" in page.read_text(encoding="utf-8") for page in PAGES)
