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
    """Yield the noisy inputs of all requests in order, whole batches at a time; the last may be shorter."""
    # `draw` writes the noisy inputs of a piece of a request, of at most `block` samples, into a part of a buffer:
    # noise is asked for in blocks, whatever the batch is, and a block may hold many small batches. Each buffer has
    # room for batch_size + block samples. They take turns, so that what is yielded is valid until the next but one
    # is asked for.
    buffer, other = buffers
    filled = 0
    for piece in pieces(requests, block):
        draw(piece, buffer[filled : filled + len(piece)])
        filled += len(piece)
        if filled >= batch_size:
            rest = filled % batch_size
            yield buffer[: filled - rest]
            # Whoever asks for these has done with the ones before, which were in the other buffer.
            other[:rest] = buffer[filled - rest : filled]
            buffer, other, filled = other, buffer, rest
    if filled:
        yield buffer[:filled]
