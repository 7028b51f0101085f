"""The Batch tab's server side: one session a browser tab, rows in increments, files that are served, work that ends."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from engine_double import LEAF, XRAY, FakeEngine, draw_spot

from panda_core.batch.rows import Row
from panda_core.batch.sources import open_folder
from panda_core.errors import ImageError, PandaError
from panda_core.inspection import Inspection
from panda_core.roi import RegionOfInterest, Shape, save_roi
from panda_core.ui import batch_session
from panda_core.ui.batch_session import BatchSession, subject_of
from panda_core.ui.batch_tab import BatchTab
from panda_core.ui.engine import BATCH, LocalEngine

WAIT = 20.0


class GatedEngine(FakeEngine):
    """The double, whose batches wait for a gate after the first image."""

    def __init__(self) -> None:
        super().__init__(LEAF, XRAY)
        self.gate = threading.Event()

    def inspect_many(self, model: str, paths: Sequence[Path]) -> Iterator[Inspection | ImageError]:
        for number, result in enumerate(super().inspect_many(model, paths)):
            if number:
                self.gate.wait(WAIT)
            yield result


def until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five images; those of odd numbers have a spot, the last is none."""
    place = tmp_path / "images"
    place.mkdir()
    for number in range(4):
        draw_spot(place / f"{number}.png", strength=200 if number % 2 else 0)
    (place / "4.png").write_text("text")
    return place


@pytest.fixture
def begin(folder: Path) -> Iterator[Callable[..., BatchSession]]:
    """``begin(engine)``: a session at work on the folder, closed after the test."""
    made: list[BatchSession] = []

    def start(engine: FakeEngine | None = None, **options: Any) -> BatchSession:
        made.append(BatchSession(engine or FakeEngine(LEAF), **{"publish": str, **options}))
        made[-1].inspect("leaf", lambda place, stop: open_folder(folder, [folder]))
        return made[-1]

    yield start
    for session in made:
        session.close()


def finished(session: BatchSession) -> BatchSession:
    assert session.job is not None and session.job.wait(WAIT)
    return session


def test_each_message_holds_only_the_rows_that_are_not_known(begin: Callable[..., BatchSession]) -> None:
    engine = GatedEngine()
    session = begin(engine)
    until(lambda: session.batch is not None and len(session.batch.rows) == 1)
    first = session.message(0)
    assert (first["from"], [row["id"] for row in first["rows"]], first["total"], first["working"]) == (0, [0], 5, True)
    engine.gate.set()
    finished(session)
    second = session.message(1)
    assert (second["from"], [row["id"] for row in second["rows"]], second["job"]["state"]) == (1, [1, 2, 3, 4], "done")
    assert session.message(1)["rows"] == second["rows"], "an answer that was lost can be asked for again"
    assert second["working"] is False and session.message(5)["rows"] == session.message(99)["rows"] == []
    json.dumps([first, second], allow_nan=False)


