"""Rivals with more training than the tables give them, beside figures their own papers print: one record a run, resumable.

    python -m benchmarks.published --data ROOT

DADUGT and CSI on CIFAR-10 with automobiles normal and all else anomalous (32 px, at most 500 training images), DA-GAN on bottle. Data
and splits are not those of the papers. The changes are not chosen on validation, so a figure shows what the implementation can, not what
to expect of it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from panda_core.config import Config
from panda_core.datasets import DATASETS, data_root, prepare
from panda_core.reproduction.plan import REDUCED, Job, Target
from panda_core.reproduction.record import record_path
from panda_core.reproduction.running import Places, run_job

AUTOMOBILE = Target("cifar10", "automobile", "table1")
IMAGES = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Check(Job):
    """A run of the reduced experiment with changes, and the figure to hold it against."""

    published: float
    """AUROC."""
    source: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Configuration fields by dotted name, on top of the run's."""
    note: str = ""
    """What else the record has to say of the data."""

    def config(self, augment: str = "none") -> Config:
        return Job.config(self, augment).override(**self.changes)

    @property
    def reduced(self) -> str:
        return ", ".join(filter(None, (f"{self.size} px", f"{self.config().train.adversarial_steps} steps", self.note)))


def _check(system: str, target: Target, published: float, source: str, *, steps: float = 1, **more: Any) -> Check:
    size, note = (32, f"automobiles normal, at most {IMAGES} training images") if target == AUTOMOBILE else (REDUCED.size, "")
    budget = dataclasses.replace(REDUCED, name="published", steps=steps)
    return Check(
        system=system,
        target=target,
        seed=0,
        size=size,
        limit=None,
        budget=budget,
        published=published,
        source=source,
        changes=more,
        note=note,
    )


CHECKS = (
    _check("dadugt", AUTOMOBILE, 0.957, "arXiv 1805.10917"),
    _check("csi", AUTOMOBILE, 0.99, "arXiv 2007.08176", steps=4),
    _check(
        "da-gan", Target("mvtec_ad", "bottle", "table2"), 0.983, "arXiv 2104.13702, Table II",
        **{"data.augment": "none", "train.generator_lr": 2e-4, "train.critic_lr": 2e-4},
    ),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of all data sets (default: $PANDA_DATA)")
    parser.add_argument("--runs", type=Path, default=Path("runs/published"), help="trainings; may be deleted when the records are there")
    parser.add_argument("--out", type=Path, default=Path("docs/results/published"))
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    root = data_root(arguments.data)
    for check in CHECKS:
        data = one_class(root, arguments.runs / "one-class", check.target.category) if check.target == AUTOMOBILE else root
        run(check, Places(data=data, runs=arguments.runs, out=arguments.out, device="cpu"))


def one_class(root: Path, place: Path, category: str) -> Path:
    """A root of data sets with CIFAR-10 the other way round: this class is normal, and the test images of all others are anomalous."""
    folder = place / "cifar10" / category
    if not folder.exists():
        another = next(name for name in DATASETS["cifar10"].categories if name != category)
        source = prepare("cifar10", another, root=root, place=place / "source", limit=IMAGES).folder
        unfinished = place / "unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        for image in sorted(source.glob("*/*/*.png")):
            normal, part = image.name.startswith(f"{category}_"), image.parent.parent.name
            if normal or part == "test":
                target = unfinished / part / ("good" if normal else "other") / image.name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(image, target)
        folder.parent.mkdir(parents=True, exist_ok=True)
        os.replace(unfinished, folder)
    return place


def run(check: Check, places: Places) -> None:
    """One record, unless it is there; a line with the share of the published figure."""
    target = check.target
    where = {"dataset": target.dataset, "category": target.category, "size": check.size, "seed": check.seed}
    if record_path(places.out, system=check.system, **where).exists():
        return
    for record in run_job(check, places) or ():
        share = round(record.auroc / check.published, 3)
        print(json.dumps({"system": record.system, "auroc": record.auroc, "published": check.published, "share": share}), flush=True)


if __name__ == "__main__":
    main()
