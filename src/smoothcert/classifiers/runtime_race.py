"""Runtimes timed side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from smoothcert.classifiers.base import Classifier
from smoothcert.classifiers.runtime_memory import Trial
from smoothcert.classifiers.torch_module import TorchClassifier

__all__ = ["COMPILED_SIZES", "AtSize", "race", "resized"]

_BATCH_SIZES = {"cpu": (32, 64, 128, 256, 512, 1024), "cuda": (64, 128, 256, 512, 1024, 2048, 4096)}
COMPILED_SIZES = (64, 256, 1024, 4096)  # each compiles anew
_BATCH_BYTES = {"cpu": 1 << 26, "cuda": 1 << 28}  # inputs of one batch; activations take several times as much
_LONGEST_CALL = 0.25  # seconds; where a call takes longer, a larger batch gains nothing
_SECONDS_PER_SIZE = 0.2
_ROUNDS = 10

AtSize = Callable[[int], Classifier]
"""What runs a module, for a batch size."""


def race(runs: Mapping[str, AtSize], batch: NDArray[np.float32], device: torch.device) -> list[Trial]:
    """Time the runtimes in turns, on growing batches, and keep the best time of each."""
    tried: list[Trial] = []
    racing = dict(runs)
    kind = "cpu" if device.type == "cpu" else "cuda"
    for size in _BATCH_SIZES[kind]:
        if tried and size * batch[0].nbytes > _BATCH_BYTES[kind]:
            break
        x = resized(batch, size)
        at_size = {n: run(size) for n, run in racing.items() if n != "compile" or size in COMPILED_SIZES}
        for name, run in at_size.items():
            try:
                run.classify(x)  # warms up
            except (MemoryError, torch.OutOfMemoryError):
                if not any(trial.runtime == name for trial in tried):
                    raise
                del racing[name]
        best = _best_times({name: run for name, run in at_size.items() if name in racing}, x)
        tried += [Trial(name, size, size / seconds) for name, seconds in best.items()]
        racing = {name: run for name, run in racing.items() if 2 * best.get(name, 0) < _LONGEST_CALL}
    return tried


def _best_times(runs: Mapping[str, Classifier], x: NDArray[np.float32]) -> dict[str, float]:
    best = dict.fromkeys(runs, float("inf"))
    calls = {name: _call(run, x) for name, run in runs.items()}
    began = time.perf_counter()
    for _ in range(_ROUNDS):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            best[name] = min(best[name], time.perf_counter() - start)
        if time.perf_counter() - began > _SECONDS_PER_SIZE * len(runs):
            break
    return best


def _call(run: Classifier, x: NDArray[np.float32]) -> Callable[[], object]:
    """Return what is timed: from a batch where the noise is made to labels on the host."""
    if isinstance(run, TorchClassifier):
        there = torch.from_numpy(x).to(run.device)
        return lambda: run.vote(there).cpu()
    return lambda: run.classify(x)


def resized(batch: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Repeat a batch to another size."""
    return np.resize(batch, (size, *batch.shape[1:]))
