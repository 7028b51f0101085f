"""The Batch tab in a real browser. Run as a script, this file serves a page with nothing but that tab, over the engine double."""

from __future__ import annotations

import sys
import time
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from engine_double import LEAF, FakeEngine, draw_spot
from serving import Served
from visit import Visit

if __name__ == "__main__":
    import gradio as gr

SLOW = 0.25
"""Seconds that an image named "slow…" takes."""


class SlowEngine(FakeEngine):
    """The double, but images of some names take their time."""

    def inspect_many(self, model: str, paths: Sequence[Path]) -> Iterator[Any]:
        for path in paths:
            time.sleep(SLOW if path.name.startswith("slow") else 0)
            yield from super().inspect_many(model, [path])


def build() -> Any:
    """A page whose Batch tab says what is opened and marked."""
    from fastapi import FastAPI

    from panda_core.ui import work
    from panda_core.ui.batch_tab import BatchTab
    from panda_core.ui.mounting import mount

    work.GRACE = 2.0
    with gr.Blocks(analytics_enabled=False, fill_width=True) as page, gr.Column(elem_id="page", min_width=0):
        gr.HTML("<header><h1>Batch only</h1></header>", elem_id="bar", apply_default_css=False)
        with gr.Row(elem_id="desk"):
            with gr.Column(elem_id="source", min_width=0):
                model = gr.Dropdown(["leaf"], value="leaf", label="Model", elem_id="model")
            with gr.Tabs(elem_id="tabs"), gr.Tab("Batch"):
                tab = BatchTab(SlowEngine(LEAF), model, roots=[Path(sys.argv[1])])
        opened = gr.Textbox(elem_id="opened", container=False)

        def tell(event: gr.EventData) -> str:
            paths, index = tab.opened(event)
            return f"{index + 1} of {len(paths)}: {paths[index].name} at {tab.thresholds(event)}"

        tab.open_event(tell, None, opened)
    return mount(FastAPI(openapi_url=None), page)


pytestmark = pytest.mark.browser


class BatchVisit(Visit):
    """A person at the Batch tab."""

    def open(self, url: str, *, theme: str = "dark") -> None:
        self.page.goto(f"{url}?__theme={theme}")
        self.page.wait_for_selector(".sheet-empty")

    def inspect_folder(self, folder: Path) -> None:
        self.page.fill("#batch-folder textarea, #batch-folder input", str(folder))
        self.page.press("#batch-folder textarea, #batch-folder input", "Enter")

    def wait_for_all(self, count: int) -> None:
        self.page.wait_for_function(
            "count => document.querySelector('.batch').dataset.state === 'ready'"
            " && document.querySelector('[data-show=all] b').textContent === String(count)",
            arg=count,
        )

    def count(self, show: str) -> int:
        return int(self.page.inner_text(f"[data-show={show}] b"))

    def column(self, number: int) -> list[str]:
        """What the rows in sight say in a column, from the top."""
        self.settle()
        return list(
            self.page.evaluate(
                """number => [...document.querySelectorAll('.sheet-row')].sort((a, b) => a.dataset.index - b.dataset.index)
                    .map(row => row.children[number].textContent)""",
                number,
            )
        )

    def settle(self) -> None:
        """Two frames: the table is painted."""
        self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def slide(self, name: str, value: float) -> None:
        """Move a slider as a drag does, without the end of it."""
        self.page.evaluate(
            """([name, value]) => {
                const slider = document.querySelector(`input[type=range][data-threshold=${name}]`);
                slider.value = value;
                slider.dispatchEvent(new Event('input', {bubbles: true}));
            }""",
            [name, value],
        )

    def wait_for_regions(self, *counts: str) -> None:
        """Of the rows after the first."""
        self.page.wait_for_function(
            """counts => counts.every((count, at) =>
                document.querySelector(`.sheet-row[data-index="${at + 1}"]`).children[5].textContent === count)""",
            arg=list(counts),
        )

    def expect_calm(self) -> None:
        assert self.complaints == []
        assert self.hosts <= {"127.0.0.1", ""}


