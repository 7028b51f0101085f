"""What the page decides between its tabs, without a browser."""

from __future__ import annotations

import asyncio
import dataclasses
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gradio as gr
import pytest
from engine_double import LEAF, XRAY, FakeEngine, draw_spot

from panda_core.history import History, Query
from panda_core.ui.batch_session import BatchSession
from panda_core.ui.page import _Page


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    with History(tmp_path / "home" / "history.sqlite") as made:
        yield made


@pytest.fixture
def page(history: History, tmp_path: Path) -> Iterator[_Page]:
    async def build() -> _Page:
        """Within a running loop: without one Gradio makes several of its own and leaves them open."""
        with gr.Blocks(analytics_enabled=False):
            return _Page(FakeEngine(LEAF), (), history, [tmp_path])

    with ThreadPoolExecutor(1) as thread:
        made = thread.submit(asyncio.run, build()).result()
    yield made
    made.batch.sessions.close()


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [("other", "other"), ("leaf", "leaf"), (None, None), ("deleted", None), (XRAY.name, None)],
)
def test_a_result_is_opened_with_the_model_that_gave_it(page: _Page, wanted: str | None, expected: str | None) -> None:
    assert XRAY.problem, "the double's model that cannot be used"
    page.engine.entries = (LEAF, dataclasses.replace(LEAF, name="other"), XRAY)  # type: ignore[attr-defined]
    assert page._wish([Path("a.png")], 0, wanted).model == expected, "None is the one that is picked"


def upload(page: _Page, *files: Path) -> BatchSession:
    begun = page.batch._inspect_uploads("leaf", [str(file) for file in files], gr.Request(session_hash="ann"))
    session = page.batch.sessions.find(begun["id"])
    assert session is not None and session.job is not None and session.job.wait(20)
    return session


def test_marks_on_uploads_keep_their_worth_when_the_batch_is_gone(page: _Page, history: History, tmp_path: Path) -> None:
    """In the tab Batch and in the History; of images, and of images in a zip file."""
    pictures = [draw_spot(tmp_path / f"{strength}.png", strength=strength) for strength in (180, 200, 220)]
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        archive.write(pictures[1], "inner.png")
    session = upload(page, pictures[0], tmp_path / "more.zip", pictures[2])
    assert [entry.kept for entry in history.search().entries] == [None] * 3, "what is not marked is not copied"
    for row in (0, 1):
        session.mark(row, "normal")
    (last,) = history.search(Query(text="220.png")).entries
    history.mark(last.id, "normal")
    session.close()
    assert not session.place.exists()
    assert [path.read_bytes() for path in history.marked("leaf", "normal")] == [picture.read_bytes() for picture in pictures]


def test_a_mark_in_a_batch_brings_a_deleted_entry_back(page: _Page, history: History, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("text")
    session = upload(page, draw_spot(tmp_path / "spot.png"), tmp_path / "text.png")
    history.delete(history.find_ids(Query()))
    history.purge()
    session.mark(0, "normal")
    session.mark(1, "normal")
    assert [(entry.name, entry.mark, entry.source) for entry in history.search().entries] == [("spot.png", "normal", "batch")]


def test_the_list_follows_a_model_that_gets_another_name_and_a_page_begins_with_the_default(page: _Page) -> None:
    engine = page.engine
    assert isinstance(engine, FakeEngine)
    engine.entries = tuple(dataclasses.replace(LEAF, name=name) for name in ("first", "garden"))
    event = gr.EventData(None, {"was": "leaf", "name": "garden"})
    assert page._follow("leaf", event).value == "garden"
    assert page._follow("first", event).value == "first" and page._follow("gone", gr.EventData(None, {})).value == "first"
    assert page.built == "leaf"
    for picked, chosen in (("leaf", "first"), ("garden", "garden")):
        assert next(page.load(picked, None))[0].value == chosen
