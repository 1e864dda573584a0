"""Votes of two classifiers on the same noise, against counts sample by sample."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from smoothcert.errors import CacheMismatchError
from smoothcert.votes import pair, stack_pairs
from smoothcert.votes.store import CachedInput

N, M, K = 300, 60, 3
INVALID = 255
LABELS = np.array([0, 1, 2, INVALID], np.uint8)


def kept(votes: NDArray[np.uint8], *, top_class: int = 1, start: int = 0) -> CachedInput:
    counts = np.array([int((votes == label).sum()) for label in range(K)])
    return CachedInput(
        key=bytes(32),
        top_class=top_class,
        selection_counts=np.eye(K, dtype=np.int64)[max(top_class, 0)] * (top_class >= 0),
        counts=counts,
        p_lower=0.0,
        votes=votes,
        start=start,
    )


def drawn(size: int, seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).choice(LABELS, size, p=[0.2, 0.6, 0.1, 0.1])


@pytest.mark.parametrize("start", [0, 17, N - M])
def test_paired_votes_are_counted_sample_by_sample(start: int) -> None:
    f, candidate = drawn(N, 0), drawn(M + 5, 1)  # more votes than are asked for
    found = pair(kept(f), kept(candidate, start=start), M)
    pairs = [(int(f[start + i]), int(candidate[i])) for i in range(M)]
    assert not found.fresh[0]
    assert found.own[0].tolist() == [sum(b == label for _, b in pairs) for label in range(K)]
    assert found.paired[0].tolist() == [sum(a == label for a, _ in pairs) for label in range(K)]
    assert found.lost[0].tolist() == [sum(a == label != b for a, b in pairs) for label in range(K)]
    assert found.n_disagree[0] == sum(a != b for a, b in pairs)
    assert found.k1[0] == sum(a == 1 for a, _ in pairs)
    assert found.n10[0] == sum(a == 1 != b for a, b in pairs)
    assert found.n01[0] == sum(b == 1 != a for a, b in pairs)
    assert (found.n, int(found.m[0]), int(found.count[0])) == (N, M, int((f == 1).sum()))


@pytest.mark.parametrize("start", [N, N + 1000])
def test_votes_beyond_the_cache_are_paired_with_nothing(start: int) -> None:
    candidate = drawn(M, 2)
    found = pair(kept(drawn(N, 0)), kept(candidate, start=start), M)
    assert found.fresh[0]
    assert found.n_direct[0] == (candidate == 1).sum()
    assert found.n_disagree[0] == 0
    for counts in (found.paired, found.lost):
        assert counts.tolist() == [[0, 0, 0]]


@pytest.mark.parametrize("start", [N - M + 1, N - 1])
def test_votes_partly_beyond_the_cache_are_refused(start: int) -> None:
    with pytest.raises(CacheMismatchError, match=f"start at sample {start}, but only {N} are cached"):
        pair(kept(drawn(N, 0)), kept(drawn(M, 1), start=start), M)


def test_an_input_without_a_class_has_no_votes_for_it() -> None:
    classes = (1, -1, 0)
    rows = [pair(kept(drawn(N, i), top_class=c), kept(drawn(M, 9)), M) for i, c in enumerate(classes)]
    found = stack_pairs(rows)
    for counts in (found.count, found.n_direct, found.k1, found.n10):
        assert counts[1] == 0
        assert counts[0] > 0
    assert found.take(np.array([False, False, True])).count.tolist() == [int((drawn(N, 2) == 0).sum())]
