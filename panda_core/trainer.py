"""A training from a run directory: scan, pretext, fit, perceptual evidence, calibration, model folder.

The same code runs for one process and for one of several; only rank 0 writes.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Literal, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor

from panda_core.calibration import calibrate
from panda_core.card import Card, DataCard, versions
from panda_core.checkpoint import DetectorModule, Model, save_model
from panda_core.config import Config
from panda_core.data.batches import Batches
from panda_core.data.folders import Splits, scan
from panda_core.data.images import prepare, read_image
from panda_core.detectors import build_detector
from panda_core.devices import autocast_dtype, pick_device
from panda_core.errors import ImageError, PandaError, TrainingError
from panda_core.inspection import Picture
from panda_core.percept import PerceptualEvidence
from panda_core.pretext import pretrain_vgg19
from panda_core.pretext import save as save_pretext
from panda_core.pretrained import read_tensors, resolve_backbone
from panda_core.resume import load_state, save_state
from panda_core.runs import RunDir
from panda_core.training import Progress, Trainer, TrainState

Outcome = Literal["done", "stopped"]
STATUS_SECONDS = 0.5
"""status.json is rewritten at most this often."""
PREVIEW_IMAGES = 8


def run_training(run: RunDir, *, device: str = "auto", devices: int = 1) -> Outcome:
    """Train, calibrate and save the model of this run; resumes where a checkpoint exists.

    SIGTERM, SIGINT and the run's cancel file stop it after the current step, with a checkpoint: "stopped".
    ``devices`` > 1 trains data-parallel, one process a device; ``train.batch`` is the batch of all together.
    Raises PandaError subclasses, after writing them to the run's status as "failed".
    """
    fabric = _fabric(run.config, device, devices)
    fabric.launch()
    with run.hold() if fabric.is_global_zero else nullcontext(), _signals() as signalled:
        try:
            return _Stages(run, fabric, signalled).go()
        except PandaError as error:
            if fabric.is_global_zero:
                run.write_status("failed", detail=str(error))
            raise


class _Stages:
    """One training, stage by stage."""

    def __init__(self, run: RunDir, fabric: Fabric, signalled: Callable[[], bool]) -> None:
        self.run, self.fabric, self.signalled = run, fabric, signalled
        self.config = _concrete(run.config)
        self.leads = fabric.is_global_zero
        self.last_status = 0.0
        self.total = self.config.train.warmup_steps + self.config.train.adversarial_steps

    def should_stop(self) -> bool:
        return self.signalled() or (self.leads and self.run.cancelled())

    def say(self, stage: str, detail: str = "", *, step: int = 0, force: bool = True) -> None:
        """Write the status; often called, seldom written."""
        if self.leads and (force or time.monotonic() - self.last_status > STATUS_SECONDS):
            self.run.write_status("running", detail=detail, step=step, total=self.total, stage=stage)
            self.last_status = time.monotonic()

    def go(self) -> Outcome:
        started = time.time()
        self.say("scan", "Reading the folder.")
        splits = scan(self.run.data, data=self.config.data, seed=self.config.train.seed)
        if self.leads:
            self._record_splits(splits)
        specific = self._pretext(splits.train)
        if specific is None and self.config.loss.reconstruction == "perceptual-specific":
            return self._stopped(0)
        torch.manual_seed(self.config.train.seed)
        detector = build_detector(self.config, pretrained=True, specific=specific)
        trainer = Trainer(detector, config=self.config.train, fabric=self.fabric, state=load_state(self.run.state_path))
        per_epoch = max(1, len(splits.train) // self.config.train.batch)
        with self._batches(splits.train) as batches:
            trainer.fit(
                batches,
                on_step=self._on_step,
                on_checkpoint=lambda state: self._on_checkpoint(state, detector, splits.validation),
                checkpoint_every=per_epoch,
                should_stop=self.should_stop,
            )
        if trainer.step < trainer.total:
            return self._stopped(trainer.step)
        if self.leads:
            self._finish(detector, splits, seconds=time.time() - started)
        self.fabric.barrier()
        return "done"

    def _batches(self, paths: Sequence[Path]) -> Batches:
        data, train = self.config.data, self.config.train
        return Batches(paths, size=data.size, augment=data.augment, batch=train.batch, seed=train.seed)

    def _record_splits(self, splits: Splits) -> None:
        counts = {name: len(getattr(splits, name)) for name in ("train", "validation", "anomalous")}
        self.run.record({"event": "data", **counts, "fingerprint": splits.fingerprint})
        for problem in splits.problems:
            self.run.record({"event": "problem", "path": str(problem.path), "reason": problem.reason})

    def _pretext(self, paths: Sequence[Path]) -> dict[str, Tensor] | None:
        """Weights of the specific perceptual network, trained once per run; None where not needed or stopped."""
        if self.config.loss.reconstruction != "perceptual-specific":
            return None
        place = self.run.path / "pretext.safetensors"
        if not place.exists() and self.leads:
            train = self.config.train
            task = train.pretext_task
            if task == "auto":
                task = "jigsaw" if self.config.data.augment == "flip-rotate" else "rotation"
            state = pretrain_vgg19(
                paths, size=self.config.data.size, steps=train.pretext_steps, task=task, seed=train.seed, batch=train.batch,
                device=self.fabric.device, on_step=self._on_pretext_step, should_stop=self.should_stop,
            )  # fmt: skip
            if state is not None:
                save_pretext(place, state)
        self.fabric.barrier()
        return read_tensors(place) if place.exists() else None

    def _on_pretext_step(self, step: int, loss: float, accuracy: float) -> None:
        self.run.record({"event": "pretext", "step": step, "loss": loss, "accuracy": accuracy})
        self.say("pretext", f"Self-supervised VGG19, step {step} of {self.config.train.pretext_steps}.", force=False)

    def _on_step(self, progress: Progress) -> None:
        if not self.leads:
            return
        self.run.record({"event": "step", "step": progress.step, "seconds": progress.seconds, **progress.losses})
        for warning in progress.warnings:
            self.run.record({"event": "warning", "step": progress.step, "message": warning})
            print(warning, file=sys.stderr)
        self.say("train", step=progress.step, force=False)

    def _on_checkpoint(self, state: TrainState, detector: torch.nn.Module, validation: Sequence[Path]) -> None:
        if not self.leads:
            return
        save_state(self.run.state_path, state)
        size = self.config.data.size
        images = [torch.from_numpy(prepare(image, size)) for image in islice(_readable(validation), PREVIEW_IMAGES)]
        x = self.fabric.to_device(torch.stack(images))
        with torch.inference_mode(), self.fabric.autocast():
            seen = detector.examine(x)  # type: ignore[operator]
        error = float(seen.errors["recon"].mean())
        self.run.record({"event": "validation", "step": state.step, "recon": error})
        _write_preview(self.run.preview_path, torch.cat([x, seen.reconstruction.float()]).cpu())

    def _stopped(self, step: int) -> Outcome:
        if self.leads:
            detail = f"Stopped at step {step} of {self.total}. Go on with: panda train --run {self.run.path} --resume"
            self.run.write_status("stopped", detail=detail, step=step, total=self.total)
        return "stopped"

    def _finish(self, detector: torch.nn.Module, splits: Splits, *, seconds: float) -> None:
        percept = self._fit_percept(splits.train)
        card = Card(
            name=self.run.name,
            title=self.run.name,
            config=self.config,
            data=DataCard(
                description=f"Normal images of the folder {self.run.data.name}",
                licence="not stated",
                sources=(),
                train=len(splits.train),
                validation=len(splits.validation),
                fingerprint=splits.fingerprint,
            ),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            versions=versions(),
        )
        model = Model(self.run.name, self.config, cast(DetectorModule, detector.eval()), percept, None, card)
        self.say("calibrate", "Calibrating on held-out images.", step=self.total)
        model.calibration = calibrate(
            model, splits.validation, anomalous_paths=splits.anomalous, scoring=self.config.scoring, seed=self.config.train.seed
        )
        save_model(self.run.model_path, model)
        boundary = model.calibration.boundary
        self.run.record({"event": "done", "seconds": seconds, "boundary": boundary.value, "boundary_kind": boundary.kind})
        self.run.write_status("done", detail=boundary.reason, step=self.total, total=self.total)

    def _fit_percept(self, paths: Sequence[Path]) -> PerceptualEvidence | None:
        if not self.config.percept.enabled:
            return None
        self.say("percept", "Fitting perceptual evidence.", step=self.total)
        percept = PerceptualEvidence(self.config.percept, pretrained=True)
        self.fabric.to_device(percept)
        percept.fit(self._prepared(paths))
        return percept.eval()

    def _prepared(self, paths: Sequence[Path], *, batch: int = 16) -> Iterator[Tensor]:
        images = []
        for image in _readable(paths):
            images.append(torch.from_numpy(prepare(image, self.config.percept.size)))
            if len(images) == batch:
                yield self.fabric.to_device(torch.stack(images))
                images = []
        if images:
            yield self.fabric.to_device(torch.stack(images))


def _concrete(config: Config) -> Config:
    """``auto`` backbones resolved, so that the saved configuration names what was used."""
    loss = replace(config.loss, backbone=resolve_backbone(config.loss.backbone))  # type: ignore[arg-type]
    percept = replace(config.percept, backbone=resolve_backbone(config.percept.backbone))  # type: ignore[arg-type]
    return replace(config, loss=loss, percept=percept)


def _fabric(config: Config, device: str, devices: int) -> Fabric:
    picked = pick_device(device)
    half = autocast_dtype(picked, config.train.precision) is not None
    if devices < 1:
        raise TrainingError(f"devices is {devices}; at least one is needed.")
    chosen: int | list[int] = [picked.index] if picked.index is not None and devices == 1 else devices
    return Fabric(
        accelerator=picked.type, devices=chosen, strategy="ddp" if devices > 1 else "auto", precision="bf16-mixed" if half else "32-true"
    )


def _readable(paths: Sequence[Path]) -> Iterator[Picture]:
    """The images that can be read, each decoded once; the folder scan has listed the others."""
    for path in paths:
        with suppress(ImageError):
            yield read_image(path)


def _write_preview(path: Path, pairs: Tensor) -> None:
    """Originals above reconstructions: 2n x 3 x S x S in [-1, 1] -> PNG."""
    import cv2

    pixels = ((pairs.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    top, bottom = (torch.from_numpy(half.copy()) for half in (pixels[: len(pixels) // 2], pixels[len(pixels) // 2 :]))
    sheet = torch.cat([torch.cat(list(row), dim=1) for row in (top, bottom)], dim=0).numpy()
    temporary = path.with_name(f".{path.name}")
    temporary.write_bytes(cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))[1].tobytes())
    os.replace(temporary, path)


@contextmanager
def _signals() -> Iterator[Callable[[], bool]]:
    """SIGTERM and SIGINT ask the loop to stop after its step; a second SIGINT ends at once. Only in the main thread."""
    asked: list[int] = []

    def ask(number: int, frame: object) -> None:
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.append(number)

    try:
        before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    except ValueError:  # not the main thread: the caller stops us by the cancel file
        before = {}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
