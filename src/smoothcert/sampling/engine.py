"""Noise + classifier -> votes: the only hot path."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from smoothcert.classifiers import Classifier
from smoothcert.noise import NoiseStream
from smoothcert.sampling.batches import noisy_batches
from smoothcert.sampling.device import TensorClassifier, device_votes
from smoothcert.sampling.inputs import Inputs
from smoothcert.sampling.passes import PiecewiseClassifier, classify_ahead, classify_batches
from smoothcert.sampling.requests import SampleRequest
from smoothcert.sampling.votes import Votes, vote_dtype

if TYPE_CHECKING:
    from smoothcert.noise import DeviceNoise

__all__ = ["default_batch_size", "device_of", "sample_votes"]


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
        Forward passes at once. It changes no noise; by default it follows from the size of an input and the
        device. Where the classifier runs out of memory, it is halved and the run goes on.
    on_batch : callable, optional
        Called with the number of samples after each batch.

    Returns
    -------
    list of ndarray of uint8 or uint16
        The votes of each request, in order; `invalid_vote` of the number of classes marks an invalid one.
    """
    if batch_size is None:
        batch_size = default_batch_size(math.prod(inputs.shape[1:]), device_of(classifier))
    if isinstance(classifier, TensorClassifier) and (there := _noise_there(classifier, noise)) is not None:
        votes = device_votes(classifier, there, inputs, ranges, batch_size, on_batch)
    else:
        votes = _host_votes(classifier, noise, inputs, ranges, batch_size, on_batch)
    return np.split(votes, np.cumsum([len(request) for request in ranges])[:-1])


def _noise_there(classifier: TensorClassifier, noise: NoiseStream) -> DeviceNoise | None:
    """Return the noise on the classifier's device; None where that is the CPU, or it cannot be made there."""
    if classifier.device.type == "cpu":
        return None
    from smoothcert.noise import noise_on_device

    return noise_on_device(noise, classifier.device)


def _host_votes(
    classifier: Classifier,
    noise: NoiseStream,
    inputs: Inputs,
    requests: Sequence[SampleRequest],
    batch_size: int,
    on_batch: Callable[[int], None] | None,
) -> Votes:
    """Return the votes of all requests, one after the other, on noise that is made on the CPU."""
    shape = inputs.shape[1:]
    block = noise.block(math.prod(shape))
    votes = np.empty(sum(map(len, requests)), dtype=vote_dtype(classifier.num_classes))

    def draw(piece: SampleRequest, out: NDArray[np.float32]) -> None:
        piece.perturb(noise, inputs[piece.row], out)

    buffers = (
        np.empty((batch_size + block, *shape), np.float32),
        np.empty((batch_size + block, *shape), np.float32),
    )
    batches = noisy_batches(requests, draw, buffers, batch_size, block)
    if isinstance(classifier, PiecewiseClassifier):
        cut, threads = classifier.pieces, classifier.threads
        classify_ahead(batches, classifier.classify_piece, cut, threads, votes, batch_size, on_batch)
    elif device_of(classifier) != "cpu":
        classify_ahead(batches, classifier.classify, lambda batch: [batch], 1, votes, batch_size, on_batch)
    else:  # its own threads have the cores already
        classify_batches(batches, classifier.classify, votes, batch_size, on_batch)
    return votes


def default_batch_size(size: int, device: str = "cpu") -> int:
    """Return a batch size that suits inputs of `size` values: a power of two from 32 to 1024, 4096 on a GPU.

    Examples
    --------
    >>> default_batch_size(3 * 32 * 32), default_batch_size(3 * 224 * 224), default_batch_size(64)
    (128, 32, 1024)
    >>> default_batch_size(3 * 32 * 32, "cuda"), default_batch_size(3 * 224 * 224, "cuda")
    (4096, 128)
    """
    values, most = (1 << 19, 1024) if device == "cpu" else (1 << 25, 4096)
    return min(most, max(32, 1 << max(0, (values // size).bit_length() - 1)))


def device_of(classifier: Classifier) -> str:
    """Return the kind of device that a classifier says it runs on, the CPU where it says nothing."""
    return classifier.description.get("device", "cpu")
