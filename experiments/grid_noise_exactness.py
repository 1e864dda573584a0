"""Are the steps of grid noise distributed as the cells of a Gaussian? A chi-square test with many draws.

Cells with fewer than 50 expected draws are pooled, those of each tail on their own. Only the fast implementation
is drawn from: the tests compare it with the definition draw by draw.

    python experiments/grid_noise_exactness.py --draws 1000000000
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from smoothcert.noise import GridNoise, Purpose

LEVELS = 255
SIZE, IMAGES = 3 * 32 * 32, 64
LEAST_EXPECTED = 50


def count_steps(noise: GridNoise, draws: int, reach: int) -> NDArray[np.int64]:
    """Count the steps -reach .. reach over consecutive samples of one input; no step is farther than `reach`."""
    counts = np.zeros(2 * reach + 1, np.int64)
    x, out = np.zeros(SIZE, np.float32), np.empty((IMAGES, SIZE), np.float32)
    for start in range(0, -(-draws // SIZE), IMAGES):
        noise.perturb(x, bytes(32), Purpose.ESTIMATION, start, out)
        steps = np.rint(out.ravel() * np.float32(noise.levels)).astype(np.int64)
        counts += np.bincount(steps + reach, minlength=len(counts))
    return counts


def cell_probabilities(scale: float, reach: int) -> NDArray[np.float64]:
    """Return P(k - 1/2 <= s Z < k + 1/2) for k = -reach .. reach, from the nearer tail."""
    k = np.abs(np.arange(-reach, reach + 1))
    return stats.norm.sf((k - 0.5) / scale) - stats.norm.sf((k + 0.5) / scale)


def pooled(values: NDArray[np.float64], inner: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the inner cells with one cell for each tail around them."""
    first, last = np.flatnonzero(inner)[[0, -1]]
    return np.concatenate([[values[:first].sum()], values[first : last + 1], [values[last + 1 :].sum()]])


def main() -> None:
    """Draw, test, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=10**9)
    parser.add_argument("--sigma", type=float, nargs="+", default=[0.5])
    parser.add_argument("--seed", type=int, default=0)
    a = parser.parse_args()
    for sigma in a.sigma:
        began = time.perf_counter()
        noise, reach = GridNoise(sigma, a.seed, LEVELS), int(9.2 * sigma * LEVELS) + 3
        counts = count_steps(noise, a.draws, reach).astype(np.float64)
        expected = cell_probabilities(sigma * LEVELS, reach) * counts.sum()
        inner = expected >= LEAST_EXPECTED
        observed, model = pooled(counts, inner), pooled(expected, inner)
        result = stats.chisquare(observed, model * observed.sum() / model.sum())
        reached = np.flatnonzero(counts)[[0, -1]] - reach
        print(
            f"sigma {sigma:g}, step 1/{LEVELS}: {int(counts.sum()):,} draws, {len(observed)} cells, "
            f"chi-square {result.statistic:.1f}, p = {result.pvalue:.4f}; steps {reached[0]} to {reached[1]}; "
            f"{time.perf_counter() - began:.0f} s"
        )


if __name__ == "__main__":
    main()
