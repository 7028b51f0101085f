"""Batches: where images may come from, what is kept of each, and thresholds moved afterwards."""

from __future__ import annotations

import os
import shutil
import stat
import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from engine_double import LEAF, FakeEngine, draw_spot

from panda_core.batch import sources
from panda_core.batch.job import Job, StoppedError
from panda_core.batch.rows import MAP_SIDE, THUMBNAIL_SIDE, Batch, collect, rethreshold
from panda_core.batch.sources import ArchiveError, Source, open_folder, open_uploads, unpack
from panda_core.errors import FolderError, PandaError
from panda_core.inspection import Inspection
from panda_core.scoring.decision import decide

WAIT = 20


def write_zip(path: Path, **files: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "."), content)
    return path


def write_entries(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six pictures of which three have a spot, and one text that calls itself a picture."""
    place = tmp_path / "images"
    (place / "sub").mkdir(parents=True)
    for number in range(6):
        draw_spot(place / "sub" / f"{number}.png", size=60 + number, strength=200 if number % 2 else 0)
    (place / "broken.png").write_text("text")
    return place


@pytest.fixture
def batch(folder: Path, tmp_path: Path) -> Batch:
    """All of ``folder``, inspected."""
    source = open_folder(folder, [tmp_path])
    (tmp_path / "rows").mkdir()
    made = Batch("leaf", source, tmp_path / "rows")
    collect(made, FakeEngine(LEAF).inspect_many("leaf", source.paths))
    return made


def test_a_folder_within_the_roots_is_listed_with_names_relative_to_it(folder: Path, tmp_path: Path) -> None:
    source = open_folder(f' "{folder}" ', [tmp_path])
    assert source.names == ("broken.png", *(f"sub/{number}.png" for number in range(6)))
    assert source.paths[1] == folder / "sub" / "0.png" and source.title == str(folder) and not source.note


@pytest.mark.parametrize("text", ["", "   ", "~no-such-person/x", "no/such/folder", "\0"])
def test_what_is_no_folder_is_refused_in_words(text: str, tmp_path: Path) -> None:
    with pytest.raises(FolderError):
        open_folder(text, [tmp_path, Path.cwd()])


def test_links_are_followed_before_the_roots_are_asked(folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "allowed"
    root.mkdir()
    (root / "out").symlink_to(folder)
    for wanted in (folder, root / "out", root / ".." / "images", tmp_path / "allowed-too"):
        with pytest.raises(FolderError, match="not in a folder"):
            open_folder(wanted, [root])
    with pytest.raises(FolderError):
        open_folder(folder, [])


def test_linked_images_outside_the_roots_are_left_out_and_it_is_said(folder: Path, tmp_path: Path) -> None:
    secret = draw_spot(tmp_path / "secret.png")
    (folder / "link.png").symlink_to(secret)
    (folder / "inside.png").symlink_to(folder / "sub" / "0.png")
    (folder / "loop.png").symlink_to(folder / "loop.png")
    source = open_folder(folder, [folder])
    assert "link.png" not in source.names and "inside.png" in source.names
    assert "1 linked image was left out" in source.note


def test_true_masks_are_no_images_to_inspect_in_a_folder_or_an_archive(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    for place in ("test/good", "test/spot", "ground_truth/spot"):
        (folder / place).mkdir(parents=True)
        draw_spot(folder / place / "1.png", strength=200)
    archive = Path(shutil.make_archive(str(tmp_path / "set"), "zip", folder))
    said = "1 image in ground_truth left out: the true masks of a data set."
    for source in (open_folder(folder, [tmp_path]), open_uploads([archive], tmp_path / "unpacked")):
        assert source.names == ("test/good/1.png", "test/spot/1.png") and source.note == said
    assert open_folder(folder / "ground_truth", [tmp_path]).names == ("spot/1.png",), "asked for by name"


def test_an_empty_folder_and_too_many_images_are_refused(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(FolderError, match="no images"):
        open_folder(tmp_path / "empty", [tmp_path])
    monkeypatch.setattr(sources, "MOST_IMAGES", 3)
    with pytest.raises(FolderError, match="at most 3"):
        open_folder(folder, [tmp_path])


def test_uploads_and_archives_make_one_batch_and_outlive_the_upload_folder(tmp_path: Path) -> None:
    picture = draw_spot(tmp_path / "one.png")
    content = picture.read_bytes()
    archive = write_zip(tmp_path / "more.ZIP", a10__png=content, a9__png=content, readme__txt=b"no")
    source = open_uploads([picture, archive], tmp_path / "kept")
    picture.unlink()
    assert source.names == ("one.png", "a9.png", "a10.png") and source.title == "2 uploaded files"
    assert [path.read_bytes() for path in source.paths] == [content] * 3
    called = open_uploads([archive, archive], tmp_path / "again", called=["x/more.zip", "y/more.zip"], note="One was left out.")
    assert called.names == ("a9.png", "a10.png") * 2 and called.note == "One was left out."
    with pytest.raises(FolderError, match="no image"):
        open_uploads([write_entries(tmp_path / "none.zip", "a.txt", ".hidden.png", "__MACOSX/a.png")], tmp_path / "other")


@pytest.mark.parametrize("name", ["../a.png", "/a.png", "a/../../b.png", "..\\a.png", "C:\\a.png", "\\\\host\\a.png", "../a.txt"])
def test_an_archive_that_names_a_place_outside_itself_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="outside itself"):
        unpack(write_entries(tmp_path / "evil.zip", "good.png", name), tmp_path / "in" / "into")
    assert {path.name for path in tmp_path.rglob("*")} == {"evil.zip", "in"}


def test_an_archive_with_a_link_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        entry = zipfile.ZipInfo("a.png")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")
    with pytest.raises(ArchiveError, match="link"):
        unpack(tmp_path / "link.zip", tmp_path / "into")


@pytest.mark.parametrize(
    ("limit", "value", "said"), [("MOST_ENTRIES", 1, "entries"), ("MOST_IMAGES", 1, "images"), ("MOST_UNPACKED", 100, "unpacks to")]
)
def test_an_archive_beyond_a_limit_is_refused(limit: str, value: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, limit, value)
    with pytest.raises(ArchiveError, match=said):
        unpack(write_zip(tmp_path / "big.zip", a__png=os.urandom(200), b__png=os.urandom(200)), tmp_path / "into")


@pytest.mark.parametrize(("limit", "value", "said"), [("MOST_IMAGES", 4, "5 images; at most 4"), ("MOST_UNPACKED", 500, "unpacks to")])
def test_the_archives_of_one_upload_share_the_limits(
    limit: str, value: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, limit, value)
    archives = [write_zip(tmp_path / f"{number}.zip", a__png=os.urandom(200), b__png=os.urandom(200)) for number in range(2)]
    picture = draw_spot(tmp_path / "one.png")
    assert len(open_uploads([archives[0], picture], tmp_path / "first").paths) == 3
    with pytest.raises(ArchiveError, match=rf"With 1\.zip .*{said}"):
        open_uploads([*archives, picture], tmp_path / "both")
    assert not (tmp_path / "both" / "1").exists()


def test_a_bomb_is_refused_before_it_goes_off_and_a_plain_small_drawing_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "RATIO_FROM", 500_000)
    with pytest.raises(ArchiveError, match="times its size"):
        unpack(write_zip(tmp_path / "bomb.zip", a__bmp=bytes(1_000_000)), tmp_path / "into")
    assert len(unpack(write_zip(tmp_path / "drawing.zip", a__bmp=bytes(400_000)), tmp_path / "small")) == 1


def test_a_damaged_archive_is_a_clear_error_and_leaves_nothing(tmp_path: Path) -> None:
    whole = write_zip(tmp_path / "whole.zip", a__png=os.urandom(5000), b__png=os.urandom(5000)).read_bytes()
    flipped = bytearray(whole)
    flipped[6000] ^= 0xFF
    for name, content in (("text.zip", b"no archive"), ("cut.zip", whole[:4000]), ("flipped.zip", bytes(flipped)), ("empty.zip", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ArchiveError, match=f"{name} cannot be unpacked"):
            unpack(tmp_path / name, tmp_path / f"into-{name}")
        assert not (tmp_path / f"into-{name}").exists()


def test_an_archive_with_one_name_twice_is_refused(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        write_entries(tmp_path / "twice.zip", "a.png", "a.png")
    with pytest.raises(ArchiveError, match="cannot be unpacked"):
        unpack(tmp_path / "twice.zip", tmp_path / "into")


def test_rows_say_what_a_single_inspection_says(batch: Batch) -> None:
    assert [row.outcome for row in batch.rows] == ["unreadable", *["normal", "anomalous"] * 3]
    for row in batch.rows[1:]:
        alone = FakeEngine(LEAF).inspect("leaf", row.path)
        decision = decide(alone)
        assert (row.score, row.gauge, row.margin) == (alone.score, alone.gauge, decision.margin)
        assert row.regions == len(decision.regions) and row.peak == alone.anomaly_map.max() and dict(row.errors) == dict(alone.errors)
        assert row.thumbnail is not None and max(cv2.imread(str(row.thumbnail)).shape) <= THUMBNAIL_SIDE
    broken = batch.rows[0]
    assert "text" in broken.problem and broken.score is None and broken.thumbnail is None


def test_moving_the_boundary_gives_the_verdicts_of_a_fresh_decision(batch: Batch) -> None:
    for boundary in (-1.0, 6.0, 1e6):
        found = rethreshold(batch, boundary=boundary)
        assert found.boundary is not None and (found.boundary.kind, found.boundary.value) == ("manual", boundary)
        for row in found.rows[1:]:
            decision = decide(FakeEngine(LEAF).inspect("leaf", row.path), boundary=boundary)
            assert (row.outcome, row.margin) == (decision.verdict, decision.margin)
    assert found.count("unreadable") == 1 and found.count("normal") == 6
    own = rethreshold(batch)
    assert own.rows == tuple(batch.rows) and own.boundary is not None and own.boundary.kind == "synthetic"


def test_moving_the_pixel_threshold_recounts_regions_from_the_kept_maps(batch: Batch) -> None:
    for threshold in (0.5, 2.0, 1000.0):
        for row in rethreshold(batch, pixel_threshold=threshold).rows[1:]:
            alone = decide(FakeEngine(LEAF).inspect("leaf", row.path), pixel_threshold=threshold)
            assert row.regions == len(alone.regions)
    assert [row.id for row in rethreshold(batch, pixel_threshold=1.0, start=5).rows] == [5, 6]


def test_a_large_map_is_kept_small_and_still_counts_its_spots(tmp_path: Path) -> None:
    path = tmp_path / "wide.png"
    picture = np.full((300, 900, 3), 40, np.uint8)
    for x in (150, 450, 750):
        picture[120:180, x - 30 : x + 30] = 240
    cv2.imwrite(str(path), picture)
    one = Batch("leaf", Source("x", (path,), ("wide.png",)), tmp_path)
    (row,) = [one.add(result) for result in FakeEngine(LEAF).inspect_many("leaf", [path])]
    assert (tmp_path / "maps.float16").stat().st_size == 2 * MAP_SIDE * round(MAP_SIDE / 3)
    assert row.regions == 3 and rethreshold(one, pixel_threshold=2.5).rows[0].regions == 3


def test_a_batch_of_unreadable_files_has_no_thresholds(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("text")
    one = Batch("leaf", Source("x", (tmp_path / "a.png",), ("a.png",)), tmp_path)
    collect(one, FakeEngine(LEAF).inspect_many("leaf", one.source.paths))
    found = rethreshold(one, boundary=1.0, pixel_threshold=2.0)
    assert (found.boundary, found.calibration, found.pixel_threshold) == (None, None, None) and found.count("unreadable") == 1


def test_collecting_stops_when_told_and_keeps_what_there_is(batch: Batch, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    again = Batch("leaf", batch.source, tmp_path / "again")
    collect(again, FakeEngine(LEAF).inspect_many("leaf", batch.source.paths), should_stop=lambda: len(again.rows) == 3)
    assert [row.name for row in again.rows] == list(batch.source.names[:3]) and rethreshold(again).total == 7


def test_marks_are_kept_by_row_and_checked(batch: Batch) -> None:
    batch.mark(1, "normal")
    batch.mark(2, "anomalous")
    batch.mark(1, None)
    assert rethreshold(batch).marks == {2: "anomalous"}
    with pytest.raises(IndexError):
        batch.mark(7, "normal")
    with pytest.raises(ValueError, match="mark"):
        batch.mark(1, "odd")


def gated(gate: threading.Event) -> Callable[[Job], None]:
    def work(job: Job) -> None:
        while not job.stopping():
            job.step()
            gate.wait(WAIT)

    return work


def test_a_job_counts_and_stops_when_asked() -> None:
    gate = threading.Event()
    job = Job("Counting", gated(gate), total=10)
    while job.done < 1:
        gate.wait(0.001)
    assert job.running and job.rate > 0 and job.remaining is not None
    job.stop()
    gate.set()
    assert job.wait(WAIT) and job.state == "stopped" and job.remaining is None


@pytest.mark.parametrize(
    ("error", "state", "said"),
    [
        (PandaError("Buy a disk."), "failed", "Buy a disk."),
        (OSError(28, "No space left on device"), "failed", "No space left"),
        (ZeroDivisionError("x"), "failed", "wrong in the program"),
        (StoppedError(), "stopped", ""),
    ],
)
def test_a_job_that_fails_says_why(error: Exception, state: str, said: str) -> None:
    def work(job: Job) -> None:
        raise error

    job = Job("Failing", work)
    assert job.wait(WAIT) and job.state == state and said in job.message


def test_rows_may_be_read_while_they_come(folder: Path, tmp_path: Path) -> None:
    """A reader never sees a row without its thumbnail, map or calibration."""

    class Endless(FakeEngine):
        def inspect_many(self, model: str, paths: Sequence[Path]) -> Iterator[Inspection]:
            seen = self.inspect(model, paths[0])
            yield from (seen for _ in paths)

    paths = (folder / "sub" / "1.png",) * 200
    (tmp_path / "many").mkdir()
    many = Batch("leaf", Source("x", paths, ("1.png",) * 200), tmp_path / "many")
    job = Job("Reading", lambda job: collect(many, Endless(LEAF).inspect_many("leaf", paths)))
    while job.running:
        found = rethreshold(many, pixel_threshold=1.0)
        assert all(row.regions == 1 for row in found.rows) and (found.boundary is not None or not found.rows)
    assert job.state == "done" and len(many.rows) == 200
