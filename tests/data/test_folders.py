from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from panda_core.config import DataConfig
from panda_core.data.folders import Splits, known_anomalies, labelled_test, scan
from panda_core.errors import FolderError

DATA = DataConfig(minimum=8, validation_fraction=0.25)
Fill = Callable[..., list[Path]]
Draw = Callable[..., np.ndarray]


def names(paths: tuple[Path, ...]) -> list[str]:
    return [path.name for path in paths]


def all_normal(splits: Splits) -> set[Path]:
    return set(splits.train) | set(splits.validation)


def test_mvtec_layout_takes_train_good_and_never_the_test_folder(tmp_path: Path, fill: Fill) -> None:
    good = fill(tmp_path / "train/good", 12)
    known = fill(tmp_path / "train/scratch", 2, first=50) + fill(tmp_path / "anomalous", 2, first=60)
    fill(tmp_path / "test/good", 3, first=70)
    fill(tmp_path / "test/crack", 3, first=80)
    splits = scan(tmp_path, data=DATA, seed=0)
    assert all_normal(splits) == set(good) and not set(splits.train) & set(splits.validation)
    assert set(splits.anomalous) == set(known)
    assert splits.problems == ()


@pytest.mark.parametrize(("normal", "anomalous"), [("normal", "anomalous"), ("good", "bad"), (".", "anomalous"), ("train", "bad")])
def test_plain_layouts_are_accepted(tmp_path: Path, fill: Fill, normal: str, anomalous: str) -> None:
    good, bad = fill(tmp_path / normal, 9), fill(tmp_path / anomalous, 3, first=20)
    splits = scan(tmp_path, data=DATA, seed=0)
    assert all_normal(splits) == set(good) and set(splits.anomalous) == set(bad)


def test_unreadable_files_and_duplicates_are_listed_not_fatal(tmp_path: Path, fill: Fill) -> None:
    paths = fill(tmp_path, 10)
    shutil.copy(paths[0], tmp_path / "copy.png")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    whole = paths[1].read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    os.mkfifo(tmp_path / "pipe.png")
    splits = scan(tmp_path, data=DATA, seed=0)
    assert all_normal(splits) == set(paths)
    reasons = {problem.path.name: problem.reason for problem in splits.problems}
    assert set(reasons) == {"copy.png", "broken.jpg", "cut.png", "gone.png", "pipe.png"}
    assert "0.png" in reasons["copy.png"]


@pytest.mark.parametrize("name", ["good", "Normal", "inner/good"])
def test_known_anomalies_are_not_taken_from_a_folder_that_holds_normal_images_too(tmp_path: Path, fill: Fill, name: str) -> None:
    scratched = fill(tmp_path / "test/scratch", 3)
    assert known_anomalies(tmp_path / "test") == scratched
    fill(tmp_path / "test" / name, 2, first=10)
    with pytest.raises(FolderError, match="nothing else"):
        known_anomalies(tmp_path / "test")
    assert known_anomalies(tmp_path / "test/scratch") == scratched


def test_too_few_normal_images_name_both_numbers_and_the_first_problem(tmp_path: Path, fill: Fill) -> None:
    fill(tmp_path, 5)
    (tmp_path / "empty.png").touch()
    with pytest.raises(FolderError, match=r"5 usable.*8 are needed.*empty\.png"):
        scan(tmp_path, data=DATA, seed=0)


def test_a_missing_or_foreign_folder_is_an_error_that_names_the_layouts(tmp_path: Path, fill: Fill) -> None:
    fill(tmp_path / "pictures/2024", 10)
    with pytest.raises(FolderError, match="train/good"):
        scan(tmp_path, data=DATA, seed=0)
    with pytest.raises(FolderError, match="not a folder"):
        scan(tmp_path / "none", data=DATA, seed=0)


def test_the_split_depends_on_content_and_seed_not_on_place(tmp_path: Path, fill: Fill) -> None:
    fill(tmp_path / "here", 30)
    shutil.copytree(tmp_path / "here", tmp_path / "there/again")
    here, there = scan(tmp_path / "here", data=DATA, seed=1), scan(tmp_path / "there/again", data=DATA, seed=1)
    assert names(here.validation) == names(there.validation) and here.fingerprint == there.fingerprint
    assert len({tuple(names(scan(tmp_path / "here", data=DATA, seed=seed).validation)) for seed in range(4)}) > 1
    (tmp_path / "here/0.png").unlink()
    assert scan(tmp_path / "here", data=DATA, seed=1).fingerprint != here.fingerprint


