"""The Models tab's server side: every model with its card or its problem, and what a person may do to it."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import gradio as gr
import pytest
from gradio.utils import get_upload_folder

from panda_core import own_models
from panda_core.card import find_model
from panda_core.card_changes import save_operating_point
from panda_core.inspection import OperatingPoint
from panda_core.ui.models_tab import ModelsTab


@pytest.fixture
def changed() -> list[str]:
    return []


@pytest.fixture
def tab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_model: Path, changed: list[str]) -> Iterator[ModelsTab]:
    """The tab over the shipped models and one of a person's own, "discs"."""
    monkeypatch.setenv("PANDA_HOME", str(tmp_path / "home"))
    own_models.add_model(tiny_model, "discs")

    async def build() -> ModelsTab:
        """Within a running loop: without one Gradio makes several of its own and leaves them open."""
        with gr.Blocks(analytics_enabled=False):
            return ModelsTab(on_change=changed.append)

    with ThreadPoolExecutor(1) as thread:
        yield thread.submit(asyncio.run, build()).result()


def call(tab: ModelsTab, function: str, **data: Any) -> dict[str, Any]:
    answer = getattr(tab.panel, function)(data)
    json.dumps(answer)
    return dict(answer)


def rows(tab: ModelsTab) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in call(tab, "models")["models"]}


def test_every_model_is_listed_with_what_its_card_says(tab: ModelsTab) -> None:
    found = rows(tab)
    assert {"leaf", "xray", "discs"} <= found.keys()
    assert found["discs"]["own"] and not found["leaf"]["own"]
    low, high = found["leaf"]["auroc"]
    assert low == min(one["auroc"] for one in found["leaf"]["metrics"]) and high == max(one["auroc"] for one in found["leaf"]["metrics"])
    assert found["discs"]["boundary"] and found["discs"]["size"] > 1000 and found["discs"]["licence"] == "not stated"


def test_the_range_of_deep_images_is_told_where_a_model_has_one(tab: ModelsTab) -> None:
    file = find_model("discs") / "card.json"
    card = json.loads(file.read_text(encoding="utf-8"))
    card["config"]["data"] |= {"deep_low": 1000.0, "deep_high": 11200.0}
    file.write_text(json.dumps(card), encoding="utf-8")
    found = rows(tab)
    assert found["discs"]["deep"] == "1000 to 11200" and found["leaf"]["deep"] == ""


def test_a_boundary_that_was_set_by_a_person_is_listed_with_who_and_why(tab: ModelsTab) -> None:
    point = OperatingPoint(boundary=1.0, pixel_threshold=3.0, who="Ada", why="new lamp", when="2026-11-27T10:00:00+00:00")
    save_operating_point(find_model("discs"), point)
    row = rows(tab)["discs"]
    assert (row["boundary"], row["moved"]) == ("manual", "Ada, 2026-11-27: new lamp")


def test_a_damaged_model_is_listed_with_its_problem(tab: ModelsTab) -> None:
    (own_models.own_models() / "discs" / "card.json").write_text("{")
    assert "damaged" in rows(tab)["discs"]["problem"]


def test_what_is_done_changes_the_list_and_tells_the_engine(tab: ModelsTab, changed: list[str]) -> None:
    assert call(tab, "act", what="rename", id="discs", name="rings") == {"model": "rings"}
    assert set(changed) == {"discs", "rings"}
    assert call(tab, "act", what="copy", id="rings", name="twin") == {"model": "twin"}
    call(tab, "act", what="default", id="twin")
    assert call(tab, "models")["default"] == "twin"
    token = call(tab, "act", what="delete", id="twin")["token"]
    assert "twin" not in rows(tab) and call(tab, "models")["default"] is None
    call(tab, "act", what="restore", id=token)
    assert "twin" in rows(tab)


@pytest.mark.parametrize(
    "data",
    [
        {"what": "rename", "id": "leaf", "name": "mine"},
        {"what": "delete", "id": "../../etc", "name": ""},
        {"what": "copy", "id": "discs", "name": "../up"},
        {"what": "explode", "id": "discs"},
        {},
    ],
)
def test_what_may_not_be_is_answered_in_words_and_changes_nothing(tab: ModelsTab, data: dict[str, Any]) -> None:
    before = rows(tab)
    assert call(tab, "act", **data)["error"]
    assert rows(tab) == before


class Command:
    """In the place of the process that writes an ONNX file."""

    ended, said = 0, ""
    commands: ClassVar[list[list[str]]] = []

    def __init__(self, command: list[str], **_: Any) -> None:
        self.commands.append(command)
        self.returncode = self.ended
        Path(command[-2]).write_text("a graph")

    def __enter__(self) -> Command:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def communicate(self, timeout: float) -> tuple[str, str]:
        return json.dumps({"region_ignored": True}), self.said

    def kill(self) -> None:
        pass


def test_a_model_goes_out_for_other_programs_by_the_command(tab: ModelsTab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", Command)
    packed = call(tab, "pack", id="discs", onnx=True)
    assert packed["name"] == "discs.onnx" and Path(packed["download"]).read_text() == "a graph" and "judges whole images" in packed["note"]
    assert Command.commands[-1][1:6] == ["-m", "panda_core", "models", "export", str(find_model("discs"))]
    monkeypatch.setattr(Command, "ended", 2)
    monkeypatch.setattr(Command, "said", "a line of a library\nError: Too little room.\n")
    assert call(tab, "pack", id="discs", onnx=True)["error"] == "Too little room."
    tab.desk._writing.acquire()
    assert "being written" in call(tab, "pack", id="discs", onnx=True)["error"], "and nobody waits for another's minute"


def test_a_model_goes_out_as_a_file_and_comes_back(tab: ModelsTab) -> None:
    packed = call(tab, "pack", id="discs")
    place = Path(get_upload_folder()) / "models-test" / packed["name"]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(Path(packed["download"]).read_bytes())
    brought = call(tab, "bring", file=str(place))["model"]
    assert brought != "discs" and rows(tab).keys() == {"leaf", "xray", "discs", brought}
    assert "not uploaded here" in call(tab, "bring", file="/etc/passwd")["error"]
