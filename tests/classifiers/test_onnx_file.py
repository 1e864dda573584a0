from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from smoothcert.classifiers import Classifier, OnnxClassifier
from smoothcert.errors import CheckpointError, InvalidArgumentError

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

WEIGHT = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)
BATCH = np.random.default_rng(1).standard_normal((20, 2, 3)).astype(np.float32)
FLOAT = onnx.TensorProto.FLOAT


def linear(
    *,
    nodes: list[Any] | None = None,
    batch: str | int = "batch",
    output: Any = None,
    extra: list[Any] | None = None,
) -> Any:
    """Flatten (b, 2, 3) and multiply with WEIGHT, unless told otherwise."""
    make = onnx.helper
    nodes = nodes or [
        make.make_node("Flatten", ["input"], ["flat"]),
        make.make_node("Gemm", ["flat", "weight"], ["logits"]),
    ]
    inputs = [make.make_tensor_value_info("input", FLOAT, [batch, 2, 3])]
    outputs = output or [make.make_tensor_value_info("logits", FLOAT, [batch, 3])]
    weight = make.make_tensor("weight", FLOAT, WEIGHT.shape, WEIGHT.flatten().tolist())
    graph = make.make_graph(nodes, "linear", inputs, outputs, [weight, *(extra or [])])
    return make.make_model(graph, opset_imports=[make.make_opsetid("", 18)], ir_version=9)


def truth(batch: NDArray[np.float32]) -> NDArray[np.float32]:
    scores: NDArray[np.float32] = batch.reshape(len(batch), 6) @ WEIGHT
    return scores


def test_it_computes_the_model_from_bytes_and_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "linear.onnx"
    path.write_bytes(linear().SerializeToString())
    from_file = OnnxClassifier(path, num_classes=3, threads=1)
    from_bytes = OnnxClassifier(path.read_bytes(), num_classes=3)
    assert isinstance(from_file, Classifier)
    for classifier in (from_file, from_bytes):
        logits = classifier.logits(BATCH)
        assert logits.dtype == np.float32
        np.testing.assert_allclose(logits, truth(BATCH), rtol=1e-5, atol=1e-5)
        labels = classifier.classify(BATCH)
        assert labels.dtype == np.int64
        np.testing.assert_array_equal(labels, truth(BATCH).argmax(axis=1))
    assert from_file.fingerprint == from_bytes.fingerprint
    assert from_file.model_bytes == path.read_bytes()
    assert from_file.description["dtype"] == "float32"
    assert from_file.description["runtime"].startswith("onnxruntime ")


def test_the_fingerprint_follows_the_bytes() -> None:
    model = linear()
    first = OnnxClassifier(model.SerializeToString(), num_classes=3).fingerprint
    model.graph.initializer[0].float_data[0] += 1
    assert OnnxClassifier(model.SerializeToString(), num_classes=3).fingerprint != first


def test_logits_that_are_not_finite_are_invalid_votes() -> None:
    batch = BATCH[:3].copy()
    batch[1, 0, 0] = np.nan
    batch[2, 0, 0] = np.inf
    assert OnnxClassifier(linear().SerializeToString(), 3).classify(batch).tolist()[1:] == [-1, -1]


@pytest.mark.parametrize("content", [b"", b"<html>not a model</html>", b"\x80\x04K\x01."])
def test_files_that_are_no_models_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"model\.onnx"):
        OnnxClassifier(path, num_classes=3)


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    for path in (tmp_path, tmp_path / "missing.onnx", tmp_path / "pipe.onnx"):
        with pytest.raises(CheckpointError, match="not a regular file"):
            OnnxClassifier(path, num_classes=3)


@pytest.mark.parametrize("place", ["initializer", "sparse", "attribute", "subgraph", "function"])
def test_weights_outside_the_folder_are_refused_wherever_they_are_named(place: str, tmp_path: Path) -> None:
    model = linear()
    secret = onnx.TensorProto(name="secret", data_type=FLOAT, dims=[1], data_location=onnx.TensorProto.EXTERNAL)
    secret.external_data.add(key="location", value="../../etc/hostname")
    graph = onnx.helper.make_graph([], "inner", [], [], [secret])
    constant = onnx.helper.make_node("Constant", [], ["c"], value=secret)
    if place == "initializer":
        model.graph.initializer.append(secret)
    elif place == "sparse":
        model.graph.sparse_initializer.add().values.CopyFrom(secret)
    elif place == "attribute":
        model.graph.node.append(constant)
    elif place == "subgraph":
        model.graph.node.append(onnx.helper.make_node("If", ["c"], ["d"], then_branch=graph, else_branch=graph))
    else:
        model.functions.add(name="f", domain="d").node.append(constant)
    with pytest.raises(CheckpointError, match="weights in another file: give its path instead of its bytes"):
        OnnxClassifier(model.SerializeToString(), num_classes=3)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(CheckpointError, match=r"no plain name of a file in its folder: save it again"):
        OnnxClassifier(path, num_classes=3)


