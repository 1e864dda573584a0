"""From votes of f and f^p to certificates of f^p, by each of the incremental bounds."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from smoothcert.bounds import irs_bound, joint_lower_bound, lower_confidence_bound, upper_confidence_bound
from smoothcert.certificate import Certificates
from smoothcert.errors import CacheMismatchError
from smoothcert.procedures.certificates import certificates_of, claims, under_exact_noise
from smoothcert.procedures.incremental.gamma import select_gamma
from smoothcert.procedures.incremental.methods import Irs, Joint, Terms
from smoothcert.votes import PairedCounts
from smoothcert.votes.store import Manifest

__all__ = ["UNSAMPLED", "recertificates"]

UNSAMPLED = "not sampled"
"""The branch of an input that the budget gave no samples, as the base hardly certifies it."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class _Bounds:
    p_lower: Array
    branch: NDArray[np.str_]
    alpha_split: dict[str, float]
    p_upper: Array | None = None
    gamma: float = Irs().untuned


def recertificates(pairs: PairedCounts, manifest: Manifest, terms: Terms) -> tuple[Certificates, float]:
    """Turn counts into certificates of f^p, for all inputs at once.

    Parameters
    ----------
    pairs : PairedCounts
        Counts of N inputs.
    manifest : Manifest
        Of the cache of f: sigma, alpha and the noise law.
    terms : Terms
        Which bound, and what it may spend.

    Returns
    -------
    certificates : Certificates
    gamma : float
        The threshold of the paper's bound that was used.

    Raises
    ------
    CacheMismatchError
        When the bound needs paired votes of an input that has fresh ones.
    """
    alpha = manifest.alpha + terms.alpha_zeta
    if isinstance(terms.bound, Irs):
        found = _by_irs(pairs, manifest, terms.bound, terms.alpha_zeta)
    elif terms.bound.runner_up:
        found = _with_runner_up(pairs, terms.bound, alpha)
    else:
        found = _by_class(pairs, terms.bound, alpha)
    return _certificates(pairs, manifest, terms, found), found.gamma


def _by_irs(pairs: PairedCounts, manifest: Manifest, bound: Irs, alpha_zeta: float) -> _Bounds:
    """Lines 2 to 14 of the paper's Algorithm 2."""
    threshold = np.full(len(pairs.count), bound.untuned)
    if bound.gamma == "auto":
        tuning = pairs.take(slice(max(1, len(pairs.count) // 10)))
        threshold[len(tuning.count) :] = select_gamma(
            tuning.count,
            pairs.n,
            tuning.n_disagree,
            tuning.n_direct,
            tuning.m,
            alpha=manifest.alpha,
            alpha_zeta=alpha_zeta,
            sigma=manifest.sigma,
        )
    found = irs_bound(
        pairs.count,
        pairs.n,
        pairs.n_disagree,
        pairs.n_direct,
        pairs.m,
        manifest.alpha,
        alpha_zeta,
        threshold,
    )
    _require_paired(pairs.fresh & (found.branch == "zeta"), bound)
    split = {"base": manifest.alpha, "disparity": alpha_zeta}
    return _Bounds(found.p_lower, found.branch, split, gamma=float(threshold[-1]))


def _by_class(pairs: PairedCounts, bound: Joint, alpha: float) -> _Bounds:
    """Bound the probability of the cached class: jointly where paired, by its own votes where fresh."""
    if not bound.afresh:
        _require_paired(pairs.fresh, bound)
    paired = _lower(pairs, pairs.count, pairs.k1, pairs.n10, pairs.n01, alpha, bound.together)
    # Without samples, n_direct is 0: a vote against claims nothing either.
    direct = np.asarray(lower_confidence_bound(pairs.n_direct, np.maximum(pairs.m, 1), alpha / bound.together))
    branch = np.select([pairs.m == 0, pairs.fresh], [UNSAMPLED, "direct"], "paired")
    return _Bounds(np.where(pairs.fresh, direct, paired), branch, {"joint": alpha})


def _with_runner_up(pairs: PairedCounts, bound: Joint, alpha: float) -> _Bounds:
    """Bound the cached class from below and every other class from above, half of alpha each."""
    top = _by_class(pairs, bound, alpha / 2)
    # "auto" chooses by the count of the top class whether to start from scratch. The gating lemma does not cover
    # another class for that choice: each branch pays.
    level = alpha / 4 if bound.afresh else alpha / 2
    # The true runner-up is one class, and the largest bound is at least its own: no correction for their number.
    p_upper = np.zeros(len(pairs.count))
    for b in range(pairs.counts.shape[1]):
        lost = pairs.own[:, b] - pairs.paired[:, b] + pairs.lost[:, b]
        # "Not b" is the class whose probability is bounded from below.
        complement = _lower(
            pairs,
            pairs.n - pairs.counts[:, b],
            pairs.m - pairs.paired[:, b],
            lost,
            pairs.lost[:, b],
            level,
        )
        direct = np.asarray(upper_confidence_bound(pairs.own[:, b], pairs.m, level))
        p_b = np.where(pairs.fresh, direct, np.nextafter(1 - complement, 2))
        p_upper = np.where(pairs.top_class == b, p_upper, np.maximum(p_upper, p_b))
    return _Bounds(top.p_lower, top.branch, {"top class": alpha / 2, "runner-up": alpha / 2}, p_upper=p_upper)


def _lower(
    pairs: PairedCounts,
    count: NDArray[np.int64],
    k1: NDArray[np.int64],
    n10: NDArray[np.int64],
    n01: NDArray[np.int64],
    alpha: float,
    together: int = 1,
) -> Array:
    """Bound one event's probability under f^p in the paired rows; 0 in the others, and without samples."""
    p_lower, rows = np.zeros(len(count)), ~pairs.fresh & (pairs.m > 0)
    p_lower[rows] = joint_lower_bound(
        count[rows], pairs.n, k1[rows], n10[rows], n01[rows], pairs.m[rows], alpha, candidates=together
    )
    return p_lower


def _certificates(pairs: PairedCounts, manifest: Manifest, terms: Terms, found: _Bounds) -> Certificates:
    noise, size = manifest.noise(), manifest.size
    p_lower = under_exact_noise(np.where(pairs.top_class >= 0, found.p_lower, 0.0), noise, size)
    zeta = np.asarray(upper_confidence_bound(pairs.n_disagree, np.maximum(pairs.m, 1), terms.alpha_zeta))
    certificates = certificates_of(
        claims(p_lower, found.p_upper, noise, size),
        p_lower=p_lower,
        top_class=pairs.top_class,
        count=pairs.n_direct,
        n=pairs.m,
        alpha=manifest.alpha + terms.alpha_zeta,
        alpha_split=found.alpha_split,
        method=terms.bound.name,
        noise=noise,
        premise="; ".join(terms.premises(noise.premise)),
    )
    return replace(
        certificates,
        together=terms.together,
        zeta=np.where(pairs.fresh | (pairs.m == 0), np.nan, zeta),
        branch=found.branch,
    )


def _require_paired(unpaired: NDArray[np.bool_], bound: Joint | Irs) -> None:
    if unpaired.any():
        raise CacheMismatchError(
            f"bound {bound.name!r} needs votes on the cache's noise, but {int(unpaired.sum())} inputs have votes "
            "on fresh noise, drawn for bound 'auto': use that bound, or another folder for the votes"
        )
