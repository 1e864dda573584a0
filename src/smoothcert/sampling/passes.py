"""Batches through a classifier, in pieces that fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from smoothcert.sampling.votes import Votes

if TYPE_CHECKING:
    import torch

__all__ = ["classify_batches"]

_Buffer = TypeVar("_Buffer", NDArray[np.float32], "torch.Tensor")


def classify_batches(
    batches: Iterable[_Buffer],
    classify: Callable[[_Buffer], Any],
    votes: Votes | torch.Tensor,
    batch_size: int,
    on_batch: Callable[[int], None] | None,
) -> None:
    """Write the votes of all samples, in order.

    Parameters
    ----------
    batches : iterable of ndarray or tensor, each of shape (k * batch_size, *shape)
        Noisy inputs.
    classify : callable
        Labels a batch, -1 for an invalid vote. Where it runs out of memory, it gets half as many from then on.
    votes : ndarray or tensor of integers, shape (n,)
        Overwritten; where labels are, they need not be waited for.
    batch_size : int
        Forward passes at once.
    on_batch : callable, optional
        Called with the number of samples after each batch.
    """
    done, fitting = 0, batch_size
    for several in batches:
        for start in range(0, len(several), batch_size):
            batch = several[start : start + batch_size]
            fitting = _classify(batch, classify, votes[done : done + len(batch)], fitting)
            done += len(batch)
            if on_batch is not None:
                on_batch(len(batch))


def _classify(
    batch: _Buffer, classify: Callable[[_Buffer], Any], votes: Votes | torch.Tensor, fitting: int
) -> int:
    """Write the votes of a batch, at most `fitting` at once; return how many fit into memory."""
    done = 0
    while done < len(batch):
        step = min(fitting, len(batch) - done)
        try:
            labels = classify(batch[done : done + step])
        except (MemoryError, RuntimeError) as error:
            if step == 1 or not _is_out_of_memory(error):
                raise
            fitting = step // 2
            continue
        # -1 wraps to the largest value of the unsigned type, which is the invalid vote.
        votes[done : done + step] = labels
        done += step
    return fitting


def _is_out_of_memory(error: Exception) -> bool:
    """Tell MemoryError and PyTorch's OutOfMemoryError, which is a RuntimeError, from others."""
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
