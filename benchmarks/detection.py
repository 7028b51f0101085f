"""Train, calibrate and measure `balanced` and `best` on real data sets: one JSON record a run, resumable.

    python benchmarks/detection.py --seeds 0 1 --size 64 --out docs/results/detection

`best` is `balanced` plus perceptual evidence, so one training serves both: the records differ in the errors that are fused.
Hyper-parameters and weights come from normal and synthetic validation images; the test split is read once, at the end.
PANDA_DATA names the data root (default: ../shared/datasets).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from panda_core.calibration import gather
from panda_core.card import versions
from panda_core.checkpoint import Model, load_model
from panda_core.config import Config
from panda_core.data.folders import LabelledImage, labelled_test, scan
from panda_core.data.images import prepare, read_image
from panda_core.inspection import Calibration, Evidence
from panda_core.inspector import examine_images
from panda_core.presets import preset
from panda_core.runs import RunDir
from panda_core.scoring.fusion import score
from panda_core.scoring.maps import smooth
from panda_core.scoring.metrics import auprc, aupro, auroc, auroc_ci, pixel_auroc
from panda_core.trainer import run_training

ROOT = Path(os.environ.get("PANDA_DATA", Path(__file__).resolve().parent.parent.parent / "shared" / "datasets"))
SETS = {
    "plantvillage/apple": "flip-rotate",
    "plantvillage/tomato": "flip-rotate",
    "elpv/mono": "flip",
    "mvtec_ad/bottle": "flip-rotate",
    "magnetic_tile/tile": "flip",
}


@dataclass(frozen=True)
class Seen:
    """The test split as the networks saw it."""

    samples: list[LabelledImage]
    evidence: list[Evidence]
    milliseconds: float

    @property
    def labels(self) -> np.ndarray:
        return np.array([sample.label != "good" for sample in self.samples])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--size", type=int, default=128, help="side the generator and critic see")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--runs", type=Path, default=Path("runs/benchmark"))
    parser.add_argument("--out", type=Path, default=Path("docs/results/detection"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for seed in arguments.seeds:
        for name in arguments.sets:
            target = arguments.out / f"{name.replace('/', '-')}-{arguments.size}-seed{seed}.json"
            if not target.exists():
                records = measure(name, seed, arguments.size, arguments.runs / target.stem)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(json.dumps(records, indent=1) + "\n")
                print(json.dumps([{k: r[k] for k in ("dataset", "preset", "seed", "auroc", "error_auroc", "weights")} for r in records]))


def measure(name: str, seed: int, size: int, run_path: Path) -> list[dict[str, Any]]:
    """Train (or resume) one run and give the records of both presets."""
    config = preset("best").override(**{"data.size": size, "data.augment": SETS[name], "train.seed": seed})
    started = time.time()
    run = RunDir.open(run_path) if (run_path / "config.json").exists() else RunDir.create(run_path, config, ROOT / name)
    if run.status().state != "done":
        run_training(run, device="cpu")
    seconds = time.time() - started
    model = load_model(run.model_path)
    splits = scan(ROOT / name, data=config.data, seed=seed)
    calibration_images = gather(model, splits.validation, scoring=model.config.scoring, seed=seed)
    seen = look(model, labelled_test(ROOT / name))
    common = {
        "detector": config.detector,
        "dataset": name.split("/")[0],
        "category": name.split("/")[1],
        "seed": seed,
        "size": size,
        "train_seconds": round(seconds),
        "ms_per_image": seen.milliseconds,
        "parameters": sum(v.numel() for v in model.detector.inference_state().values()),
        "device": f"cpu, {torch.get_num_threads()} thread(s), {platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "data_fingerprint": splits.fingerprint,
        "versions": versions(),
        "critic": critic_health(model, run, splits.validation),
    }
    balanced = calibration_images.without("percept", "percept_pooled").fit(model.config.scoring)
    best = calibration_images.fit(model.config.scoring)
    return [
        {"preset": label, **common, **figures(seen, fit, model.config, seed)} for label, fit in (("balanced", balanced), ("best", best))
    ]


def look(model: Model, samples: list[LabelledImage]) -> Seen:
    """Evidence of the test images, one by one, with the median time of one."""
    evidence, times = [], []
    for sample in samples:
        image = read_image(sample.path)
        start = time.perf_counter()
        evidence += examine_images(model, [image])
        times.append((time.perf_counter() - start) * 1000)
    return Seen(samples, evidence, float(np.median(times)))


def figures(seen: Seen, calibration: Calibration, config: Config, seed: int) -> dict[str, Any]:
    """What a calibration makes of the test split."""
    labels = seen.labels
    scores = np.array([score(e.errors, calibration)[0] for e in seen.evidence])
    single = {name: auroc(labels, np.array([e.errors[name] for e in seen.evidence])) for name in calibration.errors}
    low, high = auroc_ci(labels, scores, seed=seed)
    result: dict[str, Any] = {
        "auroc": auroc(labels, scores),
        "auroc_ci": [low, high],
        "auprc": auprc(labels, scores),
        "prevalence": float(labels.mean()),
        "error_auroc": single,
        "loss_to_best_single": max(single.values()) - auroc(labels, scores),
        "weights": {name: stats.weight for name, stats in calibration.errors.items()},
        "rec_err": float(np.mean([e.errors["recon"] for e in seen.evidence])),
        "adv_err": float(np.mean([e.errors["adv_x"] for e in seen.evidence])),
        "boundary": calibration.boundary.kind,
        "false_alarm_rate": float((scores[~labels] > calibration.boundary.value).mean()),
        "miss_rate": float((scores[labels] <= calibration.boundary.value).mean()),
    }
    return result | locations(seen, calibration, config)


def locations(seen: Seen, calibration: Calibration, config: Config) -> dict[str, Any]:
    """Pixel AUROC of each map alone and AUPRO of the first, where masks exist."""
    if all(sample.mask is None for sample in seen.samples):
        return {}
    side = config.data.size
    masks = [_mask(sample, side) for sample in seen.samples]
    found: dict[str, Any] = {}
    for name, stats in calibration.maps.items():
        shown = [(smooth(e.maps[name], config.scoring.smoothing) - stats.mean) / stats.std for e in seen.evidence]
        found |= {f"pixel_auroc_{name}": pixel_auroc(masks, shown), f"aupro_{name}": aupro(masks, shown)}
    return found


def _mask(sample: LabelledImage, side: int) -> np.ndarray:
    if sample.mask is None:
        return np.zeros((side, side), bool)
    return np.asarray(cv2.resize(read_image(sample.mask)[:, :, 0], (side, side), interpolation=cv2.INTER_AREA) > 63)


def critic_health(model: Model, run: RunDir, validation: Sequence[Path]) -> dict[str, float]:
    """Standard deviation of the logits C(x) of validation normals, and L_C at the end of training."""
    x = torch.from_numpy(np.stack([prepare(read_image(path), model.config.data.size) for path in validation]))
    with torch.inference_mode():
        logits = torch.cat([model.detector.critic(part).logit for part in x.split(16)])  # type: ignore[attr-defined]
    last = [event["critic.L_C"] for event in run.events() if "critic.L_C" in event][-20:]
    return {"logit_std": float(logits.std()), "L_C": float(np.mean(last))}


if __name__ == "__main__":
    main()
