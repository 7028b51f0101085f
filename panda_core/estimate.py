"""How long a training will take here: a few of its own steps, measured on its own images, thrown away afterwards."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import torch

from panda_core.calibration import SYNTHETIC_PER_IMAGE
from panda_core.config import Config
from panda_core.data.batches import Batches
from panda_core.data.depth import stretch_for
from panda_core.data.folders import Splits, scan
from panda_core.data.images import prepare, readable
from panda_core.detectors import Detector, build_detector
from panda_core.detectors.base import examining
from panda_core.fabric import make_fabric
from panda_core.finishing import check_enough
from panda_core.percept import FITTED_IMAGES, PerceptualEvidence
from panda_core.pretext import needs_pretext, pretext_task, pretrain_vgg19
from panda_core.resume import save_state
from panda_core.trainer import batches_for, concrete
from panda_core.training import CHECKPOINT_SHARE, Trainer, steps_between_checkpoints
from panda_core.tuning import check_tuning, read_parent

MEASURED_STEPS = 3
MEASURED_IMAGES = 8


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds, measured on this machine with nothing else assumed to run."""

    seconds: float
    """Of the whole training, from the scan to the model folder."""
    warmup_step: float
    """0 without a warm-up."""
    game_step: float
    """A step of the game between generator and critic; 0 without one."""
    calibrate: float
    """Perceptual evidence, calibration and writing, together."""
    images: int
    """Normal images trained on."""
    held_out: int
    device: str
    pretext_step: float = 0.0
    """A step of the self-supervised VGG19; 0 where there is none to make."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def estimate(
    config: Config, data: str | Path, *, exclude: Collection[str] = (), device: str = "auto", parent: Path | None = None
) -> Estimate:
    """Measure MEASURED_STEPS steps of each kind after one that warms up. ``parent``: folder of the model to begin with.

    Raises FolderError, WeightsError, ConfigError, CalibrationError, TrainingError, as the training would.
    """
    config = concrete(config)
    if parent is not None:
        check_tuning(read_parent(parent)[0], config)
    fabric = make_fabric(config, device, 1)
    started = time.perf_counter()
    splits = scan(Path(data), data=config.data, seed=config.train.seed, exclude=exclude)
    scanned = time.perf_counter() - started
    check_enough(config, splits)
    torch.manual_seed(0)
    # The specific perceptual network is not trained yet; untrained it costs the same.
    detector = build_detector(config, pretrained=config.loss.reconstruction != "perceptual-specific")
    train = config.train
    with batches_for(config, splits.train) as batches:
        trainer = Trainer(detector, config=train, fabric=fabric)
        warm = _measure(trainer, batches, 0, train.warmup_steps)
        game = _measure(trainer, batches, train.warmup_steps, train.warmup_steps + train.adversarial_steps)
        saved = _saving(trainer)
    pretext = _pretext_step(config, splits.train, fabric.device) if needs_pretext(config, tuned=parent is not None) else 0.0
    epochs = trainer.total // steps_between_checkpoints(train, len(splits.train))
    finish = _finishing(config, detector, fabric.device, splits)
    steps = train.warmup_steps * warm + train.adversarial_steps * game
    checkpoints = min(epochs * saved, CHECKPOINT_SHARE * steps)
    seconds = scanned + train.pretext_steps * pretext + steps + checkpoints + finish
    return Estimate(seconds, warm, game, finish, len(splits.train), len(splits.validation), str(fabric.device), pretext)


def _measure(trainer: Trainer, batches: Batches, first: int, stop: int) -> float:
    """Median seconds of a step from ``first`` on; 0 where there is none."""
    found: list[float] = []
    trainer.step, trainer.total = first, min(stop, first + 1 + MEASURED_STEPS)
    trainer.fit(batches, on_step=lambda progress: found.append(progress.seconds))
    trainer.total = trainer.config.warmup_steps + trainer.config.adversarial_steps
    return median(found[1:] or found) if found else 0.0


def _pretext_step(config: Config, paths: Sequence[Path], device: torch.device) -> float:
    times: list[float] = []
    pretrain_vgg19(
        paths, size=config.data.size, steps=1 + MEASURED_STEPS, task=pretext_task(config), batch=config.train.batch, device=device,
        deep=stretch_for(config.data), precision=config.train.precision,
        on_step=lambda step, loss, accuracy: times.append(time.perf_counter()),
    )  # fmt: skip
    return (times[-1] - times[0]) / MEASURED_STEPS


def _saving(trainer: Trainer) -> float:
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        save_state(Path(place) / "state.safetensors", trainer.state())
    return time.perf_counter() - started


def _finishing(config: Config, detector: Detector, device: torch.device, splits: Splits) -> float:
    """Seconds from the last step to the model: every training image through f, every held-out one and its anomalies through all."""
    images = [image for _, image in islice(readable(splits.train, deep=stretch_for(config.data)), MEASURED_IMAGES)]
    looked = SYNTHETIC_PER_IMAGE * len(splits.validation) + len(splits.validation) + len(splits.anomalous)
    with examining(detector):
        each = _seconds_each(images, config.data.size, device, detector.examine)
    seconds = looked * each
    if config.percept.enabled:
        percept = PerceptualEvidence(config.percept, pretrained=True).to(device).eval()
        with torch.inference_mode():
            one = _seconds_each(images, config.percept.size, device, percept.features)
        seconds += (min(len(splits.train), FITTED_IMAGES) + looked) * one
    return seconds


def _seconds_each(images: Sequence[Any], size: int, device: torch.device, look: Any) -> float:
    x = torch.stack([torch.from_numpy(prepare(image, size)) for image in images]).to(device)
    times = []
    for _ in range(2):
        started = time.perf_counter()
        look(x)
        times.append(time.perf_counter() - started)
    return times[-1] / len(images)
