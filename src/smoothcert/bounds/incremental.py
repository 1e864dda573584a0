"""The bound of incremental randomized smoothing, with a total failure probability that holds over its branches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smoothcert.bounds._arguments import broadcast, counts, failure_probability, number
from smoothcert.bounds.binomial import lower_confidence_bound, upper_confidence_bound

__all__ = ["IrsBound", "irs_bound"]


@dataclass(frozen=True, kw_only=True)
class IrsBound:
    """What the cached and the paired votes say about a changed classifier, one entry per input.

    Attributes
    ----------
    p_lower : ndarray of float64
        Lower confidence bound on the probability that the changed classifier returns the cached class.
    zeta : ndarray of float64
        Upper confidence bound on the disparity P(f != f^p), for all inputs, also where it was not used.
    branch : ndarray of str
        ``"zeta"`` where the bound is that of the base minus zeta, ``"direct"`` where it comes from the changed
        classifier's own votes.
    """

    p_lower: NDArray[np.float64]
    zeta: NDArray[np.float64]
    branch: NDArray[np.str_]


def irs_bound(
    count: ArrayLike,
    n: ArrayLike,
    n_disagree: ArrayLike,
    n_direct: ArrayLike,
    m: ArrayLike,
    alpha: float,
    alpha_zeta: float,
    gamma: ArrayLike,
) -> IrsBound:
    """Bound the changed classifier's probability of the cached class, as Algorithm 2 of the paper.

    With p_A the lower bound of the base from its cached votes: where ``p_A < gamma`` the bound is p_A - zeta, with
    zeta an upper bound on the disparity from m paired votes; elsewhere it is the lower bound from the changed
    classifier's own m votes. The total failure probability is alpha + alpha_zeta.

    Parameters
    ----------
    count : int or array_like of int
        Cached estimation votes of the base classifier f for its top class A. Arrays broadcast.
    n : int or array_like of int
        Cached estimation votes in all.
    n_disagree : int or array_like of int
        Paired votes in which f and the changed classifier f^p differ as labels. An invalid vote (a sample
        without finite logits) is a label like any other here: two of them agree.
    n_direct : int or array_like of int
        Votes of f^p for class A among the same m samples.
    m : int or array_like of int
        Paired votes, the samples on which both classifiers were evaluated (the paper's n_p).
    alpha : float
        Failure probability of a bound on one probability: that of the base, or the direct one.
    alpha_zeta : float
        Failure probability of zeta; alpha + alpha_zeta < 1.
    gamma : float or array_like of float
        Threshold on p_A in (1/2, 1] from which the direct branch is taken; 1 always subtracts zeta.

    Returns
    -------
    IrsBound
        Arrays of the broadcast shape. p_lower is rounded down and at least 0.

    Raises
    ------
    InvalidArgumentError
        When an argument is outside its range or the shapes do not broadcast.

    Notes
    -----
    The direct bound is taken at level alpha, where the paper spends alpha + alpha_zeta as if the branch had been
    chosen beforehand. But it is chosen by p_A, whose noise the paired votes share; at level alpha the total holds
    over the choice. ``docs/guarantees.md`` has the proof. It presupposes that gamma was fixed without looking at
    the votes, and m without looking at the cached ones.

    References
    ----------
    .. [1] S. Ugare, T. Suresh, D. Banerjee, G. Singh, S. Misailovic, "Incremental randomized smoothing
       certification", ICLR 2024, Algorithms 2 and 3, Theorem 4.

    Examples
    --------
    >>> bound = irs_bound(
    ...     count=[80_000, 99_990], n=100_000, n_disagree=[3, 0], n_direct=[801, 1000], m=1000,
    ...     alpha=0.001, alpha_zeta=0.001, gamma=0.99,
    ... )
    >>> bound.branch.tolist(), bound.zeta.round(4).tolist(), bound.p_lower.round(4).tolist()
    (['zeta', 'direct'], [0.013, 0.0069], [0.7831, 0.9931])
    """
    total = failure_probability("alpha", alpha) + failure_probability("alpha_zeta", alpha_zeta)
    number("alpha + alpha_zeta", total, lambda a: a < 1, "below 1")
    threshold = number("gamma", gamma, lambda g: (g > 0.5) & (g <= 1), "in (1/2, 1]")
    K, n_ = counts("count", count, "n", n)
    n_delta, m_ = counts("n_disagree", n_disagree, "m", m)
    n_own, _ = counts("n_direct", n_direct, "m", m)
    K, n_, n_delta, n_own, m_, threshold = broadcast(
        count=K, n=n_, n_disagree=n_delta, n_direct=n_own, m=m_, gamma=threshold
    )

    p_A = np.asarray(lower_confidence_bound(K, n_, alpha))
    zeta = np.asarray(upper_confidence_bound(n_delta, m_, alpha_zeta))
    from_base = np.maximum(np.nextafter(p_A - zeta, -np.inf), 0.0)
    direct = np.asarray(lower_confidence_bound(n_own, m_, alpha))
    by_zeta = p_A < threshold
    return IrsBound(
        p_lower=np.where(by_zeta, from_base, direct),
        zeta=zeta,
        branch=np.where(by_zeta, "zeta", "direct"),
    )
