"""What the runtimes of ONNX graphs have in common: a graph that cannot change, labelled in pieces by threads."""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from typing import Self

import numpy as np
from numpy.typing import NDArray

from smoothcert.classifiers.base import votes_from_logits
from smoothcert.classifiers.onnx_graph import OnnxGraph
from smoothcert.errors import InvalidArgumentError

__all__ = ["GraphClassifier", "available_cores"]


class GraphClassifier(ABC):
    """An ONNX graph run on the CPU, of which several threads may each label a piece of a batch.

    Its parameters cannot change, and its votes depend on neither batch mates nor threads: it is probed once, and
    identified by its bytes.

    Parameters
    ----------
    graph : OnnxGraph
        What is run.
    fingerprint : str
        Of the runtime and the graph's bytes.
    threads : int, optional
        Threads that a batch is spread over, by default one per core that this process may use.

    Attributes
    ----------
    model_bytes : bytes
        The model as it is run, with its weights inside, to be written to a file and deployed.
    threads : int
        As given, or the number of cores.
    """

    def __init__(self, graph: OnnxGraph, fingerprint: str, threads: int | None) -> None:
        if threads is not None and threads < 1:
            raise InvalidArgumentError(f"threads is {threads}: give at least 1, or None for one per core")
        self.model_bytes = graph.data
        self.threads = threads or available_cores()
        self._graph = graph
        self._fingerprint = fingerprint
        self._pool = ThreadPoolExecutor(self.threads)

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return self._graph.num_classes

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the runtime's name, the output where there are others, and the model's bytes."""
        return self._fingerprint

    @property
    def graph(self) -> OnnxGraph:
        """What the model takes and returns."""
        return self._graph

    @property
    def description(self) -> dict[str, str]:
        """What is run: runtime, device, the dtypes of the model's constants, and whether inputs are flattened."""
        flattened = "inputs flattened, then " if len(self._graph.shape) == 1 else ""
        return {
            "runtime": self._runtime,
            "device": "cpu",
            "dtype": self._graph.dtype,
            "preprocess": f"{flattened}inside the model",
        }

    def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score a batch: float32 (b, *shape) to float32 (b, num_classes)."""
        pieces = self.pieces(batch)
        if len(pieces) == 1:
            return self._run(batch)
        return np.concatenate(list(self._pool.map(self._run, pieces)))

    def classify(self, batch: NDArray[np.float32]) -> NDArray[np.int64]:
        """Label a batch: float32 (b, *shape) to int64 (b,), -1 where the logits are not all finite."""
        return votes_from_logits(self.logits(batch))

    @abstractmethod
    def pieces(self, batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Cut a batch, float32 (b, *shape), into pieces for the threads; at least one."""

    def classify_piece(self, piece: NDArray[np.float32]) -> NDArray[np.int64]:
        """Label a piece of a batch in the calling thread alone, as `classify`."""
        return votes_from_logits(self._run(piece))

    @abstractmethod
    def with_model(self, model: bytes) -> Self:
        """Run another model with the same classes and the same name of its output, in the same way."""

    @property
    @abstractmethod
    def _runtime(self) -> str:
        """Name the runtime and its version."""

    @abstractmethod
    def _scores(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits of inputs of the graph's own shape."""

    def _run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        logits = self._scores(self._shaped(batch))
        if logits.shape != (len(batch), self.num_classes):
            raise InvalidArgumentError(
                f"{self._graph.name} returned logits of shape {logits.shape} for a batch of {len(batch)}, but "
                f"num_classes is {self.num_classes}: it should be ({len(batch)}, {self.num_classes})"
            )
        return logits

    def _shaped(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the batch as the graph takes it: as it is, or flattened in C order."""
        have, want = batch.shape[1:], self._graph.shape
        if len(have) == len(want) and all(w in (None, h) for h, w in zip(have, want, strict=True)):
            return batch
        if len(want) == 1 and want[0] in (None, math.prod(have)):
            return batch.reshape(len(batch), -1)
        sizes = tuple("any" if size is None else size for size in want)
        raise InvalidArgumentError(
            f"the batch has inputs of shape {have}, but {self._graph.name} takes {sizes}: "
            "give inputs of that shape"
        )


def available_cores() -> int:
    """Count the cores that this process may use; all of the machine's where the system does not say."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