def draw_slow(folder: Path, count: int) -> Path:
    """A folder of images that take their time."""
    folder.mkdir()
    for number in range(count):
        draw_spot(folder / f"slow_{number:03}.png")
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The only folder that the page may open."""
    return tmp_path_factory.mktemp("allowed")


@pytest.fixture(scope="module")
def images(place: Path) -> Path:
    """Forty images: every third has a strong spot, every other third a weak one; and one that is none, with a hostile name."""
    folder = place / "images"
    folder.mkdir()
    for number in range(40):
        draw_spot(folder / f"leaf_{number}.png", strength=(0, 60, 200)[number % 3])
    (folder / "bad<img src=x onerror=alert(1)>${alert(2)}.png").write_text("text")
    return folder


@pytest.fixture(scope="module")
def tab(place: Path) -> Iterator[Any]:
    """The served page."""
    (place / "temporary").mkdir()
    running = Served(str(place), script=Path(__file__), TMPDIR=str(place / "temporary"))
    yield running
    running.close()


@pytest.fixture
def visit(chromium: Any, tab: Any) -> Iterator[BatchVisit]:
    made = BatchVisit(chromium)
    made.open(tab.url)
    yield made
    made.context.close()


def test_a_folder_becomes_a_table_of_verdicts(visit: BatchVisit, images: Path) -> None:
    visit.inspect_folder(images)
    visit.wait_for_all(41)
    assert (visit.count("anomalous"), visit.count("normal"), visit.count("unreadable")) == (13, 27, 1)
    names = visit.column(1)
    assert (
        names[0].startswith("bad<img") and "is text, not an image" in names[0] and names[1:4] == ["leaf_0.png", "leaf_1.png", "leaf_2.png"]
    )
    assert visit.column(2)[:4] == ["unreadable", "normal", "normal", "anomalous"]
    assert visit.page.locator(".sheet-row img[src^='data:image/jpeg']").count() > 5
    assert visit.page.locator(".sheet-row").count() < 41, "rows out of sight are not in the document"
    visit.expect_calm()


def test_a_filter_from_before_that_hides_every_row_is_named_when_the_batch_is_done(visit: BatchVisit, images: Path, place: Path) -> None:
    visit.inspect_folder(images)
    visit.wait_for_all(41)
    visit.page.fill(".batch-filter", "scab")
    visit.inspect_folder(draw_slow(place / "filtered", 3))
    visit.wait_for_all(3)
    assert visit.page.inner_text(".sheet-empty") == "No image matches. Choose “All” and clear the text."
    visit.page.fill(".batch-filter", "slow_002")
    assert visit.column(1) == ["slow_002.png"]
    visit.expect_calm()


def test_both_sliders_change_the_table_and_the_boundary_needs_no_server(visit: BatchVisit, images: Path) -> None:
    visit.inspect_folder(images)
    visit.wait_for_all(41)
    visit.context.set_offline(True)
    visit.slide("boundary", 2.0)
    assert visit.count("anomalous") == 26 and visit.column(2)[2] == "anomalous"
    assert visit.page.input_value("input[type=number][data-threshold=boundary]").startswith("2.0")
    visit.slide("boundary", 6.0)
    assert visit.count("anomalous") == 13
    visit.context.set_offline(False)
    visit.complaints.clear()  # what it says of having been offline

    assert visit.column(5)[1:4] == ["0", "1", "1"]
    visit.slide("pixel", 5.0)
    visit.wait_for_regions("0", "0", "1")
    visit.slide("pixel", 0.5)
    visit.wait_for_regions("0", "1", "1")
    said = visit.page.inner_text(".batch-said")
    assert "Judged by “leaf”" in said and "calibration images" in said
    visit.slide("pixel", 20.0)
    visit.wait_for_regions("0", "0", "0")
    visit.page.click(".batch-reset")
    visit.wait_for_regions("0", "1", "1")
    assert visit.page.is_disabled(".batch-reset")
    visit.expect_calm()


def test_chips_text_and_headers_choose_and_order_the_rows(visit: BatchVisit, images: Path) -> None:
    visit.inspect_folder(images)
    visit.wait_for_all(41)
    visit.page.click("[data-show=anomalous]")
    assert set(visit.column(2)) == {"anomalous"}
    visit.page.fill(".batch-filter", "LEAF_2")
    assert visit.column(1) == ["leaf_2.png", "leaf_20.png", "leaf_23.png", "leaf_26.png", "leaf_29.png"]
    visit.page.fill(".batch-filter", "no such name")
    assert visit.column(1) == [] and visit.page.is_visible(".sheet-empty")
    visit.page.fill(".batch-filter", "")
    visit.page.click("[data-show=all]")

    score = visit.page.get_by_role("columnheader", name="Score")
    score.get_by_role("button").click()
    assert visit.column(2)[0] == "anomalous" and score.get_attribute("aria-sort") == "descending"
    score.get_by_role("button").click()
    assert visit.column(2)[0] == "normal" and score.get_attribute("aria-sort") == "ascending"
    score.get_by_role("button").click()
    assert visit.column(2)[0] == "unreadable" and score.get_attribute("aria-sort") == "none"
    visit.page.wait_for_timeout(500)
    assert visit.page.is_hidden(".batch-message"), visit.page.inner_text(".batch-message")
    visit.expect_calm()


def test_a_person_reviews_by_keyboard_alone(visit: BatchVisit, images: Path) -> None:
    visit.inspect_folder(images)
    visit.wait_for_all(41)
    visit.page.click("[data-show=anomalous]")
    visit.page.focus(".sheet")
    for key in ("ArrowDown", "j", "ArrowDown", "k"):
        visit.page.keyboard.press(key)
    visit.settle()
    assert visit.page.get_attribute(".sheet-row[aria-selected=true]", "data-index") == "1"
    active = visit.page.get_attribute(".sheet", "aria-activedescendant")
    assert active and visit.page.get_attribute(f"#{active}", "aria-selected") == "true"
    visit.page.keyboard.press("n")
    visit.page.keyboard.press("a")
    visit.page.keyboard.press("End")
    assert visit.column(8)[:4] == ["–", "normal", "anomalous", "–"]
    visit.page.keyboard.press("Enter")
    visit.page.wait_for_function("() => document.querySelector('#opened textarea, #opened input').value")
    assert visit.page.input_value("#opened textarea, #opened input").startswith("13 of 13: leaf_38.png")
    visit.expect_calm()


def test_progress_is_shown_and_cancelling_keeps_what_is_done(visit: BatchVisit, place: Path) -> None:
    visit.inspect_folder(draw_slow(place / "slow", 40))
    visit.page.wait_for_selector(".sheet-row")
    visit.page.wait_for_function("() => / of 40 .* left/.test(document.querySelector('.batch-pace').textContent)")
    assert visit.page.is_disabled("[data-export=csv]")
    visit.page.click(".batch-cancel")
    visit.page.wait_for_selector('.batch[data-state="ready"]')
    done = visit.count("all")
    assert 1 <= done < 40 and visit.page.is_hidden(".batch-progress") and visit.page.is_enabled("[data-export=csv]")
    visit.expect_calm()


def test_exports_are_saved_with_one_click(visit: BatchVisit, images: Path, tmp_path: Path) -> None:
    visit.inspect_folder(images)
    visit.wait_for_all(41)
    for kind, begins in (("csv", b"\xef\xbb\xbfname"), ("zip", b"PK"), ("html", b"<!doctype")):
        with visit.page.expect_download() as download:
            visit.page.click(f"[data-export={kind}]")
        download.value.save_as(tmp_path / kind)
        assert (tmp_path / kind).read_bytes().startswith(begins) and download.value.suggested_filename == f"inspection-images.{kind}"
        visit.page.wait_for_selector("[data-export=csv]:not([disabled])")
    with zipfile.ZipFile(tmp_path / "zip") as archive:
        assert len(archive.namelist()) == 81
    visit.expect_calm()


def test_the_report_opens_from_a_file_and_runs_nothing(visit: BatchVisit, images: Path, tmp_path: Path) -> None:
    visit.inspect_folder(images)
    visit.wait_for_all(41)
    with visit.page.expect_download() as download:
        visit.page.click("[data-export=html]")
    download.value.save_as(tmp_path / "report.html")
    visit.hosts.clear()
    visit.page.goto((tmp_path / "report.html").as_uri())
    assert "Inspection report" in visit.page.inner_text("h1") and visit.page.locator("figure img").count() == 40
    assert visit.page.evaluate("() => [...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert "bad<img src=x" in visit.page.inner_text("table")
    visit.expect_calm()


def test_uploaded_archives_are_inspected_and_damaged_ones_refused_in_words(visit: BatchVisit, images: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "some.zip", "w") as archive:
        for number in (1, 2):
            archive.write(images / f"leaf_{number}.png", f"sub/{number}.png")
    (tmp_path / "bad.zip").write_bytes(b"PK no archive")
    for files, check in (
        ([tmp_path / "some.zip", images / "leaf_2.png"], lambda: visit.wait_for_all(3)),
        ([tmp_path / "bad.zip"], lambda: visit.page.wait_for_selector(".batch-message:has-text('bad.zip cannot be unpacked')")),
    ):
        with visit.page.expect_file_chooser() as chooser:
            visit.page.click("#batch-upload")
        chooser.value.set_files(files)
        check()
    assert visit.count("all") == 0, "nothing is left of the batch before"
    visit.expect_calm()


def test_two_browser_tabs_keep_their_own_batches(chromium: Any, tab: Any, images: Path, place: Path) -> None:
    few = place / "few"
    few.mkdir()
    draw_spot(few / "one.png")
    first, second = BatchVisit(chromium), BatchVisit(chromium)
    for made in (first, second):
        made.open(tab.url)
    first.inspect_folder(images)
    second.inspect_folder(few)
    second.wait_for_all(1)
    first.wait_for_all(41)
    assert second.column(1) == ["one.png"]
    for made in (first, second):
        made.expect_calm()
        made.context.close()


def test_closing_the_browser_tab_ends_the_work_and_frees_the_disk(chromium: Any, tab: Any, place: Path) -> None:
    folder = draw_slow(place / "left", 200)
    visit = BatchVisit(chromium)
    visit.open(tab.url)
    before = set((place / "temporary").glob("panda-batch-*"))
    visit.inspect_folder(folder)
    visit.page.wait_for_selector(".sheet-row")
    (mine,) = set((place / "temporary").glob("panda-batch-*")) - before
    visit.context.close()
    end = time.monotonic() + 20
    while mine.exists():
        assert time.monotonic() < end, "the work goes on although nobody looks"
        time.sleep(0.1)


def test_a_lost_connection_is_said_and_made_up_for(visit: BatchVisit, place: Path) -> None:
    visit.inspect_folder(draw_slow(place / "cut", 12))
    visit.page.wait_for_selector(".sheet-row")
    visit.context.set_offline(True)
    visit.page.wait_for_selector(".batch-message:has-text('does not answer')")
    visit.context.set_offline(False)
    visit.wait_for_all(12)
    assert visit.page.is_hidden(".batch-message") and len(visit.column(1)) == 12


def test_a_reload_brings_the_batch_back_with_its_marks_and_saves_nothing_twice(visit: BatchVisit, images: Path) -> None:
    visit.inspect_folder(images)
    visit.wait_for_all(41)
    visit.page.focus(".sheet")
    for key in ("ArrowDown", "a"):
        visit.page.keyboard.press(key)
    assert visit.column(8)[0] == "anomalous"
    with visit.page.expect_download():
        visit.page.click("[data-export=csv]")
    saved: list[Any] = []
    visit.page.on("download", lambda download: saved.append(download))
    visit.page.reload()
    visit.page.wait_for_selector(".sheet-empty, .sheet-row")
    visit.wait_for_all(41)
    assert visit.column(8)[0] == "anomalous"
    visit.page.wait_for_selector("[data-export=csv]:not([disabled])")
    assert saved == []
    visit.expect_calm()


def test_a_folder_that_may_not_be_opened_is_refused_in_words(visit: BatchVisit, tmp_path: Path) -> None:
    visit.inspect_folder(tmp_path)
    visit.page.wait_for_selector(".batch-message:has-text('may be opened from this page')")
    assert visit.count("all") == 0
    visit.expect_calm()


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_nothing_is_wider_than_the_screen_and_a_desktop_does_not_scroll(
    width: int, height: int, chromium: Any, tab: Any, images: Path
) -> None:
    visit = BatchVisit(chromium, width=width, height=height)
    visit.open(tab.url)
    visit.inspect_folder(images)
    visit.wait_for_all(41)
    assert visit.page.evaluate("() => document.documentElement.scrollWidth") <= width
    if width > 900:
        assert visit.page.evaluate("() => document.documentElement.scrollHeight") <= height
    table = visit.page.locator(".sheet")
    assert table.evaluate("sheet => sheet.scrollWidth <= sheet.clientWidth")
    visit.expect_calm()
    visit.context.close()


if __name__ == "__main__":
    from panda_core.ui.server import serve

    sys.exit(serve(build, host="127.0.0.1", port=0))
