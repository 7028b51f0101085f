"""The Evaluate tab's server side: models one after the other on one folder, what the page gets, what is kept and for how long."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from engine_double import LEAF, XRAY, FakeEngine, draw_spot
from gradio.utils import get_upload_folder

from panda_core.card import Card, DataCard, read_card
from panda_core.errors import ModelError
from panda_core.inspection import Inspection
from panda_core.presets import preset
from panda_core.ui.engine import ModelEntry
from panda_core.ui.evaluate_session import EvaluateSession
from panda_core.ui.evaluate_tab import EvaluateTab
from panda_core.ui.work import UNWATCHED

WAIT = 20.0
TWIN = ModelEntry(name="twin", title="Twin")


class GatedEngine(FakeEngine):
    """The double with two models, of which "twin" waits for a gate and may break."""

    def __init__(self) -> None:
        super().__init__(LEAF, TWIN, XRAY)
        self.gate = threading.Event()
        self.broken = False

    def inspect(self, model: str, path: Path) -> Inspection:
        if model == "twin":
            self.gate.wait(WAIT)
            if self.broken:
                raise ModelError("twin is damaged. Copy it again.")
        return super().inspect(model, path)


class Desk:
    """The tab over the double, without a server; sessions are closed by the fixture."""

    def __init__(self, root: Path) -> None:
        self.engine, self.root = GatedEngine(), root

        async def build() -> EvaluateTab:
            """Within a running loop: without one Gradio makes several of its own and leaves them open."""
            with gr.Blocks(analytics_enabled=False) as self.page:
                return EvaluateTab(self.engine, roots=[root])

        with ThreadPoolExecutor(1) as thread:
            self.tab = thread.submit(asyncio.run, build()).result()

    def call(self, function: str, **data: Any) -> dict[str, Any]:
        answer = getattr(self.tab.panel, function)(data)
        json.dumps(answer, allow_nan=False)
        return dict(answer)

    def begin(self, *models: str, tab: str = "ann", **data: Any) -> str:
        return str(self.call("begin", tab=tab, models=list(models), **{"folder": str(self.root / "parts"), **data})["id"])

    def session(self, id: str) -> EvaluateSession:
        found = self.tab.sessions.find(id)
        assert found is not None
        return found

    def finished(self, id: str) -> dict[str, Any]:
        job = self.session(id).job
        assert job is not None and job.wait(WAIT)
        return self.call("look", id=id, known=0)

    def opened(self, **data: Any) -> tuple[list[Path], int, str | None]:
        return self.tab.opened(SimpleNamespace(_data=data))  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Spots in two strengths and plain pictures, one of them no picture."""
    place = tmp_path / "parts"
    for label, strengths in (("good", (0, 10, 20)), ("faint", (15, 60)), ("spot", (150, 200))):
        (place / "test" / label).mkdir(parents=True)
        for strength in strengths:
            draw_spot(place / "test" / label / f"{strength}.png", strength=strength)
    (place / "test" / "good" / "text.png").write_text("text")
    return place


