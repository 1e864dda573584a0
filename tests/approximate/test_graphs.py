"""Candidates of a base that is an ONNX graph."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from smoothcert.approximate import make_candidate
from smoothcert.classifiers import GraphClassifier, OnnxClassifier, TorchClassifier
from smoothcert.errors import InvalidArgumentError

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

RNG = np.random.default_rng(0)
FIRST, BIAS = RNG.standard_normal((6, 16)).astype(np.float32), RNG.standard_normal(16).astype(np.float32)
SECOND = RNG.standard_normal((16, 3)).astype(np.float32)
BATCH = RNG.standard_normal((50, 2, 3)).astype(np.float32)


def two_layers(*, label: bool = False, opset: int = 18, first: NDArray[Any] = FIRST) -> bytes:
    """Return a model of flat inputs with two layers, where asked with its labels beside the logits."""
    make, kind = onnx.helper, onnx.TensorProto
    nodes = [
        make.make_node("Gemm", ["input", "first", "bias"], ["hidden"]),
        make.make_node("Relu", ["hidden"], ["positive"]),
        make.make_node("MatMul", ["positive", "second"], ["scores"]),
    ]
    outputs = [make.make_tensor_value_info("scores", kind.FLOAT, ["batch", 3])]
    if label:
        nodes.append(make.make_node("ArgMax", ["scores"], ["label"], axis=1, keepdims=0))
        outputs.insert(0, make.make_tensor_value_info("label", kind.INT64, ["batch"]))
    arrays = {"first": first, "bias": BIAS, "second": SECOND}
    graph = make.make_graph(
        nodes,
        "two layers",
        [make.make_tensor_value_info("input", kind.FLOAT, ["batch", 6])],
        outputs,
        [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    data: bytes = make.make_model(
        graph, opset_imports=[make.make_opsetid("", opset)], ir_version=8
    ).SerializeToString()
    return data


def truth(first: NDArray[Any], bias: NDArray[Any], second: NDArray[Any]) -> NDArray[Any]:
    scores: NDArray[Any] = np.maximum(BATCH.reshape(50, 6) @ first + bias, 0) @ second
    return scores


def zero_smallest(weights: NDArray[np.float32], amount: float) -> NDArray[np.float32]:
    threshold = np.sort(np.abs(weights).ravel())[round(amount * weights.size)]
    return np.where(np.abs(weights) < threshold, np.float32(0), weights)


@pytest.fixture(scope="module", params=[False, True])
def base(request: pytest.FixtureRequest) -> OnnxClassifier:
    return OnnxClassifier(two_layers(label=request.param), threads=2)


def run(spec: str, base: GraphClassifier) -> NDArray[np.float32]:
    """Make a candidate, check that the base is left alone, and return the logits."""
    before = base.logits(BATCH)
    made = make_candidate(spec, base, calibration=BATCH)
    assert made.classifier.fingerprint != base.fingerprint
    np.testing.assert_array_equal(base.logits(BATCH), before)
    assert getattr(made.classifier, "threads", None) == 2
    return made.classifier.logits(BATCH)


def test_each_layer_loses_its_smallest_weights(base: OnnxClassifier) -> None:
    expected = truth(zero_smallest(FIRST, 0.3), BIAS, zero_smallest(SECOND, 0.3))
    np.testing.assert_allclose(run("prune:0.3", base), expected, atol=1e-4)
    made = make_candidate("prune:0.3", base)
    assert made.name == "prune-0.3"
    assert made.description.endswith("set to zero (43 of 144)")


def test_all_layers_lose_their_smallest_weights_together(base: OnnxClassifier) -> None:
    both = zero_smallest(np.concatenate([FIRST.ravel(), SECOND.ravel()]), 0.3)
    expected = truth(both[:96].reshape(6, 16), BIAS, both[96:].reshape(16, 3))
    np.testing.assert_allclose(run("prune-global:0.3", base), expected, atol=1e-4)


def test_pruning_a_graph_is_pruning_the_module_that_it_was() -> None:
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Linear(6, 16, bias=False), torch.nn.ReLU(), torch.nn.Linear(16, 3, bias=False)
    )
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(4).round_()  # many are equally small, and the choice among them has to be the same
    weights = [parameter.detach().numpy() for parameter in module.parameters()]
    make, kind = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        make.make_node("Gemm", ["input", "first"], ["hidden"], transB=1),
        make.make_node("Relu", ["hidden"], ["positive"]),
        make.make_node("Gemm", ["positive", "second"], ["scores"], transB=1),
    ]
    values = [make.make_tensor_value_info(n, kind, ["batch", k]) for n, k in (("input", 6), ("scores", 3))]
    stored = [onnx.numpy_helper.from_array(w, n) for w, n in zip(weights, ("first", "second"), strict=True)]
    graph = make.make_graph(nodes, "g", values[:1], values[1:], stored)
    data = make.make_model(graph, opset_imports=[make.make_opsetid("", 18)], ir_version=8).SerializeToString()
    x = BATCH.reshape(50, 6)
    for spec in ("prune:0.4", "prune-global:0.4"):
        expected = make_candidate(spec, TorchClassifier(module, 3)).classifier.logits(x)
        found = make_candidate(spec, OnnxClassifier(data)).classifier.logits(x)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_weights_and_biases_are_rounded_to_float16(base: OnnxClassifier) -> None:
    expected = truth(*(each.astype(np.float16).astype(np.float32) for each in (FIRST, BIAS, SECOND)))
    np.testing.assert_allclose(run("fp16", base), expected, atol=1e-5)
    large = OnnxClassifier(two_layers(first=1e5 * FIRST))
    with pytest.raises(InvalidArgumentError, match=r"\|first\| up to .*: float16 ends at 65504"):
        make_candidate("fp16", large)


def test_int8_is_made_of_the_graph_itself(base: OnnxClassifier) -> None:
    expected = truth(FIRST, BIAS, SECOND)
    logits = run("int8:onnx", base)
    assert 1e-4 < np.abs(logits - expected).max() / np.ptp(expected) < 0.05
    made = make_candidate("int8:onnx", base, calibration=BATCH)
    assert made.name == "int8"
    assert made.classifier.description["dtype"].count("int8") == 2
    assert (
        make_candidate("int8:onnx", base, calibration=BATCH).classifier.fingerprint == made.classifier.fingerprint
    )


@pytest.mark.parametrize("spec", ["int8:openvino", "bf16:openvino", "bf16"])
def test_openvino_runs_what_is_made_of_a_graph(base: OnnxClassifier, spec: str) -> None:
    if find_spec("openvino") is None:
        pytest.skip("needs OpenVINO")
    expected = truth(FIRST, BIAS, SECOND)
    try:
        logits = run(spec, base)
    except InvalidArgumentError as error:
        assert "which this processor lacks" in str(error)
        return
    assert 1e-4 < np.abs(logits - expected).max() / np.ptp(expected) < 0.05
    openvino = make_candidate(spec, base, calibration=BATCH).classifier
    assert isinstance(openvino, GraphClassifier)
    pruned = make_candidate("prune:0.3", openvino) if spec == "bf16" else None
    assert pruned is None or pruned.classifier.description["runtime"] == openvino.description["runtime"]


def test_files_are_candidates_of_a_graph(base: OnnxClassifier, tmp_path: Any) -> None:
    path = tmp_path / "other.onnx"
    path.write_bytes(two_layers(first=-FIRST))
    made = make_candidate(str(path), base).classifier
    np.testing.assert_allclose(made.logits(BATCH), truth(-FIRST, BIAS, SECOND), atol=1e-4)


def test_what_a_graph_cannot_become_is_refused(base: OnnxClassifier) -> None:
    for spec in ("copy:deepcopy", "weights.safetensors"):
        with pytest.raises(InvalidArgumentError, match="made from a torch module, but base is a OnnxClassifier"):
            make_candidate(spec, base)
    with pytest.raises(InvalidArgumentError, match="which PyTorch cannot run"):
        make_candidate("bf16:torch", base)
    with pytest.raises(InvalidArgumentError, match="opset 12: a scale per channel needs 13"):
        make_candidate("int8", OnnxClassifier(two_layers(opset=12)), calibration=BATCH)
    int8 = make_candidate("int8:onnx", base, calibration=BATCH).classifier
    assert isinstance(int8, OnnxClassifier)
    with pytest.raises(InvalidArgumentError, match="nothing to prune"):
        make_candidate("prune:0.1", int8)
    with pytest.raises(InvalidArgumentError, match=r"shape \(2, 4\)"):
        make_candidate("int8", base, calibration=np.zeros((4, 2, 4), np.float32))
