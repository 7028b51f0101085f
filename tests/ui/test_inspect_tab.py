"""The Inspect tab's server side: what a page gets that has waited, failed, or comes back to an image with a mark."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from engine_double import LEAF, FakeEngine, draw_spot

from panda_core.errors import ImageError
from panda_core.history import History
from panda_core.ui import inspect_tab
from panda_core.ui.handlers import Playlist
from panda_core.ui.inspect_tab import IDLE, InspectTab, Mark
from panda_core.ui.recording import Recorder, RecordingEngine
from panda_core.ui.view import View, discard
from panda_core.ui.wishes import Wish

# Outside of an event Gradio takes an update for a new component.
pytestmark = pytest.mark.filterwarnings("ignore:The value passed into gr.Dropdown")


class Seat:
    """The tab and one browser tab's session, as Gradio would keep it."""

    def __init__(self, **options: Any) -> None:
        engine = options.pop("engine", None) or FakeEngine(LEAF)

        async def build() -> InspectTab:
            with gr.Blocks(analytics_enabled=False):
                return InspectTab(engine, gr.Dropdown(), gr.HTML(), **options)

        with ThreadPoolExecutor(1) as thread:
            self.tab = thread.submit(asyncio.run, build()).result()
        self.view: View | None = None
        self.playlist = Playlist()
        self.shown: dict[str, Any] = {}

    def take(self, updates: Iterator[tuple[Any, ...]]) -> dict[str, Any]:
        """Keep what the updates leave behind; the viewer's last value."""
        for view, playlist, value, *_ in updates:
            self.view = view if isinstance(view, View) or view is None else self.view
            self.playlist = playlist if isinstance(playlist, Playlist) else self.playlist
            self.shown = value if "serial" in value else self.shown
        return self.shown

    def open(self, *paths: Path, index: int = 0) -> dict[str, Any]:
        return self.grant(Wish(Playlist(paths, index)))

    def grant(self, wish: Wish) -> dict[str, Any]:
        return self.take(self.tab.granted("leaf", self.view, self.playlist, wish))

    def event(self, **data: Any) -> Any:
        return SimpleNamespace(id=self.shown.get("id", ""), _data=data, **data)


@pytest.fixture
def seat() -> Iterator[Seat]:
    made = Seat()
    yield made
    discard(made.view)


@pytest.fixture
def spot(tmp_path: Path) -> Path:
    return draw_spot(tmp_path / "spot.png")


@pytest.mark.parametrize(
    ("handler", "data"),
    [
        ("saved", {"boundary": 5.0, "pixel_threshold": 2.0, "who": "Ann", "why": ""}),
        ("bounded", {"shapes": []}),
        ("compared", {"path": ""}),
    ],
)
def test_a_page_that_has_waited_too_long_gets_its_image_again_and_is_told(
    seat: Seat, spot: Path, handler: str, data: dict[str, Any]
) -> None:
    seat.open(spot)
    before, seat.view = seat.shown["id"], None  # Gradio has let the session's view go
    again = seat.take(getattr(seat.tab, handler)("leaf", None, seat.playlist, seat.event(**data)))
    assert again["message"] == {"text": IDLE} and again["id"] != before and seat.view is not None


def test_an_event_of_an_image_that_a_later_one_has_replaced_changes_nothing(seat: Seat, spot: Path) -> None:
    seat.open(spot)
    late = SimpleNamespace(id="another", shapes=[])
    before = seat.shown
    assert seat.take(seat.tab.bounded("leaf", seat.view, seat.playlist, late)) is before  # type: ignore[arg-type]


