"""What runs a torch module: ONNX Runtime on the CPU where it can, PyTorch elsewhere; others by name.

Nothing is timed. A probe gains too little and may be misled by whatever else runs on the machine meanwhile:
``benchmarks/runtime_choice.py`` measures both.
"""

from __future__ import annotations

import contextlib

import numpy as np
from numpy.typing import NDArray

from smoothcert.classifiers.base import Classifier
from smoothcert.classifiers.compiled import CompiledClassifier
from smoothcert.classifiers.onnx_export import ExportedClassifier, ExportedToOpenVino
from smoothcert.classifiers.rounding import beyond_rounding
from smoothcert.classifiers.torch_module import RUNTIMES, RuntimeName, TorchClassifier
from smoothcert.errors import InvalidArgumentError, MissingExtraError

__all__ = ["with_runtime"]


def with_runtime(classifier: TorchClassifier, runtime: RuntimeName, batch: NDArray[np.float32]) -> Classifier:
    """Run a module by the runtime named.

    Parameters
    ----------
    classifier : TorchClassifier
        Left as it is.
    runtime : {"auto", "eager", "compile", "onnx", "openvino"}
        ``"eager"`` is the module as PyTorch runs it, ``"compile"`` a `CompiledClassifier`, ``"onnx"`` an
        `ExportedClassifier`, ``"openvino"`` an `ExportedToOpenVino`. ``"auto"`` is ``"onnx"`` on the CPU, and
        ``"eager"`` elsewhere and where ONNX Runtime is not installed, cannot run the module or computes something
        else.
    batch : ndarray of float32, shape (b, *shape)
        Inputs as they will come, with noise: what is chosen must compute the same on them. ``"compile"`` is for
        batches of b.

    Returns
    -------
    Classifier
        For ``"eager"`` `classifier`, for procedures to run as it is. Its fingerprint and description name what is
        run.

    Raises
    ------
    MissingExtraError
        For ``"onnx"`` without ONNX Runtime: ``pip install 'smoothcert[onnx]'``; for ``"openvino"`` without that or
        without OpenVINO: ``pip install 'smoothcert[onnx,openvino]'``.
    InvalidArgumentError
        When `batch` is no float32 batch, there is no such runtime, or it cannot run the module or computes
        something else.

    Notes
    -----
    Logits may differ from eager ones by rounding alone, or the runtime is refused. Rounding remains, so votes at
    near ties differ between runtimes: what is certified is the classifier returned, not the one given.

    Examples
    --------
    >>> import torch
    >>> linear = TorchClassifier(torch.nn.Linear(4, 2), num_classes=2)
    >>> with_runtime(linear, "auto", np.ones((16, 4), np.float32)).description["runtime"]
    'onnxruntime ...'
    """
    if runtime not in RUNTIMES:
        raise InvalidArgumentError(f"runtime is {runtime!r}: it should be one of {', '.join(RUNTIMES)}")
    if batch.dtype != np.float32 or batch.ndim < 2 or len(batch) == 0:
        raise InvalidArgumentError(
            f"batch has dtype {batch.dtype} and shape {batch.shape}: give float32 (b, *shape) with b >= 1"
        )
    if runtime == "compile":
        return _same_function(classifier, CompiledClassifier(classifier, len(batch)), runtime, batch)
    if runtime == "onnx":
        return _same_function(classifier, ExportedClassifier(classifier, batch.shape[1:]), runtime, batch)
    if runtime == "openvino":
        return _same_function(classifier, ExportedToOpenVino(classifier, batch.shape[1:]), runtime, batch)
    if runtime == "auto":  # only CPU modules are exported
        with contextlib.suppress(InvalidArgumentError, MissingExtraError):
            return with_runtime(classifier, "onnx", batch)
    return classifier.run_by("eager")


def _same_function(
    classifier: TorchClassifier, chosen: Classifier, runtime: str, batch: NDArray[np.float32]
) -> Classifier:
    """Return what was chosen, if its logits are the module's up to rounding."""
    if difference := beyond_rounding(classifier.logits(batch), chosen.logits(batch), classifier.description):
        raise InvalidArgumentError(f"runtime {runtime!r} computes another function: {difference}; use 'eager'")
    return chosen
