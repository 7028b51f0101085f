"""The checks against published figures are runs of the reproduction with their changes, and nothing else."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.published import CHECKS, one_class, run
from panda_core.data.folders import labelled_test
from panda_core.datasets import DATASETS, prepare
from panda_core.presets import preset
from panda_core.reproduction.record import read_records
from panda_core.reproduction.running import Places


def test_changes_come_on_top_of_the_preset() -> None:
    dadugt, csi, da_gan = CHECKS
    assert (
        "automobiles normal" in dadugt.reduced and "2400 steps, automobiles normal" in csi.reduced and da_gan.reduced == "64 px, 800 steps"
    )
    assert csi.config().train.adversarial_steps == 4 * preset("csi").train.adversarial_steps
    assert da_gan.config("flip").data.augment == "none" and da_gan.config().train.critic_lr == 2e-4
    assert len({check.name for check in CHECKS}) == len(CHECKS) and all(check.name.endswith("-published") for check in CHECKS)


def test_a_check_is_measured_once_and_says_what_share_it_reaches(places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    da_gan = CHECKS[2]
    quick = dataclasses.replace(da_gan, size=32, changes={**da_gan.changes, "train.adversarial_steps": 2, "baseline.width": 4})
    run(quick, places)
    said = json.loads(capsys.readouterr().out)
    (record,) = read_records(places.out)
    assert (record.system, record.category, record.steps) == ("da-gan", "bottle", 2)
    assert record.overrides["train.generator_lr"] == 2e-4 and said["share"] == round(record.auroc / da_gan.published, 3)
    run(quick, places)
    assert capsys.readouterr().out == ""


def test_one_class_is_normal_and_all_others_are_the_anomaly(tmp_path: Path) -> None:
    names = DATASETS["cifar10"].categories
    labels = np.repeat(np.arange(10), 4)
    images = np.random.default_rng(0).integers(0, 255, (40, 32, 32, 3), dtype=np.uint8)
    (tmp_path / "data" / "cifar10").mkdir(parents=True)
    arrays = {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels, "label_names": np.array(names)}
    np.savez(tmp_path / "data" / "cifar10" / "cifar10.npz", **arrays)
    for _ in range(2):  # and once more, where it lies already
        root = one_class(tmp_path / "data", tmp_path / "place", "automobile")
        folder = prepare("cifar10", "automobile", root=root, place=tmp_path / "elsewhere").folder
    assert [path.name.split("_")[0] for path in (folder / "train" / "good").iterdir()] == ["automobile"] * 4
    kinds = {(sample.label, sample.path.name.split("_")[0]) for sample in labelled_test(folder)}
    assert kinds == {("good" if name == "automobile" else "other", name) for name in names}
