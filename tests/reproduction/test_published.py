"""The checks against published figures are runs of the reproduction with their changes, and nothing else."""

from __future__ import annotations

import dataclasses
import json

import pytest

from benchmarks.published import CHECKS, IMAGES, run
from panda_core.presets import preset
from panda_core.reproduction.record import read_records
from panda_core.reproduction.running import Places


def test_changes_come_on_top_of_the_preset() -> None:
    dadugt, csi, da_gan = CHECKS
    assert dadugt.limit == csi.limit == IMAGES and da_gan.limit is None
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
