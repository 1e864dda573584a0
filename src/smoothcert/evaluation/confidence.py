"""What a set of certificates shows about its inputs, although each may be wrong with probability alpha."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betainc

from smoothcert.certified_result import certificates_in
from smoothcert.errors import InvalidArgumentError
from smoothcert.evaluation._arguments import require_confidence
from smoothcert.evaluation.metrics import Claims, certified_accuracy, credited_radius

__all__ = [
    "average_certified_radius_lower",
    "certified_accuracy_lower",
    "false_certificates",
    "truly_certified",
]

_MARGIN = 1 + 1e-9  # SciPy's tails are good to about 1e-12
_DOWN = 1 - 2.0**-51  # more than the roundings of a sum and a quotient


def false_certificates(m: int, alpha: float, *, confidence: float) -> int:
    """Bound the number of false certificates among m: at most b of them, with the given confidence.

    The noise of the inputs is independent, and each certificate is false only in an event of probability at most
    alpha that is independent of those of the others, however inputs steer how many samples others take. So the
    number is stochastically at most Bin(m, alpha), and b is its quantile. It holds for certificates of every
    method, decisions at a radius included: ``docs/selection.md`` has the proof.

    Parameters
    ----------
    m : int
        Inputs, at least 1.
    alpha : float
        Failure probability of each certificate, in (0, 1).
    confidence : float
        In (0, 1), such as 0.99.

    Returns
    -------
    int
        The smallest b with P(Bin(m, alpha) > b) <= 1 - confidence.

    Raises
    ------
    InvalidArgumentError
        When an argument is out of range.

    Examples
    --------
    >>> false_certificates(500, 0.002, confidence=0.99)
    4
    """
    m, alpha, eta = _checked(m, alpha, confidence)
    k = np.arange(1, m + 1)
    exceeds = betainc(k, m - k + 1, alpha) * _MARGIN > eta  # P(Bin(m, alpha) >= k)
    return int(exceeds.sum())


def truly_certified(k: int, m: int, alpha: float, *, confidence: float) -> int:
    """Bound from below how many of m inputs have a property that k certificates claim.

    Let t inputs have it. The other m - t are claimed to have it only by a false certificate, each with
    probability at most alpha, so that k is stochastically at most t + Bin(m - t, alpha). This grows with t, and
    the bound is the smallest t that the test of this does not reject. It is never below k - `false_certificates`,
    which counts false certificates among all m.

    Parameters
    ----------
    k : int
        Inputs with the claim, 0 <= k <= m.
    m, alpha, confidence
        As in `false_certificates`.

    Returns
    -------
    int
        The smallest t with P(t + Bin(m - t, alpha) >= k) > 1 - confidence.

    Raises
    ------
    InvalidArgumentError
        When an argument is out of range.

    Examples
    --------
    >>> truly_certified(300, 500, 0.002, confidence=0.99)
    298
    """
    m, alpha, eta = _checked(m, alpha, confidence)
    if not 0 <= k <= m:
        raise InvalidArgumentError(f"k is {k}: it should be from 0 to m = {m}")
    t = np.arange(k)
    rejected = betainc(k - t, m - k + 1, alpha) * _MARGIN <= eta  # P(Bin(m - t, alpha) >= k - t)
    return int(rejected.sum())


def certified_accuracy_lower(
    certificates: Claims, y: ArrayLike, radius: float, *, alpha: float, confidence: float
) -> float:
    """Bound the true certified accuracy on these inputs from below.

    The true one is the share of these very inputs around which the smoothed classifier returns the label out to
    the radius. It is at least the bound with the given confidence, over the draw of the noise; nothing is claimed
    about other inputs, for which there is `certified_accuracy_interval`.

    Parameters
    ----------
    certificates : CertificationRun or another result, Certificates or HasRadius
        Predictions and radii of m inputs, with independent noise (see `false_certificates`).
    y : array_like of int, shape (m,)
        True classes, not negative.
    radius : float
        Radius at which to evaluate, not negative.
    alpha : float
        Failure probability of each certificate, in (0, 1).
    confidence : float
        In (0, 1), such as 0.99.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    InvalidArgumentError
        As for `certified_accuracy`, or when `alpha` or `confidence` is not in (0, 1).

    Examples
    --------
    >>> import numpy as np
    >>> from types import SimpleNamespace
    >>> claims = SimpleNamespace(prediction=np.ones(500, int), radius=np.repeat([0.5, 0.0], [300, 200]))
    >>> certified_accuracy_lower(claims, [1] * 500, 0.25, alpha=0.002, confidence=0.99)
    0.596
    """
    m = len(certificates_in(certificates).prediction)
    k = round(float(certified_accuracy(certificates, y, radius)) * m)
    return truly_certified(k, m, alpha, confidence=confidence) / m


def average_certified_radius_lower(
    certificates: Claims, y: ArrayLike, *, alpha: float, confidence: float
) -> float:
    """Bound the true mean radius on these inputs from below.

    The true radius of an input is the largest out to which the smoothed classifier returns the label, and 0 where
    it does not. Where a certificate is not false, it is at least the credited one. At most
    b = `false_certificates` are false, and the worst case is that they are the b largest, which count as 0.

    Parameters
    ----------
    certificates, y, alpha, confidence
        As in `certified_accuracy_lower`.

    Returns
    -------
    float
        In the units of the input.

    Raises
    ------
    InvalidArgumentError
        As for `average_certified_radius`, or when `alpha` or `confidence` is not in (0, 1).

    Examples
    --------
    >>> import numpy as np
    >>> from types import SimpleNamespace
    >>> claims = SimpleNamespace(prediction=np.ones(500, int), radius=np.repeat([0.5, 0.0], [300, 200]))
    >>> round(average_certified_radius_lower(claims, [1] * 500, alpha=0.002, confidence=0.99), 6)
    0.296
    """
    credited = np.sort(credited_radius(certificates, y))
    b = false_certificates(len(credited), alpha, confidence=confidence)
    return math.fsum(credited[: len(credited) - b]) / len(credited) * _DOWN


def _checked(m: int, alpha: float, confidence: float) -> tuple[int, float, float]:
    if m < 1:
        raise InvalidArgumentError(f"m is {m}: give at least 1 input")
    if not 0 < alpha < 1:
        raise InvalidArgumentError(f"alpha is {alpha}: it is a failure probability, 0 < alpha < 1, such as 0.002")
    return m, alpha, 1 - require_confidence(confidence)
