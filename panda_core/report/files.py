"""Files that appear whole or not at all, and names that do not overwrite each other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from panda_core.durable import written_aside
from panda_core.errors import PandaError


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to write ``path`` with: beside it, and renamed into place at the end; nothing stays if the body fails.

    Of several writers of one path the last to end wins. Raises PandaError where the place cannot be written.
    """
    try:
        with written_aside(path, durable=False) as temporary, temporary.open("wb") as file:
            yield file
    except OSError as error:
        raise PandaError(f"{path} cannot be written: {error.strerror}. Choose another place, or make room.") from error


class Names:
    """Gives each file a name of its own: ``leaf``, ``leaf_2``, ``leaf_3``."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, stem: str) -> str:
        """``stem``, or with the first free number."""
        name, number = stem, 2
        while name.casefold() in self._taken:  # some file systems do not tell Leaf from leaf
            name, number = f"{stem}_{number}", number + 1
        self._taken.add(name.casefold())
        return name
