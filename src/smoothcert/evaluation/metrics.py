"""Certified accuracy and average certified radius, over all inputs: an abstention is never right."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smoothcert.certificate import ABSTAIN
from smoothcert.certified_result import HasCertificates, certificates_in
from smoothcert.errors import InvalidArgumentError

__all__ = [
    "RADIUS_STEP",
    "Claims",
    "HasRadius",
    "average_certified_radius",
    "certified_accuracy",
    "correct",
    "credited_radius",
    "radius_grid",
]


RADIUS_STEP = 0.25
"""Between the radii of `radius_grid`, in the units of the input."""


class HasRadius(Protocol):
    """What the metrics read of m inputs: `Certificates` have it, and so has a published log."""

    @property
    def prediction(self) -> NDArray[np.int64]:
        """Class claimed for each input, (m,) int64; -1 is an abstention."""
        ...

    @property
    def radius(self) -> NDArray[np.float64]:
        """Radius claimed for each input, (m,) float64, in the units of the input."""
        ...


Claims = HasRadius | HasCertificates
"""What the metrics take: what has predictions and radii, or the result of a procedure."""


def certified_accuracy(certificates: Claims, y: ArrayLike, radii: ArrayLike) -> NDArray[np.float64]:
    """Fraction of all inputs whose class is right and whose radius is at least r.

    An abstention counts as wrong at every r, also at r = 0, whatever radius stands beside it.

    Parameters
    ----------
    certificates : CertificationRun or another result, Certificates or HasRadius
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
    right, claimed = _correct_and_radius(certificates, y)
    ascending = np.sort(claimed[right])
    below = np.searchsorted(ascending, radii, side="left")
    return np.asarray((len(ascending) - below) / len(right), dtype=np.float64)


def radius_grid(certificates: Iterable[Claims]) -> NDArray[np.float64]:
    """Radii at which accuracies are shown: 0, 0.25, 0.5, … up to the largest radius of any input.

    Parameters
    ----------
    certificates : iterable of results, Certificates or HasRadius
        One or more, with at least one input each.

    Returns
    -------
    ndarray of float64, shape (p,)
        In the units of the input, `RADIUS_STEP` apart.

    Examples
    --------
    >>> import numpy as np
    >>> from types import SimpleNamespace
    >>> radius_grid([SimpleNamespace(prediction=np.array([3, 1]), radius=np.array([0.3, 0.6]))]).tolist()
    [0.0, 0.25, 0.5]
    """
    largest = max(float(np.max(certificates_in(each).radius)) for each in certificates)
    return np.asarray(RADIUS_STEP * np.arange(int(largest // RADIUS_STEP) + 1), dtype=np.float64)


def average_certified_radius(certificates: Claims, y: ArrayLike) -> float:
    """Mean over all inputs of the radius where the class is right, and 0 where it is wrong or abstained.

    It equals the area under the certified accuracy as a function of the radius.

    Parameters
    ----------
    certificates : CertificationRun or another result, Certificates or HasRadius
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


def correct(certificates: Claims, y: ArrayLike) -> NDArray[np.bool_]:
    """Say where the class claimed is the true one; an abstention is not.

    Parameters
    ----------
    certificates, y
        As in `average_certified_radius`.

    Returns
    -------
    ndarray of bool, shape (m,)

    Raises
    ------
    InvalidArgumentError
        As for `average_certified_radius`.

    Examples
    --------
    >>> import numpy as np
    >>> from types import SimpleNamespace
    >>> correct(SimpleNamespace(prediction=np.array([3, -1]), radius=np.array([0.5, 0.0])), [3, 0])
    array([ True, False])
    """
    right, _ = _correct_and_radius(certificates, y)
    return right


def credited_radius(certificates: Claims, y: ArrayLike) -> NDArray[np.float64]:
    """Radius of each input where the class is right, 0 where it is wrong or abstained.

    Its mean is the ACR; differences of two, input by input, compare two models on the same inputs.

    Parameters
    ----------
    certificates, y
        As in `average_certified_radius`.

    Returns
    -------
    ndarray of float64, shape (m,)
        Credited radii, in the units of the input.

    Raises
    ------
    InvalidArgumentError
        As for `average_certified_radius`.

    Examples
    --------
    >>> import numpy as np
    >>> from types import SimpleNamespace
    >>> claims = SimpleNamespace(prediction=np.array([3, -1]), radius=np.array([0.5, 0.0]))
    >>> credited_radius(claims, [3, 0])
    array([0.5, 0. ])
    """
    right, claimed = _correct_and_radius(certificates, y)
    return np.where(right, claimed, 0.0)


def _correct_and_radius(certificates: Claims, y: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return where a claim is right, and the radii claimed."""
    certificates = certificates_in(certificates)
    m = len(certificates.prediction)
    if m == 0:
        raise InvalidArgumentError("certificates has 0 inputs: a fraction of inputs needs at least 1")
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
