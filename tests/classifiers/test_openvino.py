"""Graphs run by OpenVINO: the same function up to rounding, whose votes depend on nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from exports import remembered_exports
from smoothcert.approximate import make_candidate
from smoothcert.classifiers import (
    ExportedClassifier,
    ExportedToOpenVino,
    GraphClassifier,
    OnnxClassifier,
    OpenVinoClassifier,
    TorchClassifier,
    export_onnx,
    openvino,
    with_runtime,
)
from smoothcert.classifiers.openvino import openvino_core
from smoothcert.errors import CheckpointError, InvalidArgumentError
from smoothcert.models import load_checkpoint
from smoothcert.noise import GridNoise, Purpose, input_keys
from smoothcert.sampling import SampleRange, check_classifier_once, sample_votes

for package in ("onnx", "onnxruntime", "onnxscript"):
    pytest.importorskip(package)
if find_spec("openvino") is None:
    pytest.skip("needs OpenVINO", allow_module_level=True)
onnx = import_module("onnx")

SHAPE = (3, 8, 8)
BATCH = np.random.default_rng(0).standard_normal((150, *SHAPE)).astype(np.float32)
X = np.random.default_rng(0).integers(0, 256, (3, *SHAPE)).astype(np.float32) / np.float32(255)
KEYS = list(input_keys(X))
HAS_BFLOAT16 = "BF16" in openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
PRECISIONS = [
    "float32",
    pytest.param("bfloat16", marks=pytest.mark.skipif(not HAS_BFLOAT16, reason="no bfloat16")),
]


class Net(torch.nn.Module):
    """Two residual blocks, whose sums OpenVINO and ONNX Runtime round in different places when quantized."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Conv2d(3, 16, 3, padding=1)
        self.blocks = torch.nn.ModuleList(torch.nn.Conv2d(16, 16, 3, padding=1) for _ in range(4))
        self.fc = torch.nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.first(x))
        for i in (0, 2):
            x = torch.relu(self.blocks[i + 1](torch.relu(self.blocks[i](x))) + x)
        logits: torch.Tensor = 10 * self.fc(x.mean((2, 3)))
        return logits


@pytest.fixture(scope="module")
def base() -> TorchClassifier:
    torch.manual_seed(0)
    net = Net()
    classifier = TorchClassifier(net, num_classes=5)
    with torch.no_grad():  # so that no class has all the votes
        noisy = (np.tile(X, (20, 1, 1, 1)) + BATCH[:60] / 2).astype(np.float32)
        net.fc.bias.sub_(torch.from_numpy(classifier.logits(noisy).mean(axis=0)) / 10)
    return TorchClassifier(net, num_classes=5)


@pytest.fixture(scope="module")
def float32(base: TorchClassifier) -> bytes:
    return export_onnx(base, SHAPE)


@pytest.fixture(scope="module")
def int8(base: TorchClassifier) -> bytes:
    with remembered_exports():
        made = make_candidate("int8:onnx", base, calibration=BATCH[:64]).classifier
    assert isinstance(made, OnnxClassifier)
    return made.model_bytes


