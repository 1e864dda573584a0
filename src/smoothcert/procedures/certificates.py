"""From bounds to claims: class and radius, or abstention and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smoothcert.bounds import (
    certified_radius,
    certified_radius_two_sided,
    lower_confidence_bound,
    upper_confidence_bound,
)
from smoothcert.certificate import ABSTAIN, Certificates
from smoothcert.noise import NoiseStream
from smoothcert.votes import Tally

__all__ = [
    "BELOW_HALF",
    "BELOW_RUNNER_UP",
    "Claim",
    "certificates_of",
    "claim_at_radius",
    "claims",
    "cohen_certificates",
    "under_exact_noise",
]

BELOW_HALF = "p_lower <= 1/2"
BELOW_RUNNER_UP = "p_lower <= runner_up"
NO_SELECTION = "no valid selection vote"


def cohen_certificates(
    tally: Tally, alpha: float, noise: NoiseStream, size: int, *, runner_up: bool = False
) -> Certificates:
    """Turn counts into certificates: lines 3 and 5 to 9 of Algorithm 1, for all inputs at once.

    Parameters
    ----------
    tally : Tally
        Counts of m inputs.
    alpha : float
        Failure probability of each certificate.
    noise : NoiseStream
        The noise of the votes.
    size : int
        Coordinates of an input, for the distance of the noise from exact Gaussian noise.
    runner_up : bool
        Whether to bound the other classes too, see `certify`. The true runner-up is one class, and the bound for
        the largest of the other counts is at least its own: no correction for the number of classes.

    Returns
    -------
    Certificates

    Examples
    --------
    >>> import numpy as np
    >>> from smoothcert.noise import GaussianNoise
    >>> noise = GaussianNoise(sigma=0.5, seed=0)
    >>> tally = Tally(selection=np.array([[9, 1]]), counts=np.array([[990, 10]]), n=np.array([1000]))
    >>> c = cohen_certificates(tally, 0.001, noise, 784)
    >>> int(c.prediction[0]), round(float(c.radius[0]), 3)
    (0, 0.989)
    """
    c_A, count, n = tally.top_class, tally.count, tally.n
    level = alpha / 2 if runner_up else alpha
    p_lower = under_exact_noise(np.asarray(lower_confidence_bound(count, n, level)), noise, size)
    p_upper = None
    if runner_up:
        others = np.where(np.arange(tally.counts.shape[1]) == c_A[:, None], 0, tally.counts).max(axis=1)
        p_upper = np.asarray(upper_confidence_bound(others, n, level))
    claim = claims(p_lower, p_upper, noise, size)
    return certificates_of(
        claim,
        p_lower=p_lower,
        top_class=c_A,
        count=count,
        n=n,
        alpha_split={"top class": level, "runner-up": level} if runner_up else {"base": alpha},
        alpha=alpha,
        method="cohen",
        noise=noise,
        premise=noise.premise,
    )


def certificates_of(
    claim: Claim,
    *,
    p_lower: NDArray[np.float64],
    top_class: NDArray[np.int64],
    count: NDArray[np.int64],
    n: NDArray[np.int64],
    alpha: float,
    alpha_split: Mapping[str, float],
    method: str,
    noise: NoiseStream,
    premise: str,
) -> Certificates:
    """Say class and radius where something is claimed, and elsewhere why not; see `Certificates`."""
    return Certificates(
        prediction=np.where(claim.made, top_class, ABSTAIN),
        radius=claim.radius,
        p_lower=p_lower,
        top_class=top_class,
        count=count,
        n=n,
        reason=np.where(claim.made, "", np.where(top_class >= 0, claim.reason, NO_SELECTION)),
        alpha=alpha,
        alpha_split=alpha_split,
        sigma=noise.sigma,
        method=method,
        noise=noise.law,
        guarantee="certified",
        premise=premise,
        runner_up=claim.runner_up,
    )


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What follows from bounds on the top class and, where there are any, on the others, for m inputs."""

    made: NDArray[np.bool_]
    radius: NDArray[np.float64]  # 0 where nothing is claimed
    reason: str  # why nothing is claimed elsewhere
    runner_up: NDArray[np.float64] | None = None  # bound on the other classes, under exact Gaussian noise


def claims(
    p_lower: NDArray[np.float64], p_upper: NDArray[np.float64] | None, noise: NoiseStream, size: int
) -> Claim:
    """Turn bounds into radii: p_lower holds under exact Gaussian noise, p_upper of the other classes as drawn."""
    if p_upper is None:
        return Claim(
            made=p_lower > 0.5,
            radius=np.asarray(certified_radius(p_lower, noise.sigma)),
            reason=BELOW_HALF,
        )
    # Both bounds hold together: where p_lower leaves less for the others than p_upper, what it leaves counts.
    exact = np.nextafter(p_upper + noise.total_variation(size), 2)
    p_B = np.clip(np.minimum(exact, np.nextafter(1 - p_lower, 2)), np.finfo(np.float64).tiny, 1.0)
    return Claim(
        made=p_lower > p_B,
        radius=np.asarray(certified_radius_two_sided(p_lower, p_B, noise.sigma)),
        reason=BELOW_RUNNER_UP,
        runner_up=p_B,
    )


def claim_at_radius(claimed: NDArray[np.bool_], radius: float) -> Claim:
    """Claim one radius, or nothing."""
    return Claim(made=claimed, radius=np.where(claimed, radius, 0.0), reason=f"not certified at {radius:g}")


def under_exact_noise(p_lower: NDArray[np.float64], noise: NoiseStream, size: int) -> NDArray[np.float64]:
    """Move a lower bound from the noise that was drawn to exact Gaussian noise, rounded down.

    The two laws differ by at most `noise.total_variation`, in the probability of every event. It is subtracted
    once: the bounds of the incremental procedure hold under the drawn law as a whole.
    """
    delta = noise.total_variation(size)
    return np.maximum(np.nextafter(p_lower - delta, -np.inf), 0.0) if delta else p_lower