def test_damaged_models_are_named(tmp_path: Path) -> None:
    good = linear().SerializeToString()
    unknown = linear()
    unknown.graph.initializer[0].data_type = 999
    path = tmp_path / "model.onnx"
    for content in (b"", b"\xff" * 100, good[:-50], unknown.SerializeToString()):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"model\.onnx"):
            OnnxClassifier(path, num_classes=3)


def test_a_system_without_affinity_uses_all_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    classifier = OnnxClassifier(linear().SerializeToString(), num_classes=3)
    assert classifier.threads == os.cpu_count()


def test_a_scale_that_depends_on_the_batch_is_refused() -> None:
    make = onnx.helper
    nodes = [
        make.make_node("Flatten", ["input"], ["flat"]),
        make.make_node("DynamicQuantizeLinear", ["flat"], ["q", "scale", "zero"]),
        make.make_node("DequantizeLinear", ["q", "scale", "zero"], ["rounded"]),
        make.make_node("Gemm", ["rounded", "weight"], ["logits"]),
    ]
    with pytest.raises(CheckpointError, match="DynamicQuantizeLinear"):
        OnnxClassifier(linear(nodes=nodes).SerializeToString(), num_classes=3)


def test_batch_normalization_over_the_batch_is_refused() -> None:
    make = onnx.helper
    ones = [make.make_tensor(name, FLOAT, [3], [1.0, 1.0, 1.0]) for name in ("s", "b", "m", "v")]
    nodes = [
        make.make_node("Flatten", ["input"], ["flat"]),
        make.make_node("Gemm", ["flat", "weight"], ["scores"]),
        make.make_node(
            "BatchNormalization", ["scores", "s", "b", "m", "v"], ["logits", "m1", "v1"], training_mode=1
        ),
    ]
    with pytest.raises(CheckpointError, match="training mode"):
        OnnxClassifier(linear(nodes=nodes, extra=ones).SerializeToString(), num_classes=3)


def test_signatures_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="num_classes is 4"):
        OnnxClassifier(linear().SerializeToString(), num_classes=4)
    with pytest.raises(
        CheckpointError, match=r"\(1, 2, 3\): the first axis should be free.*dynamic_shapes=.*None, d"
    ):
        OnnxClassifier(linear(batch=1).SerializeToString(), num_classes=3)
    values = [onnx.helper.make_tensor_value_info(name, FLOAT, None) for name in ("logits", "flat")]
    with pytest.raises(CheckpointError, match="2 outputs"):
        OnnxClassifier(linear(output=values).SerializeToString(), num_classes=3)
    with pytest.raises(InvalidArgumentError, match="num_classes is 1"):
        OnnxClassifier(linear().SerializeToString(), num_classes=1)
    with pytest.raises(InvalidArgumentError, match="threads is 0"):
        OnnxClassifier(linear().SerializeToString(), num_classes=3, threads=0)


def test_the_number_of_classes_is_the_models_where_it_says_so() -> None:
    assert OnnxClassifier(linear().SerializeToString()).num_classes == 3
    for shape in (["batch", "k"], None):
        free = linear(output=[onnx.helper.make_tensor_value_info("logits", FLOAT, shape)]).SerializeToString()
        assert OnnxClassifier(free, 3).logits(BATCH).shape == (20, 3)
        with pytest.raises(
            InvalidArgumentError, match="does not say how many classes there are: give num_classes"
        ):
            OnnxClassifier(free)


@pytest.mark.parametrize(("name", "words"), [("DOUBLE", "float64"), ("FLOAT16", "float16"), ("STRING", "string")])
def test_inputs_that_are_not_float32_are_refused(name: str, words: str) -> None:
    model = linear()
    model.graph.input[0].type.tensor_type.elem_type = getattr(onnx.TensorProto, name)
    with pytest.raises(CheckpointError, match=f"takes {words}: export it with float32 inputs"):
        OnnxClassifier(model.SerializeToString())


def two_outputs(**changed: Any) -> bytes:
    """Return the linear model with its labels beside the logits, as skl2onnx orders them."""
    make = onnx.helper
    nodes = [
        make.make_node("Flatten", ["input"], ["flat"]),
        make.make_node("Gemm", ["flat", "weight"], ["logits"]),
        make.make_node("ArgMax", ["logits"], ["label"], axis=1, keepdims=0),
        make.make_node("Neg", ["logits"], ["negative"]),
    ]
    kinds = {"label": (onnx.TensorProto.INT64, ["batch"]), "logits": (FLOAT, ["batch", 3])} | changed
    outputs = [make.make_tensor_value_info(name, *kind) for name, kind in kinds.items()]
    data: bytes = linear(nodes=nodes, output=outputs).SerializeToString()
    return data


