"""Noise + classifier -> votes: the only hot path."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from smoothcert.classifiers import Classifier
from smoothcert.errors import InvalidArgumentError
from smoothcert.noise import NoiseStream
from smoothcert.sampling.requests import SampleRequest, pieces

__all__ = ["Inputs", "Votes", "count_votes", "default_batch_size", "invalid_vote", "sample_votes"]

Votes = NDArray[np.uint8 | np.uint16]

_COUNTED_AT_ONCE = 1 << 16


class Inputs(Protocol):
    """An array of inputs (m, *shape), or anything that gives float32 rows on demand."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(m, *shape)."""
        ...

    def __len__(self) -> int:
        """Return m."""
        ...

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Yield the inputs one by one."""
        ...

    def __getitem__(self, index: int, /) -> NDArray[np.float32]:
        """Return one input, float32 of shape (*shape)."""
        ...


def sample_votes(
    classifier: Classifier,
    inputs: Inputs,
    noise: NoiseStream,
    ranges: Sequence[SampleRequest],
    *,
    batch_size: int | None = None,
    on_batch: Callable[[int], None] | None = None,
) -> list[Votes]:
    """Classify noisy copies of inputs; batches are filled across ranges and inputs.

    Parameters
    ----------
    classifier : Classifier
        Labels a batch.
    inputs : Inputs, shape (m, *shape)
        The clean inputs.
    noise : NoiseStream
        Where the noise comes from.
    ranges : sequence of SampleRange or SampleIndices
        Which samples to draw.
    batch_size : int, optional
        Forward passes at once. It changes no noise; by default it follows from the size of an input. Where the
        classifier runs out of memory, it is halved and the run goes on.
    on_batch : callable, optional
        Called with the number of samples after each batch.

    Returns
    -------
    list of ndarray of uint8 or uint16
        The votes of each request, in order; `invalid_vote` of the number of classes marks an invalid one.
    """
    shape = inputs.shape[1:]
    size = math.prod(shape)
    batch_size = default_batch_size(size) if batch_size is None else batch_size
    block = noise.block(size)
    lengths = [len(request) for request in ranges]
    votes = np.empty(sum(lengths), dtype=_vote_dtype(classifier.num_classes))
    buffer = np.empty((batch_size + block, *shape), dtype=np.float32)
    filled = used = done = 0
    fitting = batch_size

    def classify(count: int) -> None:
        nonlocal used, done, fitting
        end = done + count
        while done < end:
            step = min(fitting, end - done)
            try:
                labels = classifier.classify(buffer[used : used + step])
            except (MemoryError, RuntimeError) as error:
                if step == 1 or not _is_out_of_memory(error):
                    raise
                fitting = step // 2
                continue
            # -1 wraps to the largest value of the unsigned type, which is the invalid vote.
            votes[done : done + step] = labels.astype(votes.dtype)
            used += step
            done += step
        if on_batch is not None:
            on_batch(count)

    for piece in pieces(ranges, block):
        count = len(piece)
        if filled + count > len(buffer):
            buffer[: filled - used] = buffer[used:filled]
            filled, used = filled - used, 0
        piece.perturb(noise, inputs[piece.row], buffer[filled : filled + count])
        filled += count
        while filled - used >= batch_size:
            classify(batch_size)
    if filled > used:
        classify(filled - used)
    return np.split(votes, np.cumsum(lengths)[:-1])


def _is_out_of_memory(error: Exception) -> bool:
    """Tell MemoryError and PyTorch's OutOfMemoryError, which is a RuntimeError, from others."""
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


def default_batch_size(size: int) -> int:
    """Return a batch size that suits inputs of `size` values: a power of two from 32 to 1024.

    Examples
    --------
    >>> default_batch_size(3 * 32 * 32), default_batch_size(3 * 224 * 224), default_batch_size(64)
    (128, 32, 1024)
    """
    fitting = (1 << 19) // size
    return min(1024, max(32, 1 << max(0, fitting.bit_length() - 1)))


def invalid_vote(num_classes: int) -> int:
    """Return the stored value of an invalid vote, the largest of the votes' type.

    Examples
    --------
    >>> invalid_vote(10), invalid_vote(1000)
    (255, 65535)
    """
    return int(np.iinfo(_vote_dtype(num_classes)).max)


def count_votes(votes: Votes, num_classes: int) -> NDArray[np.int64]:
    """Count votes per class; invalid votes are counted for none.

    Parameters
    ----------
    votes : ndarray of uint8 or uint16, shape (n,)
        Votes as `sample_votes` returns them.
    num_classes : int
        Number of classes k.

    Returns
    -------
    ndarray of int64, shape (k,)

    Examples
    --------
    >>> import numpy as np
    >>> count_votes(np.array([0, 2, 2, 255], np.uint8), num_classes=3)
    array([1, 0, 2])
    """
    counts = np.zeros(num_classes, np.int64)
    for start in range(0, len(votes), _COUNTED_AT_ONCE):  # bincount widens what it counts to 8 bytes
        part = votes[start : start + _COUNTED_AT_ONCE]
        counts += np.bincount(part[part < num_classes], minlength=num_classes)
    return counts


def _vote_dtype(num_classes: int) -> type[np.uint8] | type[np.uint16]:
    if num_classes >= np.iinfo(np.uint16).max:
        raise InvalidArgumentError(
            f"num_classes is {num_classes}: at most {np.iinfo(np.uint16).max - 1} are supported"
        )
    return np.uint8 if num_classes < np.iinfo(np.uint8).max else np.uint16
