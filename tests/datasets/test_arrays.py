"""MNIST and CIFAR-10 in each form they come in, and a pickle that is a program."""

from __future__ import annotations

import gzip
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from panda_core.datasets import DATASETS, prepare
from panda_core.datasets.cifar import read_batch
from panda_core.datasets.mnist import read_idx
from panda_core.errors import FolderError

CIFAR = DATASETS["cifar10"].categories
TRAIN, TEST = 6, 4
"""Images of each class in the stand-ins."""


def arrays(*, each: int, colour: bool, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """``each`` images of ten classes, in turn."""
    side = (32, 32, 3) if colour else (28, 28)
    images = np.random.default_rng(seed).integers(0, 256, (10 * each, *side), np.uint8)
    return images, np.tile(np.arange(10, dtype=np.uint8), each)


def idx(values: np.ndarray, *, kind: int = 8) -> bytes:
    return bytes([0, 0, kind, values.ndim]) + b"".join(size.to_bytes(4, "big") for size in values.shape) + values.tobytes()


def write_npz(place: Path, *, colour: bool, **more: Any) -> None:
    (x_train, y_train), (x_test, y_test) = (arrays(each=each, colour=colour, seed=each) for each in (TRAIN, TEST))
    place.parent.mkdir(parents=True, exist_ok=True)
    np.savez(place, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test, **more)


def write_idx(home: Path, *, packed: bool, dot: str = "-") -> None:
    home.mkdir(parents=True)
    for part, each in (("train", TRAIN), ("t10k", TEST)):
        images, labels = arrays(each=each, colour=False, seed=each)
        for name, values in ((f"{part}-images{dot}idx3-ubyte", images), (f"{part}-labels{dot}idx1-ubyte", labels)):
            if packed:
                (home / f"{name}.gz").write_bytes(gzip.compress(idx(values)))
            else:
                (home / name).write_bytes(idx(values))


def write_pickles(home: Path, *, protocol: int = 4) -> None:
    """Five training batches of 12 images and a test batch of 40, keys as bytes, planes as in the official files."""
    home.mkdir(parents=True)
    images, labels = arrays(each=TRAIN, colour=True, seed=TRAIN)
    parts = {f"data_batch_{n + 1}": (images[12 * n :][:12], labels[12 * n :][:12]) for n in range(5)}
    parts["test_batch"] = arrays(each=TEST, colour=True, seed=TEST)
    for name, (pixels, numbers) in parts.items():
        flat = pixels.transpose(0, 3, 1, 2).reshape(len(pixels), -1)
        held = {b"data": np.ascontiguousarray(flat), b"labels": numbers.tolist(), b"filenames": [b"a.png"] * len(pixels)}
        (home / name).write_bytes(pickle.dumps(held, protocol=protocol))


FORMS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "mnist npz": ("mnist", lambda root: write_npz(root / "mnist/mnist.npz", colour=False)),
    "mnist idx": ("mnist", lambda root: write_idx(root / "mnist", packed=False)),
    "mnist idx.gz": ("mnist", lambda root: write_idx(root / "mnist", packed=True)),
    "mnist with dots": ("mnist", lambda root: write_idx(root / "mnist", packed=False, dot=".")),
    "mnist torchvision": ("mnist", lambda root: write_idx(root / "mnist/MNIST/raw", packed=False)),
    "mnist torchvision, shared": ("mnist", lambda root: write_idx(root / "MNIST/raw", packed=True)),
    "cifar npz": ("cifar10", lambda root: write_npz(root / "cifar10/cifar10_subset.npz", colour=True, label_names=np.array(CIFAR))),
    "cifar npz without names": ("cifar10", lambda root: write_npz(root / "cifar10/some.npz", colour=True)),
    "cifar pickles": ("cifar10", lambda root: write_pickles(root / "cifar10/cifar-10-batches-py")),
    "cifar pickles, flat": ("cifar10", lambda root: write_pickles(root / "cifar10", protocol=3)),
    "cifar pickles, shared": ("cifar10", lambda root: write_pickles(root / "cifar-10-batches-py")),
}


@pytest.mark.parametrize("form", FORMS)
def test_one_class_is_left_out(form: str, root: Path, place: Path) -> None:
    name, write = FORMS[form]
    write(root)
    category = DATASETS[name].categories[3]
    folder = prepare(name, category, root=root, place=place).folder
    train, good, left_out = (sorted((folder / part).iterdir()) for part in ("train/good", "test/good", f"test/{category}"))
    assert (len(train), len(good), len(left_out)) == (9 * TRAIN, 9 * TEST, TEST)
    assert not [path for path in (*train, *good) if path.name.startswith(f"{category}_")]
    assert {path.name.partition("_")[0] for path in left_out} == {category}


