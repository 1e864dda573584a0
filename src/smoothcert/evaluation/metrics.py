"""Certified accuracy and average certified radius, over all inputs: an abstention is never right."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv, stdtrit

from smoothcert.certificate import ABSTAIN
from smoothcert.errors import InvalidArgumentError

__all__ = [
    "Claims",
    "abstention_rate",
    "average_certified_radius",
    "average_certified_radius_interval",
    "certified_accuracy",
    "certified_accuracy_interval",
    "credited_radius",
]


class Claims(Protocol):
    """What the metrics read: `Certificates` have it, and so has a published log.

    Attributes
    ----------
    prediction : ndarray of int64, shape (m,)
        Class claimed for each input; -1 is an abstention.
    radius : ndarray of float64, shape (m,)
        Radius claimed, in the units of the input.
    """

    @property
    def prediction(self) -> NDArray[np.int64]:
        """Class claimed for each input; -1 is an abstention."""
        ...

    @property
    def radius(self) -> NDArray[np.float64]:
        """Radius claimed for each input."""
        ...


def certified_accuracy(certificates: Claims, y: ArrayLike, radii: ArrayLike) -> NDArray[np.float64]:
    """Fraction of all inputs whose class is right and whose radius is at least r.

    An abstention counts as wrong at every r, also at r = 0, whatever radius stands beside it.

    Parameters
    ----------
    certificates : Certificates or Claims
        Predictions and radii of m inputs.
    y : array_like of int, shape (m,)
        True classes, not negative.
    radii : array_like of float, any shape
        Radii r at which to evaluate, in the units of the input, not negative.

    Returns
    -------
    ndarray of float64, shape of `radii`
        Certified accuracies in [0, 1].

    Raises
    ------
    InvalidArgumentError
        When there are no inputs, `y` does not hold one class for each, or a radius is negative or NaN.

    References
    ----------
    Cohen, Rosenfeld, Kolter, "Certified Adversarial Robustness via Randomized Smoothing", ICML 2019, section 4
    (approximate certified test set accuracy).

    Examples
    --------
    >>> import numpy as np
    >>> from types import SimpleNamespace
    >>> claims = SimpleNamespace(prediction=np.array([3, 1, -1, 2]), radius=np.array([0.5, 0.2, 0.0, 0.9]))
    >>> certified_accuracy(claims, [3, 1, 0, 7], [0.0, 0.2, 0.21, 0.5, 0.51])
    array([0.5 , 0.5 , 0.25, 0.25, 0.  ])
    """
    radii = np.asarray(radii, dtype=np.float64)
    illegal = ~(radii >= 0)
    if illegal.any():
        raise InvalidArgumentError(f"radii contains {radii[illegal][0]}: give radii of at least 0")
    right, claimed = _judge(certificates, y)
    ascending = np.sort(claimed[right])
    below = np.searchsorted(ascending, radii, side="left")
    return np.asarray((len(ascending) - below) / len(right), dtype=np.float64)


def average_certified_radius(certificates: Claims, y: ArrayLike) -> float:
    """Mean over all inputs of the radius where the class is right, and 0 where it is wrong or abstained.

    It equals the area under the certified accuracy as a function of the radius.

    Parameters
    ----------
    certificates : Certificates or Claims
        Predictions and radii of m inputs.
    y : array_like of int, shape (m,)
        True classes, not negative.

    Returns
    -------
    float
        ACR, in the units of the input.

    Raises
    ------
    InvalidArgumentError
        When there are no inputs, or `y` does not hold one class for each.

    References
    ----------
    Zhai et al., "MACER: Attack-free and Scalable Robust Training via Maximizing Certified Radius", ICLR 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from types import SimpleNamespace
    >>> claims = SimpleNamespace(prediction=np.array([3, 1, -1, 2]), radius=np.array([0.5, 0.25, 0.0, 0.9]))
    >>> average_certified_radius(claims, [3, 1, 0, 7])
    0.1875
    """
    return float(credited_radius(certificates, y).mean())


def credited_radius(certificates: Claims, y: ArrayLike) -> NDArray[np.float64]:
    """Radius of each input where the class is right, 0 where it is wrong or abstained.

    Its mean is the ACR; differences of two, input by input, compare two models on the same inputs.

    Parameters
    ----------
    certificates : Certificates or Claims
        Predictions and radii of m inputs.
    y : array_like of int, shape (m,)
        True classes, not negative.

    Returns
    -------
    ndarray of float64, shape (m,)
        Credited radii, in the units of the input.

    Raises
    ------
    InvalidArgumentError
        When there are no inputs, or `y` does not hold one class for each.

    Examples
    --------
    >>> import numpy as np
    >>> from types import SimpleNamespace
    >>> claims = SimpleNamespace(prediction=np.array([3, -1]), radius=np.array([0.5, 0.0]))
    >>> credited_radius(claims, [3, 0])
    array([0.5, 0. ])
    """
    right, claimed = _judge(certificates, y)
    return np.where(right, claimed, 0.0)


def abstention_rate(certificates: Claims) -> float:
    """Fraction of inputs for which nothing is claimed.

    Parameters
    ----------
    certificates : Certificates or Claims
        Predictions of m inputs.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    InvalidArgumentError
        When there are no inputs.

    Examples
    --------
    >>> import numpy as np
    >>> from types import SimpleNamespace
    >>> abstention_rate(SimpleNamespace(prediction=np.array([3, -1]), radius=np.array([0.5, 0.0])))
    0.5
    """
    _require_inputs(certificates)
    return float((certificates.prediction == ABSTAIN).mean())


def certified_accuracy_interval(
    certificates: Claims, y: ArrayLike, radius: float, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Confidence interval on certified accuracy over the draw of the inputs (Clopper-Pearson).

    It says how far the accuracy would move on other inputs from the same source. It says nothing about the
    failure probability of the certificates, which each of them carries by itself.

    Parameters
    ----------
    certificates : Certificates or Claims
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
    tail = _tail(confidence)
    m = len(certificates.prediction)
    k = round(float(certified_accuracy(certificates, y, radius)) * m)
    low = float(betaincinv(k, m - k + 1, tail)) if k > 0 else 0.0
    high = float(betaincinv(k + 1, m - k, 1 - tail)) if k < m else 1.0
    return low, high


def average_certified_radius_interval(
    certificates: Claims, y: ArrayLike, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Approximate confidence interval on the ACR over the draw of the inputs (Student's t).

    Parameters
    ----------
    certificates : Certificates or Claims
        Predictions and radii of at least two inputs drawn independently.
    y : array_like of int, shape (m,)
        True classes, not negative.
    confidence : float, default 0.95
        Nominal coverage of the two-sided interval, in (0, 1); it is reached as m grows.

    Returns
    -------
    low, high : float
        The interval, in the units of the input.

    Raises
    ------
    InvalidArgumentError
        As for `average_certified_radius`, when there are fewer than two inputs, or when `confidence` is not in
        (0, 1).

    Examples
    --------
    >>> import numpy as np
    >>> from types import SimpleNamespace
    >>> claims = SimpleNamespace(prediction=np.array([1, 1, -1]), radius=np.array([0.5, 0.25, 0.0]))
    >>> low, high = average_certified_radius_interval(claims, [1, 1, 1], confidence=0.5)
    >>> round(low, 3), round(high, 3)
    (0.132, 0.368)
    """
    tail = _tail(confidence)
    credited = credited_radius(certificates, y)
    m = len(credited)
    if m < 2:
        raise InvalidArgumentError("certificates has 1 input: an interval over inputs needs at least 2")
    half = float(stdtrit(m - 1, 1 - tail)) * float(credited.std(ddof=1)) / math.sqrt(m)
    mean = float(credited.mean())
    return mean - half, mean + half


