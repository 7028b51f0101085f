"""Magnetic tiles as they are published: ``MT_Free/Imgs/*.jpg`` and ``MT_Crack/Imgs/*.jpg`` with a mask ``.png`` of the same name."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from panda_core.data.folders import hold_out
from panda_core.data.images import list_images
from panda_core.data.samples import sample_of
from panda_core.datasets.layout import Entry, Source
from panda_core.datasets.splitting import SEED, TEST_FRACTION
from panda_core.errors import FolderError

_PREFIX = "MT_"
_FREE = "MT_Free"


def imgs_folders(home: Path, category: str) -> Source | None:
    """``MT_Free`` beside ``MT_<Defect>``; there is one category, ``tile``."""
    if not (home / _FREE / "Imgs").is_dir():
        return None
    shots = {place.name: [path for path in list_images(place / "Imgs") if path.suffix.casefold() != ".png"] for place in _kinds(home)}
    files = [path for paths in shots.values() for path in paths]
    return Source((*files, *filter(Path.is_file, map(_mask, files))), partial(_entries, shots), len(files))


def _kinds(home: Path) -> list[Path]:
    return sorted(place for place in home.glob(f"{_PREFIX}*") if (place / "Imgs").is_dir())


def _mask(path: Path) -> Path:
    return path.with_suffix(".png")


def _entries(shots: dict[str, list[Path]]) -> list[Entry]:
    """A fifth of the free tiles is for testing. One tile was shot several times, so near-duplicates stay on one side."""
    samples = [sample_of(path) for path in shots[_FREE]]
    if len(samples) < 10:
        raise FolderError(f"{_FREE}/Imgs holds {len(samples)} images; at least 10 are needed to split them. Copy the whole folder.")
    held_out = hold_out(samples, fraction=TEST_FRACTION, seed=SEED)
    entries = [Entry(f"{'test' if digest in held_out else 'train'}/good/{path.name}", path) for path, digest, _ in samples]
    for kind, paths in shots.items():
        if kind != _FREE:
            defect = kind.removeprefix(_PREFIX).casefold()
            entries += [Entry(f"test/{defect}/{path.name}", path, _mask(path) if _mask(path).is_file() else None) for path in paths]
    return entries
