"""Numbered shots -> a training and a test part, in whole blocks of consecutive numbers.

What was shot one after the other shows the same leaf or neighbouring cells; a split image by image would put both on both sides.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from panda_core.errors import FolderError

TEST_FRACTION = 0.2
SEED = 0
"""Of all splits made here: one split of a set for everybody."""


class Shot(NamedTuple):
    """Which camera series an image belongs to, and its number there."""

    series: str
    number: int


def split(shots: Sequence[Shot], *, block: int, gap: int = 0) -> tuple[list[int], list[int]]:
    """(indices to train on, indices to test on): blocks of ``block`` numbers, in an order by hash, until a fifth of all are taken.

    ``gap``: shots at each end of a block that are dropped where the block beside it is on the other side.
    Raises FolderError if all shots are one block.
    """
    blocks: dict[Shot, list[int]] = defaultdict(list)
    for index, shot in enumerate(shots):
        blocks[_block(shot, block)].append(index)
    if len(blocks) < 2:
        raise FolderError(f"{len(shots)} normal images with neighbouring numbers cannot be split into training and test images. Add more.")
    held_out = _chosen(blocks, wanted=round(TEST_FRACTION * len(shots)))

    def crosses(shot: Shot) -> bool:
        beside = {_block(Shot(shot.series, shot.number + step), block) for step in (-gap, gap)}
        return any(other in blocks and (other in held_out) != (_block(shot, block) in held_out) for other in beside)

    kept = [index for index, shot in enumerate(shots) if not crosses(shot)]
    test = [index for index in kept if _block(shots[index], block) in held_out]
    return [index for index in kept if _block(shots[index], block) not in held_out], test


def _block(shot: Shot, block: int) -> Shot:
    return Shot(shot.series, shot.number // block)


def _chosen(blocks: dict[Shot, list[int]], *, wanted: int) -> set[Shot]:
    """Blocks, each taken if it still fits; the smallest where none does."""
    taken: set[Shot] = set()
    count = 0
    for name in sorted(blocks, key=lambda name: hashlib.sha256(f"{SEED} {name.series} {name.number}".encode()).digest()):
        if count + len(blocks[name]) <= wanted:
            taken.add(name)
            count += len(blocks[name])
    return taken or {min(blocks, key=lambda name: (len(blocks[name]), name))}
