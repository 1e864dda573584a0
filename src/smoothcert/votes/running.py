"""What runs a torch module: the runtime that made the votes it goes on with, or the one that suits the machine."""

from __future__ import annotations

import contextlib
import math
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from smoothcert.classifiers import Classifier
from smoothcert.errors import InvalidArgumentError, MissingExtraError
from smoothcert.sampling import default_batch_size, device_of
from smoothcert.votes.store import Manifest, recorded_batch_size

if TYPE_CHECKING:
    from smoothcert.classifiers import RuntimeName, TorchClassifier

__all__ = ["run_as", "run_as_made", "run_like", "run_like_cache"]

_known: weakref.WeakKeyDictionary[TorchClassifier, dict[object, Classifier]] = weakref.WeakKeyDictionary()


def run_as(classifier: Classifier, batch: Callable[[int], NDArray[np.float32]], batch_size: int) -> Classifier:
    """Run a torch module by the runtime that it names, see `smoothcert.classifiers.with_runtime`.

    Parameters
    ----------
    classifier : Classifier
        Whatever is no torch module is returned as it is.
    batch : callable
        Returns so many noisy inputs, on which the runtime must compute what the module does.
    batch_size : int
        Forward passes at once.
    """
    module = _module(classifier)
    return classifier if module is None else _run(module, module.runtime, batch, batch_size)


def run_like(
    classifier: Classifier, description: str, batch: Callable[[int], NDArray[np.float32]], batch_size: int
) -> Classifier:
    """Run a torch module that names no runtime by the one of other votes, where that can.

    Parameters
    ----------
    description : str
        How the other classifier describes its runtime.
    classifier, batch, batch_size
        As for `run_as`.
    """
    module = _module(classifier)
    if module is None or module.runtime != "auto":
        return run_as(classifier, batch, batch_size)
    if description.endswith("compiled"):
        return _run(module, "compile", batch, batch_size)
    for begin, runtime in (("onnxruntime", "onnx"), ("openvino", "openvino")):
        if description.startswith(begin):
            with contextlib.suppress(InvalidArgumentError):  # half precision, say
                return _run(module, cast("RuntimeName", runtime), batch, batch_size)
    return module.run_by("eager")


def run_like_cache(classifier: Classifier, manifest: Manifest, batch: NDArray[np.float32]) -> Classifier:
    """Run a torch module by the runtime of a cache, where that computes the same for a batch (b, *shape)."""
    size = recorded_batch_size(manifest) or len(batch)
    runtime = manifest.classifier.get("runtime", "")
    return run_like(classifier, runtime, lambda count: np.resize(batch, (count, *batch.shape[1:])), size)


def run_as_made(
    classifier: Classifier, fingerprint: str, shape: tuple[int, ...], batch_size: int | None = None
) -> Classifier | None:
    """Run a torch module by the runtime that has a fingerprint; None when none has: it is another model."""
    module = _module(classifier)
    if module is None:
        return classifier if classifier.fingerprint == fingerprint else None
    size = batch_size or _usual_size(module, shape)
    for run in _runs(module, shape, size):
        if run.fingerprint == fingerprint:
            return run
    return None


def _runs(module: TorchClassifier, shape: tuple[int, ...], batch_size: int) -> Iterator[Classifier]:
    """Run a module by one runtime after another, the cheap ones first."""
    from smoothcert.classifiers import CompiledClassifier, ExportedClassifier, ExportedToOpenVino

    yield module.run_by("eager")
    yield CompiledClassifier(module, batch_size)  # which is not compiled before its first batch
    kept = _known.setdefault(module, {})
    with contextlib.suppress(InvalidArgumentError, MissingExtraError):
        if ("onnx", shape) not in kept:
            kept["onnx", shape] = ExportedClassifier(module, shape)
        exported = cast("ExportedClassifier", kept["onnx", shape])
        yield exported
        if ("openvino", shape) not in kept:
            kept["openvino", shape] = ExportedToOpenVino(module, shape, exported.model_bytes)
        yield kept["openvino", shape]


def _run(
    module: TorchClassifier, runtime: RuntimeName, batch: Callable[[int], NDArray[np.float32]], batch_size: int
) -> Classifier:
    from smoothcert.classifiers import with_runtime

    if runtime == "eager":
        return module.run_by("eager")
    size = batch_size if runtime == "compile" else 64
    tried = batch(size)
    kept, name = _known.setdefault(module, {}), (runtime, tried.shape if runtime == "compile" else tried.shape[1:])
    if name not in kept:
        kept[name] = with_runtime(module, runtime, tried)
    return kept[name]


def _module(classifier: Classifier) -> TorchClassifier | None:
    """Return what is a torch module that a procedure has not put into a runtime yet."""
    if getattr(classifier, "runtime", "eager") == "eager" or not hasattr(classifier, "run_by"):
        return None
    return cast("TorchClassifier", classifier)


def _usual_size(module: TorchClassifier, shape: tuple[int, ...]) -> int:
    return default_batch_size(math.prod(shape), device_of(module))
