"""Take the README's screenshots of the real app with the shipped models: python docs/make_screenshots.py [--all]

Needs Chromium and the development requirements. ``--all`` also takes phone and dark pictures, into the same folder.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]
VIEWS = {
    "app": (1440, 900, "light", 1),
    "app-dark": (1440, 900, "dark", 1),
    "app-phone": (390, 844, "light", 1),
    "app-phone-dark": (390, 844, "dark", 1),
    "app-xray": (1440, 900, "light", 4),
}
"""Name -> width, height, colour scheme, position of the example that is shown."""


def main() -> None:
    browser_path = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
    if browser_path is None:
        sys.exit("No Chromium on this machine; install it first (Debian: apt-get install chromium).")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([sys.executable, "app.py", "--port", str(port)], cwd=ROOT)
    try:
        wait(f"http://127.0.0.1:{port}/config")
        IMAGES.mkdir(parents=True, exist_ok=True)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=browser_path, args=FLAGS)
            for name in VIEWS if "--all" in sys.argv else ["app"]:
                take(browser, port, name)
            browser.close()
    finally:
        server.terminate()
        server.wait()


def wait(url: str, *, seconds: float = 120) -> None:
    """Until the Gradio page itself answers."""
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                if b'"components"' in answer.read():
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    sys.exit("The app did not come up.")


def take(browser: Browser, port: int, name: str) -> None:
    """One picture: open the page, choose the example, wait for the verdict."""
    width, height, scheme, example = VIEWS[name]
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme="dark" if scheme == "dark" else "light")
    page.goto(f"http://127.0.0.1:{port}/?__theme={scheme}")
    page.locator("#examples button.thumbnail-item, #examples .thumbnail-item").nth(example).click(timeout=60_000)
    page.get_by_text("Boundary", exact=True).first.wait_for(timeout=60_000)
    page.wait_for_timeout(4000)
    page.screenshot(path=str(IMAGES / f"{name}.png"))
    page.close()


if __name__ == "__main__":
    main()
