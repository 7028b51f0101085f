"""Evaluation of folders as people have them: masks missing or damaged, files that are no images."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from panda_core.data.folders import labelled_test
from panda_core.data.images import list_images
from panda_core.errors import FolderError
from panda_core.evaluation import evaluate
from panda_core.inspector import Inspector
from panda_core.trivial import trivial_baseline


@pytest.fixture
def folder(toy_folder: Path, tmp_path: Path) -> Path:
    """A test set to damage."""
    return Path(shutil.copytree(toy_folder, tmp_path / "discs"))


def masks_of(folder: Path) -> list[Path]:
    return list_images(folder / "ground_truth" / "scar")


def test_an_anomalous_image_without_a_mask_says_nothing_about_pixels(inspector: Inspector, folder: Path) -> None:
    for mask in masks_of(folder)[2:]:
        mask.unlink()
    unmasked = evaluate(inspector, folder)
    for path in list_images(folder / "test" / "scar")[2:]:
        path.unlink()
    without = evaluate(inspector, folder)
    assert (unmasked.pixel_auroc, unmasked.aupro) == (without.pixel_auroc, without.aupro)
    assert unmasked.anomalous > without.anomalous


def test_a_damaged_mask_is_a_problem_and_its_image_still_counts(inspector: Inspector, folder: Path) -> None:
    whole = evaluate(inspector, folder)
    masks_of(folder)[0].write_text("no picture")
    found = evaluate(inspector, folder)
    assert found.auroc == whole.auroc and found.anomalous == whole.anomalous
    assert found.pixel_auroc is not None
    assert len(found.problems) == 1 and masks_of(folder)[0].name in found.problems[0]


def test_progress_reaches_the_end_when_the_last_image_is_damaged(inspector: Inspector, folder: Path) -> None:
    list_images(folder / "test" / "scar")[-1].write_text("no picture")
    seen: list[tuple[int, int]] = []
    evaluate(inspector, folder, on_progress=lambda done, total: seen.append((done, total)))
    assert seen[:12] == [(0, 12)] * 12, "files are compared first"
    assert seen[12:] == [(number, 12) for number in range(1, 13)]


def test_the_baseline_leaves_out_what_it_cannot_read(folder: Path) -> None:
    for place in ("train/good", "test/scar"):
        list_images(folder / place)[0].write_text("no picture")
    damaged = trivial_baseline(list_images(folder / "train" / "good"), labelled_test(folder))
    for place in ("train/good", "test/scar"):
        list_images(folder / place)[0].unlink()
    assert damaged == trivial_baseline(list_images(folder / "train" / "good"), labelled_test(folder))


def test_the_baseline_needs_images_to_learn_from(folder: Path) -> None:
    with pytest.raises(FolderError, match="at least 2 readable"):
        trivial_baseline(list_images(folder / "train" / "good")[:1], labelled_test(folder))
