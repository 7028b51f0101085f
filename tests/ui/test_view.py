"""A true mask chosen by hand: checked, brought to the image's size, kept for the session, given back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from engine_double import LEAF, FakeEngine, draw_spot

from panda_core.errors import ImageError
from panda_core.ui import handlers
from panda_core.ui.view import View, open_view, with_truth


def draw_mask(path: Path, *, height: int = 48, width: int = 48) -> Path:
    """The upper half is marked."""
    mask = np.zeros((height, width), np.uint8)
    mask[: height // 2] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), mask)
    return path


def truth_of(view: View) -> np.ndarray:
    return np.asarray(cv2.imread(view.payload["files"]["truth"]["path"], cv2.IMREAD_GRAYSCALE) > 127)


def open_spot(path: Path, **options: Any) -> View:
    return open_view(FakeEngine(LEAF).inspect("leaf", draw_spot(path)), **options)


def test_a_chosen_mask_has_the_size_of_the_image_and_can_be_taken_away(tmp_path: Path) -> None:
    view = open_spot(tmp_path / "a.png")
    assert "truth" not in view.payload["files"] and view.payload["truth_chosen"] is False
    chosen = with_truth(view, draw_mask(tmp_path / "m.png"))
    assert truth_of(chosen).shape == (96, 96) and truth_of(chosen)[:48].all() and not truth_of(chosen)[48:].any()
    assert chosen.payload["truth_chosen"] is True and chosen.payload["id"] == view.payload["id"]
    taken = with_truth(chosen, None)
    assert "truth" not in taken.payload["files"] and taken.payload["truth_chosen"] is False


def test_a_mask_of_another_shape_is_refused_with_both_sizes(tmp_path: Path) -> None:
    view = open_spot(tmp_path / "a.png")
    with pytest.raises(ImageError, match="60 × 48 pixels, the image 96 × 96"):
        with_truth(view, draw_mask(tmp_path / "m.png", width=60))


def test_a_chosen_mask_comes_before_the_data_sets_own_which_returns(tmp_path: Path) -> None:
    image = tmp_path / "test" / "spot" / "1.png"
    image.parent.mkdir(parents=True)
    draw_mask(tmp_path / "ground_truth" / "spot" / "1_mask.png")
    view = open_spot(image)
    assert truth_of(view).mean() == 0.5 and view.payload["truth_chosen"] is False
    empty = tmp_path / "empty.png"
    cv2.imwrite(str(empty), np.zeros((96, 96), np.uint8))
    chosen = with_truth(view, empty)
    assert not truth_of(chosen).any()
    assert truth_of(with_truth(chosen, None)).mean() == 0.5


def test_a_chosen_mask_is_there_again_when_its_image_is(tmp_path: Path) -> None:
    engine = FakeEngine(LEAF)
    first = with_truth(open_spot(tmp_path / "a.png"), draw_mask(tmp_path / "m.png"))
    other = list(handlers.inspect_file(engine, "leaf", draw_spot(tmp_path / "b.png"), truths=first.truths))[-1].view
    assert other is not None and "truth" not in other.payload["files"]
    again = list(handlers.inspect_file(engine, "leaf", tmp_path / "a.png", truths=other.truths))[-1].view
    assert again is not None and truth_of(again).mean() == 0.5 and again.payload["truth_chosen"] is True


def test_a_mask_that_is_gone_meanwhile_does_not_keep_the_image_from_opening(tmp_path: Path) -> None:
    view = with_truth(open_spot(tmp_path / "a.png"), draw_mask(tmp_path / "m.png"))
    (tmp_path / "m.png").unlink()
    assert "truth" not in open_spot(tmp_path / "a.png", truths=view.truths).payload["files"]
