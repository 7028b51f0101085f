"""The History tab in a real browser. Run as a script, this file serves a page with nothing but that tab, over a history of its own.

Usage: python test_history_page.py FOLDER COUNT: a history of COUNT inspections in FOLDER/home, the images below FOLDER/images.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from engine_double import LEAF, FakeEngine, draw_spot

from panda_core.errors import CalibrationError
from panda_core.history import History, HistoryError, Seen
from panda_core.scoring.decision import decide

pytestmark = pytest.mark.browser
PATIENCE = 60_000
HOSTILE = "<img src=x onerror=alert(1)>${alert(2)}.png"
COUNT = 320


def fill(folder: Path, count: int) -> History:
    """A history of ``count`` entries: the last three are a hostile name, a false alarm's image and a plain picture."""
    images = folder / "images"
    images.mkdir(exist_ok=True)
    history, engine = History(folder / "home" / "history.sqlite"), FakeEngine(LEAF)

    def seen(path: Path) -> Seen:
        inspection = engine.inspect("leaf", path)
        return Seen(inspection, decide(inspection), path)

    plain = seen(draw_spot(images / "plain.png", strength=0))
    history.add_many((Seen(plain.inspection, plain.decision, plain.path, f"part {n:05}.png") for n in range(count - 3)), source="batch")
    for name, strength in ((HOSTILE, 150), ("spot.png", 200), ("smooth.png", 10)):
        history.add_many([seen(draw_spot(images / "made.png", strength=strength).rename(images / name.replace("/", "_")))], source="single")
    return history


def calibrate(model: str, normal: list[Path], anomalous: list[Path], name: str) -> str:
    """Stands for the real calibration."""
    if len(anomalous) < 2:
        raise CalibrationError("Too few. Mark more.")
    return f"{name} made from {model}: {len(normal)} + {len(anomalous)}"


def build() -> Any:
    """A page whose History tab says what is opened."""
    import gradio as gr
    from fastapi import FastAPI

    from panda_core.ui.history_tab import HistoryTab, mount_thumbnails
    from panda_core.ui.mounting import mount

    folder = Path(sys.argv[1])
    history = fill(folder, int(sys.argv[2]))
    with gr.Blocks(analytics_enabled=False, fill_width=True) as page, gr.Column(elem_id="page", min_width=0):
        gr.HTML("<header><h1>PANDA Inspector</h1></header>", elem_id="bar", apply_default_css=False)
        with gr.Row(elem_id="desk"):
            with gr.Column(elem_id="source", min_width=0):
                model = gr.Dropdown(["leaf", "xray"], value="leaf", label="Model", elem_id="model")
            with gr.Tabs(elem_id="tabs"):
                with gr.Tab("History"):
                    tab = HistoryTab(model, history, on_calibrate=calibrate, roots=[folder])
                with gr.Tab("Other"):
                    opened = gr.Textbox(elem_id="opened")

        def tell(event: gr.EventData) -> str:
            try:
                found = tab.opened(event)
            except HistoryError as error:
                return str(error)
            return f"{found.index + 1} of {len(found.paths)}: {found.entries[found.index].name}"

        tell.__annotations__ = {"event": gr.EventData}  # Gradio looks for the name among the module's, where it is not
        tab.open_event(tell, None, opened)
    application = FastAPI(openapi_url=None)
    mount_thumbnails(application, history)
    return mount(application, page)


if __name__ == "__main__":
    from panda_core.ui.server import serve

    sys.exit(serve(build, host="127.0.0.1", port=0))


class Visit:
    """A browser page with the tab, its complaints and the hosts it asked."""

    def __init__(self, chromium: Any, url: str, *, width: int = 1440, height: int = 900) -> None:
        self.context = chromium.new_context(viewport={"width": width, "height": height})
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        self.page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.complaints.append(dialog.message), dialog.dismiss()))
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).hostname or ""))
        self.page.goto(url)
        self.page.wait_for_selector(".history[data-total]")

    def total(self, count: int) -> None:
        self.page.wait_for_selector(f'.history[data-total="{count}"]')

    def row(self, name: str) -> Any:
        return self.page.locator(".sheet-row", has_text=name)

    def choose(self, name: str) -> None:
        self.row(name).click()
        self.page.wait_for_selector('.sheet-row[aria-selected="true"]')

    def notice(self, text: str) -> None:
        self.page.wait_for_function("text => document.querySelector('.history-notice').textContent.includes(text)", arg=text)

    def beside(self, text: str, place: str = "#history-side") -> None:
        self.page.wait_for_function("([place, text]) => document.querySelector(place).textContent.includes(text)", arg=[place, text])

    def close(self) -> None:
        assert self.complaints == []
        assert self.hosts == {"127.0.0.1"}
        self.context.close()


