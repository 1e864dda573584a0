"""The same number of votes of every input: the right ones, however they are grouped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import smoothcert as sc
from closed_form import half_space, invalid_beyond
from smoothcert.bounds import lower_confidence_bound
from smoothcert.noise import GaussianNoise, Purpose, input_keys
from smoothcert.sampling import SampleRange, sample_votes
from smoothcert.votes import Quota, Smoothed, sampling_groups

X = np.linspace(0.3, 0.9, 7, dtype=np.float32)[:, None] * np.ones((1, 3), np.float32)
KEYS = list(input_keys(X))
QUOTA = Quota(n0=11, n=90, alpha=0.01)
G = Smoothed(
    classifier=invalid_beyond(half_space(), 1, 1.0),
    inputs=X,
    keys=KEYS,
    noise=GaussianNoise(0.5, 5),
    batch_size=40,
)


@pytest.mark.parametrize("part_votes", [1 << 16, 200, 90, 89, 1])
@pytest.mark.parametrize("kept", [False, True])
def test_each_row_holds_the_votes_of_its_input(
    part_votes: int, kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smoothcert.votes.groups.PART_VOTES", part_votes)
    folder = tmp_path / "c" if kept else None
    firsts = [3 * i for i in range(len(X))] if not kept else [0] * len(X)
    with sampling_groups(G, QUOTA, folder=folder, starts=lambda rows: [firsts[i] for i in rows]) as votes:
        groups = list(votes.groups())
        assert votes.timing.samples == len(X) * 101
    assert {len(group) for group in groups[:-1]} <= {max(1, part_votes // 90)}
    rows = [row for group in groups for row in group]
    assert [row.key for row in rows] == KEYS
    for i, row in enumerate(rows):
        requests = [
            SampleRange(i, KEYS[i], Purpose.SELECTION, 0, 11),
            SampleRange(i, KEYS[i], Purpose.ESTIMATION, firsts[i], firsts[i] + 90),
        ]
        selection, estimation = sample_votes(G.classifier, X, G.noise, requests)
        assert row.selection_counts.tolist() == [int((selection == c).sum()) for c in (0, 1)]
        np.testing.assert_array_equal(row.votes, estimation)
        assert row.start == firsts[i]
        assert row.counts.tolist() == [int((estimation == c).sum()) for c in (0, 1)]
        assert row.top_class == int(np.argmax(row.selection_counts))
        assert row.p_lower == lower_confidence_bound(row.counts[row.top_class], 90, 0.01)


@pytest.mark.parametrize(("before", "missing"), [(0, 7), (3, 4), (7, 0)])
def test_progress_counts_what_is_missing(before: int, missing: int, tmp_path: Path) -> None:
    if before:
        sc.certify(G.classifier, X[:before], sigma=0.5, n0=11, n=90, alpha=0.01, seed=5, cache=tmp_path / "c")
    seen: list[tuple[int, int]] = []

    def note(done: int, total: int) -> None:
        seen.append((done, total))

    sc.certify(G.classifier, X, sigma=0.5, n0=11, n=90, alpha=0.01, seed=5, cache=tmp_path / "c", progress=note)
    assert {total for _, total in seen} <= {101 * missing}
    done = [count for count, _ in seen]
    assert done == sorted(set(done))
    assert max(done, default=0) == 101 * missing
