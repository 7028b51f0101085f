"""The inspection page in a real browser: what a person does, and that nothing leaves the machine."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_double import draw_spot
from serving import ROOT
from visit import Visit

pytestmark = pytest.mark.browser


@pytest.fixture
def visit(chromium: Any) -> Iterator[Visit]:
    made = Visit(chromium)
    yield made
    made.context.close()


def test_an_uploaded_image_gets_a_mask_and_the_slider_changes_the_verdict(visit: Visit, served: Any, tmp_path: Path) -> None:
    visit.open(served.url)

    visit.inspect(draw_spot(tmp_path / "spot.png"))
    marked = visit.red_pixels()
    assert marked > 50

    visit.press_slider("boundary", "End")
    visit.verdict("normal")
    visit.press_slider("boundary", "Home")
    visit.verdict("anomalous")

    visit.press_slider("pixel", "End")
    visit.page.wait_for_selector('.region-list[data-regions="0"]')
    visit.settle()
    assert visit.red_pixels() == 0
    visit.page.click(".thresholds .reset")
    visit.page.wait_for_selector('.region-list:not([data-regions="0"])')
    visit.settle()
    assert visit.red_pixels() == marked

    assert visit.complaints == []
    assert visit.hosts == {"127.0.0.1"}


def test_a_bad_file_is_refused_in_words_and_takes_the_old_result_away(visit: Visit, served: Any, tmp_path: Path) -> None:
    visit.open(served.url)
    visit.inspect(draw_spot(tmp_path / "spot.png"))

    hostile = tmp_path / "a${alert(1)}<img src=x onerror=alert(2)>.png"
    hostile.write_text("not a picture")
    visit.choose_file(hostile)
    visit.page.wait_for_selector('.viewer[data-state="error"]')
    assert "was not inspected" in visit.page.inner_text(".notice")
    assert not visit.page.locator(".verdict").is_visible()
    assert visit.page.locator(".pane canvas:visible").count() == 0
    assert visit.complaints == []


def test_a_bad_file_among_others_does_not_stop_the_review(visit: Visit, served: Any, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_text("not a picture")
    visit.open(served.url)
    visit.choose_file(draw_spot(tmp_path / "spot.png"), bad)
    visit.verdict("anomalous")
    visit.page.locator(".steps button").last.click()
    visit.page.wait_for_selector('.viewer[data-state="error"]')
    assert "2 / 2" in visit.page.inner_text(".steps")
    visit.page.locator(".steps button").first.click()
    visit.verdict("anomalous")
    assert visit.complaints == []


def test_a_decimal_comma_is_no_lost_figure(visit: Visit, served: Any, tmp_path: Path) -> None:
    visit.open(served.url)
    visit.inspect(draw_spot(tmp_path / "spot.png"))
    visit.page.click(".threshold.boundary input[type=number]")
    visit.page.keyboard.press("Control+a")
    visit.page.keyboard.type("7,25")
    visit.page.keyboard.press("Enter")
    assert visit.page.input_value(".threshold.boundary input[type=number]") == "7.25"


def test_a_pasted_image_is_inspected(visit: Visit, served: Any, tmp_path: Path) -> None:
    visit.open(served.url)
    visit.page.evaluate(
        """bytes => {
            const clipboard = new DataTransfer();
            clipboard.items.add(new File([new Uint8Array(bytes)], 'image.png', {type: 'image/png'}));
            document.dispatchEvent(new ClipboardEvent('paste', {clipboardData: clipboard, bubbles: true}));
        }""",
        list(draw_spot(tmp_path / "spot.png").read_bytes()),
    )
    visit.verdict("anomalous")
    assert visit.complaints == []


def test_the_port_answers_before_the_page_is_built_and_the_page_before_the_engine(
    visit: Visit, serve: Callable[..., Any], tmp_path: Path
) -> None:
    served = serve("page", "engine", fresh=True)
    visit.page.goto(served.url)
    assert "Starting" in visit.page.inner_text("main")
    served.open_gate()
    visit.page.wait_for_selector("#open:not([disabled])")
    assert "Loading the model" in visit.page.inner_text("#foot")
    visit.choose_file(draw_spot(tmp_path / "spot.png"))
    visit.page.wait_for_selector('.viewer[data-state="busy"]')
    served.open_gate()
    visit.verdict("anomalous")
    assert visit.complaints == []


def test_on_a_phone_nothing_is_wider_than_the_screen(chromium: Any, served: Any, tmp_path: Path) -> None:
    phone = Visit(chromium, width=390, height=844)
    phone.open(served.url)
    phone.choose_file(draw_spot(tmp_path / "spot.png"))
    phone.verdict("anomalous")
    assert phone.page.locator(".judgement").bounding_box()["width"] <= 390
    for tab in phone.page.get_by_role("tab").all():
        tab.click()
        assert phone.page.evaluate("[document.documentElement.scrollWidth, window.scrollX]") == [390, 0], tab.inner_text()
    phone.context.close()


def test_the_app_inspects_with_a_real_model_and_the_slider_decides(
    visit: Visit, serve: Callable[..., Any], model_place: Path, tmp_path: Path
) -> None:
    flags = ("--port", "0", "--device", "cpu", "--model", "grey")
    served = serve(*flags, script=ROOT / "app.py", fresh=True, PANDA_MODELS=str(model_place))
    visit.open(served.url)
    visit.choose_file(draw_spot(tmp_path / "spot.png"))
    visit.page.wait_for_selector('.viewer[data-state="ready"]')
    visit.press_slider("boundary", "End")
    visit.verdict("normal")
    visit.press_slider("boundary", "Home")
    visit.verdict("anomalous")
    visit.press_slider("pixel", "Home")
    visit.page.wait_for_selector('.region-list:not([data-regions="0"])')
    assert visit.complaints == []
    assert visit.hosts == {"127.0.0.1"}


def test_the_last_click_wins_and_steps_add_up_while_an_image_is_inspected(visit: Visit, serve: Callable[..., Any], tmp_path: Path) -> None:
    for number in range(1, 7):
        draw_spot(tmp_path / f"{number}.png", strength=100 + 20 * number)
    visit.open(serve(f"examples={tmp_path}", "slow").url)
    visit.page.wait_for_selector('.viewer[data-name="2.png"]')
    pictures = visit.page.locator("#examples .thumbnail-item")
    for number in (0, 3, 4, 2):
        pictures.nth(number).click()
        visit.page.wait_for_timeout(350)
    visit.page.wait_for_selector('.viewer[data-name="3.png"]')
    visit.page.wait_for_timeout(2500)
    assert "3 / 6" in visit.text(".steps"), "nothing of the clicks before comes late"

    pictures.nth(0).click()
    visit.page.wait_for_selector('.viewer[data-name="1.png"]')
    visit.page.locator(".pane:visible").first.click()
    for _ in range(4):
        visit.page.keyboard.press("ArrowRight")
        visit.page.wait_for_timeout(250)
    visit.page.wait_for_selector('.viewer[data-name="5.png"]')

    for _ in range(2):
        visit.page.keyboard.press("ArrowLeft")
        visit.page.wait_for_timeout(100)  # no hand is faster; what is sent within milliseconds may arrive in another order
    pictures.nth(5).click()
    visit.page.wait_for_selector('.viewer[data-name="6.png"]')
    visit.page.wait_for_timeout(2500)
    assert "6 / 6" in visit.text(".steps"), "the last of several ways to open an image wins"
    assert visit.page.get_by_role("button", name="4", exact=True).count() == 1, "an example is called by its name"
    assert visit.complaints == []


def test_nothing_is_lost_at_either_end_of_a_list(visit: Visit, served: Any, tmp_path: Path) -> None:
    visit.open(served.url)
    visit.choose_file(draw_spot(tmp_path / "1.png"), draw_spot(tmp_path / "2.png"))
    visit.page.wait_for_selector('.viewer[data-name="1.png"][data-state="ready"]')
    model = visit.page.input_value("#model input")
    visit.page.locator(".pane:visible").first.click()
    for key, name in (("ArrowLeft", "1.png"), ("ArrowRight", "2.png"), ("ArrowRight", "2.png"), ("ArrowLeft", "1.png")):
        visit.page.keyboard.press(key)
        visit.page.wait_for_timeout(500)
        visit.page.wait_for_selector(f'.viewer[data-name="{name}"][data-state="ready"]')
        assert visit.page.input_value("#model input") == model != ""
        assert visit.page.locator('section[aria-label="Model card"]').count() == 1
    assert visit.complaints == []


def call_inspect(url: str, image: dict[str, Any]) -> str:
    """The answer stream of one call of the public endpoint, as text."""
    body = json.dumps({"data": [image, "leaf"]}).encode()
    request = urllib.request.Request(f"{url}gradio_api/call/inspect", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        event = json.load(answer)["event_id"]
    with urllib.request.urlopen(f"{url}gradio_api/call/inspect/{event}") as answer:
        return str(answer.read().decode())


def test_programs_cannot_make_the_page_read_files_of_the_server(served: Any, tmp_path: Path) -> None:
    served.await_page()
    secret = draw_spot(tmp_path / "secret.png")
    for forged in ({"path": str(secret)}, {"path": str(secret), "meta": {"_type": "gradio.FileData"}}):
        answer = call_inspect(served.url, forged)
        assert "event: error" in answer and '"verdict"' not in answer


def test_a_drawn_region_is_ignored_until_it_is_given_up(visit: Visit, serve: Callable[..., Any], tmp_path: Path) -> None:
    served = serve(PANDA_HOME=str(tmp_path / "home"))
    visit.open(served.url)
    visit.choose_file(draw_spot(tmp_path / "spot.png"))
    visit.verdict("anomalous")

    visit.page.click(".toolbar .region")
    sheet = visit.page.locator(".roi-sheet").bounding_box()
    x, y, side = sheet["x"] + sheet["width"] / 2, sheet["y"] + sheet["height"] / 2, sheet["width"] * 0.2
    visit.page.mouse.move(x - side, y - side)
    visit.page.mouse.down()
    visit.page.mouse.move(x + side, y + side, steps=5)
    visit.page.mouse.up()
    visit.page.wait_for_selector('.roi-shape[data-mode="exclude"]')
    visit.page.get_by_role("button", name="Apply").click()
    visit.verdict("normal")
    assert "ignored" in (visit.page.get_attribute(".toolbar .region", "title") or "")
    visit.settle()
    for view in ("overlay", "heatmap", "contour"):
        visit.page.click(f'.views button[data-view="{view}"]')
        visit.settle()
        darkness = visit.page.evaluate(
            """view => {
                const veil = document.querySelector(`.pane[data-name="${view}"] .veil`);
                return [0.5, 0.12].map(y => veil.getContext('2d').getImageData(veil.width / 2, veil.height * y, 1, 1).data[3]);
            }""",
            view,
        )
        assert darkness == [153, 0], f"what is ignored is dark in {view}, the rest is not"
    visit.page.click('.views button[data-view="input"]')
    visit.settle()
    assert visit.page.locator(".pane .veil:visible").count() == 0

    visit.page.click(".toolbar .region")
    visit.page.get_by_role("button", name="Whole image").click()
    visit.verdict("anomalous")
    assert visit.complaints == []
