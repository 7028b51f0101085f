"""How good is a model after so many minutes of training? From scratch, and fine-tuned from a shipped model.

    python benchmarks/minutes.py --threads 2 --out docs/results
    python benchmarks/minutes.py --preset tiny --size 32 --images 40 --states 2 --divide 60 --test 20 --out build/minutes

Trains `balanced` on 200 normal images of a set (evenly taken from its training split; some of them are held out to calibrate with, as in
every training), and fine-tunes weights/leaf on the same images. The networks are kept at evenly spread steps and measured after the
training: fusion, boundary and maps from the held-out normals and anomalies drawn into them, then AUROC with its 95 % interval on the set's
whole test split, which chooses nothing. `minutes` is what a person would have waited up to there: reading the folder and training;
measuring and keeping are not counted. `finish_minutes`, perceptual evidence and calibration, come on top in every row.

Writes minutes.json and minutes.md. The shipped leaf model has seen the training images of plantvillage before: its row at step 0 says what
it can do without any fine-tuning. PANDA_DATA names the data root (default: ../shared/datasets).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from panda_core.calibration import gather
from panda_core.card import Card, DataCard, tuned_from, versions
from panda_core.checkpoint import Model
from panda_core.config import Config
from panda_core.data.batches import Batches
from panda_core.data.folders import Splits, labelled_test, scan
from panda_core.data.images import list_images, prepare, read_image
from panda_core.detectors import build_detector
from panda_core.durable import replace_text
from panda_core.fabric import make_fabric
from panda_core.inspection import Picture
from panda_core.inspector import examine_images
from panda_core.percept import PerceptualEvidence
from panda_core.presets import preset
from panda_core.scoring.fusion import fuse
from panda_core.scoring.metrics import auroc, auroc_bootstrap_ci
from panda_core.trainer import concrete
from panda_core.training import Progress, Trainer
from panda_core.tuning import take_over

REPOSITORY = Path(__file__).resolve().parent.parent
ROOT = Path(os.environ.get("PANDA_DATA", REPOSITORY.parent / "shared" / "datasets"))
SHARE = 0.95
"""Of the last row's AUROC: when is a model that good?"""
MARKS = {"scratch": 15.0, "tuned": 5.0}
"""Minutes, finish included, that are aimed at."""
PERCEPT = ("percept", "percept_pooled")


@dataclass(frozen=True)
class Kept:
    """The networks as they were after ``step`` steps, ``seconds`` after the training was asked for."""

    step: int
    seconds: float
    tensors: dict[str, Tensor]


@dataclass(frozen=True)
class Test:
    """A test split, decoded once."""

    images: list[Picture]
    labels: np.ndarray


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="plantvillage/apple")
    parser.add_argument("--preset", default="balanced")
    parser.add_argument("--parent", type=Path, default=REPOSITORY / "weights" / "leaf", help="model folder to fine-tune")
    parser.add_argument("--only", choices=list(MARKS), help="leave the other training out")
    parser.add_argument("--augment", default="flip-rotate")
    parser.add_argument("--size", type=int, default=128, help="side the generator and critic see, from scratch")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--states", type=int, default=8, help="how often the networks are kept")
    parser.add_argument("--test", type=int, help="look at this many test images only, spread evenly: to try the program, not to report")
    parser.add_argument("--divide", type=int, default=1, help="take only this fraction of the steps: to try the program, not to report")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=REPOSITORY / "docs" / "results")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    found = measure_all(arguments)
    arguments.out.mkdir(parents=True, exist_ok=True)
    replace_text(arguments.out / "minutes.json", json.dumps(found, indent=1) + "\n", durable=False)
    replace_text(arguments.out / "minutes.md", page(found), durable=False)
    print(json.dumps({name: one["reached"] for name, one in found["trainings"].items()}))
    return 0


