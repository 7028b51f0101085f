"""The Train tab's server side: what a form becomes, what is told of a run, what a stranger's answers may not do."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import gradio as gr
import numpy as np
import pytest
from gradio.utils import get_upload_folder

from panda_core import jobs as jobs_module
from panda_core.errors import FolderError, ModelError, TrainingError
from panda_core.jobs import Jobs
from panda_core.places import home
from panda_core.presets import PRESETS, preset
from panda_core.runs import RunDir
from panda_core.ui import preparation, train_form
from panda_core.ui.train_desk import TrainDesk
from panda_core.ui.train_form import flatten, refill
from panda_core.ui.train_news import MOST_POINTS, critic, curves, log_tail, thin
from panda_core.ui.train_tab import TrainTab, estimate_arguments, keep_uploads


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PANDA_HOME", str(tmp_path / "home"))


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """No process is started; what would be is kept."""
    found: list[list[str]] = []
    monkeypatch.setattr(jobs_module, "launch", lambda arguments, log: found.append(list(arguments)))
    return found


@pytest.fixture
def desk(tmp_path: Path, launched: list[list[str]]) -> TrainDesk:
    return TrainDesk(Jobs(tmp_path / "runs"), str)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Twenty-four noisy pictures and one black one."""
    folder = tmp_path / "data" / "parts"
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for number in range(24):
        cv2.imwrite(str(folder / f"{number:02}.png"), random.normal(120, 30, (40, 40, 3)).clip(0, 255).astype(np.uint8))
    cv2.imwrite(str(folder / "black.png"), np.zeros((40, 40, 3), np.uint8))
    return folder


@pytest.fixture
def tab(tmp_path: Path, launched: list[list[str]]) -> Iterator[TrainTab]:
    async def build() -> TrainTab:
        """Within a running loop: without one Gradio makes several of its own and leaves them open."""
        with gr.Blocks(analytics_enabled=False):
            return TrainTab(Jobs(tmp_path / "runs"), roots=[tmp_path / "data"])

    with ThreadPoolExecutor(1) as thread:
        made = thread.submit(asyncio.run, build()).result()
    yield made
    made.preparations.close()


def call(panel: TrainTab, function: str, /, **data: Any) -> dict[str, Any]:
    answer = getattr(panel.panel, function)(data)
    json.dumps(answer)
    return dict(answer)


def follow(tab: TrainTab, begun: dict[str, Any]) -> dict[str, Any]:
    """Ask until a preparation is over."""
    deadline = time.monotonic() + 60
    while begun.get("state") == "running":
        assert time.monotonic() < deadline
        time.sleep(0.02)
        begun = call(tab, "prepared", id=begun["id"])
    return begun


def test_a_form_becomes_the_presets_configuration_with_what_was_changed(desk: TrainDesk, tmp_path: Path, launched: list[list[str]]) -> None:
    form = {"preset": "tiny", "changes": {"data.size": 64, "train.seed": 5}, "name": "My parts", "exclude": ["a" * 64, "short", 3]}
    run = desk.jobs.find(desk.start(tmp_path, form))
    assert run.config == preset("tiny").override(**{"data.size": 64, "train.seed": 5})
    assert (run.name, run.exclude) == ("My parts", {"a" * 64}) and "--low-priority" in launched[0]
    desk.start(tmp_path, {"preset": "tiny", "low_priority": False})
    assert "--low-priority" not in launched[1]


def test_a_name_that_no_model_can_have_is_refused_before_the_training(desk: TrainDesk, tmp_path: Path, launched: list[list[str]]) -> None:
    with pytest.raises(ModelError, match="no usable name"):
        desk.start(tmp_path, {"preset": "tiny", "name": "Vineyard <b>A/B</b>"})
    assert not launched
    odd = tmp_path / "parts: new"
    odd.mkdir()
    assert desk.jobs.find(desk.start(odd, {"preset": "tiny"})).name == "training", "a folder's name that nobody typed is no error"


def test_a_model_that_is_fine_tuned_keeps_its_architecture(desk: TrainDesk, tmp_path: Path) -> None:
    run = desk.jobs.find(desk.start(tmp_path, {"parent": "leaf", "preset": "tiny"}))
    assert run.parent is not None and run.parent.name == "leaf"
    offered = train_form.offer()["models"]["leaf"]
    assert flatten(run.config) == offered and offered["generator.width"] == run.config.generator.width
    with pytest.raises(ModelError, match="No model"):
        desk.start(tmp_path, {"parent": "../leaf-not"})


