"""Which of this machine's files the page may open: what a person types must lie within the folders the program was given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from panda_core.errors import PandaError


def open_place(text: str, roots: Sequence[Path], *, wanted: str, error: type[PandaError]) -> Path:
    """The file or folder that ``text`` names, if it lies within one of ``roots``; links are followed before that is judged.

    ``wanted`` says in messages what is meant, e.g. "a folder with images". Whether it exists is the caller's to see.
    Raises ``error``: nothing given, no usable path, outside the roots.
    """
    text = text.strip().strip('"')
    if not text:
        raise error(f"Nothing is given. Type the path of {wanted}.")
    try:
        place = Path(text).expanduser().resolve()
        allowed = [root.resolve() for root in roots]
    except (OSError, RuntimeError, ValueError) as problem:  # loops of links, an unknown ~user, a zero byte
        raise error(f"{text} is no usable path ({problem}). Type the path of {wanted}.") from problem
    if not lies_within(place, allowed):
        shown = ", ".join(map(str, allowed)) or "none"
        raise error(f"{text} is not in a folder that may be opened from this page ({shown}). Upload it instead.")
    return place


def existing_place(text: str, roots: Sequence[Path], *, wanted: str, error: type[PandaError], folder: bool = True) -> Path:
    """`open_place`, and it is there (and a ``folder``): to be asked before anything makes room for what it holds. Raises ``error``."""
    place = open_place(text, roots, wanted=wanted, error=error)
    try:
        there, fits = place.exists(), place.is_dir() or not folder
    except OSError as problem:  # a name too long, a folder that may not be looked into
        raise error(f"{place} cannot be opened ({problem.strerror}). Type the path of {wanted}.") from problem
    if not there or not fits:
        raise error(f"{f'{place} is not a folder' if there else f'There is no {place}'}. Type the path of {wanted}.")
    return place


def lies_within(place: Path, roots: Sequence[Path]) -> bool:
    """Whether a resolved path is one of the resolved roots or below one."""
    return any(place.is_relative_to(root) for root in roots)
