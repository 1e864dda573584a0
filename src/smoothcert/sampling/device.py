"""Votes on a device: noise, forward passes and votes stay there, and one copy at the end brings the votes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from smoothcert.sampling.batches import noisy_batches
from smoothcert.sampling.inputs import Inputs
from smoothcert.sampling.passes import classify_batches
from smoothcert.sampling.requests import SampleRange, SampleRequest
from smoothcert.sampling.votes import Votes, vote_dtype

if TYPE_CHECKING:
    import torch

    from smoothcert.noise import DeviceNoise

__all__ = ["TensorClassifier", "device_votes"]


@runtime_checkable
class TensorClassifier(Protocol):
    """A classifier that labels a batch where it lies."""

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        ...

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        ...

    def vote(self, batch: torch.Tensor) -> torch.Tensor:
        """Label a batch: float32 (b, *shape) to int64 (b,), -1 for an invalid vote, without waiting for it."""
        ...


def device_votes(
    classifier: TensorClassifier,
    noise: DeviceNoise,
    inputs: Inputs,
    requests: Sequence[SampleRequest],
    batch_size: int,
    on_batch: Callable[[int], None] | None,
) -> Votes:
    """Return the votes of all requests, one after the other; see `sample_votes`."""
    # The host only hands out work: it is ahead of the device, and `on_batch` with it.
    import torch

    from smoothcert.noise import upload

    device, dtype = classifier.device, vote_dtype(classifier.num_classes)
    kept = torch.uint8 if dtype is np.uint8 else torch.int16  # the bits are what counts
    votes = torch.empty(sum(map(len, requests)), dtype=kept, device=device)

    def draw(piece: SampleRequest, out: torch.Tensor) -> None:
        if isinstance(piece, SampleRange):
            samples = torch.arange(piece.start, piece.stop, device=device)
        else:
            samples = upload(piece.indices, device)
        noise.perturb_at(inputs[piece.row], piece.key, piece.purpose, samples, out)

    buffers = (
        torch.empty(2 * batch_size, *inputs.shape[1:], device=device),
        torch.empty(2 * batch_size, *inputs.shape[1:], device=device),
    )
    batches = noisy_batches(requests, draw, buffers, batch_size, block=batch_size)
    with torch.cuda.device(device if device.type == "cuda" else -1):  # kernels start on the current one
        classify_batches(batches, classifier.vote, votes, batch_size, on_batch)
    return votes.cpu().numpy().view(dtype)
