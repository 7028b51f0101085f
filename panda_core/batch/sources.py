"""Where the images of a batch come from: a folder of this machine, uploaded files, or a zip archive. Nothing is decoded here.

Whoever names a folder or sends an archive may be a stranger: a folder must lie within the roots that the program was given, and an
archive is checked before and while it is unpacked.
"""

from __future__ import annotations

import lzma
import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from panda_core.batch.choosing import choose
from panda_core.data.folders import NORMAL_NAMES, LabelledImage, labelled_test
from panda_core.data.images import IMAGE_SUFFIXES, list_images
from panda_core.errors import FolderError, PandaError
from panda_core.printable import printable
from panda_core.roots import lies_within, open_place

MOST_IMAGES = 20_000
"""Images in one batch."""
MOST_ENTRIES = 100_000
"""Entries of an archive, images or not."""
MOST_UNPACKED = 8 * 2**30
"""Bytes of all images of the archives of one upload together."""
MOST_RATIO = 200
"""Unpacked to packed size. Photographs hardly shrink; what unpacks to more than this was made to fill a disk."""
RATIO_FROM = 64 * 2**20
"""Unpacked bytes below which the ratio does not matter: a small drawing may well shrink a thousandfold."""
_CHUNK = 2**20


class ArchiveError(PandaError):
    """An uploaded archive is damaged, encrypted, too large or names places outside itself."""


@dataclass(slots=True)
class Room:
    """What the archives of one upload may unpack to, less what they have."""

    images: int = field(default_factory=lambda: MOST_IMAGES)
    size: int = field(default_factory=lambda: MOST_UNPACKED)
    """Bytes."""


@dataclass(frozen=True, slots=True)
class Source:
    """The images of a batch, in the order to inspect them."""

    title: str
    """For people: the folder's path, or what was uploaded."""
    paths: tuple[Path, ...]
    names: tuple[str, ...]
    """As shown: relative to the folder or within the archive; one for each path."""
    note: str = ""
    """What was left out, in a sentence; "" if nothing."""


@dataclass(frozen=True, slots=True)
class LabelledSource:
    """A labelled folder, ready to be measured on."""

    title: str
    """For people: the folder's path, or the archive's name."""
    folder: Path
    samples: tuple[LabelledImage, ...]
    note: str = ""
    """What was left out, in a sentence; "" if nothing."""


def open_folder(folder: str | Path, roots: Sequence[Path]) -> Source:
    """All images in ``folder`` and below, if it lies within one of ``roots``. Links are followed before that is judged.

    Raises FolderError: no folder, outside the roots, no or too many images.
    """
    place = open_place(str(folder), roots, wanted="a folder with images", error=FolderError)
    skipped: list[tuple[Path, str]] = []
    found = list_images(place, skipped=skipped)
    allowed = [root.resolve() for root in roots]
    lying = [path for path in found if lies_within(_followed(path), allowed)]
    kept, left_out = choose(place, lying)
    note = " ".join(filter(None, [_left_out(len(found) - len(lying)), _not_chosen(place, left_out), _not_entered(place, skipped)]))
    _check_count(len(kept), note or f"{place} holds no images. JPEG, PNG, WebP, BMP, TIFF, GIF and DICOM files are read.")
    return Source(_shown(place), tuple(kept), tuple(_shown(path.relative_to(place)) for path in kept), note)