def measure_all(arguments: argparse.Namespace) -> dict[str, Any]:
    """Both trainings, one after the other."""
    scratch = preset(arguments.preset).override(**{"data.size": arguments.size, "data.augment": arguments.augment})
    wanted = {"scratch": (scratch, None), "tuned": (tuned_from(arguments.parent), arguments.parent)}
    test = read_test(ROOT / arguments.dataset, arguments.test)
    trainings = {}
    with tempfile.TemporaryDirectory() as place:
        folder = choose(ROOT / arguments.dataset, arguments.images, Path(place) / "normal")
        for name, (config, parent) in wanted.items():
            if arguments.only in (None, name):
                config = concrete(shortened(config, arguments.divide).override(**{"train.seed": arguments.seed}))
                trainings[name] = measure(config, folder, parent, test, arguments.states) | {"mark_minutes": MARKS[name]}
    return {
        "dataset": arguments.dataset,
        "seed": arguments.seed,
        "divided_by": arguments.divide,
        "share": SHARE,
        "whole_test": arguments.test is None,
        "test": {"normal": int((~test.labels).sum()), "anomalous": int(test.labels.sum())},
        "device": f"cpu, {torch.get_num_threads()} thread(s), {os.cpu_count()} cores, {platform.machine()}",
        "versions": versions(),
        "trainings": trainings,
    }


def choose(dataset: Path, count: int, folder: Path) -> Path:
    """A folder of links to ``count`` training images, spread evenly over their sorted names."""
    paths = list_images(dataset / "train" / "good")
    folder.mkdir()
    for at in spread(len(paths), count):
        (folder / paths[at].name).symlink_to(paths[at])
    return folder


def read_test(dataset: Path, count: int | None) -> Test:
    """The labelled test split, or an even selection of it."""
    samples = labelled_test(dataset)
    chosen = [samples[at] for at in spread(len(samples), count or len(samples))]
    return Test([read_image(sample.path) for sample in chosen], np.array([sample.label != "good" for sample in chosen]))


def spread(count: int, wanted: int) -> list[int]:
    """At most ``wanted`` of ``count`` indices, evenly."""
    return [int(at) for at in np.linspace(0, count - 1, min(wanted, count)).round()]


