"""What runs a torch module: the runtime that made the votes it goes on with, or the one that suits the machine."""

from __future__ import annotations

import contextlib
import math
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from smoothcert.classifiers import Classifier
from smoothcert.errors import InvalidArgumentError, MissingExtraError
from smoothcert.sampling import default_batch_size, device_of
from smoothcert.votes.store import Manifest

if TYPE_CHECKING:
    from smoothcert.classifiers import RuntimeName, TorchClassifier

__all__ = ["run_as", "run_as_made", "run_like"]

# By what a module computes, so that one which was changed in place is exported again.
_known: weakref.WeakKeyDictionary[TorchClassifier, dict[object, Classifier]] = weakref.WeakKeyDictionary()

Batch = Callable[[int], NDArray[np.float32]]
"""Returns so many noisy inputs, on which a runtime must compute what the module does."""


def run_as(classifier: Classifier, shape: tuple[int, ...], batch: Batch, batch_size: int) -> Classifier:
    """Run a torch module by the runtime that it names, see `smoothcert.classifiers.with_runtime`.

    Parameters
    ----------
    classifier : Classifier
        Whatever is no torch module is returned as it is.
    shape : tuple of int
        Shape of one input.
    batch : callable
        Noisy inputs of that shape.
    batch_size : int
        Forward passes at once.
    """
    module = _module(classifier)
    return classifier if module is None else _run(module, module.runtime, shape, batch, batch_size)


def run_like(classifier: Classifier, manifest: Manifest, batch: Batch, batch_size: int) -> Classifier:
    """Run a torch module that names no runtime by that of a cache, where that can; arguments as for `run_as`."""
    module, shape = _module(classifier), manifest.input_shape
    if module is None or module.runtime != "auto":
        return run_as(classifier, shape, batch, batch_size)
    runtime = _named(manifest.classifier.get("runtime", ""))
    if runtime == "compile":
        return _run(module, runtime, shape, batch, batch_size)
    with contextlib.suppress(InvalidArgumentError):  # half precision, say
        return _run(module, runtime, shape, batch, batch_size)
    return module.run_by("eager")


def run_as_made(
    classifier: Classifier, fingerprint: str, shape: tuple[int, ...], batch_size: int | None = None
) -> Classifier | None:
    """Run a torch module by the runtime that has a fingerprint; None when none has: it is another model."""
    module = _module(classifier)
    if module is None:
        return classifier if classifier.fingerprint == fingerprint else None
    size = batch_size or default_batch_size(math.prod(shape), device_of(module))
    return next((run for run in _runs(module, shape, size) if run.fingerprint == fingerprint), None)


def _runs(module: TorchClassifier, shape: tuple[int, ...], batch_size: int) -> Iterator[Classifier]:
    """Run a module by one runtime after another, the cheap ones first."""
    from smoothcert.classifiers import CompiledClassifier, ExportedClassifier, ExportedToOpenVino

    yield module.run_by("eager")
    yield CompiledClassifier(module, batch_size)  # which is not compiled before its first batch
    with contextlib.suppress(InvalidArgumentError, MissingExtraError):
        exported = _remembered(module, ("export", shape), lambda: ExportedClassifier(module, shape))
        yield exported
        graph = cast("ExportedClassifier", exported).model_bytes
        yield _remembered(module, ("to openvino", shape), lambda: ExportedToOpenVino(module, shape, graph))


def _run(
    module: TorchClassifier, runtime: RuntimeName, shape: tuple[int, ...], batch: Batch, batch_size: int
) -> Classifier:
    from smoothcert.classifiers import with_runtime

    if runtime == "eager":
        return module.run_by("eager")
    size = batch_size if runtime == "compile" else 64
    return _remembered(module, (runtime, size, shape), lambda: with_runtime(module, runtime, batch(size)))


def _remembered(module: TorchClassifier, what: tuple[Any, ...], make: Callable[[], Classifier]) -> Classifier:
    from smoothcert.classifiers import computed_by

    try:
        name = (*what, computed_by(module, what[-1]))
    except Exception:  # a module that cannot label such inputs: the probe says so
        return make()
    known = _known.setdefault(module, {})
    if name not in known:
        known[name] = make()
    return known[name]


def _named(description: str) -> RuntimeName:
    """Return the runtime that a classifier describes."""
    if description.endswith("compiled"):
        return "compile"
    if description.startswith("openvino"):
        return "openvino"
    return "onnx" if description.startswith("onnxruntime") else "eager"


def _module(classifier: Classifier) -> TorchClassifier | None:
    """Return what is a torch module that a procedure has not put into a runtime yet."""
    if getattr(classifier, "runtime", "eager") == "eager" or not hasattr(classifier, "run_by"):
        return None
    return cast("TorchClassifier", classifier)
