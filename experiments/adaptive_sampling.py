"""What dividing a budget of samples among inputs buys, on the p_A of published certification logs.

    python experiments/adaptive_sampling.py 0.50=LOG 1.00=LOG --out runs/figures

p_A of each input is recovered from its radius in a log (n = 100,000, alpha = 0.001) and votes are drawn from it.
Compared, at the same samples for all inputs together, selection included, are the average certified radius of

- fixed: the same n for every input,
- adaptive: the library's division by selection votes,
- p known: the division that the true p_A would give, which nothing can know,
- looks: the same with a third of alpha, what three looks at the counted votes could reach at best,

and how many times as many samples the same n for all needs for the ACR of adaptive.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from smoothcert.bounds import Predicted, allocate_samples, lower_confidence_bound, smallest_n
from smoothcert.procedures.budget import divide_budget, pilot_samples
from smoothcert.reporting import read_cohen_log

ALPHA, N0, LOOKS = 0.001, 100, 3
LOGGED_N = 100_000
MEANS = (1_000, 3_000, 10_000, 30_000, 100_000)
UNANIMOUS = 1 - 1e-6
ABSTAINED = (0.3, 0.5)  # p_A of the inputs whose radius is not known

Array = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Inputs:
    """p_A of the inputs of a log, and where the class was right."""

    sigma: float
    p: Array
    right: NDArray[np.bool_]

    def acr(self, n: Counts, alpha: float, rng: np.random.Generator) -> float:
        """Draw votes and return the average certified radius."""
        p_lower = np.asarray(lower_confidence_bound(rng.binomial(n, self.p), n, alpha))
        return float((self.sigma * np.maximum(ndtri(p_lower), 0) * self.right).mean())


def read(text: str) -> Inputs:
    """Recover p_A from a log given as SIGMA=PATH."""
    sigma, _, path = text.partition("=")
    log = read_cohen_log(path)
    k = np.arange(LOGGED_N // 2, LOGGED_N + 1)
    bounds = np.asarray(lower_confidence_bound(k, LOGGED_N, ALPHA))
    # Logs have three decimals; the middle of what rounds to them is the likeliest.
    count = k[np.minimum(np.searchsorted(bounds, ndtr(log.radius / float(sigma))), len(k) - 1)]
    p = np.minimum(count / LOGGED_N, UNANIMOUS)
    unknown = log.prediction < 0
    p[unknown] = np.random.default_rng(0).uniform(*ABSTAINED, int(unknown.sum()))
    return Inputs(float(sigma), p, log.prediction == log.label)


def divide(inputs: Inputs, budget: int, rng: np.random.Generator) -> Counts:
    """Divide as the library does, from selection votes."""
    size = np.full(len(inputs.p), N0)
    count = rng.binomial(size, inputs.p)
    more = pilot_samples(count, size, budget)
    return divide_budget(count + rng.binomial(more, inputs.p), size + more, budget, ALPHA)


def divide_knowing(inputs: Inputs, mean: int, alpha: float) -> Counts:
    """Divide what selection leaves as one would who knows p_A."""
    known = Predicted(ndtri(inputs.p), np.full(len(inputs.p), 0.01))
    return allocate_samples(known, mean - N0, alpha, least=smallest_n(alpha))


def compare(inputs: Inputs, mean: int, repeats: int) -> dict[str, float]:
    """Return the mean ACR of each way to spend `mean` samples an input."""
    rng = np.random.default_rng(mean)
    fixed = np.full(len(inputs.p), mean - N0)
    known, looks = divide_knowing(inputs, mean, ALPHA), divide_knowing(inputs, mean, ALPHA / LOOKS)
    found = [
        (
            inputs.acr(fixed, ALPHA, rng),
            inputs.acr(divide(inputs, mean * len(inputs.p), rng), ALPHA, rng),
            inputs.acr(known, ALPHA, rng),
            inputs.acr(looks, ALPHA / LOOKS, rng),
        )
        for _ in range(repeats)
    ]
    return dict(zip(("fixed", "adaptive", "p known", "looks"), np.mean(found, axis=0).tolist(), strict=True))


def fixed_curve(inputs: Inputs, repeats: int) -> tuple[Array, Array]:
    """Return samples an input, and the mean ACR of the same n for all."""
    sizes, rng = np.geomspace(MEANS[0], 8 * MEANS[-1], 41), np.random.default_rng(1)
    acr = [
        np.mean([inputs.acr(np.full(len(inputs.p), round(size) - N0), ALPHA, rng) for _ in range(repeats)])
        for size in sizes
    ]
    return sizes, np.maximum.accumulate(np.array(acr))


def main() -> None:
    """Compare on every log and budget, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("logs", nargs="+", metavar="SIGMA=PATH")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path("runs/figures"))
    a = parser.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    with (a.out / "adaptive_sampling.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["sigma", "samples an input", "fixed", "adaptive", "p known", "looks", "speedup"])
        for text in a.logs:
            inputs = read(text)
            sizes, fixed = fixed_curve(inputs, a.repeats)
            for mean in MEANS:
                acr = compare(inputs, mean, a.repeats)
                speedup = float(np.exp(np.interp(acr["adaptive"], fixed, np.log(sizes)))) / mean
                writer.writerow([inputs.sigma, mean, *(f"{v:.5f}" for v in acr.values()), f"{speedup:.3f}"])
                gains = ", ".join(f"{k} {100 * (v / acr['fixed'] - 1):+.1f} %" for k, v in acr.items())
                print(
                    f"sigma {inputs.sigma:g}, {mean:7,} samples an input: ACR {acr['fixed']:.4f} ({gains}), "
                    f"adaptive is worth {speedup:.2f} times the samples"
                )


if __name__ == "__main__":
    main()