def moved(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """Return the largest difference, in units of the spread."""
    return float(np.abs(found - expected).max() / np.ptp(expected))


def test_it_computes_what_onnx_runtime_does_up_to_rounding(float32: bytes, int8: bytes) -> None:
    assert moved(OpenVinoClassifier(float32).logits(BATCH), OnnxClassifier(float32).logits(BATCH)) < 1e-5
    assert moved(OpenVinoClassifier(int8).logits(BATCH), OnnxClassifier(int8).logits(BATCH)) < 0.03


def test_the_int8_graph_of_a_trained_network_is_not_run_with_a_free_batch_axis(shared: Path) -> None:
    """Where it is, OpenVINO 2026.4 computes something else: a third of the spread apart, and 40 % of the votes."""
    module = load_checkpoint(shared / "models/cifar10/resnet20/noise_0.50/checkpoint.pth.tar").module
    batch = np.random.default_rng(0).normal(0.5, 0.5, (64, 3, 32, 32)).astype(np.float32)
    made = make_candidate("int8:onnx", TorchClassifier(module, 10), calibration=batch).classifier
    assert isinstance(made, OnnxClassifier)
    assert moved(OpenVinoClassifier(made.model_bytes).logits(batch), made.logits(batch)) < 0.03


@pytest.mark.skipif(not HAS_BFLOAT16, reason="no bfloat16")
def test_bfloat16_is_asked_for_and_float32_is_not_rounded(float32: bytes) -> None:
    expected = OnnxClassifier(float32).logits(BATCH)
    rounded = OpenVinoClassifier(float32, precision="bfloat16")
    assert 1e-4 < moved(rounded.logits(BATCH), expected) < 0.03
    assert rounded.description["dtype"].startswith("bfloat16")
    assert "bfloat16" not in OpenVinoClassifier(float32).description["dtype"]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("kind", ["float32", "int8"])
def test_logits_depend_on_no_batch_mate_and_no_thread(request: Any, kind: str, precision: Any) -> None:
    model = request.getfixturevalue(kind)
    classifier = OpenVinoClassifier(model, precision=precision, threads=2)
    together = classifier.logits(BATCH)
    for size in (0, 1, 7, 63, 64, 65, 150):
        np.testing.assert_array_equal(classifier.logits(BATCH[:size]), together[:size])
    order = np.random.default_rng(1).permutation(len(BATCH))
    np.testing.assert_array_equal(classifier.logits(BATCH[order]), together[order])
    np.testing.assert_array_equal(classifier.logits(BATCH[::-1])[::-1], together)
    frozen = BATCH.copy()
    frozen.setflags(write=False)
    np.testing.assert_array_equal(classifier.logits(frozen), together)
    for threads in (1, 3):
        other = OpenVinoClassifier(model, precision=precision, threads=threads)
        np.testing.assert_array_equal(other.logits(BATCH), together)


def test_the_engine_gets_the_same_votes_from_any_number_of_threads(float32: bytes) -> None:
    noise = GridNoise(0.5, 0)
    ranges = [SampleRange(i, key, Purpose.ESTIMATION, 5, 200) for i, key in enumerate(KEYS)]
    expected = sample_votes(OnnxClassifier(float32), X, noise, ranges)
    assert len(np.unique(np.concatenate(expected))) > 1
    for threads, batch_size in ((1, 1000), (2, 64), (3, 50)):
        classifier = OpenVinoClassifier(float32, threads=threads)
        found = sample_votes(classifier, X, noise, ranges, batch_size=batch_size)
        np.testing.assert_array_equal(np.concatenate(found), np.concatenate(expected))


def test_a_graph_is_tried_once(float32: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    classifier, calls = OpenVinoClassifier(float32), []
    score = OpenVinoClassifier.logits

    def counted(self: OpenVinoClassifier, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        calls.append(len(batch))
        return score(self, batch)

    monkeypatch.setattr(OpenVinoClassifier, "logits", counted)
    for _ in range(3):
        check_classifier_once(classifier, X, KEYS[0], GridNoise(0.5, 0))
    assert len(calls) == 4


def test_logits_that_are_not_finite_are_invalid_votes() -> None:
    weight = onnx.numpy_helper.from_array(np.eye(3, dtype=np.float32), "weight")
    node = onnx.helper.make_node("MatMul", ["input", "weight"], ["logits"])
    classifier = OpenVinoClassifier(make_model([node], ["batch", 3], [weight]))
    batch = np.eye(3, dtype=np.float32)
    batch[1, 0] = np.nan
    batch[2, 0] = np.inf
    assert classifier.classify(batch).tolist() == [0, -1, -1]


def test_runtime_and_precision_make_another_classifier(base: TorchClassifier, float32: bytes, int8: bytes) -> None:
    made = [OnnxClassifier(float32), OpenVinoClassifier(float32), OpenVinoClassifier(int8)]
    if HAS_BFLOAT16:
        made.append(OpenVinoClassifier(float32, precision="bfloat16"))
    assert len({each.fingerprint for each in made}) == len(made)
    assert OpenVinoClassifier(float32, threads=1).fingerprint == made[1].fingerprint
    assert made[1].description["runtime"].startswith("openvino 20")
    assert all(isinstance(each, GraphClassifier) for each in made)
    assert made[1].with_model(int8).fingerprint == made[2].fingerprint


def test_a_module_is_run_by_name(base: TorchClassifier, float32: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with remembered_exports():
        chosen = with_runtime(base, "openvino", BATCH)
        assert isinstance(chosen, ExportedToOpenVino)
        assert chosen.fingerprint == OpenVinoClassifier(float32).fingerprint
        assert chosen.description["source"] == base.fingerprint
        exported = ExportedClassifier(base, SHAPE).model_bytes
        assert ExportedToOpenVino(base, SHAPE, exported).fingerprint == chosen.fingerprint
        monkeypatch.setattr(ExportedToOpenVino, "logits", lambda self, batch: base.logits(batch) + 1)
        with pytest.raises(InvalidArgumentError, match="'openvino' computes another function"):
            with_runtime(base, "openvino", BATCH)
    half = TorchClassifier(torch.nn.Linear(4, 2).bfloat16(), num_classes=2)
    with pytest.raises(InvalidArgumentError, match="'openvino' takes float32 modules on the CPU"):
        with_runtime(half, "openvino", np.ones((2, 4), np.float32))


def test_nothing_is_sent_or_written_at_home(tmp_path: Path) -> None:
    code = (
        "import socket, sys\n"
        "def refuse(*anything): print('connects', flush=True)\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from smoothcert.classifiers.openvino import import_openvino\n"
        "import_openvino().Core()\n"
        "assert 'openvino_telemetry' not in sys.modules\n"
    )
    environment = os.environ | {"HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")
    assert not list(tmp_path.iterdir())


def test_an_interrupt_is_one_whatever_classifiers_there_were(tmp_path: Path, float32: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(float32)
    code = (
        "import gc, signal, sys\n"
        "from smoothcert.classifiers import OpenVinoClassifier\n"
        "first, second = (OpenVinoClassifier(sys.argv[1], threads=1) for _ in range(2))\n"
        "del first; gc.collect()\n"
        "del second; gc.collect()\n"
        "try: signal.raise_signal(signal.SIGINT)\n"
        "except KeyboardInterrupt: print('interrupted')\n"
    )
    call = [sys.executable, "-c", code, str(tmp_path / "model.onnx")]
    assert subprocess.run(call, capture_output=True, text=True, check=True).stdout == "interrupted\n"


def test_it_is_quiet(int8: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    OpenVinoClassifier(int8).classify(BATCH)
    assert capfd.readouterr() == ("", "")


def make_model(nodes: list[Any], shape: list[Any], weights: list[Any], domain: str = "") -> bytes:
    make, kind = onnx.helper, onnx.TensorProto.FLOAT
    inputs = [make.make_tensor_value_info("input", kind, shape)]
    outputs = [make.make_tensor_value_info("logits", kind, ["batch", 3])]
    graph = make.make_graph(nodes, "g", inputs, outputs, weights)
    opsets = [make.make_opsetid("", 18), *([make.make_opsetid(domain, 1)] if domain else [])]
    data: bytes = make.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()
    return data


def test_free_axes_are_compiled_for_the_shapes_that_come() -> None:
    make = onnx.helper
    weight = np.random.default_rng(0).standard_normal((3, 1)).astype(np.float32)
    nodes = [
        make.make_node("GlobalAveragePool", ["input"], ["means"]),
        make.make_node("Flatten", ["means"], ["flat"]),
        make.make_node("Mul", ["flat", "weight"], ["logits"]),
    ]
    tensors = [onnx.numpy_helper.from_array(weight[:, 0], "weight")]
    classifier = OpenVinoClassifier(make_model(nodes, ["batch", 3, "h", "w"], tensors))
    for height in (4, 5):
        batch = BATCH[:70, :, :height]
        expected = batch.mean((2, 3)) * weight[:, 0]
        np.testing.assert_allclose(classifier.logits(batch), expected, atol=1e-6)


def test_what_cannot_be_run_is_refused(float32: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    node = onnx.helper.make_node("Unheard", ["input"], ["logits"], domain="of")
    with pytest.raises(CheckpointError, match=r"cannot be run by OpenVINO \(.*use OnnxClassifier"):
        OpenVinoClassifier(make_model([node], ["batch", 3], [], "of"))
    with pytest.raises(
        InvalidArgumentError, match="precision is 'float16': it should be one of float32, bfloat16"
    ):
        OpenVinoClassifier(float32, precision="float16")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="threads is 0"):
        OpenVinoClassifier(float32, threads=0)
    with pytest.raises(InvalidArgumentError, match=r"shape \(3, 8, 9\)"):
        OpenVinoClassifier(float32).logits(np.zeros((2, 3, 8, 9), np.float32))

    class Core:
        def get_property(self, device: str, name: str) -> list[str]:
            return ["FP32", "INT8"]

    monkeypatch.setattr(openvino, "openvino_core", Core)
    with pytest.raises(InvalidArgumentError, match="'bfloat16', which this processor lacks"):
        OpenVinoClassifier(float32, precision="bfloat16")
