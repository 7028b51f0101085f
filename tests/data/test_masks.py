"""What counts as a true mask, and what is refused in words."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from dicom_files import write_dicom
from PIL import Image

from panda_core.data.folders import LabelledImage
from panda_core.data.masks import fit_mask, read_mask, same_shape, true_mask
from panda_core.errors import ImageError


@pytest.fixture
def marked() -> np.ndarray:
    mask = np.zeros((40, 60), bool)
    mask[10:20, 30:50] = True
    return mask


@pytest.mark.parametrize("levels", [(0, 255), (0, 1), (0, 100), (20, 240)], ids=str)
def test_any_two_levels_are_a_mask(tmp_path: Path, marked: np.ndarray, levels: tuple[int, int]) -> None:
    cv2.imwrite(str(tmp_path / "m.png"), np.where(marked, levels[1], levels[0]).astype(np.uint8))
    assert np.array_equal(read_mask(tmp_path / "m.png"), marked)


def test_numbered_classes_and_any_colour_are_marked(tmp_path: Path, marked: np.ndarray) -> None:
    classes = marked.astype(np.uint8)
    classes[10:15] *= 3
    cv2.imwrite(str(tmp_path / "classes.png"), classes)
    blue = np.zeros((*marked.shape, 3), np.uint8)
    blue[marked, 0] = 255
    cv2.imwrite(str(tmp_path / "blue.png"), blue)
    for name in ("classes.png", "blue.png"):
        assert np.array_equal(read_mask(tmp_path / name), marked)


@pytest.mark.parametrize("colour", [(255, 0, 0), (255, 255, 255), (0, 0, 0)])
def test_a_layer_marks_what_is_drawn_on_it_and_not_its_transparent_rest(
    tmp_path: Path, marked: np.ndarray, colour: tuple[int, int, int]
) -> None:
    layer = np.zeros((*marked.shape, 4), np.uint8)
    layer[marked] = (*colour, 255)
    Image.fromarray(layer).save(tmp_path / "m.png")
    assert np.array_equal(read_mask(tmp_path / "m.png"), marked)
    layer[:, :, 3] = 255
    Image.fromarray(layer).save(tmp_path / "opaque.png")
    assert np.array_equal(read_mask(tmp_path / "opaque.png"), marked if any(colour) else np.zeros_like(marked))


def test_a_deep_mask_says_what_the_same_mask_of_8_bits_says(tmp_path: Path, marked: np.ndarray) -> None:
    classes = marked.astype(np.uint16)
    classes[10:15] *= 3
    for name, mask, expected in (
        ("everywhere", np.full((40, 60), 65535, np.uint16), np.ones((40, 60), bool)),
        ("nowhere", np.zeros((40, 60), np.uint16), np.zeros((40, 60), bool)),
        ("one class everywhere", np.ones((40, 60), np.uint16), np.ones((40, 60), bool)),
        ("classes", classes, marked),
        ("two levels", np.where(marked, 60000, 4000).astype(np.uint16), marked),
    ):
        for suffix in (".png", ".tif"):
            cv2.imwrite(str(tmp_path / f"{name}{suffix}"), mask)
            assert np.array_equal(read_mask(tmp_path / f"{name}{suffix}"), expected), (name, suffix)


def test_soft_edges_and_a_jpegs_noise_move_the_edge_only(tmp_path: Path) -> None:
    mask = np.zeros((200, 300), np.uint8)
    cv2.circle(mask, (120, 90), 50, 255, -1)
    cv2.imwrite(str(tmp_path / "m.jpg"), cv2.GaussianBlur(mask, (0, 0), 2))
    assert np.mean(read_mask(tmp_path / "m.jpg") != (mask > 127)) < 0.002


@pytest.mark.parametrize("side", [128, 300, 900, 2048])
def test_thin_and_tiny_defects_are_not_lost_beside_large_ones(tmp_path: Path, side: int) -> None:
    def at_map_size(mask: np.ndarray) -> np.ndarray:
        cv2.imwrite(str(tmp_path / "m.png"), mask)
        found = true_mask(LabelledImage(tmp_path / "i.png", "scratch", tmp_path / "m.png"))
        assert found is not None and found.shape == (128, 128)
        return found

    line, dot, block = (np.zeros((side, side), np.uint8) for _ in range(3))
    cv2.line(line, (side // 10, side // 8), (side - side // 10, side // 5), 255, 1)
    dot[side // 2, side // 2] = 255
    block[side * 3 // 4 :, side // 4 : side // 2] = 255
    assert at_map_size(line)[:, 20:108].any(axis=0).mean() > 0.7 and at_map_size(dot).sum() == 1
    alone = at_map_size(block)
    assert np.array_equal(at_map_size(block | line | dot), alone | at_map_size(line) | at_map_size(dot))
    assert alone.mean() == pytest.approx(1 / 16, rel=0.1), "a large one does not grow"


def test_an_empty_mask_marks_nothing(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "m.png"), np.zeros((8, 8), np.uint8))
    assert not read_mask(tmp_path / "m.png").any()


def test_a_photograph_and_a_text_are_no_masks(tmp_path: Path) -> None:
    photo = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (90, 90, 3)).astype(np.uint8), (0, 0), 2)
    cv2.imwrite(str(tmp_path / "photo.png"), photo)
    (tmp_path / "text.png").write_text("text")
    with pytest.raises(ImageError, match="too many shades"):
        read_mask(tmp_path / "photo.png")
    with pytest.raises(ImageError, match="is text"):
        read_mask(tmp_path / "text.png")


def test_a_mask_is_brought_to_another_size_without_new_values(marked: np.ndarray) -> None:
    assert np.array_equal(fit_mask(fit_mask(marked, 80, 120), 40, 60), marked)
    assert fit_mask(marked, 7, 11).shape == (7, 11)


def test_only_the_proportion_of_the_sides_counts(marked: np.ndarray) -> None:
    assert same_shape(marked, 400, 600) and same_shape(marked, 401, 600)
    assert not same_shape(marked, 600, 400) and not same_shape(marked, 400, 560)


@pytest.mark.parametrize("value", [1, 255])
def test_a_dicom_mask_of_8_bits_may_mark_everything(tmp_path: Path, value: int) -> None:
    assert read_mask(write_dicom(tmp_path / "mask.dcm", np.full((8, 8), value, np.uint8))).all()
