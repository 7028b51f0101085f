"""Whether somebody holds a lock file. The kernel lets go of it however the holder ends, so it tells the living from the killed."""

from __future__ import annotations

import threading
from pathlib import Path

from filelock import FileLock, Timeout

_ASKING = threading.Lock()
PATIENCE = 0.02
"""Seconds. To ask is to hold the lock for an instant: another process that asks at the same time must not be taken for a holder."""


def is_held(path: Path) -> bool:
    """Whether another FileLock, of this process or another one, holds ``path``; a missing file is held by nobody, and stays missing."""
    if not path.exists():
        return False
    with _ASKING:
        try:
            with FileLock(path).acquire(timeout=PATIENCE, poll_interval=PATIENCE / 5):
                return False
        except Timeout:
            return True