def _judge(certificates: Claims, y: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Where a claim is right, and the radii claimed."""
    m = _require_inputs(certificates)
    labels = np.asarray(y)
    if labels.shape != (m,):
        raise InvalidArgumentError(f"y has shape {labels.shape}, but there are {m} certificates: give ({m},)")
    if not np.issubdtype(labels.dtype, np.integer):
        raise InvalidArgumentError(f"y has dtype {labels.dtype}: give integer classes, such as y.astype(int)")
    if (labels < 0).any():
        raise InvalidArgumentError(f"y contains {labels.min()}: classes are 0 or greater")
    radius = np.asarray(certificates.radius, dtype=np.float64)
    illegal = ~(radius >= 0)
    if illegal.any():
        raise InvalidArgumentError(f"certificates.radius contains {radius[illegal][0]}: a radius is at least 0")
    prediction = certificates.prediction
    return (prediction != ABSTAIN) & (prediction == labels), radius


def _require_inputs(certificates: Claims) -> int:
    m = len(certificates.prediction)
    if m == 0:
        raise InvalidArgumentError("certificates has 0 inputs: a fraction of inputs needs at least 1")
    return m


def _tail(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise InvalidArgumentError(f"confidence is {confidence}: give a coverage between 0 and 1, such as 0.95")
    return (1 - confidence) / 2
