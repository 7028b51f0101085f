"""The viewer and the decision card in a real browser: they follow the hand without the server, and say what the engine says."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from engine_double import LEAF, FakeEngine, draw_spot
from visit import Visit

from panda_core.inspection import Decision
from panda_core.scoring.decision import decide
from panda_core.scoring.maps import regions
from panda_core.ui.payload import to_levels, write_payload
from panda_core.ui.view import open_view

pytestmark = pytest.mark.browser


@pytest.fixture(autouse=True)
def taken_back(page: Visit) -> Iterator[None]:
    """What a test has moved does not reach the next."""
    yield
    reset = page.page.locator(".thresholds .reset")
    if reset.is_visible() and reset.is_enabled():
        reset.click()


def draw_blots(path: Path, *, size: int = 256) -> Path:
    """Blots of different sizes and strengths on grey."""
    image = np.full((size, size, 3), 60, np.uint8)
    for x, y, radius, value in ((50, 60, 6, 250), (150, 70, 12, 160), (90, 180, 9, 110), (200, 200, 4, 220)):
        cv2.circle(image, (x * size // 256, y * size // 256), radius, (value,) * 3, -1)
    cv2.imwrite(str(path), image)
    return path


def decided(path: Path, **thresholds: float | None) -> Decision:
    """What the engine says of the file, on the numbers that the browser has."""
    return decide(open_view(FakeEngine(LEAF).inspect("leaf", path)).inspection, **thresholds)


def as_data(payload: dict[str, Any]) -> dict[str, Any]:
    """The payload with its files inside, for a viewer that no server feeds."""
    kinds = {".jpg": "jpeg", ".png": "png"}
    files = {}
    for name, file in payload["files"].items():
        content = base64.b64encode(Path(file["path"]).read_bytes()).decode()
        files[name] = {"url": f"data:image/{kinds[Path(file['path']).suffix]};base64,{content}"}
    return {**payload, "files": files}


MOUNT = """async value => {
    document.querySelector('#alone')?.remove();
    const element = document.createElement('div');
    element.id = 'alone';
    element.style.cssText = 'position: fixed; inset: 0; z-index: 9; background: var(--body-background-fill)';
    element.innerHTML = '<div class="viewer"></div>';
    document.body.append(element);
    window.sent = [];
    const module = await import(new URL('panda-assets/viewer.js', document.baseURI));
    const props = {value};
    module.mount({element, props, watch: (name, run) => { window.renew = value => { props.value = value; run(); }; },
                  trigger: (name, data) => window.sent.push([name, data]), upload: null});
}"""


@pytest.mark.parametrize("seed", range(4))
def test_the_browser_finds_the_regions_that_the_engine_finds(page: Visit, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rough = rng.normal(0, 1, (150 + 7 * seed, 201)).astype(np.float32)
    levels = to_levels(cv2.GaussianBlur(rough, (0, 0), 0.6 + 1.5 * seed))
    for share in (0.03, 0.3, 0.7, 0.999):
        # Between two levels: float32 and JavaScript's numbers need not agree on which side of itself a number is.
        threshold = float(np.quantile(levels.values(), share)) + 0.4 * (levels.high - levels.low) / 65535
        mask, wanted = regions(levels.values(), threshold)
        found = page.page.evaluate(
            """async ({data, width, height, low, high, threshold}) => {
                const {createFinder, regionAt} = await import(new URL('panda-assets/regions.js', document.baseURI));
                const grid = {data: Uint16Array.from(data), width, height, low, step: (high - low) / 65535};
                const found = createFinder()(grid, threshold);
                const owners = found.regions.map(({peakAt: [x, y]}) => regionAt(found, y * width + x));
                return {share: found.share, regions: found.regions, mask: [...found.mask], owners};
            }""",
            {
                "data": levels.levels.ravel().tolist(),
                "width": levels.levels.shape[1],
                "height": levels.levels.shape[0],
                "low": levels.low,
                "high": levels.high,
                "threshold": threshold,
            },
        )
        assert np.array_equal(np.array(found["mask"], bool).reshape(mask.shape), mask)
        assert found["share"] == pytest.approx(mask.mean())
        assert found["owners"] == list(range(len(wanted)))
        assert len(found["regions"]) == len(wanted)
        for mine, theirs in zip(found["regions"], wanted, strict=True):
            assert (mine["area"], tuple(mine["box"]), tuple(mine["peakAt"])) == (theirs.area, theirs.box, theirs.peak_at)
            assert mine["peak"] == pytest.approx(theirs.peak, abs=1e-5) and mine["mean"] == pytest.approx(theirs.mean, abs=1e-4)


def test_the_words_follow_the_conformal_p_value(page: Visit) -> None:
    said = page.page.evaluate(
        """async () => {
            const words = await import(new URL('panda-assets/words.js', document.baseURI));
            const small = [{width: 12, height: 900}, {width: 32, height: 32}].map(size => words.smallness(size).join(''));
            return [...[0.01, 0.1, 1].map(p => words.rarity(p, 99).join('')), ...small];
        }"""
    )
    assert said[0] == "None of the 99 normal images that calibrated the model scores this high: less than 3.0 % of new ones should."
    assert said[1].startswith("About 1 in 10 normal images scores this high") and said[2].startswith("About 100 % of normal images score")
    assert said[3].startswith("Only 12 × 900 pixels.") and said[4] == ""


def test_a_drag_is_painted_as_it_goes_and_asks_the_server_once_when_it_ends(page: Visit, tmp_path: Path) -> None:
    page.inspect(draw_blots(tmp_path / "blots.png"))
    page.page.click('.views button[data-view="overlay"]')
    page.settle()
    marked, before = page.red_pixels(), page.painted()
    asked: list[str] = []
    page.page.on("request", lambda request: asked.append(request.url) if request.method == "POST" else None)

    track = page.page.locator(".threshold.pixel input[type=range]").bounding_box()
    share = (page.slider("pixel")) / float(page.page.get_attribute(".threshold.pixel input[type=range]", "max") or 1)
    middle = track["y"] + track["height"] / 2
    page.page.mouse.move(track["x"] + 8 + share * (track["width"] - 16), middle)
    page.page.mouse.down()
    page.page.mouse.move(track["x"] + 0.8 * track["width"], middle, steps=25)
    page.page.wait_for_timeout(300)
    assert page.painted() - before >= 15
    assert 0 < page.red_pixels() < marked
    assert asked == []
    page.page.mouse.up()
    page.settle()
    page.page.wait_for_timeout(500)
    assert len([url for url in asked if "queue/join" in url]) == 1


@pytest.mark.parametrize(
    ("name", "keys"), [("pixel", ["Home"]), ("pixel", ["PageUp"]), ("boundary", ["PageDown", "PageDown"]), ("boundary", [])]
)
def test_verdict_and_regions_are_the_engines_wherever_the_slider_stands(page: Visit, tmp_path: Path, name: str, keys: list[str]) -> None:
    path = draw_blots(tmp_path / "blots.png")
    page.inspect(path)
    for key in keys:
        page.press_slider(name, key)
    page.settle()
    moved = {"boundary": page.slider("boundary"), "pixel_threshold": page.slider("pixel")} if keys else {}
    wanted = decided(path, **moved)
    assert page.page.get_attribute(".verdict", "data-verdict") == wanted.verdict
    assert page.regions() == len(wanted.regions)
    areas = page.page.locator(".region-list tbody tr:not([hidden]) td:nth-child(2)").all_inner_texts()
    assert [int(area.replace("\u202f", "")) for area in areas] == [region.area for region in wanted.regions]
    assert not page.page.locator(".thresholds .message").is_visible()


def test_a_result_that_differs_from_the_engines_is_reported(page: Visit, tmp_path: Path) -> None:
    payload = as_data(write_payload(FakeEngine(LEAF).inspect("leaf", draw_blots(tmp_path / "b.png")), tmp_path))
    page.page.evaluate(MOUNT, payload)
    page.page.wait_for_selector('#alone .viewer[data-state="ready"]')
    page.page.evaluate(
        "value => window.renew(value)", {**payload, "message": {"text": "The engine finds this image normal.", "error": True}}
    )
    assert page.text("#alone .thresholds .message") == "The engine finds this image normal."
    page.page.evaluate("document.querySelector('#alone').remove()")


def test_linked_sliders_move_together_and_alone_when_unlinked(page: Visit, tmp_path: Path) -> None:
    page.inspect(draw_spot(tmp_path / "spot.png"))
    own = page.slider("boundary"), page.slider("pixel")
    page.press_slider("boundary", "End")
    assert page.slider("pixel") == pytest.approx(float(page.page.get_attribute(".threshold.pixel input[type=range]", "max") or 0))
    page.page.click(".thresholds .reset")
    assert (page.slider("boundary"), page.slider("pixel")) == own
    page.page.uncheck(".thresholds .link input")
    page.press_slider("boundary", "End")
    assert page.slider("pixel") == own[1]
    page.page.check(".thresholds .link input")
    page.page.click(".thresholds .reset")


def test_what_was_moved_holds_for_the_next_image_until_it_is_taken_back(page: Visit, tmp_path: Path) -> None:
    page.choose_file(draw_spot(tmp_path / "strong.png"), draw_spot(tmp_path / "weak.png", strength=60))
    page.verdict("anomalous")
    own = page.slider("boundary")
    page.press_slider("boundary", "End")
    moved, pixel = page.slider("boundary"), page.slider("pixel")
    assert moved > own
    page.page.locator(".steps button").last.click()
    page.page.wait_for_selector('.viewer[data-name="weak.png"]')
    page.settle()
    assert (page.slider("boundary"), page.slider("pixel")) == (pytest.approx(moved), pytest.approx(pixel))
    page.page.click(".thresholds .reset")
    assert page.slider("boundary") == pytest.approx(own)
    page.page.locator(".steps button").first.click()
    page.page.wait_for_selector('.viewer[data-name="strong.png"]')
    page.settle()
    assert page.slider("boundary") == pytest.approx(own)


def test_a_number_that_is_emptied_comes_back(page: Visit, tmp_path: Path) -> None:
    page.inspect(draw_spot(tmp_path / "spot.png"))
    for name in ("boundary", "pixel"):
        box = page.page.locator(f".threshold.{name} input[type=number]")
        for value in (box.input_value(), "2.5"):
            box.fill(value)
            box.press("Tab")
            box.fill("")
            box.press("Tab")
            assert box.input_value() == value and page.slider(name) == pytest.approx(float(value), rel=1e-4)
    page.page.click(".thresholds .reset")


def test_the_consequence_on_the_calibration_images_follows_the_boundary(page: Visit, tmp_path: Path) -> None:
    path = draw_spot(tmp_path / "spot.png")
    page.inspect(path)
    line = page.page.locator(".boundary-line").bounding_box()["x"]
    page.press_slider("boundary", "PageDown")
    page.settle()
    rates = decided(path, boundary=page.slider("boundary")).boundary
    assert rates.miss_rate is not None and f"{100 * rates.miss_rate:.1f} % of the synthetic anomalies" in page.text(".effect")
    assert "60 synthetic anomalies" in page.text(".scores")
    assert "set by you" in page.text(".source")
    assert page.page.locator(".boundary-line").bounding_box()["x"] < line
    page.page.wait_for_selector(".scores .js-plotly-plot .main-svg")


def test_keys_move_mark_zoom_and_explain(page: Visit, tmp_path: Path) -> None:
    page.inspect(draw_spot(tmp_path / "spot.png"))
    page.page.locator(".frame").hover()
    keys, own = page.page.keyboard, page.slider("boundary")
    low, high = (float(page.page.get_attribute(".threshold.boundary input[type=range]", end) or 0) for end in ("min", "max"))
    keys.press("]")
    assert page.slider("boundary") - own == pytest.approx(0.01 * (high - low))
    keys.press("{")
    assert page.slider("boundary") - own == pytest.approx(-0.04 * (high - low))
    keys.press("4")
    assert page.page.get_attribute(".stage", "data-view") == "heatmap"
    page.settle()
    before = page.text(".foot .zoom")
    keys.press("z")
    page.settle()
    assert page.text(".foot .zoom") != before
    keys.press("z")
    keys.press("n")
    assert page.page.get_attribute('.marks [data-mark="normal"]', "aria-pressed") == "true"
    keys.press("a")
    assert page.page.get_attribute('.marks [data-mark="normal"]', "aria-pressed") == "false"
    assert page.page.get_attribute('.marks [data-mark="anomalous"]', "aria-pressed") == "true"
    keys.press("?")
    assert page.page.evaluate("document.querySelector('dialog.help').contains(document.activeElement)")
    keys.press("1")
    keys.press("Escape")
    assert not page.page.locator("dialog.help").is_visible()
    assert page.page.get_attribute(".stage", "data-view") == "heatmap"
    box = page.page.locator(".threshold.pixel input[type=number]")
    box.fill("2")
    box.press("5")
    assert page.page.get_attribute(".stage", "data-view") == "heatmap"
    keys.press("Tab")


def test_arrows_step_through_the_opened_files(page: Visit, tmp_path: Path) -> None:
    page.choose_file(draw_spot(tmp_path / "a.png"), draw_spot(tmp_path / "b.png", strength=0), draw_spot(tmp_path / "c.png"))
    page.page.wait_for_function("document.querySelector('.steps .where').textContent === '1 / 3'")
    page.verdict("anomalous")
    page.page.locator(".frame").hover()
    page.page.keyboard.press("ArrowRight")
    page.verdict("normal")
    assert page.text(".steps .where") == "2 / 3" and "b.png" in page.text("#foot")
    page.page.click('.steps button[title^="Next"]')
    page.verdict("anomalous")
    assert page.page.locator('.steps button[title^="Next"]').is_disabled()
    page.page.keyboard.press("ArrowLeft")
    page.verdict("normal")


def test_views_colours_and_opacity_are_painted_without_the_server(page: Visit, tmp_path: Path) -> None:
    page.inspect(draw_blots(tmp_path / "blots.png"))
    asked: list[str] = []
    page.page.on("request", lambda request: asked.append(request.url))
    for view, test in (("contour", "a > 200 && r > g + 60"), ("overlay", "a > 50 && a < 200 && r > g + 60"), ("residual", "a == 255")):
        page.page.click(f'.views button[data-view="{view}"]')
        page.settle()
        assert page.count_pixels(view, test) > 100, view
    page.page.click('.views button[data-view="heatmap"]')
    page.settle()
    assert page.count_pixels("heatmap", "a > 0 && Math.abs(r - g) < 3 && Math.abs(g - b) < 3") < 2000
    page.page.select_option('.foot .choice:has-text("Colours") select', "grey")
    page.settle()
    assert page.count_pixels("heatmap", "a > 0 && Math.abs(r - g) < 3 && Math.abs(g - b) < 3") > 100_000
    page.page.fill(".opacity input", "0.2")
    page.settle()
    assert page.count_pixels("heatmap", "a == 51") > 100_000
    page.page.select_option('.foot .choice:has-text("Colours") select', "viridis")
    page.page.click('.views button[data-view="swipe"]')
    page.page.locator(".divider").press("ArrowRight")
    assert page.page.get_attribute(".divider", "aria-valuenow") == "52"
    assert [url for url in asked if not url.startswith("data:")] == []


def test_a_click_on_a_region_zooms_to_it_and_a_double_click_back(page: Visit, tmp_path: Path) -> None:
    path = draw_blots(tmp_path / "blots.png")
    page.inspect(path)
    page.page.click('.views button[data-view="overlay"]')
    page.settle()
    pane = page.page.locator('.pane[data-name="overlay"]').bounding_box()
    scale = min(pane["width"], pane["height"]) / 256
    left, top = pane["x"] + (pane["width"] - 256 * scale) / 2, pane["y"] + (pane["height"] - 256 * scale) / 2
    x, y = decided(path).regions[0].peak_at
    page.page.mouse.move(left + (x + 0.5) * scale, top + (y + 0.5) * scale)
    assert f"x {x}, y {y} · map {decided(path).regions[0].peak:.2f}"[:-1] in page.text(".readout")
    before = page.text(".foot .zoom")
    page.page.mouse.down()
    page.page.mouse.up()
    page.page.wait_for_selector(".stage[data-zoomed]")
    page.page.mouse.dblclick(left + 20, top + 20)
    page.page.wait_for_selector(".stage:not([data-zoomed])")
    page.page.click(".region-list tbody tr:nth-child(2)")
    page.page.wait_for_selector(".stage[data-zoomed]")
    page.page.keyboard.press("z")
    page.page.wait_for_selector(".stage:not([data-zoomed])")
    assert page.text(".foot .zoom") == before


def test_ground_truth_is_outlined_in_the_contour_view(page: Visit, tmp_path: Path) -> None:
    truth = np.zeros((256, 256), bool)
    truth[20:120, 30:200] = True
    payload = write_payload(FakeEngine(LEAF).inspect("leaf", draw_blots(tmp_path / "b.png")), tmp_path, truth=truth)
    page.page.evaluate(MOUNT, as_data(payload))
    page.page.wait_for_selector('#alone .viewer[data-state="ready"]')
    page.page.click('#alone .views button[data-view="contour"]')
    page.page.wait_for_timeout(500)
    cyan = page.page.evaluate(
        """() => {
            const canvas = document.querySelector('#alone .pane canvas.top');
            const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
            let count = 0;
            for (let i = 0; i < data.length; i += 4) count += data[i + 3] > 200 && data[i + 2] > data[i] + 60;
            return count;
        }"""
    )
    assert cyan > 500
    page.page.evaluate("document.querySelector('#alone').remove()")


def test_a_large_map_is_drawn_reduced_while_it_moves_and_in_full_at_rest(page: Visit, tmp_path: Path) -> None:
    inspection = FakeEngine(LEAF).inspect("leaf", draw_blots(tmp_path / "large.png", size=1600))
    page.page.evaluate(MOUNT, as_data(write_payload(inspection, tmp_path)))
    page.page.wait_for_selector('#alone .viewer[data-state="ready"]')
    page.page.wait_for_timeout(500)
    view = dataclasses.replace(inspection, anomaly_map=to_levels(inspection.anomaly_map).values())
    slider = "#alone .threshold.pixel input[type=range]"
    page.page.locator(slider).press("PageUp")
    page.page.wait_for_timeout(800)
    kind, said = page.page.evaluate("window.sent.at(-1)")
    wanted = decide(view, boundary=said["boundary"], pixel_threshold=said["pixel_threshold"])
    assert kind == "release" and (said["verdict"], said["regions"]) == (wanted.verdict, len(wanted.regions))
    area = page.text("#alone .region-list tbody tr:first-child td:nth-child(2)").replace("\u202f", "")
    assert int(area) == wanted.regions[0].area
    page.page.evaluate("document.querySelector('#alone').remove()")


def test_moved_thresholds_become_the_operating_point_and_can_be_given_up(page: Visit, tmp_path: Path) -> None:
    page.inspect(draw_spot(tmp_path / "spot.png"))
    page.press_slider("boundary", "End")
    page.verdict("normal")
    page.page.click(".thresholds .keep")
    page.page.fill(".save input >> nth=0", "Ada <b>")
    page.page.fill(".save input >> nth=1", "shadows")
    page.page.click(".save button[type=submit]")
    page.page.wait_for_selector('.message:has-text("Saved: leaf")')
    page.verdict("normal")
    assert "Set by Ada <b>" in page.text(".source") and "The model’s own is 6.000" in page.text(".source")
    page.page.click(".thresholds .forget")
    page.page.wait_for_selector('.message:has-text("its own thresholds again")')
    page.verdict("anomalous")
