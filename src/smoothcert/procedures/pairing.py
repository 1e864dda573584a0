"""Votes of f and f^p on the same noise, and the certificates that follow from them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from smoothcert.bounds import certified_radius, irs_bound
from smoothcert.cache import CachedInput, Manifest
from smoothcert.certificate import ABSTAIN, Certificates
from smoothcert.procedures.cohen import BELOW_HALF, NO_SELECTION, under_exact_noise
from smoothcert.procedures.gamma import select_gamma

__all__ = ["DEFAULT_GAMMA", "PairedCounts", "irs_certificates", "pair", "stack_pairs"]

PREMISE = "the candidate was fixed without looking at the noise or the votes of the cache"
DEFAULT_GAMMA = 0.99


@dataclass(frozen=True, kw_only=True)
class PairedCounts:
    """What the votes of f and f^p on the same m noises amount to, for each of N inputs.

    Attributes
    ----------
    top_class : ndarray of int64, shape (N,)
        The cached top class c_A; -1 where there was none.
    count : ndarray of int64, shape (N,)
        Votes of f for c_A, of n.
    n_disagree : ndarray of int64, shape (N,)
        Paired samples on which f and f^p return different labels (n_Delta).
    n_direct : ndarray of int64, shape (N,)
        Paired samples on which f^p returns c_A.
    n, m : int
        Cached samples, and paired samples (n_p), per input.
    """

    top_class: NDArray[np.int64]
    count: NDArray[np.int64]
    n_disagree: NDArray[np.int64]
    n_direct: NDArray[np.int64]
    n: int
    m: int


def pair(base: CachedInput, candidate: CachedInput, m: int) -> PairedCounts:
    """Count agreement on the first m noises of one input (lines 2 to 9 of Algorithm 3).

    Parameters
    ----------
    base, candidate : CachedInput
        Votes of f and of f^p on the same noise.
    m : int
        Paired samples.

    Returns
    -------
    PairedCounts
        Of one input.
    """
    c_f, c_fp = base.votes[:m], candidate.votes[:m]
    c_A = base.top_class
    return PairedCounts(
        top_class=np.array([c_A]),
        count=np.array([base.counts[c_A] if c_A >= 0 else 0]),
        n_disagree=np.array([(c_f != c_fp).sum()]),
        n_direct=np.array([(c_fp == c_A).sum() if c_A >= 0 else 0]),
        n=len(base.votes),
        m=m,
    )


def stack_pairs(pairs: list[PairedCounts]) -> PairedCounts:
    """Join the counts of several inputs."""
    return PairedCounts(
        top_class=np.concatenate([p.top_class for p in pairs]),
        count=np.concatenate([p.count for p in pairs]),
        n_disagree=np.concatenate([p.n_disagree for p in pairs]),
        n_direct=np.concatenate([p.n_direct for p in pairs]),
        n=pairs[0].n,
        m=pairs[0].m,
    )


def irs_certificates(
    pairs: PairedCounts, manifest: Manifest, alpha_zeta: float, gamma: float | Literal["auto"]
) -> tuple[Certificates, float]:
    """Turn paired counts into certificates: lines 2 to 14 of Algorithm 2, for all inputs at once.

    Parameters
    ----------
    pairs : PairedCounts
        Counts of N inputs.
    manifest : Manifest
        Of the cache of f: sigma, alpha and the noise law.
    alpha_zeta : float
        Failure probability of the disparity's bound.
    gamma : float or "auto"
        Threshold between the branches, see `recertify`.

    Returns
    -------
    certificates : Certificates
    gamma : float
        The threshold that was used.
    """
    threshold = np.full(len(pairs.count), DEFAULT_GAMMA if gamma == "auto" else gamma)
    if gamma == "auto":
        tuning = max(1, len(pairs.count) // 10)
        threshold[tuning:] = select_gamma(
            pairs.count[:tuning],
            pairs.n,
            pairs.n_disagree[:tuning],
            pairs.n_direct[:tuning],
            pairs.m,
            alpha=manifest.alpha,
            alpha_zeta=alpha_zeta,
            sigma=manifest.sigma,
        )
    found = irs_bound(
        pairs.count, pairs.n, pairs.n_disagree, pairs.n_direct, pairs.m, manifest.alpha, alpha_zeta, threshold
    )
    selected = pairs.top_class >= 0
    noise = manifest.noise()
    p_lower = under_exact_noise(np.where(selected, found.p_lower, 0.0), noise, math.prod(manifest.input_shape))
    claimed = p_lower > 0.5
    certificates = Certificates(
        prediction=np.where(claimed, pairs.top_class, ABSTAIN),
        radius=np.asarray(certified_radius(p_lower, manifest.sigma)),
        p_lower=p_lower,
        top_class=pairs.top_class,
        count=pairs.n_direct,
        n=np.full(len(p_lower), pairs.m),
        reason=np.where(claimed, "", np.where(selected, BELOW_HALF, NO_SELECTION)),
        alpha=manifest.alpha + alpha_zeta,
        alpha_split={"base": manifest.alpha, "disparity": alpha_zeta},
        sigma=manifest.sigma,
        method="irs",
        noise=manifest.noise_law,
        guarantee="certified",
        premise=f"{PREMISE}; {noise.premise}",
        zeta=found.zeta,
        branch=found.branch,
    )
    return certificates, float(threshold[-1])