def test_each_wrong_field_is_told_apart() -> None:
    found = train_form.problems({"preset": "best", "changes": {"data.size": 33, "train.seed": "x", "train.batch": 8, "nothing": 1}})
    assert found.keys() == {"data.size", "train.seed", "nothing"} and "multiple of 32" in found["data.size"]
    assert train_form.problems({"preset": "none"}).keys() == {""}
    assert train_form.problems({"changes": {"generator.high_level": False}}).keys() == {"generator.high_level"}
    assert train_form.problems({}) == {} == train_form.problems(None)


def test_the_form_offers_every_preset_and_every_field_with_its_meaning() -> None:
    form = train_form.offer()
    assert form["presets"].keys() == PRESETS.keys()
    groups = {name.split(".")[0] for name in form["presets"]["best"]}
    assert set(form["unread"]) == {"panda", *form["rivals"]} and {part for parts in form["unread"].values() for part in parts} <= groups
    assert set(form["rivals"]) == {config.detector for config in PRESETS.values()} - {"panda"}
    names = {field["name"] for field in form["fields"]}
    assert names | {"preset"} == set(form["presets"]["best"]) and all(field["meaning"] for field in form["fields"])


def write_run(desk: TrainDesk, tmp_path: Path, *, steps: int) -> RunDir:
    run = RunDir.create(desk.jobs.place / "0001-parts", preset("tiny"), tmp_path, name="parts")
    run.write_status("running", step=steps, total=steps, stage="train", remaining=3.5)
    run.record({"event": "data", "train": 20, "validation": 4, "anomalous": 0})
    for step in range(1, steps + 1):
        run.record({"event": "step", "step": step, "seconds": 0.1, "warmup.rec": 1 / step})
    return run


def test_a_browser_is_told_only_what_it_does_not_know(desk: TrainDesk, tmp_path: Path) -> None:
    run = write_run(desk, tmp_path, steps=5)
    with run.hold():
        first = desk.look("0001-parts", 0)
        assert first["known"] == 6 and first["news"]["curves"]["warmup.rec"][0] == [1, 2, 3, 4, 5] and first["news"]["data"]["train"] == 20
        assert first["run"]["state"] == "running" and first["run"]["remaining"] == 3.5
        assert "news" not in desk.look("0001-parts", 6), "nothing is new"
        run.record({"event": "step", "step": 6, "seconds": 0.1, "warmup.rec": 0.1})
        assert desk.look("0001-parts", 6)["news"]["curves"] == {"warmup.rec": [[6], [0.1]]}
        assert desk.look("0001-parts", 99)["from"] == 0, "a browser that knows of more than there is begins anew"
    assert desk.look("0001-parts", 7)["run"]["state"] == "interrupted"


def test_the_log_is_sent_only_when_it_has_grown(desk: TrainDesk, tmp_path: Path) -> None:
    run = write_run(desk, tmp_path, steps=1)
    run.log_path.write_text("".join(f"line {number}\n" for number in range(1000)))
    log = desk.look("0001-parts", 2)["log"]
    assert log["text"].splitlines()[-1] == "line 999" and len(log["text"].splitlines()) == 200
    assert "log" not in desk.look("0001-parts", 2, log["size"])
    assert log_tail(tmp_path / "none") == ""


def test_curves_are_thinned_but_keep_their_peaks_and_both_ends() -> None:
    values = [1.0] * 5000
    values[1234], values[3210] = 99.0, -5.0
    steps, kept = thin(list(range(5000)), values)
    assert len(steps) <= MOST_POINTS and steps[0] == 0 and steps[-1] == 4999 and steps == sorted(set(steps))
    assert kept[steps.index(1234)] == 99.0 and kept[steps.index(3210)] == -5.0
    assert thin([1, 2], [0.5, 0.25]) == [[1, 2], [0.5, 0.25]]


