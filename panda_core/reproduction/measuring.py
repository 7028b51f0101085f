"""A trained model and a labelled test split -> the numbers of a record. Here, and only here, test images are read, once."""

from __future__ import annotations

import dataclasses
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from panda_core.card import versions
from panda_core.data.folders import LabelledImage
from panda_core.data.images import read_image
from panda_core.inspection import Calibration, Evidence, Picture
from panda_core.scoring.fusion import fuse
from panda_core.scoring.maps import resize_map, standardise
from panda_core.scoring.metrics import auprc, aupro, auroc, auroc_bootstrap_ci, eer, pixel_auroc, prevalence
from panda_core.scoring.resampling import bootstrap_interval

if TYPE_CHECKING:
    import torch

    from panda_core.checkpoint import Model
    from panda_core.runs import RunDir

TIMED_IMAGES = 20
CRITIC_STEPS = 20
"""L_C is the mean of so many last steps of the critic."""
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Seen:
    """The test split as one detector saw it."""

    samples: Sequence[LabelledImage]
    evidence: Sequence[Evidence]
    groups: Sequence[str] | None
    """What each image is resampled with; None: independent."""
    seconds: float

    @property
    def labels(self) -> NDArray[np.bool_]:
        """True: anomalous."""
        return labels_of(self.samples)


def labels_of(samples: Sequence[LabelledImage]) -> NDArray[np.bool_]:
    """True: anomalous."""
    return np.array([sample.label != "good" for sample in samples])


def groups_of(samples: Sequence[LabelledImage], folder: Path, groups: Mapping[str, str]) -> list[str] | None:
    """The group of each test image, from paths relative to ``folder``; None where the set has no groups."""
    if not groups:
        return None
    return [groups[sample.path.relative_to(folder).as_posix()] for sample in samples]


def look(model: Model, samples: Sequence[LabelledImage], groups: Sequence[str] | None) -> Seen:
    """What the networks say of the test images. Raises ImageError on one that cannot be read: a record is of the whole split."""
    from panda_core.inspector import examine_images

    started = time.perf_counter()
    evidence: list[Evidence] = []
    for start in range(0, len(samples), 8):
        evidence += examine_images(model, [read_image(sample.path) for sample in samples[start : start + 8]])
    return Seen(samples, evidence, groups, time.perf_counter() - started)


def milliseconds(model: Model, images: Sequence[Picture]) -> float:
    """Median time of one image alone, from pixels to errors, after a first one that warms up."""
    from panda_core.inspector import examine_images

    times = []
    for image in (images[0], *images[:TIMED_IMAGES]):
        started = time.perf_counter()
        list(examine_images(model, [image]))
        times.append((time.perf_counter() - started) * 1000)
    return float(np.median(times[1:]))


def separation(labels: NDArray[np.bool_], scores: Floats, *, groups: Sequence[str] | None, seed: int, video: bool) -> dict[str, Any]:
    """Fields of a record that need scores only, those of any system. Raises CalibrationError where a class is missing."""
    if groups is None:
        interval = auroc_bootstrap_ci(labels, scores, seed=seed)
    else:
        interval = bootstrap_interval(auroc, labels, scores, seed=seed, groups=groups)
    return {
        "auroc": auroc(labels, scores),
        "auroc_ci": interval,
        "auprc": auprc(labels, scores),
        "auprc_ci": bootstrap_interval(auprc, labels, scores, seed=seed, groups=groups),
        "auprc_normal": auprc(~labels, -scores),
        "auprc_normal_ci": bootstrap_interval(auprc, ~labels, -scores, seed=seed, groups=groups),
        "prevalence": prevalence(labels),
        "eer": eer(labels, scores) if video else None,
        "normal": int((~labels).sum()),
        "anomalous": int(labels.sum()),
    }


