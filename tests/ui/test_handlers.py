"""The page's handlers, called as plain functions: no server, no browser, no torch."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from engine_double import LEAF, XRAY, FakeEngine, draw_spot

from panda_core.scoring.decision import decide
from panda_core.ui import handlers, panels
from panda_core.ui.handlers import Screen
from panda_core.ui.view import VIEWS, discard, open_view, original_regions, reduce_inspection


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine(LEAF, XRAY)


@pytest.fixture
def spot(tmp_path: Path) -> Path:
    return draw_spot(tmp_path / "spot.png")


def last(engine: FakeEngine, model: str | None, path: Path) -> Screen:
    return list(handlers.inspect_file(engine, model, path))[-1]


def verdict_of(screen: Screen) -> str:
    found = re.search(r'data-verdict="(\w+)"', screen.verdict)
    return found.group(1) if found else ""


def test_a_spot_is_anomalous_and_a_plain_picture_normal(engine: FakeEngine, spot: Path, tmp_path: Path) -> None:
    assert verdict_of(last(engine, "leaf", spot)) == "anomalous"
    assert verdict_of(last(engine, "leaf", draw_spot(tmp_path / "plain.png", strength=0))) == "normal"


def test_all_views_are_written_as_pictures_and_deleted_with_the_session(engine: FakeEngine, spot: Path) -> None:
    view = last(engine, "leaf", spot).view
    assert view is not None
    assert set(view.pictures) == set(VIEWS)
    assert all(cv2.imread(str(path)).shape == (96, 96, 3) for path in view.pictures.values())
    discard(view)
    assert not view.folder.exists()


def test_moving_the_boundary_past_the_score_changes_the_verdict_without_the_network(engine: FakeEngine, spot: Path) -> None:
    first = last(engine, "leaf", spot)
    assert first.view is not None and first.boundary is not None
    assert first.boundary.high > first.view.inspection.score > first.boundary.low
    moved = handlers.redecide(first.view, boundary=first.boundary.high)
    assert (verdict_of(first), verdict_of(moved)) == ("anomalous", "normal")
    assert "set by you" in moved.verdict
    assert engine.calls == 1


def test_a_higher_pixel_threshold_marks_less_and_redraws_the_mask(engine: FakeEngine, spot: Path) -> None:
    first = last(engine, "leaf", spot)
    assert first.view is not None and first.pixel is not None
    before = first.view.pictures["overlay"].read_bytes()
    none = handlers.redecide(first.view, pixel_threshold=first.pixel.high)
    assert 'data-regions="0"' in none.regions and 'data-regions="0"' not in first.regions
    assert first.view.pictures["overlay"].read_bytes() != before


def test_a_slider_on_the_models_own_value_gives_the_models_own_decision(engine: FakeEngine, spot: Path) -> None:
    first = last(engine, "leaf", spot)
    assert first.view is not None and first.boundary is not None and first.pixel is not None
    again = handlers.redecide(first.view, boundary=first.boundary.value, pixel_threshold=first.pixel.value)
    assert (again.verdict, again.regions) == (first.verdict, first.regions)


@pytest.mark.parametrize(
    ("content", "word"),
    [(b"", "broken.png"), (b"just text", "broken.png"), (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "broken.png")],
    ids=["empty", "text", "truncated"],
)
def test_a_bad_file_gives_a_message_and_leaves_no_earlier_result(engine: FakeEngine, tmp_path: Path, content: bytes, word: str) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    screen = last(engine, "leaf", path)
    assert screen.notice is not None and screen.notice.kind == "error"
    assert word in screen.notice.title and str(tmp_path) not in screen.notice.title + screen.notice.text
    assert (screen.view, screen.verdict, screen.regions, screen.contributions) == (None, "", "", "")


def test_a_damaged_model_says_so_on_the_page(engine: FakeEngine, spot: Path) -> None:
    screen = last(engine, "xray", spot)
    assert screen.notice is not None and XRAY.problem in screen.notice.text
    assert XRAY.problem in panels.model_panel(XRAY)


def test_a_fault_of_the_program_is_not_blamed_on_the_file(engine: FakeEngine, spot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "inspect", lambda model, path: 1 / 0)
    screen = last(engine, "leaf", spot)
    assert screen.notice is not None and "not in your file" in screen.notice.text


def test_without_a_model_the_page_tells_how_to_train_one_and_shows_no_score(spot: Path) -> None:
    engine = FakeEngine()
    _, screen = handlers.open_page(engine)
    for shown in (screen, last(engine, None, spot)):
        assert shown.notice is not None and shown.notice.command.startswith("panda train ")
        assert shown.verdict == ""


def test_while_the_engine_loads_the_page_says_so_and_then_answers(spot: Path) -> None:
    engine = FakeEngine(LEAF, ready=False)
    assert handlers.open_page(engine)[1].status == "Loading the model…"
    screens = handlers.inspect_file(engine, "leaf", spot)
    waiting = next(screens)
    assert waiting.notice is not None and waiting.notice.kind == "busy" and waiting.view is None
    engine.hold.set()
    assert verdict_of(next(screens)) == "anomalous"


def test_the_rarity_follows_the_conformal_p_value(engine: FakeEngine, spot: Path) -> None:
    view = last(engine, "leaf", spot).view
    assert view is not None
    scores = view.inspection.calibration.normal_scores
    assert "At most 1 in 100" in panels.rarity(view.inspection)
    tenth = dataclasses.replace(view.inspection, score=float(scores[-9]))
    assert "1 in 10 normal images" in panels.rarity(tenth)
    lowest = dataclasses.replace(view.inspection, score=-1.0)
    assert "100 % of normal images" in panels.rarity(lowest)


def test_numbers_are_short_and_never_minus_zero() -> None:
    values = (-0.0001, 0.0, 3.14159, -42.123, 1234.5)
    assert [panels.number(value, sign=True) for value in values] == ["0.000", "0.000", "+3.142", "−42.12", "+1234"]


def test_names_and_cards_cannot_put_markup_on_the_page(engine: FakeEngine, spot: Path) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    shown = last(engine, "leaf", spot)
    assert shown.view is not None
    inspection = dataclasses.replace(shown.view.inspection, errors={hostile: 1.0}, contributions={hostile: 1.0})
    entry = dataclasses.replace(LEAF, data=hostile, licence=hostile, limits=(hostile,))
    for text in (panels.contributions_panel(inspection), panels.model_panel(entry), panels.status_line(hostile)):
        assert "<img" not in text and "&lt;img" in text


def test_large_images_are_reduced_for_the_page_and_reported_in_original_pixels(engine: FakeEngine, tmp_path: Path) -> None:
    inspection = engine.inspect("leaf", draw_spot(tmp_path / "large.png", size=2048))
    view = open_view(inspection)
    assert view.reduced and max(view.inspection.image.shape) == 1024
    assert view.inspection.score == inspection.score
    exact, shown = decide(inspection).regions, original_regions(view, decide(view.inspection))
    assert len(exact) == len(shown)
    assert sum(region.area for region in shown) == pytest.approx(sum(region.area for region in exact), rel=0.1)
    assert np.allclose([region.box for region in shown], [region.box for region in exact], atol=8)
    discard(view)


def test_small_images_are_not_touched(engine: FakeEngine, spot: Path) -> None:
    inspection = engine.inspect("leaf", spot)
    assert reduce_inspection(inspection) is inspection


def test_an_example_brings_its_own_model_if_that_is_usable() -> None:
    usable = dataclasses.replace(XRAY, problem="")
    assert handlers.example_model("xray_02.png", (LEAF, usable), "leaf") == "xray"
    assert handlers.example_model("xray_02.png", (LEAF, XRAY), "leaf") == "leaf"
    assert handlers.example_model("moon.png", (LEAF, usable), "xray") == "xray"


def test_the_report_for_programs_holds_the_exact_decision(engine: FakeEngine, spot: Path) -> None:
    found = handlers.report(engine, "leaf", spot)
    assert found["verdict"] == "anomalous" and found["boundary_kind"] == "synthetic"
    assert found["file"] == "spot.png" and found["regions"]


def test_the_page_and_the_server_import_no_torch() -> None:
    code = "import sys, panda_core.ui.server, panda_core.ui.page; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=False).returncode == 0


def test_the_server_module_imports_no_gradio() -> None:
    code = "import sys, panda_core.ui.server; sys.exit('gradio' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