@pytest.mark.parametrize("form", FORMS)
def test_pixels_arrive_as_they_were(form: str, root: Path, place: Path) -> None:
    name, write = FORMS[form]
    write(root)
    folder = prepare(name, DATASETS[name].categories[3], root=root, place=place).folder
    images, labels = arrays(each=TEST, colour=name == "cifar10", seed=TEST)
    for path in (folder / "test").rglob("*.png"):
        kind, index = path.stem.split("_")
        assert DATASETS[name].categories[labels[int(index)]] == kind
        np.testing.assert_array_equal(np.asarray(Image.open(path)), images[int(index)])


def test_every_form_of_a_set_makes_the_same_folder(root: Path, place: Path, tmp_path: Path) -> None:
    seals = set()
    for form in ("cifar npz", "cifar pickles"):
        FORMS[form][1](tmp_path / form)
        seals.add(prepare("cifar10", "cat", root=tmp_path / form, place=place / form).fingerprint)
    assert len(seals) == 1


def test_a_limit_counts_each_class(root: Path, place: Path) -> None:
    write_npz(root / "mnist/mnist.npz", colour=False)
    folder = prepare("mnist", "3", root=root, place=place, limit=4).folder
    for part, each, kinds in (("train/good", 4, 9), ("test/good", 2, 9), ("test/3", 2, 1)):
        found = [path.name[0] for path in (folder / part).iterdir()]
        assert [found.count(kind) for kind in set(found)] == [each] * kinds


class Program:
    """What a hostile pickle is made of: called when it is loaded."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_cannot_run_anything(root: Path, place: Path, tmp_path: Path, protocol: int) -> None:
    home = root / "cifar10/cifar-10-batches-py"
    write_pickles(home)
    held = {"data": Program(tmp_path / "owned"), "labels": []}
    (home / "data_batch_2").write_bytes(pickle.dumps(held, protocol=protocol))
    with pytest.raises(FolderError, match=r"data_batch_2 was not loaded.*mkdir"):
        prepare("cifar10", "cat", root=root, place=place)
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"cbuiltins\neval\n(V1+1\ntR.",
        b"cnumpy\nload\n(Vx\ntR.",
        b"cpanda_core.durable\nreplace_text\n.",
        b"",
        b"\x80\x04]\x94.",
        pickle.dumps({b"data": [1, 2], b"labels": [0]}),
        pickle.dumps({b"data": np.zeros((1, 7), np.uint8), b"labels": [0]}),
        pickle.dumps({b"data": np.zeros((1, 3072), np.float32), b"labels": [0]}),
        pickle.dumps({b"labels": [0]}),
    ],
    ids=["eval", "numpy's own functions", "our own functions", "empty", "a list", "no array", "odd size", "floats", "no data"],
)
def test_what_is_no_batch_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "batch").write_bytes(content)
    with pytest.raises(FolderError, match="batch was not loaded"):
        read_batch(tmp_path / "batch")


def test_an_array_of_objects_is_refused(root: Path, place: Path, tmp_path: Path) -> None:
    write_npz(root / "mnist/mnist.npz", colour=False)
    images = np.array([Program(tmp_path / "owned")], dtype=object)
    np.savez(root / "mnist/mnist.npz", x_train=images, y_train=[0], x_test=images, y_test=[0])
    with pytest.raises(FolderError, match=r"mnist\.npz"):
        prepare("mnist", "3", root=root, place=place)
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("damage", ["half an archive", "one array", "a key less", "floats", "labels missing", "labels too large"])
def test_an_archive_that_does_not_fit_is_explained(root: Path, place: Path, damage: str) -> None:
    archive = root / "mnist/mnist.npz"
    write_npz(archive, colour=False)
    held = dict(np.load(archive))
    if damage == "a key less":
        held.pop("y_test")
    elif damage == "floats":
        held["x_train"] = held["x_train"] / 255.0
    elif damage == "labels missing":
        held["y_train"] = held["y_train"][:-1]
    elif damage == "labels too large":
        held["y_train"] = held["y_train"] + 1
    np.savez(archive, **held)
    if damage == "one array":
        with archive.open("wb") as file:
            np.save(file, held["x_train"])
    if damage == "half an archive":
        archive.write_bytes(archive.read_bytes()[:1000])
    with pytest.raises(FolderError, match=r"mnist\.npz"):
        prepare("mnist", "3", root=root, place=place)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0\x08",
        idx(np.zeros((3, 4), np.uint8))[:-1],
        idx(np.zeros(4, np.uint8), kind=0x0D),
        b"PNG" + bytes(99),
        b"\0\0\x08\x01" + b"\xff" * 40,
    ],
    ids=["empty", "half a header", "a byte short", "floats", "another file", "four gigabytes"],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_damaged_idx_file_is_refused(tmp_path: Path, content: bytes, packed: bool) -> None:
    path = tmp_path / ("file.gz" if packed else "file")
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(FolderError, match="file"):
        read_idx(path)


def test_a_truncated_gzip_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress(idx(np.random.default_rng(0).integers(0, 256, 4000, np.uint8)))
    (tmp_path / "file.gz").write_bytes(whole[:-100])
    with pytest.raises(FolderError, match="file"):
        read_idx(tmp_path / "file.gz")
