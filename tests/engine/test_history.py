"""The history: nothing is lost, nothing is found that was not asked for, and one file serves many at once."""

from __future__ import annotations

import csv
import dataclasses
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from engine_double import LEAF, FakeEngine, draw_spot

from panda_core.history import History, HistoryError, Query, Seen, Settings, Statistics, export_marked
from panda_core.history.copies import ABANDONED, THUMBNAIL, digest_of
from panda_core.history.database import VERSIONS, open_database
from panda_core.history.tables import Base
from panda_core.inspection import Decision, Inspection
from panda_core.scoring.decision import decide

ADDING = """
import sys
from pathlib import Path
from engine_double import LEAF, FakeEngine
from panda_core.history import History
from panda_core.scoring.decision import decide

history, image = History(Path(sys.argv[1])), Path(sys.argv[2])
inspection = FakeEngine(LEAF).inspect("leaf", image)
for _ in range(int(sys.argv[3])):
    print(history.add(inspection, decide(inspection), path=image, source="batch"), flush=True)
"""


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    with History(tmp_path / "home" / "history.sqlite") as made:
        yield made


@pytest.fixture
def spot(tmp_path: Path) -> Path:
    return draw_spot(tmp_path / "spot.png")


def look(path: Path) -> tuple[Inspection, Decision]:
    inspection = FakeEngine(LEAF).inspect("leaf", path)
    return inspection, decide(inspection)


def add(history: History, path: Path, **options: object) -> int:
    return history.add(*look(path), path=path, **options)  # type: ignore[arg-type]


def add_several(history: History, folder: Path, strengths: list[int]) -> list[int]:
    return [add(history, draw_spot(folder / f"{number}.png", strength=strength)) for number, strength in enumerate(strengths)]


def files(history: History) -> set[str]:
    return {path.name for path in history.copies.folder.rglob("*") if path.is_file()}


