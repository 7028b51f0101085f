"""Visual anomaly detection that learns from normal images only."""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__: str
"""As `version.installed_version` says; looked up when it is first asked for, so that importing the package costs nothing."""

if not TYPE_CHECKING:  # a type checker would take any name of this package for one that exists

    def __getattr__(name: str) -> str:
        """Raises AttributeError for all but ``__version__``."""
        if name != "__version__":
            raise AttributeError(f"module 'panda_core' has no attribute {name!r}")
        from panda_core.version import installed_version

        globals()[name] = installed_version()
        return globals()[name]
