"""A person at the page: opens it, gives it images, moves sliders, reads the verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE = 120_000
"""Milliseconds: Gradio and torch take long to import on a busy machine."""


class Visit:
    """One browser page, with what it complained of and where it sent requests."""

    def __init__(self, chromium: Any, *, width: int = 1440, height: int = 900, newcomer: bool = False, **options: Any) -> None:
        """A browser that has been here before, unless ``newcomer``: only that is offered the tour. ``options``: of new_context."""
        self.context = chromium.new_context(viewport={"width": width, "height": height}, **options)
        if not newcomer:
            self.context.add_init_script("localStorage.setItem('panda-tour', 'seen')")
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        self.page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).hostname or ""))

    def open(self, url: str) -> None:
        self.page.goto(url)
        self.page.wait_for_selector("#open:not([disabled])")
        # The viewer's script takes drops and pastes; it arrives after the page.
        self.page.wait_for_selector('.viewer:not([data-state="busy"])')

    def reload(self) -> None:
        """Load the page anew. What the page that is left says of its cut connections is not held against the new one."""
        before = list(self.complaints)
        self.page.reload(wait_until="commit")
        self.complaints[:] = before

    def choose_file(self, *paths: Path) -> None:
        with self.page.expect_file_chooser() as chooser:
            self.page.click("#open")
        chooser.value.set_files([str(path) for path in paths])

    def drag(self, selector: str, *paths: Path, until: str = "drop") -> None:
        """Files and folders of the disk, dragged over an element and dropped there; or only over it (``until`` dragOver)."""
        session = self.context.new_cdp_session(self.page)
        box = self.page.locator(selector).bounding_box()
        place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + min(box["height"], 600) / 2}
        data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            session.send("Input.dispatchDragEvent", {"type": kind, **place, "data": data})
            if kind == until:
                return

    def verdict(self, expected: str) -> None:
        self.page.wait_for_selector(f'.viewer[data-state="ready"] .verdict[data-verdict="{expected}"]')

    def inspect(self, path: Path, expected: str = "anomalous") -> None:
        self.choose_file(path)
        self.verdict(expected)
        self.settle()

    def settle(self) -> None:
        """Until nothing is left to be painted."""
        self.page.wait_for_function(
            """() => new Promise(done => {
                const viewer = document.querySelector('.viewer');
                const before = viewer.dataset.painted;
                setTimeout(() => done(before !== undefined && before === viewer.dataset.painted), 400);
            })"""
        )

    def painted(self) -> int:
        return int(self.page.get_attribute(".viewer", "data-painted") or 0)

    def press_slider(self, name: str, key: str) -> None:
        self.page.locator(f".threshold.{name} input[type=range]").press(key)

    def slider(self, name: str) -> float:
        return float(self.page.input_value(f".threshold.{name} input[type=range]"))

    def regions(self) -> int:
        return int(self.page.get_attribute(".region-list", "data-regions") or 0)

    def text(self, selector: str) -> str:
        return str(self.page.inner_text(selector))

    def count_pixels(self, pane: str, test: str) -> int:
        """Pixels of a pane's overlay for which the JavaScript expression in r, g, b, a holds."""
        return int(
            self.page.evaluate(
                """([pane, test]) => {
                    const canvas = document.querySelector(`.pane[data-name="${pane}"] canvas.top`);
                    const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
                    const holds = new Function('r', 'g', 'b', 'a', `return ${test}`);
                    let count = 0;
                    for (let i = 0; i < data.length; i += 4) count += holds(data[i], data[i + 1], data[i + 2], data[i + 3]);
                    return count;
                }""",
                [pane, test],
            )
        )

    def red_pixels(self, pane: str = "overlay") -> int:
        """Clearly red pixels over the picture: the mask."""
        return self.count_pixels(pane, "a > 50 && r > g + 60 && r > b + 60")
