"""What the History tab answers to its page, and to a stranger who writes requests by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from engine_double import LEAF, FakeEngine, draw_spot

from panda_core.errors import CalibrationError, ModelError, PandaError
from panda_core.history import History, HistoryError, Query, Seen, Settings
from panda_core.scoring.decision import decide
from panda_core.ui.history_desk import PAGE, THUMBNAILS, HistoryDesk, read_query


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    with History(tmp_path / "home" / "history.sqlite") as made:
        yield made


@pytest.fixture
def desk(history: History, tmp_path: Path) -> HistoryDesk:
    return HistoryDesk(history, roots=[tmp_path / "data"], on_calibrate=lambda *given: repr(given))


def add(history: History, folder: Path, *strengths: int) -> list[int]:
    ids = []
    for number, strength in enumerate(strengths):
        path = draw_spot(folder / f"{number}.png", strength=strength)
        inspection = FakeEngine(LEAF).inspect("leaf", path)
        ids.append(history.add(inspection, decide(inspection), path=path))
    return ids


def test_a_search_answers_with_rows_that_can_be_sent(desk: HistoryDesk, history: History, tmp_path: Path) -> None:
    ids = add(history, tmp_path, 0, 200)
    history.mark(ids[1], "normal", who="Ada", note="lamp")
    answer = json.loads(json.dumps(desk.answer({"verb": "search", "order": "oldest"})))
    assert (answer["total"], answer["offset"], answer["models"]) == (2, 0, ["leaf"])
    row, entry = answer["rows"][1], history.get(ids[1])
    assert (row["id"], row["name"], row["verdict"], row["mark"], row["who"], row["note"]) == (
        ids[1],
        "1.png",
        "anomalous",
        "normal",
        "Ada",
        "lamp",
    )
    assert row["thumbnail"] == f"{THUMBNAILS}/{entry.sha256}.jpg" and row["time"] == entry.created.timestamp() * 1000
    assert "path" not in row, "the page has no need to know where files lie"


def test_a_long_history_comes_in_parts(desk: HistoryDesk, history: History, tmp_path: Path) -> None:
    inspection = FakeEngine(LEAF).inspect("leaf", draw_spot(tmp_path / "a.png"))
    history.add_many((Seen(inspection, decide(inspection), tmp_path / "a.png") for _ in range(PAGE + 5)), source="batch")
    first, second = desk.answer({"verb": "search"}), desk.answer({"verb": "search", "offset": PAGE})
    assert (len(first["rows"]), len(second["rows"])) == (PAGE, 5)
    assert len({row["id"] for row in first["rows"] + second["rows"]}) == PAGE + 5


def test_marking_deleting_and_restoring_answer_with_what_changed(desk: HistoryDesk, history: History, tmp_path: Path) -> None:
    ids = add(history, tmp_path, 0, 200)
    assert desk.answer({"verb": "mark", "ids": ids[:1], "mark": "anomalous"}, who="Bo")["rows"][0]["who"] == "Bo"
    assert desk.answer({"verb": "mark", "ids": ids[:1], "mark": None})["rows"][0]["mark"] is None
    assert desk.answer({"verb": "delete", "ids": ids[:1]}) == {"ids": ids[:1]}
    assert "no entry" in desk.answer({"verb": "mark", "ids": ids[:1], "mark": "normal"})["problem"]
    assert desk.answer({"verb": "delete_found", "verdict": "anomalous"}) == {"ids": ids[1:]}
    assert desk.answer({"verb": "restore", "ids": ids}) == {"count": 2}


@pytest.mark.parametrize(
    "request_",
    [
        None,
        [],
        {"verb": "purge"},
        {"verb": "__init__"},
        {"verb": "mark", "ids": [1], "mark": "deleted"},
        {"verb": "mark", "ids": [10**30, "1", True, None, 1.5], "mark": 3},
        {"verb": "mark", "ids": [99], "mark": "normal"},
    ],
)
def test_a_forged_request_is_answered_with_a_problem(desk: HistoryDesk, history: History, tmp_path: Path, request_: Any) -> None:
    number = add(history, tmp_path, 0)[0]
    assert set(desk.answer(request_)) == {"problem"}
    assert history.marks(number) == []


@pytest.mark.parametrize("value", [None, [], {}, True, -1, 10**40, float("nan"), float("inf"), "x", "'; --", "\ud800", 1e300])
def test_whatever_stands_in_a_query_it_is_answered(desk: HistoryDesk, history: History, tmp_path: Path, value: Any) -> None:
    add(history, tmp_path, 0)
    for field in ("text", "model", "verdict", "mark", "since", "until", "low", "high", "order", "offset"):
        assert "rows" in desk.answer({"verb": "search", field: value}), field
    assert "count" in desk.answer({"verb": "restore", "ids": value})


def test_a_query_reads_the_times_of_a_browser() -> None:
    query = read_query({"since": 1_700_000_000_000, "until": "tomorrow", "order": "highest", "verdict": "normal", "text": "a" * 999})
    assert query == Query(text="a" * 200, since=datetime.fromtimestamp(1_700_000_000, UTC), order="highest", verdict="normal")


def test_an_entry_opens_with_its_neighbours_whose_files_are_left(desk: HistoryDesk, history: History, tmp_path: Path) -> None:
    ids = add(history, tmp_path, 0, 60, 200)
    lost = history.get(ids[1])
    assert lost.path is not None and lost.kept is not None
    lost.path.unlink()
    lost.kept.unlink()
    opened = desk.open(ids[2], [ids[2], ids[1], ids[0]])
    assert ([entry.id for entry in opened.entries], opened.index) == ([ids[2], ids[0]], 0)
    assert opened.paths[0].read_bytes() == (tmp_path / "2.png").read_bytes()
    alone = desk.open(ids[0], "not a list")
    assert (len(alone.paths), alone.index) == (1, 0)
    with pytest.raises(HistoryError, match=r"1\.png is gone"):
        desk.open(ids[1], ids)
    for forged in (str(tmp_path / "0.png"), None, True, -1, 10**30):
        with pytest.raises(HistoryError):
            desk.open(forged, ids)


def test_marks_are_summed_up_and_handed_to_the_calibration(desk: HistoryDesk, history: History, tmp_path: Path) -> None:
    ids = add(history, tmp_path, 0, 200)
    assert "Nothing is marked for “leaf”" in desk.summary("leaf")
    history.mark(ids, "normal")
    assert desk.summary("leaf") == "Marked for “leaf”: 2 normal, 0 anomalous. Among them 1 false alarm and 0 misses."
    assert desk.calibrate("leaf", " autumn ") == repr(("leaf", history.marked("leaf", "normal"), [], "autumn"))
    with pytest.raises(ModelError, match="The model needs a name"):
        desk.calibrate("leaf", " ")
    for name in ("../up", "a/b", ".hidden", "x" * 61, "a\nb"):
        with pytest.raises(ModelError, match="is no usable name"):
            desk.calibrate("leaf", name)
    with pytest.raises(HistoryError, match="Choose a model"):
        desk.calibrate(None, "autumn")


def test_marks_that_were_chosen_for_being_false_alarms_are_no_fair_sample(desk: HistoryDesk, history: History, tmp_path: Path) -> None:
    history.mark(add(history, tmp_path, 200, 201, 202), "normal")
    assert "fair sample" in desk.summary("leaf") and "fair sample" in desk.calibrate("leaf", "autumn")
    history.mark(add(history, tmp_path, *range(10, 19)), "normal")
    assert "12 normal, 0 anomalous. Among them 3 false alarms" in desk.summary("leaf")
    assert "fair sample" not in desk.summary("leaf") + desk.calibrate("leaf", "winter")


def test_a_calibrated_copy_cannot_hide_behind_a_model_of_the_list(
    desk: HistoryDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shipped" / "leaf").mkdir(parents=True)
    (tmp_path / "shipped" / "leaf" / "card.json").touch()
    monkeypatch.setattr("panda_core.card.model_places", lambda: [tmp_path / "shipped"])
    for name in ("leaf", " Leaf "):
        with pytest.raises(ModelError, match=r"There is a model “[^”]+” already"):
            desk.calibrate("leaf", name)


@pytest.mark.parametrize("fails", [True, False])
def test_a_calibration_says_how_many_marked_images_are_gone(history: History, tmp_path: Path, fails: bool) -> None:
    def calibrate(model: str, normal: list[Path], anomalous: list[Path], name: str) -> str:
        if fails:
            raise CalibrationError("Too few.")
        return f"{len(normal)} and {len(anomalous)}."

    ids = add(history, tmp_path, 0, 60, 200)
    history.mark(ids[:2], "normal")
    history.mark(ids[2], "anomalous")
    for number in ids[1:]:
        entry = history.get(number)
        assert entry.path is not None and entry.kept is not None
        entry.kept.unlink()
        draw_spot(entry.path, strength=100)
    desk = HistoryDesk(history, on_calibrate=calibrate)
    said = "2 are marked normal and 1 anomalous; of these, 1 and 1 are left out: their files are gone, changed or unreadable, and no copy"
    if fails:
        with pytest.raises(CalibrationError, match=f"Too few. {said}"):
            desk.calibrate("leaf", "autumn")
    else:
        assert desk.calibrate("leaf", "autumn").startswith(f"1 and 0. {said}")


def test_it_is_said_where_marks_of_uploads_will_be_worth_nothing(desk: HistoryDesk, history: History, tmp_path: Path) -> None:
    history.mark(add(history, tmp_path, 0), "normal")
    assert "copies" not in desk.summary("leaf")
    history.save_settings(Settings(keep_copies=False))
    assert "No copies are kept: marked uploads" in desk.summary("leaf")


def test_what_lies_where_a_false_alarm_was_seen_does_not_go_to_the_training(desk: HistoryDesk, history: History, tmp_path: Path) -> None:
    place = tmp_path / "data" / "good"
    place.mkdir(parents=True)
    ids = add(history, tmp_path, 200, 210)
    history.mark(ids, "normal")
    overwritten = history.get(ids[1])
    assert overwritten.path is not None and overwritten.kept is not None
    overwritten.kept.unlink()
    defective = draw_spot(overwritten.path, strength=230).read_bytes()
    said = desk.add_false_alarms("leaf", str(place))
    assert said.startswith("1 image added") and "1 left out: their files are gone, changed" in said
    assert [path.read_bytes() for path in place.iterdir()] == [(tmp_path / "0.png").read_bytes()] != [defective]


def test_false_alarms_go_only_into_folders_the_program_may_write_to(desk: HistoryDesk, history: History, tmp_path: Path) -> None:
    place = tmp_path / "data" / "good"
    place.mkdir(parents=True)
    ids = add(history, tmp_path, 0, 200)
    with pytest.raises(HistoryError, match="no false alarms"):
        desk.add_false_alarms("leaf", str(place))
    history.mark(ids, "normal")
    (tmp_path / "data" / "link").symlink_to(tmp_path)
    for outside in (str(tmp_path), str(place / ".." / ".." / "home"), str(tmp_path / "data" / "link"), "", "/"):
        with pytest.raises(PandaError, match=r"not in a folder this program may write to|Name the folder"):
            desk.add_false_alarms("leaf", outside)
    assert desk.add_false_alarms("leaf", str(place)).startswith("1 image added")
    assert "0 images added" in (again := desk.add_false_alarms("leaf", str(place))) and "1 were there already" in again
    assert len(list(place.iterdir())) == 1


def test_settings_say_what_they_did(desk: HistoryDesk, history: History, tmp_path: Path) -> None:
    add(history, tmp_path, 0)
    assert desk.outdated(1) == 0 and desk.outdated(None) == 0
    assert desk.save_settings(30, False) == "Saved. Entries are kept for 30 days."
    assert (history.settings().retention_days, history.settings().keep_copies) == (30, False)
