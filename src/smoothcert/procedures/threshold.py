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
    """Return what p must exceed, rounded up, for a certified radius: under exact Gaussian noise, and as drawn."""
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
