"""Perceptual evidence (beyond the paper): how unusual are frozen features of an image, location by location?

Features of three layers of f are brought to one grid, locally averaged and standardised; at each location a Gaussian is
fitted over the normal training images, its covariance shrunk towards the mean covariance of all locations. Where normal
images come in several kinds (*modes*), each kind has Gaussians of its own. The Mahalanobis distance is a map; standardised by
what it usually is at each location, the mean of its largest values is the error `percept`.

What is strange as a whole rather than somewhere (another colour, another texture all over) is the second error, `percept_pooled`:
the distance of the features' mean and standard deviation over all locations.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import numpy as np
import torch
from scipy.cluster.vq import kmeans2
from torch import Tensor, nn
from torch.nn import functional

from panda_core.config import PerceptConfig
from panda_core.devices import exact_float32
from panda_core.errors import CalibrationError
from panda_core.nets.perceptual import build_features
from panda_core.pooled import PooledGaussian
from panda_core.pretrained import load_imagenet, resolve_backbone

GRID_STRIDE = 8
"""Pixels of the input per grid cell."""
MINIMUM_IMAGES = 4
FITTED_IMAGES = 2000
"""Training images that the Gaussians are fitted to, at most; of more, an even selection: each takes half a megabyte, three times over."""
HOLD_OUT = 4
"""Every so many images of a mode tell what its error usually is."""


class PerceptualEvidence(nn.Module):
    """Frozen f and the Gaussians of normal images. ``fit`` once, then ``measure``; both travel in the model file."""

    channel_mean: Tensor
    channel_std: Tensor
    chosen: Tensor
    mu: Tensor
    usual: Tensor
    place_mean: Tensor
    place_std: Tensor
    whitening: Tensor

    def __init__(self, config: PerceptConfig, *, pretrained: bool) -> None:
        """``pretrained`` loads ImageNet weights (raises WeightsError when absent); without it ``load_state_dict`` follows."""
        super().__init__()
        self.config = config
        name = resolve_backbone(config.backbone)
        self.features = build_features(name, pyramid=True)
        if pretrained:
            load_imagenet(self.features, name)
        total = sum(self.features.channels)
        self.dimensions = min(config.dimensions, total)
        self.side = config.size // GRID_STRIDE
        cells, packed = self.side**2, self.dimensions * (self.dimensions + 1) // 2
        self.register_buffer("channel_mean", torch.zeros(total))
        self.register_buffer("channel_std", torch.ones(total))
        # A fixed random subset of the channels keeps the covariances small; PaDiM found it to cost little.
        generator = torch.Generator().manual_seed(0)
        self.register_buffer("chosen", torch.randperm(total, generator=generator)[: self.dimensions].sort().values)
        self.register_buffer("mu", torch.zeros(config.modes, cells, self.dimensions))
        self.register_buffer("whitening", torch.zeros(config.modes, cells, packed))
        self.register_buffer("place_mean", torch.zeros(config.modes, cells))
        self.register_buffer("place_std", torch.ones(config.modes, cells))
        self.register_buffer("usual", torch.tensor([[0.0, 1.0]]).repeat(config.modes, 1))
        self.pooled = nn.ModuleList(PooledGaussian(2 * total) for _ in range(config.modes if config.pooled else 0))
        self._factor: Tensor | None = None

    @property
    def error_names(self) -> tuple[str, ...]:
        """The errors that `measure` gives."""
        return ("percept", "percept_pooled") if self.config.pooled else ("percept",)

    @torch.no_grad()
    def fit(self, batches: Iterable[Tensor]) -> None:
        """Estimate the Gaussians from normal training images: batches of B x 3 x P x P in [-1, 1].

        With several modes, images are first grouped by k-means on their pooled features (seeded, so repeatable). A mode that no group
        of MINIMUM_IMAGES is left for repeats another.
        Raises CalibrationError where the images are too few for so many modes.
        """
        with exact_float32(self.mu.device):
            raw = [self._grid(x).cpu() for x in batches]
            count = sum(len(part) for part in raw)
            check_count(self.config, count)
            values = torch.cat(raw)
            raw.clear()
            self.channel_mean.copy_(values.mean(dim=(0, 1)))
            self.channel_std.copy_(values.std(dim=(0, 1)).clamp_min(1e-6))
            groups = _group(self._scaled(values.mean(dim=1).to(self.mu.device)).cpu(), self.config.modes)
            found = sorted(set(groups.tolist()))
            for mode in found:
                self._fit_mode(mode, values[groups == mode])
                if self.config.pooled:
                    self._fit_pooled(mode, values[groups == mode])
            for mode in set(range(self.config.modes)) - set(found):
                self._repeat(found[0], mode)
            self._factor = None

    def _repeat(self, mode: int, into: int) -> None:
        for tensor in (self.mu, self.whitening, self.place_mean, self.place_std, self.usual):
            tensor[into] = tensor[mode]
        if self.config.pooled:
            self.pooled[into].load_state_dict(self.pooled[mode].state_dict())

    def _fit_mode(self, mode: int, values: Tensor) -> None:
        """Gaussians of one mode, and what its error usually is: n x cells x channels.

        Edges vary more than surfaces, and tighter or larger modes give smaller distances. So that locations and modes can be
        compared, both are standardised by their mean and standard deviation over images that were left out of a first fit.
        """
        y = self._scaled(values.to(self.mu.device))[..., self.chosen].transpose(0, 1).contiguous()
        held = _held_out(len(values)).to(y.device)
        mean, factor = self._gaussians(y[:, ~held])
        distance = self._distance(y[:, held] - mean[:, None], factor)
        self.place_mean[mode] = distance.mean(dim=0)
        spread = distance.std(dim=0) if len(distance) > 1 else distance.mean(dim=0)
        # Few images give a noisy spread: halfway to the typical one.
        self.place_std[mode] = (0.5 * (spread + spread.median())).clamp_min(1e-6)
        usual = self._top(distance, mode)
        self.usual[mode] = _mean_and_spread(usual)
        self.mu[mode], factor = self._gaussians(y)
        rows, columns = torch.tril_indices(self.dimensions, self.dimensions, device=factor.device)
        self.whitening[mode] = factor[:, rows, columns]

    def _fit_pooled(self, mode: int, values: Tensor) -> None:
        """As `_fit_mode`, for the whole image."""
        x = self._summary(values.to(self.mu.device))
        held = _held_out(len(x)).to(x.device)
        gaussian = cast(PooledGaussian, self.pooled[mode])
        gaussian.fit(x[~held])
        gaussian.usual.copy_(_mean_and_spread(gaussian(x[held])))
        gaussian.fit(x)

    def _summary(self, values: Tensor) -> Tensor:
        """n x cells x channels -> n x 2 channels: mean and standard deviation over the locations."""
        scaled = self._scaled(values)
        return torch.cat([scaled.mean(dim=1), scaled.std(dim=1)], dim=1)

    def _gaussians(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (cells x D) and lower factor of the shrunk inverse covariance (cells x D x D) of cells x n x D features."""
        mean = y.mean(dim=1)
        centred = y - mean[:, None]
        covariance = torch.bmm(centred.transpose(1, 2), centred) / max(1, y.shape[1] - 1)
        pooled = covariance.mean(dim=0)
        floor = 1e-3 * pooled.diagonal().mean() * torch.eye(self.dimensions, device=y.device)
        shrunk = (1 - self.config.shrinkage) * covariance + self.config.shrinkage * pooled + floor
        return mean, torch.linalg.cholesky(torch.linalg.inv(shrunk))

    @torch.no_grad()
    def measure(self, x: Tensor, seen: Tensor | None = None) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """x: B x 3 x P x P in [-1, 1] -> (errors by `error_names`, B each; {"percept": B x 1 x P/8 x P/8}); larger = stranger.

        Each is that of the mode that finds the image least strange by it. seen: B x P/8 x P/8 bool, the locations that count in
        "percept" (None: all), at least one of each image. "percept_pooled" is of the whole image all the same.
        """
        with exact_float32(x.device):
            grid = self._grid(x)
            y = self._scaled(grid)[..., self.chosen].transpose(0, 1)
            factors = self._unpacked()
            modes = [self._distance(y - mean[:, None], factor) for mean, factor in zip(self.mu, factors, strict=True)]
            tops = torch.stack([(self._top(d, mode, seen) - self.usual[mode, 0]) / self.usual[mode, 1] for mode, d in enumerate(modes)])
            top, nearest = tops.min(dim=0)
            shown = torch.stack(modes)[nearest, torch.arange(x.shape[0], device=x.device)]
            errors = {"percept": top}
            if self.config.pooled:
                summary = self._summary(grid)
                gaussians = [cast(PooledGaussian, gaussian) for gaussian in self.pooled]
                whole = torch.stack([(gaussian(summary) - gaussian.usual[0]) / gaussian.usual[1] for gaussian in gaussians])
                errors["percept_pooled"] = whole.min(dim=0).values
            return errors, {"percept": shown.reshape(x.shape[0], 1, self.side, self.side)}

    def _top(self, distance: Tensor, mode: int, seen: Tensor | None = None) -> Tensor:
        """Mean of the largest distances, each standardised at its location: B x cells -> B.

        With ``seen`` the mean over those alone, and never more than over all: a place that is strange is not made less so by the
        places that nobody looks at, be they many, and a few places look stranger than many.
        """
        distance = (distance - self.place_mean[mode]) / self.place_std[mode]
        most = min(self.config.top, distance.shape[1])
        largest = distance.topk(most, dim=1).values.mean(dim=1)
        if seen is None:
            return largest
        counted = seen.flatten(1)
        ranked = torch.where(counted, distance, -torch.inf).topk(most, dim=1).values
        taken = torch.arange(most, device=ranked.device) < counted.sum(dim=1, keepdim=True)
        within = torch.where(taken, ranked, 0.0).sum(dim=1) / taken.sum(dim=1)
        return torch.minimum(largest, within)

    @staticmethod
    def _distance(difference: Tensor, factor: Tensor) -> Tensor:
        """Mahalanobis distance: cells x B x D and cells x D x D -> B x cells."""
        return torch.bmm(difference, factor).square().sum(dim=2).clamp_min(0).sqrt().T

    def _grid(self, x: Tensor) -> Tensor:
        """B x 3 x P x P -> B x cells x channels in float32, locally averaged over 3 x 3."""
        parts = [self._fitted(layer) for layer in self.features(x.float())]
        return torch.cat(parts, dim=1).flatten(2).transpose(1, 2)

    def _fitted(self, layer: Tensor) -> Tensor:
        """B x C x any size -> B x C x side x side."""
        smooth = functional.avg_pool2d(layer, 3, stride=1, padding=1, count_include_pad=False)
        if smooth.shape[-1] > self.side:
            return functional.adaptive_avg_pool2d(smooth, self.side)
        if smooth.shape[-1] < self.side:
            return functional.interpolate(smooth, size=self.side, mode="bilinear", align_corners=False)
        return smooth

    def _scaled(self, values: Tensor) -> Tensor:
        return (values - self.channel_mean) / self.channel_std

    def _unpacked(self) -> Tensor:
        """Modes x cells x D x D lower-triangular factors of the inverse covariances; unpacked once."""
        if self._factor is None or self._factor.device != self.whitening.device:
            self._factor = self.whitening.new_zeros(*self.whitening.shape[:2], self.dimensions, self.dimensions)
            rows, columns = torch.tril_indices(self.dimensions, self.dimensions, device=self.whitening.device)
            self._factor[:, :, rows, columns] = self.whitening
        return self._factor

    def load_state_dict(self, state_dict, strict: bool = True, assign: bool = False):  # type: ignore[no-untyped-def]
        """As nn.Module's; forgets the factor unpacked from the old state."""
        self._factor = None
        return super().load_state_dict(state_dict, strict=strict, assign=assign)


