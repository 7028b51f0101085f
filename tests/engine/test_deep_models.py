"""A model that reads deep images by one range reads every image so, from the first look at the folder to the last inspection."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile

from panda_core.calibration import calibrate
from panda_core.card import read_card
from panda_core.checkpoint import load_model
from panda_core.data import images
from panda_core.data.decoding import decode
from panda_core.data.depth import FixedRange, Stretch
from panda_core.data.folders import labelled_test
from panda_core.data.images import list_images, read_image
from panda_core.errors import ImageError
from panda_core.estimate import estimate
from panda_core.evaluation import evaluate
from panda_core.inspector import Inspector
from panda_core.presets import preset
from panda_core.runs import RunDir
from panda_core.trainer import run_training
from panda_core.ui.engine import LocalEngine
from panda_core.ui.video_session import VideoSession
from panda_core.video.sources import open_video

RANGE = FixedRange(1000.0, 1000.0 + 40 * 255)
CONFIG = preset("tiny").override(
    **{
        "data.deep_low": RANGE.low,
        "data.deep_high": RANGE.high,
        "percept.enabled": True,
        "percept.size": 64,
        "percept.dimensions": 12,
        "percept.top": 4,
        "train.precision": "fp32",
    }
)
Heard = list[Stretch]


@pytest.fixture(scope="module")
def deep_folder(toy_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy folder with values of 16 bits of which RANGE makes the same pictures; no masks."""
    folder = Path(shutil.copytree(toy_folder, tmp_path_factory.mktemp("deep") / "discs"))
    shutil.rmtree(folder / "ground_truth", ignore_errors=True)
    for path in list_images(folder):
        cv2.imwrite(str(path), read_image(path)[:, :, ::-1].astype(np.uint16) * 40 + 1000)
    return folder


def listen(patch: pytest.MonkeyPatch) -> Heard:
    """From now on, how each image is read."""
    found: Heard = []

    def decode_and_tell(data: bytes, suffix: str, *, deep: Stretch) -> Any:
        found.append(deep)
        return decode(data, suffix, deep=deep)

    patch.setattr(images, "decode", decode_and_tell)
    return found


@pytest.fixture(scope="module")
def deep_model(deep_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = RunDir.create(tmp_path_factory.mktemp("runs") / "deep", CONFIG, deep_folder)
    with pytest.MonkeyPatch.context() as patch:
        found = listen(patch)
        assert run_training(run, device="cpu") == "done"
    assert set(found) == {RANGE}, "the training read images another way"
    return run.model_path


def test_the_range_is_kept_with_the_model(deep_model: Path) -> None:
    data = read_card(deep_model).config.data
    assert (data.deep_low, data.deep_high) == (RANGE.low, RANGE.high)


def test_an_inspection_is_that_of_the_same_picture_in_8_bits(deep_model: Path, deep_folder: Path, toy_folder: Path) -> None:
    inspector = Inspector.load(deep_model)
    for path in list_images(deep_folder / "test")[:4]:
        deep, shallow = inspector.inspect(path), inspector.inspect(toy_folder / path.relative_to(deep_folder))
        assert np.array_equal(deep.image, shallow.image) and deep.score == shallow.score
        (many,) = inspector.inspect_many([path])
        assert many.score == pytest.approx(deep.score, rel=1e-4)  # type: ignore[union-attr]


def test_calibrating_measuring_and_estimating_read_by_the_range(
    deep_model: Path, deep_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, heard = load_model(deep_model), listen(monkeypatch)
    test = [sample.path for sample in labelled_test(deep_folder)]
    calibrate(model, list_images(deep_folder / "train" / "good"), anomalous_paths=test[-4:], scoring=model.config.scoring)
    report = evaluate(Inspector(model), deep_folder)
    assert report.trivial_auroc is not None
    estimate(CONFIG, deep_folder, device="cpu")
    assert set(heard) == {RANGE} and len(heard) > 3 * len(test)


def test_an_image_of_another_device_is_refused_with_both_ranges(deep_model: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((40, 40), 300, np.uint16))
    (found,) = Inspector.load(deep_model).inspect_many([tmp_path / "a.png"])
    assert "values from 300 to 300, all outside the range from 1000 to 11200" in str(found)


def test_arrays_are_read_by_the_models_range(deep_model: Path, deep_folder: Path, toy_folder: Path) -> None:
    path = list_images(deep_folder / "test" / "good")[0]
    inspector = Inspector.load(deep_model)
    array = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[:, :, ::-1]
    assert inspector.inspect(array).score == inspector.inspect(path).score
    with pytest.raises(ImageError, match="all outside the range"):
        inspector.inspect(np.full((40, 40), 300, np.uint16))


def test_pages_of_a_video_are_read_by_the_models_range(deep_model: Path, deep_folder: Path, toy_folder: Path, tmp_path: Path) -> None:
    paths = list_images(deep_folder / "test" / "good")[:2]
    with tifffile.TiffWriter(tmp_path / "pages.tif") as writer:
        for path in paths:
            writer.write(cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[:, :, ::-1], photometric="rgb", contiguous=False, metadata=None)
    session = VideoSession(LocalEngine(model=str(deep_model), device="cpu"))
    try:
        session.score(str(deep_model), lambda place, stop: open_video(tmp_path / "pages.tif"))
        assert session.job is not None and session.job.wait(60)
        assert not session.job.message and session.video is not None
        inspector = Inspector.load(deep_model)
        wanted = [inspector.inspect(toy_folder / path.relative_to(deep_folder)).score for path in paths]
        assert [one.score for one in session.scores] == pytest.approx(wanted, rel=1e-4)
    finally:
        session.close()