def test_a_step_done_again_after_a_kill_takes_the_place_of_the_one_before() -> None:
    events = [{"event": "step", "step": step, "warmup.rec": value} for step, value in ((1, 0.9), (2, 0.8), (3, 0.7), (2, 0.6), (3, 0.5))]
    assert curves(events) == {"warmup.rec": [[1, 2, 3], [0.9, 0.6, 0.5]]}
    looks = [{"event": "validation", "step": step, "recon": 1.0, "critic_x": [0.0, step], "critic_rec": [0.0]} for step in (10, 20, 10)]
    assert [(look["step"], look["x"][-1]) for look in critic(looks)] == [(10, 9.5)]


def test_the_form_of_a_run_makes_the_same_run_again(desk: TrainDesk, tmp_path: Path) -> None:
    for form in (
        {"preset": "tiny", "changes": {"train.seed": 7}, "exclude": ["b" * 64]},
        {"parent": "leaf", "changes": {"train.batch": 8}},
    ):
        run = desk.jobs.find(desk.start(tmp_path, {**form, "name": "Parts"}))
        filled = train_form.refill(run)
        assert filled["folder"] == str(tmp_path) and filled["name"] == "Parts" and filled["note"] == ""
        assert desk.jobs.find(desk.start(tmp_path, filled)).config == run.config and filled["exclude"] == sorted(run.exclude)


def test_pictures_outside_the_run_are_not_published(desk: TrainDesk, tmp_path: Path) -> None:
    run = write_run(desk, tmp_path, steps=1)
    (run.path / "previews").mkdir()
    (run.path / "previews" / "1.jpg").write_bytes(b"picture")
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    for file in ("previews/1.jpg", "../../secret.jpg", str(tmp_path / "secret.jpg"), "previews/none.jpg", 3):
        run.record({"event": "preview", "step": 1, "file": file})
    assert [shown["path"] for shown in desk.look("0001-parts", 0)["news"]["previews"]] == [str(run.path / "previews" / "1.jpg")]


def test_only_a_finished_training_gives_a_model_and_only_once_a_name(desk: TrainDesk, tmp_path: Path, tiny_run: RunDir) -> None:
    run = write_run(desk, tmp_path, steps=1)
    with pytest.raises(TrainingError, match="not finished"):
        desk.accept("0001-parts", "Parts")
    run.model_path.symlink_to(tiny_run.model_path)
    run.write_status("done")
    assert desk.accept("0001-parts", "Parts") == "Parts"
    told = desk.look("0001-parts", 0)["news"]
    assert told["accepted"]["model"] == "Parts" and told["metrics"] == [], "what was measured is told once the run says that it is done"
    run.record({"event": "done", "seconds": 1.0, "boundary": 1.0, "boundary_kind": "tail"})
    assert desk.look("0001-parts", 0)["news"]["metrics"]
    with pytest.raises(ModelError, match="already"):
        desk.accept("0001-parts", "Parts")
    assert desk.accept("0001-parts", "") == "parts 2"


def test_the_check_asks_about_what_does_not_belong_and_heeds_the_answer(tab: TrainTab, images: Path) -> None:
    found = follow(tab, call(tab, "check", tab="a", folder=str(images), form={"preset": "tiny"}))
    (suspect,) = found["survey"]["suspects"]
    assert suspect["path"].endswith("black.png") and Path(suspect["picture"]).is_file()
    again = follow(tab, call(tab, "check", tab="a", folder=str(images), form={"preset": "tiny", "exclude": [suspect["sha256"]]}))
    assert again["survey"]["suspects"] == () and [one["picture"] is not None for one in again["survey"]["excluded"]] == [True]
    assert len(tab.preparations) == 1, "one preparation a browser tab"


