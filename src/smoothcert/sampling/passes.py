"""Batches through a classifier: one after the other, or in threads while the next noise is made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from smoothcert.sampling.votes import Votes

if TYPE_CHECKING:
    import torch

__all__ = ["PiecewiseClassifier", "classify_ahead", "classify_batches"]

_Buffer = TypeVar("_Buffer", NDArray[np.float32], "torch.Tensor")


@runtime_checkable
class PiecewiseClassifier(Protocol):
    """A classifier of which several threads may each label a piece of a batch."""

    @property
    def threads(self) -> int:
        """Threads that label pieces at once."""
        ...

    def pieces(self, batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Cut a batch."""
        ...

    def classify_piece(self, piece: NDArray[np.float32]) -> NDArray[np.int64]:
        """Label a piece in the calling thread, as ``classify``."""
        ...


@dataclass
class _Fitting:
    """How many samples fit into memory at once, as far as is known; threads may share it."""

    samples: int


def classify_batches(
    batches: Iterable[_Buffer],
    classify: Callable[[_Buffer], Any],
    votes: Votes | torch.Tensor,
    batch_size: int,
    on_batch: Callable[[int], None] | None,
) -> None:
    """Write the votes of all samples, in order; on a device this only hands out the work."""
    # `batches` are noisy inputs (k * batch_size, *shape). `classify` gives -1 for an invalid vote; where it runs
    # out of memory, it gets half as many from then on.
    done, fitting = 0, _Fitting(batch_size)
    for several in batches:
        for batch in _cut(several, batch_size):
            _classify(batch, classify, votes[done : done + len(batch)], fitting)
            done += len(batch)
            if on_batch is not None:
                on_batch(len(batch))


def classify_ahead(
    batches: Iterable[NDArray[np.float32]],
    classify: Callable[[NDArray[np.float32]], Any],
    pieces: Callable[[NDArray[np.float32]], list[NDArray[np.float32]]],
    threads: int,
    votes: Votes,
    batch_size: int,
    on_batch: Callable[[int], None] | None,
) -> None:
    """Do as `classify_batches`, in threads, while the calling thread makes the next noise."""
    # No thread waits at the end of a batch: pieces of the next one are there. What was yielded must stay valid
    # until the next but one is asked for. An error in a thread is raised here; whatever is raised, no thread is
    # left behind.
    done, fitting = 0, _Fitting(batch_size)
    running: list[tuple[int, list[Future[None]]]] = []

    def finish(group: list[tuple[int, list[Future[None]]]]) -> None:
        for count, parts in group:
            for part in parts:
                part.result()
            if on_batch is not None:
                on_batch(count)

    pool = ThreadPoolExecutor(threads, thread_name_prefix="classify")
    try:
        for several in batches:
            started = []
            for batch in _cut(several, batch_size):
                parts = []
                for piece in pieces(batch):
                    parts.append(pool.submit(_classify, piece, classify, votes[done : done + len(piece)], fitting))
                    done += len(piece)
                started.append((len(batch), parts))
            finish(running)  # whose buffer is the next to be filled
            running = started
        finish(running)
    finally:
        pool.shutdown(cancel_futures=True)


def _cut(several: _Buffer, batch_size: int) -> Iterator[_Buffer]:
    for start in range(0, len(several), batch_size):
        yield several[start : start + batch_size]


def _classify(
    batch: _Buffer, classify: Callable[[_Buffer], Any], votes: Votes | torch.Tensor, fitting: _Fitting
) -> None:
    """Write the votes of a batch, at most as many at once as fit into memory."""
    done = 0
    while done < len(batch):
        step = min(fitting.samples, len(batch) - done)
        try:
            labels = classify(batch[done : done + step])
        except (MemoryError, RuntimeError) as error:
            if step == 1 or not _is_out_of_memory(error):
                raise
            fitting.samples = min(fitting.samples, step // 2)
            continue
        # -1 wraps to the largest value of the unsigned type, which is the invalid vote.
        votes[done : done + step] = labels
        done += step


def _is_out_of_memory(error: Exception) -> bool:
    """Tell MemoryError and PyTorch's OutOfMemoryError, which is a RuntimeError, from others."""
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
