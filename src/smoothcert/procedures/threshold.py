"""What p must exceed for a certified radius, and radii that no votes reach."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtr

from smoothcert.bounds import certified_radius
from smoothcert.errors import InvalidArgumentError
from smoothcert.noise import NoiseStream

__all__ = ["threshold_of", "unreachable"]


def threshold_of(radius: float, noise: NoiseStream, size: int) -> tuple[float, float]:
    """Return what p must exceed for a certified radius.

    Parameters
    ----------
    radius : float
        L2 radius, at least 0.
    noise : NoiseStream
        The noise of the votes.
    size : int
        Coordinates of an input.

    Returns
    -------
    p0 : float
        Phi(radius / sigma), rounded up: the threshold under exact Gaussian noise.
    drawn : float
        The threshold under the noise that is drawn: p0 and the distance of the two laws, rounded up.

    Examples
    --------
    >>> from smoothcert.noise import GaussianNoise
    >>> p0, drawn = threshold_of(0.25, GaussianNoise(sigma=0.25, seed=0), 3072)
    >>> round(p0, 4), p0 == drawn
    (0.8413, True)
    """
    # From the upper tail, so that a radius of many sigma keeps its digits.
    p0 = float(np.nextafter(1.0 - ndtr(-radius / noise.sigma) * (1 - 2.0**-40), 2.0))
    delta = noise.total_variation(size)
    return p0, float(np.nextafter(p0 + delta, 2.0)) if delta else p0


def unreachable(radius: float, p: float, sigma: float, setting: str) -> InvalidArgumentError:
    """Return the error that unanimous votes show no more than probability p, hence no such radius."""
    largest = math.floor(1e4 * float(certified_radius(max(0.0, p), sigma))) / 1e4
    return InvalidArgumentError(
        f"radius is {radius:g}: with {setting} and sigma = {sigma:g} even unanimous votes certify no more than "
        f"{largest:g}; ask for less, or use more samples"
    )
