"""The Video tab and the drawing of a region of interest in a real browser."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest
from engine_double import LEAF, FakeEngine, draw_spot
from serving import Served
from visit import FLAGS, Visit

pytestmark = pytest.mark.browser
ASSETS = Path(__file__).parents[2] / "panda_core" / "ui" / "assets"
FRAMES = 20
SPOTTED = range(5, 9)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the page may open: a clip of numbered pictures, and the same as a video."""
    place = tmp_path_factory.mktemp("videos")
    clip = place / "clip"
    clip.mkdir()
    paths = [draw_spot(clip / f"{number}.png", strength=200 if number in SPOTTED else 0) for number in range(FRAMES)]
    writer = cv2.VideoWriter(str(place / "clip.webm"), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"VP80"), 10, (96, 96))
    for path in paths:
        writer.write(cv2.imread(str(path)))
    writer.release()
    return place


@pytest.fixture(scope="module")
def page_url(root: Path) -> Iterator[str]:
    """The tab, served by this file run as a program."""
    served = Served(str(root), script=Path(__file__))
    yield served.url
    served.close()


class Screen(Visit):
    """A person at the Video tab."""

    def open(self, url: str) -> None:
        self.page.goto(url)
        self.page.wait_for_selector('.video[data-state="idle"]')

    def score(self, url: str, place: Path) -> None:
        """Open the tab and score what lies at ``place``."""
        self.open(url)
        self.page.fill(".video-path", str(place))
        self.page.click(".video-start")
        self.page.wait_for_selector(f'.video[data-state="ready"] .video-timeline[data-points="{FRAMES}"]')

    def shown(self, frame: int) -> None:
        """Wait until this frame is on the canvas."""
        self.page.wait_for_selector(f'.video-canvas[data-frame="{frame}"]')

    def marked(self) -> int:
        """Clearly red pixels on the player's canvas: the test pictures are grey."""
        return int(
            self.page.evaluate(
                """() => {
                    const canvas = document.querySelector('.video-canvas');
                    const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
                    let count = 0;
                    for (let i = 0; i < data.length; i += 4) count += data[i] > data[i + 1] + 60 && data[i + 3] > 60;
                    return count;
                }"""
            )
        )

    def blameless(self) -> None:
        """Nothing was complained of and nothing left the machine."""
        assert self.complaints == []
        assert self.hosts <= {"127.0.0.1", ""}  # "": pictures made in the page


@pytest.fixture
def visit(chromium: Any) -> Iterator[Screen]:
    made = Screen(chromium)
    yield made
    made.context.close()


@pytest.mark.parametrize("name", ["clip", "clip.webm"])
def test_a_video_is_scored_and_its_marks_are_where_the_spot_is(visit: Screen, page_url: str, root: Path, name: str) -> None:
    visit.open(page_url)
    assert visit.page.locator("button[data-export]:disabled").count() == 3
    visit.score(page_url, root / name)
    assert visit.page.get_attribute(".video", "data-above") == "4"
    assert visit.page.inner_text(".video-judge") == f"{name}, judged by “leaf”"
    assert visit.page.locator("button[data-export]:disabled").count() == 0
    visit.shown(0)
    assert visit.marked() == 0
    visit.page.locator(".sheet-row").first.click()
    visit.shown(5)
    assert visit.marked() > 500
    assert "anomalous" in visit.page.inner_text(".video-verdict").lower()
    visit.page.select_option(".video-layer", "none")
    assert visit.marked() == 0
    visit.blameless()


def test_the_boundary_decides_in_the_browser(visit: Screen, page_url: str, root: Path) -> None:
    visit.score(page_url, root / "clip")
    visit.page.press(".boundary-range", "End")
    visit.page.wait_for_selector('.video[data-above="0"]')
    visit.page.wait_for_function("document.querySelectorAll('.sheet-row').length === 0")
    visit.page.press(".boundary-range", "Home")
    visit.page.wait_for_selector(f'.video[data-above="{FRAMES}"]')
    visit.page.wait_for_function("document.querySelectorAll('.sheet-row').length >= 10")
    visit.page.click(".boundary-reset")
    visit.page.wait_for_selector('.video[data-above="4"]')
    assert visit.page.locator(".timeline-boundary").is_visible()
    visit.blameless()