def test_a_batch_says_that_the_model_looks_at_its_region_only(
    begin: Callable[..., BatchSession], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PANDA_HOME", str(tmp_path / "home"))
    assert "region" not in finished(begin()).message(0)["thresholds"]["said"]
    save_roi("leaf", RegionOfInterest((Shape("rectangle", "include", ((0.0, 0.0), (0.5, 0.5))),)))
    said = finished(begin()).message(0)["thresholds"]["said"]
    assert "its region of interest only: 75.0 % of each image is ignored" in said


def test_a_row_carries_its_numbers_and_its_picture(begin: Callable[..., BatchSession]) -> None:
    rows = finished(begin()).message(0)["rows"]
    assert [row["score"] is None for row in rows] == [False] * 4 + [True]
    assert rows[1]["score"] > 6 > rows[0]["score"] and rows[1]["regions"] == 1 and rows[4]["problem"]
    assert rows[1]["picture"].startswith("data:image/jpeg;base64,") and rows[4]["picture"] is None


def test_large_batches_are_sent_in_parts(begin: Callable[..., BatchSession], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_session, "MOST_ROWS", 2)
    session = finished(begin())
    parts = [session.message(known) for known in (0, 2, 4)]
    assert [(len(part["rows"]), part["working"]) for part in parts] == [(2, True), (2, True), (1, False)]


def test_moved_thresholds_reach_the_counts_the_coming_rows_and_the_exports(begin: Callable[..., BatchSession]) -> None:
    engine = GatedEngine()
    session = begin(engine)
    until(lambda: session.batch is not None and len(session.batch.rows) == 1)
    answer = session.set_thresholds(0.0, 1000.0, known=1)
    assert answer["regions"] == [0] and answer["rows"] == [] and answer["thresholds"]["pixel"] == 1000.0
    assert answer["thresholds"]["own"] == 6.0 and "set by hand" in answer["thresholds"]["said"]
    assert "this batch only: an image opened from it is judged at the model’s 6." in answer["thresholds"]["said"]
    engine.gate.set()
    finished(session)
    assert [row["regions"] for row in session.message(1)["rows"]] == [0, 0, 0, None]
    assert session.results().count("anomalous") == 2 and session.results().boundary is not None
    session.set_thresholds(None, None, known=5)
    assert [row.regions for row in session.results().rows] == [0, 1, 0, 1, None]


def test_cancelling_keeps_what_is_done(begin: Callable[..., BatchSession]) -> None:
    engine = GatedEngine()
    session = begin(engine)
    until(lambda: session.batch is not None and len(session.batch.rows) == 1)
    session.cancel()
    engine.gate.set()
    finished(session)
    message = session.message(0)
    assert message["job"]["state"] == "stopped" and 1 <= len(message["rows"]) < 5
    assert len(session.results().rows) == len(message["rows"])


def test_closing_ends_the_work_and_deletes_everything(begin: Callable[..., BatchSession]) -> None:
    engine = GatedEngine()
    session = begin(engine)
    until(lambda: session.batch is not None and len(session.batch.rows) == 1)
    assert session.batch is not None
    place = session.batch.folder.parent
    session.close()
    engine.gate.set()
    finished(session)
    until(lambda: not place.exists())


def test_what_goes_wrong_is_told(tmp_path: Path) -> None:
    session = BatchSession(FakeEngine(XRAY), publish=str)
    with pytest.raises(PandaError, match="no model"):
        session.inspect(None, lambda place, stop: open_folder(tmp_path, [tmp_path]))
    session.inspect("xray", lambda place, stop: open_folder(tmp_path, [tmp_path]))
    message = finished(session).message(0)
    assert message["job"]["state"] == "failed" and "no images" in message["job"]["message"]
    with pytest.raises(PandaError, match="Nothing has been inspected"):
        session.export("csv")
    draw_spot(tmp_path / "a.png")
    session.inspect("xray", lambda place, stop: open_folder(tmp_path, [tmp_path]))
    assert "Copy the whole folder again" in finished(session).message(0)["job"]["message"]
    session.close()


def test_every_inspection_is_handed_on(begin: Callable[..., BatchSession]) -> None:
    heard: list[str] = []
    finished(begin(on_inspection=lambda inspection, row: heard.append(row.name * (inspection.score == row.score))))
    assert heard == ["0.png", "1.png", "2.png", "3.png"]


@pytest.mark.parametrize(("kind", "begins"), [("csv", b"\xef\xbb\xbfname,"), ("json", b"{"), ("zip", b"PK"), ("html", b"<!doctype html>")])
def test_each_export_becomes_a_file_offered_with_a_number(kind: str, begins: bytes, begin: Callable[..., BatchSession]) -> None:
    published: list[bytes] = []

    def publish(path: Path) -> str:
        published.append(path.read_bytes())
        return "there"

    session = finished(begin(publish=publish))
    session.export(kind)
    assert finished(session).message(0)["download"] == {"serial": 1, "name": f"inspection-images.{kind}", "path": "there"}
    session.export(kind)
    assert finished(session).message(0)["download"]["serial"] == 2
    assert len(published) == 2 and all(content.startswith(begins) for content in published)


def test_the_report_names_the_model_by_its_card() -> None:
    subject = subject_of("leaf", [XRAY, LEAF])
    assert (subject.title, subject.licence) == ("Leaves", "MIT") and subject.limits == LEAF.limits
    assert subject.measurements == ("rough spots: AUROC 0.910 (95 % interval 0.880–0.940); a trivial baseline reaches 0.720",)
    assert subject_of("gone", []).name == "gone"


class Desk:
    """A tab and two people at it."""

    def __init__(self, engine: FakeEngine, folder: Path, **options: Any) -> None:
        self.folder, self.options = folder, options
        with ThreadPoolExecutor(1) as thread:  # in this one a browser test may have left a loop running
            thread.submit(asyncio.run, self._build(engine)).result()

    async def _build(self, engine: FakeEngine) -> None:
        """Within a running loop: without one Gradio makes several of its own and leaves them open."""
        with gr.Blocks(analytics_enabled=False) as self.page:
            self.tab = BatchTab(engine, gr.Dropdown(["leaf"], value="leaf"), roots=[self.folder], **self.options)

    @staticmethod
    def person(name: str) -> gr.Request:
        return gr.Request(session_hash=name)

    def inspect(self, name: str, folder: Path | None = None) -> BatchSession:
        return finished(self.begin(name, folder))

    def begin(self, name: str, folder: Path | None = None) -> BatchSession:
        begun = self.tab._inspect_folder("leaf", str(folder or self.folder), self.person(name))
        session = self.tab.sessions.find(begun["id"])
        assert session is not None
        return session

    def call(self, name: str, **data: Any) -> Any:
        """As the page calls a function of the component."""
        return getattr(self.tab.table, name)(data)

    @staticmethod
    def event(session: BatchSession, **data: Any) -> gr.EventData:
        return gr.EventData(None, {"id": session.id, **data})


@pytest.fixture
def desk(folder: Path) -> Iterator[Desk]:
    made = Desk(FakeEngine(LEAF), folder)
    yield made
    made.tab.sessions.close()


def test_two_browser_tabs_do_not_mix(desk: Desk) -> None:
    (desk.folder / "sub").mkdir()
    draw_spot(desk.folder / "sub" / "only.png")
    all_of_it, part = desk.inspect("ann"), desk.inspect("bob", desk.folder / "sub")
    assert len(desk.call("look", id=all_of_it.id, known=0)["rows"]) == 6
    assert [row["name"] for row in desk.call("look", id=part.id, known=0)["rows"]] == ["only.png"]
    desk.call("judge", id=all_of_it.id, boundary=0.0, pixel=1.0, known=6)
    now = desk.call("look", id=all_of_it.id, known=6)["thresholds"]
    assert (now["boundary"], now["pixel"]) == (0.0, 1.0) and now["own"] == 6.0, "where a page that is loaded anew finds the sliders"
    assert (all_of_it.thresholds, part.thresholds) == ((0.0, 1.0), (None, None))


def test_a_mark_that_is_given_in_another_tab_reaches_the_row(desk: Desk) -> None:
    session = desk.inspect("ann")
    for mark, shown in (("anomalous", {"1": "anomalous"}), ("", {})):
        desk.tab.marked_elsewhere("leaf", desk.folder / "1.png", mark)
        desk.tab.marked_elsewhere("xray", desk.folder / "2.png", "normal")
        assert desk.call("look", id=session.id, known=5, marks=True)["marks"] == shown
    assert "marks" not in desk.call("look", id=session.id, known=5)


def test_opening_a_row_gives_the_files_in_the_order_shown(desk: Desk) -> None:
    session = desk.inspect("ann")
    event = desk.event(session, order=[3, 1, 0], index=1)
    paths, index = desk.tab.opened(event)
    assert [path.name for path in paths] == ["3.png", "1.png", "0.png"] and index == 1
    desk.call("judge", id=session.id, boundary=7.0, pixel=None, known=5)
    assert desk.tab.thresholds(event) == (7.0, None)
    assert desk.tab.model_of(event) == "leaf"


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize(
    "data",
    [{}, {"order": [99, -1, "a", None], "index": 7, "row": 99, "known": -5}, {"order": "abc", "index": "../x", "known": "x", "mark": 1}],
)
def test_calls_that_no_page_of_ours_made_do_no_harm(data: dict[str, Any], named: bool, desk: Desk) -> None:
    session = desk.inspect("ann")
    data = {"id": session.id if named else ["x"], **data}
    event = gr.EventData(None, data)
    assert desk.tab.opened(event) == ([], 0) and desk.tab.thresholds(event) == (None, None)
    assert desk.tab.model_of(event) == ("leaf" if named else None)
    for name in ("look", "judge", "export", "cancel", "mark"):
        json.dumps(desk.call(name, **data))
    assert session.batch is not None and not session.batch.marks and session.thresholds == (None, None)
    for name in ("look", "judge", "export", "mark"):
        assert getattr(desk.tab.table, name)(["no", "object"])["gone"]


def test_marks_are_kept_with_the_batch_and_handed_on(folder: Path) -> None:
    heard: list[tuple[str, str, str]] = []

    def hear(model: str, row: Row, mark: str) -> str:
        heard.append((model, row.name, mark))
        return "The disk is full." if mark else ""

    desk = Desk(FakeEngine(LEAF), folder, on_mark=hear)
    session = desk.inspect("ann")
    assert desk.call("mark", id=session.id, row=1, mark="normal")["message"] == "The disk is full."
    assert session.batch is not None and session.batch.marks == {1: "normal"} and session.message(0)["rows"][1]["mark"] == "normal"
    assert desk.call("mark", id=session.id, row=1, mark=None)["message"] == ""
    assert not session.batch.marks and heard == [("leaf", "1.png", "normal"), ("leaf", "1.png", "")]
    session.close()


def test_a_new_batch_takes_the_place_of_the_former(desk: Desk) -> None:
    former = desk.inspect("ann")
    latter = desk.inspect("ann")
    assert former.batch is not None and latter.batch is not None
    assert not former.batch.folder.exists() and latter.batch.folder.exists()
    assert desk.call("look", id=former.id, known=0)["gone"] and not desk.call("look", id=latter.id, known=0).get("gone")


def test_a_lost_connection_is_forgiven_for_a_while_then_all_is_freed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("panda_core.ui.work.KEEP", 2.0)
    session = desk.inspect("ann")
    desk.tab._leave(desk.person("ann"))
    for _ in range(25):
        time.sleep(0.1)
        desk.call("look", id=session.id, known=0)  # the connection is back
    assert session.batch is not None and session.batch.folder.exists()
    until(lambda: not len(desk.tab.sessions))
    until(lambda: session.batch is not None and not session.batch.folder.exists())
    for name in ("look", "judge", "export"):
        assert "no longer kept" in desk.call(name, id=session.id, known=0, kind="csv")["message"]


def test_work_that_nobody_looks_at_ends_after_a_shorter_while(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("panda_core.ui.work.GRACE", 0.2)
    engine = GatedEngine()
    desk = Desk(engine, folder)
    session = desk.begin("ann")
    desk.tab._leave(desk.person("ann"))
    until(lambda: not len(desk.tab.sessions))
    engine.gate.set()
    assert finished(session).job is not None and session.job is not None and session.job.state == "stopped"


def test_a_page_that_was_loaded_anew_may_ask_seldom(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hidden page asks once a minute, and of the new page nobody tells that its connection is lost."""
    monkeypatch.setattr("panda_core.ui.work.GRACE", 0.2)
    engine = GatedEngine()
    desk = Desk(engine, folder)
    session = desk.begin("ann")
    desk.tab.sessions.leave("ann")
    assert desk.call("look", id=session.id, known=0)["working"]
    time.sleep(1.0)
    assert desk.call("look", id=session.id, known=0).get("working"), "as long as the work of somebody who never left"
    engine.gate.set()
    desk.tab.sessions.close()


def test_a_folder_outside_the_roots_is_refused_on_the_page(desk: Desk, tmp_path: Path) -> None:
    value = desk.tab._inspect_folder("leaf", str(tmp_path), desk.person("ann"))
    assert "may be opened from this page" in value["message"] and value["refused"] and "id" not in value


@pytest.mark.parametrize(
    ("model", "typed", "words"), [("leaf", "{}/imagse", "There is no"), ("leaf", " ", "Nothing is given"), (None, "{}", "no model")]
)
def test_a_slip_of_the_keyboard_leaves_the_former_batch(desk: Desk, model: str | None, typed: str, words: str) -> None:
    session = desk.inspect("ann")
    first, second = (desk.tab._inspect_folder(model, typed.format(desk.folder), desk.person("ann")) for _ in range(2))
    assert words in first["message"] and first["refused"]
    assert first != second, "of an equal value the browser would hear nothing"
    assert len(desk.call("look", id=session.id, known=0)["rows"]) == 5


def test_without_a_model_nothing_begins(desk: Desk) -> None:
    value = desk.tab._inspect_folder(None, str(desk.folder), desk.person("ann"))
    assert "no model" in value["message"] and "working" not in value


def test_nothing_can_be_exported_before_something_was_inspected(desk: Desk, tmp_path: Path) -> None:
    (desk.folder / "empty").mkdir()
    session = desk.inspect("ann", desk.folder / "empty")
    assert "Nothing has been inspected" in desk.call("export", id=session.id, kind="csv")["message"]


def test_no_handler_of_the_tab_is_public(desk: Desk) -> None:
    assert desk.page.get_api_info()["named_endpoints"] == {}


def test_somebody_with_one_image_is_served_between_the_batches_of_another(
    toy_folder: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("panda_core.card.model_places", lambda: [tiny_model.parent])
    engine, one = LocalEngine(device="cpu"), toy_folder / "test" / "good" / "000.png"
    order: list[str] = []
    asked, served, look = threading.Event(), threading.Event(), engine._at_once

    def look_and_note(*arguments: Any) -> Any:
        found = look(*arguments)
        order.append("batch")
        return found

    def ask() -> None:
        asked.set()
        engine.inspect(tiny_model.name, one)
        order.append("one")
        served.set()

    monkeypatch.setattr(engine, "_at_once", look_and_note)
    for seen, result in enumerate(engine.inspect_many(tiny_model.name, [one] * (3 * BATCH + 1)), start=1):
        assert isinstance(result, Inspection)
        if seen == 1:
            threading.Thread(target=ask, daemon=True).start()
            asked.wait(WAIT)
            time.sleep(0.05)
    assert served.wait(WAIT) and order.count("batch") == 4
    # The second batch may have begun before anybody asked; the third waits its turn.
    assert order.index("one") <= 2


def test_large_files_are_not_seen_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from panda_core.ui import engine

    paths = [tmp_path / f"{number}" for number in range(2 * BATCH + 1)]
    for path in paths:
        path.write_bytes(b"0123456789")
    assert [len(group) for group in engine._groups([*paths, tmp_path / "gone"])] == [BATCH, BATCH, 2]
    monkeypatch.setattr(engine, "BATCH_PIXELS", 25)
    assert [len(group) for group in engine._groups(paths[:5])] == [2, 2, 1]
    monkeypatch.setattr(engine, "BATCH_PIXELS", 5)
    assert [len(group) for group in engine._groups(paths[:3])] == [1, 1, 1]
