"""What runs int8 and bfloat16 candidates: OpenVINO where it can, under a name of its own."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from exports import remembered_exports
from smoothcert.approximate import make_candidate, openvino_choice
from smoothcert.classifiers import OnnxClassifier, OpenVinoClassifier, TorchClassifier, openvino
from smoothcert.errors import InvalidArgumentError, MissingExtraError
from smoothcert.models import build_model

for package in ("onnx", "onnxruntime", "onnxscript"):
    pytest.importorskip(package)
needs_openvino = pytest.mark.skipif(find_spec("openvino") is None, reason="needs OpenVINO")
BATCH = np.random.default_rng(0).standard_normal((40, 1, 8, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def base() -> TorchClassifier:
    torch.manual_seed(0)
    return TorchClassifier(build_model("digits_conv"), num_classes=10)


@pytest.fixture(autouse=True)
def _exported_once() -> Iterator[None]:
    with remembered_exports():
        yield


def without_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise MissingExtraError("this needs 'openvino': pip install 'smoothcert[openvino]'")

    for name in ("import_openvino", "openvino_core"):
        monkeypatch.setattr(openvino, name, missing)


@needs_openvino
def test_int8_is_the_same_graph_in_openvino(base: TorchClassifier) -> None:
    chosen = make_candidate("int8", base, calibration=BATCH)
    named, by_onnx = (make_candidate(f"int8:{name}", base, calibration=BATCH) for name in ("openvino", "onnx"))
    assert (chosen.name, named.name, by_onnx.name) == ("int8-openvino", "int8-openvino", "int8")
    assert isinstance(chosen.classifier, OpenVinoClassifier)
    assert isinstance(by_onnx.classifier, OnnxClassifier)
    assert chosen.classifier.model_bytes == by_onnx.classifier.model_bytes
    assert chosen.classifier.fingerprint == named.classifier.fingerprint != by_onnx.classifier.fingerprint
    assert "OpenVINO" in chosen.description
    assert "ONNX Runtime" in by_onnx.description
    expected = by_onnx.classifier.logits(BATCH)
    assert np.abs(chosen.classifier.logits(BATCH) - expected).max() < 0.03 * np.ptp(expected)


@needs_openvino
def test_bfloat16_is_run_by_openvino_where_the_processor_has_it(base: TorchClassifier) -> None:
    try:
        named = make_candidate("bf16:openvino", base, calibration=BATCH)
    except InvalidArgumentError as error:
        assert "which this processor lacks" in str(error)
        assert make_candidate("bf16", base, calibration=BATCH).name == "bf16"
        return
    chosen, by_torch = (make_candidate(spec, base, calibration=BATCH) for spec in ("bf16", "bf16:torch"))
    assert (chosen.name, named.name, by_torch.name) == ("bf16-openvino", "bf16-openvino", "bf16")
    assert chosen.classifier.fingerprint == named.classifier.fingerprint
    assert isinstance(by_torch.classifier, TorchClassifier)
    moved = np.abs(chosen.classifier.logits(BATCH) - base.logits(BATCH)).max()
    assert 0 < moved < 0.03 * np.ptp(base.logits(BATCH))


def test_without_calibration_pytorch_runs_bfloat16(base: TorchClassifier) -> None:
    assert make_candidate("bf16", base).name == "bf16"
    with pytest.raises(InvalidArgumentError, match="bf16:openvino needs calibration"):
        make_candidate("bf16:openvino", base)


def test_without_openvino_candidates_are_as_before(base: TorchClassifier, monkeypatch: pytest.MonkeyPatch) -> None:
    without_openvino(monkeypatch)
    int8, bf16 = (make_candidate(spec, base, calibration=BATCH) for spec in ("int8", "bf16"))
    assert (int8.name, bf16.name) == ("int8", "bf16")
    assert isinstance(int8.classifier, OnnxClassifier)
    assert isinstance(bf16.classifier, TorchClassifier)
    for spec in ("int8:openvino", "bf16:openvino"):
        with pytest.raises(MissingExtraError, match=r"smoothcert\[openvino\]"):
            make_candidate(spec, base, calibration=BATCH)


@needs_openvino
def test_what_openvino_computes_otherwise_is_left_to_onnx_runtime(
    base: TorchClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    logits = OpenVinoClassifier.logits
    monkeypatch.setattr(OpenVinoClassifier, "logits", lambda self, batch: logits(self, batch[::-1]))
    assert make_candidate("int8", base, calibration=BATCH).name == "int8"
    assert make_candidate("bf16", base, calibration=BATCH).name == "bf16"
    with pytest.raises(InvalidArgumentError, match="OpenVINO computes another function"):
        make_candidate("int8:openvino", base, calibration=BATCH)


@needs_openvino
def test_a_base_on_a_device_keeps_its_candidates_there(base: TorchClassifier) -> None:
    there = TorchClassifier(base.module, num_classes=10)
    there.device = torch.device("cuda")
    assert not openvino_choice._on_cpu(there)
    assert openvino_choice._on_cpu(base)
