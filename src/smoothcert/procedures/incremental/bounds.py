"""From votes of f and f^p to certificates of f^p, by each of the incremental bounds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from smoothcert.bounds import irs_bound, joint_lower_bound, lower_confidence_bound, upper_confidence_bound
from smoothcert.certificate import Certificates
from smoothcert.errors import CacheMismatchError, InvalidArgumentError
from smoothcert.procedures.certificates import certificates_of, claims, under_exact_noise
from smoothcert.procedures.incremental.gamma import select_gamma
from smoothcert.procedures.incremental.holdout import HELD_OUT, PREMISE
from smoothcert.votes import PairedCounts, require_count
from smoothcert.votes.store import CandidateRecord, Manifest

__all__ = ["DEFAULT_GAMMA", "Bound", "Method", "method_of", "recertificates", "require_method"]

DEFAULT_GAMMA = 0.99
_TOGETHER = ("auto", "joint")
_FIXED_N_P = "n_p was fixed without looking at the cached votes"

Bound = Literal["auto", "joint", "irs"]
Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Method:
    """How recertificates follow from counts.

    Attributes
    ----------
    bound : {"auto", "joint", "irs"}
        See `recertify`.
    alpha_zeta : float
        What is spent beyond the cache's alpha.
    gamma : float or "auto"
        Threshold of the paper's bound.
    runner_up : bool
        Whether the runner-up class is bounded too.
    together : int
        Candidates, fixed together, whose certificates are to hold at once.
    premise : str
        What the guarantee presupposes about the candidate.
    """

    bound: Bound = "auto"
    alpha_zeta: float = 0.001
    gamma: float | Literal["auto"] = DEFAULT_GAMMA
    runner_up: bool = False
    together: int = 1
    premise: str = PREMISE


@dataclass(frozen=True)
class _Bounds:
    p_lower: Array
    branch: NDArray[np.str_]
    alpha_split: dict[str, float]
    p_upper: Array | None = None
    gamma: float = DEFAULT_GAMMA


def method_of(record: CandidateRecord) -> Method:
    """Return the method that a candidate was recertified with.

    Older records can name a bound "one-sided": their candidates get "joint" now, whatever the votes are. They can
    also be of together with another bound than "auto" and "joint", and then count for each candidate by itself.

    Raises
    ------
    InvalidArgumentError
        When the record names one that this version does not know.
    """
    known = get_args(Bound)
    bounds: dict[str, Bound] = {"one-sided": "joint", **dict(zip(known, known, strict=True))}
    if record.bound not in bounds:
        raise InvalidArgumentError(
            f"bound of candidate {record.name!r} is {record.bound!r}: it must be one of {', '.join(known)}"
        )
    stop = record.start + record.n_p
    return Method(
        bound=bounds[record.bound],
        alpha_zeta=record.alpha_zeta,
        gamma="auto" if record.gamma == "auto" else float(record.gamma),
        runner_up=record.runner_up,
        together=record.together if record.bound in _TOGETHER else 1,
        premise=HELD_OUT.format(start=record.start, stop=stop) if record.holdout else PREMISE,
    )


def require_method(method: Method) -> Method:
    """Refuse a method with values that are not legal, or that do not go together."""
    if method.bound not in get_args(Bound):
        raise InvalidArgumentError(f"bound is {method.bound!r}: it must be one of {', '.join(get_args(Bound))}")
    gamma = method.gamma
    if gamma != "auto" and not (isinstance(gamma, (int, float, np.floating)) and 0.5 < gamma <= 1):
        raise InvalidArgumentError(f"gamma is {gamma!r}: it must be in (1/2, 1], such as 0.99, or 'auto'")
    if method.runner_up and method.bound == "irs":
        raise InvalidArgumentError(
            "runner_up is True, but bound 'irs' bounds the top class alone: use bound='auto' for both"
        )
    require_count("together", method.together)
    if method.together > 1 and (method.bound not in _TOGETHER or method.runner_up):
        raise InvalidArgumentError(
            f"together is {method.together}, which is proven for bounds 'auto' and 'joint' without the runner-up, "
            "as all candidates must divide alpha alike: use one of these, or alpha / together for each candidate"
        )
    return method


def recertificates(pairs: PairedCounts, manifest: Manifest, method: Method) -> tuple[Certificates, float]:
    """Turn counts into certificates of f^p, for all inputs at once.

    Parameters
    ----------
    pairs : PairedCounts
        Counts of N inputs.
    manifest : Manifest
        Of the cache of f: sigma, alpha and the noise law.
    method : Method
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
    alpha = manifest.alpha + method.alpha_zeta
    if method.bound == "irs":
        found = _by_irs(pairs, manifest, method)
    elif method.runner_up:
        found = _with_runner_up(pairs, method.bound, alpha)
    else:
        found = _by_class(pairs, method.bound, alpha, method.together)
    return _certificates(pairs, manifest, method, found), found.gamma


