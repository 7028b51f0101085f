"""One range for all deep images: what a value means does not depend on what else is in its picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from dicom_files import write_dicom
from numpy.typing import NDArray
from PIL import Image

from panda_core.config import DataConfig
from panda_core.data.batches import Batches
from panda_core.data.depth import FixedRange, stretch, stretch_for
from panda_core.data.folders import scan
from panda_core.data.images import read_image
from panda_core.data.survey import survey
from panda_core.errors import ConfigError, ImageError

Draw = Callable[..., NDArray[np.uint8]]
LOW, HIGH = 1000, 1000 + 40 * 255
RANGE = FixedRange(LOW, HIGH)


def deepen(picture: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Values of 16 bits of which RANGE makes exactly this picture."""
    return picture.astype(np.uint16) * 40 + LOW


@pytest.mark.parametrize("kind", ["png", "tif", "float.tif", "dcm", "window.dcm"])
def test_by_one_range_every_container_gives_the_same_picture(tmp_path: Path, draw: Draw, kind: str) -> None:
    picture = draw(0)[:, :, 0] // 2 + 60  # its own range is another one
    path, values = tmp_path / f"a.{kind}", deepen(picture)
    if kind == "png":
        cv2.imwrite(str(path), values)
    elif kind.endswith("tif"):
        tifffile.imwrite(path, values.astype(np.float32) if kind.startswith("float") else values)
    else:
        write_dicom(path, values, **({"WindowCenter": "5000", "WindowWidth": "300"} if kind.startswith("window") else {}))
    assert np.array_equal(read_image(path, deep=RANGE)[:, :, 1], picture)
    assert not np.array_equal(read_image(path)[:, :, 1], picture)


def test_a_dense_object_changes_no_pixel_but_its_own(tmp_path: Path, draw: Draw) -> None:
    values = deepen(draw(0) // 4 + 150)
    found = []
    for name in ("plain", "dense"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), values)
        found.append([read_image(tmp_path / f"{name}.png", deep=deep).astype(int) for deep in (RANGE, stretch)])
        values[5:15, 5:15] = LOW
    (plain, own_plain), (dense, own_dense) = found
    elsewhere = np.ones(plain.shape, bool)
    elsewhere[5:15, 5:15] = False
    assert np.array_equal(plain[elsewhere], dense[elsewhere]) and (dense[5:15, 5:15] == 0).all()
    assert np.abs(own_plain - own_dense)[elsewhere].max() > 100


def test_pictures_of_8_bits_are_kept_and_values_beyond_the_range_clipped(tmp_path: Path, draw: Draw) -> None:
    picture = draw(0)
    Image.fromarray(picture).save(tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "a.png", deep=RANGE), picture)
    shallow = write_dicom(tmp_path / "a.dcm", picture[:, :, 0].copy())
    assert np.array_equal(read_image(shallow, deep=RANGE), read_image(shallow))
    values = np.array([[0, LOW, HIGH, 65535]] * 4, np.uint16)
    cv2.imwrite(str(tmp_path / "b.png"), values)
    assert read_image(tmp_path / "b.png", deep=RANGE)[0, :, 0].tolist() == [0, 0, 255, 255]
    tifffile.imwrite(tmp_path / "c.tif", np.where(values == LOW, np.nan, values).astype(np.float32))
    assert read_image(tmp_path / "c.tif", deep=RANGE)[0, :, 0].tolist() == [0, 0, 255, 255]


def test_the_colours_of_a_palette_are_no_measured_values(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 256).astype("<u2")
    tables: dict[str, object] = {}
    for colour, table in (("Red", ramp), ("Green", ramp[::-1]), ("Blue", ramp)):
        tables[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        tables[f"{colour}PaletteColorLookupTableData"] = table.tobytes()
    frame = np.arange(256, dtype=np.uint8).reshape(16, 16)
    path = write_dicom(tmp_path / "a.dcm", frame, photometric="PALETTE COLOR", **tables)
    assert np.array_equal(read_image(path, deep=RANGE), read_image(path)) and read_image(path)[0, 0].tolist() == [0, 255, 0]
    half = write_dicom(tmp_path / "b.dcm", frame // 2, photometric="PALETTE COLOR", **tables)
    assert read_image(half).max(axis=(0, 1)).tolist() == [127, 255, 127], "the colours of the table, whatever the image has of them"


@pytest.mark.parametrize("value", [LOW - 1, HIGH + 1])
def test_a_picture_wholly_outside_the_range_is_refused(tmp_path: Path, value: int) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((8, 8), value, np.uint16))
    with pytest.raises(ImageError, match=f"values from {value} to {value}, all outside the range from 1000 to 11200.*another device"):
        read_image(tmp_path / "a.png", deep=RANGE)


def test_the_configuration_says_how_deep_values_are_read() -> None:
    assert stretch_for(DataConfig()) is stretch
    assert stretch_for(DataConfig(deep_low=-1000, deep_high=0)) == FixedRange(-1000, 0)
    for low, high in ((5.0, 5.0), (9.0, 1.0), (1.0, 0.0)):
        with pytest.raises(ConfigError, match=r"data.deep_high is .*above data.deep_low.*or set both to 0"):
            DataConfig(deep_low=low, deep_high=high)


@pytest.fixture
def deep_folder(tmp_path: Path, draw: Draw) -> Path:
    folder = tmp_path / "deep"
    folder.mkdir()
    for seed in range(24):
        cv2.imwrite(str(folder / f"{seed}.png"), deepen(draw(seed)[:, :, ::-1] // 2 + 60))
    return folder


def test_the_check_of_a_folder_tells_the_range_until_it_is_set(deep_folder: Path) -> None:
    found = survey(deep_folder, data=DataConfig(size=32))
    low, high = found.deep_range
    assert found.deep == 24 and LOW + 60 * 40 <= low < high <= LOW + 188 * 40
    (sentence,) = (said for said in found.advice if "deeper than 8 bits" in said)
    assert f"set data.deep_low to {low:g} and data.deep_high to {high:g}" in sentence
    found = survey(deep_folder, data=DataConfig(size=32, deep_low=low, deep_high=high))
    assert found.deep == 24 and found.usable
    (sentence,) = (said for said in found.advice if "deeper than 8 bits" in said)
    assert sentence.endswith(f"all are read by the range from {low:g} to {high:g}.")


def test_8_bits_written_with_16_are_not_called_deep(tmp_path: Path, draw: Draw) -> None:
    for seed in range(24):
        cv2.imwrite(str(tmp_path / f"{seed}.png"), draw(seed).astype(np.uint16) * 257)
    assert survey(tmp_path, data=DataConfig(size=32)).deep == 0


def test_images_of_another_range_are_left_out_before_a_training(deep_folder: Path) -> None:
    cv2.imwrite(str(deep_folder / "other.png"), np.full((40, 48), 60_000, np.uint16))
    splits = scan(deep_folder, data=DataConfig(deep_low=LOW, deep_high=HIGH), seed=0)
    assert [problem.path.name for problem in splits.problems] == ["other.png"]
    assert "all outside the range" in splits.problems[0].reason


def test_batches_are_read_by_the_range(deep_folder: Path) -> None:
    with Batches([deep_folder / "0.png"], size=32, augment="none", batch=1, seed=0, deep=RANGE) as batches:
        seen = batches.at(0)
    assert -0.55 <= seen.min() < seen.max() <= 0.5  # 60..187 of 255