def open_uploads(
    files: Iterable[Path], into: Path, *, called: Sequence[str] = (), note: str = "", should_stop: Callable[[], bool] = lambda: False
) -> Source:
    """Uploaded images, kept below ``into`` because uploads are cleared away in time; archives among them are unpacked there.

    ``called``: what is shown in place of the files' names, one for each. ``note``: begins the source's. ``should_stop`` ends with what
    there is. Raises ArchiveError, FolderError.
    """
    paths: list[Path] = []
    names: list[str] = []
    notes = [note]
    given = list(files)
    room = Room(images=MOST_IMAGES - sum(not _is_archive(file) for file in given))
    for number, (file, name) in enumerate(zip(given, called or [file.name for file in given], strict=True)):
        place = into / f"{number}"
        if _is_archive(file):
            unpacked, left_out = choose(place, unpack(file, place, room=room, should_stop=should_stop))
            notes.append(_not_chosen(place, left_out))
            paths += unpacked
            names += [_shown(path.relative_to(place)) for path in unpacked]
        else:
            paths.append(keep_upload(file, place))
            names.append(_shown(Path(name)))
    _check_count(len(paths), "There is no image among the uploaded files. JPEG, PNG, WebP, BMP, TIFF, GIF and DICOM files are read.")
    title = _shown(Path(given[0].name)) if len(given) == 1 else f"{len(given)} uploaded files"
    return Source(title, tuple(paths), tuple(names), " ".join(filter(None, notes)))


def open_labelled(folder: str | Path, roots: Sequence[Path]) -> LabelledSource:
    """The labelled images of ``folder`` (`data.folders.labelled_test`), if it lies within one of ``roots``; so must images and masks.

    Raises FolderError: no folder, outside the roots, another layout, too many images.
    """
    place = open_place(str(folder), roots, wanted="a labelled folder", error=FolderError)
    allowed = [root.resolve() for root in roots]
    found = labelled_test(place)
    kept = tuple(one for one in found if all(lies_within(_followed(path), allowed) for path in (one.path, one.mask) if path is not None))
    _check_count(len(kept), f"No image of {place} lies within the allowed folders: its links point elsewhere.")
    return LabelledSource(_shown(place), place, kept, _left_out(len(found) - len(kept)))


def unpack_labelled(archive: Path, into: Path, *, should_stop: Callable[[], bool] = lambda: False) -> LabelledSource:
    """The same from an uploaded zip file, unpacked into the new folder ``into``. Raises ArchiveError, FolderError."""
    if not _is_archive(archive):
        raise ArchiveError(f"{archive.name} is no zip file. Pack the folder with its subfolders into one, and upload that.")
    unpack(archive, into, should_stop=should_stop)
    folder = inner_folder(into, ("test", *NORMAL_NAMES))
    try:
        return LabelledSource(_shown(Path(archive.name)), folder, tuple(labelled_test(folder)))
    except FolderError as error:
        raise FolderError(str(error).replace(str(folder), archive.name)) from error  # without the server's own paths


def inner_folder(place: Path, known: Collection[str]) -> Path:
    """Down from ``place`` as long as it holds one folder and nothing else, unless that folder's name is one of a layout's, ``known``."""
    while len(inside := list(place.iterdir())) == 1 and inside[0].is_dir() and inside[0].name not in known:
        place = inside[0]
    return place


def unpack(archive: Path, into: Path, *, room: Room | None = None, should_stop: Callable[[], bool] = lambda: False) -> list[Path]:
    """The images of a zip file, written below ``into`` in natural order; what is no image, or hidden, is left out.

    ``room``: shared by the archives of one upload; it gets less. Nothing stays of an archive that is refused: ArchiveError says why.
    ``should_stop`` ends early with what there is.
    """
    into.mkdir(parents=True)
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = _checked(opened.infolist(), archive.name, room or Room())
            left = sum(entry.file_size for entry in entries)
            for entry in entries:
                if should_stop():
                    break
                left -= _write(opened, entry, into, left, archive.name)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, ValueError, OSError) as error:
        shutil.rmtree(into, ignore_errors=True)
        reason = error.strerror if isinstance(error, OSError) else error  # without the server's own paths
        raise ArchiveError(f"{archive.name} cannot be unpacked ({reason}). Make the zip file again, or upload the images.") from error
    except ArchiveError:
        shutil.rmtree(into, ignore_errors=True)
        raise
    return list_images(into)


