"""Self-supervised VGG19 on the folder's own normal images: the *specific* perceptual network (paper III-A, PL_ps).

SGD, momentum 0.9, learning rate 1e-4 as in the paper (IV-A). The pretext task is *(open)*: `rotation` predicts by how many
quarter turns an image was turned; `jigsaw` predicts which of eight arrangements of its four quadrants was shown, and so also works
for things that have no upright.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import save as pack
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import vgg19

from panda_core.config import Augment, Config, Precision
from panda_core.data.batches import Batches
from panda_core.data.depth import Stretch, stretch
from panda_core.devices import autocast_dtype
from panda_core.durable import replacing
from panda_core.errors import TrainingError
from panda_core.nets.perceptual import IMAGENET_MEAN, IMAGENET_STD, InputScale
from panda_core.training import TrainState

Task = Literal["rotation", "jigsaw"]
LEARNING_RATE = 1e-4
MOMENTUM = 0.9
ARRANGEMENTS = ((0, 1, 2, 3), (1, 0, 3, 2), (2, 3, 0, 1), (3, 2, 1, 0), (0, 2, 1, 3), (1, 3, 0, 2), (3, 1, 2, 0), (2, 0, 3, 1))
"""Eight of the 24 orders of the quadrants, as far apart as they come."""


def needs_pretext(config: Config, *, tuned: bool) -> bool:
    """Whether a training makes this network: a model that is ``tuned`` brings its own, and only PANDA looks through one."""
    return config.loss.reconstruction == "perceptual-specific" and config.detector == "panda" and not tuned


def pretext_task(config: Config) -> Task:
    """``train.pretext_task``, ``auto`` resolved: jigsaw for what has no upright."""
    if config.train.pretext_task != "auto":
        return config.train.pretext_task
    return "jigsaw" if config.data.augment == "flip-rotate" else "rotation"


class PretextNetwork(nn.Module):
    """VGG19's convolutions, global average pooling, one linear layer."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.features = vgg19(weights=None).features
        self.scale = InputScale(IMAGENET_MEAN, IMAGENET_STD)  # as the loss shows images to it later
        self.judge = nn.Linear(512, classes)

    def forward(self, x: Tensor) -> Tensor:
        """B x 3 x S x S in [-1, 1] -> B x classes logits."""
        logits: Tensor = self.judge(self.features(self.scale(x)).mean(dim=(2, 3)))
        return logits


def turn(x: Tensor, labels: Tensor) -> Tensor:
    """Image i turned by labels[i] quarter turns: B x 3 x S x S -> the same shape."""
    return torch.stack([torch.rot90(image, int(k), dims=(1, 2)) for image, k in zip(x, labels, strict=True)])


def shuffle_quadrants(x: Tensor, labels: Tensor) -> Tensor:
    """Image i with its quadrants in order ARRANGEMENTS[labels[i]]: B x 3 x S x S, S even -> the same shape."""
    half = x.shape[-1] // 2
    tiles = torch.stack([x[..., :half, :half], x[..., :half, half:], x[..., half:, :half], x[..., half:, half:]], dim=1)
    order = torch.tensor(ARRANGEMENTS, device=x.device)[labels]
    mixed = tiles[torch.arange(len(x), device=x.device)[:, None], order]
    return torch.cat([torch.cat([mixed[:, 0], mixed[:, 1]], dim=-1), torch.cat([mixed[:, 2], mixed[:, 3]], dim=-1)], dim=-2)