@pytest.fixture
def desk(folder: Path, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.engine.gate.set()
    made.tab.sessions.close()


def until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


def upload(path: Path) -> str:
    """As the browser's upload leaves it."""
    place = Path(get_upload_folder()) / "evaluate-test" / path.name
    place.parent.mkdir(parents=True, exist_ok=True)
    return str(shutil.copy(path, place))


def test_the_result_has_what_the_page_needs_to_judge_by_itself(desk: Desk) -> None:
    (result,) = desk.finished(desk.begin("leaf"))["results"]
    assert len(result["scores"]) == len(result["labels"]) == 7
    assert [one["name"] for one in result["defects"]] == ["faint", "spot"] and result["labels"] == [-1, -1, -1, 0, 0, 1, 1]
    normal = [score for score, label in zip(result["scores"], result["labels"], strict=True) if label < 0]
    wins = sum((odd > score) + (odd == score) / 2 for odd in result["scores"][3:] for score in normal)
    assert result["auroc"][0] == pytest.approx(wins / 12) and result["boundary"] == 6.0 and "synthetic" in result["said"]
    assert [problem.partition(":")[0] for problem in result["problems"]] == ["test/good/text.png"]
    assert all(one["picture"].startswith("data:image/jpeg;base64,") for one in result["hardest"]) and len(result["hardest"]) == 7


def test_models_come_one_after_the_other_and_are_compared_with_the_first(desk: Desk) -> None:
    id = desk.begin("leaf", "twin")
    until(lambda: desk.call("look", id=id, known=0)["results"])
    first = desk.call("look", id=id, known=0)
    assert [one["model"] for one in first["results"]] == ["leaf"] and first["working"]
    assert desk.call("look", id=id, known=1)["results"] == []
    desk.engine.gate.set()
    done = desk.finished(id)
    (first, (apart, low, high)) = (one["apart"] for one in done["results"])
    assert (first, apart) == (None, 0) and low == -high < 0 and not done["working"]
    assert done["job"]["done"] == done["job"]["total"] == 16
    assert [one["model"] for one in desk.call("look", id=id, known=1)["results"]] == ["twin"]


def test_what_is_finished_stays_when_the_rest_is_cancelled(desk: Desk) -> None:
    id = desk.begin("leaf", "twin")
    until(lambda: desk.call("look", id=id, known=0)["results"])
    desk.call("cancel", id=id)
    desk.engine.gate.set()
    done = desk.finished(id)
    assert done["job"]["state"] == "stopped" and [one["model"] for one in done["results"]] == ["leaf"]


def test_a_model_that_breaks_is_named_and_the_others_go_on(desk: Desk) -> None:
    desk.engine.broken = True
    desk.engine.gate.set()
    done = desk.finished(desk.begin("twin", "leaf"))
    assert done["failures"] == ["Twin: twin is damaged. Copy it again."] and [one["model"] for one in done["results"]] == ["leaf"]


def test_both_exports_arrive_and_hold_every_model(desk: Desk) -> None:
    id = desk.begin("twin", "leaf")
    assert "Nothing has been measured" in desk.call("export", id=id, kind="json")["error"]
    desk.engine.gate.set()
    desk.finished(id)
    page, document = (desk.call("export", id=id, kind=kind) for kind in ("html", "json"))
    assert page["name"] == "evaluation-parts.html" and "Twin" in Path(page["download"]).read_text(encoding="utf-8")
    models = json.loads(Path(document["download"]).read_text(encoding="utf-8"))["models"]
    assert [one["model"] for one in models] == ["twin", "leaf"] and len(models[0]["images"]) == 7
    assert "no longer kept" in desk.call("export", id=id, kind="exe")["message"]


def test_the_card_of_a_persons_own_model_takes_the_result(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PANDA_HOME", str(tmp_path / "home"))
    data = DataCard(description="", licence="")
    card = Card(name="twin", title="Twin", created="2026-11-27T00:00:00+00:00", config=preset("best"), data=data, versions={})
    twin = tmp_path / "home" / "models" / "twin"
    twin.mkdir(parents=True)
    (twin / "card.json").write_text(json.dumps(card.to_dict()))
    desk.engine.gate.set()
    id = desk.begin("leaf", "twin")
    shipped, own = desk.finished(id)["results"]
    assert (shipped["own"], own["own"], own["kept"]) == (False, True, False)
    for _ in range(2):  # once more, in the place of the first
        assert desk.call("keep", id=id, number=1)["message"] == "Kept in the card of “Twin”."
    (metric,) = read_card(twin).metrics
    assert [metric.auroc, *metric.auroc_ci] == own["auroc"] and (metric.data, metric.normal, metric.anomalous) == ("parts", 3, 4)
    assert desk.call("look", id=id, known=1)["results"][0]["kept"], "a page that is loaded again knows"
    assert "not one of your own" in desk.call("keep", id=id, number=0)["error"]
    for number in (7, -1, "1", None):
        assert desk.call("keep", id=id, number=number).keys() & {"error", "gone"}


def test_a_picture_opens_with_the_others_of_its_row_and_the_model_that_judged_it(desk: Desk, folder: Path) -> None:
    id = desk.begin("leaf")
    hardest = [one["at"] for one in desk.finished(id)["results"][0]["hardest"]]
    paths, index, model = desk.opened(id=id, model=0, order=hardest[:2], index=1)
    assert [path.name for path in paths] == ["20.png", "10.png"] and (index, model) == (1, "leaf")
    assert all(path.parent == folder / "test" / "good" for path in paths)


@pytest.mark.parametrize(
    "data", [{}, {"model": 7}, {"model": -1}, {"model": 0, "order": "all"}, {"model": 0, "order": [99, -1, None]}, {"id": "x", "model": 0}]
)
def test_what_a_stranger_writes_into_an_event_opens_nothing(desk: Desk, data: dict[str, Any]) -> None:
    id = desk.begin("leaf")
    desk.finished(id)
    assert desk.opened(**{"id": id, "order": [0], "index": 0, **data}) == ([], 0, None)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"models": []}, "Choose one or more models"),
        ({"models": ["xray"]}, "Choose one or more models"),
        ({"models": ["leaf", 7], "folder": " "}, "Type the path"),
        ({"models": ["leaf"], "file": "/etc/passwd"}, "not uploaded here"),
        ({"models": None}, "Choose one or more models"),
    ],
)
def test_what_cannot_begin_is_said_at_once(desk: Desk, data: dict[str, Any], words: str) -> None:
    assert words in desk.call("begin", **{"tab": "ann", "folder": str(desk.root / "parts"), **data})["error"]
    assert len(desk.tab.sessions) == 0


