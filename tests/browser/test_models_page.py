"""A person keeps order among the models: copies, renames, sends one away as a file, deletes it, brings it back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from serving import ROOT
from visit import Visit

pytestmark = pytest.mark.browser


def test_copy_rename_export_delete_undo_import(chromium: Any, serve: Callable[..., Any], model_place: Path, tmp_path: Path) -> None:
    flags = ("--port", "0", "--device", "cpu", "--model", "grey", "--folder", str(tmp_path))
    served = serve(*flags, script=ROOT / "app.py", PANDA_MODELS=str(model_place), PANDA_HOME=str(tmp_path / "home"))
    visit = Visit(chromium)
    visit.open(served.url)
    page = visit.page
    page.get_by_role("tab", name="Models").click()
    page.locator("#models [role=row]", has_text="Grey").click()
    assert page.locator(".models-actions button:has-text('Delete')").is_disabled(), "what came with the program stays"

    assert all(page.locator("#models [role=columnheader] button").all_text_contents()), "a button without a name"

    page.fill(".models-name input", "Mine")
    page.click(".models-name button:has-text('Copy')")
    page.wait_for_selector(".models-card h2:text-is('Mine')")
    page.fill(".models-name input", "Garden")
    page.click(".models-name button:has-text('Rename')")
    page.wait_for_selector(".models-card h2:text-is('Garden')")
    page.click(".models-actions button:has-text('Begin with it')")
    page.wait_for_selector("#models [role=row]:has-text('Garden ★')")
    with page.expect_download() as download:
        page.click(".models-actions button:has-text('Export')")
    download.value.save_as(tmp_path / "garden.zip")

    page.click(".models-actions button:has-text('Delete')")
    page.wait_for_selector(".models-undo:has-text('was deleted')")
    page.wait_for_function("() => ![...document.querySelectorAll('#models [role=row]')].some(row => row.textContent.includes('Garden'))")
    page.click(".models-undo button")
    page.wait_for_selector(".models-card h2:text-is('Garden')")
    page.set_input_files(".models-import input", str(tmp_path / "garden.zip"))
    page.wait_for_selector(".models-card h2:text-is('Garden 2')")
    (tmp_path / "text.zip").write_text("text")
    page.set_input_files(".models-import input", str(tmp_path / "text.zip"))
    page.wait_for_selector(".models-message:has-text('zip file')")

    page.click("#model input")
    page.wait_for_selector("#model li:has-text('Garden 2')")
    assert visit.complaints == []

    page.keyboard.press("Escape")
    page.route("**/component_server/", lambda route: route.abort())
    page.wait_for_selector(".models-message:has-text('does not answer')")
    page.unroute("**/component_server/")
    page.wait_for_selector(".models-message", state="hidden")
    page.locator("#models [role=row]", has_text="Garden 2").click()
    page.click(".models-actions button:has-text('Delete')")
    page.wait_for_selector(".models-undo:has-text('“Garden 2” was deleted')")
    visit.reload()
    page.get_by_role("tab", name="Models", selected=True).wait_for()  # a reload comes back to the tab
    page.click(".models-deleted summary:has-text('Deleted (1)')")
    page.click(".models-deleted li:has-text('Garden 2, deleted 20') button")
    page.wait_for_selector(".models-card h2:text-is('Garden 2')")
    page.wait_for_selector(".models-deleted", state="hidden")
    assert all("ERR_FAILED" in complaint or "Failed to fetch" in complaint for complaint in visit.complaints)
    assert visit.hosts <= {"127.0.0.1", ""}
    visit.context.close()
