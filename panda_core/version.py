"""Which version of this package is installed."""

from __future__ import annotations

from importlib import metadata


def installed_version() -> str:
    """As the installer wrote it down; "unknown" where the package is run from its source folder without being installed."""
    try:
        return metadata.version("panda-inspector")
    except metadata.PackageNotFoundError:
        return "unknown"
