"""What a person can watch while a model learns: reconstructions, the critic's opinion, load and time left. Writes into the run folder."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import psutil
import torch
from lightning_fabric.loggers.csv_logs import CSVLogger
from torch import Tensor

from panda_core.detectors.base import Examination
from panda_core.durable import written_aside
from panda_core.runs import RunDir
from panda_core.training import Progress

if TYPE_CHECKING:
    from panda_core.config import TrainConfig

RESOURCE_SECONDS = 5.0
MOST_PREVIEWS = 60
"""Pictures kept of one training; older ones are thinned out evenly."""
PREVIEW_IMAGES = 8
LARGEST_PREVIEW = 128
"""Pixels a side of one image of a preview."""
GAME_FACTOR = 3.0
"""A step of the game between generator and critic costs 2 to 5 steps of the warm-up (measured, two cores); used until one is measured."""


class Watch:
    """Takes notes of one training, in the process that trains."""

    def __init__(self, run: RunDir, config: TrainConfig, device: torch.device, *, step: int) -> None:
        """``step``: where the training begins or goes on."""
        self.run, self.config, self.device = run, config, device
        self._seconds: dict[bool, list[float]] = {False: [], True: []}
        """Of the latest steps of the warm-up (False) and of the game (True)."""
        self._process = psutil.Process()
        self._process.cpu_percent()  # the first answer is for the time since the process began
        self._next_sample = time.monotonic() + RESOURCE_SECONDS
        # A folder for each start: rows of steps that a kill undid stay beside those that were done again.
        place, version = run.path / "csv", f"from-step-{step:08d}"
        again = sum(path.name.startswith(version) for path in place.iterdir()) if place.is_dir() else 0
        self._csv = CSVLogger(run.path, name="csv", version=f"{version}-{again + 1}" if again else version, flush_logs_every_n_steps=50)

    def step(self, progress: Progress) -> None:
        """After each step: its losses and, every few seconds, the load of the machine."""
        game = progress.step > self.config.warmup_steps
        self._seconds[game] = [*self._seconds[game][-19:], progress.seconds]
        self.run.record({"event": "step", "step": progress.step, "seconds": progress.seconds, **progress.losses})
        self._csv.log_metrics({"seconds": progress.seconds, **progress.losses}, step=progress.step)
        if time.monotonic() >= self._next_sample:
            self._next_sample = time.monotonic() + RESOURCE_SECONDS
            self.run.record({"event": "resources", **self.resources()})

    def remaining(self, step: int) -> float:
        """Seconds the steps after ``step`` will take, from the median of the latest; 0 before the first is measured."""
        warm, game = (float(np.median(values)) if values else None for values in self._seconds.values())
        if warm is None and game is None:
            return 0.0
        warm = warm if warm is not None else (game or 0.0) / GAME_FACTOR
        game = game if game is not None else warm * GAME_FACTOR
        left_warm = max(0, self.config.warmup_steps - step)
        left_game = self.config.adversarial_steps - max(0, step - self.config.warmup_steps)
        return left_warm * warm + left_game * game

    def resources(self) -> dict[str, Any]:
        """Load of this process: ``cpu`` in percent of one core, ``memory`` and ``memory_total`` in bytes, ``gpu`` or None."""
        gpu = None
        if self.device.type == "cuda":
            free, total = torch.cuda.mem_get_info(self.device)
            gpu = {"name": torch.cuda.get_device_name(self.device), "memory": total - free, "memory_total": total}
        memory = self._process.memory_info().rss
        return {"cpu": self._process.cpu_percent(), "memory": memory, "memory_total": psutil.virtual_memory().total, "gpu": gpu}

    def validation(self, step: int, x: Tensor, seen: Examination) -> None:
        """What the detector makes of held-out images, B x 3 x S x S in [-1, 1]: mean error, the critic's logits, a picture.

        The error is ``recon``, or the first of a detector that has no such error.
        """
        shown_error = seen.errors.get("recon", next(iter(seen.errors.values())))
        event: dict[str, Any] = {"event": "validation", "step": step, "recon": float(shown_error.mean())}
        for name, error in (("critic_x", "adv_x"), ("critic_rec", "adv_rec")):
            if error in seen.errors:
                event[name] = [round(value, 4) for value in _logits(seen.errors[error])]
        self.run.record(event)
        shown = PREVIEW_IMAGES
        sheet = preview_sheet(x[:shown].float().cpu(), seen.reconstruction[:shown].float().cpu())
        file = self.run.path / "previews" / f"{step:08d}.jpg"
        file.parent.mkdir(exist_ok=True)
        _write_picture(file, sheet)
        _write_picture(self.run.preview_path, sheet)
        self.run.record({"event": "preview", "step": step, "file": f"previews/{file.name}"})
        thin_out(sorted(file.parent.glob("*.jpg")))

    def close(self) -> None:
        """Bring the last lines of the CSV file to the disk."""
        self._csv.save()


def _logits(adversarial: Tensor) -> list[float]:
    """C's logits from the errors 1 - C: B values in [0, 1], kept off the ends where a logit is infinite."""
    chance = adversarial.cpu().double().clamp(1e-6, 1 - 1e-6)  # first off the device: MPS has no float64
    return [float(value) for value in torch.logit(1 - chance)]


def preview_sheet(images: Tensor, reconstructions: Tensor) -> np.ndarray:
    """Originals above reconstructions: two n x 3 x S x S in [-1, 1] -> 2s x ns x 3 uint8 RGB, s = min(S, LARGEST_PREVIEW)."""
    rows = []
    for row in (images, reconstructions):
        pixels = ((row.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
        side = min(pixels.shape[1], LARGEST_PREVIEW)
        rows.append(np.concatenate([cv2.resize(one, (side, side), interpolation=cv2.INTER_AREA) for one in pixels], axis=1))
    return np.concatenate(rows, axis=0)


def _write_picture(path: Path, sheet: np.ndarray) -> None:
    with written_aside(path, durable=False) as temporary:
        temporary.write_bytes(cv2.imencode(path.suffix, cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))[1].tobytes())


def thin_out(files: Sequence[Path], *, most: int = MOST_PREVIEWS) -> None:
    """Delete every second file but the last once there are more than ``most``: what is left is spread evenly."""
    if len(files) <= most:
        return
    for path in files[1:-1:2]:
        path.unlink()