def judged(seen: Seen, calibration: Calibration, *, seed: int, video: bool) -> tuple[dict[str, Any], Floats]:
    """Fields of a record that a calibration makes of the test split, and the scores."""
    labels = seen.labels
    errors = {name: np.array([evidence.errors[name] for evidence in seen.evidence]) for name in calibration.errors}
    scores = fuse(errors, calibration.errors, calibration.fusion)
    boundary = calibration.boundary
    fields = separation(labels, scores, groups=seen.groups, seed=seed, video=video) | {
        "error_auroc": {name: auroc(labels, values) for name, values in errors.items()},
        "weights": {name: stats.weight for name, stats in calibration.errors.items()},
        "rec_err": float(errors["recon"].mean()) if "recon" in errors else _mean_residual(seen.evidence),
        "adv_err": float(errors["adv_x"].mean()) if "adv_x" in errors else None,
        "boundary_kind": boundary.kind,
        "false_alarm_rate": float((scores[~labels] > boundary.value).mean()),
        "miss_rate": float((scores[labels] <= boundary.value).mean()),
    }
    return fields | _located(seen, calibration), scores


def _mean_residual(evidence: Sequence[Evidence]) -> float | None:
    """Of a detector that reports no reconstruction error; None where it does not reconstruct and gives a residual of zero."""
    mean = float(np.mean([seen.maps["residual"].mean() for seen in evidence]))
    return mean if mean > 0 else None


def _located(seen: Seen, calibration: Calibration) -> dict[str, float | None]:
    """Pixel AUROC and AUPRO of the shown map, over normal images and the anomalous ones whose mask is known."""
    from panda_core.data.masks import MAP_SIDE, true_mask

    pairs = [(true_mask(sample), evidence) for sample, evidence in zip(seen.samples, seen.evidence, strict=True)]
    known = [(mask, evidence) for mask, evidence in pairs if mask is not None]
    if not any(mask.any() for mask, _ in known):
        return {"pixel_auroc": None, "aupro": None}
    masks = [mask for mask, _ in known]
    maps = [resize_map(standardise(evidence.maps, calibration), MAP_SIDE, MAP_SIDE) for _, evidence in known]
    if not any(float(shown.std()) > 0 for shown in maps):  # a system without a map gives the same everywhere
        return {"pixel_auroc": None, "aupro": None}
    return {"pixel_auroc": pixel_auroc(masks, maps), "aupro": aupro(masks, maps)}


def critic_health(model: Model, run: RunDir, validation: Sequence[Path]) -> dict[str, float]:
    """Standard deviation of the logits C(x) of held-out normal images, and L_C at the end of the game; {} without such a critic.

    A critic whose logits do not vary, or whose L_C is near 0, has nothing to say.
    """
    import torch

    from panda_core.data.images import prepare
    from panda_core.detectors.panda import Panda
    from panda_core.inspector import model_device

    losses = [event["critic.L_C"] for event in run.events() if event.get("critic.L_C") is not None][-CRITIC_STEPS:]
    if not isinstance(model.detector, Panda) or not losses:
        return {}
    x = torch.from_numpy(np.stack([prepare(read_image(path), model.config.data.size) for path in validation])).to(model_device(model))
    with torch.inference_mode():
        logits = torch.cat([model.detector.critic(part).logit for part in x.split(16)])
    return {"logit_std": float(logits.float().std(correction=0)), "L_C": float(np.mean(losses))}


def parameters(model: Model) -> int:
    """Numbers that inference needs: networks and, where there is one, perceptual evidence."""
    state = list(model.detector.inference_state().values())
    return sum(value.numel() for value in (*state, *(model.percept.state_dict().values() if model.percept else ())))


def without_percept(model: Model) -> Model:
    """The same model, its perceptual evidence left out."""
    return dataclasses.replace(model, percept=None)


def device_words(device: torch.device) -> str:
    """Kind of device and, for a processor, its threads: what a time or a last digit depends on."""
    import torch

    if device.type == "cuda":
        return f"cuda, {torch.cuda.get_device_name(device)}"
    return f"{device.type}, {torch.get_num_threads()} thread(s), {platform.machine()} {torch.backends.cpu.get_cpu_capability()}"


def package_version() -> str:
    """Of this package, as a record has it."""
    return versions()["panda-inspector"]
