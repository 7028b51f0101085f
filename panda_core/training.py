"""The training loop: one for all detectors. It knows no loss formula, no files and no user interface.

A step is a pure function of (seed, step): batches and noise are drawn from a generator seeded by both, so a resumed
training equals an uninterrupted one bit for bit, and no random state needs saving.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from panda_core.config import TrainConfig
from panda_core.data.batches import Batches
from panda_core.detectors.base import Detector, Phase
from panda_core.errors import TrainingError

SATURATED_LOSS = 0.1
"""Mean L_C below which the critic has won: C(x) then says nothing about unseen images."""
WATCH_WINDOW = 30
CHECKPOINT_SHARE = 0.05
"""A checkpoint waits until those before it have taken no more than this share of the time..."""
CHECKPOINT_WAIT = 120.0
"""...but no longer than this many seconds, after which the next that is due is made: a slow disk may take more than its share."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What the loop reports after each step."""

    step: int
    """Steps done."""
    total: int
    losses: Mapping[str, float]
    """Mean over ranks is not taken: rank 0's values. "phase.term" -> value."""
    seconds: float
    """Duration of this step."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TrainState:
    """All that is needed to go on: tensors of the detector ("detector.*") and of the optimisers ("optimiser.<phase>.*")."""

    step: int
    tensors: Mapping[str, Tensor] = field(repr=False)


class Trainer:
    """Moves a detector through its phases. Complete once constructed; `fit` may be called once."""

    def __init__(self, detector: Detector, *, config: TrainConfig, fabric: Fabric, state: TrainState | None = None) -> None:
        if not isinstance(detector, nn.Module):
            raise TrainingError("A detector must be an nn.Module.")
        self.detector, self.module, self.config, self.fabric = detector, detector, config, fabric
        fabric.to_device(self.module)
        if config.channels_last:
            self.module.to(memory_format=torch.channels_last)
        self.phases = detector.phases()
        self.optimisers = {phase.name: _optimiser(phase, config) for phase in self.phases}
        self.trained = {id(p) for phase in self.phases for p in phase.parameters()}
        self.total = config.warmup_steps + config.adversarial_steps
        self.recent: list[float] = []
        self.step = 0
        if state is not None:
            self._restore(state)

    def fit(
        self,
        batches: Batches,
        *,
        on_step: Callable[[Progress], None] = lambda progress: None,
        on_checkpoint: Callable[[TrainState], None] = lambda state: None,
        checkpoint_every: int | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> TrainState:
        """Train to the last step, or until ``should_stop``. Raises TrainingError where a loss or gradient is not finite.

        ``on_checkpoint`` is called after the last step, and every ``checkpoint_every`` steps as far as `CHECKPOINT_SHARE` allows.
        """
        kept, taken = time.perf_counter(), 0.0
        while self.step < self.total and not self._agree(should_stop()):
            started = time.perf_counter()
            values = self._one_step(batches)
            self.step += 1
            on_step(Progress(self.step, self.total, values, time.perf_counter() - started, self._watch(values)))
            due = checkpoint_every and self.step % checkpoint_every == 0 and self.step < self.total
            now = time.perf_counter()
            if due and now - kept >= min(taken / CHECKPOINT_SHARE - taken, CHECKPOINT_WAIT):
                on_checkpoint(self.state())
                kept = time.perf_counter()
                taken = kept - now
        state = self.state()
        on_checkpoint(state)
        return state

    def state(self) -> TrainState:
        """A snapshot; tensors are copies on the CPU."""
        tensors = {f"detector.{name}": value.detach().cpu().clone() for name, value in self.module.state_dict().items()}
        for phase, optimiser in self.optimisers.items():
            for index, slots in optimiser.state_dict()["state"].items():
                for slot, value in slots.items():
                    tensors[f"optimiser.{phase}.{index}.{slot}"] = torch.as_tensor(value).detach().cpu().clone()
        return TrainState(self.step, tensors)

    def _restore(self, state: TrainState) -> None:
        detector = {name.removeprefix("detector."): v for name, v in state.tensors.items() if name.startswith("detector.")}
        try:
            self.module.load_state_dict(detector)
        except RuntimeError as error:
            raise TrainingError("The checkpoint belongs to another configuration; start a new run.") from error
        slots: dict[str, dict[int, dict[str, Tensor]]] = {name: {} for name in self.optimisers}
        for name, value in state.tensors.items():
            if name.startswith("optimiser."):
                _, phase, index, slot = name.split(".")
                slots[phase].setdefault(int(index), {})[slot] = value
        for name, optimiser in self.optimisers.items():
            optimiser.load_state_dict(optimiser.state_dict() | {"state": slots[name]})
        self.step = state.step

    def _one_step(self, batches: Batches) -> dict[str, float]:
        rank, world = self.fabric.global_rank, self.fabric.world_size
        x = torch.from_numpy(batches.at(self.step, rank=rank, world=world))
        x = self.fabric.to_device(x.to(memory_format=torch.channels_last) if self.config.channels_last else x)
        self.module.train()
        values: dict[str, float] = {}
        for phase in self.phases:
            if phase.active(self.step):
                torch.manual_seed(step_seed(self.config.seed, self.step, rank, phase.name))
                values |= self._one_phase(phase, x)
        self.detector.after_step(self.step)
        return values

    def _one_phase(self, phase: Phase, x: Tensor) -> dict[str, float]:
        moved = phase.parameters()
        moving = {id(p) for p in moved}
        for parameter in self.module.parameters():
            if id(parameter) in self.trained:
                parameter.requires_grad_(id(parameter) in moving)
        optimiser = self.optimisers[phase.name]
        optimiser.zero_grad(set_to_none=True)
        with self.fabric.autocast():
            terms = self.detector.loss(phase.name, x, self.step)
        values = {f"{phase.name}.{name.removeprefix('_')}": float(value.detach()) for name, value in terms.items()}
        self._require_finite(phase, values)
        descent = [value for name, value in terms.items() if not name.startswith("_")]
        if descent:
            self.fabric.backward(torch.stack(descent).sum())
        if self._average_gradients(moved, contributes=bool(descent)):
            self._step_optimiser(phase, optimiser, moved)
        return values

    def _step_optimiser(self, phase: Phase, optimiser: torch.optim.Optimizer, moved: list[nn.Parameter]) -> None:
        limit = self.config.clip or math.inf
        norm = nn.utils.clip_grad_norm_(moved, limit)
        if not torch.isfinite(norm):
            raise TrainingError(f"step {self.step}, phase {phase.name}: the gradient is not finite. Lower the learning rate or use fp32.")
        optimiser.step()

    def _average_gradients(self, moved: list[nn.Parameter], *, contributes: bool) -> bool:
        """Mean gradient over the ranks that have one; True where any rank has. One flat all-reduce per phase."""
        if self.fabric.world_size == 1:
            return contributes
        parts = [p.grad.flatten() if p.grad is not None else torch.zeros_like(p).flatten() for p in moved]
        flag = torch.tensor([float(contributes)], device=parts[0].device, dtype=parts[0].dtype)
        total = cast(Tensor, self.fabric.all_reduce(torch.cat([flag, *parts]), reduce_op="sum"))
        count, flat = float(total[0]), total[1:]
        if count == 0:
            return False
        for parameter, grad in zip(moved, torch.split(flat, [p.numel() for p in moved]), strict=True):
            parameter.grad = (grad / count).view_as(parameter).clone(memory_format=torch.preserve_format)
        return True

    def _require_finite(self, phase: Phase, values: Mapping[str, float]) -> None:
        if not all(math.isfinite(value) for value in values.values()):
            said = ", ".join(f"{name.split('.', 1)[1]}={value:.3g}" for name, value in values.items())
            raise TrainingError(f"step {self.step}, phase {phase.name}: {said}. Training stopped; the last checkpoint is intact.")

    def _watch(self, values: Mapping[str, float]) -> tuple[str, ...]:
        """Warn once each window while the critic is saturated."""
        if "critic.L_C" not in values:
            return ()
        self.recent = [*self.recent[-(WATCH_WINDOW - 1) :], values["critic.L_C"]]
        mean = sum(self.recent) / len(self.recent)
        if len(self.recent) < WATCH_WINDOW or mean > SATURATED_LOSS or self.step % WATCH_WINDOW:
            return ()
        return (f"The critic is saturated (mean L_C {mean:.3f}): C(x) says little about new images. Lower train.critic_lr.",)

    def _agree(self, stop: bool) -> bool:
        """All ranks stop at the same step."""
        if self.fabric.world_size == 1:
            return stop
        flag = self.fabric.all_reduce(torch.tensor(float(stop), device=self.fabric.device), reduce_op="sum")
        return float(flag) > 0  # type: ignore[arg-type]


def steps_between_checkpoints(train: TrainConfig, images: int) -> int:
    """An epoch over this many images, but from ten to a hundred checkpoints a training: they take 70 MB each, and time."""
    total = train.warmup_steps + train.adversarial_steps
    return max(1, min(images // train.batch, total // 10), total // 100)


def step_seed(seed: int, step: int, rank: int, phase: str) -> int:
    """A 63-bit seed from all four; unlike a sum, no two steps of two seeds share it."""
    digest = hashlib.sha256(f"{seed}/{step}/{rank}/{phase}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def _optimiser(phase: Phase, config: TrainConfig) -> torch.optim.Optimizer:
    build = torch.optim.Adam if config.optimiser == "adam" else torch.optim.AdamW
    return build(phase.parameters(), lr=phase.lr, betas=phase.betas, weight_decay=config.weight_decay)