def _checked(entries: Sequence[zipfile.ZipInfo], name: str, room: Room) -> list[zipfile.ZipInfo]:
    """The images among the entries, taken off ``room``. Raises ArchiveError."""
    if len(entries) > MOST_ENTRIES:
        raise ArchiveError(f"{name} has {len(entries):,} entries; at most {MOST_ENTRIES:,} are read. Split it.")
    for entry in entries:
        _check_entry(entry, name)
    images = [entry for entry in entries if _is_image(entry)]
    size, packed = sum(entry.file_size for entry in images), sum(entry.compress_size for entry in images)
    room.images, room.size = room.images - len(images), room.size - size
    if room.images < 0:
        count = MOST_IMAGES - room.images
        raise ArchiveError(f"With {name} there are {count:,} images; at most {MOST_IMAGES:,} make a batch. Split the upload.")
    if room.size < 0:
        needed, most = (MOST_UNPACKED - room.size) / 2**30, MOST_UNPACKED / 2**30
        raise ArchiveError(f"With {name} the upload unpacks to {needed:.1f} GiB; at most {most:.0f} are taken. Split it.")
    if size > RATIO_FROM and size > MOST_RATIO * max(packed, 1):
        raise ArchiveError(
            f"{name} unpacks to {size / max(packed, 1):,.0f} times its size, as no photographs do. Upload the images instead."
        )
    return images


def _check_entry(entry: zipfile.ZipInfo, name: str) -> None:
    place = entry.filename.replace("\\", "/")
    parts = PurePosixPath(place).parts
    if place.startswith("/") or ".." in parts or any(":" in part for part in parts[:1]):
        raise ArchiveError(f"{name} names a place outside itself ({entry.filename!r}). Make the zip file again, from within the folder.")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise ArchiveError(f"{name} holds a link ({entry.filename!r}). Pack the images themselves.")
    if entry.flag_bits & 0x1:
        raise ArchiveError(f"{name} is encrypted. Make it again without a password.")


def _is_archive(file: Path) -> bool:
    return file.suffix.lower() == ".zip"


def _is_image(entry: zipfile.ZipInfo) -> bool:
    path = PurePosixPath(entry.filename.replace("\\", "/"))
    hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
    return not entry.is_dir() and not hidden and path.suffix.lower() in IMAGE_SUFFIXES


def _write(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, into: Path, room: int, name: str) -> int:
    """Bytes written; never more than ``room``, whatever the entry's header promised."""
    target = into.joinpath(*PurePosixPath(entry.filename.replace("\\", "/")).parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with opened.open(entry) as source, target.open("xb") as file:
        while chunk := source.read(_CHUNK):
            written += len(chunk)
            if written > room:
                raise ArchiveError(f"{name} unpacks to more than it says. Make the zip file again.")
            file.write(chunk)
    return written


def keep_upload(file: Path, place: Path) -> Path:
    """The upload as a file in the new folder ``place``: uploads are cleared away in time, and exports read them again."""
    place.mkdir(parents=True)
    kept = place / file.name
    try:
        os.link(file, kept)  # costs no space
    except OSError:
        shutil.copyfile(file, kept)
    return kept


def _followed(path: Path) -> Path:
    """Where the links of a path lead; a link that leads to itself stays as it is, which ``Path.resolve`` does not take."""
    return Path(os.path.realpath(path))


def _left_out(count: int) -> str:
    return (
        f"{count} linked image{' was' if count == 1 else 's were'} left out: the link points outside the allowed folders." if count else ""
    )


def _not_entered(folder: Path, skipped: Sequence[tuple[Path, str]]) -> str:
    """What to say of folders inside that were not looked into."""
    return " ".join(f"Left out: {_shown(place.relative_to(folder))} {reason}." for place, reason in skipped[:3])


def _not_chosen(place: Path, left_out: Mapping[Path, tuple[int, str]]) -> str:
    return " ".join(
        f"{count} image{'' if count == 1 else 's'} in {_shown(inner.relative_to(place))} left out: {what}."
        for inner, (count, what) in left_out.items()
    )


def _shown(path: Path) -> str:
    return printable(path.as_posix())


def _check_count(count: int, none: str) -> None:
    if not count:
        raise FolderError(none)
    if count > MOST_IMAGES:
        raise FolderError(f"There are {count:,} images; at most {MOST_IMAGES:,} make a batch. Take a part of them.")
