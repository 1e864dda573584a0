"""Count false certificates where the truth is known: linear classifiers under Gaussian noise.

For f(x) = 1[w . x + b > 0] the smoothed classifier's robust radius is the distance to the boundary. A certificate
is false when its class is wrong or its radius exceeds that distance. The whole pipeline runs, noise and cache
included, at alpha = alpha_zeta = 0.05, and the exact binomial test compares the count with the total failure
probability that the certificates carry.

    python experiments/failure_counts.py --out runs/guarantees
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import binomtest

import smoothcert as sc
from smoothcert.noise import NoiseName

SIGMA = 0.25
ALPHA = 0.05
N0, N, N_P = 20, 1000, 300
GAMMA = 0.9
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


@dataclass(frozen=True)
class Count:
    """False certificates of one kind.

    Attributes
    ----------
    world : str
        Its name.
    kind : str
        Procedure, and branch where only one is counted.
    inputs : int
        Inputs of the world.
    certificates : int
        Those that took the branch.
    failures : int
        Those whose claim is false.
    alpha : float
        Total failure probability that the certificates carry. It covers an input whichever branch it takes, so
        failures in one branch are compared with it over all inputs.
    """

    world: str
    kind: str
    inputs: int
    certificates: int
    failures: int
    alpha: float

    @property
    def p_value(self) -> float:
        """Probability of at least so many failures if each had probability alpha."""
        return float(binomtest(self.failures, self.inputs, self.alpha, alternative="greater").pvalue)


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
        again = sc.recertify(candidate, inputs, cache=cache, n_p=N_P, alpha_zeta=ALPHA, gamma=GAMMA)
    branch = np.asarray(again.certificates.branch)
    everything = np.ones(certificates, bool)
    return [
        _count(world.name, "CERTIFY", run.certificates, margin, everything),
        _count(world.name, "IRS", again.certificates, distance, everything),
        _count(world.name, "IRS, zeta branch", again.certificates, distance, branch == "zeta"),
        _count(world.name, "IRS, direct branch", again.certificates, distance, branch == "direct"),
    ]


def _count(world: str, kind: str, found: sc.Certificates, distance: float, which: NDArray[np.bool_]) -> Count:
    """Count claims of class 1 beyond its distance, and of class 0 beyond minus that."""
    truth = np.where(found.prediction == 1, distance, -distance)
    false = found.certified & (found.radius > truth)
    return Count(world, kind, len(found), int(which.sum()), int((false & which).sum()), found.alpha)


def main() -> None:
    """Run all worlds, print the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/guarantees"))
    parser.add_argument("--certificates", type=int, default=20_000, help="inputs per world")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    counts = [
        count for i, world in enumerate(WORLDS) for count in count_failures(world, arguments.certificates, seed=i)
    ]
    with (arguments.out / "failure_counts.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["world", "kind", "inputs", "certificates", "failures", "total alpha", "p-value"])
        for c in counts:
            writer.writerow((c.world, c.kind, c.inputs, c.certificates, c.failures, c.alpha, c.p_value))
            print(
                f"{c.world:40} {c.kind:20} {c.failures:6} false of {c.certificates:6} (of {c.inputs} inputs)  "
                f"alpha {c.alpha:.2f}  p {c.p_value:.3g}"
            )
    print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
