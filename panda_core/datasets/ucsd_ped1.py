"""UCSD Ped1: clips as folders of frames -> single frames, test/good and test/anomaly, with masks where clips have them.

Which frames are anomalous is said by ``frame_labels.json`` (curated clips), else by the list ``UCSDped1.m`` of the official
download, else by the masks. A clip of which none of them says anything is left out: its frames are not known to be normal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from panda_core.data.images import list_images, read_image
from panda_core.datasets.layout import Entry, Source
from panda_core.errors import FolderError

_PLACES = ("UCSDped1", "UCSD_Anomaly_Dataset.v1p2/UCSDped1", "")
_LIST = re.compile(r"^\s*TestVideoFile\{[^}]*\}\.gt_frame\s*=\s*\[([\d:,\s]+)\]", re.MULTILINE)

Label = Callable[[str], bool | None]
"""Frame number as its file has it ("051") -> anomalous? None where nothing is said of it."""


def clips(home: Path, category: str) -> Source | None:
    """``Train/TrainNNN`` beside ``Test/TestNNN`` and ``TestNNN_gt``; there is one category, ``ped1``."""
    for place in (home / name for name in _PLACES):
        if (place / "Train").is_dir() and (place / "Test").is_dir():
            frames = [path for part in ("Train", "Test") for clip in _clips(place / part) for path in list_images(clip)]
            masks = [path for clip in _clips(place / "Test") for path in _masks(clip)]
            said = [path for path in (place / "frame_labels.json", place / "Test" / "UCSDped1.m") if path.is_file()]
            return Source((*frames, *masks, *said), partial(_entries, place), len(frames))
    return None


def _entries(place: Path) -> list[Entry]:
    entries = [_frame("train/good", path) for clip in _clips(place / "Train") for path in list_images(clip)]
    for clip, anomalous in _labelled(place):
        masks = {path.stem: path for path in _masks(clip)}
        for path in list_images(clip):
            mask = masks.get(path.stem)
            known = anomalous(path.stem)
            if known:
                entries.append(_frame("test/anomaly", path, mask if mask is not None and _marks(mask) else None))
            elif known is not None:
                entries.append(_frame("test/good", path))
    return entries


def _frame(part: str, path: Path, mask: Path | None = None) -> Entry:
    return Entry(f"{part}/{path.parent.name}_{path.name}", path, mask)


def _clips(folder: Path) -> list[Path]:
    return sorted(place for place in folder.iterdir() if place.is_dir() and re.fullmatch(r"(Train|Test)\d+", place.name))


def _masks(clip: Path) -> list[Path]:
    masks = clip.with_name(f"{clip.name}_gt")
    return list_images(masks) if masks.is_dir() else []


def _marks(mask: Path) -> bool:
    return bool(read_image(mask).any())


def _labelled(place: Path) -> list[tuple[Path, Label]]:
    """The test clips whose frames are labelled, each with its labels. Raises FolderError if there is none."""
    found = [(clip, label) for clip in _clips(place / "Test") if (label := _label(place, clip)) is not None]
    if not found:
        raise FolderError(
            f"{place}/Test has no labels: neither frame_labels.json beside it, nor UCSDped1.m, nor masks in TestNNN_gt. Copy them too."
        )
    return found


def _label(place: Path, clip: Path) -> Label | None:
    curated, official = place / "frame_labels.json", place / "Test" / "UCSDped1.m"
    if curated.is_file():
        return _from_json(curated, clip.name)
    if official.is_file():
        return _from_list(official, int(clip.name.removeprefix("Test")))
    masks = {path.stem for path in _masks(clip) if _marks(path)}
    return masks.__contains__ if _masks(clip) else None


def _from_json(path: Path, clip: str) -> Label | None:
    try:
        frames = json.loads(path.read_text(encoding="utf-8")).get(clip)
        return None if frames is None else {name: bool(value) for name, value in frames.items()}.get
    except (ValueError, AttributeError) as error:
        raise FolderError(f"{path} is damaged: {error}. Expected: clip -> frame -> 0 or 1.") from error


def _from_list(path: Path, number: int) -> Label | None:
    """The ranges of the ``number``-th clip, written as in MATLAB: [5:90, 140:200], both ends included."""
    ranges = _LIST.findall(path.read_text(encoding="utf-8", errors="replace"))
    if number > len(ranges):
        return None
    spans = [(int(first), int(last)) for first, last in re.findall(r"(\d+)\s*:\s*(\d+)", ranges[number - 1])]
    return lambda frame: any(first <= int(frame) <= last for first, last in spans) if frame.isdecimal() else None
