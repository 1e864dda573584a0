"""ACR against cost, and how much less one procedure costs than another at equal ACR.

A curve has one point for each number of samples tried. What it costs to reach an ACR is read off its front: a
point whose ACR another one reaches at no greater cost is dropped, and cost is linear in ACR between those that
stay. So a measurement that is both worse and dearer than another, from noise in the timing say, does not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smoothcert.errors import InvalidArgumentError

__all__ = [
    "Curve",
    "Reach",
    "area_speedup",
    "common_range",
    "cost_at",
    "pointwise_speedup",
    "reach",
]

Reach = Literal[
    "common",
    "incremental dominates",
    "incremental reaches higher",
    "baseline dominates",
    "baseline reaches higher",
]


@dataclass(frozen=True, init=False, eq=False)
class Curve:
    """ACR and cost of one procedure at several numbers of samples.

    Parameters
    ----------
    acr : array_like of float, shape (p,)
        Average certified radius of each point, not negative.
    cost : array_like of float, shape (p,)
        Cost of each point, greater than 0: seconds or samples, the same for curves that are compared.

    Attributes
    ----------
    acr, cost : ndarray of float64, shape (p,)
        The points, in the order given.

    Raises
    ------
    InvalidArgumentError
        When there is no point, the lengths differ, or a value is out of range.

    Examples
    --------
    >>> curve = Curve(acr=[0.50, 0.48, 0.60], cost=[10, 20, 30])
    >>> front = curve.front()
    >>> front.acr.tolist(), front.cost.tolist()
    ([0.5, 0.6], [10.0, 30.0])
    """

    acr: NDArray[np.float64]
    cost: NDArray[np.float64]

    def __init__(self, acr: ArrayLike, cost: ArrayLike) -> None:
        object.__setattr__(self, "acr", np.array(acr, dtype=np.float64))
        object.__setattr__(self, "cost", np.array(cost, dtype=np.float64))
        if self.acr.ndim != 1 or len(self.acr) == 0 or self.acr.shape != self.cost.shape:
            raise InvalidArgumentError(
                f"acr has shape {self.acr.shape} and cost {self.cost.shape}: give one of each for every point"
            )
        if not (np.isfinite(self.acr) & (self.acr >= 0)).all():
            raise InvalidArgumentError(f"acr is {self.acr.tolist()}: give finite values of at least 0")
        if not (np.isfinite(self.cost) & (self.cost > 0)).all():
            raise InvalidArgumentError(f"cost is {self.cost.tolist()}: give finite values greater than 0")

    def front(self) -> Curve:
        """Return the points that no other reaches at no greater cost: both coordinates strictly increase."""
        order = np.lexsort((-self.acr, self.cost))
        acr, cost = self.acr[order], self.cost[order]
        best_cheaper = np.maximum.accumulate(np.concatenate(([-np.inf], acr[:-1])))
        return Curve(acr[acr > best_cheaper], cost[acr > best_cheaper])


def cost_at(curve: Curve, acr: ArrayLike) -> NDArray[np.float64]:
    """Cost of reaching an ACR, on the front of a curve.

    Parameters
    ----------
    curve : Curve
        Points of one procedure.
    acr : array_like of float, any shape
        ACRs to reach.

    Returns
    -------
    ndarray of float64, shape of `acr`
        Linear between the points of the front; NaN outside of it, where nothing was measured.

    Examples
    --------
    >>> cost_at(Curve([0.5, 0.6], [10, 30]), [0.4, 0.5, 0.55, 0.6, 0.7])
    array([nan, 10., 20., 30., nan])
    """
    front = curve.front()
    return np.asarray(np.interp(np.asarray(acr, np.float64), front.acr, front.cost, left=np.nan, right=np.nan))


def common_range(baseline: Curve, incremental: Curve) -> tuple[float, float] | None:
    """ACRs that the fronts of both curves span.

    Parameters
    ----------
    baseline, incremental : Curve
        The curves to compare.

    Returns
    -------
    tuple of float, or None
        Lowest and highest common ACR (equal when the fronts share a single one); None when there is none.

    Examples
    --------
    >>> common_range(Curve([0.4, 0.6], [1, 2]), Curve([0.5, 0.7], [1, 2]))
    (0.5, 0.6)
    """
    a, b = baseline.front().acr, incremental.front().acr
    low, high = float(max(a[0], b[0])), float(min(a[-1], b[-1]))
    return (low, high) if low <= high else None


def area_speedup(baseline: Curve, incremental: Curve) -> float:
    """Ratio of the areas under two curves of cost against ACR, over their common ACRs.

    The integrals are exact for the piecewise-linear fronts. Above 1, the incremental procedure is cheaper. Dear
    points weigh more than in `pointwise_speedup`: this is how much less time the whole sweep takes.

    Parameters
    ----------
    baseline, incremental : Curve
        Certification from scratch, and the procedure that should save.

    Returns
    -------
    float
        Baseline's area over incremental's; NaN when the curves have no interval of ACR in common, in which case
        `reach` says which of them gets further.

    References
    ----------
    Ugare et al., "Incremental Randomized Smoothing Certification", ICLR 2024, section 5.2 (there called AOC).

    Examples
    --------
    >>> area_speedup(Curve([0.5, 0.6], [10, 30]), Curve([0.5, 0.6], [5, 11]))
    2.5
    """
    span = common_range(baseline, incremental)
    if span is None or span[0] == span[1]:
        return float("nan")
    knots = np.concatenate((span, baseline.front().acr, incremental.front().acr))
    knots = np.unique(knots[(knots >= span[0]) & (knots <= span[1])])
    return float(np.trapezoid(cost_at(baseline, knots), knots) / np.trapezoid(cost_at(incremental, knots), knots))


def pointwise_speedup(baseline: Curve, incremental: Curve, *, points: int = 101) -> float:
    """Mean of the cost ratios at evenly spaced common ACRs, as the published code of the incremental paper has it.

    Parameters
    ----------
    baseline, incremental : Curve
        Certification from scratch, and the procedure that should save.
    points : int, default 101
        Number of ACRs, both ends of the common range included, at least 2.

    Returns
    -------
    float
        Mean ratio; NaN when the curves have no interval of ACR in common.

    Raises
    ------
    InvalidArgumentError
        When `points` is less than 2.

    Examples
    --------
    >>> pointwise_speedup(Curve([0.5, 0.6], [10, 30]), Curve([0.5, 0.6], [5, 10]), points=2)
    2.5
    """
    if points < 2:
        raise InvalidArgumentError(f"points is {points}: give at least 2, the ends of the common range")
    span = common_range(baseline, incremental)
    if span is None or span[0] == span[1]:
        return float("nan")
    acr = np.linspace(*span, points)
    return float((cost_at(baseline, acr) / cost_at(incremental, acr)).mean())


def reach(baseline: Curve, incremental: Curve) -> Reach:
    """Say which curve gets further, for when a speedup is NaN.

    Parameters
    ----------
    baseline, incremental : Curve
        Certification from scratch, and the procedure that should save.

    Returns
    -------
    str
        ``"common"`` when the curves share an ACR. Otherwise ``"incremental dominates"`` when every point of its
        front has a greater ACR than the baseline's best, and the cheapest of them costs no more than the
        baseline's cheapest; ``"incremental reaches higher"`` when it only gets there at a greater cost; and the
        same with ``"baseline"``, where the incremental procedure never reaches what the baseline does.

    Examples
    --------
    >>> reach(Curve([0.4, 0.5], [10, 20]), Curve([0.6, 0.7], [5, 9]))
    'incremental dominates'
    >>> reach(Curve([0.4, 0.5], [10, 20]), Curve([0.6, 0.7], [15, 30]))
    'incremental reaches higher'
    """
    a, b = baseline.front(), incremental.front()
    if common_range(baseline, incremental) is not None:
        return "common"
    if b.acr[0] > a.acr[-1]:
        return "incremental dominates" if b.cost[0] <= a.cost[0] else "incremental reaches higher"
    return "baseline dominates" if a.cost[0] <= b.cost[0] else "baseline reaches higher"
