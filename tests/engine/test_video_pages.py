"""A TIFF of several pages as a video: each page is what the same picture in a file of its own is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from panda_core.data.depth import FixedRange
from panda_core.data.images import read_image
from panda_core.video.sources import open_video


def write_tiff(path: Path, pages: Sequence[np.ndarray], kind: str, orientation: int) -> Path:
    """Pages that are stored as ``kind`` says, turned by ``orientation``."""
    if kind == "lzw":  # tifffile does not write it
        first, *others = map(Image.fromarray, pages)
        first.save(path, save_all=True, append_images=others, compression="tiff_lzw", tiffinfo={274: orientation})
        return path
    with tifffile.TiffWriter(path) as writer:
        for page in pages:
            tag = (274, "H", 1, orientation, True)
            writer.write(page, photometric=kind, contiguous=False, metadata=None, extratags=[tag])
    return path


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("kind", ["minisblack", "miniswhite", "rgb", "lzw"])
def test_a_page_is_the_picture_that_a_file_of_its_own_is(tmp_path: Path, kind: str, orientation: int, bits: int) -> None:
    ramp = np.add.outer(np.arange(40) * 100, np.linspace(1000, 50000, 60))
    colours = np.stack([ramp, ramp / 2, ramp / 3], axis=-1) if kind == "rgb" else ramp
    values = colours.astype(np.uint16) if bits == 16 else (colours / 257).astype(np.uint8)
    pages = [values[5 * number :] for number in range(3)]
    video = open_video(write_tiff(tmp_path / "pages.tif", pages, kind, orientation))
    for stride in (1, 2):
        frames = list(video.frames(stride=stride))
        assert [frame.index for frame in frames] == list(range(0, 3, stride)) and not video.problems
        for frame, page in zip(frames, pages[::stride], strict=True):
            alone = write_tiff(tmp_path / "page.tif", [page], kind, orientation)
            np.testing.assert_array_equal(frame.picture, read_image(alone))


def test_a_page_outside_the_range_of_the_model_is_left_out_alone(tmp_path: Path) -> None:
    pages = [np.full((40, 60), 100 if number == 1 else 5000, np.uint16) for number in range(4)]
    video = open_video(write_tiff(tmp_path / "a.tif", pages, "minisblack", 1))
    video.deep = FixedRange(4000, 6000)
    assert [frame.index for frame in video.frames()] == [0, 2, 3]
    (problem,) = video.problems
    assert problem.startswith("Page 2 ") and "another device" in problem


def test_a_tiff_that_is_cut_off_gives_its_whole_pages_and_says_so(tmp_path: Path) -> None:
    pages = [np.full((40, 60), 1000 * number, np.uint16) for number in range(1, 4)]
    whole = write_tiff(tmp_path / "a.tif", pages, "minisblack", 1).read_bytes()
    (tmp_path / "a.tif").write_bytes(whole[:-100])
    video = open_video(tmp_path / "a.tif")
    assert 0 < len(list(video.frames())) < 3
    assert video.problems == ["The video ends before page 3, which is truncated."]
