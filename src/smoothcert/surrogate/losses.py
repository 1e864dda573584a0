"""Distances between a predicted distribution over classes and the shares of votes."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch.nn.functional import log_softmax

from smoothcert.surrogate.recipe import LossName

__all__ = ["LOSSES", "jensen_shannon", "soft_cross_entropy"]


def jensen_shannon(logits: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """Jensen-Shannon divergence of softmax(logits) and the shares, each input's by itself.

    Parameters
    ----------
    logits : Tensor of float32, shape (b, k)
        Scores h.
    shares : Tensor of float32, shape (b, k)
        Normalised counts C; rows sum to 1.

    Returns
    -------
    Tensor of float32, shape (b,)
        (KL(h || M) + KL(C || M)) / 2 with M = (h + C) / 2, in nats: 0 to log 2.

    References
    ----------
    Bhardwaj, Kaushik, Gupta, "Accelerated Smoothing", 2024, equation 7.

    Examples
    --------
    >>> shares = torch.tensor([[1.0, 0.0], [0.5, 0.5]])
    >>> jensen_shannon(torch.tensor([[-99.0, 99.0], [0.0, 0.0]]), shares)
    tensor([0.6931, 0.0000])
    """
    log_h = log_softmax(logits, dim=1)
    log_m = torch.logaddexp(log_h, shares.log()) - math.log(2)
    to_h = (log_h.exp() * (log_h - log_m)).sum(dim=1)
    to_c = (torch.xlogy(shares, shares) - shares * log_m).sum(dim=1)
    return (to_h + to_c) / 2


def soft_cross_entropy(logits: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """Cross entropy of softmax(logits) under the shares: the negative log-likelihood of the votes, over n.

    Parameters
    ----------
    logits : Tensor of float32, shape (b, k)
        Scores h.
    shares : Tensor of float32, shape (b, k)
        Normalised counts C; rows sum to 1.

    Returns
    -------
    Tensor of float32, shape (b,)
        -sum_c C_c log h_c, in nats.

    References
    ----------
    Park et al., "RRISE", arXiv 2606.02876, 2026.

    Examples
    --------
    >>> soft_cross_entropy(torch.zeros(1, 4), torch.full((1, 4), 0.25))
    tensor([1.3863])
    """
    return -(shares * log_softmax(logits, dim=1)).sum(dim=1)


LOSSES: dict[LossName, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "jensen-shannon": jensen_shannon,
    "cross-entropy": soft_cross_entropy,
}
"""The losses by name."""
