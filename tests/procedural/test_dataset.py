"""The written folder: MVTec layout, complete or absent, never over somebody's files."""

import numpy as np
import pytest
from PIL import Image

from panda_core.errors import FolderError
from panda_core.procedural import gallery
from panda_core.procedural.dataset import KINDS, write_dataset


@pytest.mark.parametrize("kind", KINDS)
def test_the_layout_is_mvtec_with_a_mask_for_every_anomalous_picture(tmp_path, kind):
    out = tmp_path / "new" / "set"
    write_dataset(out, kind=kind, count=8, seed=50, size=48)
    counts = {folder: len(list((out / folder).glob("*.png"))) for folder in ("train/good", "test/good")}
    assert counts == {"train/good": 8, "test/good": 2}
    for anomaly in KINDS[kind][1]:
        (image,) = (out / "test" / anomaly).iterdir()
        with Image.open(out / "ground_truth" / anomaly / f"{image.stem}_mask.png") as file:
            mask = np.asarray(file)
        assert mask.shape == (48, 48) and set(np.unique(mask)) <= {0, 255}
        with Image.open(image) as picture:
            assert picture.mode == "RGB"
    assert len(list(tmp_path.rglob(".*"))) == 0


def test_the_note_says_synthetic_kind_and_seed(tmp_path):
    write_dataset(tmp_path / "set", kind="leaf", count=1, seed=77, size=32)
    note = (tmp_path / "set" / "README.txt").read_text(encoding="utf-8")
    assert "synthetic" in note and "kind: leaf" in note and "seed: 77" in note


def test_the_same_arguments_write_the_same_files(tmp_path):
    for name in ("a", "b"):
        write_dataset(tmp_path / name, kind="xray", count=2, seed=4, size=32)
    first, second = ({p.relative_to(tmp_path / n): p.read_bytes() for p in (tmp_path / n).rglob("*.*")} for n in ("a", "b"))
    assert first == second


def test_no_picture_occurs_twice(tmp_path):
    write_dataset(tmp_path / "set", kind="leaf", count=4, seed=0, size=32)
    files = [p.read_bytes() for folder in ("train", "test") for p in (tmp_path / "set" / folder).rglob("*.png")]
    assert len(set(files)) == len(files) == 8


def test_progress_counts_up_to_the_total(tmp_path):
    seen = []
    write_dataset(tmp_path / "set", kind="leaf", count=2, seed=0, size=32, on_image=lambda done, total: seen.append((done, total)))
    assert seen == [(i, 6) for i in range(1, 7)]


def test_a_folder_with_files_is_refused_and_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(FolderError, match="not empty"):
        write_dataset(tmp_path, kind="leaf", count=1, seed=0, size=32)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
    with pytest.raises(FolderError, match="is a file"):
        write_dataset(tmp_path / "mine.txt", kind="leaf", count=1, seed=0, size=32)


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "set").mkdir()
    write_dataset(tmp_path / "set", kind="leaf", count=1, seed=0, size=32)
    assert (tmp_path / "set" / "train" / "good").is_dir()


def test_a_stop_half_way_leaves_nothing_behind(tmp_path):
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_dataset(tmp_path / "set", kind="leaf", count=3, seed=0, size=32, on_image=stop)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("wrong", [{"kind": "cat"}, {"count": 0}, {"seed": -1}])
def test_impossible_requests_are_refused(tmp_path, wrong):
    with pytest.raises(ValueError):
        write_dataset(tmp_path / "set", **{"kind": "leaf", "count": 1, "seed": 0, "size": 32, **wrong})
    assert not list(tmp_path.iterdir())


def test_the_gallery_writes_every_example_the_same_each_time(tmp_path, monkeypatch):
    monkeypatch.setattr(gallery, "SIZE", 64)
    paths = gallery.write_gallery(tmp_path)
    first = [p.read_bytes() for p in paths]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(f"{name}.jpg" for name in gallery.EXAMPLES)
    assert [p.read_bytes() for p in gallery.write_gallery(tmp_path)] == first
    assert all(seed >= 900_000 for _, seed, _ in gallery.EXAMPLES.values())
