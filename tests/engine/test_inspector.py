"""Inspecting: the same bits each time, batches like singles, contributions that add up, and clear refusals."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from panda_core import inspector as inspector_module
from panda_core.checkpoint import Model
from panda_core.data.images import list_images
from panda_core.errors import ImageError, PandaError
from panda_core.inspection import Evidence, Inspection
from panda_core.inspector import Inspector, examine_images
from panda_core.roi import RegionOfInterest, Shape

HAS_CUDA = torch.cuda.is_available()


def test_the_same_image_gives_the_same_inspection_to_the_bit(inspector: Inspector, scarred_pictures: list[np.ndarray]) -> None:
    first, second = (inspector.inspect(scarred_pictures[0]) for _ in range(2))
    assert first.score == second.score and first.errors == second.errors
    assert np.array_equal(first.anomaly_map, second.anomaly_map) and np.array_equal(first.reconstruction, second.reconstruction)


def test_a_batch_gives_what_its_images_give_alone(inspector: Inspector, normal_pictures: list[np.ndarray]) -> None:
    together = examine_images(inspector.model, normal_pictures, batch=len(normal_pictures))
    for alone, batched in zip(examine_images(inspector.model, normal_pictures, batch=1), together, strict=True):
        assert dict(batched.errors) == pytest.approx(dict(alone.errors), rel=1e-5, abs=1e-5)


def test_images_that_would_fill_the_memory_together_wait_for_each_other(
    inspector: Inspector, normal_pictures: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = normal_pictures[0].shape[0] * normal_pictures[0].shape[1]
    monkeypatch.setattr(inspector_module, "BATCH_PIXELS", 2 * pixels)
    groups: list[int] = []
    examine = inspector_module._examine_batch

    def count(model: Model, images: Sequence[np.ndarray], seen: np.ndarray | None) -> list[Evidence]:
        groups.append(len(images))
        return examine(model, images, seen)

    monkeypatch.setattr(inspector_module, "_examine_batch", count)
    found = list(inspector.inspect_many(normal_pictures[:5], batch=4))
    assert groups == [2, 2, 1] and all(isinstance(one, Inspection) for one in found)


def test_a_region_smaller_than_a_cell_still_has_one() -> None:
    seen = np.zeros((64, 64), bool)
    seen[30, 40] = True
    cells = inspector_module._cells(seen, 8, torch.device("cpu"))
    assert cells is not None and cells.nonzero().tolist() == [[0, 3, 5]]


def test_contributions_add_up_to_the_score(inspector: Inspector, normal_pictures: list[np.ndarray]) -> None:
    for seen in inspector.inspect_many(normal_pictures):
        assert isinstance(seen, Inspection)
        assert sum(seen.contributions.values()) == pytest.approx(seen.score, abs=1e-9)
        assert seen.contributions.keys() <= seen.errors.keys()


def test_a_scar_raises_the_score_and_the_map(
    inspector: Inspector, normal_pictures: list[np.ndarray], scarred_pictures: list[np.ndarray]
) -> None:
    normal, scarred = ([inspector.inspect(image) for image in images] for images in (normal_pictures, scarred_pictures))
    assert np.mean([seen.score for seen in scarred]) > np.mean([seen.score for seen in normal])
    assert np.mean([seen.anomaly_map.max() for seen in scarred]) > np.mean([seen.anomaly_map.max() for seen in normal])


def test_grey_rgb_and_opaque_rgba_of_one_image_score_the_same(inspector: Inspector, normal_pictures: list[np.ndarray]) -> None:
    grey = normal_pictures[0][:, :, 0]
    rgb = np.repeat(grey[:, :, None], 3, axis=2)
    rgba = np.concatenate([rgb, np.full((*grey.shape, 1), 255, np.uint8)], axis=2)
    assert len({inspector.inspect(image).score for image in (grey, grey[:, :, None], rgb, rgba)}) == 1


def test_the_content_of_a_file_scores_as_the_file(inspector: Inspector, toy_folder: Path) -> None:
    path = toy_folder / "test" / "good" / "000.png"
    assert inspector.inspect(path.read_bytes()).score == inspector.inspect(path).score
    (refused,) = inspector.inspect_many([path.read_bytes()[:200]])
    assert isinstance(refused, ImageError) and refused.path == "bytes" and "truncated" in refused.reason
    with pytest.raises(TypeError, match="one bytes"):
        next(inspector.inspect_many(path.read_bytes()))


def test_an_array_of_16_bits_scores_as_its_file(inspector: Inspector, normal_pictures: list[np.ndarray], tmp_path: Path) -> None:
    deep = normal_pictures[0].astype(np.uint16) * 40 + 1000
    cv2.imwrite(str(tmp_path / "deep.png"), deep[:, :, ::-1])
    wanted = inspector.inspect(tmp_path / "deep.png").score
    assert inspector.inspect(deep).score == inspector.inspect(deep.astype(">u2")).score == wanted


def test_an_array_of_many_images_is_many(inspector: Inspector, normal_pictures: list[np.ndarray]) -> None:
    wanted = [inspector.inspect(image).score for image in normal_pictures[:3]]
    assert [one.score for one in inspector.inspect_many(np.stack(normal_pictures[:3])) if isinstance(one, Inspection)] == pytest.approx(
        wanted, rel=1e-4
    )


def test_an_inspector_can_be_sent_to_another_process(inspector: Inspector, normal_pictures: list[np.ndarray]) -> None:
    assert pickle.loads(pickle.dumps(inspector)).inspect(normal_pictures[0]).score == inspector.inspect(normal_pictures[0]).score


def test_transparent_pixels_are_laid_on_white(inspector: Inspector) -> None:
    rgba = np.zeros((40, 40, 4), np.uint8)
    assert (inspector.inspect(rgba).image == 255).all()


def test_the_callers_array_stays_theirs(inspector: Inspector, normal_pictures: list[np.ndarray]) -> None:
    mine = normal_pictures[0].copy()
    seen = inspector.inspect(mine)
    mine[:] = 0
    assert seen.image.any() and mine.flags.writeable and not seen.image.flags.writeable


@pytest.mark.parametrize(
    ("item", "got"),
    [
        (np.zeros((8, 8, 3), np.float32), "float32 of shape (8, 8, 3)"),
        (np.zeros((8, 8, 3), np.int64), "int64"),
        (np.zeros((8, 8, 2), np.uint8), "(8, 8, 2)"),
        (np.zeros((8, 8, 4), np.uint16), "uint16 of shape (8, 8, 4)"),
        (np.zeros((8, 8, 3, 1), np.uint8), "(8, 8, 3, 1)"),
        (np.zeros((0, 8, 3), np.uint8), "(0, 8, 3)"),
        (np.zeros(8, np.uint8), "(8,)"),
        (None, "NoneType"),
        ([[1, 2], [3, 4]], "list"),
    ],
    ids=["float", "int64", "two-channels", "deep-rgba", "four-axes", "empty", "flat", "none", "list"],
)
def test_other_arrays_are_refused_with_what_was_expected_and_what_came(inspector: Inspector, item: object, got: str) -> None:
    with pytest.raises(ImageError, match="expected") as caught:
        inspector.inspect(item)  # type: ignore[arg-type]
    assert got in str(caught.value)


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_many_keep_their_order_and_an_error_its_place(inspector: Inspector, toy_folder: Path, tmp_path: Path, batch: int) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    good = list_images(toy_folder / "test" / "good")[:3]
    items = [good[0], broken, good[1], tmp_path / "none.png", good[2]]
    found = list(inspector.inspect_many(items, batch=batch))
    assert [isinstance(entry, ImageError) for entry in found] == [False, True, False, True, False]
    assert [entry.path if isinstance(entry, ImageError) else entry.source for entry in found] == [str(item) for item in items]


def test_an_image_in_which_the_region_has_no_pixel_does_not_end_the_others(inspector: Inspector, normal_pictures: list[np.ndarray]) -> None:
    region = RegionOfInterest((Shape("rectangle", "include", ((0.5, 0.0), (0.52, 1.0))),))
    found = list(inspector.inspect_many([np.zeros((8, 8, 3), np.uint8), normal_pictures[0]], roi=region))
    assert isinstance(found[0], ImageError) and "too small" in found[0].reason
    assert isinstance(found[1], Inspection)


def test_no_items_give_no_inspections(inspector: Inspector) -> None:
    assert list(inspector.inspect_many([])) == []


@pytest.mark.parametrize("shape", [(31, 77), (90, 20), (1, 1), (1, 200)], ids=str)
def test_maps_have_the_size_of_the_image(inspector: Inspector, shape: tuple[int, int]) -> None:
    seen = inspector.inspect(np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8))
    assert seen.anomaly_map.shape == seen.residual.shape == shape
    assert seen.image.shape == seen.reconstruction.shape == (*shape, 3)
    assert seen.residual.min() >= 0 and seen.residual.max() <= 1 and np.isfinite(seen.anomaly_map).all()
    assert 0 <= seen.gauge <= 1 and 0 < seen.p_value <= 1


@pytest.mark.skipif(HAS_CUDA, reason="there is a GPU")
def test_a_device_that_is_absent_is_refused_naming_those_there_are(tiny_model: Path) -> None:
    with pytest.raises(PandaError, match=r"no device 'cuda'.*cpu"):
        Inspector.load(tiny_model, device="cuda")
