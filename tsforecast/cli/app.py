"""The application: commands from the registry, errors into messages and exit codes."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO

import typer

from tsforecast.errors import TSForecastError, UsageError
from tsforecast.registry import COMMANDS

BUG = 70
INTERRUPTED = 130


def make_app(commands: Iterable[str] = tuple(COMMANDS)) -> typer.Typer:
    """Return the Typer application with the given commands, all registered ones by default."""
    app = typer.Typer(
        name="tsforecast",
        help="Forecast time series from the shell.\n\n"
        "Train once, then use the model file as a filter: cat data.csv | tsforecast predict m.safetensors",
        no_args_is_help=True,
        rich_markup_mode=None,  # plain help starts in half the time
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_main)
    for name in commands:
        app.command(name)(COMMANDS.get(name))
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        from tsforecast.versions import version_of

        typer.echo(f"tsforecast {version_of('tsforecast') or '(not installed)'}")
        raise typer.Exit


def _main(
    version: bool = typer.Option(
        False, "--version", help="Print the version and exit.", is_eager=True, callback=_print_version
    ),
) -> None:
    """Take the options that stand before a command."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Words after the program's name. None: those of the process, which ends with the command.

    Returns:
        The exit code, see ``docs/errors.md``.
    """
    if arguments is not None:
        return _run(list(arguments))
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends the program as it ends `sort`
    code = _run(sys.argv[1:])
    _flush(sys.stderr)
    # A thread of Arrow that lets go of a Python buffer while the interpreter shuts down aborts the process, after all
    # was well (apache/arrow#34314); leaving without the shutdown cannot.
    os._exit(code)


def _run(words: list[str]) -> int:
    if sys.stderr is None:  # after `2>&-`
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the process ends
    debug = "--debug" in words or os.environ.get("TSFORECAST_DEBUG", "") not in ("", "0")
    try:
        named = words[:1] if words[:1] and words[0] in COMMANDS else COMMANDS  # one command starts faster than all
        return _code(make_app(named)(args=words, prog_name="tsforecast", standalone_mode=True))
    except SystemExit as ended:
        return _code(ended.code)
    except TSForecastError as error:
        if debug:
            traceback.print_exc()
        _complain(f"tsforecast: {error.message}", error.hint)
        return error.exit_code
    except OSError as error:  # of the machine, not of this program: a full disk, a lost mount
        if debug:
            traceback.print_exc()
        _complain(f"tsforecast: {error.filename or 'cannot read or write'}: {error.strerror or error}", "")
        return UsageError.exit_code
    except KeyboardInterrupt:
        _complain("tsforecast: interrupted", "")
        return INTERRUPTED
    except Exception as error:
        if debug:
            traceback.print_exc()
        where = traceback.extract_tb(error.__traceback__)[-1]
        _complain(
            f"tsforecast: bug: {type(error).__name__}: {error} ({os.path.basename(where.filename)}:{where.lineno})",  # noqa: PTH119
            "please report it with the output of the same command and --debug",
        )
        return BUG
    finally:
        _flush(sys.stdout)


def _flush(stream: TextIO | None) -> None:
    if stream is not None:  # as Python finds one that the shell has closed
        with contextlib.suppress(OSError, ValueError):
            stream.flush()


def _code(value: Any) -> int:
    return value if isinstance(value, int) else 0 if value is None else 1


def _complain(message: str, hint: str) -> None:
    print(message, file=sys.stderr)
    if hint:
        print(f"  {hint}", file=sys.stderr)
