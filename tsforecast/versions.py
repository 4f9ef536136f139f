"""Versions of installed packages."""

from __future__ import annotations


def version_of(package: str) -> str:
    """Return the version of an installed package; empty where it is not installed."""
    from importlib.metadata import PackageNotFoundError, version  # slow to import, and only who writes a file needs it

    try:
        return version(package)
    except PackageNotFoundError:
        return ""
