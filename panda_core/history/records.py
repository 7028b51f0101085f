"""What the history hands out: plain records, detached from the database."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from panda_core.inspection import BoundaryKind, Verdict

_UNFIT = re.compile("[\x00\ud800-\udfff]")

Mark = Literal["normal", "anomalous"]
Source = Literal["single", "batch", "video", "api"]
Order = Literal["newest", "oldest", "highest", "lowest", "name"]
MarkFilter = Literal["normal", "anomalous", "none", "any", "false alarm", "miss"]
"""``none``: not marked; ``any``: marked; ``false alarm``: called anomalous, marked normal; ``miss``: the reverse."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One inspection as it was, and the person's latest word on it."""

    id: int
    created: datetime
    """UTC."""
    sha256: str
    """Of the image file's bytes; of its PNG where there was no file. 64 hex digits."""
    name: str
    """Of the image; always valid Unicode."""
    path: Path | None
    """Where the image was read; it may be gone by now. None for a bare array."""
    kept: Path | None
    """Our copy; None if copies were switched off."""
    width: int
    height: int
    model: str
    fingerprint: str
    """Which version of the model: as given to `History.add`, e.g. the SHA-256 of its tensors; "" unknown."""
    score: float
    gauge: float
    """0 to 1."""
    boundary: float
    boundary_kind: BoundaryKind
    pixel_threshold: float
    """Standard deviations of normal images."""
    verdict: Verdict
    p_value: float
    regions: int
    """Their count."""
    errors: Mapping[str, float]
    contributions: Mapping[str, float]
    milliseconds: float
    source: Source
    mark: Mark | None = None
    marked_by: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of what a search found."""

    entries: tuple[Entry, ...]
    total: int
    """Entries found in all."""
    offset: int
    """Place of the first of ``entries`` among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What to look for; every condition narrows. The defaults find everything."""

    text: str = ""
    """Words that must all be in the image's name, folder or model, or in the note, in any case; or the first 8 or more digits
    of the SHA-256."""
    model: str | None = None
    verdict: Verdict | None = None
    mark: MarkFilter | None = None
    since: datetime | None = None
    """Earliest time, inclusive."""
    until: datetime | None = None
    """Latest time, exclusive."""
    low: float | None = None
    """Lowest score, inclusive."""
    high: float | None = None
    """Highest score, inclusive."""
    order: Order = "newest"


@dataclass(frozen=True, slots=True)
class Settings:
    """What is kept, and for how long."""

    retention_days: int | None = None
    """Entries older than this many days (1 or more) are deleted, marked ones too; None: kept for ever."""
    keep_copies: bool = True
    """Whether a copy and a thumbnail of each image are kept."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts over the entries of one model (or all), by each entry's latest mark."""

    total: int
    marked_normal: int
    marked_anomalous: int
    false_alarms: int
    """Called anomalous, marked normal."""
    misses: int
    """Called normal, marked anomalous."""


def fold(text: str) -> str:
    """The text as it is searched: composed, without case, always valid Unicode."""
    return unicodedata.normalize("NFC", legible(text)).casefold()


def legible(text: str) -> str:
    """The text with "�" for bytes of a file name that are not Unicode, and for NUL: neither can be stored as text and searched."""
    return _UNFIT.sub("\ufffd", text)