def test_of_several_outputs_the_logits_are_picked_or_named() -> None:
    picked = OnnxClassifier(two_outputs(), num_classes=3)
    np.testing.assert_allclose(picked.logits(BATCH), truth(BATCH), rtol=1e-5, atol=1e-5)
    assert OnnxClassifier(two_outputs()).num_classes == 3
    both = two_outputs(negative=(FLOAT, ["batch", 3]))
    message = (
        r"3 outputs, 'label' int64 \(batch\), 'logits' float32 \(batch, 3\), 'negative' float32 \(batch, 3\); "
        r"2 of them .* output="
    )
    with pytest.raises(CheckpointError, match=message):
        OnnxClassifier(both, num_classes=3)
    logits, negative = (OnnxClassifier(both, output=name) for name in ("logits", "negative"))
    np.testing.assert_array_equal(negative.logits(BATCH), -logits.logits(BATCH))
    assert len({picked.fingerprint, logits.fingerprint, negative.fingerprint}) == 3
    with pytest.raises(CheckpointError, match="none is called 'scores'"):
        OnnxClassifier(both, output="scores")
    with pytest.raises(CheckpointError, match=r"returns 'label' int64 \(batch\): its logits should be float32"):
        OnnxClassifier(both, output="label")


def test_only_the_output_that_is_asked_for_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    classifier, asked = OnnxClassifier(two_outputs()), []
    run = classifier._session.run

    def note(names: list[str], feed: dict[str, NDArray[np.float32]]) -> Any:
        asked.append(names)
        return run(names, feed)

    monkeypatch.setattr(classifier, "_session", SimpleNamespace(run=note))
    classifier.classify(BATCH)
    assert asked == [["logits"]]


def test_flat_models_get_inputs_flattened_in_the_order_of_memory() -> None:
    make = onnx.helper
    model = linear(nodes=[make.make_node("Gemm", ["input", "weight"], ["logits"])])
    del model.graph.input[0].type.tensor_type.shape.dim[2]
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 6
    flat = OnnxClassifier(model.SerializeToString())
    for batch in (BATCH, BATCH.reshape(20, 6), BATCH.reshape(20, 3, 1, 2), np.asfortranarray(BATCH)):
        np.testing.assert_allclose(flat.logits(batch), truth(BATCH), rtol=1e-5, atol=1e-5)
    assert flat.description["preprocess"].startswith("inputs flattened")
    assert "flattened" not in OnnxClassifier(linear().SerializeToString()).description["preprocess"]
    with pytest.raises(InvalidArgumentError, match=r"shape \(7,\), but the ONNX model takes \(6,\)"):
        flat.logits(np.zeros((2, 7), np.float32))


def test_an_estimator_converted_by_skl2onnx_is_run() -> None:
    sklearn, skl2onnx = pytest.importorskip("sklearn.linear_model"), pytest.importorskip("skl2onnx")
    x, y = BATCH.reshape(20, 6), np.arange(20) % 3
    estimator = sklearn.LogisticRegression().fit(x, y)
    data = skl2onnx.to_onnx(estimator, x[:1], options={"zipmap": False}).SerializeToString()
    classifier = OnnxClassifier(data)
    np.testing.assert_allclose(classifier.logits(BATCH), estimator.predict_proba(x), atol=1e-5)
    with pytest.raises(CheckpointError, match=r"'output_probability' sequence .*options=\{'zipmap': False\}"):
        OnnxClassifier(skl2onnx.to_onnx(estimator, x[:1]).SerializeToString())


def test_batches_of_another_shape_are_refused() -> None:
    classifier = OnnxClassifier(linear().SerializeToString(), num_classes=3)
    with pytest.raises(InvalidArgumentError, match=r"shape \(3, 2\)"):
        classifier.logits(np.zeros((5, 3, 2), np.float32))
    with pytest.raises(InvalidArgumentError, match=r"shape \(6,\)"):
        classifier.logits(np.zeros((5, 6), np.float32))


def test_logits_of_an_undeclared_shape_are_checked_when_they_come() -> None:
    values = [onnx.helper.make_tensor_value_info("logits", FLOAT, None)]
    classifier = OnnxClassifier(linear(output=values).SerializeToString(), num_classes=3)
    assert classifier.logits(BATCH).shape == (20, 3)
    make = onnx.helper
    nodes = [
        make.make_node("Flatten", ["input"], ["flat"]),
        make.make_node("NonZero", ["flat"], ["places"]),
        make.make_node("Cast", ["places"], ["logits"], to=FLOAT),
    ]
    places = OnnxClassifier(linear(nodes=nodes, output=values).SerializeToString(), num_classes=3)
    with pytest.raises(InvalidArgumentError, match=r"logits of shape \(2, 120\) for a batch of 20"):
        places.logits(BATCH)
