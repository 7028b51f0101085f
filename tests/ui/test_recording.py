"""Inspections and marks reach the history; a broken history stops nobody."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from engine_double import LEAF, FakeEngine, draw_spot

from panda_core.history import History, HistoryError, Query
from panda_core.ui.recording import Recorder, RecordingEngine


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "home" / "history.sqlite")


@pytest.fixture
def spot(tmp_path: Path) -> Path:
    return draw_spot(tmp_path / "spot.png")


def test_an_image_is_remembered_once_however_often_it_is_opened(history: History, spot: Path) -> None:
    engine = RecordingEngine(FakeEngine(LEAF), Recorder(history), source="single")
    for _ in range(3):
        engine.inspect("leaf", spot)
    page = history.search()
    assert [(entry.name, entry.model, entry.verdict) for entry in page.entries] == [("spot.png", "leaf", "anomalous")]


def test_a_score_that_differs_by_rounding_is_the_same_look_and_another_score_a_new_one(history: History, spot: Path) -> None:
    recorder, inspection = Recorder(history), FakeEngine(LEAF).inspect("leaf", spot)
    spread = float(np.std(inspection.calibration.normal_scores))
    for score, entries in ((0.0, 1), (0.01, 1), (0.5, 2), (0.49, 2)):
        recorder.seen(replace(inspection, score=inspection.score + score * spread), source="single")
        assert history.search().total == entries


def test_examples_and_the_historys_own_copies_are_nobodys_work(history: History, spot: Path) -> None:
    engine = FakeEngine(LEAF)
    ignoring = Recorder(history, ignore=[spot])
    inspection = RecordingEngine(engine, ignoring, source="single").inspect("leaf", spot)
    assert history.search().total == 0
    assert "Examples are not kept" in ignoring.mark(inspection, "normal") and history.search().total == 0
    recording = RecordingEngine(engine, Recorder(history), source="single")
    recording.inspect("leaf", spot)
    recording.inspect("leaf", history.file(history.search().entries[0].id))
    assert history.search().total == 1


def test_a_mark_is_set_and_taken_back(history: History, spot: Path) -> None:
    recorder = Recorder(history)
    inspection = RecordingEngine(FakeEngine(LEAF), recorder, source="single").inspect("leaf", spot)
    assert recorder.mark(inspection, "normal") == ""
    assert history.search(Query(mark="normal")).total == 1
    recorder.mark_file("leaf", spot, "anomalous", again=pytest.fail)
    assert history.search(Query(mark="anomalous")).total == 1
    recorder.mark(inspection, "")
    assert history.search(Query(mark="anomalous")).total == 0


def test_a_mark_of_the_historys_own_copy_goes_to_the_image_it_is_a_copy_of(history: History, spot: Path) -> None:
    engine = FakeEngine(LEAF)
    RecordingEngine(engine, Recorder(history), source="single").inspect("leaf", spot)
    spot.unlink()
    copy = history.file(history.search().entries[0].id)
    assert copy.is_relative_to(history.copies.folder)
    recorder = Recorder(history)
    seen = engine.inspect("leaf", copy)
    recorder.seen(seen, source="single")
    recorder.mark(seen, "anomalous")
    assert [(entry.name, entry.mark) for entry in history.search().entries] == [("spot.png", "anomalous")]
    other = replace(seen, model="xray")
    recorder.mark(other, "normal")
    assert {(entry.name, entry.model, entry.mark) for entry in history.search().entries} == {
        ("spot.png", "leaf", "anomalous"),
        ("spot.png", "xray", "normal"),
    }


def test_a_mark_can_be_taken_back_after_a_restart(history: History, spot: Path) -> None:
    engine = FakeEngine(LEAF)
    inspection = RecordingEngine(engine, Recorder(history), source="single").inspect("leaf", spot)
    Recorder(history).mark(inspection, "anomalous")
    later = Recorder(history)
    later.seen(inspection, source="single")
    assert history.search(Query(mark="anomalous")).total == 1
    later.mark(replace(inspection, model="xray"), "")
    assert history.search(Query(mark="anomalous")).total == 1
    later.mark(inspection, "")
    assert history.search(Query(mark="any")).total == 0


def test_the_latest_word_counts_and_not_the_latest_inspection(history: History, spot: Path) -> None:
    recorder = Recorder(history)
    inspection = FakeEngine(LEAF).inspect("leaf", spot)
    other = replace(inspection, score=inspection.score + 5)
    for seen in (inspection, other):
        recorder.seen(seen, source="single")
    first, second = (entry.id for entry in history.search(Query(order="oldest")).entries)
    assert recorder.mark_of(inspection) == ""
    history.mark(second, "anomalous")
    history.mark(first, "normal")
    assert recorder.mark_of(inspection) == recorder.mark_of(other) == "normal"
    history.unmark(first)
    assert recorder.mark_of(inspection) == ""


def test_a_mark_of_a_file_that_is_gone_can_be_taken_back(history: History, spot: Path) -> None:
    inspection, recorder = FakeEngine(LEAF).inspect("leaf", spot), Recorder(history)
    recorder.mark(inspection, "anomalous")
    Recorder(history, ignore=[spot]).mark(inspection, "")
    assert history.search(Query(mark="anomalous")).total == 1, "an example is nobody's work"
    spot.unlink()
    recorder.mark(inspection, "")
    assert history.search(Query(mark="any")).total == 0


def test_a_deleted_entry_comes_back_when_its_image_is_inspected_again(history: History, spot: Path) -> None:
    engine = RecordingEngine(FakeEngine(LEAF), Recorder(history), source="single")
    engine.inspect("leaf", spot)
    history.delete(history.find_ids(Query()))
    engine.inspect("leaf", spot)
    assert history.search().total == 1


@pytest.mark.parametrize("purged", [True, False])
def test_a_mark_brings_a_deleted_entry_back(history: History, spot: Path, purged: bool) -> None:
    recorder, engine = Recorder(history), FakeEngine(LEAF)
    inspection = engine.inspect("leaf", spot)
    recorder.seen(inspection, source="batch")
    for mark in ("normal", "anomalous"):
        history.delete(history.find_ids(Query()))
        if purged:
            history.purge()
        if mark == "normal":
            recorder.mark(inspection, mark)
        else:
            recorder.mark_file("leaf", spot, mark, again=lambda: engine.inspect("leaf", spot))
        assert [entry.mark for entry in history.search().entries] == [mark]
    history.delete(history.find_ids(Query()))
    recorder.mark(inspection, "")
    assert history.search().total == 0, "nothing comes back to have its mark taken away"


def test_a_mark_is_not_given_to_an_image_that_has_changed_since(history: History, spot: Path, caplog: pytest.LogCaptureFixture) -> None:
    recorder, engine = Recorder(history), FakeEngine(LEAF)
    recorder.seen(engine.inspect("leaf", spot), source="batch")
    history.delete(history.find_ids(Query()))
    draw_spot(spot, strength=0)
    recorder.mark_file("leaf", spot, "anomalous", again=lambda: engine.inspect("leaf", spot))
    assert history.search().total == 0 and "has changed since" in caplog.text


def test_another_operating_point_makes_another_inspection(history: History, spot: Path) -> None:
    engine, recorder = FakeEngine(LEAF), Recorder(history)
    recording = RecordingEngine(engine, recorder, source="single")
    recording.inspect("leaf", spot)
    for boundary in (5.5, 99.0):
        recording.save_operating_point("leaf", boundary=boundary, pixel_threshold=3.0, who="Ada", why="lamp")
        inspection = recording.inspect("leaf", spot)
        recording.inspect("leaf", spot)
    recorder.mark(inspection, "normal")
    entries = history.search().entries
    assert [(entry.verdict, entry.boundary) for entry in entries] == [("normal", 99.0), ("anomalous", 5.5), ("anomalous", 6.0)]
    assert entries[0].mark == "normal" and history.statistics().false_alarms == 0


def test_a_history_that_cannot_be_written_does_not_stop_an_inspection(
    history: History, spot: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*arguments: object, **options: object) -> int:
        raise HistoryError("The disk is full.")

    monkeypatch.setattr(history, "add", refuse)
    inspection = RecordingEngine(FakeEngine(LEAF), Recorder(history), source="single").inspect("leaf", spot)
    assert inspection.score > 0
    assert "missing in the history" in caplog.text
