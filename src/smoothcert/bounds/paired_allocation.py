"""How many samples of a changed classifier each input is worth, from the cached counts of its base."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from smoothcert.bounds._arguments import MAX_COUNT
from smoothcert.bounds.allocation import choose_at_a_price, geometric_sizes, spend_the_rest
from smoothcert.bounds.expected import expected_bounds_from_scratch, expected_bounds_paired
from smoothcert.bounds.gating import prefers_direct
from smoothcert.bounds.radius import smallest_n

__all__ = ["allocate_paired", "smallest_mean"]

Array = NDArray[np.float64]
Counts = NDArray[np.int64]

_PROBITS, _SIZES = 16, 16
_NOTHING = 0.01  # of sigma
_MOST = 100  # times the mean, and an input has got nearly all that sampling can give it


def allocate_paired(count: Counts, n: int, n_p: int, alpha: float, *, afresh: bool = True) -> Counts:
    """Divide samples of a changed classifier among inputs so that the expected mean certified radius is largest.

    What an input gains follows from how many of its cached votes are for the top class: nothing where the base
    hardly certifies, little where further samples of f' do not move the bound. At one price a sample each input
    takes the number whose gain exceeds its price by most, which may be 0. The numbers are a function of the cached
    counts alone and the same for every candidate, so that `joint_lower_bound` holds with them as with one m for
    all, see ``docs/guarantees.md``. The candidate is assumed to be as good as the base and to change about 1 % of
    the votes at p = 0.8; where that is wrong, it costs radius and no validity.

    Parameters
    ----------
    count : ndarray of int64, shape (N,)
        Cached votes of f for its top class, of n.
    n : int
        Cached votes of each input.
    n_p : int
        Samples of f' of an input, on average.
    alpha : float
        Total failure probability of the bound; with several candidates together, its share of one.
    afresh : bool
        Whether f' starts from scratch where `prefers_direct` says so.

    Returns
    -------
    ndarray of int64, shape (N,)
        Samples of each input, at most 100 n_p and together at most N n_p; paired ones at most n.

    Examples
    --------
    Inputs that are lost, close, clear and sure, with 1,000 samples each on average:

    >>> allocate_paired(np.array([3000, 5600, 8000, 9990]), 10_000, 1000, 0.002)
    array([   0,  388,  645, 2965])
    """
    fresh, budget = _fresh(count, n, afresh), len(count) * n_p
    least = smallest_n(alpha)
    most = max(least, min(_MOST * n_p, budget, MAX_COUNT))
    sizes = np.concatenate(([0], geometric_sizes(least, most)))
    gain = _gain(count, n, sizes, alpha, fresh)
    chosen = sizes[choose_at_a_price(gain, sizes, budget)]
    return np.minimum(spend_the_rest(chosen, budget), np.where(fresh, most, min(n, most)))


def smallest_mean(count: Counts, n: int, alpha: float, *, afresh: bool = True) -> int | None:
    """Return the smallest n_p with which `allocate_paired` gives some input samples; None where nothing would."""
    fresh = _fresh(count, n, afresh)
    sizes = geometric_sizes(smallest_n(alpha), max(n, smallest_n(alpha)))
    worth = (_gain(count, n, sizes, alpha, fresh) > _NOTHING).any(axis=0)
    return None if not worth.any() else int(-(-sizes[worth.argmax()] // len(count)))


def _fresh(count: Counts, n: int, afresh: bool) -> NDArray[np.bool_]:
    return prefers_direct(count, n) if afresh else np.zeros(len(count), np.bool_)


def _gain(count: Counts, n: int, sizes: Counts, alpha: float, fresh: NDArray[np.bool_]) -> Array:
    """Expect the radius over sigma of each input with each number of samples, shape (N, len(sizes))."""
    counts, known, table = _paired_radii(n, alpha)
    logs = np.log(np.maximum(sizes, 1))
    by_size = np.stack([np.interp(logs, np.log(known), row, left=0.0) for row in table])
    # Between a number that certifies nothing and the next that was tabulated, rather nothing.
    below = np.searchsorted(known, sizes, side="right") - 1
    by_size[table[:, np.maximum(below, 0)] < _NOTHING] = 0.0
    at, places = _probit(count, n), _probit(counts, n)
    gain = np.stack([np.interp(at, places, column, left=0.0) for column in by_size.T], axis=1)
    direct = np.zeros(len(sizes))
    direct[sizes > 0] = _radius(
        expected_bounds_from_scratch(np.full(int((sizes > 0).sum()), 1 - 0.5 / n), sizes[sizes > 0], alpha)
    )
    return np.where(fresh[:, None], direct, gain)


@lru_cache(maxsize=16)
def _paired_radii(n: int, alpha: float) -> tuple[Counts, Counts, Array]:
    """Tabulate the expected radius over sigma by cached count and paired samples."""
    probits = np.linspace(0.0, float(ndtri(1 - 0.5 / n)), _PROBITS)
    counts = np.unique(np.rint(n * ndtr(probits)).astype(np.int64))
    least = min(smallest_n(alpha), n)
    sizes = np.unique(np.rint(np.geomspace(least, n, _SIZES)).astype(np.int64))
    radii = [_radius(expected_bounds_paired("joint", counts, n, int(m), alpha / 2, alpha / 2)) for m in sizes]
    return counts, sizes, np.stack(radii, axis=1)


def _radius(bounds: Array) -> Array:
    return np.asarray(np.maximum(ndtri(bounds), 0.0).mean(axis=0))


def _probit(count: Counts, n: int) -> Array:
    return np.asarray(ndtri(np.clip(count / n, 0.5 / n, 1 - 0.5 / n)))
