"""How the bounds on p_A and zeta spread over the inputs, which decides what incremental certification saves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smoothcert._results import Brief
from smoothcert.certificate import Certificates
from smoothcert.certified_result import HasCertificates, certificates_in
from smoothcert.errors import InvalidArgumentError

__all__ = [
    "QUANTILE_LEVELS",
    "Distribution",
    "distribution",
    "mean_zeta",
    "share_above",
]

QUANTILE_LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
"""The levels at which a `Distribution` gives quantiles."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Distribution(Brief):
    """Values of some inputs, as a histogram and quantiles.

    Attributes
    ----------
    edges : ndarray of float64, shape (b + 1,)
        Edges of the bins; a bin holds its left edge, and the last one also its right edge.
    fractions : ndarray of float64, shape (b,)
        Share of the values in each bin.
    below, above : float
        Shares of the values outside the edges; `below`, `fractions` and `above` sum to 1.
    quantiles : ndarray of float64, shape (5,)
        Quantiles at `QUANTILE_LEVELS`: 5, 25, 50, 75 and 95 %.
    mean : float
        Mean of the values.
    size : int
        How many values there are.
    """

    edges: NDArray[np.float64]
    fractions: NDArray[np.float64]
    below: float
    above: float
    quantiles: NDArray[np.float64]
    mean: float
    size: int


def distribution(values: ArrayLike, edges: ArrayLike) -> Distribution:
    """Summarize values by a histogram, quantiles and a mean.

    Parameters
    ----------
    values : array_like of float, shape (m,)
        At least one value, all finite.
    edges : array_like of float, shape (b + 1,)
        Increasing edges of b bins.

    Returns
    -------
    Distribution
        Fractions of all m values.

    Raises
    ------
    InvalidArgumentError
        When there are no values, one is not finite, or the edges do not increase.

    Examples
    --------
    >>> d = distribution([0.4, 0.5, 0.7, 1.0], [0.5, 0.75, 1.0])
    >>> d.below, d.fractions.tolist(), d.above, round(d.mean, 3)
    (0.25, [0.5, 0.25], 0.0, 0.65)
    """
    values = _finite("values", values)
    edges = _finite("edges", edges)
    if len(edges) < 2 or (np.diff(edges) <= 0).any():
        raise InvalidArgumentError(f"edges is {edges.tolist()}: give at least 2 increasing edges")
    counts, _ = np.histogram(values, edges)
    return Distribution(
        edges=edges,
        fractions=counts / len(values),
        below=float((values < edges[0]).mean()),
        above=float((values > edges[-1]).mean()),
        quantiles=np.quantile(values, QUANTILE_LEVELS),
        mean=float(values.mean()),
        size=len(values),
    )


def mean_zeta(certificates: Certificates | HasCertificates) -> float:
    """Mean upper bound on the disparity zeta, over the inputs where it was bounded.

    An input without a bound is left out, not counted as 0.

    Parameters
    ----------
    certificates : Recertification or Certificates
        Of a changed classifier.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    InvalidArgumentError
        When no input has a bound on zeta.
    """
    certificates = certificates_in(certificates)
    if certificates.zeta is None:
        raise InvalidArgumentError(
            f"certificates of method {certificates.method!r} have no zeta: give those of an incremental procedure"
        )
    measured = certificates.zeta[~np.isnan(certificates.zeta)]
    return float(_finite("certificates.zeta where it was bounded", measured).mean())


def share_above(p_lower: ArrayLike, gamma: float) -> float:
    """Share of the inputs whose lower bound on p_A exceeds gamma: those certified directly.

    Parameters
    ----------
    p_lower : array_like of float, shape (m,)
        Lower bounds on p_A.
    gamma : float
        Threshold of the incremental procedure, in [0, 1].

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    InvalidArgumentError
        When there are no inputs, a bound is NaN, or `gamma` is not in [0, 1].

    References
    ----------
    Ugare et al., "Incremental Randomized Smoothing Certification", ICLR 2024, appendix A.8, table 9.

    Examples
    --------
    >>> share_above([0.6, 0.99, 0.995, 0.999], gamma=0.99)
    0.5
    """
    if not 0 <= gamma <= 1:
        raise InvalidArgumentError(f"gamma is {gamma}: give a probability in [0, 1], such as 0.99")
    return float((_finite("p_lower", p_lower) > gamma).mean())


def _finite(name: str, values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or len(array) == 0:
        raise InvalidArgumentError(f"{name} has shape {array.shape}: give a list of at least 1 value")
    if not np.isfinite(array).all():
        raise InvalidArgumentError(f"{name} contains {array[~np.isfinite(array)][0]}: give finite values")
    return array