@pytest.fixture
def visit(chromium: Any, serve: Callable[..., Any], tmp_path: Path) -> Iterator[Visit]:
    made = Visit(chromium, serve(str(tmp_path), str(COUNT), script=Path(__file__)).url)
    yield made
    made.close()


def test_an_entry_is_found_marked_and_opened_by_keyboard_and_teaches_the_model(visit: Visit, tmp_path: Path) -> None:
    visit.total(COUNT)
    # a stranger's file name is text, and the newest entry is on top
    assert visit.page.locator(".sheet-row").first.inner_text().split("\n")[1:2] == ["smooth.png"]
    assert visit.row("onerror").count() == 1 and visit.page.locator(".sheet img[src=x]").count() == 0
    visit.page.wait_for_function("document.querySelector('.sheet-row img').naturalWidth > 0")

    visit.page.locator(".history-text").fill("SPOT")
    visit.total(1)
    visit.choose("spot.png")
    visit.page.keyboard.press("n")
    visit.row("false alarm").wait_for()
    visit.beside("1 normal, 0 anomalous")
    visit.beside("1 false alarm and 0 misses")
    visit.page.keyboard.press("n")
    visit.beside("Nothing is marked")
    visit.page.keyboard.press("n")
    visit.beside("1 false alarm")
    visit.page.keyboard.press("Enter")
    visit.page.get_by_role("tab", name="Other").click()
    visit.page.wait_for_function("document.querySelector('#opened textarea').value === '1 of 1: spot.png'")
    visit.page.get_by_role("tab", name="History").click()
    visit.page.get_by_role("button", name="Clear").click()
    visit.total(COUNT)

    score = float(visit.page.locator(".sheet-row .sheet-cell[data-kind=number]").first.inner_text().replace("−", "-"))
    visit.page.get_by_label("Score from").fill(str(score - 0.01))
    visit.page.get_by_label("Score to").fill(str(score + 0.01))
    found = "Number(document.querySelector('.history').dataset.total)"
    visit.page.wait_for_function(f"() => {found} > 0 && {found} < {COUNT}")
    visit.page.get_by_role("button", name="Clear").click()
    visit.total(COUNT)

    visit.page.get_by_label("Mark", exact=True).select_option("false alarm")
    visit.total(1)
    training = tmp_path / "good"
    training.mkdir()
    visit.page.get_by_label("Training folder").fill(str(training))
    visit.page.click("#history-add")
    visit.beside("1 image added")
    assert [path.read_bytes() for path in training.iterdir()] == [(tmp_path / "images" / "spot.png").read_bytes()]
    visit.page.get_by_label("Training folder").fill("/etc")
    visit.page.click("#history-add")
    visit.beside("not in a folder this program may write to")
    visit.page.get_by_label("Name of the new model").fill("autumn")
    visit.page.click("#history-calibrate")
    visit.beside("Too few. Mark more.")


def test_thumbnails_are_served_by_their_hash_and_nothing_else_is(visit: Visit) -> None:
    address = visit.page.locator(".sheet-row img").first.get_attribute("src")
    place, _, name = address.rpartition("/")
    found = visit.page.request.get(visit.page.url + address)
    assert found.headers["content-type"] == "image/jpeg" and found.body()[:2] == b"\xff\xd8"
    for other in ("0" * 64 + ".jpg", name.upper(), "..%2f..%2fhistory.sqlite", name.replace(".jpg", ".png")):
        assert visit.page.request.get(f"{visit.page.url}{place}/{other}").status == 404


def test_rows_are_loaded_as_they_are_scrolled_to(visit: Visit) -> None:
    visit.total(COUNT)
    visit.page.locator(".sheet").focus()
    for _ in range(8):
        visit.page.keyboard.press("End")
        visit.page.wait_for_timeout(250)
    visit.row("part 00000.png").wait_for()
    assert visit.page.locator(".sheet-row").count() < 80


