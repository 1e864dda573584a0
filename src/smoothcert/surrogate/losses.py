"""Distances between a predicted distribution over classes and the shares of votes."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch.nn.functional import log_softmax

from smoothcert.surrogate.recipe import LossName

__all__ = ["LOSSES", "jensen_shannon", "soft_cross_entropy"]


def jensen_shannon(logits: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """Return the Jensen-Shannon divergences of softmax(logits) and shares, each (b, k), in nats: (b,)."""
    # Bhardwaj, Kaushik, Gupta, "Accelerated Smoothing", 2024, equation 7: half of KL(h || M) + KL(C || M), where h
    # is the softmax, C the shares and M their mean.
    log_h = log_softmax(logits, dim=1)
    log_m = torch.logaddexp(log_h, shares.log()) - math.log(2)
    to_h = (log_h.exp() * (log_h - log_m)).sum(dim=1)
    to_c = (torch.xlogy(shares, shares) - shares * log_m).sum(dim=1)
    return (to_h + to_c) / 2


def soft_cross_entropy(logits: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """Return the cross entropies of softmax(logits) under the shares, each (b, k), in nats: (b,)."""
    # The negative log-likelihood of the votes, over n: Park et al., "RRISE", arXiv 2606.02876, 2026.
    return -(shares * log_softmax(logits, dim=1)).sum(dim=1)


LOSSES: dict[LossName, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "jensen-shannon": jensen_shannon,
    "cross-entropy": soft_cross_entropy,
}
"""The losses by name."""