@pytest.mark.parametrize(("count", "expected"), [(40, 10), (12, 4), (8, 4)])
def test_validation_has_its_share_and_at_least_four(tmp_path: Path, fill: Fill, count: int, expected: int) -> None:
    fill(tmp_path, count)
    splits = scan(tmp_path, data=DATA, seed=0)
    assert (len(splits.validation), len(splits.train)) == (expected, count - expected)


@pytest.mark.parametrize("seed", range(3))
def test_near_duplicates_stay_on_one_side(tmp_path: Path, draw: Draw, seed: int) -> None:
    for shot in range(20):
        for quality in (95, 60):
            Image.fromarray(draw(shot)).save(tmp_path / f"{shot}_{quality}.jpg", quality=quality)
    splits = scan(tmp_path, data=DATA, seed=seed)
    shots = [{path.name.split("_")[0] for path in side} for side in (splits.train, splits.validation)]
    assert not shots[0] & shots[1]
    assert len(splits.validation) == 10


def test_aligned_parts_that_all_look_alike_still_split(tmp_path: Path, draw: Draw) -> None:
    part, rng = draw(0).astype(np.int16), np.random.default_rng(0)
    for index in range(20):
        noisy = np.clip(part + rng.integers(-6, 7, part.shape), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(tmp_path / f"{index}.png")
    splits = scan(tmp_path, data=DATA, seed=0)
    assert (len(splits.train), len(splits.validation)) == (15, 5)


def test_even_four_images_leave_something_on_both_sides(tmp_path: Path, draw: Draw) -> None:
    for quality in (95, 90, 85, 80):
        buffer = io.BytesIO()
        Image.fromarray(draw(0)).save(buffer, "JPEG", quality=quality)
        (tmp_path / f"{quality}.jpg").write_bytes(buffer.getvalue())
    splits = scan(tmp_path, data=DataConfig(minimum=4), seed=0)
    assert splits.train and splits.validation


def test_labelled_test_gives_labels_and_masks_of_the_mvtec_layout(tmp_path: Path, fill: Fill) -> None:
    fill(tmp_path / "train/good", 2)
    fill(tmp_path / "test/good", 2, first=5)
    fill(tmp_path / "test/crack", 2, first=10)
    masks = fill(tmp_path / "ground_truth/crack", 2, first=10)
    masks[0].rename(masks[0].with_name("10_mask.png"))
    found = labelled_test(tmp_path)
    assert [(path.name, label, mask and mask.name) for path, label, mask in found] == [
        ("5.png", "good", None),
        ("6.png", "good", None),
        ("10.png", "crack", "10_mask.png"),
        ("11.png", "crack", "11.png"),
    ]


def test_masks_of_images_in_folders_of_a_defect_are_looked_for_there_and_by_any_suffix(tmp_path: Path, fill: Fill) -> None:
    fill(tmp_path / "test/good", 2, first=5)
    for place in ("a", "b"):
        fill(tmp_path / f"test/crack/{place}", 1, first=10)
    (mask,) = fill(tmp_path / "ground_truth/crack/b", 1, first=10)
    mask = mask.rename(mask.with_name("10_mask.PNG"))
    assert [found for _, label, found in labelled_test(tmp_path) if label == "crack"] == [None, mask]


def test_labelled_test_takes_normal_beside_anomalous_and_refuses_one_kind_alone(tmp_path: Path, fill: Fill) -> None:
    fill(tmp_path / "normal", 2)
    with pytest.raises(FolderError, match="no anomalous test images"):
        labelled_test(tmp_path)
    fill(tmp_path / "anomalous", 1, first=5)
    assert [label for _, label, _ in labelled_test(tmp_path)] == ["good", "good", "anomalous"]
    with pytest.raises(FolderError, match="normal"):
        labelled_test(tmp_path / "anomalous")
    for nothing in (tmp_path / "nowhere", next((tmp_path / "anomalous").iterdir())):
        with pytest.raises(FolderError, match="is not a folder"):
            labelled_test(nothing)
