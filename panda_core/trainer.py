"""A training from a run directory: scan, pretext, fit, perceptual evidence, calibration, model folder.

The same code runs for one process and for one of several; only rank 0 writes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import torch
from lightning_fabric import Fabric
from torch import Tensor

from panda_core.card import CARD_FILE, Card
from panda_core.checkpoint import check_place
from panda_core.config import Config
from panda_core.data.batches import Batches
from panda_core.data.depth import stretch_for
from panda_core.data.folders import Splits, scan
from panda_core.data.images import prepare, readable
from panda_core.data.samples import Problem
from panda_core.detectors import build_detector
from panda_core.detectors.base import examining, searches
from panda_core.errors import FolderError, PandaError, TrainingError
from panda_core.fabric import make_fabric
from panda_core.finishing import Finishing, check_enough
from panda_core.memory import keep_freed_memory
from panda_core.origins import UNKNOWN, Origins
from panda_core.pretext import needs_pretext, pretext_task, pretrain_vgg19
from panda_core.pretext import save as save_pretext
from panda_core.pretrained import read_tensors, resolve_backbone
from panda_core.resume import load_state, save_state
from panda_core.runs import RunDir
from panda_core.stopping import stop_signals
from panda_core.training import Progress, Trainer, TrainState, steps_between_checkpoints
from panda_core.tuning import check_tuning, keep_parent, read_parent, take_over
from panda_core.watching import Watch

Outcome = Literal["done", "stopped"]
STATUS_SECONDS = 0.5
"""status.json is rewritten at most this often."""
VALIDATION_IMAGES = 64
"""Held-out images looked at after each epoch, at most."""
PRETEXT, PRETEXT_STATE = "pretext.safetensors", "pretext-state.safetensors"
PARENT = "parent"
"""Folder in a run: what is kept of the model that is fine-tuned."""
PRETEXT_CHECKPOINT = 100
"""Self-supervised steps between checkpoints of the VGG19, of 160 MB each."""


class _Stopped(Exception):
    """Somebody asked to stop in the middle of a stage."""


def run_training(run: RunDir, *, device: str = "auto", devices: int = 1, machines: int = 1) -> Outcome:
    """Train, calibrate and save the model of this run; resumes where a checkpoint exists.

    SIGTERM, SIGINT and the run's cancel file stop it after the current step, with a checkpoint: "stopped".
    ``devices`` > 1 trains data-parallel, one process a device; ``train.batch`` is the batch of all together. ``machines`` > 1: so do
    as many machines with as many devices each, told apart by $NODE_RANK, which find the first at $MASTER_ADDR, $MASTER_PORT.
    Raises PandaError subclasses, after writing them to the run's status as "failed", and TrainingError where the run is done: what was
    kept in its model since then would be lost.
    """
    keep_freed_memory()
    fabric = make_fabric(run.config, device, devices, machines)
    fabric.launch()
    with run.hold() if fabric.is_global_zero else nullcontext(), stop_signals() as signalled:
        run.require_unfinished()
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
        self.config = concrete(run.config)
        self.leads = fabric.is_global_zero
        self.last_status = 0.0
        self.total = self.config.train.warmup_steps + self.config.train.adversarial_steps
        self.step = run.status().step if run.state_path.exists() else 0
        self.watch: Watch | None = None

    def should_stop(self) -> bool:
        return self.signalled() or (self.leads and self.run.cancelled())

    def heed(self, *_: object) -> None:
        """Called again and again in the stages that are no loop of ours. Raises _Stopped."""
        if self.fabric.world_size == 1 and self.should_stop():
            raise _Stopped

    def say(self, stage: str, detail: str = "", *, force: bool = True, remaining: float | None = None) -> None:
        """Write the status; often called, seldom written."""
        if self.leads and (force or time.monotonic() - self.last_status > STATUS_SECONDS):
            self.run.write_status("running", detail=detail, step=self.step, total=self.total, stage=stage, remaining=remaining)
            self.last_status = time.monotonic()

    def go(self) -> Outcome:
        try:
            return self._go()
        except _Stopped:
            return self._stopped()
        finally:
            if self.watch is not None:
                self.watch.close()

    def _go(self) -> Outcome:
        check_place(self.run.model_path)  # what would end a training after its last step
        before = self.run.events()
        started = time.time() - _worked(before)
        self.say("scan", "Reading the folder.")
        seed, parent, inherited = self.config.train.seed, None, UNKNOWN
        if self.run.parent is not None:
            parent, inherited = self._parent(self.run.parent)
            check_tuning(parent, self.config)
            # What the parent was trained on is not what its child is judged by. Its seed sees to that, too, on the same folder and where
            # a parent of an earlier version does not know its images.
            seed = parent.config.train.seed
        rank = inherited.rank
        splits = scan(self.run.data, data=self.config.data, seed=seed, exclude=self.run.exclude, rank=rank, on_progress=self.heed)
        self._require_same_images(splits, before)
        if self.leads:
            self._record_splits(splits)
        check_enough(self.config, splits)
        needed = needs_pretext(self.config, tuned=self.run.parent is not None)
        specific = self._pretext(splits.train) if needed else None
        if needed and specific is None:
            return self._stopped()
        torch.manual_seed(self.config.train.seed)
        # A parent brings its own perceptual network.
        detector = build_detector(self.config, pretrained=self.run.parent is None, specific=specific)
        state = load_state(self.run.state_path)
        if self.run.parent is not None and state is None:
            take_over(detector, self.run.parent)
        trainer = Trainer(detector, config=self.config.train, fabric=self.fabric, state=state)
        self.step = trainer.step
        if self.leads:
            self.watch = Watch(self.run, self.config.train, self.fabric.device, step=trainer.step)
        with batches_for(self.config, splits.train) as batches:
            trainer.fit(
                batches,
                on_step=self._on_step,
                on_checkpoint=lambda state: self._on_checkpoint(state, detector, splits.validation),
                checkpoint_every=steps_between_checkpoints(self.config.train, len(splits.train)),
                should_stop=self.should_stop,
            )
        splits = self._without(batches.problems, splits)
        if trainer.step < trainer.total:
            return self._stopped()
        if self.leads:
            finishing = Finishing(self.run, self.config, self.fabric, splits, parent, inherited, say=self.say, heed=self.heed)
            finishing.finish(detector, seconds=time.time() - started)
        self.fabric.barrier()
        return "done"

    def _parent(self, folder: Path) -> tuple[Card, Origins]:
        """The model to fine-tune as it was when this training began, be it renamed, trained on or gone by now."""
        kept = self.run.path / PARENT
        if (kept / CARD_FILE).is_file():
            return read_parent(kept)
        found = read_parent(folder)
        if self.leads:
            keep_parent(*found, kept)
        return found

    def _require_same_images(self, splits: Splits, events: Sequence[Mapping[str, Any]]) -> None:
        """Raises TrainingError where it was begun with other images: a new split would calibrate with some that were trained on."""
        begun = any((self.run.path / name).exists() for name in (self.run.state_path.name, PRETEXT_STATE, PRETEXT))
        before = [event["fingerprint"] for event in events if event["event"] == "data"]
        if begun and before and before[-1] != splits.fingerprint:
            raise TrainingError(
                f"{self.run.data} has changed since this training began. Bring its images back as they were, or start a new training."
            )

    def _without(self, unreadable: Sequence[Problem], splits: Splits) -> Splits:
        """Without the images that could be read when the folder was scanned and not when they were to be trained on; says so."""
        known = {event["path"] for event in self.run.events() if event["event"] == "problem"}
        for problem in unreadable:
            if self.leads and str(problem.path) not in known:
                self._record_problem(problem)
        lost = {problem.path for problem in unreadable}
        return replace(splits, train=tuple(path for path in splits.train if path not in lost))

    def _record_problem(self, problem: Problem) -> None:
        self.run.record({"event": "problem", "path": str(problem.path), "reason": problem.reason})

    def _record_splits(self, splits: Splits) -> None:
        counts = {name: len(getattr(splits, name)) for name in ("train", "validation", "anomalous")}
        self.run.record({"event": "data", **counts, "fingerprint": splits.fingerprint})
        for problem in splits.problems:
            self._record_problem(problem)

    def _pretext(self, paths: Sequence[Path]) -> dict[str, Tensor] | None:
        """Weights of the specific perceptual network, trained once per run; None where it was stopped."""
        place = self.run.path / PRETEXT
        if not place.exists() and self.leads:
            train = self.config.train
            unfinished = self.run.path / PRETEXT_STATE
            state = pretrain_vgg19(
                paths, size=self.config.data.size, deep=stretch_for(self.config.data), steps=train.pretext_steps,
                task=pretext_task(self.config), seed=train.seed, batch=train.batch, device=self.fabric.device,
                precision=train.precision, state=load_state(unfinished),
                on_step=self._on_pretext_step, on_checkpoint=lambda state: save_state(unfinished, state),
                checkpoint_every=PRETEXT_CHECKPOINT, should_stop=self.should_stop,
            )  # fmt: skip
            if state is not None:
                save_pretext(place, state)
                unfinished.unlink(missing_ok=True)
        self.fabric.barrier()
        return read_tensors(place) if place.exists() else None

    def _on_pretext_step(self, step: int, loss: float, accuracy: float) -> None:
        self.run.record({"event": "pretext", "step": step, "loss": loss, "accuracy": accuracy})
        self.say("pretext", f"Self-supervised VGG19, step {step} of {self.config.train.pretext_steps}.", force=False)

    def _on_step(self, progress: Progress) -> None:
        self.step = progress.step
        if self.watch is None:
            return
        self.watch.step(progress)
        for warning in progress.warnings:
            self.run.record({"event": "warning", "step": progress.step, "message": warning})
            print(warning, file=sys.stderr)
        self.say("train", force=False, remaining=self.watch.remaining(progress.step))

    def _on_checkpoint(self, state: TrainState, detector: torch.nn.Module, validation: Sequence[Path]) -> None:
        if self.watch is None:
            return
        save_state(self.run.state_path, state)
        if searches(detector) and state.step < self.total:
            return  # a search for every held-out image would cost more than the epoch
        size = self.config.data.size
        images = [
            torch.from_numpy(prepare(image, size))
            for _, image in islice(readable(validation, deep=stretch_for(self.config.data)), VALIDATION_IMAGES)
        ]
        if not images:
            raise FolderError(f"None of the held-out images in {self.run.data} can be read any more. Bring them back, then resume.")
        x = self.fabric.to_device(torch.stack(images))
        with examining(detector), self.fabric.autocast():
            seen = detector.examine(x)  # type: ignore[operator]
        self.watch.validation(state.step, x, seen)

    def _stopped(self) -> Outcome:
        if self.leads:
            self.run.write_status("stopped", detail=f"Stopped at step {self.step} of {self.total}.", step=self.step, total=self.total)
        return "stopped"


def _worked(events: Sequence[Mapping[str, Any]]) -> float:
    """Seconds that the parts of a training have taken that was stopped or killed: each begins with an event "data"."""
    starts = [number for number, event in enumerate(events) if event["event"] == "data"]
    ends = [*starts, len(events)][1:]
    return float(sum(events[end - 1]["time"] - events[start]["time"] for start, end in zip(starts, ends, strict=True)))


def batches_for(config: Config, paths: Sequence[Path]) -> Batches:
    """What a configuration trains on."""
    data, train = config.data, config.train
    return Batches(paths, size=data.size, augment=data.augment, batch=train.batch, seed=train.seed, deep=stretch_for(data))


def concrete(config: Config) -> Config:
    """``auto`` backbones resolved, so that the saved configuration names what was used."""
    loss = replace(config.loss, backbone=resolve_backbone(config.loss.backbone))  # type: ignore[arg-type]
    percept = replace(config.percept, backbone=resolve_backbone(config.percept.backbone))  # type: ignore[arg-type]
    return replace(config, loss=loss, percept=percept)
