"""Numbers of votes that were fixed beforehand, group by group, kept in a cache when there is one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from smoothcert.bounds import lower_confidence_bound
from smoothcert.noise import Purpose
from smoothcert.sampling import SampleRange, Votes, count_votes, most_voted, votes_for
from smoothcert.votes.progress import ShowProgress, reporter, showing
from smoothcert.votes.quota import Quota, make_manifest
from smoothcert.votes.repetition import repeat_cached
from smoothcert.votes.smoothed import Smoothed
from smoothcert.votes.store import (
    CachedInput,
    CertificationCache,
    Timing,
    keep_labels,
    kept_sizes,
    recorded_batch_size,
)
from smoothcert.votes.tally import Tally, tally_of

__all__ = ["PART_VOTES", "GroupSampler", "sampling_groups"]

PART_VOTES = 1 << 16
"""Votes per part of a cache: what a crash can cost, and what is in memory at a time."""

Starts = Callable[[list[int]], list[int]]


@contextmanager
def sampling_groups(
    g: Smoothed,
    quota: Quota,
    *,
    folder: str | Path | None = None,
    base: str = "",
    starts: Starts | None = None,
) -> Iterator[GroupSampler]:
    """Open a sampler of a number of votes of every input that was fixed before any of them.

    Parameters
    ----------
    g : Smoothed
        What is sampled.
    quota : Quota
        How many votes, and what for. Where inputs differ in it, a folder keeps the numbers that it was begun
        with: they may round otherwise when a killed call continues elsewhere.
    folder : str or Path, optional
        Of the cache: what is there is not sampled again, what is missing is added. Some votes that are there are
        repeated first.
    base : str
        Digest of the manifest of the cache whose noise the votes are paired with; empty for none.
    starts : callable, optional
        Given the rows of a group just before it is sampled, returns the sample index at which the estimation votes
        of each start; by default 0.

    Yields
    ------
    GroupSampler

    Raises
    ------
    CacheError
        When the cache does not fit, is damaged, locked or cannot be written.
    """
    if folder is None:
        yield GroupSampler(g, quota, None, starts)
        return
    with CertificationCache.writing(folder, make_manifest(g, quota, base=base)) as cache:
        repeat_cached(g, cache)
        if g.labels is not None and not base:
            keep_labels(cache.path, g.keys, g.labels)
        if g.batch_size is None:
            g = replace(g, batch_size=recorded_batch_size(cache.manifest))
        if quota.sizes is not None:
            quota = replace(quota, sizes=kept_sizes(cache.path, g.keys, quota.sizes))
        yield GroupSampler(g, quota, cache, starts)


class GroupSampler:
    """Votes group by group; made by `sampling_groups`.

    Attributes
    ----------
    timing : Timing
        Samples drawn and seconds spent so far; nothing for what the cache had.
    cache : CertificationCache or None
        Where the votes are kept.
    """

    def __init__(self, g: Smoothed, quota: Quota, cache: CertificationCache | None, starts: Starts | None) -> None:
        self.timing = Timing(0, 0.0)
        self.cache = cache
        self._g, self._quota, self._starts = g, quota, starts
        self._n = np.full(len(g), quota.n) if quota.sizes is None else quota.sizes

    def tally(self, progress: ShowProgress = None) -> Tally:
        """Return the counts of all inputs."""
        return tally_of((row for group in self.groups(progress) for row in group), self._n)

    def groups(self, progress: ShowProgress = None) -> Iterator[list[CachedInput]]:
        """Yield the votes of consecutive inputs, in order, sampling those that the cache does not have.

        Groups follow from the numbers of votes alone and are sampled one after the other, so an interrupted run
        that continues writes the same parts as an undisturbed one. Memory holds one group.
        """
        with showing(progress, "votes") as shown:
            missing = [i for i, key in enumerate(self._g.keys) if self._is_missing(key)]
            yield from self._groups(reporter(shown, self._cost(missing)))

    def _groups(self, report: Callable[[int], None]) -> Iterator[list[CachedInput]]:
        g = self._g
        for group in _groups(self._n.tolist()):
            keys = g.keys[group.start : group.stop]
            missing = [i for i, key in zip(group, keys, strict=True) if self._is_missing(key)]
            began = time.perf_counter()
            sampled = {row.key: row for row in self._sample(missing, report)} if missing else {}
            timing = Timing(self._cost(missing), time.perf_counter() - began)
            kept = {key: self.cache[key] for key in keys if self.cache is not None and key in self.cache}
            if self.cache is not None and sampled:
                self.cache.append(list(sampled.values()), timing)
            self.timing += timing
            yield [kept[key] if key in kept else sampled[key] for key in keys]

    def _is_missing(self, key: bytes) -> bool:
        return self.cache is None or key not in self.cache

    def _cost(self, rows: list[int]) -> int:
        return len(rows) * self._quota.n0 + int(self._n[rows].sum())

    def _sample(self, rows: list[int], report: Callable[[int], None]) -> Iterator[CachedInput]:
        keys, quota = self._g.keys, self._quota
        starts = [0] * len(rows) if self._starts is None else self._starts(rows)
        ranges = [
            SampleRange(i, keys[i], purpose, start, start + count)
            for i, first in zip(rows, starts, strict=True)
            for purpose, start, count in (
                (Purpose.SELECTION, 0, quota.n0),
                (quota.purpose, first, int(self._n[i])),
            )
        ]
        votes = self._g.sample(ranges, report)
        for j, i in enumerate(rows):
            yield self._summarise(keys[i], votes[2 * j], votes[2 * j + 1], starts[j])

    def _summarise(self, key: bytes, selection: Votes, estimation: Votes, start: int) -> CachedInput:
        k, quota = self._g.classifier.num_classes, self._quota
        selection_counts, counts = count_votes(selection, k), count_votes(estimation, k)
        top_class = most_voted(selection_counts[None])
        count, n = int(votes_for(top_class, counts[None])[0]), max(1, len(estimation))
        return CachedInput(
            key=key,
            top_class=int(top_class[0]),
            selection_counts=selection_counts,
            counts=counts,
            p_lower=float(lower_confidence_bound(count, n, quota.alpha)),
            votes=estimation,
            start=start,
        )


def _groups(sizes: list[int]) -> Iterator[range]:
    """Put consecutive inputs together until there are votes enough for a part."""
    start = votes = 0
    for i, size in enumerate(sizes):
        if i > start and votes + size > PART_VOTES:
            yield range(start, i)
            start, votes = i, 0
        votes += size
    if sizes:
        yield range(start, len(sizes))