def test_deleting_can_be_undone_for_one_and_for_all_found(visit: Visit, tmp_path: Path) -> None:
    visit.total(COUNT)
    visit.choose("spot.png")
    visit.page.keyboard.press("Delete")
    visit.notice("spot.png is deleted")
    visit.total(COUNT - 1)
    assert visit.row("spot.png").count() == 0
    assert "onerror" in visit.page.locator('.sheet-row[aria-selected="true"]').inner_text(), "the next row is chosen"
    visit.page.get_by_role("button", name="Undo").click()
    visit.row("spot.png").wait_for()
    visit.total(COUNT)

    visit.page.locator(".history-text").fill("part")
    visit.total(COUNT - 3)
    visit.page.get_by_role("button", name=f"Delete all {COUNT - 3}").click()
    visit.page.get_by_role("button", name=f"Really delete {COUNT - 3}?").wait_for()
    visit.total(COUNT - 3)
    visit.page.get_by_role("button", name=f"Really delete {COUNT - 3}?").click()
    visit.total(0)
    visit.page.get_by_text("Nothing fits the search").wait_for()
    visit.page.reload()
    visit.total(3)
    visit.notice(f"{COUNT - 3} entries are deleted")
    visit.page.locator(".sheet").focus()
    visit.page.keyboard.press("Control+z")
    visit.total(COUNT)
    visit.page.reload()
    visit.total(COUNT)
    assert visit.page.get_by_role("button", name="Undo").count() == 0


def test_what_is_gone_for_good_is_said_so(visit: Visit, tmp_path: Path) -> None:
    visit.total(COUNT)
    visit.choose("spot.png")
    visit.page.keyboard.press("Delete")
    visit.notice("spot.png is deleted")
    with History(tmp_path / "home" / "history.sqlite") as history:
        assert history.purge() == 1
    visit.page.keyboard.press("Control+z")
    visit.notice("gone for good")


def test_an_image_that_is_gone_is_said_so(visit: Visit, tmp_path: Path) -> None:
    visit.total(COUNT)
    (tmp_path / "images" / "spot.png").unlink()
    for copy in (tmp_path / "home" / "history").rglob("*.png"):
        copy.unlink()
    visit.choose("spot.png")
    visit.row("spot.png").dblclick()
    visit.page.get_by_role("tab", name="Other").click()
    visit.page.wait_for_function("document.querySelector('#opened textarea').value.startsWith('spot.png is gone')")


def test_a_shorter_retention_says_what_goes_before_it_goes(visit: Visit, tmp_path: Path) -> None:
    import sqlite3

    visit.total(COUNT)
    with sqlite3.connect(tmp_path / "home" / "history.sqlite") as connection:
        connection.execute("UPDATE inspections SET created = '2020-01-01 00:00:00.000000' WHERE name LIKE 'part%'")
    connection.close()
    visit.page.locator("#history-days input").click()
    visit.page.get_by_role("option", name="For 30 days").click()
    visit.page.click("#history-save")
    visit.beside(f"{COUNT - 3} entries are older")
    visit.page.get_by_label("Keep a copy of each image").uncheck()
    visit.page.wait_for_function("document.querySelector('#history-save').textContent.trim() === 'Save'")
    visit.page.click("#history-save")
    visit.page.get_by_role("button", name=f"Delete {COUNT - 3} and save").click()
    visit.beside(f"{COUNT - 3} entries removed")
    visit.page.get_by_role("tab", name="Other").click()
    visit.page.get_by_role("tab", name="History").click()
    visit.total(3)
    visit.page.reload()  # the page was built before any of this was saved
    visit.page.wait_for_function("document.querySelector('#history-days input')?.value === 'For 30 days'")
    visit.page.wait_for_function("!document.querySelector('#history-copies input').checked")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_on_a_phone_nothing_is_wider_than_the_screen(chromium: Any, serve: Callable[..., Any], tmp_path: Path, theme: str) -> None:
    url = serve(str(tmp_path), "10", script=Path(__file__)).url
    phone = Visit(chromium, f"{url}?__theme={theme}", width=390, height=844)
    phone.row("spot.png").wait_for()
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert phone.page.evaluate("(sheet => sheet.scrollWidth - sheet.clientWidth)(document.querySelector('.sheet'))") <= 0
    phone.close()
