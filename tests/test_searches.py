"""Grid searches as processes of their own: started, found by anyone, stopped, resumed, thrown away and brought back."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from panda_core import searches as searches_module
from panda_core.errors import ConfigError, FolderError, TrainingError
from panda_core.presets import preset
from panda_core.run_status import LAUNCH_GRACE
from panda_core.searches import Searches
from panda_core.sweep import Sweep

GRID = {"train.seed": [0, 1]}


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """No process is started; what would be is kept."""
    found: list[list[str]] = []
    monkeypatch.setattr(searches_module, "launch", lambda arguments, log: found.append(list(arguments)))
    return found


@pytest.fixture
def searches(tmp_path: Path) -> Searches:
    return Searches(tmp_path / "searches")


def start(searches: Searches, tmp_path: Path, name: str = "Äpfel") -> Sweep:
    return searches.start(tmp_path, preset("tiny"), GRID, name=name, exclude=["ab"], low_priority=False)


def test_a_search_is_a_numbered_folder_and_the_command_a_person_would_type(
    searches: Searches, launched: list[list[str]], tmp_path: Path
) -> None:
    sweep = start(searches, tmp_path)
    assert launched == [["sweep", "--out", str(sweep.path), "--resume"]]
    found = Searches(searches.shelf.place).find("0001-pfel")
    assert (found.title, found.exclude, found.low_priority, found.status().state) == ("Äpfel", {"ab"}, False, "created")
    assert [trial.state for trial in found.status().trials] == ["waiting", "waiting"]
    assert [one.name for one in searches.list()] == ["0001-pfel"]


def test_a_grid_that_cannot_be_trained_leaves_no_folder(searches: Searches, launched: list[list[str]], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="multiple of 32"):
        searches.start(tmp_path, preset("tiny"), {"data.size": [33]}, name="a")
    with pytest.raises(FolderError, match="not a folder"):
        searches.start(tmp_path / "absent", preset("tiny"), {"data.size": [32]}, name="a")
    assert not searches.shelf.place.exists() and launched == []


def test_who_looks_on_sees_whether_somebody_leads(
    searches: Searches, launched: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = start(searches, tmp_path)
    with sweep.hold():
        sweep.write_status("running")
        assert searches.find(sweep.name).status().state == "running"
        for act in (searches.resume, searches.discard):
            with pytest.raises(TrainingError, match="at work"):
                act(sweep.name)
        searches.cancel(sweep.name)
        assert sweep.cancelled()
    assert not sweep.cancelled(), "who lets go has met the request"
    assert sweep.status().state == "interrupted" and "Resume" in sweep.status().detail
    searches.resume(sweep.name)
    assert sweep.status().state == "created" and len(launched) == 2
    later = time.time() + LAUNCH_GRACE + 1
    monkeypatch.setattr(time, "time", lambda: later)
    assert sweep.status().state == "interrupted" and "never began" in sweep.status().detail


def test_what_is_done_is_not_resumed_and_what_is_discarded_comes_back(
    searches: Searches, launched: list[list[str]], tmp_path: Path
) -> None:
    sweep = start(searches, tmp_path, "a")
    sweep.write_status("done")
    with pytest.raises(TrainingError, match="nothing to go on with"):
        searches.resume(sweep.name)
    searches.discard(sweep.name)
    assert searches.list() == ()
    assert start(searches, tmp_path, "b").name == "0002-b", "the number stays taken for the undo"
    assert searches.restore("0001-a").path == sweep.path
    for nothing in ("0001-a", "../x", "", "0009-z"):
        with pytest.raises(TrainingError, match="discarded"):
            searches.restore(nothing)
    with pytest.raises(TrainingError, match="no search"):
        searches.find("../b")


def test_a_search_that_cannot_be_started_says_so(searches: Searches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(arguments: list[str], log: Path) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(searches_module, "launch", refuse)
    with pytest.raises(TrainingError, match="Cannot allocate memory"):
        start(searches, tmp_path)
    (sweep,) = searches.list()
    assert sweep.status().state == "failed"


def test_a_damaged_search_does_not_hide_the_others(searches: Searches, launched: list[list[str]], tmp_path: Path) -> None:
    first, second = start(searches, tmp_path, "a"), start(searches, tmp_path, "b")
    (second.path / "sweep.json").write_text("{")
    assert [sweep.path for sweep in searches.list()] == [first.path]
    searches.discard(second.path.name)
    assert not second.path.exists()
    with pytest.raises(TrainingError, match="no training or search"):
        searches.discard(second.path.name)
    (first.path / "status.json").write_text('{"state": "running"}')
    with pytest.raises(TrainingError, match="cannot be understood"):
        first.status()
