"""The card: strict, torch-free, and how models are found by name."""

from __future__ import annotations

import errno
import json
import os
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from panda_core import card as card_module
from panda_core import card_changes
from panda_core.__main__ import run
from panda_core.card import (
    CARD_FILE,
    FORMAT,
    Card,
    DataCard,
    Metric,
    find_listed,
    find_model,
    known_as,
    list_models,
    read_card,
)
from panda_core.card_changes import save_metric, save_operating_point
from panda_core.errors import ConfigError, ModelError
from panda_core.inspection import OperatingPoint
from panda_core.places import home
from panda_core.presets import preset

CARD = Card(
    name="leaf",
    title="Leaves",
    created="2026-01-01T00:00:00+00:00",
    config=preset("best"),
    data=DataCard(description="leaves", licence="CC0", sources=("a", "b"), train=80, validation=20),
    versions={"torch": "2.9"},
    metrics=(Metric(data="test", auroc=0.9, auroc_ci=(0.8, 0.95), normal=10, anomalous=12, trivial_auroc=0.6),),
    limits=("Only leaves.",),
)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place in which models are looked for."""
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv("PANDA_MODELS", str(folder))
    monkeypatch.setattr(card_module, "SHIPPED", tmp_path / "none")
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    monkeypatch.setenv("PANDA_HOME", str(tmp_path / "home"))
    return folder


def write_card(folder: Path, content: str | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CARD_FILE).write_text(json.dumps(CARD.to_dict()) if content is None else content)
    return folder


def test_a_card_survives_json() -> None:
    assert Card.from_dict(json.loads(json.dumps(CARD.to_dict()))) == CARD


@pytest.mark.parametrize("version", [FORMAT + 1, 0, None, "1", 1.0, True])
def test_another_format_names_both_versions(version: object) -> None:
    with pytest.raises(ModelError, match=f"this version reads {FORMAT}"):
        Card.from_dict({**CARD.to_dict(), "format": version})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("name",), 5),
        (("title",), None),
        (("created",), 5),
        (("sha256",), []),
        (("versions",), "torch"),
        (("versions", "torch"), 2),
        (("limits",), "one sentence"),
        (("limits", 0), 3),
        (("calibration",), []),
        (("data",), "leaves"),
        (("data", "train"), "many"),
        (("data", "sources"), "one"),
        (("data", "licence"), {}),
        (("data", "surprise"), 1),
        (("metrics",), {"data": "test"}),
        (("metrics", 0, "auroc"), "good"),
        (("metrics", 0, "auroc"), float("nan")),
        (("metrics", 0, "auroc_ci"), [0.1]),
        (("metrics", 0, "normal"), 1.5),
        (("metrics", 0, "trivial_auroc"), "bad"),
        (("config", "data", "size"), 33),
        (("config", "train", "clip"), 10**400),
        (("metrics", 0, "auroc"), 10**400),
        (("config", "surprise"), 1),
        (("surprise",), 1),
    ],
    ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else repr(value)[:20],
)
def test_a_misshapen_field_is_refused(path: tuple[str | int, ...], value: object) -> None:
    values: Any = CARD.to_dict()
    inner = values
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(ModelError, match="does not fit"):
        Card.from_dict(values)


@pytest.mark.parametrize("field", ["name", "config", "data", "metrics", "limits", "versions"])
def test_a_missing_field_is_refused_by_name(field: str) -> None:
    values = CARD.to_dict()
    del values[field]
    with pytest.raises(ModelError, match=field):
        Card.from_dict(values)


def test_an_unknown_field_is_named_in_plain_words() -> None:
    for values, words in (
        ({**CARD.to_dict(), "titel": "x"}, r"no field 'titel'\. Did you mean 'title'\?"),
        ({**CARD.to_dict(), "data": {**CARD.to_dict()["data"], "trains": 1}}, r"data: no field 'trains'"),
        ({**CARD.to_dict(), "data": 3}, "is not of the kind"),
    ):
        with pytest.raises(ModelError, match=words) as caught:
            Card.from_dict(values)
        assert not [raw for raw in ("__init__", "unexpected", "object", "NoneType") if raw in str(caught.value)]


@pytest.mark.parametrize(
    "content",
    ["", "not json", "[]", "[" * 200_000, '{"format": 1', '"\ud800"'.encode("utf-8", "surrogatepass").decode("latin-1"), "\0" * 50],
    ids=["empty", "prose", "a-list", "nested-too-deeply", "cut-off", "bad-unicode", "zeros"],
)
def test_a_damaged_card_says_where_and_what_to_do(tmp_path: Path, content: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / CARD_FILE).write_bytes(content.encode("latin-1"))
    with pytest.raises(ModelError, match=rf"{CARD_FILE}.*Copy"):
        read_card(folder)


def test_an_endless_card_is_refused_unread(tmp_path: Path) -> None:
    folder = write_card(tmp_path / "model")
    with (folder / CARD_FILE).open("r+b") as file:
        file.truncate(1 << 40)
    with pytest.raises(ModelError, match="too large"):
        read_card(folder)


@pytest.mark.parametrize("exists", [True, False])
def test_a_folder_without_a_card_is_no_model(tmp_path: Path, exists: bool) -> None:
    if exists:
        (tmp_path / "model").mkdir()
    with pytest.raises(ModelError, match="not a model folder"):
        read_card(tmp_path / "model")


def test_models_are_found_by_name_and_by_path(place: Path, tmp_path: Path) -> None:
    named, elsewhere = write_card(place / "leaf"), write_card(tmp_path / "elsewhere")
    assert find_model("leaf") == named
    assert find_model(elsewhere) == elsewhere == find_model(str(elsewhere))
    assert list_models() == [named]


def test_an_unknown_name_lists_the_known_ones(place: Path) -> None:
    write_card(place / "leaf")
    write_card(place / "xray")
    with pytest.raises(ModelError, match=r"No model 'lead'.*leaf, xray"):
        find_model("lead")


def test_without_any_model_the_message_says_where_models_come_from(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert list_models() == []
    with pytest.raises(ModelError, match=r"No model 'leaf'.*pip install -e.*\$PANDA_HOME.*panda train"):
        find_model("leaf")
    assert run(["models"]) == 0
    assert "pip install -e ." in " ".join(capsys.readouterr().out.split())


def test_what_is_no_model_but_leads_to_one_is_said(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_card(tmp_path / "run" / "model")
    with pytest.raises(ModelError, match=f"Did you mean {tmp_path / 'run' / 'model'}"):
        find_model(tmp_path / "run")
    (tmp_path / "my.zip").write_bytes(b"")
    with pytest.raises(ModelError, match=f"panda models import {tmp_path / 'my.zip'}"):
        find_model(str(tmp_path / "my.zip"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="No model ''"):
        find_model("")


def test_a_folder_that_lost_its_card_is_not_called_unknown(place: Path) -> None:
    (place / "broken").mkdir()
    with pytest.raises(ModelError, match=f"{CARD_FILE} is missing"):
        find_model(place / "broken")


def test_a_folder_in_the_way_does_not_hide_a_named_model(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = write_card(place / "leaf")
    (tmp_path / "work" / "leaf").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    assert find_model("leaf") == named


def test_a_name_of_the_list_goes_before_a_model_folder_of_that_name(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named, here = write_card(place / "leaf"), write_card(tmp_path / "work" / "leaf")
    monkeypatch.chdir(here.parent)
    assert find_model("leaf") == named
    assert find_model("./leaf").resolve() == here


def test_a_model_is_known_by_its_name_or_by_its_whole_path(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named, elsewhere = write_card(place / "leaf"), write_card(tmp_path / "run" / "leaf")
    monkeypatch.chdir(tmp_path)
    assert known_as(named) == "leaf"
    assert known_as(Path("run/leaf")) == known_as(elsewhere) == str(elsewhere)
    assert find_listed("leaf") == named
    with pytest.raises(ModelError, match=r"No model .* leaf"):
        find_listed(str(elsewhere))


def test_the_first_place_wins_and_half_written_folders_are_not_listed(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(card_module, "SHIPPED", tmp_path / "shipped")
    first = write_card(place / "leaf")
    write_card(tmp_path / "shipped" / "leaf")
    other = write_card(tmp_path / "shipped" / "xray")
    write_card(place / ".leaf.x1y2")
    (place / "notes.txt").write_text("not a folder")
    assert list_models() == [first, other]


def test_a_damaged_model_is_listed_so_that_someone_can_say_why(place: Path) -> None:
    damaged = write_card(place / "leaf", "not json")
    assert list_models() == [damaged]


def test_a_place_that_is_gone_is_no_error(place: Path) -> None:
    shutil.rmtree(place)
    assert list_models() == []


POINT = OperatingPoint(boundary=1.5, pixel_threshold=3.0, who="Ada", why="fewer false alarms", when="2026-11-24T10:00:00+00:00")


@pytest.fixture
def calibrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PANDA_HOME", str(tmp_path / "home"))
    return write_card(tmp_path / "own", json.dumps(replace(CARD, calibration={"lo": 0.0}).to_dict()))


def test_an_operating_point_is_kept_in_the_card_and_can_be_taken_back(calibrated: Path) -> None:
    before = read_card(calibrated)
    save_operating_point(calibrated, POINT)
    assert read_card(calibrated) == replace(before, operating_point=POINT)
    save_operating_point(calibrated, None)
    assert read_card(calibrated) == before
    assert [path.name for path in calibrated.iterdir()] == [CARD_FILE]


def kept_apart(folder: Path) -> Card:
    write_card(folder, json.dumps(replace(CARD, calibration={"lo": 0.0}, sha256="ab" * 32).to_dict()))
    return read_card(folder)


def test_models_that_are_not_a_persons_own_stay_as_they_are(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(card_module, "SHIPPED", tmp_path / "shipped")
    for folder in (place / "leaf", tmp_path / "shipped" / "xray"):
        before, written = kept_apart(folder), (folder / CARD_FILE).read_bytes()
        assert save_operating_point(folder, POINT).operating_point == POINT
        assert read_card(folder) == replace(before, operating_point=POINT)
        assert (folder / CARD_FILE).read_bytes() == written and [path.name for path in folder.iterdir()] == [CARD_FILE]
        save_operating_point(folder, None)
        assert read_card(folder) == before


def test_a_point_in_the_card_of_such_a_model_can_be_taken_back_too(place: Path) -> None:
    card = replace(kept_apart(place / "leaf"), operating_point=POINT)
    write_card(place / "leaf", json.dumps(card.to_dict()))
    assert read_card(place / "leaf").operating_point == POINT
    save_operating_point(place / "leaf", None)
    assert read_card(place / "leaf").operating_point is None


def test_a_model_trained_anew_does_not_inherit_the_thresholds_of_its_predecessor(place: Path) -> None:
    kept_apart(place / "leaf")
    save_operating_point(place / "leaf", POINT)
    write_card(place / "leaf", json.dumps(replace(CARD, calibration={"lo": 0.0}, sha256="cd" * 32).to_dict()))
    assert read_card(place / "leaf").operating_point is None


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"operating_point": {"who": "Ada"}}', '{"operating_point": 3}'])
def test_a_damaged_operating_point_says_which_file_to_delete(place: Path, content: str) -> None:
    kept_apart(place / "leaf")
    save_operating_point(place / "leaf", POINT)
    (file,) = (home() / "points").iterdir()
    file.write_text(content)
    with pytest.raises(ModelError, match=f"Delete {file}"):
        read_card(place / "leaf")


@pytest.mark.parametrize("change", [{"boundary": float("nan")}, {"pixel_threshold": float("inf")}, {"who": " "}, {"why": ""}])
def test_an_operating_point_without_number_name_or_reason_is_refused(calibrated: Path, change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        save_operating_point(calibrated, replace(POINT, **change))
    assert read_card(calibrated).operating_point is None


def test_a_model_without_calibration_has_no_operating_point(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="panda calibrate"):
        save_operating_point(write_card(tmp_path / "raw"), POINT)


def test_a_card_without_the_field_is_an_older_one_and_fine() -> None:
    values = CARD.to_dict()
    del values["operating_point"]
    assert Card.from_dict(values) == CARD


def test_of_two_changes_of_a_card_at_the_same_time_neither_is_lost(calibrated: Path) -> None:
    for number in range(12):
        measured = replace(CARD.metrics[0], data=f"set {number}")
        wanted = None if number % 2 else POINT
        changes = (lambda: save_metric(calibrated, measured), lambda: save_operating_point(calibrated, wanted))  # noqa: B023
        threads = [threading.Thread(target=change) for change in changes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        card = read_card(calibrated)
        assert card.metrics[-1] == measured and card.operating_point == wanted
    assert [path.name for path in calibrated.iterdir()] == [CARD_FILE]


def test_a_card_that_another_program_does_not_let_go_of_is_left_alone(calibrated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(card_changes, "PATIENCE", 0.05)
    save_metric(calibrated, CARD.metrics[0])
    (lock,) = (home() / "locks").glob("card-*.lock")
    with FileLock(lock), pytest.raises(ModelError, match="Another program"):
        save_metric(calibrated, CARD.metrics[0])


@pytest.mark.parametrize("what", ["a result", "an operating point"])
def test_a_folder_that_cannot_be_written_says_so(calibrated: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    def change() -> Card:
        return save_metric(calibrated, CARD.metrics[0]) if what == "a result" else save_operating_point(calibrated, POINT)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(calibrated))

    with monkeypatch.context() as patch, pytest.raises(ModelError, match=rf"{calibrated} cannot be written \(Permission denied\)"):
        patch.setattr(card_changes, "replace_text", refuse)
        change()
    change()
