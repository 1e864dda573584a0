from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from exports import remembered_exports
from smoothcert.approximate import Candidate, make_candidate
from smoothcert.classifiers import OnnxClassifier, TorchClassifier
from smoothcert.errors import InvalidArgumentError

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.skipif(find_spec("onnxscript") is None, reason="models are exported with onnxscript")

RNG = np.random.default_rng(0)
CALIBRATION = RNG.standard_normal((40, 3, 8, 8)).astype(np.float32)
BATCH = RNG.standard_normal((64, 3, 8, 8)).astype(np.float32)


class Net(torch.nn.Module):
    """A residual block between two convolutions, with the batch normalizations of a trained network."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = torch.nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(16)
        self.conv2 = torch.nn.Conv2d(16, 16, 3, padding=1, bias=False)
        self.bn2 = torch.nn.BatchNorm2d(16)
        self.fc = torch.nn.Linear(16, 5)
        for bn in (self.bn1, self.bn2):
            torch.nn.init.uniform_(bn.running_mean, -0.2, 0.2)  # type: ignore[arg-type]
            torch.nn.init.uniform_(bn.running_var, 0.5, 1.5)  # type: ignore[arg-type]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.bn1(self.conv1(x)))
        x = torch.relu(self.bn2(self.conv2(x)) + x)
        logits: torch.Tensor = 3 * self.fc(x.mean((2, 3)))
        return logits


def make_base(preprocess: Any = None) -> TorchClassifier:
    torch.manual_seed(0)
    return TorchClassifier(Net(), num_classes=5, preprocess=preprocess)


@pytest.fixture(scope="module")
def base() -> TorchClassifier:
    return make_base()


@pytest.fixture(scope="module")
def candidate(base: TorchClassifier) -> Candidate:
    with remembered_exports():
        return make_candidate("int8:onnx", base, calibration=CALIBRATION)


@pytest.fixture(scope="module")
def int8(candidate: Candidate) -> OnnxClassifier:
    assert isinstance(candidate.classifier, OnnxClassifier)
    return candidate.classifier


@pytest.fixture
def exported_before() -> Iterator[None]:
    """Quantize what was exported in another test, where the export is not looked at."""
    with remembered_exports():
        yield


def test_every_product_is_quantized(int8: OnnxClassifier) -> None:
    graph = onnx.load_model_from_string(int8.model_bytes).graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    made_by = {output: node for node in graph.node for output in node.output}
    heavy = [node for node in graph.node if node.op_type in ("Conv", "Gemm")]
    assert len(heavy) == 3
    for node in heavy:
        activation, weight = (made_by[name] for name in node.input[:2])
        assert activation.op_type == weight.op_type == "DequantizeLinear"
        assert made_by[activation.input[0]].op_type == "QuantizeLinear"
        assert weights[activation.input[2]].data_type == onnx.TensorProto.UINT8
        assert weights[weight.input[0]].data_type == onnx.TensorProto.INT8
        assert list(weights[weight.input[1]].dims) == [weights[weight.input[0]].dims[0]]  # a scale per channel
    assert not [node for node in graph.node if node.op_type == "BatchNormalization"]
    # What is left in float32 is small: scales and constants, no second copy of the weights.
    assert sum(int(np.prod(w.dims)) for w in weights.values() if w.data_type == onnx.TensorProto.FLOAT) < 200


def test_the_runtime_runs_integer_kernels(int8: OnnxClassifier, tmp_path: Path) -> None:
    options = ort.SessionOptions()
    options.log_severity_level = 3  # saving an optimized model warns that it fits this processor
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    ort.InferenceSession(int8.model_bytes, options, providers=["CPUExecutionProvider"])
    kinds = Counter(node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node)
    assert kinds["QLinearConv"] == 2
    assert kinds["QGemm"] == 1
    assert not kinds["Conv"] + kinds["Gemm"] + kinds["MatMul"]


def test_it_approximates_the_base_and_is_not_the_base(
    base: TorchClassifier, candidate: Candidate, int8: OnnxClassifier
) -> None:
    logits, expected = int8.logits(BATCH), base.logits(BATCH)
    error = np.abs(logits - expected).max() / np.ptp(expected)
    assert 1e-4 < error < 0.03
    assert int8.description["dtype"].count("int8") == 2  # int8 and uint8
    assert "int8" in candidate.description


def test_logits_are_not_rounded_to_8_bits(int8: OnnxClassifier) -> None:
    assert len(np.unique(int8.logits(BATCH))) > 256


def test_a_head_whose_input_is_also_added_to_the_logits_stays_int8() -> None:
    class Head(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1 = torch.nn.Linear(192, 5)
            self.fc2 = torch.nn.Linear(5, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            hidden = torch.relu(self.fc1(x.flatten(1)))
            logits: torch.Tensor = hidden + self.fc2(hidden)
            return logits

    torch.manual_seed(0)
    base = TorchClassifier(Head(), num_classes=5)
    candidate = make_candidate("int8:onnx", base, calibration=CALIBRATION).classifier
    np.testing.assert_allclose(candidate.logits(BATCH), base.logits(BATCH), atol=0.1)


def test_a_vote_depends_on_no_batch_mate_and_no_thread(int8: OnnxClassifier) -> None:
    batch = np.concatenate([BATCH, 100 * BATCH[:1]])  # a batch mate that would widen a dynamic range
    together = int8.logits(batch)
    alone = np.concatenate([int8.logits(batch[i : i + 1]) for i in range(len(batch))])
    np.testing.assert_array_equal(alone, together)
    np.testing.assert_array_equal(int8.logits(batch[::-1].copy())[::-1], together)
    np.testing.assert_array_equal(int8.classify(batch), together.argmax(axis=1))
    for threads in (1, 2):
        other = OnnxClassifier(int8.model_bytes, num_classes=5, threads=threads)
        np.testing.assert_array_equal(other.logits(batch), together)


def test_preprocessing_is_inside_the_model(base: TorchClassifier) -> None:
    shifted = make_base(preprocess=lambda x: (x - 0.5) / 0.25)
    candidate = make_candidate("int8:onnx", shifted, calibration=CALIBRATION).classifier
    assert np.abs(candidate.logits(BATCH) - shifted.logits(BATCH)).max() < 0.1 * np.ptp(shifted.logits(BATCH))
    assert np.abs(candidate.logits(BATCH) - base.logits(BATCH)).max() > 0.2 * np.ptp(shifted.logits(BATCH))


def test_it_is_reproducible_quiet_and_says_nothing_of_this_machine(
    base: TorchClassifier,
    int8: OnnxClassifier,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with caplog.at_level(logging.INFO):
        again = make_candidate("int8:onnx", base, calibration=CALIBRATION).classifier
    assert again.fingerprint == int8.fingerprint
    assert capfd.readouterr() == ("", "")
    assert not caplog.records
    assert not list(tmp_path.iterdir())
    assert b"site-packages" not in int8.model_bytes
    assert Path(__file__).name.encode() not in int8.model_bytes
    assert not logging.root.manager.disable


@pytest.mark.usefixtures("exported_before")
def test_calibration_matters_and_is_checked(base: TorchClassifier, int8: OnnxClassifier) -> None:
    other = make_candidate("int8:onnx", base, calibration=2 * CALIBRATION).classifier
    assert other.fingerprint != int8.fingerprint
    infinite = CALIBRATION.copy()
    infinite[3, 0, 0, 0] = np.inf
    for wrong, message in (
        (None, "needs calibration"),
        (CALIBRATION.astype(np.float64), "float64"),
        (CALIBRATION[:0], r"shape \(0, 3, 8, 8\)"),
        (CALIBRATION[0, 0, 0], r"shape \(8,\)"),
        (infinite, "not finite"),
        (CALIBRATION[:, :2], r"cannot be exported to ONNX for inputs of shape \(2, 8, 8\)"),
    ):
        with pytest.raises(InvalidArgumentError, match=message):
            make_candidate("int8:onnx", base, calibration=wrong)  # type: ignore[arg-type]


def test_a_module_that_fixes_its_batch_is_refused() -> None:
    class Fixed(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = torch.nn.Linear(192, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.fc(x.reshape(2, 192))
            return logits

    with pytest.raises(InvalidArgumentError, match="cannot be exported to ONNX"):
        make_candidate("int8:onnx", TorchClassifier(Fixed(), num_classes=5), calibration=CALIBRATION)


def test_a_module_without_products_is_refused() -> None:
    from smoothcert.errors import SmoothcertError

    pool = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    with pytest.raises(SmoothcertError, match="0 of 0 products"):
        make_candidate("int8:onnx", TorchClassifier(pool, num_classes=3), calibration=CALIBRATION)
