"""Self-supervised VGG19 on the folder's own normal images: the *specific* perceptual network (paper III-A, PL_ps).

SGD, momentum 0.9, learning rate 1e-4 as in the paper (IV-A). The pretext task is *(open)*: `rotation` predicts by how many
quarter turns an image was turned; `jigsaw` predicts which of eight arrangements of its four quadrants was shown, and so also works
for things that have no upright.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import save as pack
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import vgg19

from panda_core.config import Augment
from panda_core.data.batches import Batches
from panda_core.errors import TrainingError

Task = Literal["rotation", "jigsaw"]
LEARNING_RATE = 1e-4
MOMENTUM = 0.9
ARRANGEMENTS = ((0, 1, 2, 3), (1, 0, 3, 2), (2, 3, 0, 1), (3, 2, 1, 0), (0, 2, 1, 3), (1, 3, 0, 2), (3, 1, 2, 0), (2, 0, 3, 1))
"""Eight of the 24 orders of the quadrants, as far apart as they come."""


class PretextNetwork(nn.Module):
    """VGG19's convolutions, global average pooling, one linear layer."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.features = vgg19(weights=None).features
        self.judge = nn.Linear(512, classes)

    def forward(self, x: Tensor) -> Tensor:
        """B x 3 x S x S in [-1, 1] -> B x classes logits."""
        logits: Tensor = self.judge(self.features(x).mean(dim=(2, 3)))
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
    device: torch.device | str = "cpu",
    on_step: Callable[[int, float, float], None] = lambda step, loss, accuracy: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> dict[str, Tensor] | None:
    """Train VGG19 on normal images; ``on_step(step, loss, accuracy)``. Returns the convolutions' tensors, None if stopped.

    Raises TrainingError where the loss is not finite.
    """
    torch.manual_seed(seed)
    make, classes = (turn, 4) if task == "rotation" else (shuffle_quadrants, len(ARRANGEMENTS))
    network = PretextNetwork(classes).to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimiser = torch.optim.SGD(network.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)
    augment: Augment = "none"  # turns and flips are the question here, so the images come as they are
    with Batches(paths, size=size, augment=augment, batch=batch, seed=seed) as batches:
        for step in range(steps):
            if should_stop():
                return None
            x = torch.from_numpy(batches.at(step)).to(device)
            labels = torch.randint(classes, (len(x),), generator=torch.Generator().manual_seed(seed * 1_000_003 + step)).to(device)
            logits = network(make(x, labels))
            loss = functional.cross_entropy(logits, labels)
            if not torch.isfinite(loss):
                raise TrainingError(f"pretext step {step}: the loss is not finite.")
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            on_step(step + 1, float(loss.detach()), float((logits.argmax(1) == labels).float().mean()))
    return {f"features.{name}": value.detach().cpu().contiguous() for name, value in network.features.state_dict().items()}


def save(path: Path, state: dict[str, Tensor]) -> None:
    """Write the tensors as safetensors: to a temporary file, then renamed."""
    temporary = path.with_suffix(".partial")
    temporary.write_bytes(pack(state))  # not save_file, whose files only their owner can read
    os.replace(temporary, path)
