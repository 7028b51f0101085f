"""The data check counts what is there, names what is wrong, and asks about what does not belong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from panda_core.__main__ import panda
from panda_core.config import DataConfig
from panda_core.data.folders import scan
from panda_core.data.outliers import MINIMUM, find_odd
from panda_core.data.survey import survey
from panda_core.errors import FolderError
from panda_core.procedural.dataset import write_dataset

DATA = DataConfig(size=32)


@pytest.fixture(scope="module")
def leaves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty drawn leaves in MVTec layout; read-only."""
    folder = tmp_path_factory.mktemp("survey") / "leaves"
    write_dataset(folder, kind="leaf", count=40, seed=3, size=64)
    return folder


@pytest.fixture
def folder(leaves: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(leaves, tmp_path / "leaves"))


def good(folder: Path) -> list[Path]:
    return sorted((folder / "train" / "good").iterdir())


def test_a_clean_folder_has_no_suspect_and_is_split_as_the_training_does(leaves: Path) -> None:
    found = survey(leaves, data=DATA)
    splits = scan(leaves, data=DATA, seed=0)
    assert (found.normal, found.train, found.validation) == (40, len(splits.train), len(splits.validation))
    assert found.usable and not found.suspects and not found.duplicates and not found.unreadable
    assert found.sizes == (("64 × 64", 40),) and found.kinds == (("PNG, colour", 40),) and found.test > 0
    assert any("40 normal images are few" in sentence and f"1 in {found.validation + 1}" in sentence for sentence in found.advice)


@pytest.mark.parametrize("kind", ["leaf", "xray"])
def test_pictures_of_another_object_are_asked_about_first(kind: str, tmp_path: Path) -> None:
    folder, foreign = tmp_path / "folder", tmp_path / "foreign"
    write_dataset(folder, kind=kind, count=60, seed=1, size=96)  # type: ignore[arg-type]
    write_dataset(foreign, kind="xray" if kind == "leaf" else "leaf", count=4, seed=2, size=96)
    planted = {shutil.copy(path, folder / "train" / "good" / f"foreign_{path.name}").name for path in good(foreign)[:2]}
    suspects = survey(folder, data=DATA).suspects
    assert {Path(suspect.path).name for suspect in suspects} == planted
    assert all(suspect.reason and suspect.distance > 0 and len(suspect.sha256) == 64 for suspect in suspects)


def test_what_a_person_leaves_out_is_counted_and_gone(folder: Path) -> None:
    cv2.imwrite(str(folder / "train" / "good" / "black.png"), np.zeros((64, 64, 3), np.uint8))
    before = survey(folder, data=DATA)
    (suspect,) = before.suspects
    assert suspect.path.endswith("black.png") and suspect.reason == "blank or much blurrier than the rest"
    after = survey(folder, data=DATA, exclude=[suspect.sha256])
    assert (after.normal, after.suspects) == (before.normal - 1, ())
    assert [(one.path, one.sha256) for one in after.excluded] == [(suspect.path, suspect.sha256)]


def test_damaged_files_duplicates_and_near_duplicates_are_named(folder: Path) -> None:
    first, second = good(folder)[:2]
    shutil.copy(first, folder / "train" / "good" / "twin.png")
    (folder / "train" / "good" / "text.png").write_text("text")
    nearly = cv2.imread(str(second))
    assert nearly is not None
    nearly[0, 0] ^= 1
    cv2.imwrite(str(folder / "train" / "good" / "nearly.png"), nearly)
    found = survey(folder, data=DATA)
    left_out = {str(problem.path): problem.reason for problem in scan(folder, data=DATA, seed=0).problems}
    assert left_out.keys() == {path for path, _ in (*found.duplicates, *found.unreadable)}, "the training leaves out what the survey says"
    assert [(Path(path).name, Path(of).name) for path, of in found.duplicates] == [("twin.png", first.name)]
    assert [Path(path).name for path, _ in found.unreadable] == ["text.png"]
    assert any({Path(path).name for path in group} >= {second.name, "nearly.png"} for group in found.near)
    said = " ".join(found.advice)
    assert "cannot be read" in said and "same content" in said and "2 images come in 1 group of near-duplicates" in said


def test_too_few_images_are_said_and_cannot_be_trained_on(tmp_path: Path) -> None:
    for number in range(5):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((40, 40), 40 * number, np.uint8))
    found = survey(tmp_path, data=DATA)
    assert not found.usable and (found.normal, found.validation) == (5, 0) and "20 are needed" in found.advice[0]


def test_mixed_sizes_kinds_and_small_images_are_said(folder: Path) -> None:
    cv2.imwrite(str(folder / "train" / "good" / "wide.jpg"), np.full((20, 90), 120, np.uint8))
    cv2.imwrite(str(folder / "train" / "good" / "deep.tif"), np.arange(64 * 64, dtype=np.uint16).reshape(64, 64))
    found = survey(folder, data=DATA)
    assert dict(found.sizes)["90 × 20"] == 1
    assert {kind for kind, _ in found.kinds} == {"PNG, colour", "JPEG, grey", "TIFF, grey, 16 bit"}
    said = " ".join(found.advice)
    assert "sizes" in said and "one kind" in said and "smaller than 32 pixels" in said


def test_it_can_be_ended_from_within_and_a_wrong_folder_is_an_error(leaves: Path, tmp_path: Path) -> None:
    class Ended(Exception):
        pass

    def end(done: int, total: int) -> None:
        assert total == 40
        if done == 3:
            raise Ended

    with pytest.raises(Ended):
        survey(leaves, data=DATA, on_progress=end)
    with pytest.raises(FolderError, match="not a folder"):
        survey(tmp_path / "nowhere", data=DATA)


def test_a_handful_of_images_has_no_rest_to_be_unlike_of() -> None:
    few = np.zeros((MINIMUM - 1, 4), np.float32)
    few[0] = 1
    assert find_odd(few, np.zeros((MINIMUM - 1, 7))) == []


def test_the_command_says_what_to_look_at(folder: Path) -> None:
    cv2.imwrite(str(folder / "train" / "good" / "black.png"), np.zeros((64, 64, 3), np.uint8))
    shown = CliRunner().invoke(panda, ["check", str(folder), "--preset", "tiny"])
    assert shown.exit_code == 0 and "black.png" in shown.output and "held out" in shown.output
    document = json.loads(CliRunner().invoke(panda, ["check", str(folder), "--json"]).stdout)
    assert document["normal"] == 41 and len(document["suspects"]) == 1


def test_the_command_says_by_its_exit_code_that_no_training_can_start(folder: Path) -> None:
    for path in sorted((folder / "train" / "good").iterdir())[3:]:
        path.unlink()
    for options in ((), ("--json",)):
        found = CliRunner().invoke(panda, ["check", str(folder), *options])
        assert found.exit_code == 1 and "too few" in found.stdout
