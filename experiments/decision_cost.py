"""What a decision at a radius costs, on the p_A of published certification logs.

    python experiments/decision_cost.py 0.50=LOG 1.00=LOG --out runs/figures

p_A of each input is recovered from its radius in a log, and votes of a base and of a candidate are drawn: two
boundaries at the same distance under correlated noise. For each radius it compares the certified accuracy and the
candidate's forward passes per input of certification with n samples, of the sequential test from scratch, and of
the decision from a cache of the base's votes. All inputs count, abstained and wrong ones too.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from adaptive_sampling import Inputs, read
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from stopping_failures import Bits, run_test

from smoothcert.bounds import RadiusTest, lower_confidence_bound
from smoothcert.procedures.incremental import StoppingRule, decide_all

ALPHA, N0, N_P = 0.001, 100, 10_000
RADII = (0.25, 0.5, 1.0)
CORRELATIONS = (0.9995, 0.998)
CACHES = (10_000, 100_000)
Row = tuple[str, float, float]


def from_scratch(inputs: Inputs, radius: float, rng: np.random.Generator) -> Iterator[Row]:
    """Certify with n samples, and by the sequential test with at most n."""
    p0 = float(ndtr(radius / inputs.sigma))
    for n in CACHES:
        shown = np.asarray(lower_confidence_bound(rng.binomial(n, inputs.p), n, ALPHA)) > p0
        yield f"n = {n:,}", float((shown & inputs.right).mean()), N0 + n
        certified, used = run_test(RadiusTest(p0, n, ALPHA), inputs.p, rng)
        yield f"sequential, at most {n:,}", float((certified & inputs.right).mean()), N0 + float(used.mean())


def from_cache(inputs: Inputs, radius: float, rng: np.random.Generator) -> Iterator[Row]:
    """Decide from caches of several sizes, for candidates at several distances."""
    z = ndtri(inputs.p)[:, None]
    for rho in CORRELATIONS:
        noise = rng.standard_normal((len(inputs.p), N_P))
        X = noise < z
        Y = rho * noise + np.sqrt(1 - rho**2) * rng.standard_normal(noise.shape) < z

        def cached(i: int, X: Bits = X) -> Bits:
            return np.asarray(X[i])

        def ask(wanted: list[tuple[int, NDArray[np.int64]]], to_come: int, Y: Bits = Y) -> list[Bits]:
            return [Y[i][indices] for i, indices in wanted]

        for n in CACHES:
            count = X.sum(axis=1) + rng.binomial(n - N_P, inputs.p)
            rule = StoppingRule(float(ndtr(radius / inputs.sigma)), n, N_P, 2 * ALPHA)
            found = decide_all(rule, count, cached, ask)
            name = f"decision, cache of {n:,}, {100 * (X != Y).mean():.1f} % of votes differ"
            yield name, float((found.certified & inputs.right).mean()), float(found.samples.mean())


def main() -> None:
    """Compare on every log and radius, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("logs", nargs="+", metavar="SIGMA=PATH")
    parser.add_argument("--out", type=Path, default=Path("runs/figures"))
    a = parser.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    with (a.out / "decision_cost.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["sigma", "radius", "method", "certified accuracy", "passes an input"])
        for inputs in map(read, a.logs):
            for radius in RADII:
                rng = np.random.default_rng(0)
                for name, accuracy, passes in (
                    *from_scratch(inputs, radius, rng),
                    *from_cache(inputs, radius, rng),
                ):
                    writer.writerow([inputs.sigma, radius, name, f"{accuracy:.4f}", f"{passes:.1f}"])
                    print(f"sigma {inputs.sigma:g}, r = {radius:g}: {accuracy:.3f} {passes:9,.0f}  {name}")


if __name__ == "__main__":
    main()
