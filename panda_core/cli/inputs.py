"""What ``panda inspect`` looks at in a folder, and what it leaves out there because nobody photographed it."""

from __future__ import annotations

from pathlib import Path

from panda_core.batch.choosing import PARTS, choose
from panda_core.cli.console import ERR
from panda_core.data.images import list_images
from panda_core.errors import FolderError


def find_inputs(path: Path, out: Path | None) -> list[Path]:
    """The image, or those of the folder without true masks and earlier results; says on stderr what is left out.

    Raises FolderError: no image is left, or the one image lies where ``out`` is going to be written.
    """
    written = {out.resolve() / part for part in PARTS.values()} if out else set()
    if not path.is_dir():
        if path.parent.resolve() in written:
            raise FolderError(f"{path} lies where --out {out} writes its pictures. Choose another --out folder.")
        return [path]
    skipped: list[tuple[Path, str]] = []
    kept, left_out = choose(path, list_images(path, skipped=skipped), written)
    for place, reason in skipped:
        ERR.print(f"Left out: {place} {reason}.")
    for place, (count, what) in left_out.items():
        ERR.print(f"Left out: {count} image{'' if count == 1 else 's'} in {place}, {what}.")
    if not kept:
        raise FolderError(f"{path} holds no images. JPEG, PNG, WebP, BMP, TIFF, GIF and DICOM files are read.")
    return kept