def shortened(config: Config, divide: int) -> Config:
    """A fraction of the steps, at least one of each kind there was."""
    train = config.train
    steps = {name: -(-getattr(train, name) // divide) for name in ("warmup_steps", "adversarial_steps")}
    return replace(config, train=replace(train, **steps))


def measure(config: Config, folder: Path, parent: Path | None, test: Test, states: int) -> dict[str, Any]:
    """Train once, then measure every kept state."""
    splits, kept = train(config, folder, parent, states)
    started = time.perf_counter()
    percept = fit_percept(config, splits.train)
    percept_seconds = time.perf_counter() - started
    rows, calibrating = [], []
    unchanging: list[dict[str, float]] = [{} for _ in test.images]
    for state in kept:
        started = time.perf_counter()
        model = model_of(config, state, percept)
        held_out = gather(model, splits.validation, scoring=config.scoring, seed=config.train.seed)
        calibration = held_out.fit(config.scoring)
        calibrating.append(time.perf_counter() - started)
        if rows:  # perceptual evidence of the test images does not change with the training, and costs most of a look
            model = replace(model, percept=None)
        seen = [before | evidence.errors for before, evidence in zip(unchanging, examine_images(model, test.images), strict=True)]
        unchanging = [{name: errors[name] for name in PERCEPT if name in errors} for errors in seen]
        errors = {name: np.array([each[name] for each in seen]) for name in seen[0]}
        scores = fuse(errors, calibration.errors, calibration.fusion)
        alone = held_out.without(*PERCEPT).fit(config.scoring)
        networks = fuse({name: errors[name] for name in alone.errors}, alone.errors, alone.fusion)
        rows.append({
            "step": state.step,
            "minutes": round(state.seconds / 60, 2),
            "auroc": auroc(test.labels, scores),
            "auroc_ci": list(auroc_bootstrap_ci(test.labels, scores, seed=config.train.seed)),
            "networks_auroc": auroc(test.labels, networks),
            "error_auroc": {name: auroc(test.labels, values) for name, values in errors.items()},
            "weights": {name: stats.weight for name, stats in calibration.errors.items()},
        })  # fmt: skip
        print(json.dumps(rows[-1]), flush=True)
    finish = (percept_seconds + float(np.median(calibrating))) / 60
    return {
        "preset": config.preset,
        "parent": parent.name if parent else None,
        "size": config.data.size,
        "train": len(splits.train),
        "held_out": len(splits.validation),
        "finish_minutes": round(finish, 2),
        "reached": reached(rows, finish),
        "rows": rows,
    }


def train(config: Config, folder: Path, parent: Path | None, states: int) -> tuple[Splits, list[Kept]]:
    """As `panda_core.trainer` does it on one CPU, with a clock that stands still while the networks are kept."""
    started = time.perf_counter()
    fabric = make_fabric(config, "cpu", 1)
    splits = scan(folder, data=config.data, seed=config.train.seed)
    torch.manual_seed(config.train.seed)
    detector = build_detector(config, pretrained=True)
    if parent is not None:
        take_over(detector, parent)
    trainer = Trainer(detector, config=config.train, fabric=fabric)
    seconds = time.perf_counter() - started
    steps = {round(trainer.total * at / states) for at in range(1, states + 1)}
    kept = [Kept(0, seconds, copied(detector.inference_state()))] if parent is not None else []

    def keep(progress: Progress) -> None:
        nonlocal seconds
        seconds += progress.seconds
        if progress.step in steps:
            kept.append(Kept(progress.step, seconds, copied(detector.inference_state())))

    data, learning = config.data, config.train
    with Batches(splits.train, size=data.size, augment=data.augment, batch=learning.batch, seed=learning.seed) as batches:
        trainer.fit(batches, on_step=keep)
    return splits, kept


def copied(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copies that go on being what they are."""
    return {name: value.detach().clone() for name, value in tensors.items()}


def fit_percept(config: Config, paths: Sequence[Path]) -> PerceptualEvidence | None:
    """Perceptual evidence of the training images, where the configuration has it; it does not depend on the training."""
    if not config.percept.enabled:
        return None
    percept = PerceptualEvidence(config.percept, pretrained=True)
    parts = [paths[at : at + 16] for at in range(0, len(paths), 16)]
    percept.fit(torch.stack([torch.from_numpy(prepare(read_image(path), config.percept.size)) for path in part]) for part in parts)
    return percept.eval()


def model_of(config: Config, state: Kept, percept: PerceptualEvidence | None) -> Model:
    """The networks as they were."""
    detector = build_detector(config, pretrained=False)
    detector.load_inference_state(state.tensors)
    card = Card(name="minutes", title="minutes", config=config, data=DataCard(description="", licence=""), created="", versions={})
    return Model("minutes", config, detector.eval(), percept, None, card)


def reached(rows: Sequence[dict[str, Any]], finish: float) -> dict[str, Any]:
    """The first row that is good enough, measured by the last; minutes with the finish."""
    last = rows[-1]
    first = next(row for row in rows if row["auroc"] >= SHARE * last["auroc"])
    return {
        "step": first["step"],
        "minutes": round(first["minutes"] + finish, 2),
        "auroc": first["auroc"],
        "final_auroc": last["auroc"],
        "final_minutes": round(last["minutes"] + finish, 2),
    }


def page(found: dict[str, Any]) -> str:
    """The rows as Markdown."""
    lines = [
        f"# AUROC over minutes: {found['dataset']}, seed {found['seed']}",
        "",
        f"Made by `benchmarks/minutes.py` on {found['device']}; test split: {found['test']['normal']} normal,"
        f" {found['test']['anomalous']} anomalous images, which chose nothing.",
    ]
    if found["divided_by"] > 1 or not found["whole_test"]:
        lines += ["", "**A trial with few steps or few test images. These figures mean nothing.**"]
    for name, one in found["trainings"].items():
        lines += ["", *_section(name, one, found["share"])]
    return "\n".join(lines) + "\n"


def _section(name: str, one: dict[str, Any], share: float) -> list[str]:
    how = f"fine-tuned from `{one['parent']}`" if name == "tuned" else "from scratch"
    hit = one["reached"]
    return [
        f"## `{one['preset']}` at {one['size']} px, {how}",
        "",
        f"{one['train']} images trained on, {one['held_out']} held out. Perceptual evidence and calibration take"
        f" {one['finish_minutes']:.1f} minutes on top of every row.",
        "",
        "| minutes | step | AUROC (95 % interval) | networks alone | reconstruction alone |",
        "|---|---|---|---|---|",
        *(_line(row) for row in one["rows"]),
        "",
        f"{share:.0%} of the last row's AUROC is reached at step {hit['step']}, after {hit['minutes']:.1f} minutes with the finish"
        f" (aim: under {one['mark_minutes']:.0f}); the whole takes {hit['final_minutes']:.1f}.",
    ]


def _line(row: dict[str, Any]) -> str:
    low, high = row["auroc_ci"]
    recon = row["error_auroc"].get("recon")
    alone = "–" if recon is None else f"{recon:.3f}"
    return f"| {row['minutes']:.1f} | {row['step']} | {row['auroc']:.3f} ({low:.3f}–{high:.3f}) | {row['networks_auroc']:.3f} | {alone} |"


if __name__ == "__main__":
    sys.exit(main())
