"""Dirichlet densities of softmax answers: collected while a classifier looks at normal images, fitted once by maximum likelihood.

A Dirichlet's maximum-likelihood fit needs nothing of its sample but the mean logarithms, so these are all that is kept.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_ITERATIONS = 100
_NEWTON_STEPS = 5


def inverse_digamma(y: Tensor) -> Tensor:
    """x with digamma(x) = y, elementwise, by Newton's method from a close start (Minka 2000); float64 in and out."""
    x = torch.where(y >= -2.22, y.exp() + 0.5, -1.0 / (y - torch.digamma(torch.ones_like(y))))
    for _ in range(_NEWTON_STEPS):
        x = x - (torch.digamma(x) - y) / torch.polygamma(1, x)
    return x


def fit_dirichlets(mean_logs: Tensor) -> Tensor:
    """Concentrations of maximum likelihood: mean log p of each of n samples, n x k -> n x k float64 on the CPU, by fixed-point iteration
    (Minka)."""
    logs = mean_logs.cpu().double()  # in this order: MPS has no float64
    found = torch.ones_like(logs)
    for _ in range(_ITERATIONS):
        found = inverse_digamma(torch.digamma(found.sum(dim=1, keepdim=True)) + logs)
    return found


class Answers(nn.Module):
    """Mean log p of the answers to each kind of question; a training's memory, no part of a finished model."""

    logs: Tensor
    counts: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        # One answer drawn from the flat Dirichlet each: a kind that was hardly asked stays vague instead of infinitely certain.
        one = torch.ones(())
        self.register_buffer("logs", (torch.digamma(one) - torch.digamma(classes * one)).repeat(classes, classes))
        self.register_buffer("counts", torch.ones(classes, 1))

    def collect(self, log_p: Tensor, kinds: Tensor) -> None:
        """Answers log p, n x k, to questions of these kinds, n."""
        self.logs.index_add_(0, kinds, log_p.float())
        self.counts.index_add_(0, kinds, torch.ones_like(log_p[:, :1], dtype=torch.float32))

    def mean_logs(self) -> Tensor:
        """kinds x k."""
        return self.logs / self.counts


class Dirichlets(nn.Module):
    """One Dirichlet over k classes for each of k kinds of question. Until they are fitted, `strangeness` is the cross-entropy."""

    concentration: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.register_buffer("concentration", 1.0 + torch.eye(classes))

    def fit(self, mean_logs: Tensor) -> None:
        """To the mean log p of each kind, kinds x k."""
        self.concentration.copy_(fit_dirichlets(mean_logs))

    def strangeness(self, log_p: Tensor) -> Tensor:
        """- sum_j (alpha_j - 1) log p_j, mean over the kinds: answers B x kinds x k -> B float32."""
        weighed = (self.concentration.cpu().double() - 1) * log_p.cpu().double()  # MPS has no float64
        return -weighed.sum(dim=2).mean(dim=1).float().to(log_p.device)
