"""Where the processor's time goes in the sampling loop, and what would remove each part but the forward passes."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from smoothcert.classifiers import Classifier, OnnxClassifier
from smoothcert.classifiers.graph import available_cores
from smoothcert.noise import GridNoise, NoiseStream, _kernel

REMEDY = {
    "forward passes": "a cheaper network or processor",
    "noise": "noise shared between inputs, at the price of dependent certificates",
    "checks of the input": "larger blocks of noise",
    "labels from logits": "argmax inside the model",
    "loop and counting": "larger batches",
    "idle, or taken by other processes": "more batches in flight; a machine that does nothing else",
}


class Spans:
    """Processor seconds of calls, which may run on several threads, each in the thread that called."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return `call`, timed."""

        def timed(*arguments: Any) -> Any:
            began = time.thread_time()
            result = call(*arguments)
            self.seconds.append(time.thread_time() - began)
            return result

        return timed

    @property
    def total(self) -> float:
        """Seconds of all calls together."""
        return sum(self.seconds)


@contextmanager
def watched(owner: Any, name: str) -> Iterator[Spans]:
    """Time the calls of a method or function."""
    spans = Spans()
    with mock.patch.object(owner, name, spans.around(getattr(owner, name))):
        yield spans


def profile(classifier: Classifier, noise: NoiseStream, loop: Callable[[], Any]) -> dict[str, float]:
    """Return the share of each part in the time of all cores while `loop` samples.

    Parameters
    ----------
    classifier : Classifier
        What `loop` samples with.
    noise : NoiseStream
        Its noise.
    loop : callable
        Samples and counts.

    Returns
    -------
    dict of str to float
        Shares by part; they add up to 1.
    """
    cores, onnx = available_cores(), isinstance(classifier, OnnxClassifier)
    with ExitStack() as stack:
        kernel = stack.enter_context(watched(_kernel, "perturb"))
        drawn = stack.enter_context(watched(noise, "perturb"))
        classify = stack.enter_context(watched(classifier, "classify_piece" if onnx else "classify"))
        passes = stack.enter_context(watched(classifier, "_run")) if onnx else classify
        began, used, here = time.perf_counter(), time.process_time(), time.thread_time()
        loop()
        whole = cores * (time.perf_counter() - began)
        used, here = time.process_time() - used, time.thread_time() - here
    exact = isinstance(noise, GridNoise)
    parts = {
        "noise": kernel.total if exact else drawn.total,
        "checks of the input": drawn.total - kernel.total if exact else 0.0,
        "labels from logits": classify.total - passes.total,
        "loop and counting": here - drawn.total - (0.0 if onnx else classify.total),
    }
    # PyTorch's threads do their part outside the calls: what is left of the process is theirs.
    parts = {"forward passes": used - sum(parts.values())} | parts
    parts["idle, or taken by other processes"] = whole - used
    return {name: round(seconds / whole, 4) for name, seconds in parts.items()}


def write_profiles(path: Path, profiles: Mapping[str, Mapping[str, float]]) -> None:
    """Write a table with a line for each part of each run's time."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("run", "part", "percent of the cores' time", "what would remove it"))
        for run, parts in profiles.items():
            for part, share in parts.items():
                table.writerow((run, part, f"{100 * share:.2f}", REMEDY[part]))