@pytest.mark.parametrize(
    ("place", "words"), [("..", "may be opened from this page"), ("absent", "There is no"), ("parts/test/good/0.png", "is not a folder")]
)
def test_a_slip_of_the_keyboard_leaves_the_former_evaluation(desk: Desk, place: str, words: str) -> None:
    former = desk.begin("leaf")
    desk.finished(former)
    assert words in desk.call("begin", tab="ann", models=["leaf"], folder=str(desk.root / place))["error"]
    assert len(desk.call("look", id=former, known=0)["results"]) == 1


def test_a_folder_that_cannot_be_measured_on_is_said_by_the_job(desk: Desk) -> None:
    done = desk.finished(desk.begin("leaf", folder=str(desk.root / "parts/test/good")))
    assert "test images" in done["job"]["message"] and done["results"] == [] and not done["working"]


def test_links_out_of_the_allowed_folders_are_left_out(desk: Desk, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = draw_spot(tmp_path_factory.mktemp("secret") / "secret.png")
    (folder / "test" / "spot" / "linked.png").symlink_to(outside)
    done = desk.finished(desk.begin("leaf"))
    assert "1 linked image was left out" in done["note"] and len(done["results"][0]["scores"]) == 7


def test_a_zip_file_is_measured_like_a_folder_and_names_no_place_of_the_server(desk: Desk, folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "parts.zip", "w") as archive:
        for path in folder.rglob("*.png"):
            archive.write(path, f"my parts/{path.relative_to(folder)}")
    packed = desk.finished(desk.begin("leaf", file=upload(tmp_path / "parts.zip"), folder="parts.zip"))
    plain = desk.finished(desk.begin("leaf", tab="bob"))
    assert packed["title"] == "parts.zip"
    assert [packed["results"][0][key] for key in ("scores", "problems")] == [plain["results"][0][key] for key in ("scores", "problems")]
    with zipfile.ZipFile(tmp_path / "half.zip", "w") as archive:
        archive.write(folder / "test" / "good" / "0.png", "test/good/0.png")
    message = desk.finished(desk.begin("leaf", file=upload(tmp_path / "half.zip")))["job"]["message"]
    assert message.startswith("half.zip has no anomalous test images") and "panda-evaluate" not in message
    (tmp_path / "text.zip").write_text("text")
    assert "cannot be unpacked" in desk.finished(desk.begin("leaf", file=upload(tmp_path / "text.zip")))["job"]["message"]


def test_two_browser_tabs_do_not_disturb_each_other_and_a_new_one_replaces_its_own(desk: Desk) -> None:
    first, other = desk.begin("leaf", tab="ann"), desk.begin("leaf", tab="bob")
    desk.finished(first), desk.finished(other)
    place = desk.session(first).place
    again = desk.begin("leaf", tab="ann")
    assert desk.call("look", id=first, known=0)["gone"] and not place.exists()
    assert desk.finished(other)["results"] and desk.finished(again)["results"]


def test_work_that_nobody_asks_for_ends_after_a_while(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("panda_core.ui.work.UNWATCHED", 0.2)
    session = desk.session(desk.begin("twin"))
    until(lambda: not len(desk.tab.sessions))
    desk.engine.gate.set()
    assert session.job is not None and session.job.wait(WAIT) and session.job.state == "stopped"


def test_a_hidden_page_that_asks_seldom_finds_its_evaluation_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A browser lets a hidden page ask once a minute, a phone not at all."""
    assert UNWATCHED >= 600
    monkeypatch.setattr("panda_core.ui.work.GRACE", 0.05)
    id = desk.begin("leaf", "twin")
    time.sleep(0.4)
    desk.engine.gate.set()
    assert [result["model"] for result in desk.finished(id)["results"]] == ["leaf", "twin"]


def test_damaged_models_are_listed_with_their_problem_and_no_handler_is_public(desk: Desk) -> None:
    listed = {one["name"]: one["problem"] for one in desk.call("models")["models"]}
    assert listed["leaf"] == "" and "missing" in listed["xray"]
    assert desk.page.get_api_info()["named_endpoints"] == {}
