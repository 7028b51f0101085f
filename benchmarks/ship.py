"""Make the shipped models: collect the data, train (resumable), measure on test splits, write weights/<kind> with its card.

    python benchmarks/ship.py leaf --run runs/ship-leaf
    python benchmarks/ship.py xray --run runs/ship-xray

PANDA_DATA names the data root (default: ../shared/datasets). Seeds of procedural images: training from 1000, test from 50000.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from panda_core.card import WEIGHTS, DataCard, Metric
from panda_core.checkpoint import Model, load_model, save_model
from panda_core.data.folders import labelled_test
from panda_core.data.images import list_images
from panda_core.evaluation import evaluate
from panda_core.inspector import Inspector
from panda_core.presets import preset
from panda_core.procedural.dataset import write_dataset
from panda_core.runs import RunDir
from panda_core.trainer import run_training
from panda_core.trivial import trivial_baseline

REPOSITORY = Path(__file__).resolve().parent.parent
ROOT = Path(os.environ.get("PANDA_DATA", REPOSITORY.parent / "shared" / "datasets"))


@dataclass(frozen=True)
class Recipe:
    """What a shipped model is made of and how it is introduced."""

    title: str
    train_sets: tuple[str, ...]
    test_sets: tuple[str, ...]
    procedural: int
    augment: str
    description: str
    licence: str
    sources: tuple[str, ...]
    limits: tuple[str, ...]


PLANTVILLAGE = ("plantvillage/apple", "plantvillage/tomato", "plantvillage/grape")
RECIPES = {
    "leaf": Recipe(
        title="Leaves (apple, tomato, grape)",
        train_sets=PLANTVILLAGE,
        test_sets=PLANTVILLAGE,
        procedural=400,
        augment="flip-rotate",
        description="Healthy apple, tomato and grape leaves of PlantVillage, one leaf a photo on a plain table, and 400 drawn leaves",
        licence="Trained on PlantVillage images, CC BY-SA 3.0 (Hughes & Salathé 2015); the drawn leaves are our own, MIT",
        sources=(
            "PlantVillage: Hughes & Salathé, arXiv 1511.08060",
            "procedural leaves: panda examples --kind leaf --seed 1000 --count 400",
        ),
        limits=(
            "One leaf a photo, filling the picture, on a plain background; leaves on the plant, hands or labels look anomalous.",
            "PlantVillage classes differ in light and background, so colour alone separates many of them: compare the trivial baseline.",
            "Other crops need a model of their own, or a new calibration at least.",
        ),
    ),
    "xray": Recipe(
        title="X-ray (baggage, devices)",
        train_sets=("sixray/baggage",),
        test_sets=("sixray/baggage", "sixray_tip/baggage"),
        procedural=500,
        augment="flip",
        description="Baggage X-rays without prohibited items from SIXray, and 500 drawn X-rays of laptop-like devices",
        licence="Trained on SIXray images, academic use only (Miao et al., CVPR 2019); the drawn X-rays are our own, MIT",
        sources=("SIXray: Miao et al., CVPR 2019", "procedural X-rays: panda examples --kind xray --seed 1000 --count 500"),
        limits=(
            "Not a security device: it misses most weapons projected into full bags (see the sixray_tip figure).",
            "sixray/baggage separates by how full a bag is; its figure does not show that threats are seen.",
            "Its false-alarm rates and “1 in N normal images” hold for scanned and drawn pictures mixed, with which it was calibrated: of "
            "scanned bags alone, more than a third raise a false alarm.",
            "Pseudo-colour scanner pictures only; grey X-rays and other scanners need a new calibration.",
        ),
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=list(RECIPES))
    parser.add_argument("--run", type=Path, required=True, help="run folder; a finished run is measured and written without training")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    recipe = RECIPES[arguments.kind]
    if (arguments.run / "config.json").exists():
        run = RunDir.open(arguments.run)
    else:
        config = preset("best").override(**{"data.augment": recipe.augment, "percept.modes": 5, "percept.dimensions": 80})
        run = RunDir.create(arguments.run, config, collect(arguments.kind, recipe, arguments.run.with_name(f"{arguments.run.name}-data")))
    if run.status().state != "done":
        run_training(run)
    publish(arguments.kind, recipe, run)


def collect(kind: str, recipe: Recipe, folder: Path) -> Path:
    """One flat folder of links to the real normals and of drawn ones."""
    folder.mkdir(parents=True)
    for name in recipe.train_sets:
        for path in list_images(ROOT / name / "train" / "good"):
            (folder / f"{name.replace('/', '_')}_{path.name}").symlink_to(path)
    with tempfile.TemporaryDirectory() as drawn:
        write_dataset(Path(drawn) / "set", kind=kind, count=recipe.procedural, seed=1000)
        for path in list_images(Path(drawn) / "set" / "train" / "good"):
            shutil.copy(path, folder / f"drawn_{path.name}")
    return folder


def publish(kind: str, recipe: Recipe, run: RunDir) -> None:
    """Measure what will be shipped (half-precision storage included), then write it."""
    target = REPOSITORY / "weights" / kind
    model = load_model(run.model_path)
    data = model.card.data
    card = DataCard(
        description=recipe.description,
        licence=recipe.licence,
        sources=recipe.sources,
        train=data.train,
        validation=data.validation,
        fingerprint=data.fingerprint,
    )
    model.name = kind
    model.card = replace(model.card, name=kind, title=recipe.title, data=card, limits=recipe.limits + unused_errors(model))
    with tempfile.TemporaryDirectory() as folder:
        save_model(Path(folder) / kind, model, half=True)
        inspector = Inspector.load(Path(folder) / kind)
        metrics = [measure(inspector, ROOT / name, ROOT / name / "train" / "good", f"{name} test") for name in recipe.test_sets]
        write_dataset(Path(folder) / "drawn", kind=kind, count=60, seed=50_000)
        metrics.append(measure(inspector, Path(folder) / "drawn", Path(folder) / "drawn" / "train" / "good", "drawn images, seed 50000"))
    model.card = replace(model.card, metrics=tuple(metrics))
    save_model(target, model, half=True)
    print(f"{target}: " + "; ".join(f"{m.data} {m.auroc:.3f} (trivial {m.trivial_auroc:.3f})" for m in metrics))


def unused_errors(model: Model) -> tuple[str, ...]:
    """A sentence naming the errors that the fusion gave no weight; none where all count."""
    errors = model.calibration.errors if model.calibration else {}
    idle = [name for name, stats in errors.items() if stats.weight == 0]
    used = ", ".join(f"{name} {stats.weight:.2f}" for name, stats in errors.items() if stats.weight)
    return (f"{WEIGHTS}{used}; {', '.join(idle)} did not help on validation images and count for nothing.",) if idle else ()


def measure(inspector: Inspector, folder: Path, normals: Path, label: str) -> Metric:
    """AUROC with its interval on one test split, beside the trivial baseline fitted on that set's training normals."""
    report = evaluate(inspector, folder)
    defects = ", ".join(f"{name} {value:.2f}" for name, value in report.defect_auroc.items())
    note = f"{defects}. At the boundary: {report.false_alarm_rate:.0%} false alarms, {report.miss_rate:.0%} missed."
    return report.metric(label, trivial_auroc=trivial_baseline(list_images(normals), labelled_test(folder)), note=note)


if __name__ == "__main__":
    main()
