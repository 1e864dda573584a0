"""What follows from the votes is derived by every reader, whatever a file with good checksums claims."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import smoothcert as sc
from forged_cache import World, X, Y, classifier
from smoothcert.errors import CacheCorruptError
from smoothcert.evaluation import compare
from smoothcert.votes.store import (
    CachedInput,
    CertificationCache,
    candidate_folder,
    read_candidates,
    verify,
    write_candidate,
)


def other_class(row: CachedInput) -> CachedInput:
    return replace(row, top_class=(row.top_class + 1) % 5)


def wrapping(row: CachedInput) -> CachedInput:
    """Four times 2**62 is 0 in 64 bits, so that the sum passes for n0."""
    return replace(row, selection_counts=np.array([1 << 62] * 4 + [20]), top_class=0)


def larger_bound(row: CachedInput) -> CachedInput:
    return replace(row, p_lower=row.p_lower + 1e-6)


@pytest.mark.parametrize(
    "change",
    [
        other_class,
        wrapping,
        larger_bound,
        lambda row: replace(row, p_lower=float("nan")),
        lambda row: replace(row, selection_counts=row.selection_counts - 20),
        lambda row: replace(row, selection_counts=row.selection_counts * 2),
        lambda row: replace(row, counts=np.roll(row.counts, 1)),
        lambda row: replace(row, votes=row.votes[:-1]),
        lambda row: replace(row, votes=np.where(np.arange(len(row.votes)) == 5, 77, row.votes)),
        lambda row: replace(row, start=1),
        lambda row: replace(row, start=-1),
        lambda row: replace(row, key=bytes(32)),
    ],
)
def test_every_reader_refuses_a_forged_base(world: World, change: Callable[[CachedInput], CachedInput]) -> None:
    world.forge(change)
    readers: tuple[Callable[[], Any], ...] = (
        world.certify,
        lambda: compare(world.cache, X, Y),
        lambda: sc.recertify(classifier(0.02), X, cache=world.cache, n_p=100),
        lambda: sc.plan(world.cache, acr_within=0.1),
    )
    for read in readers:
        with pytest.raises(CacheCorruptError, match="part-"):
            read()
    assert len(verify(world.cache)[0].damage) == 3


@pytest.mark.parametrize("change", [other_class, lambda row: replace(row, start=1 << 40)])
def test_a_forged_candidate_is_refused(world: World, change: Callable[[CachedInput], CachedInput]) -> None:
    world.forge(change, candidate_folder(world.cache, "shifted"))
    with pytest.raises(CacheCorruptError, match="shifted"):
        compare(world.cache, X, Y)
    assert verify(world.cache)[1].damage


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"n_p": 500}, "n = 1000"),
        ({"alpha_zeta": 0.101}, "alpha = 0.002"),
        ({"holdout": True}, "not held out"),
        ({"holdout": True, "start": 19_500}, "not there"),
        ({"identical": True}, "some differ"),
    ],
)
def test_a_record_is_held_against_the_votes(world: World, change: dict[str, Any], named: str) -> None:
    (record,) = read_candidates(world.cache)
    write_candidate(world.cache, replace(record, **change))
    with pytest.raises(CacheCorruptError, match=named):
        compare(world.cache, X, Y)


def test_honest_votes_are_read_as_they_were_written(world: World) -> None:
    run = world.certify()
    store = CertificationCache(world.cache)
    assert run.timing.samples == 0
    for key, c_A, p_lower in zip(run.keys, run.certificates.top_class, run.certificates.p_lower, strict=True):
        assert store[key].top_class == c_A
        assert store[key].p_lower == pytest.approx(p_lower, abs=1e-9)
    assert [found.damage + found.notes for found in verify(world.cache)] == [[], []]
