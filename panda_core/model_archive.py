"""A model as one file: a zip that holds its card and its tensors and nothing else, checked in full before it becomes an own model."""

from __future__ import annotations

import hashlib
import lzma
import shutil
import uuid
import zipfile
import zlib
from pathlib import Path

from panda_core.card import CARD_FILE, LARGEST_CARD, LARGEST_TENSORS, TENSOR_FILE, find_model, nameable, read_card
from panda_core.durable import written_aside
from panda_core.errors import ModelError
from panda_core.own_models import PARTS, add_model, free_name
from panda_core.places import home

_CHUNK = 2**20


def export_model(model: str, file: str | Path) -> None:
    """Write a model as one zip file, which appears whole. Raises ModelError."""
    file = Path(file)
    folder = find_model(model)
    card = read_card(folder).to_json()
    try:
        with written_aside(file, durable=False) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(CARD_FILE, card)
            archive.write(folder / TENSOR_FILE, TENSOR_FILE)
    except OSError as error:
        raise ModelError(f"{file} cannot be written ({error.strerror}). Choose another place, or make room.") from error


def import_model(file: str | Path, *, name: str | None = None) -> Path:
    """A model from a zip file made by `export_model`, fully checked before it appears; returns its folder.

    ``name``: None takes the card's, with a number where it is taken. Raises ModelError: no such file, no export, damaged, too large,
    or of another version.
    """
    file = Path(file)
    if not file.is_file():
        raise ModelError(f"{file} is not there, or not a file. Give the path of a zip file that an export wrote.")
    staging = home() / "trash" / f"import-{uuid.uuid4().hex}"
    staging.mkdir(parents=True)
    try:
        _unpack(file, staging)
        card = read_card(staging)
        if _digest(staging / TENSOR_FILE) != card.sha256:
            raise ModelError(f"{file.name} is damaged: its tensors are not those its card describes. Export the model again.")
        _try_load(staging)
        return add_model(staging, name or free_name(nameable(card.name, otherwise="imported")))
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _unpack(file: Path, into: Path) -> None:
    limits = {CARD_FILE: LARGEST_CARD, TENSOR_FILE: LARGEST_TENSORS}
    try:
        with zipfile.ZipFile(file) as archive:
            if sorted(archive.namelist()) != sorted(PARTS):
                raise ModelError(f"{file.name} is not an exported model: it must hold {' and '.join(PARTS)}, and nothing else.")
            for part in PARTS:
                with archive.open(part) as packed, (into / part).open("wb") as target:
                    left = limits[part]
                    while chunk := packed.read(_CHUNK):
                        left -= len(chunk)
                        if left < 0:  # what the archive says of its sizes need not be true
                            raise ModelError(f"{file.name}: {part} is too large for a model of ours.")
                        target.write(chunk)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError) as error:
        raise ModelError(f"{file.name} is not a zip file that can be read ({error}). Export the model again.") from error
    except OSError as error:
        raise ModelError(
            f"{file.name} cannot be unpacked ({error.strerror or error}). Look at its permissions and for free space."
        ) from error


def _try_load(folder: Path) -> None:
    from panda_core.checkpoint import load_model

    load_model(folder)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
