"""A training that cannot end well ends before its first step; images lost on the way are told and not counted."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from panda_core import trainer
from panda_core.card import read_card
from panda_core.data.folders import Splits, scan
from panda_core.data.images import list_images
from panda_core.errors import CalibrationError
from panda_core.presets import PRESETS
from panda_core.runs import RunDir
from panda_core.trainer import run_training

STEPS = {"train.warmup_steps": 8, "train.adversarial_steps": 0}


@pytest.mark.parametrize(
    ("changes", "images", "words"),
    [
        ({"scoring.boundary": "labelled"}, 12, "at least 4 known anomalies; there are 0"),
        ({"data.minimum": 4}, 5, "Of the 5 normal images 3 can be held out"),
        (
            {"percept.enabled": True, "percept.size": 64, "percept.dimensions": 12, "percept.modes": 5},
            12,
            "needs at least 20 normal images",
        ),
    ],
)
def test_what_would_fail_at_the_end_fails_at_the_start(
    toy_folder: Path, tmp_path: Path, changes: dict[str, Any], images: int, words: str
) -> None:
    (tmp_path / "some").mkdir()
    for path in list_images(toy_folder / "train" / "good")[:images]:
        shutil.copy(path, tmp_path / "some" / path.name)
    run = RunDir.create(tmp_path / "run", PRESETS["tiny"].override(**STEPS, **changes), tmp_path / "some")
    with pytest.raises(CalibrationError, match=words):
        run_training(run, device="cpu")
    status = run.status()
    assert status.state == "failed" and status.step == 0 and words in status.detail
    assert not run.state_path.exists()


def test_images_lost_after_the_scan_are_told_once_and_not_counted(
    toy_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(toy_folder / "train" / "good", tmp_path / "good"))
    lost: list[Path] = []

    def scan_then_lose(*args: Any, **keywords: Any) -> Splits:
        found = scan(*args, **keywords)
        lost.extend(found.train[:3])
        for path in lost:
            path.write_bytes(b"damaged")
        return found

    monkeypatch.setattr(trainer, "scan", scan_then_lose)
    run = RunDir.create(tmp_path / "run", PRESETS["tiny"].override(**STEPS), folder)
    assert run_training(run, device="cpu") == "done"
    (data,) = (event for event in run.events() if event["event"] == "data")
    problems = [event["path"] for event in run.events() if event["event"] == "problem"]
    assert sorted(problems) == sorted(map(str, lost)) and len(lost) == 3
    assert read_card(run.model_path).data.train == data["train"] - 3
