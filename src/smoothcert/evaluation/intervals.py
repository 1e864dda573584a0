"""How far the metrics would move on other inputs from the same source."""

from __future__ import annotations

import math

from numpy.typing import ArrayLike
from scipy.special import betaincinv, stdtrit

from smoothcert.certified_result import certificates_in
from smoothcert.errors import InvalidArgumentError
from smoothcert.evaluation._arguments import require_confidence
from smoothcert.evaluation.betting import bounded_mean_interval
from smoothcert.evaluation.metrics import Claims, certified_accuracy, credited_radius

__all__ = ["average_certified_radius_interval", "certified_accuracy_interval"]


def certified_accuracy_interval(
    certificates: Claims, y: ArrayLike, radius: float, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Confidence interval on certified accuracy over the draw of the inputs (Clopper-Pearson).

    It says how far the accuracy would move on other inputs from the same source. It says nothing about the
    failure probability of the certificates, which each of them carries by itself.

    Parameters
    ----------
    certificates : CertificationRun or another result, Certificates or HasRadius
        Predictions and radii of m inputs drawn independently.
    y : array_like of int, shape (m,)
        True classes, not negative.
    radius : float
        Radius at which to evaluate, not negative.
    confidence : float, default 0.95
        Coverage of the two-sided interval, in (0, 1).

    Returns
    -------
    low, high : float
        The interval, within [0, 1].

    Raises
    ------
    InvalidArgumentError
        As for `certified_accuracy`, or when `confidence` is not in (0, 1).

    References
    ----------
    Clopper, Pearson, "The use of confidence or fiducial limits", Biometrika 26, 1934.

    Examples
    --------
    >>> import numpy as np
    >>> from types import SimpleNamespace
    >>> claims = SimpleNamespace(prediction=np.array([1] * 10), radius=np.full(10, 0.5))
    >>> low, high = certified_accuracy_interval(claims, [1] * 10, 0.25)
    >>> round(low, 4), high
    (0.6915, 1.0)
    """
    tail = (1 - require_confidence(confidence)) / 2
    m = len(certificates_in(certificates).prediction)
    k = round(float(certified_accuracy(certificates, y, radius)) * m)
    low = float(betaincinv(k, m - k + 1, tail)) if k > 0 else 0.0
    high = float(betaincinv(k + 1, m - k, 1 - tail)) if k < m else 1.0
    return low, high


def average_certified_radius_interval(
    certificates: Claims, y: ArrayLike, *, confidence: float = 0.95, largest: float | None = None
) -> tuple[float, float]:
    """Confidence interval on the ACR over the draw of the inputs.

    Without `largest` it is Student's, which is approximate: its coverage is reached as m grows. With it, the
    interval is that of `bounded_mean_interval`, whose coverage holds for every m; it is about a quarter wider.

    Parameters
    ----------
    certificates : CertificationRun or another result, Certificates or HasRadius
        Predictions and radii of at least two inputs drawn independently.
    y, confidence
        As in `certified_accuracy_interval`.
    largest : float, optional
        The largest radius that any input could have got, known beforehand, such as
        ``largest_radius(n, alpha, sigma)``.

    Returns
    -------
    low, high : float
        The interval, in the units of the input.

    Raises
    ------
    InvalidArgumentError
        As for `average_certified_radius`, when there are fewer than two inputs, when `confidence` is not in
        (0, 1), or when a radius is above `largest`.

    Examples
    --------
    >>> import numpy as np
    >>> from types import SimpleNamespace
    >>> claims = SimpleNamespace(prediction=np.array([1, 1, -1] * 50), radius=np.array([0.5, 0.25, 0.0] * 50))
    >>> low, high = average_certified_radius_interval(claims, [1] * 150)
    >>> round(low, 3), round(high, 3)
    (0.217, 0.283)
    >>> low, high = average_certified_radius_interval(claims, [1] * 150, largest=1.0)
    >>> round(low, 3), round(high, 3)
    (0.207, 0.288)
    """
    tail = (1 - require_confidence(confidence)) / 2
    credited = credited_radius(certificates, y)
    m = len(credited)
    if m < 2:
        raise InvalidArgumentError("certificates has 1 input: an interval over inputs needs at least 2")
    if largest is not None:
        return bounded_mean_interval(credited, largest, confidence=confidence)
    half = float(stdtrit(m - 1, 1 - tail)) * float(credited.std(ddof=1)) / math.sqrt(m)
    mean = float(credited.mean())
    return mean - half, mean + half
