"""All of an inspection as one graph of tensors, from an image's pixels to score and anomaly map: what is exported."""

from __future__ import annotations

from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from panda_core.checkpoint import Model
from panda_core.inspection import Calibration
from panda_core.inspector import look
from panda_core.scoring.fusion import term
from panda_core.scoring.maps import smooth


class Answer(NamedTuple):
    """What the graph says of N images."""

    score: Tensor
    """N float32: raw fused score, larger = stranger, never clipped."""
    p_value: Tensor
    """N float32 in (0, 1]: share of normal images that score as high (conformal, as `Inspection.p_value`)."""
    anomaly_map: Tensor
    """N x S x S float32, in standard deviations of normal images."""
    reconstruction: Tensor
    """N x S x S x 3 uint8 RGB."""
    errors: Tensor
    """N x E float32: the raw errors, in the calibration's order."""


class PortableGraph(nn.Module):
    """A calibrated model in float32, of whose numbers none is computed outside of PyTorch.

    It does what `Inspector` does before it brings the map to the image's own size. Thresholds are not in it: they are the caller's.
    """

    blur: Tensor
    map_mean: Tensor
    map_std: Tensor
    normal_scores: Tensor

    def __init__(self, model: Model, calibration: Calibration) -> None:
        super().__init__()
        self.model, self.calibration = model, calibration
        # Registered, so that their tensors are parts of the graph.
        self.detector, self.percept = cast(nn.Module, model.detector), model.percept
        used = {name: stats for name, stats in calibration.maps.items() if stats.weight > 0}
        total = sum(stats.weight for stats in used.values())
        self.shares = {name: stats.weight / total for name, stats in used.items()}
        self.register_buffer("map_mean", torch.from_numpy(np.stack([stats.mean for stats in used.values()])))
        self.register_buffer("map_std", torch.from_numpy(np.stack([stats.std for stats in used.values()])))
        self.register_buffer("blur", _blurring(model.config.data.size, calibration.smoothing))
        self.register_buffer("normal_scores", torch.from_numpy(np.array(calibration.normal_scores, dtype=np.float64)))

    def forward(self, images: Tensor) -> Answer:
        """images: N x H x W x 3 uint8 RGB, of any one size."""
        config = self.model.config
        closer = None if self.percept is None else prepared(images, config.percept.size)
        seen = look(self.model, prepared(images, config.data.size), closer)
        errors = {name: seen.errors[name].float() for name in self.calibration.errors}
        score = torch.stack(
            [term(errors[name].double(), stats, self.calibration.fusion) for name, stats in self.calibration.errors.items()]
        ).sum(dim=0)
        as_high = (self.normal_scores >= score[:, None]).sum(dim=1)
        p_value = (1 + as_high).float() / (1 + len(self.calibration.normal_scores))
        shown = torch.zeros_like(seen.maps["residual"][:, 0])
        for index, (name, share) in enumerate(self.shares.items()):
            smoothed = self.blur @ seen.maps[name][:, 0] @ self.blur.T
            shown = shown + share * (smoothed - self.map_mean[index]) / self.map_std[index]
        return Answer(score.float(), p_value, shown, seen.pictures, torch.stack(list(errors.values()), dim=1))


def _blurring(side: int, sigma: float) -> Tensor:
    """`smooth` along one axis as a matrix, side x side: blurred, each column of the unit matrix by itself is one of its columns."""
    unit = np.eye(side, dtype=np.float32)
    return torch.from_numpy(np.concatenate([smooth(unit[:, i : i + 1], sigma) for i in range(side)], axis=1))


class _Axis(NamedTuple):
    """How one axis of L pixels becomes one of S."""

    first: Tensor
    """S x L: of each new pixel the mean over its area where the axis shrinks, else the old pixel before its place."""
    second: Tensor
    """S x L: the same, else the old pixel behind its place."""
    share: Tensor
    """S: of the second, in 2048ths; 0 where the axis shrinks."""
    halved: Tensor
    """Whether L is twice S."""


def prepared(images: Tensor, side: int) -> Tensor:
    """N x H x W x 3 uint8 -> N x 3 x side x side in [-1, 1], as `data.images.prepare`.

    Rounded as OpenCV 4 and 5 round on a processor: what is enlarged would else be off by a grey level in one pixel of eight, which
    moved scores by up to 0.15 of the normal images' standard deviation.
    """
    x = images.permute(0, 3, 1, 2).float()
    rows, columns = (_axis(length, side) for length in x.shape[2:])
    halved = rows.halved & columns.halved
    lines = [_across(line @ x, columns, halved) for line in (rows.first, rows.second)]
    upper, lower = ((line.double() / 16).floor() for line in lines)
    share = rows.share.double()[:, None]
    total = ((2048 - share) * upper / 65536).floor() + (share * lower / 65536).floor()
    return ((total + 2) / 4).floor().float() / 127.5 - 1.0


def _across(lines: Tensor, columns: _Axis, halved: Tensor) -> Tensor:
    """N x 3 x S x W -> N x 3 x S x S, in 2048ths of a grey level."""
    first, second = (lines @ matrix.T for matrix in (columns.first, columns.second))
    first, second = (torch.where(halved, (means + 0.5).floor(), means.round()) for means in (first, second))
    return (2048 - columns.share) * first + columns.share * second


def _axis(length: int, side: int) -> _Axis:
    """``length`` stays a variable of the graph: it enters as the size of a tensor, never as a number."""
    place, pixel = torch.arange(side, dtype=torch.float32)[:, None], torch.arange(length, dtype=torch.float32)[None]
    last = pixel[0, -1]
    step = (last + 1) / side
    shrinks = step > 1
    means = (torch.minimum((place + 1) * step, pixel + 1) - torch.maximum(place * step, pixel)).clamp_min(0) / step
    centre = ((place + 0.5) * step - 0.5).clamp_min(0)
    before = torch.minimum(centre.floor(), last)
    behind = torch.minimum(before + 1, last)
    share = torch.where(shrinks, 0.0, (2048 * (centre - before)).round() * (before < last))[:, 0]
    first, second = (torch.where(shrinks, means, (pixel == at).float()) for at in (before, behind))
    return _Axis(first, second, share, step == 2)