def test_keys_step_and_play_and_the_timeline_seeks(visit: Screen, page_url: str, root: Path) -> None:
    visit.score(page_url, root / "clip")
    visit.shown(0)
    visit.page.click(".video-stage")
    for key, frame in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1)):
        visit.page.keyboard.press(key)
        visit.shown(frame)
    visit.page.keyboard.press("Space")
    visit.shown(FRAMES - 1)
    visit.page.wait_for_selector('.video-play[aria-label="Play"]')

    box = visit.page.locator(".timeline-chart .nsewdrag").bounding_box()
    visit.page.mouse.move(box["x"] + box["width"] * 0.36, box["y"] + box["height"] / 2)
    visit.page.mouse.move(box["x"] + box["width"] * 0.37, box["y"] + box["height"] / 2)
    visit.page.wait_for_timeout(300)
    visit.page.mouse.down()
    visit.page.mouse.up()
    visit.shown(7)
    visit.blameless()


def test_a_frame_that_comes_late_does_not_show_in_the_camera_view(visit: Screen, page_url: str, root: Path) -> None:
    visit.score(page_url, root / "clip")
    visit.shown(0)
    drawn = """() => {
        const canvas = document.querySelector('.video-canvas');
        return canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(value => value > 0);
    }"""
    assert visit.page.evaluate(drawn)
    # In one go: the frame is asked for and not there yet, and thresholds come with an answer of the server.
    visit.page.evaluate(
        """() => {
            document.querySelector('.video-next').click();
            document.querySelector('.video-modes [data-mode=camera]').click();
            document.querySelector('.boundary-range').dispatchEvent(new Event('input'));
        }"""
    )
    visit.page.wait_for_timeout(800)
    assert not visit.page.evaluate(drawn)
    assert not visit.page.is_visible(".video-verdict")
    visit.page.click(".video-modes [data-mode=file]")
    visit.page.wait_for_selector(".video-verdict:visible")
    visit.shown(1)
    assert visit.page.evaluate(drawn)
    visit.blameless()


def test_an_upload_is_scored_and_exported(visit: Screen, page_url: str, root: Path, tmp_path: Path) -> None:
    hostile = tmp_path / "a <img src=x onerror=alert(1)>.webm"
    shutil.copyfile(root / "clip.webm", hostile)
    visit.open(page_url)
    visit.page.set_input_files(".video-files", str(hostile))
    visit.page.wait_for_selector('.video[data-state="ready"]')
    for kind, suffix in (("csv", "csv"), ("zip", "zip"), ("webm", "webm")):
        with visit.page.expect_download() as waiting:
            visit.page.click(f'button[data-export="{kind}"]')
        assert waiting.value.suggested_filename.endswith(f".{suffix}")
        assert Path(waiting.value.path()).stat().st_size > 500
    visit.blameless()


def test_the_exported_video_plays_in_the_browser(visit: Screen, page_url: str, root: Path) -> None:
    visit.score(page_url, root / "clip")
    with visit.page.expect_download() as waiting:
        visit.page.click('button[data-export="webm"]')
    data = list(Path(waiting.value.path()).read_bytes())
    seconds = visit.page.evaluate(
        """bytes => new Promise((done, fail) => {
            const video = document.createElement('video');
            video.onloadeddata = () => done(video.duration);
            video.onerror = () => fail(video.error.message);
            video.src = URL.createObjectURL(new Blob([new Uint8Array(bytes)], {type: 'video/webm'}));
        })""",
        data,
    )
    assert seconds == pytest.approx(2.0, abs=0.2)


def test_what_cannot_be_opened_is_said_and_leaves_the_result(visit: Screen, page_url: str, root: Path, tmp_path: Path) -> None:
    visit.score(page_url, root / "clip")
    visit.page.fill(".video-path", str(tmp_path))
    visit.page.click(".video-start")
    visit.page.wait_for_selector('.video-message[data-tone="bad"]')
    assert "not in a folder that may be opened" in visit.page.inner_text(".video-message")
    visit.page.click('button[data-export="csv"]')
    visit.page.wait_for_selector('button[data-export="csv"]:not([disabled])')
    assert visit.page.get_attribute(".video", "data-above") == "4"
    visit.blameless()


def test_a_reload_brings_the_video_back(visit: Screen, page_url: str, root: Path) -> None:
    visit.score(page_url, root / "clip")
    visit.page.reload()
    visit.page.wait_for_selector(f'.video[data-state="ready"] .video-timeline[data-points="{FRAMES}"]')
    assert visit.page.get_attribute(".video", "data-above") == "4"
    visit.blameless()


def test_pictures_that_the_server_no_longer_keeps_are_fetched_anew(visit: Screen, page_url: str, root: Path) -> None:
    lost: list[str] = []

    def refuse(route: Any) -> None:
        if len(lost) < 1:
            lost.append(route.request.url)
            route.fulfill(status=404)
        else:
            route.continue_()

    visit.page.route("**/*.pack", refuse)
    visit.score(page_url, root / "clip")
    visit.page.locator(".sheet-row").first.click()
    visit.shown(5)
    assert len(lost) == 1


