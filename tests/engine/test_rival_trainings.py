"""Every rival goes the whole way: from a folder to a model that inspects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from panda_core.estimate import estimate
from panda_core.inspector import Inspector
from panda_core.presets import preset
from panda_core.rivals import RIVALS
from panda_core.runs import RunDir
from panda_core.trainer import run_training


@pytest.mark.parametrize("name", RIVALS)
def test_a_folder_becomes_a_model_that_inspects(name: str, toy_folder: Path, tmp_path: Path, normal_pictures: list[np.ndarray]) -> None:
    config = preset("tiny").override(detector=name, **{"baseline.inversion_steps": 3})
    run = RunDir.create(tmp_path / "run", config, toy_folder)
    assert run_training(run, device="cpu") == "done"
    looked = [event["step"] for event in run.events() if event["event"] == "validation"]
    assert looked[-1] == 10
    inspection = Inspector.load(run.model_path).inspect(normal_pictures[0])
    assert np.isfinite(inspection.score) and np.isfinite(inspection.anomaly_map).all()


def test_a_search_is_left_alone_until_the_last_step(toy_folder: Path, tmp_path: Path) -> None:
    config = preset("tiny").override(detector="anogan", **{"baseline.inversion_steps": 2})
    run = RunDir.create(tmp_path / "run", config, toy_folder)
    run_training(run, device="cpu")
    assert [event["step"] for event in run.events() if event["event"] == "validation"] == [10]


def test_a_search_can_be_estimated(toy_folder: Path) -> None:
    config = preset("tiny").override(detector="anogan", **{"baseline.inversion_steps": 2})
    assert estimate(config, toy_folder, device="cpu").calibrate > 0
