"""Torch modules compiled for one batch size."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from smoothcert.classifiers.quiet import first_cause, in_one_line, quiet
from smoothcert.classifiers.torch_module import TorchClassifier, labels_of
from smoothcert.errors import InvalidArgumentError

__all__ = ["CompiledClassifier"]

_Run = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


class CompiledClassifier(TorchClassifier):
    """A torch classifier compiled by ``torch.compile`` for one batch size; on CUDA it runs as one CUDA graph.

    Every batch is cut or filled up to that size, so a vote does not depend on how many others come with it, and
    nothing is compiled twice. The first batch compiles, which takes seconds to a minute and, on the CPU, a C++
    compiler.

    Parameters
    ----------
    source : TorchClassifier
        Left as it is.
    batch_size : int
        Forward passes at once. Where they do not fit into memory, half as many are compiled instead.

    Raises
    ------
    InvalidArgumentError
        When `batch_size` is less than 1; from the first batch on when the module cannot be compiled.

    Examples
    --------
    >>> linear = TorchClassifier(torch.nn.Linear(4, 2), num_classes=2)
    >>> CompiledClassifier(linear, batch_size=8).description["runtime"]
    'torch ..., compiled'
    """

    def __init__(self, source: TorchClassifier, batch_size: int) -> None:
        if batch_size < 1:
            raise InvalidArgumentError(f"batch_size is {batch_size}: compile for at least 1 input")
        vars(self).update(vars(source))  # the same module: it is compiled from an export of its own
        self.runtime = "eager"  # as it is: procedures need not choose
        self._source = source
        self._fingerprint = hashlib.sha256(f"torch.compile\n{source.fingerprint}".encode()).hexdigest()
        self._batch_size = batch_size
        self._run: _Run | None = None

    @property
    def description(self) -> dict[str, str]:
        """What is run; ``source`` is the fingerprint of the torch classifier that was compiled."""
        eager = self._source.description
        return eager | {"runtime": f"{eager['runtime']}, compiled", "source": self._source.fingerprint}

    def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score a batch: float32 (b, *shape) to float32 (b, num_classes)."""
        if len(batch) == 0:
            return self._source.logits(batch)
        x = torch.from_numpy(batch).to(self.device)
        scores: NDArray[np.float32] = torch.cat([logits.clone() for logits, _ in self._scored(x)]).cpu().numpy()
        return scores

    def vote(self, batch: torch.Tensor) -> torch.Tensor:
        """Label a batch on its device: float32 (b, *shape) to int64 (b,), as `classify`; nothing waits for it."""
        if len(batch) == 0:
            return self._source.vote(batch)
        return torch.cat([labels.clone() for _, labels in self._scored(batch)])

    @torch.no_grad()
    def _scored(self, batch: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield logits and labels, piece by piece; both may be overwritten when the next piece is asked for."""
        done = 0
        while done < len(batch):
            piece = batch[done : done + self._batch_size]
            try:
                if self._run is None:
                    self._run = self._compile(piece)
                logits, labels = self._run(piece)
            except torch.OutOfMemoryError:
                if self._batch_size == 1:
                    raise
                self._batch_size, self._run = self._batch_size // 2, None
                continue
            yield logits[: len(piece)], labels[: len(piece)]
            done += len(piece)

    def _compile(self, piece: torch.Tensor) -> _Run:
        """Compile for inputs like those of a piece."""
        self._source.vote(piece[:1])  # a module that returns no logits says so here, and not within a trace
        whole = piece.new_zeros((self._batch_size, *piece.shape[1:]))
        try:
            with quiet():
                # Exported first, for code of its own: torch.compile keeps what it compiled with the code of a
                # function, for a handful of shapes and objects.
                program = torch.export.export(_Scores(self._source), (whole,), strict=False).module()
                return _Fixed(torch.compile(program, dynamic=False), whole)
        except Exception as error:  # whatever a compiler raises, and there are several
            cause = first_cause(error)
            if isinstance(cause, torch.OutOfMemoryError):
                raise cause from None
            raise InvalidArgumentError(
                f"runtime 'compile' cannot compile this module ({in_one_line(error)}): use 'eager'"
            ) from error


class _Scores(torch.nn.Module):
    """From a batch to its logits in float32 and its labels."""

    def __init__(self, source: TorchClassifier) -> None:
        super().__init__()
        parts = (source.preprocess, source.module)
        self.parts = torch.nn.ModuleList(part for part in parts if isinstance(part, torch.nn.Module))
        self._source = source

    def forward(self, batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits = self._source.scores(batch)
        return logits.float(), labels_of(logits)


class _Fixed:
    """A function of a buffer; on CUDA recorded, so that the host hands out one piece of work a batch."""

    def __init__(self, run: _Run, buffer: torch.Tensor) -> None:
        self._buffer = buffer
        if buffer.device.type == "cuda":
            self._replay = _recorded(run, buffer)
        else:
            run(buffer)  # compiles
            self._replay = lambda: run(buffer)

    def __call__(self, piece: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self._buffer[: len(piece)].copy_(piece)
        return self._replay()


def _recorded(run: _Run, buffer: torch.Tensor) -> Callable[[], tuple[torch.Tensor, torch.Tensor]]:
    """Record a function of a buffer as a CUDA graph, which any thread may replay."""
    with torch.cuda.device(buffer.device):
        # Kernels are chosen and memory is laid out before the recording, on a stream of their own.
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(3):
                run(buffer)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            results = run(buffer)

    def replay() -> tuple[torch.Tensor, torch.Tensor]:
        with torch.cuda.device(buffer.device):
            graph.replay()
        return results

    return replay