def test_on_a_phone_nothing_is_wider_than_the_screen(chromium: Any, page_url: str, root: Path) -> None:
    phone = Screen(chromium, width=390, height=844)
    phone.score(page_url, root / "clip")
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= 390
    phone.context.close()


@pytest.fixture(scope="module")
def with_camera(chromium: Any) -> Iterator[Any]:
    """A second browser whose camera is a test picture."""
    flags = [*FLAGS, "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    browser = chromium.browser_type.launch(executable_path=shutil.which("chromium") or shutil.which("google-chrome"), args=flags)
    yield browser
    browser.close()


def test_the_camera_is_judged_live_one_frame_at_a_time(with_camera: Any, page_url: str) -> None:
    visit = Screen(with_camera)
    flying, most = 0, 0

    def sent(request: Any) -> None:
        nonlocal flying, most
        if "component_server" in request.url:
            flying += 1
            most = max(most, flying)

    def answered(request: Any) -> None:
        nonlocal flying
        flying -= "component_server" in request.url

    visit.page.on("request", sent)
    visit.page.on("requestfinished", answered)
    visit.open(page_url)
    visit.page.click('button[data-mode="camera"]')
    visit.page.click(".camera-switch")
    visit.page.wait_for_function("Number(document.querySelector('.video-canvas').dataset.painted) >= 5")
    assert most == 1
    assert "frames a second" in visit.page.inner_text(".camera-facts")
    assert "score" in visit.page.inner_text(".video-verdict")
    visit.page.click(".camera-switch")
    visit.page.wait_for_selector('.video[data-state="idle"]')
    assert visit.page.evaluate("document.querySelector('.camera-view').srcObject") is None
    visit.blameless()
    visit.context.close()


@pytest.mark.parametrize(("name", "said"), [("NotAllowedError", "not allowed to use the camera"), ("NotFoundError", "No camera was found")])
def test_without_a_camera_the_person_is_told_what_to_do(visit: Screen, page_url: str, name: str, said: str) -> None:
    visit.page.add_init_script(f"navigator.mediaDevices.getUserMedia = async () => {{ throw new DOMException('no', '{name}'); }}")
    visit.open(page_url)
    visit.page.click('button[data-mode="camera"]')
    visit.page.click(".camera-switch")
    visit.page.wait_for_selector('.video-message[data-tone="bad"]')
    assert said in visit.page.inner_text(".video-message")
    assert visit.page.inner_text(".camera-switch") == "Start camera"


DEMO = """<!doctype html><html lang="en"><title>Region of interest</title><link rel="icon" href="data:,">
<style>body{margin:0;font:14px sans-serif} #frame{position:relative} #frame, canvas{width:600px;height:400px}</style>
<link rel="stylesheet" href="/roi.css"><div id="bar"></div><div id="frame"><canvas width="300" height="200"></canvas></div>
<script type="module">
import {attachRoi} from '/roi.js';
const pen = document.querySelector('canvas').getContext('2d');
const shade = pen.createLinearGradient(0, 0, 300, 200);
['#fff', '#7a9a5a', '#000'].forEach((colour, i) => shade.addColorStop(i / 2, colour));
pen.fillStyle = shade;
pen.fillRect(0, 0, 300, 200);
window.changes = 0;
window.roi = attachRoi(document.querySelector('#frame'), {width: 300, height: 200, shapes: [], onChange: () => window.changes++});
document.querySelector('#bar').append(window.roi.toolbar);
</script>"""


class Drawing:
    """The demo page: a picture of 600 x 400 screen pixels with the drawing layer on top."""

    def __init__(self, chromium: Any) -> None:
        self.visit = Screen(chromium)
        self.page = self.visit.page
        self.page.route("http://127.0.0.1:9/**", self._serve)
        self.page.goto("http://127.0.0.1:9/demo")
        self.page.wait_for_function("window.roi")

    def _serve(self, route: Any) -> None:
        name = urlsplit(route.request.url).path[1:]
        kinds = {"js": "text/javascript", "css": "text/css"}
        if name == "demo":
            route.fulfill(body=DEMO, content_type="text/html")
        else:
            route.fulfill(body=(ASSETS / name).read_text(encoding="utf-8"), content_type=kinds[name.rpartition(".")[2]])

    def press(self, name: str) -> None:
        self.page.click(f'.roi-toolbar [data-name="{name}"]')

    def drag(self, *spots: tuple[float, float]) -> None:
        """Draw through places given in shares of the picture."""
        box = self.page.locator("#frame").bounding_box()
        for number, (x, y) in enumerate(spots):
            self.page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=4)
            if number == 0:
                self.page.mouse.down()
        self.page.mouse.up()

    def shapes(self) -> list[dict[str, Any]]:
        return list(self.page.evaluate("window.roi.shapes()"))