def test_a_folder_whose_name_is_no_unicode_does_not_stop_the_page(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run", preset("tiny"), tmp_path / os.fsdecode(b"Pr\xfcfung"))
    assert refill(run)["folder"].encode() and "?" in refill(run)["folder"]


def test_a_check_whose_page_is_hidden_for_a_while_is_found_again(tab: TrainTab, images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("panda_core.ui.work.GRACE", 0.05)
    gate, real = threading.Event(), preparation.survey
    monkeypatch.setattr(preparation, "survey", lambda *given, **options: gate.wait(20) and real(*given, **options))
    begun = call(tab, "check", tab="a", folder=str(images), form={"preset": "tiny"})
    time.sleep(0.4)
    gate.set()
    assert follow(tab, begun)["survey"]["suspects"]


@pytest.mark.parametrize("folder", ["", "/etc", "../..", "a\0b"])
def test_folders_outside_the_roots_are_refused_everywhere(tab: TrainTab, folder: str) -> None:
    for name in ("check", "estimate", "start", "search"):
        answer = call(tab, name, tab="a", folder=folder, form={"preset": "tiny"})
        assert answer.keys() == {"error"} and (
            "given" in answer["error"] or "usable" in answer["error"] or "may be opened" in answer["error"]
        )
    assert call(tab, "look") == {"runs": [], "searches": []}


def test_nonsense_from_a_browser_is_answered_in_words(tab: TrainTab, images: Path) -> None:
    for name in ("changed", "filled", "cancel", "resume", "discard", "restore", "accept"):
        for data in ({"id": "../x"}, {"id": None}, {}):
            assert "training" in call(tab, name, **data)["error"]
    for name in ("cancel_search", "resume_search", "discard_search", "restore_search"):
        for data in ({"id": "../x"}, {"id": None}, {}):
            assert "search" in call(tab, name, **data)["error"]
    assert call(tab, "look", search="../x", known="y") == {"runs": [], "searches": []}
    assert call(tab, "grid", form={"grid": [3, {"field": ["a"]}]})["problems"]
    assert call(tab, "prepared", id="x")["gone"] and call(tab, "stop", id=3) == {}
    assert "error" in call(tab, "start", folder=str(images), form={"preset": "tiny", "changes": {"data.size": "big"}})
    assert "error" in call(tab, "keep", files=["/etc/passwd"]) and "error" in call(tab, "keep", files="x")


def test_an_estimate_is_asked_for_with_the_options_of_the_form(images: Path) -> None:
    assert estimate_arguments(images, {"preset": "tiny", "changes": {"data.augment": "none", "train.seed": 3}}) == [
        *(str(images), "--preset", "tiny"),
        *("--set", 'data.augment="none"', "--set", "train.seed=3"),
    ]
    assert estimate_arguments(images, {"parent": "leaf"})[1] == "--from"


@pytest.mark.slow
def test_a_cancelled_estimate_ends_at_once(tab: TrainTab, images: Path) -> None:
    begun = call(tab, "estimate", tab="a", folder=str(images), form={"preset": "tiny"})
    call(tab, "stop", id=begun["id"])
    started = time.monotonic()
    assert follow(tab, call(tab, "prepared", id=begun["id"]))["state"] == "stopped" and time.monotonic() - started < 5


def upload(name: str, write: Callable[[Path], None]) -> Path:
    place = Path(get_upload_folder()) / "train-test" / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    write(place)
    return place


def test_uploaded_images_and_zips_become_folders_of_ones_own(images: Path) -> None:
    pictures = [upload(path.name, lambda place, path=path: place.write_bytes(path.read_bytes())) for path in list(images.iterdir())[:3]]  # type: ignore[misc]
    first = keep_uploads(list(map(str, pictures)))
    assert sorted(path.name for path in first.iterdir()) == sorted(path.name for path in pictures)

    def pack(place: Path) -> None:
        with zipfile.ZipFile(place, "w") as archive:
            for path in images.iterdir():
                archive.write(path, f"set/train/good/{path.name}")

    second = keep_uploads([str(upload("set.zip", pack))])
    assert [path.name for path in second.iterdir()] == ["train"] and len(list((second / "train" / "good").iterdir())) == 25
    assert first != second and not [path for path in first.parent.iterdir() if path.name.startswith(".")]
    with pytest.raises(FolderError, match="Nothing was uploaded"):
        keep_uploads([])


def test_several_zips_lose_no_image_and_mix_no_anomalies_in(images: Path) -> None:
    def packed(name: str, folder: str) -> str:
        def pack(place: Path) -> None:
            with zipfile.ZipFile(place, "w") as archive:
                for number, path in enumerate(sorted(images.iterdir())[:4]):
                    archive.write(path, f"{folder}/{number:03}.png")

        return str(upload(name, pack))

    days = [packed(f"day{number}.zip", "normal") for number in (1, 2, 3)]
    assert len(list(keep_uploads(days).iterdir())) == 12
    before = set((home() / "datasets").iterdir())
    with pytest.raises(FolderError, match=r"bad\.zip has a folder “anomalous”.*alone"):
        keep_uploads([*days, packed("bad.zip", "set/anomalous")])
    assert set((home() / "datasets").iterdir()) == before
