"""Deep anomaly detection using geometric transformations (Golan & El-Yaniv 2018, arXiv 1805.10917).

A classifier learns to tell which of 72 transformations a normal image underwent; an image is strange if it answers otherwise than
it did for normal ones. Literal: the transformations, the wide residual network of depth 10, the Dirichlet score.
Open or reduced: half its width; each step sees some random transformations of a batch instead of all in turn; answers for the
Dirichlets are those of the last fifth of the steps. Nothing is reconstructed: the image itself is given back, with an empty residual.
Turns and mirroring must mean something: `data.augment` other than ``none`` makes the classes the same and takes the method its ground.
Reads `baseline`: width; `train`: generator_lr, warmup_steps and adversarial_steps (their sum).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from panda_core.config import Config
from panda_core.detectors.base import Examination, Phase
from panda_core.detectors.state import DetectorOfParts
from panda_core.nets.dirichlet import Answers, Dirichlets
from panda_core.nets.perceptual import FrozenFeatures
from panda_core.nets.transformations import TRANSFORMATIONS, transform, transform_each
from panda_core.nets.wide import WideResNet

VIEWS = 4
"""Random transformations of each image of a batch."""
FITTED_SHARE = 0.2
"""Share of the steps, at the end, whose answers the Dirichlets are fitted to."""


class Dadugt(DetectorOfParts):
    """One phase; the score needs 72 passes for an image."""

    kept = ("classifier", "dirichlets")

    def __init__(self, config: Config, features: FrozenFeatures | None) -> None:
        super().__init__(config, features)
        body = WideResNet(config.baseline.width, config.data.size)
        self.classifier = nn.Sequential(body, nn.Linear(body.channels, len(TRANSFORMATIONS)))
        self.answers, self.dirichlets = Answers(len(TRANSFORMATIONS)), Dirichlets(len(TRANSFORMATIONS))
        self._asked: tuple[Tensor, Tensor] | None = None

    def phases(self) -> tuple[Phase, ...]:
        """A single phase for all steps."""
        return (Phase("classifier", (self.classifier,), self.config.train.generator_lr),)

    def loss(self, phase: str, x: Tensor, step: int) -> dict[str, Tensor]:
        """Cross-entropy of the transformation, of VIEWS random ones of each image."""
        numbers = torch.randint(len(TRANSFORMATIONS), (VIEWS * len(x),), device=x.device)
        views = transform_each(x.repeat(VIEWS, 1, 1, 1), numbers)
        self._asked = views, numbers
        logits = self.classifier(views)
        right = (logits.detach().argmax(dim=1) == numbers).float().mean()
        return {"class": functional.cross_entropy(logits, numbers), "_accuracy": right}

    @torch.no_grad()
    def after_step(self, step: int) -> None:
        """Collect answers at the end of training, as they are at inference; fit the Dirichlets after the last step."""
        total = self.config.train.warmup_steps + self.config.train.adversarial_steps
        if self._asked is not None and step >= total * (1 - FITTED_SHARE):
            views, numbers = self._asked
            self.eval()
            self.answers.collect(self._answer(views), numbers)
        self._asked = None
        if step == total - 1:
            self.dirichlets.fit(self.answers.mean_logs())

    def _answer(self, views: Tensor) -> Tensor:
        return functional.log_softmax(self.classifier(views).float(), dim=1)

    @torch.no_grad()
    def examine(self, x: Tensor) -> Examination:
        """score: how unlikely the answers to all 72 transformations are, under the Dirichlet of each. No reconstruction, no residual."""
        self.eval()
        answers = torch.stack([self._answer(transform(x, number)) for number in range(len(TRANSFORMATIONS))], dim=1)
        return Examination.of_score(x, x, self.dirichlets.strangeness(answers))