@pytest.fixture
def drawing(chromium: Any) -> Iterator[Drawing]:
    made = Drawing(chromium)
    yield made
    made.visit.blameless()
    made.visit.context.close()


def test_drawn_shapes_are_what_python_reads(drawing: Drawing) -> None:
    from panda_core.roi import RegionOfInterest

    drawing.drag((0.0, 0.0), (0.25, 1.0))
    drawing.press("include")
    drawing.press("freehand")
    drawing.drag((0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9), (0.1, 0.15))
    shapes = drawing.shapes()
    assert [(shape["kind"], shape["mode"]) for shape in shapes] == [("rectangle", "exclude"), ("polygon", "include")]
    assert 4 <= len(shapes[1]["points"]) < 30
    mask = RegionOfInterest.from_json(json.loads(json.dumps({"version": 1, "shapes": shapes}))).mask(100, 100)
    assert mask[50, 50] and not mask[50, 20] and not mask[97, 50]
    assert mask.mean() == pytest.approx(0.65 * 0.8, abs=0.03)
    assert drawing.page.evaluate("window.changes") == 2


def test_shapes_are_selected_moved_changed_deleted_and_brought_back(drawing: Drawing) -> None:
    drawing.drag((0.1, 0.1), (0.3, 0.3))
    drawing.press("select")
    drawing.drag((0.2, 0.2), (0.5, 0.6))
    [moved] = drawing.shapes()
    assert np.allclose(moved["points"], [[0.4, 0.5], [0.6, 0.7]], atol=0.01)
    drawing.press("include")
    assert drawing.shapes()[0]["mode"] == "include"
    drawing.press("remove")
    assert drawing.shapes() == []
    for _ in range(3):
        drawing.press("undo")
    [first] = drawing.shapes()
    assert first["mode"] == "exclude" and np.allclose(first["points"], [[0.1, 0.1], [0.3, 0.3]], atol=0.01)


def test_a_slip_of_the_hand_draws_nothing_and_nothing_leaves_the_picture(drawing: Drawing) -> None:
    drawing.drag((0.5, 0.5), (0.5, 0.5))
    assert drawing.shapes() == [] and drawing.page.evaluate("window.changes") == 0
    drawing.drag((0.8, 0.8), (1.4, 1.3))
    assert drawing.shapes()[0]["points"][1] == [1, 1]


def test_everything_works_by_keyboard(drawing: Drawing) -> None:
    drawing.page.locator('.roi-toolbar [data-name="rectangle"]').focus()
    drawing.page.keyboard.press("Enter")
    before = drawing.shapes()[0]["points"]
    drawing.page.keyboard.press("ArrowRight")
    drawing.page.keyboard.press("Shift+ArrowDown")
    after = drawing.shapes()[0]["points"]
    assert after[0] == pytest.approx([before[0][0] + 0.01, before[0][1]]) and after[1][1] == pytest.approx(before[1][1] + 0.01)
    drawing.page.keyboard.press("Delete")
    assert drawing.shapes() == []
    drawing.page.keyboard.press("Control+z")
    assert len(drawing.shapes()) == 1


def test_a_finger_draws_too(chromium: Any) -> None:
    drawing = Drawing(chromium)
    box = drawing.page.locator("#frame").bounding_box()
    session = drawing.visit.context.new_cdp_session(drawing.page)
    for kind, x, y in (("touchStart", 0.2, 0.2), ("touchMove", 0.4, 0.5), ("touchMove", 0.6, 0.8), ("touchEnd", None, None)):
        points = [] if x is None else [{"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert np.allclose(drawing.shapes()[0]["points"], [[0.2, 0.2], [0.6, 0.8]], atol=0.01)
    drawing.visit.blameless()
    drawing.visit.context.close()


def serve_tab(root: Path) -> int:
    """Serve the Video tab alone over the engine double; ``root`` may be opened from the page. Returns the exit status."""
    from panda_core.ui.server import serve

    def build() -> Any:
        import gradio as gr
        from fastapi import FastAPI

        from panda_core.ui.mounting import mount
        from panda_core.ui.video_tab import VideoTab

        with gr.Blocks(fill_width=True, analytics_enabled=False) as page, gr.Column(elem_id="page", min_width=0):
            model = gr.Dropdown([LEAF.name], label="Model", elem_id="model")
            with gr.Tabs(elem_id="tabs"), gr.Tab("Video"):
                VideoTab(FakeEngine(LEAF), model, roots=[root])
        return mount(FastAPI(openapi_url=None), page)

    return serve(build, host="127.0.0.1", port=0)


if __name__ == "__main__":
    sys.exit(serve_tab(Path(sys.argv[1])))
