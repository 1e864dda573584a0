"""The same number of votes of every input, group by group, kept in a cache when there is one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from smoothcert.bounds import lower_confidence_bound
from smoothcert.noise import Purpose
from smoothcert.sampling import SampleRange, Votes, count_votes, most_voted, votes_for
from smoothcert.votes.progress import Progress, reporter
from smoothcert.votes.quota import Quota, make_manifest, recorded_batch_size
from smoothcert.votes.repetition import repeat_cached
from smoothcert.votes.smoothed import Smoothed
from smoothcert.votes.store import CachedInput, CertificationCache, Timing
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
    """Open a sampler of the same number of votes of every input.

    Parameters
    ----------
    g : Smoothed
        What is sampled.
    quota : Quota
        How many votes, and what for.
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
        if g.batch_size is None:
            g = replace(g, batch_size=recorded_batch_size(cache.manifest))
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

    def tally(self, progress: Progress | None = None) -> Tally:
        """Return the counts of all inputs."""
        return tally_of((row for group in self.groups(progress) for row in group), self._quota.n)

    def groups(self, progress: Progress | None = None) -> Iterator[list[CachedInput]]:
        """Yield the votes of consecutive inputs, in order, sampling those that the cache does not have.

        Groups follow from n alone and are sampled one after the other, so an interrupted run that continues writes
        the same parts as an undisturbed one. Memory holds one group.
        """
        g, per_input = self._g, self._quota.n0 + self._quota.n
        report = reporter(progress, sum(map(self._is_missing, g.keys)) * per_input)
        size = max(1, PART_VOTES // self._quota.n)
        for start in range(0, len(g), size):
            keys = g.keys[start : start + size]
            missing = [start + i for i, key in enumerate(keys) if self._is_missing(key)]
            began = time.perf_counter()
            sampled = {row.key: row for row in self._sample(missing, report)} if missing else {}
            timing = Timing(len(missing) * per_input, time.perf_counter() - began)
            kept = {key: self.cache[key] for key in keys if self.cache is not None and key in self.cache}
            if self.cache is not None and sampled:
                self.cache.append(list(sampled.values()), timing)
            self.timing += timing
            yield [kept[key] if key in kept else sampled[key] for key in keys]

    def _is_missing(self, key: bytes) -> bool:
        return self.cache is None or key not in self.cache

    def _sample(self, rows: list[int], report: Callable[[int], None]) -> Iterator[CachedInput]:
        keys, quota = self._g.keys, self._quota
        starts = [0] * len(rows) if self._starts is None else self._starts(rows)
        ranges = [
            SampleRange(i, keys[i], purpose, start, start + count)
            for i, first in zip(rows, starts, strict=True)
            for purpose, start, count in ((Purpose.SELECTION, 0, quota.n0), (quota.purpose, first, quota.n))
        ]
        votes = self._g.sample(ranges, report)
        for j, i in enumerate(rows):
            yield self._summarise(keys[i], votes[2 * j], votes[2 * j + 1], starts[j])

    def _summarise(self, key: bytes, selection: Votes, estimation: Votes, start: int) -> CachedInput:
        k, quota = self._g.classifier.num_classes, self._quota
        selection_counts, counts = count_votes(selection, k), count_votes(estimation, k)
        top_class = most_voted(selection_counts[None])
        count = votes_for(top_class, counts[None])
        return CachedInput(
            key=key,
            top_class=int(top_class[0]),
            selection_counts=selection_counts,
            counts=counts,
            p_lower=float(lower_confidence_bound(int(count[0]), quota.n, quota.alpha)),
            votes=estimation,
            start=start,
        )
