"""Text that is safe in a spreadsheet."""

from __future__ import annotations

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def guard(text: str) -> str:
    """Text that a spreadsheet would take for a formula gets an apostrophe before it: a file name must not become a command."""
    return f"'{text}" if text.startswith(_FORMULA) else text
