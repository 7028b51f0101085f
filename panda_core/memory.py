"""How this process deals with memory it has let go."""

from __future__ import annotations

import ctypes
import platform

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's ``mallopt``."""
NEVER = 2**31 - 1


def keep_freed_memory() -> None:
    """Freed blocks stay with the process and are used again; nothing where the C library is not glibc.

    A step of a training frees hundreds of megabytes and asks for them anew. By default glibc gives them back to the system, which clears
    each page before it lends it again: some 40,000 a step at 128 px. The process keeps what it took at its largest until it ends.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    library = ctypes.CDLL(None)
    library.mallopt(MMAP_THRESHOLD, NEVER)
    library.mallopt(TRIM_THRESHOLD, NEVER)
