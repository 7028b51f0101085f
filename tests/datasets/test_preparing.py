"""What holds for every data set: found or not, used where it lies or built aside, capped, sealed, used again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from threading import Barrier

import pytest

from panda_core.data.folders import labelled_test
from panda_core.datasets import DATASETS, Prepared, data_root, prepare
from panda_core.datasets.building import MANIFEST
from panda_core.datasets.catalogue import augment_of
from panda_core.datasets.layout import Entry, cap, fingerprint
from panda_core.errors import FolderError

Fill = Callable[[Path], Path]
Write = Callable[..., Path]


def counts(folder: Path) -> dict[str, int]:
    parts = ("train/good", "test/good", "test/scar", "ground_truth/scar")
    return {part: len(list((folder / part).iterdir())) for part in parts}


def test_what_lies_in_mvtec_layout_is_used_where_it_is(root: Path, place: Path, write_mvtec: Fill) -> None:
    folder = write_mvtec(root / "mvtec_ad" / "bottle")
    prepared = prepare("mvtec_ad", "bottle", root=root, place=place)
    assert prepared.folder == folder
    assert prepared.augment == "flip-rotate"
    assert not prepared.groups
    assert not place.exists()


def test_the_official_archive_may_keep_its_name(root: Path, place: Path, write_mvtec: Fill) -> None:
    folder = write_mvtec(root / "mvtec_anomaly_detection" / "screw")
    assert prepare("mvtec_ad", "screw", root=root, place=place).folder == folder


def test_a_limit_builds_a_smaller_folder_and_leaves_the_source_alone(root: Path, place: Path, write_mvtec: Fill) -> None:
    source = write_mvtec(root / "mvtec_ad" / "bottle")
    before = fingerprint(source)
    prepared = prepare("mvtec_ad", "bottle", root=root, place=place, limit=4)
    assert counts(prepared.folder) == {"train/good": 4, "test/good": 2, "test/scar": 2, "ground_truth/scar": 2}
    assert all(image.mask for image in labelled_test(prepared.folder) if image.label == "scar")
    assert fingerprint(source) == before


@pytest.mark.parametrize("limit", [None, 4])
def test_a_set_with_a_broken_link_or_a_pipe_is_refused(root: Path, place: Path, write_mvtec: Fill, limit: int | None) -> None:
    lost = write_mvtec(root / "mvtec_ad" / "bottle") / "test" / "good" / "lost.png"
    for make in (os.mkfifo, lambda path: path.symlink_to(root / "nowhere.png")):
        make(lost)
        with pytest.raises(FolderError, match=r"lost\.png is a broken link"):
            prepare("mvtec_ad", "bottle", root=root, place=place, limit=limit)
        lost.unlink()


def test_a_limit_above_all_keeps_all(root: Path, place: Path, write_mvtec: Fill) -> None:
    write_mvtec(root / "mvtec_ad" / "bottle")
    folder = prepare("mvtec_ad", "bottle", root=root, place=place, limit=1000).folder
    assert counts(folder) == {"train/good": 10, "test/good": 6, "test/scar": 6, "ground_truth/scar": 6}


def test_a_built_folder_is_used_again_until_its_source_changes(root: Path, place: Path, write_mvtec: Fill, write: Write) -> None:
    source = write_mvtec(root / "mvtec_ad" / "bottle")
    first = prepare("mvtec_ad", "bottle", root=root, place=place, limit=4)
    made = (first.folder / MANIFEST).stat().st_mtime_ns
    assert prepare("mvtec_ad", "bottle", root=root, place=place, limit=4) == first
    assert (first.folder / MANIFEST).stat().st_mtime_ns == made
    write(source / "train/good/0.png", 999)
    os.utime(source / "train/good/0.png", (time.time() + 5, time.time() + 5))
    second = prepare("mvtec_ad", "bottle", root=root, place=place, limit=4)
    assert second.folder == first.folder
    assert second.fingerprint != first.fingerprint
    assert second.fingerprint == fingerprint(second.folder)


def test_processes_that_build_at_once_agree(root: Path, place: Path, write_mvtec: Fill) -> None:
    write_mvtec(root / "mvtec_ad" / "bottle")
    together = Barrier(4)

    def build() -> Prepared:
        together.wait()
        return prepare("mvtec_ad", "bottle", root=root, place=place, limit=4)

    with ThreadPoolExecutor(4) as pool:
        made = [future.result() for future in [pool.submit(build) for _ in range(4)]]
    assert all(prepared == made[0] for prepared in made)
    assert fingerprint(made[0].folder) == made[0].fingerprint
    assert [path.name for path in made[0].folder.parent.iterdir()] == ["bottle-4"]


@pytest.mark.parametrize("damage", ["", "[]", "{}", "{"])
def test_a_damaged_manifest_means_built_again(root: Path, place: Path, write_mvtec: Fill, damage: str) -> None:
    write_mvtec(root / "mvtec_ad" / "bottle")
    first = prepare("mvtec_ad", "bottle", root=root, place=place, limit=4)
    (first.folder / MANIFEST).write_text(damage)
    assert prepare("mvtec_ad", "bottle", root=root, place=place, limit=4) == first


def test_a_folder_of_somebody_else_is_not_replaced(root: Path, place: Path, write_mvtec: Fill) -> None:
    write_mvtec(root / "mvtec_ad" / "bottle")
    theirs = place / "mvtec_ad" / "bottle-4" / "thesis.txt"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("years of work")
    with pytest.raises(FolderError, match="not made by this program"):
        prepare("mvtec_ad", "bottle", root=root, place=place, limit=4)
    assert theirs.read_text() == "years of work"


def test_nothing_half_built_is_left_after_an_error(root: Path, place: Path, write_mvtec: Fill) -> None:
    source = write_mvtec(root / "mvtec_ad" / "bottle")
    (source / "ground_truth/scar/5_mask.png").write_bytes(b"no picture")
    with pytest.raises(Exception, match="5_mask"):
        prepare("mvtec_ad", "bottle", root=root, place=place, limit=1000)
    assert list((place / "mvtec_ad").iterdir()) == []


def test_a_built_folder_outlives_its_source(root: Path, place: Path, write_mvtec: Fill) -> None:
    source = write_mvtec(root / "mvtec_ad" / "bottle")
    prepared = prepare("mvtec_ad", "bottle", root=root, place=place, limit=4)
    for path in sorted(source.rglob("*.png")):
        path.unlink()
    assert fingerprint(prepared.folder) == prepared.fingerprint


def test_copies_do_where_the_disk_knows_no_links(root: Path, place: Path, write_mvtec: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no links here")

    write_mvtec(root / "mvtec_ad" / "bottle")
    linked = prepare("mvtec_ad", "bottle", root=root, place=place, limit=4)
    monkeypatch.setattr(os, "link", refuse)
    copied = prepare("mvtec_ad", "bottle", root=root, place=place / "other", limit=4)
    assert copied.fingerprint == linked.fingerprint


def test_the_fingerprint_tells_names_and_contents(root: Path, place: Path, write_mvtec: Fill, write: Write) -> None:
    folder = write_mvtec(root / "mvtec_ad" / "bottle")
    seen = {prepare("mvtec_ad", "bottle", root=root, place=place).fingerprint}
    (folder / "test/scar/0.png").rename(folder / "test/scar/00.png")
    seen.add(prepare("mvtec_ad", "bottle", root=root, place=place).fingerprint)
    write(folder / "test/scar/00.png", 7)
    seen.add(prepare("mvtec_ad", "bottle", root=root, place=place).fingerprint)
    write(folder / "ground_truth/scar/1_mask.png", mask=0)
    seen.add(prepare("mvtec_ad", "bottle", root=root, place=place).fingerprint)
    assert len(seen) == 4


@pytest.mark.parametrize("name", DATASETS)
def test_a_missing_set_is_explained(name: str, root: Path, place: Path) -> None:
    dataset = DATASETS[name]
    with pytest.raises(FolderError) as caught:
        prepare(name, dataset.categories[0], root=root, place=place)
    for part in (name, str(root), dataset.where, dataset.licence):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("name", "category", "said"), [("nist", "3", "plantvillage"), ("mnist", "ten", "0, 1, 2"), ("mnist", "../3", "0, 1, 2")]
)
def test_unknown_names_are_answered_with_the_known_ones(root: Path, place: Path, name: str, category: str, said: str) -> None:
    with pytest.raises(FolderError, match=said):
        prepare(name, category, root=root, place=place)


def test_a_limit_of_nothing_is_refused(root: Path, place: Path) -> None:
    with pytest.raises(FolderError, match="at least 1"):
        prepare("mnist", "3", root=root, place=place, limit=0)


def test_the_bags_of_projected_threats_are_groups(root: Path, place: Path, write: Write) -> None:
    folder = root / "sixray_tip" / "baggage"
    write(folder / "train/good/N0000002.jpg")
    for number, name in enumerate(("good/N0000251", "gun/N0000252_a", "gun/N0000253_b", "knife/N0000254_c")):
        write(folder / f"test/{name}.jpg", number)
    groups = prepare("sixray_tip", "baggage", root=root, place=place).groups
    assert set(groups) == {f"test/{path.parent.name}/{path.name}" for path in (folder / "test").rglob("*.jpg")}
    bag = {name.split("/")[-1][:8]: group for name, group in groups.items()}
    assert bag["N0000251"] == bag["N0000252"] == bag["N0000253"] != bag["N0000254"]


@pytest.mark.parametrize(("count", "most"), [(10, 3), (7, 7), (5, 9), (100, 1)])
def test_a_cap_spreads_over_the_whole_class(count: int, most: int) -> None:
    entries = [Entry(f"train/good/{number:03d}.png", Path("x")) for number in range(count)]
    kept = [int(entry.name[-7:-4]) for entry in cap(entries, most)]
    assert len(kept) == len(set(kept)) == min(most, count)
    gaps = [b - a for a, b in pairwise(kept)]
    assert kept[0] == 0 and (not gaps or max(gaps) - min(gaps) <= 1)


def test_augmentation_never_makes_a_defect_of_the_set() -> None:
    assert {augment_of("mvtec_ad", name) for name in ("metal_nut", "cable", "capsule", "pill")} == {"none"}
    assert augment_of("magnetic_tile", "tile") == DATASETS["magnetic_tile"].augment
    assert augment_of("mnist", "3") == "none"


def test_the_root_is_what_is_given_then_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given, set_ = tmp_path / "given", tmp_path / "set"
    given.mkdir()
    set_.mkdir()
    monkeypatch.setenv("PANDA_DATA", str(set_))
    assert data_root() == set_
    assert data_root(given) == given
    with pytest.raises(FolderError, match="PANDA_DATA"):
        data_root(tmp_path / "nowhere")
    monkeypatch.setenv("PANDA_DATA", str(tmp_path / "gone"))
    with pytest.raises(FolderError, match="gone is not a folder"):
        data_root()


def test_without_any_root_it_says_how_to_set_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from panda_core.datasets import preparing

    monkeypatch.delenv("PANDA_DATA", raising=False)
    monkeypatch.setattr(preparing, "__file__", str(tmp_path / "repository" / "panda_core" / "datasets" / "preparing.py"))
    with pytest.raises(FolderError, match="set PANDA_DATA"):
        data_root()
    (tmp_path / "shared" / "datasets").mkdir(parents=True)
    assert data_root() == (tmp_path / "shared" / "datasets").resolve()
