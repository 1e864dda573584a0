"""Counts of kept votes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from smoothcert.votes import tally_of
from smoothcert.votes.store import CachedInput

VOTES = np.random.default_rng(0).choice(np.array([0, 1, 2, 255], np.uint8), (3, 50))


def kept(votes: NDArray[np.uint8], selection: list[int]) -> CachedInput:
    counts = np.array([int((votes == label).sum()) for label in range(3)])
    return CachedInput(
        key=bytes(32),
        top_class=int(np.argmax(selection)),
        selection_counts=np.array(selection),
        counts=counts,
        p_lower=0.0,
        votes=votes,
    )


@pytest.mark.parametrize("n", [50, 20, np.array([7, 50, 1])])
@pytest.mark.parametrize("inputs", [1, 3])
def test_the_first_n_votes_are_counted(n: int | NDArray[np.int64], inputs: int) -> None:
    sizes = np.broadcast_to(n, 3)[:inputs]
    rows = [
        kept(votes, selection) for votes, selection in zip(VOTES, [[5, 0, 4], [0, 0, 9], [1, 7, 1]], strict=True)
    ]
    tally = tally_of(rows[:inputs], n if isinstance(n, int) else sizes)
    classes = [0, 2, 1][:inputs]
    assert tally.n.tolist() == sizes.tolist()
    assert tally.top_class.tolist() == classes
    for i, (c, size) in enumerate(zip(classes, sizes, strict=True)):
        first = VOTES[i, :size].tolist()
        assert tally.counts[i].tolist() == [first.count(label) for label in range(3)]
        assert tally.count[i] == first.count(c)
