"""How few of f's votes a changed classifier must lose: a sequential test that shares its level with f's count."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smoothcert.bounds._joint_levels import P_BINS, joint_levels, tau_index
from smoothcert.bounds.binomial import lower_confidence_bound
from smoothcert.bounds.sequential import log_evidence_below

__all__ = ["LossTest"]

Array = NDArray[np.float64]
Bits = NDArray[np.bool_]
Counts = NDArray[np.int64]

_LARGEST = 0.999
_ROWS = 2048  # inputs at a time, for the memory that their cells take


@dataclass(frozen=True)
class LossTest:
    """Whether a changed classifier f' loses few enough of f's votes for p' > p0, for each of N inputs.

    p = P(f = A) is unknown, so its values are cut into cells. In a cell p' <= p0 means that f' loses at least a
    share a0 of f's votes, and the cell is contradicted when the votes so far are evidence against that at the
    level which the cached count leaves to it, see `joint_lower_bound`. p' > p0 is shown when all cells are
    contradicted. The votes may be looked at after every sample, and sampling stopped for any reason.

    Attributes
    ----------
    a0 : ndarray of float64, shape (N, J)
        For each cell, the share that f' loses at least where p' <= p0, rounded down.
    needed : ndarray of float64, shape (N, J)
        The logarithm of the evidence that contradicts it: -inf where the cached count alone does, inf where no
        lost votes can.

    Notes
    -----
    The proof is in ``docs/guarantees.md`` (decisions at a radius). Its premises are those of `joint_lower_bound`.

    Examples
    --------
    With 9,000 of 10,000 cached votes for A, three hundred votes without a loss show p' > 0.87, and fifty do not:

    >>> test = LossTest.at(np.array([9000, 9000]), 10_000, 0.87, 0.001)
    >>> test.shows(np.array([0, 0]), np.array([300, 50]))
    array([ True, False])
    """

    a0: Array
    needed: Array

    @classmethod
    def at(cls, count: Counts, n: int, p0: float, alpha: float) -> LossTest:
        """Prepare the test of p' > p0 from cached counts for A, shape (N,), of n, at a total level.

        Raises
        ------
        InvalidArgumentError
            When a count or alpha is out of range.
        """
        prepared = joint_levels(alpha, 1)
        edges = np.asarray(lower_confidence_bound(count[:, None], n, prepared.u))
        level = prepared.level[tau_index(np.array([float(n)]))[0]]  # (bins of p, steps of u)
        smallest = np.stack([_smallest(level[:, j], edges, j) for j in range(1, level.shape[1])], axis=1)
        a0 = 1 - p0 / np.maximum(edges, 2.0**-50) - 2.0**-50
        needed = np.where(a0 > 0, np.nextafter(-np.log(smallest), np.inf), np.inf)
        return cls(np.clip(a0, 0.0, _LARGEST), np.where(smallest >= 1, -np.inf, needed))

    def take(self, rows: Counts) -> LossTest:
        """Return the test of some inputs."""
        return LossTest(self.a0[rows], self.needed[rows])

    @property
    def possible(self) -> Bits:
        """Where enough votes without a loss would show p' > p0, shape (N,)."""
        return np.asarray((self.needed < np.inf).all(axis=1))

    @property
    def hardest(self) -> tuple[Array, Array]:
        """The a0 of the cell that takes most votes without a loss, 0 where impossible, and its evidence, (N,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            votes = np.where(self.a0 > 0, self.needed / -np.log1p(-self.a0), -np.inf)
        cell = np.argmax(votes, axis=1)[:, None]
        a0, needed = (np.take_along_axis(values, cell, axis=1)[:, 0] for values in (self.a0, self.needed))
        return np.where(self.possible, a0, 0.0), needed

    def shows(self, d: Counts, t: Counts) -> Bits:
        """Tell where d lost votes of t show p' > p0, both of shape (N,)."""
        shown = self.possible & (t > 0)
        rows = np.flatnonzero(shown)
        for start in range(0, len(rows), _ROWS):
            some = rows[start : start + _ROWS]
            a0 = np.where(self.a0[some] > 0, self.a0[some], 0.5)  # of cells that need no evidence
            evidence = log_evidence_below(d[some, None], t[some, None], a0)
            shown[some] = (evidence >= self.needed[some]).all(axis=1)
        return np.asarray(shown)


def _smallest(level: Array, edges: Array, j: int) -> Array:
    """Return the smallest level over the bins of p that each input's j-th cell touches."""
    low = np.searchsorted(P_BINS, edges[:, j - 1], side="right")
    high = (
        np.searchsorted(P_BINS, edges[:, j], side="right")
        if j < edges.shape[1]
        else np.full(len(edges), len(P_BINS))
    )
    pairs = np.stack([low, high + 1], axis=1).ravel()
    return np.asarray(np.minimum.reduceat(np.append(level, np.inf), pairs)[::2])
