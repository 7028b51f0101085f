"""CSI (Tack et al. 2020, arXiv 2007.08176), reduced: contrastive features of normal images, with turned images as negatives.

Literal: SimCLR in which a quarter turn makes another image (a shifted instance), a second head that names the turn, and the score:
over the four turns, similarity to the nearest training image times the length of the feature, plus the logit of the turn, each
divided by its mean over training images.
Open or reduced: a wide residual network of depth 10 for ResNet-18, Adam for LARS, small batches, no averaging over random views of
the inspected image; of the training images, the features of the last MEMORY seen. Before the last steps of a training the memory is
empty, and the score means nothing. Nothing is reconstructed: the image itself is given back, with an empty residual.
Turns must mean something: `data.augment` must not turn images.
Reads `baseline`: width; `train`: generator_lr, batch, warmup_steps and adversarial_steps (their sum).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from panda_core.config import Config
from panda_core.detectors.base import Examination, Phase
from panda_core.detectors.state import DetectorOfParts
from panda_core.nets.contrastive import contrastive_loss, random_view
from panda_core.nets.perceptual import FrozenFeatures
from panda_core.nets.wide import WideResNet

TURNS = 4
DIMENSIONS = 128
"""Of the features that are compared, as in SimCLR."""
TEMPERATURE = 0.5
MEMORY = 256
"""Training images whose features are kept."""


def turned(x: Tensor) -> Tensor:
    """All quarter turns, one after the other: B x 3 x S x S -> 4B x 3 x S x S."""
    return torch.cat([torch.rot90(x, turns, (-2, -1)) for turns in range(TURNS)])


class Memory(nn.Module):
    """What the network said of training images: features and, for each turn, the logit of that turn."""

    features: Tensor
    logits: Tensor
    filled: Tensor

    def __init__(self) -> None:
        super().__init__()
        # Ones, not zeros: the means that scores are divided by must never be 0.
        self.register_buffer("features", torch.ones(TURNS, MEMORY, DIMENSIONS))
        self.register_buffer("logits", torch.ones(TURNS, MEMORY))
        self.register_buffer("filled", torch.zeros((), dtype=torch.long))

    def keep(self, features: Tensor, logits: Tensor) -> None:
        """turns x n x dimensions and turns x n, where there is room."""
        start = int(self.filled)
        stop = min(MEMORY, start + features.shape[1])
        self.features[:, start:stop] = features[:, : stop - start]
        self.logits[:, start:stop] = logits[:, : stop - start]
        self.filled.fill_(stop)

    def familiarity(self, features: Tensor, logits: Tensor) -> Tensor:
        """The score of the paper, larger = more normal: turns x B x dimensions and turns x B -> B."""
        known = slice(0, max(1, int(self.filled)))
        kept, kept_logits = self.features[:, known], self.logits[:, known]
        directions, kept_directions = functional.normalize(features, dim=2), functional.normalize(kept, dim=2)
        # Products and a sum, not a matrix product: exact in float32 under autocast, too.
        nearest = (directions[:, :, None] * kept_directions[:, None]).sum(dim=3).amax(dim=2)
        contrastive = nearest * features.norm(dim=2) / kept.norm(dim=2).mean(dim=1, keepdim=True)
        familiar: Tensor = (contrastive + logits / kept_logits.mean(dim=1, keepdim=True)).sum(dim=0)
        return familiar


class Csi(DetectorOfParts):
    """One phase; a memory that is filled in the last steps and travels with the model."""

    kept = ("body", "project", "name_turn", "memory")

    def __init__(self, config: Config, features: FrozenFeatures | None) -> None:
        super().__init__(config, features)
        self.body = WideResNet(config.baseline.width, config.data.size)
        width = self.body.channels
        self.project = nn.Sequential(nn.Linear(width, width), nn.ReLU(inplace=True), nn.Linear(width, DIMENSIONS))
        self.name_turn = nn.Linear(width, TURNS)
        self.memory = Memory()
        self._seen: Tensor | None = None

    def phases(self) -> tuple[Phase, ...]:
        """A single phase for all steps."""
        return (Phase("features", (self.body, self.project, self.name_turn), self.config.train.generator_lr),)

    def loss(self, phase: str, x: Tensor, step: int) -> dict[str, Tensor]:
        """NT-Xent over two random views of all turned images, and the cross-entropy of the turn."""
        self._seen = x
        both = self.body(torch.cat([turned(random_view(x)), turned(random_view(x))]))
        first, second = self.project(both).chunk(2)
        turns = torch.arange(TURNS, device=x.device).repeat_interleave(len(x)).repeat(2)
        return {
            "contrast": contrastive_loss(first, second, temperature=TEMPERATURE),
            "turn": functional.cross_entropy(self.name_turn(both), turns),
        }

    @torch.no_grad()
    def after_step(self, step: int) -> None:
        """Fill the memory in the last steps, with features as they are at inference."""
        train = self.config.train
        first = max(0, train.warmup_steps + train.adversarial_steps - math.ceil(MEMORY / train.batch))
        if step == first:
            self.memory.filled.zero_()  # a fine-tuned model brings its parent's memory along
        if self._seen is not None and step >= first:
            self.eval()
            self.memory.keep(*self._features(self._seen))
        self._seen = None

    def _features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features turns x B x dimensions, and the logit of each turn for the image so turned, turns x B; float32."""
        seen = self.body(turned(x))
        logits = self.name_turn(seen).float().view(TURNS, len(x), TURNS)
        return self.project(seen).float().view(TURNS, len(x), DIMENSIONS), logits.diagonal(dim1=0, dim2=2).T

    @torch.no_grad()
    def examine(self, x: Tensor) -> Examination:
        """score: minus the familiarity of the paper. No reconstruction, no residual."""
        self.eval()
        return Examination.of_score(x, x, -self.memory.familiarity(*self._features(x)))
