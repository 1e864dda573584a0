"""Votes of every input, kept part by part in a cache when there is one."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from smoothcert.bounds import lower_confidence_bound
from smoothcert.classifiers import Classifier
from smoothcert.errors import CacheMismatchError
from smoothcert.noise import NoiseStream, Purpose
from smoothcert.sampling import (
    Identity,
    Inputs,
    SampleRange,
    Votes,
    count_votes,
    default_batch_size,
    device_of,
    identify,
    most_voted,
    sample_votes,
)
from smoothcert.votes.store import CachedInput, CertificationCache, Manifest, Timing

__all__ = [
    "PART_VOTES",
    "REPLAYED",
    "REPLAY_TOLERANCE",
    "Progress",
    "VotingPlan",
    "collect",
    "make_manifest",
    "recorded_batch_size",
    "replay",
    "require_repeated",
]

Progress = Callable[[int, int], None]
"""Called with (samples done, samples in total) after each batch."""

PART_VOTES = 1 << 16
"""Votes per part of a cache: what a crash can cost, and what is in memory at a time."""

_BATCH_SIZE = "batch_size"
REPLAYED = 64
"""Cached votes that are repeated before a cache is added to."""

REPLAY_TOLERANCE = 0.1  # near ties may fall differently on another machine


@dataclass(frozen=True, kw_only=True)
class VotingPlan:
    """Which votes to collect.

    Attributes
    ----------
    classifier : Classifier
        Labels the noisy inputs.
    inputs : Inputs, shape (m, *shape)
        The clean inputs.
    keys : list of bytes
        Their keys.
    noise : NoiseStream
        The noise.
    n0, n : int
        Selection and estimation samples per input.
    alpha : float
        Level of the lower bound that is kept with the votes.
    batch_size : int or None
        Forward passes at once.
    place : callable, optional
        Given the rows of a group just before it is sampled, returns the sample index at which the estimation votes
        of each start. By default they start at 0.
    purpose : Purpose
        What the n samples are for.
    identity : Identity, optional
        What the classifier computes, where that was looked at already.
    """

    classifier: Classifier
    inputs: Inputs
    keys: list[bytes]
    noise: NoiseStream
    n0: int
    n: int
    alpha: float
    batch_size: int | None = None
    place: Callable[[list[int]], list[int]] | None = None
    purpose: Purpose = Purpose.ESTIMATION
    identity: Identity | None = None


def make_manifest(plan: VotingPlan, *, base: str = "") -> Manifest:
    """Describe the plan for a cache."""
    identity = plan.identity or identify(plan.classifier, tuple(plan.inputs.shape[1:]), plan.noise)
    return Manifest(
        sigma=plan.noise.sigma,
        noise_law=plan.noise.law,
        noise_digest=plan.noise.digest,
        seed=plan.noise.seed,
        n0=plan.n0,
        n=plan.n,
        alpha=plan.alpha,
        num_classes=plan.classifier.num_classes,
        input_shape=tuple(plan.inputs.shape[1:]),
        fingerprint=plan.classifier.fingerprint,
        purpose=plan.purpose.name.lower(),
        identity=asdict(identity),
        classifier={**plan.classifier.description, _BATCH_SIZE: str(_batch_size(plan))},
        base=base,
        versions={
            "smoothcert": version("smoothcert"),
            "numpy": np.__version__,
            "python": platform.python_version(),
            "machine": platform.machine(),
        },
    )


def _batch_size(plan: VotingPlan) -> int:
    return plan.batch_size or default_batch_size(math.prod(plan.inputs.shape[1:]), device_of(plan.classifier))


def recorded_batch_size(manifest: Manifest) -> int | None:
    """Return the batch size that a cache was begun with; kernels may round by it, so a continued run keeps it."""
    recorded = manifest.classifier.get(_BATCH_SIZE, "")
    return int(recorded) if recorded.isdecimal() and int(recorded) else None


def collect(
    plan: VotingPlan, cache: CertificationCache | None, progress: Progress | None
) -> Iterator[tuple[list[CachedInput], Timing]]:
    """Yield the inputs' votes in groups, sampling those that the cache does not have.

    Groups follow from n alone and are sampled one after the other, so an interrupted run that continues writes
    the same parts as an undisturbed one. Memory holds one group.

    Yields
    ------
    list of CachedInput
        A group of consecutive inputs, in order.
    Timing
        What sampling it cost now; nothing for what the cache had.
    """
    if cache is not None and plan.batch_size is None:
        plan = replace(plan, batch_size=recorded_batch_size(cache.manifest))
    total = sum(key not in cache for key in plan.keys) if cache is not None else len(plan.keys)
    report = _reporter(progress, total * (plan.n0 + plan.n))
    for rows in _groups(plan):
        missing = [i for i in rows if cache is None or plan.keys[i] not in cache]
        began = time.perf_counter()
        sampled = {row.key: row for row in _sample(plan, missing, report)} if missing else {}
        timing = Timing(len(missing) * (plan.n0 + plan.n), time.perf_counter() - began)
        if cache is None:
            yield list(sampled.values()), timing
            continue
        found = [plan.keys[i] for i in rows if plan.keys[i] in cache]
        kept = {key: cache[key] for key in found}
        if sampled:
            cache.append(list(sampled.values()), timing)
        yield [kept[plan.keys[i]] if plan.keys[i] in kept else sampled[plan.keys[i]] for i in rows], timing


def _groups(plan: VotingPlan) -> Iterator[range]:
    size = max(1, PART_VOTES // plan.n)
    for start in range(0, len(plan.keys), size):
        yield range(start, min(start + size, len(plan.keys)))


def _sample(plan: VotingPlan, rows: list[int], report: Callable[[int], None]) -> Iterator[CachedInput]:
    starts = [0] * len(rows) if plan.place is None else plan.place(rows)
    ranges = [
        SampleRange(i, plan.keys[i], purpose, start, start + count)
        for i, first in zip(rows, starts, strict=True)
        for purpose, start, count in ((Purpose.SELECTION, 0, plan.n0), (plan.purpose, first, plan.n))
    ]
    votes = sample_votes(
        plan.classifier, plan.inputs, plan.noise, ranges, batch_size=plan.batch_size, on_batch=report
    )
    for j, i in enumerate(rows):
        yield _summarise(plan, plan.keys[i], votes[2 * j], votes[2 * j + 1], starts[j])


def _summarise(plan: VotingPlan, key: bytes, selection: Votes, estimation: Votes, start: int) -> CachedInput:
    k = plan.classifier.num_classes
    selection_counts, counts = count_votes(selection, k), count_votes(estimation, k)
    top_class = int(most_voted(selection_counts[None])[0])
    count = int(counts[top_class]) if top_class >= 0 else 0
    return CachedInput(
        key=key,
        top_class=top_class,
        selection_counts=selection_counts,
        counts=counts,
        p_lower=float(lower_confidence_bound(count, plan.n, plan.alpha)),
        votes=estimation,
        start=start,
    )


def replay(plan: VotingPlan, cache: CertificationCache) -> None:
    """Repeat some cached votes of the first input that is there.

    Raises
    ------
    CacheMismatchError
        When the classifier votes otherwise now: another model, preprocessing or noise.
    """
    row = next((i for i, key in enumerate(plan.keys) if key in cache), None)
    if row is None:
        return
    key, count = plan.keys[row], min(REPLAYED, cache.manifest.n)
    kept = cache[key]
    again = SampleRange(row, key, plan.purpose, kept.start, kept.start + count)
    (votes,) = sample_votes(plan.classifier, plan.inputs, plan.noise, [again])
    require_repeated(cache.path, row, votes, kept.votes[:count])


def require_repeated(path: Path, row: int, votes: Votes, cached: Votes) -> None:
    """Refuse votes of one input that are others than the cached ones of the same samples.

    Raises
    ------
    CacheMismatchError
        When more differ than rounding explains.
    """
    changed = int((votes != cached).sum())
    if changed > REPLAY_TOLERANCE * len(cached):
        raise CacheMismatchError(
            f"{path} does not repeat: {changed} of {len(cached)} cached votes of x[{row}] are others now; "
            "the model, its preprocessing or the libraries are not those that made the cache"
        )


def _reporter(progress: Progress | None, total: int) -> Callable[[int], None]:
    done = 0

    def report(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(done, total)

    return report