def test_where_the_list_is_lost_too_the_page_says_so(seat: Seat, spot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a lost connection, when Gradio has forgotten both."""
    warned: list[str] = []
    monkeypatch.setattr(inspect_tab.gr, "Warning", warned.append)
    seat.open(spot)
    before = seat.shown
    assert seat.take(seat.tab.saved("leaf", None, Playlist(), seat.event(boundary=None))) is before
    assert len(warned) == 1 and "Open it again" in warned[0]


def test_nothing_late_reaches_an_image_that_a_notice_has_replaced(
    seat: Seat, spot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspect_tab, "uploaded_file", Path)
    seat.open(spot)
    late = seat.event(path=str(spot), _name="late")
    monkeypatch.setattr(inspect_tab, "dropped_files", lambda data: (_ for _ in ()).throw(ImageError("a.txt", "is no image")))
    failed = seat.grant(seat.tab.dropped(seat.event()))
    assert failed["notice"]["title"] == "Nothing was inspected"
    assert seat.take(seat.tab.compared("leaf", seat.view, seat.playlist, late)) is failed
    assert seat.take(seat.tab.switched("leaf", seat.view, seat.playlist)) is failed, "the image before is not what was asked for"


def test_a_mark_that_cannot_be_kept_is_said(spot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Mark] = []
    warned: list[str] = []
    monkeypatch.setattr(inspect_tab.gr, "Warning", warned.append)
    seat = Seat(on_mark=lambda inspection, mark: kept.append(mark))
    seat.open(spot)
    seat.tab.marked(seat.view, seat.event(mark="normal"))
    assert kept == ["normal"] and warned == []
    seat.tab.marked(None, seat.event(mark="anomalous"))
    assert kept == ["normal"] and len(warned) == 1 and "not kept" in warned[0]
    discard(seat.view)


def test_after_a_bad_image_the_arrows_go_on_and_another_model_looks_again(seat: Seat, spot: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_text("text")
    failed = seat.open(spot, bad, index=1)
    assert failed["notice"]["kind"] == "error" and failed["position"] == {"index": 1, "count": 2}
    again = seat.take(seat.tab.switched("leaf", seat.view, seat.playlist))
    assert again["notice"] == failed["notice"] and again["serial"] > failed["serial"], "an equal value would not reach the browser"
    back = seat.grant(seat.tab.stepped(Wish(seat.playlist), seat.playlist, seat.event(by=-1)))
    assert back["name"] == "spot.png" and back["position"] == {"index": 0, "count": 2}


def test_steps_add_up_while_an_image_is_inspected_and_the_last_wish_is_the_one_that_is_granted(tmp_path: Path) -> None:
    examples = [draw_spot(tmp_path / f"{number}.png") for number in range(6)]
    engine = FakeEngine(LEAF)
    seat = Seat(examples=examples, engine=engine)
    shown = seat.take(seat.tab.welcome("leaf", None))
    assert shown["position"]["index"] == 1
    wish = seat.tab.wish.value
    for by in (1, 1, 1, 1, 1, -1):  # nothing has been opened meanwhile; at the end of the list it stays
        asked = seat.tab.stepped(wish, seat.playlist, seat.event(by=by))
        wish = asked if isinstance(asked, Wish) else wish
    assert wish.playlist.index == 4
    last = seat.tab.chosen(SimpleNamespace(index=2))  # type: ignore[arg-type]
    assert seat.grant(last)["name"] == "2.png"
    assert seat.grant(wish)["name"] == "2.png" and engine.calls == 2, "what was asked for before is no longer wanted"
    assert seat.grant(last)["name"] == "2.png" and engine.calls == 2, "one wish is granted once"
    updates = list(seat.tab.granted("leaf", seat.view, seat.playlist, last))
    assert len(updates) == 1 and all(value == gr.skip() for value in updates[0]), "Gradio clears what a generator leaves out"
    discard(seat.view)


def test_masks_that_were_chosen_outlast_an_image_that_cannot_be_read(
    seat: Seat, spot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspect_tab, "uploaded_file", Path)
    seat.open(spot)
    seat.take(seat.tab.compared("leaf", seat.view, seat.playlist, seat.event(path=str(draw_spot(tmp_path / "mask.png", strength=200)))))
    assert seat.shown["truth_chosen"] is True
    bad = tmp_path / "bad.png"
    bad.write_text("text")
    seat.open(bad)
    assert seat.open(spot)["truth_chosen"] is True


def test_the_same_model_again_costs_no_inspection_and_a_model_that_is_gone_leaves_no_verdict(spot: Path) -> None:
    engine = FakeEngine(LEAF, dataclasses.replace(LEAF, name="other"))
    seat = Seat(engine=engine)
    before = seat.open(spot)
    assert seat.take(seat.tab.switched("leaf", seat.view, seat.playlist)) is before
    assert seat.take(seat.tab.judged_again("leaf", seat.view, seat.playlist)) is before and engine.calls == 1
    engine.entries = engine.entries[1:]
    after = seat.take(seat.tab.judged_again("other", seat.view, seat.playlist))
    assert "“leaf” is gone" in after["message"]["text"] and seat.view is not None and seat.view.inspection.model == "other"
    discard(seat.view)


@pytest.mark.parametrize(("model", "shown"), [("leaf", "leaf_2.png"), ("xray", "xray_1.png"), ("mine", "leaf_2.png")])
def test_a_fresh_page_begins_with_the_model_that_was_chosen_for_it(tmp_path: Path, model: str, shown: str) -> None:
    examples = [draw_spot(tmp_path / name) for name in ("leaf_1.png", "leaf_2.png", "xray_1.png")]
    engine = FakeEngine(*(dataclasses.replace(LEAF, name=name) for name in ("mine", "leaf", "xray")))
    seat = Seat(engine=engine, examples=examples)
    assert seat.take(seat.tab.welcome(model, None))["name"] == shown
    assert seat.view is not None and seat.view.inspection.model == model
    discard(seat.view)


def test_an_image_shows_the_mark_it_was_given_before(spot: Path, tmp_path: Path) -> None:
    def sit() -> Seat:
        recorder = Recorder(History(tmp_path / "home" / "history.sqlite"))
        engine = RecordingEngine(FakeEngine(LEAF), recorder, source="single")
        return Seat(engine=engine, on_mark=recorder.mark, mark_of=recorder.mark_of)

    first = sit()
    assert first.open(spot)["mark"] == ""
    first.tab.marked(first.view, first.event(mark="anomalous"))
    later = sit()
    assert later.open(spot)["mark"] == "anomalous"
    later.tab.marked(later.view, later.event(mark=""))
    assert later.open(spot)["mark"] == ""
    for seat in (first, later):
        discard(seat.view)