def _by_irs(pairs: PairedCounts, manifest: Manifest, method: Method) -> _Bounds:
    """Lines 2 to 14 of the paper's Algorithm 2."""
    threshold = np.full(len(pairs.count), DEFAULT_GAMMA if method.gamma == "auto" else method.gamma)
    if method.gamma == "auto":
        tuning = pairs.take(slice(max(1, len(pairs.count) // 10)))
        threshold[len(tuning.count) :] = select_gamma(
            tuning.count,
            pairs.n,
            tuning.n_disagree,
            tuning.n_direct,
            pairs.m,
            alpha=manifest.alpha,
            alpha_zeta=method.alpha_zeta,
            sigma=manifest.sigma,
        )
    found = irs_bound(
        pairs.count,
        pairs.n,
        pairs.n_disagree,
        pairs.n_direct,
        pairs.m,
        manifest.alpha,
        method.alpha_zeta,
        threshold,
    )
    _require_paired(pairs.fresh & (found.branch == "zeta"), "irs")
    split = {"base": manifest.alpha, "disparity": method.alpha_zeta}
    return _Bounds(found.p_lower, found.branch, split, gamma=float(threshold[-1]))


def _by_class(pairs: PairedCounts, bound: Bound, alpha: float, together: int = 1) -> _Bounds:
    """Bound the probability of the cached class: jointly where paired, by its own votes where fresh."""
    if bound != "auto":
        _require_paired(pairs.fresh, bound)
    paired = _lower(pairs, pairs.count, pairs.k1, pairs.n10, pairs.n01, alpha, together)
    direct = np.asarray(lower_confidence_bound(pairs.n_direct, pairs.m, alpha / together))
    branch = np.where(pairs.fresh, "direct", "paired")
    return _Bounds(np.where(pairs.fresh, direct, paired), branch, {"joint": alpha})


def _with_runner_up(pairs: PairedCounts, bound: Bound, alpha: float) -> _Bounds:
    """Bound the cached class from below and every other class from above, half of alpha each.

    The true runner-up is one class, and the largest of all classes' upper bounds is at least its own: no
    correction for the number of classes. But bound "auto" chooses between pairing and starting from scratch by
    the count of the top class, for which the gating lemma does not cover another class: each branch pays.
    """
    top = _by_class(pairs, bound, alpha / 2)
    level = alpha / 4 if bound == "auto" else alpha / 2
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
    """Bound one event's probability under f^p in the paired rows; 0 in the others."""
    p_lower, rows = np.zeros(len(count)), ~pairs.fresh
    p_lower[rows] = joint_lower_bound(
        count[rows], pairs.n, k1[rows], n10[rows], n01[rows], pairs.m, alpha, candidates=together
    )
    return p_lower


def _certificates(pairs: PairedCounts, manifest: Manifest, method: Method, found: _Bounds) -> Certificates:
    noise, size = manifest.noise(), math.prod(manifest.input_shape)
    p_lower = under_exact_noise(np.where(pairs.top_class >= 0, found.p_lower, 0.0), noise, size)
    zeta = np.asarray(upper_confidence_bound(pairs.n_disagree, pairs.m, method.alpha_zeta))
    certificates = certificates_of(
        claims(p_lower, found.p_upper, noise, size),
        p_lower=p_lower,
        top_class=pairs.top_class,
        count=pairs.n_direct,
        n=np.full(len(p_lower), pairs.m),
        alpha=manifest.alpha + method.alpha_zeta,
        alpha_split=found.alpha_split,
        method=method.bound,
        noise=noise,
        premise="; ".join(_premises(method, noise.premise)),
    )
    return replace(
        certificates,
        together=method.together,
        zeta=np.where(pairs.fresh, np.nan, zeta),
        branch=found.branch,
    )


def _premises(method: Method, of_noise: str) -> Iterator[str]:
    yield method.premise
    if method.together > 1:
        yield f"so were the other {method.together - 1} of the {method.together} that it holds together with"
    if method.bound == "irs" or method.runner_up:
        yield _FIXED_N_P
    yield of_noise


def _require_paired(unpaired: NDArray[np.bool_], bound: str) -> None:
    if unpaired.any():
        raise CacheMismatchError(
            f"bound {bound!r} needs votes on the cache's noise, but {int(unpaired.sum())} inputs have votes on "
            "fresh noise, drawn for bound 'auto': use that bound, or another folder for the votes"
        )