def pretrain_vgg19(
    paths: Sequence[Path],
    *,
    size: int = 128,
    steps: int = 1000,
    task: Task = "rotation",
    seed: int = 0,
    batch: int = 15,
    deep: Stretch = stretch,
    device: torch.device | str = "cpu",
    precision: Precision = "auto",
    state: TrainState | None = None,
    on_step: Callable[[int, float, float], None] = lambda step, loss, accuracy: None,
    on_checkpoint: Callable[[TrainState], None] = lambda state: None,
    checkpoint_every: int | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> dict[str, Tensor] | None:
    """Train VGG19 on normal images; ``on_step(step, loss, accuracy)``. Returns the convolutions' tensors in fp32, None if stopped.

    ``precision`` as in TrainConfig: ``auto`` multiplies in bf16 where the hardware does. Goes on from ``state``, one that
    ``on_checkpoint`` was given: every so many steps, and when it is stopped. The result is the same to the bit as without a stop.
    Raises TrainingError where the loss is not finite, or ``state`` is of another network.
    """
    torch.manual_seed(seed)
    pretraining = _Pretraining(task, seed, torch.device(device), precision)
    if state is not None:
        pretraining.restore(state)
    first = 0 if state is None else state.step
    augment: Augment = "none"  # turns and flips are the question here, so the images come as they are
    with Batches(paths, size=size, augment=augment, batch=batch, seed=seed, deep=deep) as batches:
        for step in range(first, steps):
            if should_stop():
                if step > first:
                    on_checkpoint(pretraining.state(step))
                return None
            on_step(step + 1, *pretraining.step(torch.from_numpy(batches.at(step)), step))
            if checkpoint_every and (step + 1) % checkpoint_every == 0 and step + 1 < steps:
                on_checkpoint(pretraining.state(step + 1))
    features = pretraining.network.features.state_dict()
    return {f"features.{name}": value.detach().cpu().contiguous() for name, value in features.items()}


class _Pretraining:
    """Network and optimiser. A step is a function of (seed, step), so no random state needs saving."""

    def __init__(self, task: Task, seed: int, device: torch.device, precision: Precision) -> None:
        self.make, self.classes = (turn, 4) if task == "rotation" else (shuffle_quadrants, len(ARRANGEMENTS))
        self.seed, self.device, self.half = seed, device, autocast_dtype(device, precision)
        self.network = PretextNetwork(self.classes).to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        self.optimiser = torch.optim.SGD(self.network.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)

    def step(self, x: Tensor, step: int) -> tuple[float, float]:
        """B x 3 x S x S -> loss and accuracy of this batch. Raises TrainingError."""
        chance = torch.Generator().manual_seed((self.seed * 1_000_003 + step) % 2**63)
        labels = torch.randint(self.classes, (len(x),), generator=chance).to(self.device)
        with torch.autocast(self.device.type, dtype=self.half, enabled=self.half is not None):
            logits = self.network(self.make(x.to(self.device), labels)).float()
        loss = functional.cross_entropy(logits, labels)
        if not torch.isfinite(loss):
            raise TrainingError(f"pretext step {step}: the loss is not finite.")
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        return float(loss.detach()), float((logits.argmax(1) == labels).float().mean())

    def state(self, step: int) -> TrainState:
        """Copies on the CPU."""
        slots = self.optimiser.state_dict()["state"]
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"momentum.{index}": slot["momentum_buffer"] for index, slot in slots.items()}
        return TrainState(step, {name: value.detach().cpu().clone() for name, value in tensors.items()})

    def restore(self, state: TrainState) -> None:
        parts: dict[str, dict[str, Tensor]] = {"network": {}, "momentum": {}}
        for name, value in state.tensors.items():
            part, _, rest = name.partition(".")
            parts.setdefault(part, {})[rest] = value
        try:
            self.network.load_state_dict(parts["network"])
        except RuntimeError as error:
            raise TrainingError("The checkpoint of the self-supervised VGG19 belongs to another task; start a new run.") from error
        slots = {int(index): {"momentum_buffer": value} for index, value in parts["momentum"].items()}
        self.optimiser.load_state_dict(self.optimiser.state_dict() | {"state": slots})


def save(path: Path, state: dict[str, Tensor]) -> None:
    """Write the tensors as safetensors: to a temporary file, to the disk, then renamed. Raises OSError."""
    temporary = path.with_suffix(".partial")
    with replacing(path, temporary, durable=True):
        temporary.write_bytes(pack(state))  # not save_file, whose files only their owner can read
