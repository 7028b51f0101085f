"""Marks given back: a labelled calibration with a real model, and false alarms among the training images."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from panda_core.card import read_card
from panda_core.checkpoint import load_model
from panda_core.data.folders import scan
from panda_core.data.images import content_hash, list_images
from panda_core.errors import CalibrationError, FolderError, ModelError
from panda_core.feedback import MINIMUM_NORMAL, add_to_training, recalibrate
from panda_core.origins import read_origins
from panda_core.presets import TINY


@pytest.fixture(scope="module")
def normal(toy_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Images that the model was not trained on: those to test with, as they are and turned."""
    folder = tmp_path_factory.mktemp("marked")
    for path in list_images(toy_folder / "test" / "good"):
        shutil.copy(path, folder)
        cv2.imwrite(str(folder / f"turned{path.name}"), np.asarray(cv2.imread(str(path)))[:, ::-1])
    return list_images(folder)[:MINIMUM_NORMAL]


@pytest.fixture(scope="module")
def anomalous(toy_folder: Path) -> list[Path]:
    return list_images(toy_folder / "test" / "scar")


def test_marked_images_give_a_copy_of_the_model_a_labelled_calibration(
    tiny_model: Path, normal: list[Path], anomalous: list[Path], tmp_path: Path
) -> None:
    before = (tiny_model / "card.json").read_bytes()
    assert read_card(tiny_model).metrics, "there is something that must not be said of the copy"
    steps: list[tuple[int, int]] = []
    calibration = recalibrate(
        tiny_model, normal, anomalous, tmp_path / "autumn", device="cpu", on_progress=lambda done, total: steps.append((done, total))
    )
    saved = load_model(tmp_path / "autumn")
    assert saved.name == "autumn" and json.loads((tmp_path / "autumn" / "card.json").read_text())["name"] == "autumn"
    assert saved.card.title == "autumn" and saved.card.metrics == ()
    assert saved.calibration is not None and saved.calibration.boundary == calibration.boundary
    assert calibration.count == len(normal) and calibration.anomalous_scores.size == len(anomalous)
    assert calibration.operating_point is None
    assert steps[-1] == (len(normal) + len(anomalous),) * 2
    assert (tiny_model / "card.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["autumn"], "nothing is left beside the model"


def test_the_copys_card_counts_the_images_that_were_used(
    tiny_model: Path, normal: list[Path], anomalous: list[Path], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG broken")
    recalibrate(tiny_model, [*normal, broken], [*anomalous, tmp_path / "gone.png"], tmp_path / "autumn", device="cpu")
    card = read_card(tmp_path / "autumn")
    assert f"calibrated on {len(normal)} normal and {len(anomalous)} anomalous images" in card.limits[-1]
    assert card.data.validation == len(normal)


def test_too_few_or_contradicting_marks_are_refused_with_what_to_do(
    toy_folder: Path, tiny_model: Path, normal: list[Path], anomalous: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(CalibrationError, match=r"3 images marked anomalous can be used; at least 4.*Mark 1 more.*key A"):
        recalibrate(tiny_model, normal, anomalous[:3], out)
    with pytest.raises(CalibrationError, match=r"1 image marked normal can be used.*Mark 9 more.*key N"):
        recalibrate(tiny_model, normal[:1], anomalous, out)
    with pytest.raises(CalibrationError, match=r"5 images marked normal can be used"):  # the same ones twice
        recalibrate(tiny_model, normal[:5] * 2, anomalous, out)
    with pytest.raises(CalibrationError, match="marked normal and anomalous"):
        recalibrate(tiny_model, normal, [*anomalous, normal[0]], out)
    trained = list_images(toy_folder / "train" / "good")
    with pytest.raises(CalibrationError, match=r"8 images marked normal can be used.*trained on \d+ that are marked normal.*Mark 2 more"):
        held_out = [path for path in trained if not read_origins(tiny_model).has_trained_on(content_hash(path))]
        recalibrate(tiny_model, [*normal[: 8 - len(held_out)], *trained], anomalous, out)
    assert not out.exists()


def test_a_name_in_use_and_a_missing_model_are_refused(tiny_model: Path, normal: list[Path], anomalous: list[Path], tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    with pytest.raises(FolderError, match="Choose another name"):
        recalibrate(tiny_model, normal, anomalous, tmp_path / "taken")
    with pytest.raises(ModelError):
        recalibrate(tmp_path / "nothing", normal, anomalous, tmp_path / "out")


def test_a_copy_that_cannot_be_written_is_said_in_words(
    tiny_model: Path, normal: list[Path], anomalous: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ModelError, match=r"autumn cannot be written \(No space left on device\)"):
        recalibrate(tiny_model, normal, anomalous, tmp_path / "autumn", device="cpu")
    assert list(tmp_path.iterdir()) == []


def draw(path: Path, seed: int) -> Path:
    cv2.imwrite(str(path), np.random.default_rng(seed).integers(0, 255, (16, 16, 3), np.uint8))
    return path


@pytest.mark.parametrize("layout", ["train/good", "train", "normal", "."])
def test_false_alarms_join_the_images_the_training_reads(tmp_path: Path, layout: str) -> None:
    place = tmp_path / "data" / layout
    place.mkdir(parents=True)
    known = draw(place / "part.png", 0)
    for number in range(1, 12):
        draw(place / f"{number}.png", number)
    (place / "gone.png").symlink_to(tmp_path / "nowhere.png")
    new = [draw(tmp_path / f"alarm{number}.png", 100 + number) for number in range(2)]
    twin = tmp_path / "twin.png"
    twin.write_bytes(known.read_bytes())
    wanted = [(new[0], "part.png"), (new[1], "other.png"), (new[1], "again.png"), (twin, "twin.png"), (tmp_path / "gone.png", "gone.png")]
    added = add_to_training(wanted, tmp_path / "data")
    assert (added.folder, added.added, added.known, added.unreadable) == (place, 2, 2, 1)
    assert (place / "part_2.png").read_bytes() == new[0].read_bytes() and (place / "other.png").is_file()
    splits = scan(tmp_path / "data", data=TINY.data, seed=0)
    assert {place / "part_2.png", place / "other.png"} <= {*splits.train, *splits.validation}
    assert not [path for path in place.iterdir() if path.name.startswith(".")]


def test_a_failure_half_way_adds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "data"
    place.mkdir()
    files = [(draw(tmp_path / f"{number}.png", number), f"{number}.png") for number in range(3)]
    real, calls = shutil.copyfile, iter(range(9))

    def failing(source: Path, target: Path) -> object:
        if next(calls) == 2:
            raise OSError(28, "No space left on device")
        return real(source, target)

    monkeypatch.setattr(shutil, "copyfile", failing)
    with pytest.raises(FolderError, match="No space left on device"):
        add_to_training(files, place)
    assert list(place.iterdir()) == []
    with pytest.raises(FolderError, match="is not a folder"):
        add_to_training(files, tmp_path / "nowhere")
