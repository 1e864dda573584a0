"""Exports of models to ONNX, remembered: each takes a second, and the bytes are the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from smoothcert.approximate import graphs
from smoothcert.classifiers import TorchClassifier, onnx_export

_export = onnx_export.export_onnx
_known: dict[object, bytes] = {}


@contextmanager
def remembered_exports() -> Iterator[dict[object, bytes]]:
    """Export each model once; yields what is remembered."""

    def remembered(classifier: TorchClassifier, shape: tuple[int, ...]) -> bytes:
        key = (type(classifier.module), classifier.fingerprint, shape)  # the same name may become another class
        if key not in _known:
            _known[key] = _export(classifier, shape)
        return _known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx_export, "export_onnx", remembered)
        patch.setattr(graphs, "export_onnx", remembered)
        yield _known
