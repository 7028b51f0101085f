"""The grid of a search as the page sends it: checked row by row, counted, timed, started, told of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from panda_core import searches as searches_module
from panda_core.errors import ConfigError
from panda_core.presets import preset
from panda_core.searches import Searches
from panda_core.sweep import Trial
from panda_core.ui.search_desk import SearchDesk
from panda_core.ui.search_form import look_at_grid, read_grid, whole_time


def form(*rows: tuple[str, str], **more: Any) -> dict[str, Any]:
    return {"preset": "tiny", "grid": [{"field": name, "values": values} for name, values in rows], **more}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SearchDesk:
    monkeypatch.setattr(searches_module, "launch", lambda arguments, log: None)
    return SearchDesk(Searches(tmp_path / "searches"))


def test_rows_become_a_grid_of_typed_values() -> None:
    asked = form(("train.seed", "0, 1"), ("data.augment", "none,flip"), ("percept.enabled", "true,false"), ("", "9"))
    assert read_grid(asked) == {"train.seed": [0, 1], "data.augment": ["none", "flip"], "percept.enabled": [True, False]}
    assert look_at_grid(asked) == {"problems": {}, "count": 8}
    assert read_grid(form()) == {} == read_grid(None) == read_grid({"grid": "x"})


@pytest.mark.parametrize(
    ("rows", "field", "words"),
    [
        ([("train.seed", "")], "train.seed", "separated by commas"),
        ([("train.seed", "0, big")], "train.seed", "train.seed"),
        ([("train.seed", "1, 1")], "train.seed", "twice"),
        ([("data.size", "32, 33")], "data.size", "multiple of 32"),
        ([("train.sede", "1")], "train.sede", "train.seed"),
        ([("train.seed", "0"), ("train.seed", "1")], "train.seed", "two rows"),
        ([("train.seed", ",".join(map(str, range(65))))], "", "at most 64"),
        ([(name, "4") for name in ("train.seed", "train.batch", "train.warmup_steps", "train.adversarial_steps")], "", "At most 3"),
    ],
)
def test_what_is_wrong_is_said_at_its_row(rows: list[tuple[str, str]], field: str, words: str) -> None:
    found = look_at_grid(form(*rows))
    assert found["count"] == 0 and words in found["problems"][field]


def test_a_wrong_form_is_told_without_a_row() -> None:
    assert look_at_grid(form(("train.seed", "0"), preset="nothing"))["problems"].keys() == {""}


def test_the_time_of_all_trainings_follows_steps_pixels_and_batch() -> None:
    base = preset("tiny").train
    steps = base.warmup_steps * 1.0 + base.adversarial_steps * 3.0
    one = {"seconds": steps + 10.0, "warmup_step": 1.0, "game_step": 3.0}
    assert whole_time(one, form(("train.seed", "0,1,2"))) == pytest.approx(3 * (steps + 10))
    assert whole_time(one, form(("train.warmup_steps", f"0,{base.warmup_steps}"))) == pytest.approx(2 * (steps + 10) - base.warmup_steps)
    assert whole_time(one, form(("data.size", "64"))) == pytest.approx(4 * (steps + 10))
    assert whole_time(one, form(("train.batch", str(2 * base.batch)))) == pytest.approx(2 * steps + 10)


def test_a_search_is_started_as_the_form_says_and_told_once(desk: SearchDesk, tmp_path: Path) -> None:
    asked = form(("train.seed", "0,1"), changes={"data.size": 64}, name="Bolts", exclude=["a" * 64, "no"], low_priority=False)
    id = desk.start(tmp_path, asked)
    sweep = desk.searches.find(id)
    assert (sweep.base, sweep.grid, sweep.title) == (preset("tiny").override(**{"data.size": 64}), {"train.seed": (0, 1)}, "Bolts")
    assert sweep.exclude == {"a" * 64} and not sweep.low_priority

    (summary,) = desk.list()
    assert (summary["name"], summary["state"], summary["step"], summary["total"], summary["runs"]) == ("Bolts", "created", 0, 2, [])
    told = desk.look(id, 0)
    assert json.loads(json.dumps(told)) == told and told["best"] is None and told["stamp"] < 2**53
    assert desk.look(id, told["stamp"]) == {}, "nothing is new"
    trials = (Trial(0, {"train.seed": 0}, "done", "0001-x", 0.9, 1.5), Trial(1, {"train.seed": 1}, "failed", "0002-x", detail="No."))
    sweep.write_status("done", trials)
    again = desk.look(id, told["stamp"])
    assert again["best"] == 0 and [trial["detail"] for trial in again["trials"]] == ["", "No."]
    assert desk.list()[0]["runs"] == ["0001-x", "0002-x"] and desk.list()[0]["step"] == 2
    with pytest.raises(ConfigError, match="field to vary"):
        desk.start(tmp_path, form())


def test_a_damaged_search_is_listed_with_what_is_wrong(desk: SearchDesk, tmp_path: Path) -> None:
    id = desk.start(tmp_path, form(("train.seed", "0,1")))
    (desk.searches.find(id).path / "status.json").write_text("{")
    (summary,) = desk.list()
    assert summary["state"] == "damaged" and "damaged" in summary["detail"]
