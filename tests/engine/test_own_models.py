"""Models are kept, named, copied, deleted and brought back, sent as one file and checked when they come; shipped ones stay as they are."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from panda_core import model_archive, own_models
from panda_core.card import find_model, list_models, nameable, read_card, usable_name
from panda_core.card_changes import save_operating_point
from panda_core.checkpoint import load_model
from panda_core.errors import ModelError, PandaError
from panda_core.history import History
from panda_core.inspection import OperatingPoint
from panda_core.inspector import Inspector
from panda_core.places import home
from panda_core.roi import RegionOfInterest, Shape, has_roi, load_roi, save_roi
from panda_core.scoring.decision import decide


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("PANDA_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def kept(tiny_model: Path) -> Path:
    return own_models.add_model(tiny_model, "My parts")


def names() -> set[str]:
    return {folder.name for folder in list_models() if own_models.is_own(folder)}


def test_a_finished_model_joins_the_others_under_its_new_name(kept: Path, tiny_model: Path) -> None:
    assert kept == find_model("My parts") and (read_card(kept).name, read_card(kept).title) == ("My parts", "My parts")
    assert (kept / "model.safetensors").read_bytes() == (tiny_model / "model.safetensors").read_bytes()
    load_model(kept)
    assert not [path for path in kept.parent.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("name", ["", "  ", ".hidden", "a/b", "..", "a\\b", "x" * 61, "tab\there", "my PARTS", "leaf"])
def test_a_name_that_cannot_be_or_is_taken_is_refused(kept: Path, tiny_model: Path, name: str) -> None:
    with pytest.raises(ModelError, match=r"no usable name|needs a name|already"):
        own_models.add_model(tiny_model, name)
    assert names() == {"My parts"}


def test_renaming_takes_the_region_and_the_default_along(kept: Path) -> None:
    region = RegionOfInterest((Shape("rectangle", "include", ((0.0, 0.0), (0.5, 1.0))),))
    save_roi("My parts", region)
    own_models.set_default("My parts")
    renamed = own_models.rename_model("My parts", "Bolts")
    assert names() == {"Bolts"} and read_card(renamed).name == "Bolts"
    assert load_roi("Bolts") == region and load_roi("My parts") is None
    assert own_models.default_model() == "Bolts"


def test_renaming_takes_what_was_inspected_along(kept: Path, tmp_path: Path) -> None:
    own_models.rename_model("My parts", "Nuts")
    assert not (home() / "history.sqlite").exists()
    inspection = Inspector.load(find_model("Nuts")).inspect(np.zeros((32, 32, 3), np.uint8))
    with History() as history:
        for model in ("Nuts", "leaf"):
            history.mark(history.add(dataclasses.replace(inspection, model=model), decide(inspection)), "normal")
        own_models.rename_model("Nuts", "Bolts")
        assert history.models() == ["Bolts", "leaf"]
        assert history.statistics("Bolts").marked_normal == history.statistics("leaf").marked_normal == 1


def test_what_is_deleted_comes_back_as_it_was(kept: Path) -> None:
    before = {path.name: path.read_bytes() for path in kept.iterdir()}
    token = own_models.delete_model("My parts")
    assert names() == set()
    assert {path.name: path.read_bytes() for path in own_models.restore_model(token).iterdir()} == before
    for gone in (token, "nothing", "../models", ""):
        with pytest.raises(ModelError, match="30 days"):
            own_models.restore_model(gone)


def test_a_region_goes_and_comes_back_with_its_model(kept: Path, tiny_model: Path) -> None:
    region = RegionOfInterest((Shape("rectangle", "include", ((0.0, 0.0), (0.5, 1.0))),))
    save_roi("My parts", region)
    token = own_models.delete_model("My parts")
    own_models.add_model(tiny_model, "My parts")
    assert load_roi("My parts") is None
    own_models.rename_model("My parts", "Bolts")
    own_models.restore_model(token)
    assert load_roi("My parts") == region and load_roi("Bolts") is None


def region_file() -> Path:
    (file,) = (home() / "roi").iterdir()
    return file


def test_a_damaged_region_goes_along_unread(kept: Path) -> None:
    save_roi("My parts", RegionOfInterest((Shape("rectangle", "include", ((0.0, 0.0), (0.5, 1.0))),)))
    region_file().write_text("{broken")
    own_models.set_default("My parts")
    own_models.rename_model("My parts", "Bolts")
    assert names() == {"Bolts"} and own_models.default_model() == "Bolts" and has_roi("Bolts") and not has_roi("My parts")
    token = own_models.delete_model("Bolts")
    assert names() == set() and not has_roi("Bolts")
    own_models.restore_model(token)
    assert has_roi("Bolts") and region_file().read_text() == "{broken"


@pytest.mark.parametrize("what", ["region", "folder", "card"])
def test_what_cannot_be_moved_whole_stays_where_it_is(kept: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    save_roi("My parts", RegionOfInterest((Shape("rectangle", "include", ((0.0, 0.0), (0.5, 1.0))),)))
    before = (kept / "card.json").read_bytes()
    stuck = {"region": region_file(), "folder": kept, "card": None}[what]
    real = os.replace

    def replace(source: Path, target: Path) -> None:
        if source == stuck or (what == "card" and target.name == "card.json"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace)
        with pytest.raises(PandaError, match="Permission denied"):
            own_models.rename_model("My parts", "Bolts")
        if what != "card":
            with pytest.raises(PandaError, match="Permission denied"):
                own_models.delete_model("My parts")
    assert names() == {"My parts"} and (kept / "card.json").read_bytes() == before
    assert has_roi("My parts") and own_models.deleted_models() == ()


def test_only_a_model_of_the_list_can_be_the_default(kept: Path, tiny_model: Path) -> None:
    own_models.set_default("My parts")
    with pytest.raises(ModelError, match="No model"):
        own_models.set_default(str(tiny_model))
    assert own_models.default_model() == "My parts"


def test_a_model_whose_name_was_taken_meanwhile_comes_back_beside_it(kept: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token = own_models.delete_model("My parts")
    own_models.add_model(tiny_model, "My parts")
    with monkeypatch.context() as patch:
        patch.setattr(own_models, "rename_card", lambda folder, name: (_ for _ in ()).throw(ModelError("full")))
        with pytest.raises(ModelError, match="full"):
            own_models.restore_model(token)
    assert names() == {"My parts"} and [one.token for one in own_models.deleted_models()] == [token]
    assert read_card(own_models.restore_model(token)).name == "My parts 2"
    assert names() == {"My parts", "My parts 2"} and own_models.deleted_models() == ()


@pytest.mark.parametrize(
    ("name", "expected"), [("runs: a/b", "runs- a-b"), (".hidden", "hidden"), ("x" * 70, "x" * 60), ("..", "imported"), ("leaf", "leaf")]
)
def test_a_name_that_no_folder_can_have_becomes_the_nearest_one(name: str, expected: str) -> None:
    assert usable_name(nameable(name, otherwise="imported")) == expected


def test_what_was_deleted_long_ago_is_neither_offered_nor_kept(kept: Path) -> None:
    token = own_models.delete_model("My parts")
    place = home() / "trash" / token
    old = place.stat().st_mtime - own_models.KEPT_SECONDS - 60
    os.utime(place, (old, old))
    assert own_models.deleted_models() == ()
    own_models.empty_trash()
    assert not place.exists()


def test_models_that_came_with_the_program_can_be_copied_but_not_changed(kept: Path) -> None:
    for change in (lambda: own_models.rename_model("leaf", "mine"), lambda: own_models.delete_model("leaf")):
        with pytest.raises(ModelError, match="the copy is yours"):
            change()
    copied = own_models.copy_model("leaf", "my leaf")
    assert read_card(copied).title == "my leaf" and read_card(copied).sha256 == read_card(find_model("leaf")).sha256


def test_an_operating_point_of_a_shipped_model_goes_with_its_copy_and_its_export(kept: Path, tmp_path: Path) -> None:
    leaf = find_model("leaf")
    written = (leaf / "card.json").read_bytes()
    point = OperatingPoint(boundary=1.5, pixel_threshold=3.0, who="Ada", why="lamp", when="2026-11-27T10:00:00+00:00")
    save_operating_point(leaf, point)
    model_archive.export_model("leaf", tmp_path / "leaf.zip")
    copied, imported = own_models.copy_model("leaf", "mine"), model_archive.import_model(tmp_path / "leaf.zip", name="theirs")
    save_operating_point(leaf, None)
    assert [read_card(folder).operating_point for folder in (leaf, copied, imported)] == [None, point, point]
    assert (leaf / "card.json").read_bytes() == written


def test_a_model_travels_as_one_file(kept: Path, tmp_path: Path) -> None:
    model_archive.export_model("My parts", tmp_path / "parts.zip")
    assert sorted(zipfile.ZipFile(tmp_path / "parts.zip").namelist()) == ["card.json", "model.safetensors"]
    assert model_archive.import_model(tmp_path / "parts.zip").name == "My parts 2"
    assert model_archive.import_model(tmp_path / "parts.zip", name="Theirs").name == "Theirs"
    load_model(find_model("Theirs"))
    assert not [path for path in (home() / "trash").iterdir()]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda parts: {"card.json": parts["card.json"]}, "nothing else"),
        (lambda parts: {**parts, "../evil.py": b"print()"}, "nothing else"),
        (lambda parts: {**parts, "model.safetensors": parts["model.safetensors"][:-9] + b"tampered!"}, "damaged"),
        (lambda parts: {**parts, "card.json": b"{"}, "damaged"),
        (lambda parts: {**parts, "card.json": parts["card.json"].replace(b'"format": 1', b'"format": 99')}, "format 99"),
    ],
)
def test_an_archive_that_is_not_a_whole_model_of_ours_is_refused(kept: Path, tmp_path: Path, spoil: object, words: str) -> None:
    parts = spoil({path.name: path.read_bytes() for path in kept.iterdir()})  # type: ignore[operator]
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    with pytest.raises(ModelError, match=words):
        model_archive.import_model(tmp_path / "bad.zip")
    assert names() == {"My parts"} and not list((home() / "trash").iterdir()) and not (tmp_path / "evil.py").exists()


def test_a_bomb_and_a_text_are_no_models(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_archive, "LARGEST_TENSORS", 1000)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("card.json", (kept / "card.json").read_bytes())
        archive.writestr("model.safetensors", bytes(10_000))
    with pytest.raises(ModelError, match="too large"):
        model_archive.import_model(tmp_path / "bomb.zip")
    (tmp_path / "text.zip").write_text("text")
    with pytest.raises(ModelError, match="zip file"):
        model_archive.import_model(tmp_path / "text.zip")


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_an_archive_damaged_on_its_way_is_refused(kept: Path, tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "packed.zip", "w", method) as archive:
        for part in sorted(kept.iterdir()):
            archive.write(part, part.name)
        start = archive.getinfo("model.safetensors").header_offset
    content = bytearray((tmp_path / "packed.zip").read_bytes())
    content[start + 80 : start + 400] = b"\xff" * 320
    (tmp_path / "packed.zip").write_bytes(content)
    with pytest.raises(ModelError, match="zip file"):
        model_archive.import_model(tmp_path / "packed.zip")


def test_the_default_is_remembered_and_forgotten_with_its_model(kept: Path) -> None:
    assert own_models.default_model() is None
    own_models.set_default("My parts")
    assert own_models.default_model() == "My parts"
    shutil.rmtree(kept)
    assert own_models.default_model() is None
    (home() / "settings.json").write_text("{")
    assert own_models.default_model() is None
    with pytest.raises(ModelError, match="No model"):
        own_models.set_default("nothing")


def test_other_settings_stay(kept: Path) -> None:
    (home() / "settings.json").write_text(json.dumps({"other": 1}))
    own_models.set_default("My parts")
    assert json.loads((home() / "settings.json").read_text()) == {"other": 1, "default_model": "My parts"}
