"""Votes of many inputs as counts."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smoothcert._results import Brief
from smoothcert.sampling import count_votes, most_voted, votes_for
from smoothcert.votes.store import CachedInput

__all__ = ["Tally", "tally_of"]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Tally(Brief):
    """The counts of m inputs, from which certificates follow.

    Attributes
    ----------
    selection : ndarray of int64, shape (m, k)
        Selection votes per class.
    counts : ndarray of int64, shape (m, k)
        Estimation votes per class; invalid votes are in n and in no class.
    n : ndarray of int64, shape (m,)
        Estimation samples of each input, fixed before its votes were seen.
    """

    selection: NDArray[np.int64]
    counts: NDArray[np.int64]
    n: NDArray[np.int64]

    @property
    def top_class(self) -> NDArray[np.int64]:
        """The class c_A with most selection votes; -1 where there are none, shape (m,)."""
        return most_voted(self.selection)

    @property
    def count(self) -> NDArray[np.int64]:
        """Estimation votes for c_A, shape (m,)."""
        return votes_for(self.top_class, self.counts)


def tally_of(rows: Iterable[CachedInput], n: int | NDArray[np.int64]) -> Tally:
    """Count the first n votes of each cached input, letting them go one by one; n may differ between inputs."""
    sizes = n if isinstance(n, np.ndarray) else itertools.repeat(n)
    counted = [(row.selection_counts, _first(row, m), m) for row, m in zip(rows, sizes, strict=False)]
    selection, counts, used = zip(*counted, strict=True)
    return Tally(selection=np.stack(selection), counts=np.stack(counts), n=np.array(used, np.int64))


def _first(row: CachedInput, m: int) -> NDArray[np.int64]:
    return row.counts if m == len(row.votes) else count_votes(row.votes[:m], len(row.counts))
