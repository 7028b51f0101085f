from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from panda_core.data.batches import Batches
from panda_core.data.images import prepare, read_image
from panda_core.errors import FolderError

Fill = Callable[..., list[Path]]


def take(paths: list[Path], steps: list[int], *, rank: int = 0, world: int = 1, **changes: Any) -> list[np.ndarray]:
    settings: dict[str, Any] = {"size": 32, "augment": "none", "batch": 4, "seed": 7} | changes
    with Batches(paths, **settings) as batches:
        return [batches.at(step, rank=rank, world=world) for step in steps]


def test_without_augmentation_every_image_appears_once_per_epoch_exactly_as_prepared(tmp_path: Path, fill: Fill) -> None:
    paths = fill(tmp_path, 6)
    known = {prepare(read_image(path), 32).tobytes(): path.name for path in paths}
    seen = [known[image.tobytes()] for batch in take(paths, [0, 1, 2]) for image in batch]
    assert len(seen) == 12
    assert set(seen[:6]) == set(seen[6:]) == set(known.values())
    assert seen[:6] != seen[6:]


@pytest.mark.parametrize("augment", ["none", "flip", "flip-rotate"])
def test_a_batch_is_a_pure_function_of_seed_and_step(tmp_path: Path, fill: Fill, augment: str) -> None:
    paths = fill(tmp_path, 7)
    forward = take(paths, list(range(5)), augment=augment)
    backward = take(paths, [4, 2, 2, 0], augment=augment, cache_bytes=0)
    for found, step in zip(backward, (4, 2, 2, 0), strict=True):
        np.testing.assert_array_equal(found, forward[step])
    assert not np.array_equal(take(paths, [0], augment=augment, seed=8)[0], forward[0])
    for batch in forward:
        assert batch.shape == (4, 3, 32, 32) and batch.dtype == np.float32 and batch.flags.c_contiguous
        assert batch.min() >= -1 and batch.max() <= 1


@pytest.mark.parametrize("world", [2, 3])
def test_the_ranks_parts_are_the_single_process_batch(tmp_path: Path, fill: Fill, world: int) -> None:
    paths = fill(tmp_path, 5)
    parts = [take(paths, [3], rank=rank, world=world, augment="flip-rotate")[0] for rank in range(world)]
    np.testing.assert_array_equal(np.concatenate(parts), take(paths, [3], augment="flip-rotate")[0])


def test_fewer_images_than_a_batch_wrap_around(tmp_path: Path, fill: Fill) -> None:
    batch = take(fill(tmp_path, 3), [0], batch=9)[0]
    assert set(Counter(image.tobytes() for image in batch).values()) == {3}


def test_flips_show_images_and_their_mirrors_and_nothing_else(tmp_path: Path, fill: Fill) -> None:
    paths = fill(tmp_path, 1)
    image = prepare(read_image(paths[0]), 32)
    batch = take(paths, [0], batch=20, augment="flip")[0]
    mirrored = [np.array_equal(found, image[:, :, ::-1]) for found in batch]
    plain = [np.array_equal(found, image) for found in batch]
    assert any(mirrored) and any(plain) and all(m or p for m, p in zip(mirrored, plain, strict=True))


def test_rotation_makes_many_views_with_the_image_s_own_colours(tmp_path: Path, fill: Fill) -> None:
    paths = fill(tmp_path, 1)
    image = prepare(read_image(paths[0]), 32)
    batch = take(paths, [0], batch=40, augment="flip-rotate")[0]
    assert len({found.tobytes() for found in batch}) > 25
    np.testing.assert_allclose(batch.mean(axis=(0, 2, 3)), image.mean(axis=(1, 2)), atol=0.12)
    assert batch.max() <= image.max() + 0.1 and batch.min() >= image.min() - 0.1


def test_a_file_that_becomes_unreadable_is_replaced_and_reported_once(tmp_path: Path, fill: Fill) -> None:
    paths = fill(tmp_path, 4)
    paths[1].write_bytes(b"")
    with Batches(paths, size=32, augment="none", batch=4, seed=0) as batches:
        images = [image for step in range(3) for image in batches.at(step)]
        assert [(problem.path, "empty" in problem.reason) for problem in batches.problems] == [(paths[1], True)]
    counts = Counter(image.tobytes() for image in images)
    assert counts[prepare(read_image(paths[2]), 32).tobytes()] == 6 and sum(counts.values()) == 12


def test_no_readable_image_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="None of the 1"):
        take([tmp_path / "gone.png"], [0])
    with pytest.raises(FolderError, match="no images"):
        take([], [0])


def test_the_next_step_is_prefetched_and_close_ends_the_thread(tmp_path: Path, fill: Fill) -> None:
    paths = fill(tmp_path, 4)
    before = threading.active_count()
    batches = Batches(paths, size=32, augment="none", batch=2, seed=0, cache_bytes=0)
    batches.at(0)
    batches.close()
    assert threading.active_count() == before
    expected = take(paths, [1], batch=2)[0]
    with Batches(paths, size=32, augment="none", batch=2, seed=0, cache_bytes=0) as batches:
        batches.at(0)
        batches._worker.submit(lambda: None).result()  # the prefetch stands before it in the queue
        for path in paths:
            path.unlink()
        np.testing.assert_array_equal(batches.at(1), expected)
