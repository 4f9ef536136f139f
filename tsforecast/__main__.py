"""Entry point of ``tsforecast`` and ``python -m tsforecast``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    from tsforecast.cli.app import run

    sys.exit(run())


if __name__ == "__main__":
    main()
