"""The page's handlers, called as plain functions: no server, no browser, no torch."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import cv2
import gradio as gr
import numpy as np
import pytest
from engine_double import LEAF, XRAY, FakeEngine, draw_spot
from PIL import Image

from panda_core.errors import ModelError
from panda_core.rendering import map_heatmap, overlay
from panda_core.roi import RoiError
from panda_core.scoring.decision import decide
from panda_core.ui import handlers, panels
from panda_core.ui.api import Api
from panda_core.ui.handlers import Playlist, Screen
from panda_core.ui.view import discard


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine(LEAF, XRAY)


@pytest.fixture
def spot(tmp_path: Path) -> Path:
    return draw_spot(tmp_path / "spot.png")


def last(engine: FakeEngine, model: str | None, path: Path) -> Screen:
    return list(handlers.inspect_file(engine, model, path))[-1]


def verdict_of(screen: Screen) -> str:
    return decide(screen.view.inspection).verdict if screen.view else ""


def test_a_spot_is_anomalous_and_a_plain_picture_normal(engine: FakeEngine, spot: Path, tmp_path: Path) -> None:
    assert verdict_of(last(engine, "leaf", spot)) == "anomalous"
    assert verdict_of(last(engine, "leaf", draw_spot(tmp_path / "plain.png", strength=0))) == "normal"


def test_the_pictures_are_written_and_deleted_with_the_session(engine: FakeEngine, spot: Path) -> None:
    view = last(engine, "leaf", spot).view
    assert view is not None
    paths = [Path(file["path"]) for file in view.payload["files"].values()]
    assert len(paths) == 4 and all(cv2.imread(str(path)).shape == (96, 96, 3) for path in paths)
    discard(view)
    assert not view.folder.exists()


def test_a_rested_slider_is_checked_against_the_engine_without_the_network(engine: FakeEngine, spot: Path) -> None:
    view = last(engine, "leaf", spot).view
    assert view is not None
    own = decide(view.inspection)
    agreed = {"verdict": own.verdict, "regions": len(own.regions)}
    assert handlers.check(view, boundary=None, pixel_threshold=None, **agreed) == ""
    high = view.inspection.score + 1
    assert "finds this image normal" in handlers.check(view, boundary=high, pixel_threshold=None, **agreed)
    assert handlers.check(view, boundary=high, pixel_threshold=high, verdict="normal", regions=0) == ""
    assert "with 0 regions" in handlers.check(view, boundary=None, pixel_threshold=high, **agreed)
    assert engine.calls == 1


def test_saved_thresholds_are_what_the_next_image_is_judged_by_until_they_are_given_up(engine: FakeEngine, spot: Path) -> None:
    view = last(engine, "leaf", spot).view
    assert view is not None
    high = view.inspection.score + 1
    said = handlers.save_thresholds(engine, view, boundary=high, pixel_threshold=4.0, who=" Ada ", why="shadows")
    assert said.startswith("Saved: leaf") and engine.point is not None and engine.point.who == "Ada"
    after = last(engine, "leaf", spot).view
    assert after is not None and after.payload["boundary"]["kind"] == "manual" and "Ada" in after.payload["boundary"]["reason"]
    assert after.payload["own"]["boundary"]["value"] == 6.0 and decide(after.inspection).verdict == "normal"
    handlers.clear_thresholds(engine, after)
    assert verdict_of(last(engine, "leaf", spot)) == "anomalous"


@pytest.mark.parametrize("wrong", [{"who": " "}, {"why": ""}, {"boundary": float("nan")}])
def test_thresholds_are_not_saved_without_a_name_a_reason_and_numbers(engine: FakeEngine, spot: Path, wrong: dict[str, object]) -> None:
    view = last(engine, "leaf", spot).view
    assert view is not None
    with pytest.raises(ModelError, match="Not saved"):
        handlers.save_thresholds(engine, view, **{"boundary": 1.0, "pixel_threshold": 1.0, "who": "Ada", "why": "shadows", **wrong})
    assert engine.point is None


def test_the_list_of_images_stops_at_its_ends() -> None:
    paths = (Path("a.png"), Path("b.png"))
    fresh = Playlist(paths)
    assert fresh.current is None and fresh.step(1).current == paths[0]
    assert fresh.step(1).step(1).step(1) == Playlist(paths, 1)
    assert Playlist(paths, 0).step(-1) == Playlist(paths, 0)
    assert Playlist().step(1).current is None


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
    assert screen.view is None


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
        assert shown.view is None


def test_while_the_engine_loads_the_page_says_so_and_then_answers(spot: Path) -> None:
    engine = FakeEngine(LEAF, ready=False)
    assert handlers.open_page(engine)[1].status == "Loading the model…"
    screens = handlers.inspect_file(engine, "leaf", spot)
    waiting = next(screens)
    assert waiting.notice is not None and waiting.notice.kind == "busy" and waiting.view is None
    engine.hold.set()
    assert verdict_of(next(screens)) == "anomalous"


def test_numbers_are_short_and_never_minus_zero() -> None:
    values = (-0.0001, 0.0, 3.14159, -42.123, 1234.5)
    assert [panels.number(value, sign=True) for value in values] == ["0.000", "0.000", "+3.142", "−42.12", "+1234"]


def test_cards_and_file_names_cannot_put_markup_on_the_page() -> None:
    hostile = "<img src=x onerror=alert(1)>"
    entry = dataclasses.replace(LEAF, data=hostile, licence=hostile, limits=(hostile,))
    for text in (panels.model_panel(entry), panels.status_line(hostile)):
        assert "<img" not in text and "&lt;img" in text


def test_an_example_brings_its_own_model_if_that_is_usable() -> None:
    usable = dataclasses.replace(XRAY, problem="")
    assert handlers.example_model("xray_02.png", (LEAF, usable), "leaf") == "xray"
    assert handlers.example_model("xray_02.png", (LEAF, XRAY), "leaf") == "leaf"
    assert handlers.example_model("moon.png", (LEAF, usable), "xray") == "xray"


def test_the_report_for_programs_holds_the_exact_decision(engine: FakeEngine, spot: Path) -> None:
    found = handlers.report(engine, "leaf", spot)
    assert found["verdict"] == "anomalous" and found["boundary_kind"] == "synthetic"
    assert found["file"] == "spot.png" and found["regions"]


def test_pictures_for_programs_are_those_of_the_thresholds_sent(engine: FakeEngine, spot: Path) -> None:
    plain = handlers.report(engine, "leaf", spot)
    usual = handlers.illustrated_report(engine, "leaf", spot)
    assert {name: usual[name] for name in plain} == plain
    far = handlers.illustrated_report(engine, "leaf", spot, boundary=plain["score"] + 1, pixel_threshold=1e6)
    assert (far["verdict"], far["boundary_kind"], far["regions"], far["pixel_threshold"]) == ("normal", "manual", [], 1e6)
    shown = {name: np.asarray(Image.open(urlopen(url))) for name, url in usual["pictures"].items()}
    inspection = engine.inspect("leaf", spot)
    assert np.array_equal(shown["mask"] > 0, decide(inspection).mask) and shown["mask"].any()
    assert np.array_equal(shown["overlay"], overlay(inspection, decide(inspection)))
    assert np.array_equal(shown["reconstruction"], inspection.reconstruction)
    assert np.array_equal(shown["map"], map_heatmap(inspection))
    assert not np.asarray(Image.open(urlopen(far["pictures"]["mask"]))).any()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400, True, "1", [1.0]])
def test_a_threshold_that_is_no_finite_number_is_refused_before_the_network_runs(engine: FakeEngine, spot: Path, value: Any) -> None:
    before = engine.calls
    for name in ("boundary", "pixel_threshold"):
        with pytest.raises(gr.Error, match=f"{name} is not a finite number; send one, or null"):
            Api(engine).inspect_pictures(gr.FileData(path=str(spot)), "leaf", **{name: value})
    assert engine.calls == before


def test_the_page_and_the_server_import_no_torch() -> None:
    code = "import sys, panda_core.ui.server, panda_core.ui.page; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=False).returncode == 0


def test_the_server_module_imports_no_gradio() -> None:
    code = "import sys, panda_core.ui.server; sys.exit('gradio' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


CORNERS = [[0.3, 0.3], [0.7, 0.7]]


def test_a_region_is_kept_for_the_model_and_what_it_ignores_raises_no_alarm(
    engine: FakeEngine, spot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PANDA_HOME", str(tmp_path / "home"))
    view = last(engine, "leaf", spot).view
    assert view is not None
    assert "ignored" in handlers.save_region(view, [{"kind": "rectangle", "mode": "exclude", "points": CORNERS}])
    within = last(engine, "leaf", spot).view
    assert within is not None
    assert decide(view.inspection).verdict == "anomalous" and decide(within.inspection).verdict == "normal"
    assert within.payload["roi"]["ignored"] == pytest.approx(0.16, abs=0.02)
    assert "whole image" in handlers.save_region(within, [])
    again = last(engine, "leaf", spot).view
    assert again is not None and again.payload["roi"] == {"shapes": [], "ignored": 0.0}


@pytest.mark.parametrize(
    "shapes", [None, "x", [{"kind": "rectangle"}], [{"kind": "rectangle", "mode": "exclude", "points": [[0, 0], [1, 1]]}]]
)
def test_a_region_that_is_none_or_leaves_nothing_is_refused(engine: FakeEngine, spot: Path, shapes: object) -> None:
    view = last(engine, "leaf", spot).view
    assert view is not None
    with pytest.raises(RoiError):
        handlers.save_region(view, shapes)


@pytest.mark.parametrize("image", ["photo.png", {}, {"url": "http://127.0.0.1/photo.png"}, {"path": 3}, None, 7])
def test_a_program_that_sends_no_upload_is_told_what_to_send(engine: FakeEngine, image: Any) -> None:
    endpoints = Api(engine)
    with pytest.raises(gr.Error, match="gradio_api/upload"):
        endpoints.inspect(image, "leaf")
    assert "gradio_api/upload" in endpoints.inspect_batch([image], "leaf")[0]["error"]
    with pytest.raises(gr.Error, match="as /models lists it"):
        endpoints.inspect(image, None)  # type: ignore[arg-type]
    with pytest.raises(gr.Error, match="a list of one"):
        endpoints.inspect_batch({"path": "a.png"}, "leaf")  # type: ignore[arg-type]
