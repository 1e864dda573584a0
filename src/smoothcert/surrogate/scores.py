"""How much more a surrogate claims than sampling certifies, and the thresholds that follow from it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from smoothcert.bounds import conformal_rank, lower_confidence_bound
from smoothcert.errors import InvalidArgumentError
from smoothcert.procedures import under_exact_noise
from smoothcert.surrogate.model import Surrogate
from smoothcert.surrogate.prediction import Prediction, sampling_probit
from smoothcert.surrogate.votes import VoteData

__all__ = ["group_edges", "group_of", "lowered_probit", "miss_scores", "thresholds"]

Array = NDArray[np.float64]


def miss_scores(predicted: Prediction, data: VoteData, alpha: float, *, scaled: bool) -> Array:
    """Return by how much the surrogate claims more than the votes certify for its class, (m,)."""
    # In units of sigma, or of the learned error if scaled. A radius that is lowered by its score or more is not
    # above the certified one.
    n, noise = data.manifest.n, data.manifest.noise()
    count = data.counts[np.arange(len(data)), predicted.top_class]
    p_lower = under_exact_noise(np.asarray(lower_confidence_bound(count, n, alpha)), noise, data.manifest.size)
    certified = ndtri(np.maximum(p_lower, 0.5))
    excess = sampling_probit(predicted.top_share, n, alpha) - certified
    return np.asarray(excess / (predicted.spread if scaled else 1.0))


def lowered_probit(asked: Array, lowered: Array, group: NDArray[np.int64], n: int, alpha: float) -> Array:
    """Lower radii, in units of sigma; none is more than n votes can certify, and group -1 gets none."""
    most = sampling_probit(np.ones(1), n, alpha)
    return np.where(group >= 0, np.minimum(asked - lowered, most), -most)


def group_edges(surrogate: Surrogate, groups: int) -> Array:
    """Cut the predicted radii of the held-out inputs into even groups; below 0 nothing is ever claimed."""
    claims = surrogate.held_out_probit[surrogate.held_out_probit > 0]
    if groups > 1 and len(claims) < groups:
        raise InvalidArgumentError(
            f"groups is {groups}, but the surrogate claims a radius for {len(claims)} of the inputs held out from "
            "its fit: fit a better one, or use fewer groups"
        )
    return np.quantile(claims, np.arange(1, groups) / groups) if groups > 1 else np.empty(0)


def group_of(predicted: Prediction, edges: Array) -> NDArray[np.int64]:
    """Return the group of each input, 0 for the smallest radii; -1 where nothing is claimed."""
    group = np.searchsorted(edges, predicted.probit, side="right")
    return np.where(predicted.probit > 0, group, -1)


def thresholds(members: list[Array], miss: float, beta: float, futures: list[int] | None = None) -> list[float]:
    """Return the threshold of each group from its scores, at confidence 1 - beta for all groups at once."""
    # `futures` are numbers of new inputs in each group: their miss rates are then bounded instead of miss
    # probabilities.
    found = []
    for g, scores in enumerate(members):
        rank = conformal_rank(
            len(scores), miss, beta / len(members), future=None if futures is None else futures[g]
        )
        found.append(float(np.sort(scores)[rank - 1]))
    return found
