"""Votes in rounds, for procedures that decide from the votes so far which samples they take next."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smoothcert.sampling import SampleRange, SampleRequest, Votes, count_votes, pieces
from smoothcert.votes.groups import PART_VOTES
from smoothcert.votes.progress import Progress, ShowProgress, reporter, showing
from smoothcert.votes.quota import Quota, make_manifest
from smoothcert.votes.repetition import REPEATED, require_repeated
from smoothcert.votes.smoothed import Smoothed
from smoothcert.votes.store import RoundJournal, Setting, Timing, recorded_batch_size

__all__ = ["RoundSampler", "sampling_rounds"]

_COUNTED_AT_ONCE = 1 << 20


@contextmanager
def sampling_rounds(
    g: Smoothed,
    quota: Quota,
    *,
    procedure: Mapping[str, Setting],
    folder: str | Path | None = None,
    base: str = "",
    progress: ShowProgress = None,
) -> Iterator[RoundSampler]:
    """Open a sampler for a procedure that asks for votes round after round.

    The procedure must be deterministic: what it asks for follows from `procedure`, the inputs and the votes that
    it got. Then a call that was interrupted, made again with the same folder, gets the votes that are there,
    samples only what is missing and ends with the same result as an undisturbed one.

    Parameters
    ----------
    g : Smoothed
        What is sampled.
    quota : Quota
        What is kept with the votes; n is the most that an input can take.
    procedure : mapping of str to str, int or float
        Its name, under ``"name"``, and every setting of which its requests are a function. A folder serves one
        setting only.
    folder : str or Path, optional
        Where the votes are kept.
    base : str
        Digest of the manifest of the cache whose noise the votes are paired with; empty for none.
    progress : callable or False, optional
        Called with (samples done by this call, samples expected of it) after each batch.

    Yields
    ------
    RoundSampler

    Raises
    ------
    CacheError
        When the folder does not fit the call, is damaged, locked or cannot be written, or the classifier no
        longer votes as it did.

    Examples
    --------
    >>> import numpy as np, smoothcert as sc
    >>> from smoothcert.noise import Purpose
    >>> f = sc.FunctionClassifier(lambda batch: batch, num_classes=2, fingerprint="identity")
    >>> g = Smoothed.open(f, np.zeros((1, 2), np.float32), sigma=0.5, seed=0, noise="gaussian")
    >>> quota = Quota(n0=0, n=300, alpha=0.001)
    >>> with sampling_rounds(g, quota, procedure={"name": "example"}) as rounds:
    ...     (few,) = rounds([SampleRange(0, g.keys[0], Purpose.ESTIMATION, 0, 100)])
    ...     (more,) = rounds([SampleRange(0, g.keys[0], Purpose.ESTIMATION, 100, 300)])
    >>> len(few), len(more), rounds.timing.samples
    (100, 200, 300)
    """
    if folder is None:
        with showing(progress, "votes") as shown:
            rounds = RoundSampler(g, None, shown)
            yield rounds
            rounds.finish()
        return
    manifest = make_manifest(g, quota, base=base)
    with RoundJournal.writing(folder, manifest, procedure, g.keys) as journal, showing(progress, "votes") as shown:
        if g.batch_size is None:
            g = replace(g, batch_size=recorded_batch_size(journal.manifest))
        rounds = RoundSampler(g, journal, shown)
        yield rounds
        rounds.finish()


class RoundSampler:
    """Votes round after round; made by `sampling_rounds`.

    Attributes
    ----------
    timing : Timing
        Samples drawn and seconds spent so far; nothing for what the folder had.
    """

    def __init__(self, g: Smoothed, journal: RoundJournal | None, progress: Progress | None) -> None:
        self.timing = Timing(0, 0.0)
        self._g, self._journal, self._progress = g, journal, progress
        self._next = 0

    def __call__(self, requests: Sequence[SampleRequest], *, to_come: int = 0) -> list[Votes]:
        """Return the votes of one round.

        Parameters
        ----------
        requests : sequence of SampleRange or SampleIndices
            Which samples; batches are filled across them.
        to_come : int
            Samples that the procedure expects to ask for after this round, for `progress`.

        Returns
        -------
        list of ndarray of uint8 or uint16
            The votes of each request, in order, as `sample_votes` returns them; not to be written to.

        Raises
        ------
        CacheError
            When the folder holds other samples than these, is damaged or cannot be written, or the classifier
            votes otherwise than it did.
        """
        groups = list(_groups(requests))
        votes = [
            self._group(group, sum(map(_length, groups[i + 1 :])) + to_come) for i, group in enumerate(groups)
        ]
        lengths = [len(request) for request in requests]
        joined: Votes = np.concatenate(votes) if votes else np.empty(0, np.uint8)
        return np.split(joined, np.cumsum(lengths)[:-1]) if lengths else []

    def count(
        self, requests: Sequence[SampleRequest], *, to_come: int = 0, of_one_input: int = 1
    ) -> NDArray[np.int64]:
        """Return the votes of one round per class, holding only a part of the votes at a time.

        Parameters
        ----------
        requests, to_come
            As when called.
        of_one_input : int
            So many requests after one another are of one input and stay in one part.

        Returns
        -------
        ndarray of int64, shape (len(requests), k)
            Invalid votes are counted for no class.
        """
        k = self._g.classifier.num_classes
        counts = np.zeros((len(requests), k), np.int64)
        lengths = np.array([len(request) for request in requests], np.int64)
        of_input = lengths.reshape(-1, of_one_input).sum(axis=1)
        part = np.repeat((np.cumsum(of_input) - of_input) // _COUNTED_AT_ONCE, of_one_input)
        for rows in np.split(np.arange(len(requests)), np.flatnonzero(np.diff(part)) + 1):
            left = int(lengths[rows[-1] + 1 :].sum()) if rows.size else 0
            for i, votes in zip(rows, self([requests[i] for i in rows], to_come=left + to_come), strict=True):
                counts[i] = count_votes(votes, k)
        return counts

    def finish(self) -> None:
        """Report completion."""
        if self._progress is not None and self.timing.samples:
            self._progress(self.timing.samples, self.timing.samples)

    def _group(self, group: list[SampleRequest], to_come: int) -> Votes:
        """Return the votes of a few requests: what the journal has at this place, or new ones."""
        number, journal = self._next, self._journal
        self._next += 1
        if journal is None:
            return self._sample(group, to_come)
        digest = _digest(group)
        if number < len(journal):
            votes = journal.read(number, digest, _length(group))
            if number == 0:
                self._repeat(group[0], votes, journal.path)
            return votes
        votes = self._sample(group, to_come)
        journal.append(digest, votes)
        return votes

    def _sample(self, group: list[SampleRequest], to_come: int) -> Votes:
        samples, began = _length(group), time.perf_counter()
        expected = self.timing.samples + samples + to_come
        votes = self._g.sample(group, reporter(self._progress, expected, done=self.timing.samples))
        self.timing += Timing(samples, time.perf_counter() - began)
        return np.concatenate(votes)

    def _repeat(self, request: SampleRequest, votes: Votes, path: Path) -> None:
        """Repeat a few votes that were kept, which catches another model behind the same name."""
        few = next(pieces([request], REPEATED))
        (again,) = self._g.sample([few])
        require_repeated(path, request.row, again, votes[: len(few)])


def _groups(requests: Sequence[SampleRequest]) -> Iterator[list[SampleRequest]]:
    """Put requests together until there is enough for one piece of the journal, which a crash can cost."""
    group: list[SampleRequest] = []
    for piece in pieces(requests, PART_VOTES):
        if not len(piece):
            continue
        if group and _length(group) + len(piece) > PART_VOTES:
            yield group
            group = []
        group.append(piece)
    if group:
        yield group


def _length(group: Sequence[SampleRequest]) -> int:
    return sum(len(request) for request in group)


def _digest(group: list[SampleRequest]) -> str:
    """Hash which samples are asked for: two requests for the same samples agree however they are written."""
    found = hashlib.sha256()
    for r in group:
        indices = np.arange(r.start, r.stop) if isinstance(r, SampleRange) else r.indices
        found.update(r.key + int(r.purpose).to_bytes(8, "little") + len(r).to_bytes(8, "little"))
        found.update(indices.astype("<i8").tobytes())
    return found.hexdigest()
