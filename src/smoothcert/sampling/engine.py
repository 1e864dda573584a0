"""Noise + classifier -> votes: the only hot path."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from smoothcert.classifiers import Classifier
from smoothcert.noise import NoiseStream
from smoothcert.sampling.batches import noisy_batches, one_ahead
from smoothcert.sampling.inputs import Inputs
from smoothcert.sampling.requests import SampleRequest
from smoothcert.sampling.votes import Votes, vote_dtype

__all__ = ["default_batch_size", "sample_votes"]


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
    size = math.prod(inputs.shape[1:])
    batch_size = default_batch_size(size) if batch_size is None else batch_size
    lengths = [len(request) for request in ranges]
    votes = np.empty(sum(lengths), dtype=vote_dtype(classifier.num_classes))
    done, fitting = 0, batch_size
    made = noisy_batches(inputs, noise, ranges, batch_size, noise.block(size))
    with closing(one_ahead(made) if _noise_ahead(classifier) else made) as ready:
        for batches in ready:
            for start in range(0, len(batches), batch_size):
                batch = batches[start : start + batch_size]
                fitting = _classify(classifier, batch, votes[done : done + len(batch)], fitting)
                done += len(batch)
                if on_batch is not None:
                    on_batch(len(batch))
    return np.split(votes, np.cumsum(lengths)[:-1])


def _noise_ahead(classifier: Classifier) -> bool:
    """Tell whether to make noise in a second thread; on the CPU the classifier has all cores at work already."""
    return classifier.description.get("device", "cpu") != "cpu"


def _classify(classifier: Classifier, batch: NDArray[np.float32], votes: Votes, fitting: int) -> int:
    """Write the votes of a batch, at most `fitting` at once; return how many fit into memory."""
    done = 0
    while done < len(batch):
        step = min(fitting, len(batch) - done)
        try:
            labels = classifier.classify(batch[done : done + step])
        except (MemoryError, RuntimeError) as error:
            if step == 1 or not _is_out_of_memory(error):
                raise
            fitting = step // 2
            continue
        # -1 wraps to the largest value of the unsigned type, which is the invalid vote.
        votes[done : done + step] = labels.astype(votes.dtype)
        done += step
    return fitting


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