def check_count(config: PerceptConfig, count: int) -> None:
    """Raises CalibrationError where so many images to train on are too few for perceptual evidence."""
    needed = MINIMUM_IMAGES * config.modes
    if count < needed:
        raise CalibrationError(
            f"Perceptual evidence with {config.modes} mode(s) needs at least {needed} normal images to train on; there are {count}. "
            "Add images, or lower percept.modes."
        )


def _mean_and_spread(values: Tensor) -> Tensor:
    """(mean, standard deviation > 0); the mean size stands in for the deviation of a single value."""
    return torch.stack([values.mean(), (values.std() if len(values) > 1 else values.abs().mean()).clamp_min(1e-6)])


def _held_out(count: int) -> Tensor:
    """Which of ``count`` >= MINIMUM_IMAGES images are left out of the first fit: two at least, as a single one has no spread."""
    return torch.arange(count) % (HOLD_OUT if count > HOLD_OUT else 2) == 0


def _group(pooled: Tensor, modes: int) -> Tensor:
    """k-means labels of n x channels pooled features; all 0 for one mode. Groups below MINIMUM_IMAGES join the nearest other."""
    if modes == 1:
        return torch.zeros(len(pooled), dtype=torch.long)
    values = pooled.double().numpy()
    centres, labels = kmeans2(values, modes, minit="++", seed=0, iter=50)
    sizes = np.bincount(labels, minlength=modes)
    large = np.flatnonzero(sizes >= MINIMUM_IMAGES)
    if not large.size:
        return torch.zeros(len(pooled), dtype=torch.long)
    lost = sizes[labels] < MINIMUM_IMAGES
    labels[lost] = large[((values[lost, None] - centres[large]) ** 2).sum(axis=2).argmin(axis=1)]
    return torch.from_numpy(labels).long()
