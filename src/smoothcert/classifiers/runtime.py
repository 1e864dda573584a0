"""Which runtime runs a torch module fastest on this machine."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from smoothcert.classifiers.base import Classifier
from smoothcert.classifiers.compiled import CompiledClassifier
from smoothcert.classifiers.onnx_export import ExportedClassifier
from smoothcert.classifiers.rounding import beyond_rounding
from smoothcert.classifiers.runtime_memory import Trial, recall, remember
from smoothcert.classifiers.runtime_race import COMPILED_SIZES, AtSize, race, resized
from smoothcert.classifiers.torch_module import TorchClassifier
from smoothcert.errors import InvalidArgumentError, MissingExtraError

__all__ = ["RuntimeChoice", "Trial", "fastest_runtime", "runtime_at", "with_runtime"]

_WORTH = 1.05  # below this gain the module is left in the runtime that it came in
_SAME_RATE = 0.97  # the smallest batch within this of the best takes less memory
_NAMES = ("eager", "compile", "onnx")


@dataclass(frozen=True)
class RuntimeChoice:
    """The runtime that was fastest.

    Attributes
    ----------
    classifier : Classifier
        Runs the module in it. Its fingerprint and description name what is run.
    runtime : str
        ``"eager"``, ``"compile"`` or ``"onnx"``.
    batch_size : int
        Forward passes at once: the smallest batch that reached about its best speed.
    samples_per_second : float
        Speed of the forward passes with it.
    tried : tuple of Trial
        All that was measured, and what was rejected, with the reason.
    """

    classifier: Classifier
    runtime: str
    batch_size: int
    samples_per_second: float
    tried: tuple[Trial, ...]


def fastest_runtime(
    classifier: TorchClassifier,
    batch: NDArray[np.float32],
    *,
    candidates: Sequence[str] | None = None,
    cache_dir: str | Path | None = None,
) -> RuntimeChoice:
    """Find the runtime and the batch size that run a module fastest on this machine, by a probe of a few seconds.

    Parameters
    ----------
    classifier : TorchClassifier
        Left as it is.
    batch : ndarray of float32, shape (b, *shape)
        Inputs as they will come, with noise; repeated to the batch sizes that are tried.
    candidates : sequence of str, optional
        Among ``"eager"`` (the module as PyTorch runs it), ``"compile"`` (see `CompiledClassifier`) and ``"onnx"``
        (ONNX Runtime in float32, see `ExportedClassifier`). By default the first and the last on the CPU, the
        first two elsewhere, without an error where one cannot be.
    cache_dir : str or Path, optional
        Where choices are kept, so that the same job on the same machine gets the same runtime again; by default
        the environment variable SMOOTHCERT_CACHE, or ``smoothcert`` in XDG_CACHE_HOME or ``~/.cache``. Where it
        cannot be written, nothing is kept. To probe anew, remove its folder ``runtimes``.

    Returns
    -------
    RuntimeChoice

    Raises
    ------
    InvalidArgumentError
        When `batch` is no float32 batch, a candidate is unknown, or none of them can run the module.

    Notes
    -----
    A runtime whose logits differ from eager ones by more than rounding is rejected. Rounding remains, so votes at
    near ties differ between runtimes: what is certified is the classifier returned, not the one given.

    On the CPU ``"compile"`` is tried only where it is asked for. So tried, on one core of a shared AMD EPYC with
    AVX-512 (torch 2.13, ONNX Runtime 1.31), eager, compiled and exported modules ran at 1,143, 1,249 and 1,409
    samples/s (CIFAR ResNet-20) and at 252,000, 198,000 and 524,000 (``digits_conv``), each at its best batch size;
    on two cores the ResNet-20 at 1,345, 1,977 and 2,635. Compiling took 3 to 10 s for each batch size, in each
    process.

    Examples
    --------
    >>> import tempfile, torch
    >>> linear = TorchClassifier(torch.nn.Linear(4, 2), num_classes=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     choice = fastest_runtime(linear, np.ones((16, 4), np.float32), candidates=["eager"], cache_dir=folder)
    >>> choice.runtime, choice.classifier is linear
    ('eager', True)
    """
    _check_batch(batch)
    on_cpu = classifier.device.type == "cpu"
    default = ("eager", "onnx") if on_cpu else ("eager", "compile")
    names = default if candidates is None else tuple(candidates)
    for name in names:
        _check_name(name, _NAMES)
    shape = batch.shape[1:]
    known = recall(cache_dir, classifier, shape, names)
    if known is not None:
        best = _fastest(known)
        with contextlib.suppress(InvalidArgumentError, MissingExtraError):  # or probe again: it cannot be run now
            return _chosen(known, runtime_at(best.runtime, classifier, shape)(best.batch_size))
    runs, rejected = _prepare(names, classifier, batch)
    tried = (*race(runs, batch, classifier.device), *rejected)
    best = _fastest(tried)
    choice = _chosen(tried, runs[best.runtime](best.batch_size))
    remember(cache_dir, classifier, shape, names, tried)
    return choice


def with_runtime(
    classifier: TorchClassifier, runtime: Literal["eager", "compile", "onnx", "auto"], batch: NDArray[np.float32]
) -> Classifier:
    """Run a module by the runtime named, or by the fastest.

    Parameters
    ----------
    classifier : TorchClassifier
        Left as it is.
    runtime : {"eager", "compile", "onnx", "auto"}
        ``"auto"`` asks `fastest_runtime`.
    batch : ndarray of float32, shape (b, *shape)
        Inputs as they will come, with noise; ``"compile"`` is for batches of b.

    Returns
    -------
    Classifier
        `classifier` itself for ``"eager"``.

    Raises
    ------
    MissingExtraError
        For ``"onnx"`` without ONNX Runtime: ``pip install 'smoothcert[onnx]'``.
    InvalidArgumentError
        When there is no such runtime, or it cannot run the module or computes something else.

    Examples
    --------
    >>> import torch
    >>> linear = TorchClassifier(torch.nn.Linear(4, 2), num_classes=2)
    >>> with_runtime(linear, "onnx", np.ones((16, 4), np.float32)).description["runtime"]
    'onnxruntime ...'
    """
    _check_name(runtime, (*_NAMES, "auto"))
    if runtime == "eager":
        return classifier
    if runtime == "auto":
        return fastest_runtime(classifier, batch).classifier
    _check_batch(batch)
    chosen = runtime_at(runtime, classifier, batch.shape[1:])(len(batch))
    if difference := beyond_rounding(classifier.logits(batch), chosen.logits(batch), classifier.description):
        raise InvalidArgumentError(f"runtime {runtime!r} computes another function: {difference}; use 'eager'")
    return chosen


def runtime_at(name: str, classifier: TorchClassifier, shape: tuple[int, ...]) -> AtSize:
    """Return what runs a module in the runtime named, for each batch size; only compiled modules differ by it.

    Nothing is compared with the module; see `with_runtime`.

    Raises
    ------
    MissingExtraError, InvalidArgumentError
        As `with_runtime`.
    """
    if name == "compile":
        return functools.cache(functools.partial(CompiledClassifier, classifier))
    run = classifier if name == "eager" else ExportedClassifier(classifier, shape)
    return lambda batch_size: run


def _check_batch(batch: NDArray[np.float32]) -> None:
    if batch.dtype != np.float32 or batch.ndim < 2 or len(batch) == 0:
        raise InvalidArgumentError(
            f"batch has dtype {batch.dtype} and shape {batch.shape}: give float32 (b, *shape) with b >= 1"
        )


def _check_name(name: str, names: tuple[str, ...]) -> None:
    if name not in names:
        raise InvalidArgumentError(f"runtime is {name!r}: it should be one of {', '.join(names)}")


def _prepare(
    names: Sequence[str], classifier: TorchClassifier, batch: NDArray[np.float32]
) -> tuple[dict[str, AtSize], list[Trial]]:
    """Return what can run the module, and why the rest cannot."""
    first = resized(batch, COMPILED_SIZES[0])
    expected = classifier.logits(first)
    runs: dict[str, AtSize] = {}
    rejected: list[Trial] = []
    for name in names:
        try:
            run = runtime_at(name, classifier, batch.shape[1:])
            difference = beyond_rounding(expected, run(len(first)).logits(first), classifier.description)
        except (InvalidArgumentError, MissingExtraError) as error:
            rejected.append(Trial(name, reason=str(error)))
            continue
        if difference:
            rejected.append(Trial(name, reason=f"computes another function: {difference}"))
        else:
            runs[name] = run
    return runs, rejected


def _fastest(tried: Sequence[Trial]) -> Trial:
    """Return the trial whose runtime and batch size to use."""
    timed = [trial for trial in tried if not trial.reason]
    if not timed:
        reasons = "; ".join(f"{trial.runtime}: {trial.reason}" for trial in tried)
        raise InvalidArgumentError(f"candidates: none can run this module ({reasons or 'none given'})")
    peaks = {t.runtime: max(s.samples_per_second for s in timed if s.runtime == t.runtime) for t in timed}
    runtime = max(peaks, key=lambda name: peaks[name] * (_WORTH if name == "eager" else 1))
    good = [t for t in timed if t.runtime == runtime and t.samples_per_second >= _SAME_RATE * peaks[runtime]]
    return min(good, key=lambda t: t.batch_size)


def _chosen(tried: Sequence[Trial], classifier: Classifier) -> RuntimeChoice:
    best = _fastest(tried)
    return RuntimeChoice(classifier, best.runtime, best.batch_size, best.samples_per_second, tuple(tried))
