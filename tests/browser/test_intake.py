"""Files and folders dragged from the disk onto the tabs Inspect and Batch, in a real browser."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_double import draw_spot
from visit import Visit

pytestmark = pytest.mark.browser


@pytest.fixture
def visit(chromium: Any, served: Any) -> Iterator[Visit]:
    made = Visit(chromium)
    made.open(served.url)
    yield made
    assert made.complaints == []
    made.context.close()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder in a folder: two images, one further down, and what is none."""
    folder = tmp_path / "photos"
    (folder / "deeper" / "still").mkdir(parents=True)
    draw_spot(folder / "one.png")
    draw_spot(folder / "deeper" / "still" / "two.png", strength=0)
    (folder / "notes.txt").write_text("text")
    (folder / ".hidden.png").write_text("text")
    return folder


def open_batch(visit: Visit) -> None:
    visit.page.get_by_role("tab", name="Batch").click()
    visit.page.wait_for_selector(".sheet-empty")


def wait_for_rows(visit: Visit, *names: str) -> None:
    visit.page.wait_for_function(
        """names => document.querySelector('.batch').dataset.state === 'ready'
            && [...document.querySelectorAll('.sheet-row')].map(row => row.children[1].textContent).sort().join() === names.join()""",
        arg=sorted(names),
    )


def test_a_folder_dropped_on_batch_is_read_with_its_folders(visit: Visit, photos: Path) -> None:
    open_batch(visit)
    visit.drag("#batch-results", photos, until="dragOver")
    assert "Drop images" in (visit.page.get_attribute("#batch", "data-drop") or "")
    visit.drag("#batch-results", photos)
    wait_for_rows(visit, "photos/one.png", "photos/deeper/still/two.png")
    assert visit.page.get_attribute("#batch", "data-drop") is None
    assert "1 file was left out" in visit.text(".batch-message")


def test_images_and_a_zip_file_dropped_together_are_one_batch(visit: Visit, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        archive.write(draw_spot(tmp_path / "packed.png"), "in/packed.png")
    open_batch(visit)
    visit.drag("#batch-source", draw_spot(tmp_path / "a.png"), tmp_path / "more.zip")
    wait_for_rows(visit, "a.png", "in/packed.png")
    assert not visit.page.is_visible(".batch-message")


def test_what_is_no_image_is_refused_in_a_sentence_and_never_sent(visit: Visit, tmp_path: Path) -> None:
    sent: list[str] = []
    visit.page.on("request", lambda request: sent.append(request.url) if "/upload" in request.url else None)
    hostile = tmp_path / "<img src=x onerror=alert(1)>.txt"
    hostile.write_text("text")
    visit.inspect(draw_spot(tmp_path / "spot.png"))
    sent.clear()
    visit.drag(".viewer", hostile)
    visit.page.wait_for_selector('.word:has-text("is not an image")')
    assert "<img src=x" in visit.text(".word")
    (tmp_path / "a.zip").write_bytes(b"PK")
    visit.drag(".viewer", tmp_path / "a.zip")
    visit.page.wait_for_selector('.word:has-text("on the tab Batch")')
    visit.verdict("anomalous")  # the image that was open still is

    open_batch(visit)
    visit.drag("#batch-results", hostile)
    visit.page.wait_for_selector('.batch-message:has-text("is not an image or a zip file")')
    assert sent == []


def test_one_dropped_image_opens_and_a_folder_becomes_the_list(visit: Visit, photos: Path, tmp_path: Path) -> None:
    visit.drag(".judgement", draw_spot(tmp_path / "spot.png"), until="dragOver")
    assert "become a list" in (visit.page.get_attribute(".viewer", "data-drop") or "")
    visit.drag(".judgement", draw_spot(tmp_path / "spot.png"))
    visit.verdict("anomalous")
    assert "spot.png" in visit.text("#foot") and not visit.page.is_visible(".steps")

    visit.drag(".frame", photos)
    visit.page.wait_for_selector('.steps .where:has-text("1 / 2")')
    visit.page.wait_for_selector('#foot:has-text("photos/deeper/still/two.png")')
    visit.verdict("normal")


def test_a_file_that_misses_its_target_does_not_replace_the_page(visit: Visit, tmp_path: Path) -> None:
    visit.inspect(draw_spot(tmp_path / "spot.png"))
    before = visit.page.url
    visit.drag("#bar", draw_spot(tmp_path / "other.png"))
    visit.page.wait_for_timeout(500)
    assert visit.page.url == before and "spot.png" in visit.text("#foot")
