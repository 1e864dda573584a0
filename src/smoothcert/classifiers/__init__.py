"""One interface to anything that labels a batch: torch modules, ONNX files and plain functions.

Torch and ONNX Runtime are imported where they are used, so that ``import smoothcert`` stays fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from smoothcert.classifiers.base import INVALID_VOTE, Classifier, votes_from_logits
from smoothcert.classifiers.function import FunctionClassifier

if TYPE_CHECKING:
    from smoothcert.classifiers.compiled import CompiledClassifier
    from smoothcert.classifiers.onnx_export import ExportedClassifier, export_onnx
    from smoothcert.classifiers.onnx_file import OnnxClassifier
    from smoothcert.classifiers.runtime import with_runtime
    from smoothcert.classifiers.torch_module import TorchClassifier

_HOME = {
    "CompiledClassifier": "compiled",
    "ExportedClassifier": "onnx_export",
    "OnnxClassifier": "onnx_file",
    "TorchClassifier": "torch_module",
    "export_onnx": "onnx_export",
    "with_runtime": "runtime",
}

__all__ = [
    "INVALID_VOTE",
    "Classifier",
    "CompiledClassifier",
    "ExportedClassifier",
    "FunctionClassifier",
    "OnnxClassifier",
    "TorchClassifier",
    "export_onnx",
    "votes_from_logits",
    "with_runtime",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
