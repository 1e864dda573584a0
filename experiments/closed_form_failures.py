"""Count false certificates where the truth is known: linear classifiers under Gaussian noise.

For f(x) = 1[w . x + b > 0] the smoothed classifier's robust radius is the distance to the boundary. A certificate
is false when its class is wrong or its radius exceeds that distance. The whole pipeline runs, noise and cache
included, at alpha = alpha_zeta = 0.05, and the exact binomial test compares the count with the total failure
probability that the certificates carry.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from counts import Count
from numpy.typing import NDArray
from scipy.special import ndtri

import smoothcert as sc
from smoothcert.noise import NoiseName
from smoothcert.procedures import Bound

SIGMA = 0.25
ALPHA = 0.05
N0, N, N_P = 20, 1000, 300
GAMMA = 0.9
BOUNDS: tuple[Bound, ...] = ("irs", "auto")
LEVELS = 255


@dataclass(frozen=True)
class World:
    """A base and a candidate, and where the inputs stand.

    Attributes
    ----------
    name : str
        What is hard about it.
    p : float
        Probability of class 1 under the base.
    angle : float
        Between the two boundaries, in radians.
    shift : float
        How far the candidate's boundary is moved towards the input, in units of sigma.
    grid : bool
        Whether the noise is grid noise: then boundaries lie halfway between grid points, where the closed form is
        exact.
    """

    name: str
    p: float
    angle: float
    shift: float
    grid: bool = False


WORLDS = (
    World("zeta branch, rotated boundary", 0.75, 0.05, 0.0),
    World("zeta branch, boundary moved closer", 0.75, 0.0, 0.05),
    World("zeta branch, base bound against 1/2", 0.53, 0.02, 0.02),
    World("direct branch, boundary moved closer", 0.97, 0.0, 0.1),
    World("direct branch, rotated boundary", 0.97, 0.1, 0.0),
    World("at the gate, boundary moved closer", 0.9165, 0.0, 0.03),
    World("at the gate, rotated boundary", 0.9165, 0.1, 0.02),
    World("at the gate, true p = gamma", 0.9, 0.0, 0.03),
    World("grid noise, zeta branch", 0.75, 0.0, 0.05, grid=True),
    World("grid noise, direct branch", 0.97, 0.0, 0.1, grid=True),
    World("grid noise, at the gate", 0.9165, 0.0, 0.03, grid=True),
)


def linear(normal: tuple[float, float], offset: float) -> sc.FunctionClassifier:
    """Return f(x) = 1[normal . (x0, x1) > offset] as a classifier of two classes."""

    def logits(batch: NDArray[np.float32]) -> NDArray[np.float64]:
        score = normal[0] * batch[:, 0].astype(np.float64) + normal[1] * batch[:, 1] - offset
        return np.stack([-score, score], axis=1)

    return sc.FunctionClassifier(logits, num_classes=2, fingerprint=f"{normal} . x > {offset}")


def count_failures(world: World, certificates: int, seed: int) -> list[Count]:
    """Run one world with `certificates` inputs that differ only in a coordinate that no classifier looks at."""
    margin = SIGMA * float(ndtri(world.p))
    distance = margin - world.shift * SIGMA
    inputs = np.full((certificates, 3), 0.5)
    inputs[:, 2] = np.linspace(0, 1, certificates)
    if world.grid:
        margin, distance = ((np.floor(d * LEVELS) + 0.5) / LEVELS for d in (margin, distance))
        inputs = np.rint(inputs * LEVELS) / LEVELS
    x0, x1 = inputs[0, :2]
    base = linear((1.0, 0.0), x0 - margin)
    normal = (float(np.cos(world.angle)), float(np.sin(world.angle)))
    candidate = linear(normal, normal[0] * x0 + normal[1] * x1 - distance)
    noise: NoiseName = "grid" if world.grid else "gaussian"
    with tempfile.TemporaryDirectory() as cache:
        run = sc.certify(base, inputs, sigma=SIGMA, n0=N0, n=N, alpha=ALPHA, seed=seed, noise=noise, cache=cache)
        paper, ours = (
            sc.recertify(
                candidate,
                inputs,
                cache=cache,
                n_p=N_P,
                alpha_zeta=ALPHA,
                bound=sc.Irs(gamma=GAMMA) if bound == "irs" else bound,
            )
            for bound in BOUNDS
        )
    branch = np.asarray(paper.certificates.branch)
    everything = np.ones(certificates, bool)
    return [
        _count(world.name, "CERTIFY", run.certificates, margin, everything),
        _count(world.name, "IRS", paper.certificates, distance, everything),
        _count(world.name, "IRS, zeta branch", paper.certificates, distance, branch == "zeta"),
        _count(world.name, "IRS, direct branch", paper.certificates, distance, branch == "direct"),
        _count(world.name, "auto", ours.certificates, distance, everything),
    ]


def _count(world: str, kind: str, found: sc.Certificates, distance: float, which: NDArray[np.bool_]) -> Count:
    """Count claims of class 1 beyond its distance, and of class 0 beyond minus that."""
    truth = np.where(found.prediction == 1, distance, -distance)
    false = found.certified & (found.radius > truth)
    return Count(world, kind, len(found), int(which.sum()), int((false & which).sum()), found.alpha)


def count_all(inputs: int, report: Callable[[Count], None]) -> list[Count]:
    """Count the false certificates in all worlds."""
    counts = []
    for seed, world in enumerate(WORLDS):
        for count in count_failures(world, inputs, seed=seed):
            report(count)
            counts.append(count)
    return counts
