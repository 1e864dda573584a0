"""Noisy batches, filled across inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from smoothcert.sampling.requests import SampleRequest, pieces

__all__ = ["noisy_batches"]

if TYPE_CHECKING:
    import torch

_Buffer = TypeVar("_Buffer", NDArray[np.float32], "torch.Tensor")


def noisy_batches(
    requests: Sequence[SampleRequest],
    draw: Callable[[SampleRequest, _Buffer], None],
    buffers: tuple[_Buffer, _Buffer],
    batch_size: int,
    block: int,
) -> Iterator[_Buffer]:
    """Yield the noisy inputs of all requests in order, a whole number of batches at a time.

    Noise is asked for in blocks, whatever the batch is; a block may hold many small batches.

    Parameters
    ----------
    requests : sequence of SampleRange or SampleIndices
        Which samples to draw.
    draw : callable
        Writes the noisy inputs of a piece of a request into a part of a buffer.
    buffers : pair of ndarray or tensor, each of shape (batch_size + block, *shape)
        They take turns.
    batch_size : int
        Forward passes at once.
    block : int
        Samples that are asked for at once, at most.

    Yields
    ------
    ndarray or tensor, shape (k * batch_size, *shape)
        A part of a buffer, valid until the next but one is asked for. The last may be shorter.
    """
    buffer, other = buffers
    filled = 0
    for piece in pieces(requests, block):
        draw(piece, buffer[filled : filled + len(piece)])
        filled += len(piece)
        if filled >= batch_size:
            rest = filled % batch_size
            yield buffer[: filled - rest]
            # The consumer asked again, so the other buffer is free.
            other[:rest] = buffer[filled - rest : filled]
            buffer, other, filled = other, buffer, rest
    if filled:
        yield buffer[:filled]
