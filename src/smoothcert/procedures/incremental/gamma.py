"""Selection of the incremental procedure's threshold gamma by grid search."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smoothcert.bounds import certified_radius, irs_bound

__all__ = ["GAMMA_GRID", "select_gamma"]

GAMMA_GRID = (0.9, 0.95, 0.975, 0.98, 0.985, 0.99, 0.995, 0.999, 1.0)


def select_gamma(
    count: NDArray[np.int64],
    n: int,
    n_disagree: NDArray[np.int64],
    n_direct: NDArray[np.int64],
    m: int | NDArray[np.int64],
    *,
    alpha: float,
    alpha_zeta: float,
    sigma: float,
    grid: tuple[float, ...] = GAMMA_GRID,
) -> float:
    """Return the gamma with the largest mean radius on a tuning subset.

    Labels play no part. The certificates of other inputs may use the result; those of the tuning subset may not,
    since a threshold chosen from the votes that it is applied to is not the one of the proof.

    Parameters
    ----------
    count : ndarray of int64, shape (N,)
        Cached votes of f for the top class, of n.
    n : int
        Cached samples per input.
    n_disagree, n_direct : ndarray of int64, shape (N,)
        Disagreements of f and f^p, and votes of f^p for the top class, on m paired samples.
    m : int or ndarray of int64, shape (N,)
        Paired samples per input.
    alpha, alpha_zeta : float
        Failure probabilities of the base's and the disparity's bound.
    sigma : float
        Standard deviation of the noise.
    grid : tuple of float
        Values to try; ties go to the first.

    Returns
    -------
    float

    References
    ----------
    Ugare et al., "Incremental randomized smoothing certification", ICLR 2024, Section 5.4.

    Examples
    --------
    A confident input without a disagreement is better certified directly, which a lower gamma allows:

    >>> import numpy as np
    >>> one = np.array([1])
    >>> select_gamma(9990 * one, 10_000, 5 * one, 1000 * one, 1000, alpha=0.001, alpha_zeta=0.001, sigma=0.5)
    0.9
    """
    radii = [
        np.mean(
            certified_radius(irs_bound(count, n, n_disagree, n_direct, m, alpha, alpha_zeta, g).p_lower, sigma)
        )
        for g in grid
    ]
    return grid[int(np.argmax(radii))]