def start_adding(history: Path, image: Path, count: int) -> subprocess.Popen[str]:
    paths = os.pathsep.join(sys.path)
    command = [sys.executable, "-c", ADDING, str(history), str(image), str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": paths})


def test_an_inspection_comes_back_as_it_was_added(history: History, spot: Path) -> None:
    inspection, decision = look(spot)
    before = datetime.now(UTC)
    entry = history.get(history.add(inspection, decision, path=spot, source="api", fingerprint="v1"))
    assert before <= entry.created <= datetime.now(UTC)
    assert (entry.name, entry.path, entry.width, entry.height) == ("spot.png", spot, 96, 96)
    assert (entry.model, entry.fingerprint, entry.source) == ("leaf", "v1", "api")
    assert (entry.score, entry.gauge, entry.p_value) == (inspection.score, inspection.gauge, inspection.p_value)
    assert (entry.boundary, entry.boundary_kind, entry.verdict) == (6.0, "synthetic", "anomalous")
    assert (entry.pixel_threshold, entry.regions) == (3.0, len(decision.regions))
    assert (entry.errors, entry.contributions) == (dict(inspection.errors), dict(inspection.contributions))
    assert (entry.mark, entry.marked_by, entry.note) == (None, "", "")


def test_the_default_place_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PANDA_HOME", str(tmp_path / "mine"))
    with History() as history:
        assert history.path == tmp_path / "mine" / "history.sqlite" and history.path.is_file()


def test_an_upload_can_be_opened_after_its_file_is_gone(history: History, spot: Path) -> None:
    content = spot.read_bytes()
    number = add(history, spot)
    spot.unlink()
    assert history.file(number).read_bytes() == content


def test_a_thumbnail_keeps_the_shape_and_is_small(history: History, tmp_path: Path) -> None:
    wide = tmp_path / "wide.png"
    cv2.imwrite(str(wide), np.full((100, 400, 3), 90, np.uint8))
    entry = history.get(add(history, wide))
    thumbnail = history.thumbnail(entry.sha256)
    assert thumbnail is not None
    assert cv2.imread(str(thumbnail)).shape == (THUMBNAIL // 4, THUMBNAIL, 3)
    assert history.thumbnail("../../etc/passwd") is None and history.thumbnail("0" * 64) is None


def test_without_copies_the_original_is_opened_and_a_changed_or_missing_one_is_refused_in_words(history: History, spot: Path) -> None:
    history.save_settings(Settings(keep_copies=False))
    number = add(history, spot)
    assert files(history) == set()
    assert history.file(number) == spot
    draw_spot(spot, strength=100)
    with pytest.raises(HistoryError, match=r"spot\.png has changed since"):
        history.file(number)
    spot.unlink()
    with pytest.raises(HistoryError, match=r"spot\.png is gone.*was read from"):
        history.file(number)


def test_a_caller_can_do_without_a_copy_and_still_has_a_thumbnail(history: History, spot: Path) -> None:
    entry = history.get(add(history, spot, keep=False))
    assert entry.kept is None and files(history) == {f"{entry.sha256}.thumb.jpg"}


def test_neither_a_changed_original_nor_a_damaged_copy_is_passed_off_as_the_image(history: History, spot: Path) -> None:
    number = add(history, spot)
    kept = history.get(number).kept
    assert kept is not None and history.file(number) == spot
    draw_spot(spot, strength=100)
    assert history.file(number) == kept
    kept.write_bytes(kept.read_bytes()[:-20])
    with pytest.raises(HistoryError, match=r"spot\.png has changed"):
        history.file(number)


def test_an_image_reopened_from_its_copy_keeps_its_name_and_needs_no_second_copy(history: History, spot: Path) -> None:
    number = add(history, spot)
    spot.unlink()
    before = files(history)
    again = history.get(add(history, history.file(number)))
    assert (again.name, again.kept) == ("spot.png", history.get(number).kept)
    assert files(history) == before


@pytest.mark.parametrize("kept", [True, False])
def test_a_picture_without_a_file_is_kept_as_png(history: History, spot: Path, kept: bool) -> None:
    inspection, decision = look(spot)
    entry = history.get(history.add(inspection, decision, source="video", name="frame 12", keep=kept))
    assert (entry.name, entry.path) == ("frame 12", None)
    if kept:
        assert np.array_equal(cv2.imread(str(history.file(entry.id)))[..., ::-1], inspection.image)
    else:
        with pytest.raises(HistoryError, match="frame 12 is gone"):
            history.file(entry.id)


def test_a_file_that_vanished_before_it_was_added_is_kept_by_its_pixels(history: History, spot: Path) -> None:
    inspection, decision = look(spot)
    spot.unlink()
    number = history.add(inspection, decision, path=spot)
    assert np.array_equal(cv2.imread(str(history.file(number)))[..., ::-1], inspection.image)


def test_a_copy_gets_no_suffix_a_browser_would_run(history: History, spot: Path) -> None:
    page = spot.rename(spot.with_suffix(".html"))
    kept = history.get(add(history, page)).kept
    assert kept is not None and kept.suffix == ".image"


def test_many_are_added_at_once_or_not_at_all(history: History, spot: Path) -> None:
    inspection, decision = look(spot)

    def broken() -> Iterator[Seen]:
        yield Seen(inspection, decision, spot)
        raise RuntimeError("the batch stops")

    with pytest.raises(RuntimeError):
        history.add_many(broken(), source="batch")
    assert history.search().total == 0
    ids = history.add_many((Seen(inspection, decision, spot) for _ in range(5)), source="batch")
    assert len(set(ids)) == 5 == history.search().total


def test_the_latest_mark_counts_and_earlier_ones_are_kept(history: History, spot: Path) -> None:
    number = add(history, spot)
    history.mark(number, "anomalous", who="Ada", note="scratch")
    history.mark(number, "normal", who="Bo", note="it was dust")
    entry = history.get(number)
    assert (entry.mark, entry.marked_by, entry.note) == ("normal", "Bo", "it was dust")
    history.unmark(number, who="Ada")
    assert (history.get(number).mark, history.get(number).note) == (None, "")
    assert [(mark, who) for _, mark, who, _ in history.marks(number)] == [("anomalous", "Ada"), ("normal", "Bo"), (None, "Ada")]


def test_marking_an_entry_that_is_not_there_changes_nothing(history: History, spot: Path) -> None:
    number = add(history, spot)
    with pytest.raises(HistoryError, match=f"no entry {number + 1}"):
        history.mark([number, number + 1], "normal")
    assert history.get(number).mark is None


def test_search_narrows_by_each_condition(history: History, tmp_path: Path) -> None:
    ids = add_several(history, tmp_path, [0, 60, 200])
    history.mark(ids[2], "normal", note="lamp was ON")
    scores = [history.get(number).score for number in ids]
    later = datetime.now(UTC) + timedelta(hours=1)

    def found(**conditions: object) -> list[int]:
        return [entry.id for entry in history.search(Query(**conditions)).entries]  # type: ignore[arg-type]

    assert found() == ids[::-1]
    assert found(order="oldest") == found(order="lowest") == found(order="name") == ids
    assert found(order="highest") == ids[::-1]
    assert found(verdict="anomalous") == [ids[2]] and found(model="leaf") == ids[::-1] and found(model="xray") == []
    assert found(mark="none") == ids[1::-1] and found(mark="any") == found(mark="false alarm") == found(mark="normal") == [ids[2]]
    assert found(mark="miss") == found(mark="anomalous") == []
    assert found(low=scores[1], high=scores[1]) == [ids[1]]
    assert found(since=later) == [] and found(until=later) == ids[::-1]
    assert found(text="2.png") == found(text="lamp on") == found(text="LEAF lamp") == [ids[2]]
    assert found(text=history.get(ids[1]).sha256[:12]) == [ids[1]]


def test_pages_join_without_gaps(history: History, spot: Path) -> None:
    inspection, decision = look(spot)
    ids = history.add_many((Seen(inspection, decision, spot) for _ in range(25)), source="batch")
    pages = [history.search(Query(order="oldest"), limit=10, offset=offset) for offset in (0, 10, 20)]
    assert [entry.id for page in pages for entry in page.entries] == ids
    assert {page.total for page in pages} == {25}


@pytest.mark.parametrize("name", ["100%.png", "a_b.png", 'it\'s "quoted".png', "back\\slash.png", "drop'); DELETE FROM inspections;--.png"])
def test_signs_with_a_meaning_for_the_database_mean_themselves(history: History, tmp_path: Path, name: str) -> None:
    odd = add(history, draw_spot(tmp_path / name))
    add(history, draw_spot(tmp_path / "100x.png"))
    add(history, draw_spot(tmp_path / "axb.png"))
    assert [entry.id for entry in history.search(Query(text=name)).entries] == [odd]
    assert [entry.id for entry in history.search(Query(text=name.upper())).entries] == [odd]


@pytest.mark.parametrize("text", ["%", "_", "'", '"', "\\", "\x00", "); --", "\ud800"])
def test_a_single_hostile_sign_finds_nothing_where_it_does_not_occur(history: History, spot: Path, text: str) -> None:
    inspection, decision = look(spot)
    history.add(dataclasses.replace(inspection, source=""), decision, name="plain")
    assert history.search(Query(text=text)).total == 0


@pytest.mark.parametrize("name", ["Blatt Ärger.png", "Blatt A\u0308rger.png", "叶子.png", "🍂.png", "e\u202egnp.png", "new\nline.png"])
def test_names_in_any_script_are_kept_and_found_in_any_case(history: History, tmp_path: Path, name: str) -> None:
    number = add(history, draw_spot(tmp_path / "plain.png").rename(tmp_path / name))
    assert history.get(number).name == name
    assert history.search(Query(text=name.lower())).total == 1
    assert history.file(number).is_file()


def test_a_name_that_is_not_unicode_is_shown_with_a_stand_in_and_still_opened(history: History, tmp_path: Path) -> None:
    history.save_settings(Settings(keep_copies=False))
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    plain = draw_spot(tmp_path / "plain.png")
    try:
        plain.rename(odd)
    except OSError:
        pytest.skip("this file system takes Unicode names only")
    entry = history.get(add(history, odd))
    assert entry.name == "caf\ufffd.png"
    assert history.file(entry.id) == odd


def test_what_was_deleted_comes_back_until_it_is_purged(history: History, tmp_path: Path) -> None:
    ids = add_several(history, tmp_path, [0, 200])
    history.mark(ids[0], "anomalous")
    assert history.delete(ids) == 2 and history.delete(ids) == 0
    assert history.search().total == 0 and history.statistics() == Statistics(0, 0, 0, 0, 0) and history.models() == []
    with pytest.raises(HistoryError, match="no entry"):
        history.get(ids[0])
    assert history.restore([ids[0]]) == 1
    assert history.get(ids[0]).mark == "anomalous"
    assert history.purge(before=datetime.now(UTC) - timedelta(hours=1)) == 0
    assert history.purge() == 1
    assert history.restore(ids) == 0 and [entry.id for entry in history.search().entries] == [ids[0]]


def test_what_was_deleted_a_day_ago_goes_for_good_when_the_program_starts(history: History, tmp_path: Path) -> None:
    ids = add_several(history, tmp_path, [0, 200])
    history.delete([ids[0]])
    assert history.apply_retention(datetime.now(UTC) + timedelta(hours=20)) == 0
    assert history.apply_retention(datetime.now(UTC) + timedelta(hours=30)) == 1
    assert history.restore(ids) == 0 and history.search().total == 1


def test_entries_come_in_the_order_asked_for_and_ids_in_the_order_found(history: History, tmp_path: Path) -> None:
    ids = add_several(history, tmp_path, [0, 60, 200])
    assert [entry.id for entry in history.entries([ids[2], 999, ids[0]])] == [ids[2], ids[0]]
    assert history.find_ids(Query(order="highest")) == ids[::-1]
    assert history.find_ids(Query(verdict="anomalous")) == [ids[2]]


def test_a_copy_goes_with_the_last_entry_that_uses_it(history: History, spot: Path, tmp_path: Path) -> None:
    first, second = add(history, spot), add(history, spot)
    other = add(history, draw_spot(tmp_path / "other.png", strength=0))
    assert len(files(history)) == 4
    history.delete([first])
    history.purge()
    assert (kept := history.get(second).kept) is not None and kept.is_file()
    history.delete([second])
    assert len(files(history)) == 4, "an entry that may come back needs its copy"
    history.purge()
    assert {name.partition(".")[0] for name in files(history)} == {history.get(other).sha256}


def test_retention_removes_what_is_older_and_nothing_else(history: History, tmp_path: Path) -> None:
    ids = add_several(history, tmp_path, [0, 200])
    history.mark(ids[0], "normal")
    now = datetime.now(UTC)
    assert history.apply_retention(now + timedelta(days=9999)) == 0, "kept for ever unless somebody says otherwise"
    history.save_settings(Settings(retention_days=30))
    assert history.apply_retention(now + timedelta(days=29)) == 0
    with sqlite3.connect(history.path) as connection:
        connection.execute("UPDATE inspections SET created = '2020-01-01 00:00:00.000000' WHERE id = ?", (ids[0],))
    connection.close()
    assert history.apply_retention(now) == 1
    assert [entry.id for entry in history.search().entries] == [ids[1]]
    assert {name.partition(".")[0] for name in files(history)} == {history.get(ids[1]).sha256}
    with pytest.raises(HistoryError, match="at least one day"):
        history.save_settings(Settings(retention_days=0))


def test_files_that_a_crash_left_are_swept_after_a_day(history: History, spot: Path) -> None:
    entry = history.get(add(history, spot))
    folder = history.copies.folder / "00"
    folder.mkdir(exist_ok=True)
    young, old = folder / ".young.partial", folder / ".old.partial"
    for path in (young, old):
        path.write_bytes(b"half a picture")
    long_ago = old.stat().st_mtime - ABANDONED - 60
    for path in (old, entry.kept, history.thumbnail(entry.sha256)):
        assert path is not None
        os.utime(path, (long_ago, long_ago))
    history.apply_retention()
    assert young.exists() and not old.exists()
    assert entry.kept is not None and entry.kept.is_file() and history.thumbnail(entry.sha256) is not None


def test_each_image_is_fed_back_once_with_its_latest_mark(history: History, tmp_path: Path) -> None:
    ids = add_several(history, tmp_path, [0, 60, 200, 210])
    again = add(history, tmp_path / "0.png")
    history.mark(ids[:2], "normal")
    history.mark(ids[2:], "anomalous")
    history.mark(again, "normal")
    history.mark(ids[3], "normal")
    assert len(history.marked("leaf", "normal")) == 3 and len(history.marked("leaf", "anomalous")) == 1
    assert history.marked("xray", "normal") == []
    alarms = history.marked_entries("leaf", "normal", verdict="anomalous")
    assert [entry.name for entry in alarms] == ["3.png"]
    assert history.statistics("leaf") == Statistics(5, 4, 1, 1, 0)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for the system's folder of temporary files, where uploads lie; what lies beside it is a person's own."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    return place


def test_a_mark_is_about_the_image_that_was_seen_and_not_about_what_lies_there_later(
    history: History, temporary: Path, tmp_path: Path
) -> None:
    kept = add(history, draw_spot(tmp_path / "kept.png", strength=200))
    plain = add(history, draw_spot(tmp_path / "001.png", strength=210), keep=False)
    history.mark([kept, plain], "normal")
    assert len(history.marked("leaf", "normal")) == 2
    for name in ("kept.png", "001.png"):
        draw_spot(tmp_path / name, strength=100)
    assert history.marked("leaf", "normal") == [history.get(kept).kept]
    exported = export_marked(history, tmp_path / "out")
    assert (exported.normal, exported.missing) == (1, 1)
    with (tmp_path / "out" / "manifest.csv").open(encoding="utf-8-sig", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["sha256"] == digest_of(tmp_path / "out" / row["file"])


def test_an_upload_is_copied_when_it_is_marked_and_outlives_its_folder(history: History, temporary: Path, tmp_path: Path) -> None:
    upload = add(history, draw_spot(temporary / "upload.png"), keep=False)
    own = add(history, draw_spot(tmp_path / "own.png", strength=210), keep=False)
    history.mark([upload, own], "anomalous")
    shutil.rmtree(temporary)
    assert history.get(own).kept is None, "a person's own folder is not doubled"
    assert (copy := history.get(upload).kept) is not None and history.file(upload) == copy
    assert history.marked("leaf", "anomalous") == [copy, tmp_path / "own.png"]
    assert history.apply_retention() == 0 and copy.is_file()


def test_a_marked_upload_is_not_copied_where_copies_are_switched_off_or_it_has_changed(history: History, temporary: Path) -> None:
    changed, upload = (add(history, draw_spot(temporary / f"{strength}.png", strength=strength), keep=False) for strength in (150, 200))
    draw_spot(temporary / "150.png", strength=100)
    history.mark(changed, "normal")
    history.save_settings(Settings(keep_copies=False))
    history.mark(upload, "normal")
    assert history.get(changed).kept is None is history.get(upload).kept
    assert all(name.endswith(".thumb.jpg") for name in files(history))


def test_an_upload_whose_copy_cannot_be_written_is_not_marked(history: History, temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = add(history, draw_spot(temporary / "upload.png"), keep=False)

    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("panda_core.history.copies.os.replace", full)
    with pytest.raises(HistoryError, match="No space left on device"):
        history.mark(upload, "normal")
    assert history.get(upload).mark is None


def test_marked_images_are_exported_as_folders_the_commands_read(history: History, tmp_path: Path) -> None:
    from panda_core.data.folders import labelled_test

    ids = add_several(history, tmp_path, [0, 60, 200])
    formula = add(history, draw_spot(tmp_path / "=cmd.png", strength=230))
    history.mark([ids[0], ids[1]], "normal", who="Ada", note="=HYPERLINK()")
    history.mark([ids[2], formula], "anomalous")
    out = tmp_path / "out"
    exported = export_marked(history, out, "leaf")
    assert (exported.normal, exported.anomalous, exported.missing) == (2, 2, 0)
    assert sorted(image.label for image in labelled_test(out)) == ["anomalous", "anomalous", "good", "good"]
    with (out / "manifest.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert all((out / row["file"]).is_file() for row in rows) and len(rows) == 4
    assert {row["note"] for row in rows} == {"'=HYPERLINK()", ""} and rows[0]["who"] == "Ada"
    with pytest.raises(HistoryError, match="not an empty folder"):
        export_marked(history, out, "leaf")
    with pytest.raises(HistoryError, match="No image is marked"):
        export_marked(history, tmp_path / "none", "xray")
    assert not (tmp_path / "none").exists()


def test_threads_can_add_mark_and_search_at_the_same_time(history: History, spot: Path) -> None:
    inspection, decision = look(spot)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(10):
                history.mark(history.add(inspection, decision, path=spot), "normal")
                history.search(Query(text="spot"))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert history.statistics().marked_normal == 80


def test_two_programs_can_begin_and_fill_one_history_together(tmp_path: Path, spot: Path) -> None:
    path = tmp_path / "home" / "history.sqlite"
    running = [start_adding(path, spot, 200) for _ in range(2)]
    printed = [process.communicate(timeout=120)[0].split() for process in running]
    assert [process.returncode for process in running] == [0, 0]
    ids = {int(word) for words in printed for word in words}
    with History(path) as history:
        assert history.search().total == 400 == len(ids)
        assert history.file(max(ids)).is_file()


def test_a_program_killed_while_it_adds_leaves_a_sound_history(tmp_path: Path, spot: Path) -> None:
    path = tmp_path / "home" / "history.sqlite"
    process = start_adding(path, spot, 100_000)
    assert process.stdout is not None
    promised = [int(process.stdout.readline()) for _ in range(30)]
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with History(path) as history:
        assert {entry.id for entry in history.search(limit=1000).entries} >= set(promised)
        assert add(history, spot) > max(promised)
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_the_revisions_make_the_tables_the_program_expects(history: History) -> None:
    with open_database(history.path).connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
        assert context.get_current_revision() == max(path.stem[1:5] for path in VERSIONS.glob("r*.py"))
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1
        connection.engine.dispose()


LATER = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "9999", "0001"


def upgrade():
    with op.batch_alter_table("inspections") as table:
        table.add_column(sa.Column("line", sa.Text, nullable=False, server_default="A"))
    {more}
"""


def later_revision(folder: Path, more: str = "") -> tuple[Path, Path]:
    folder.mkdir()
    (folder / "r9999_line.py").write_text(LATER.format(more=more))
    return VERSIONS, folder


def test_entries_of_the_first_schema_survive_a_later_one(history: History, spot: Path, tmp_path: Path) -> None:
    number = add(history, spot)
    history.mark(number, "normal")
    history.close()
    engine = open_database(history.path, versions=later_revision(tmp_path / "later"))
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT id, line FROM inspections").all() == [(number, "A")]
        assert connection.exec_driver_sql("SELECT mark FROM marks").all() == [("normal",)]
    engine.dispose()


def test_a_migration_that_fails_leaves_the_old_schema_whole(history: History, spot: Path, tmp_path: Path) -> None:
    number = add(history, spot)
    history.close()
    with pytest.raises(RuntimeError, match="power cut"):
        open_database(history.path, versions=later_revision(tmp_path / "later", 'raise RuntimeError("power cut")'))
    with History(history.path) as again:
        assert again.get(number).name == "spot.png"


def test_a_newer_history_is_refused_with_what_to_do_and_left_alone(history: History, tmp_path: Path) -> None:
    history.close()
    open_database(history.path, versions=later_revision(tmp_path / "later")).dispose()
    before = history.path.read_bytes()
    with pytest.raises(HistoryError, match=r"newer version.*9999.*Update the program"):
        History(history.path)
    assert history.path.read_bytes() == before


@pytest.mark.parametrize("damage", ["text", "cut", "scrambled"])
def test_a_damaged_file_is_refused_with_what_to_do_and_left_alone(history: History, spot: Path, damage: str) -> None:
    inspection, decision = look(spot)
    history.add_many((Seen(inspection, decision, spot) for _ in range(200)), source="batch")
    with sqlite3.connect(history.path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    history.close()
    content = history.path.read_bytes()
    noise = np.random.default_rng(0).bytes(len(content) // 2)
    broken = {"text": b"no database at all" * 99, "cut": content[: len(content) // 2], "scrambled": content[: -len(noise)] + noise}[damage]
    history.path.write_bytes(broken)
    with pytest.raises(HistoryError, match=r"damaged or not a database.*backup"):
        History(history.path)
    assert history.path.read_bytes() == broken


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(HistoryError, match="not a history of PANDA Inspector"):
        History(path)
    assert path.read_bytes() == before


def test_a_place_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(HistoryError, match="cannot be made"):
        History(tmp_path / "file" / "history.sqlite")
    (tmp_path / "folder.sqlite").mkdir()
    with pytest.raises(HistoryError, match=r"cannot be opened|cannot be used"):
        History(tmp_path / "folder.sqlite")
