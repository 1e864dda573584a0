"""One interface to anything that labels a batch: torch modules, ONNX files and plain functions.

Torch and ONNX Runtime are imported where they are used, so that ``import smoothcert`` stays fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from smoothcert.classifiers.base import INVALID_VOTE, Classifier, votes_from_logits
from smoothcert.classifiers.function import FunctionClassifier

if TYPE_CHECKING:
    from smoothcert.classifiers.onnx_file import OnnxClassifier
    from smoothcert.classifiers.torch_module import TorchClassifier

__all__ = [
    "INVALID_VOTE",
    "Classifier",
    "FunctionClassifier",
    "OnnxClassifier",
    "TorchClassifier",
    "votes_from_logits",
]


def __getattr__(name: str) -> Any:
    if name == "TorchClassifier":
        from smoothcert.classifiers.torch_module import TorchClassifier

        return TorchClassifier
    if name == "OnnxClassifier":
        from smoothcert.classifiers.onnx_file import OnnxClassifier

        return OnnxClassifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
