"""``panda models`` and ``panda jobs``: a person keeps order among models and trainings without the page."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from command_line import Captured, call, call_json

from panda_core import jobs as jobs_module
from panda_core import own_models
from panda_core.card import list_models, read_card
from panda_core.jobs import Jobs
from panda_core.presets import preset
from panda_core.runs import RunDir


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("PANDA_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(jobs_module, "launch", lambda arguments, log: None)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
def kept(tiny_model: Path) -> Path:
    return own_models.add_model(tiny_model, "parts")


@pytest.fixture
def training(tmp_path: Path) -> RunDir:
    return Jobs().start(tmp_path, preset("tiny"), name="Bolts")


def own() -> set[str]:
    return {folder.name for folder in list_models() if own_models.is_own(folder)}


def test_models_are_renamed_copied_deleted_and_brought_back(capsys: Captured, kept: Path) -> None:
    assert call_json(capsys, "models", "rename", "parts", "bolts")["name"] == "bolts"
    assert Path(call_json(capsys, "models", "copy", "bolts", "nuts")["path"]).is_dir() and own() == {"bolts", "nuts"}
    code, out, err = call(capsys, "models", "delete", "bolts")
    assert code == 0 and not out and "panda models restore" in err and own() == {"nuts"}
    (deleted,) = call_json(capsys, "models", "restore")
    assert deleted["name"] == "bolts" and deleted["token"] in err
    assert call_json(capsys, "models", "restore", "bolts")["name"] == "bolts" and own() == {"bolts", "nuts"}
    token = call_json(capsys, "models", "delete", "nuts")["token"]
    assert call(capsys, "models", "restore", token)[0] == 0 and own() == {"bolts", "nuts"}
    assert "No deleted model" in call(capsys, "models", "restore")[1]


def test_of_two_deleted_models_of_one_name_the_last_comes_back(capsys: Captured, kept: Path, tiny_model: Path) -> None:
    first = own_models.delete_model("parts")
    earlier = own_models.home() / "trash" / first
    own_models.add_model(tiny_model, "parts")
    second = own_models.delete_model("parts")
    os.utime(earlier, (earlier.stat().st_mtime - 3600,) * 2)
    assert [one.token for one in own_models.deleted_models()] == [second, first]
    call(capsys, "models", "restore", "parts")
    assert [one.token for one in own_models.deleted_models()] == [first]


def test_a_model_travels_as_a_file_that_replaces_nothing(capsys: Captured, kept: Path, tmp_path: Path) -> None:
    assert call_json(capsys, "models", "export", "parts")["path"] == str(tmp_path / "parts.zip")
    before = (tmp_path / "parts.zip").read_bytes()
    code, _, err = call(capsys, "models", "export", "parts")
    assert code == 2 and "exists" in err and (tmp_path / "parts.zip").read_bytes() == before
    assert call_json(capsys, "models", "import", "parts.zip")["name"] == "parts 2"
    assert read_card(Path(call_json(capsys, "models", "import", "parts.zip", "--name", "theirs")["path"])).title == "theirs"
    (tmp_path / "text.zip").write_text("text")
    for wrong in ("text.zip", "absent.zip"):
        code, out, err = call(capsys, "models", "import", wrong)
        assert code == 2 and wrong in err and not out and ("is not there" in err) == (wrong == "absent.zip")


def test_the_default_model_is_said_and_set(capsys: Captured, kept: Path) -> None:
    assert call_json(capsys, "models", "default") == {"default": None}
    assert "None was chosen" in call(capsys, "models", "default")[1]
    assert call_json(capsys, "models", "default", "parts") == {"default": "parts"} == call_json(capsys, "models", "default")


def test_what_came_with_the_program_stays_and_what_is_not_there_is_named(capsys: Captured, kept: Path) -> None:
    for change in (["rename", "leaf", "mine"], ["delete", "leaf"]):
        code, _, err = call(capsys, "models", *change)
        assert code == 2 and "copy is yours" in err
    for wrong in (["delete", "nothing"], ["default", "nothing"], ["restore", "nothing"], ["export", "nothing"], ["copy", "parts", "parts"]):
        code, out, err = call(capsys, "models", *wrong)
        assert code == 2 and err.startswith("Error: ") and not out
    assert own() == {"parts"}


def test_listing_is_what_both_groups_do_by_themselves(capsys: Captured, kept: Path, training: RunDir) -> None:
    for group in ("models", "jobs"):
        assert call_json(capsys, group) == call_json(capsys, group, "list")
        assert call(capsys, group)[1] == call(capsys, group, "list")[1]
    assert "parts" in [row["name"] for row in call_json(capsys, "models")]


def test_an_empty_list_says_what_really_leads_into_it(
    capsys: Captured, tiny_run: RunDir, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("panda_core.card.SHIPPED", tmp_path / "none")
    said = " ".join(call(capsys, "models")[1].split())
    assert "panda models copy runs/first/model NAME" in said
    call(capsys, "models", "copy", tiny_run.model_path, "first")
    assert [row["name"] for row in call_json(capsys, "models")] == ["first"]
    said = " ".join(call(capsys, "jobs")[1].split())
    assert "panda sweep" in said and "panda train --run RUN trains is not listed" in said


def test_trainings_are_listed_with_how_far_they_are(capsys: Captured, training: RunDir, tmp_path: Path) -> None:
    damaged = Jobs().start(tmp_path, preset("tiny"), name="broken")
    (damaged.path / "config.json").write_text("{")
    with training.hold():
        training.write_status("running", step=3, total=10, stage="train", remaining=95.0)
        first, second = call_json(capsys, "jobs")
        assert (first["id"], first["state"]) == ("0002-broken", "damaged")
        assert (second["id"], second["state"], second["step"], second["remaining"]) == ("0001-bolts", "running", 3, 95.0)
        shown = call(capsys, "jobs")[1]
        assert "3 of 10" in shown and "2 min" in shown


def test_one_training_is_shown_with_its_last_losses_and_warnings(capsys: Captured, training: RunDir) -> None:
    for step in (1, 2):
        training.record({"event": "step", "step": step, "seconds": 0.1, "warmup.rec": 1 / step})
    training.record({"event": "warning", "message": "The critic is certain."})
    training.record({"event": "resources", "cpu": 97.0, "memory": 5, "memory_total": 9, "gpu": None})
    found = call_json(capsys, "jobs", "show", 1)
    assert found["losses"] == {"warmup.rec": 0.5} and found["warnings"] == ["The critic is certain."] and found["load"]["cpu"] == 97.0
    assert found == call_json(capsys, "jobs", "show", "0001-bolts")
    assert "The critic is certain." in call(capsys, "jobs", "show", 1)[1]


def test_a_training_is_stopped_resumed_discarded_and_restored(capsys: Captured, training: RunDir) -> None:
    working = threading.Event()

    def work() -> None:
        with training.hold():
            training.write_status("running", step=1, total=9)
            working.set()
            while not training.cancelled():
                time.sleep(0.01)
            training.write_status("stopped", detail="Stopped.")

    thread = threading.Thread(target=work)
    thread.start()
    working.wait(10)
    code, _, err = call(capsys, "jobs", "discard", 1)
    assert code == 2 and "at work" in err
    assert call_json(capsys, "jobs", "stop", 1)["state"] == "stopped"
    thread.join()
    assert call_json(capsys, "jobs", "resume", 1)["state"] == "created"
    training.write_status("failed")
    assert call_json(capsys, "jobs", "discard", 1) == {"discarded": "0001-bolts"}
    assert call_json(capsys, "jobs") == [] and call_json(capsys, "jobs", "restore") == ["0001-bolts"]
    assert call_json(capsys, "jobs", "restore", 1)["id"] == "0001-bolts"
    assert "Nothing that was discarded" in call(capsys, "jobs", "restore")[1]


def test_stopping_waits_for_an_end_and_then_says_how_things_stand(
    capsys: Captured, training: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_module, "PATIENCE", 0.3)
    assert call_json(capsys, "jobs", "stop", 1)["state"] == "created" and training.cancelled(), "it has not begun, and will see the request"


def test_stopping_stays_until_a_deaf_training_of_slow_steps_is_killed(
    capsys: Captured, training: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    working, killed = threading.Event(), threading.Event()

    def work() -> None:
        with training.hold():
            training.write_status("running", step=1, total=9)
            working.set()
            killed.wait(60)

    monkeypatch.setattr(jobs_module, "_kill", lambda process: killed.set())
    training.record({"event": "step", "step": 1, "seconds": 2.5})  # the killer waits 4 + 2 * 2.5 seconds
    thread = threading.Thread(target=work)
    thread.start()
    working.wait(10)
    found = call_json(capsys, "jobs", "stop", 1)
    ended = killed.is_set()
    killed.set()
    thread.join()
    assert ended and found["state"] == "stopped"


@pytest.mark.parametrize("command", ["show", "stop", "resume", "discard", "restore"])
def test_a_training_that_is_not_there_is_named(capsys: Captured, training: RunDir, command: str) -> None:
    for wrong in ("9", "../0001-bolts", "nothing"):
        code, out, err = call(capsys, "jobs", command, wrong)
        assert code == 2 and wrong in err and not out


@pytest.mark.parametrize("command", ["models rename", "models copy", "models delete", "models restore", "models export", "models import"])
def test_every_sub_command_teaches_by_an_example(capsys: Captured, command: str) -> None:
    code, out, _ = call(capsys, *command.split(), "--help")
    assert code == 0 and f"Example:  panda {command}" in out


def test_the_list_says_how_sure_each_area_is(capsys: Captured) -> None:
    (leaf,) = (model for model in call_json(capsys, "models") if model["name"] == "leaf")
    out = " ".join(call(capsys, "models")[1].replace("│", " ").split())
    low, high = leaf["metrics"][0]["auroc_ci"]
    assert "95 %" in out and f"({low:.2f}–{high:.2f})" in out
