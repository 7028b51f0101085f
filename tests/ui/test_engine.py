"""The local engine's list of models: from cards alone, in an order a person expects, damaged ones with their reason."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from panda_core.card import CARD_FILE, Card, DataCard, Metric
from panda_core.card_changes import save_operating_point
from panda_core.errors import ModelError
from panda_core.inspection import OperatingPoint
from panda_core.presets import TINY
from panda_core.ui.engine import LocalEngine

CARD = Card(
    name="first",
    title="Leaves",
    created="2026-01-01T00:00:00+00:00",
    config=TINY,
    data=DataCard(description="healthy leaves", licence="CC0", train=70, validation=30),
    versions={},
    metrics=(Metric(data="apple test", auroc=0.9, auroc_ci=(0.85, 0.94), normal=50, anomalous=50, trivial_auroc=0.7),),
    limits=("One leaf at a time.",),
    calibration={"lo": 0.0},
)


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is searched for models, before all others."""
    monkeypatch.setattr("panda_core.card.model_places", lambda: [tmp_path / "models"])
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def write_card(folder: Path, card: Card = CARD) -> Path:
    folder.mkdir(parents=True)
    (folder / CARD_FILE).write_text(json.dumps(card.to_dict()), encoding="utf-8")
    return folder


def test_the_card_is_told_in_the_pages_words(places: Path) -> None:
    write_card(places / "leaf")
    (entry,) = LocalEngine().models()
    assert (entry.name, entry.title, entry.licence, entry.problem) == ("leaf", "Leaves", "CC0", "")
    assert "70 images" in entry.data
    assert (entry.measurements[0].auroc, entry.measurements[0].low, entry.measurements[0].trivial) == (0.9, 0.85, 0.7)


def test_damaged_and_uncalibrated_models_are_listed_with_their_problem(places: Path) -> None:
    write_card(places / "a")
    (places / "a" / CARD_FILE).write_text("{", encoding="utf-8")
    write_card(places / "b", replace(CARD, calibration={}))
    damaged, uncalibrated = LocalEngine().models()
    assert "damaged" in damaged.title and "Copy the model again" in damaged.problem
    assert "panda calibrate" in uncalibrated.problem


def test_the_model_asked_for_comes_first_once(places: Path, tmp_path: Path) -> None:
    write_card(places / "apple")
    write_card(places / "leaf")
    own = write_card(tmp_path / "runs" / "0001" / "model")
    assert [entry.name for entry in LocalEngine(model="leaf").models()] == ["leaf", "apple"]
    assert [entry.name for entry in LocalEngine(model=str(places / "leaf")).models()] == ["leaf", "apple"]
    assert [entry.name for entry in LocalEngine(model=str(own)).models()] == [str(own), "apple", "leaf"]


def test_a_model_asked_for_that_is_gone_is_not_offered(places: Path) -> None:
    write_card(places / "apple")
    engine = LocalEngine(model=str(write_card(places / "leaf")))
    shutil.rmtree(places / "leaf")
    assert [entry.name for entry in engine.models()] == ["apple"]


def test_a_model_that_another_program_has_changed_is_loaded_anew(places: Path, tiny_model: Path, toy_folder: Path) -> None:
    shutil.copytree(tiny_model, places / "leaf")
    engine, image = LocalEngine(device="cpu"), toy_folder / "test" / "good" / "000.png"
    assert engine.inspect("leaf", image).calibration is engine.inspect("leaf", image).calibration, "loaded once"
    point = OperatingPoint(boundary=7.0, pixel_threshold=3.0, who="Ada", why="no alarms", when="2026-11-28T08:00:00+00:00")
    save_operating_point(places / "leaf", point)
    assert engine.inspect("leaf", image).calibration.operating_point == point
    shutil.rmtree(places / "leaf")
    with pytest.raises(ModelError, match="No model"):
        engine.inspect("leaf", image)


def test_no_folder_but_those_of_the_list_is_opened(places: Path, tmp_path: Path) -> None:
    write_card(places / "leaf")
    secret = write_card(tmp_path / "runs" / "0001" / "model")
    engine = LocalEngine()
    for model in (str(secret), f"{places}/leaf"):
        with pytest.raises(ModelError, match="No model"):
            engine.inspect(model, tmp_path / "image.png")
        with pytest.raises(ModelError, match="No model"):
            engine.save_operating_point(model, boundary=1.0, pixel_threshold=2.0, who="ann", why="a reason")


def test_a_model_that_does_not_exist_is_refused_at_once(places: Path) -> None:
    with pytest.raises(ModelError, match="nothing-here"):
        LocalEngine(model="nothing-here")


def test_without_models_the_engine_becomes_ready_with_nothing_to_load(places: Path) -> None:
    engine = LocalEngine()
    engine.warm()
    assert engine.ready and engine.models() == ()
