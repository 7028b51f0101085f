"""One Gaussian over whole images: the distance of pooled features (beyond the paper, METHOD: perceptual evidence)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PooledGaussian(nn.Module):
    """Mahalanobis distance of a feature vector from the normal images' mean; the statistics travel in the state."""

    mu: Tensor
    whitening: Tensor
    usual: Tensor
    """(mean, standard deviation) of the distance of normal images that were left out; set by whoever fits."""

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.register_buffer("mu", torch.zeros(dimensions))
        self.register_buffer("whitening", torch.zeros(dimensions, dimensions))
        self.register_buffer("usual", torch.tensor([0.0, 1.0]))

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """Estimate from n x D features of normal images, n >= 2; fewer images than dimensions are enough, see `shrunk_covariance`."""
        x = x.cpu().double()  # in this order: MPS has no float64
        self.mu.copy_(x.mean(dim=0))
        self.whitening.copy_(torch.linalg.cholesky(torch.linalg.inv(shrunk_covariance(x))))

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """B x D -> B distances, each of the expected size 1 on normal images, whatever D is.

        Outside of autocast: whitening subtracts nearly equal numbers, too coarse in bf16.
        """
        return ((x.float() - self.mu) @ self.whitening).square().mean(dim=1).sqrt()


def shrunk_covariance(x: Tensor) -> Tensor:
    """Covariance of n x D samples, shrunk towards a multiple of the identity by the analytic optimum (Ledoit & Wolf 2004).

    A floor of a millionth of the mean variance keeps it invertible where the samples do not vary at all.
    """
    count, dimensions = x.shape
    centred = x - x.mean(dim=0)
    covariance = centred.T @ centred / count
    scale = covariance.diagonal().mean()
    identity = torch.eye(dimensions, dtype=x.dtype, device=x.device)
    spread = (covariance - scale * identity).square().sum()
    # Sum over samples of |x x^T - S|^2, without building n matrices.
    noise = (centred.square().sum(dim=1).square().sum() / count - covariance.square().sum()) / count
    share = (noise / spread).clamp(0, 1) if spread > 0 else torch.ones((), dtype=x.dtype, device=x.device)
    return torch.as_tensor((1 - share) * covariance + (share * scale + 1e-6 * scale + 1e-12) * identity)
