"""Weights in files beside a model: read where they are what the model says, and from nowhere else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from smoothcert.classifiers import OnnxClassifier, onnx_weights
from smoothcert.errors import CheckpointError

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

RNG = np.random.default_rng(0)
WEIGHT, BIAS = RNG.standard_normal((6, 3)).astype(np.float32), RNG.standard_normal(3).astype(np.float32)
BATCH = RNG.standard_normal((20, 6)).astype(np.float32)


def build() -> Any:
    make, float32 = onnx.helper, onnx.TensorProto.FLOAT
    return make.make_model(
        make.make_graph(
            [make.make_node("Gemm", ["input", "weight", "bias"], ["logits"])],
            "linear",
            [make.make_tensor_value_info("input", float32, ["batch", 6])],
            [make.make_tensor_value_info("logits", float32, ["batch", 3])],
            [onnx.numpy_helper.from_array(WEIGHT, "weight"), onnx.numpy_helper.from_array(BIAS, "bias")],
        ),
        opset_imports=[make.make_opsetid("", 18)],
        ir_version=9,
    )


def save(folder: Path, location: str = "weights.bin", **changed: Any) -> Path:
    """Save the model with its weights beside it, and change what it says of the first one."""
    path = folder / "model.onnx"
    model = build()
    (folder / location).parent.mkdir(exist_ok=True)
    onnx.save_model(model, str(path), save_as_external_data=True, location=location, size_threshold=0)
    model = onnx.load(str(path), load_external_data=False)
    weight = model.graph.initializer[0]
    said = {entry.key: entry.value for entry in weight.external_data} | changed
    del weight.external_data[:]
    for key, value in said.items():
        if value is not None:
            weight.external_data.add(key=key, value=str(value))
    path.write_bytes(model.SerializeToString())
    return path


def truth(batch: NDArray[np.float32]) -> NDArray[np.float32]:
    scores: NDArray[np.float32] = batch @ WEIGHT + BIAS
    return scores


@pytest.mark.parametrize("location", ["weights.bin", "deeper/weights.bin"])
def test_weights_beside_the_model_are_put_inside(tmp_path: Path, location: str) -> None:
    classifier = OnnxClassifier(save(tmp_path, location))
    np.testing.assert_allclose(classifier.logits(BATCH), truth(BATCH), atol=1e-5)
    inside = onnx.load_model_from_string(classifier.model_bytes)
    assert not onnx_weights.external_tensors(inside)
    assert OnnxClassifier(classifier.model_bytes).fingerprint == classifier.fingerprint
    # What follows from the same values elsewhere is the same model, and other values are another one.
    (tmp_path / "other").mkdir()
    moved = save(tmp_path / "other", "w")
    assert OnnxClassifier(moved).fingerprint == classifier.fingerprint
    (tmp_path / "other" / "w").write_bytes(bytes(len(WEIGHT.tobytes() + BIAS.tobytes())))
    assert OnnxClassifier(moved).fingerprint != classifier.fingerprint


def test_the_length_may_be_left_out(tmp_path: Path) -> None:
    np.testing.assert_allclose(OnnxClassifier(save(tmp_path, length=None)).logits(BATCH), truth(BATCH), atol=1e-5)


@pytest.mark.parametrize(
    "location",
    ["../weights.bin", "/etc/hostname", "a/../weights.bin", "", ".", "./weights.bin", "a//b", "..\\w", "w\0"],
)
def test_other_places_are_refused(tmp_path: Path, location: str) -> None:
    path = save(tmp_path)
    model = onnx.load(str(path), load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = location
    path.write_bytes(model.SerializeToString())
    with pytest.raises(CheckpointError, match=r"model\.onnx keeps weights at .*no plain name.*save it again"):
        OnnxClassifier(path)


@pytest.mark.parametrize("kind", ["link out", "link beside", "link of a folder", "pipe", "folder", "missing"])
def test_what_is_no_regular_file_is_refused(tmp_path: Path, kind: str) -> None:
    (tmp_path / "model").mkdir()
    path = save(tmp_path / "model", "in/weights.bin" if kind == "link of a folder" else "weights.bin")
    there = path.with_name("weights.bin")
    if kind == "link of a folder":
        there = path.with_name("in")
    there.rename(tmp_path / "model" / "kept" if kind == "link beside" else tmp_path / "elsewhere")
    if kind == "link beside":
        there.symlink_to("kept")
    elif kind.startswith("link"):
        there.symlink_to(tmp_path / "elsewhere")
    elif kind == "pipe":
        os.mkfifo(there)
    elif kind == "folder":
        there.mkdir()
    with pytest.raises(CheckpointError, match=r"weights\.bin.*(put the file itself there|not a regular file)"):
        OnnxClassifier(path)


def test_a_model_reached_by_a_link_reads_beside_the_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    path = save(tmp_path / "real")
    (tmp_path / "linked").symlink_to("real")
    assert OnnxClassifier(tmp_path / "linked" / path.name).num_classes == 3


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"offset": 100}, "ends at byte 172 of 'weights.bin', which has 84 bytes"),
        ({"offset": -4}, "from byte -4"),
        ({"length": 71}, "has 71 bytes from byte 0 .* need 72"),
        ({"length": 2**70}, "need 72"),
        ({"offset": 2**70}, "has 84 bytes"),
        ({"offset": "x"}, "is damaged"),
        ({"offset": 12}, "'weight' and 'bias' on the same bytes"),
    ],
)
def test_ranges_that_do_not_fit_are_refused(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        OnnxClassifier(save(tmp_path, **changed))


def test_a_model_that_is_too_large_with_its_weights_is_refused_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path)
    size = path.stat().st_size
    monkeypatch.setattr(onnx_weights, "MAX_BYTES", size + 83)
    monkeypatch.setattr(os, "pread", None)
    with pytest.raises(CheckpointError, match=f"has {size + 84} bytes with its weights"):
        OnnxClassifier(path)


def test_sizes_that_memory_could_not_hold_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path)
    model = onnx.load(str(path), load_external_data=False)
    weight = model.graph.initializer[0]
    for dims in ([2**40, 2**40], [-6, 3]):
        del weight.dims[:]
        weight.dims.extend(dims)
        path.write_bytes(model.SerializeToString())
        with pytest.raises(CheckpointError, match=r"model\.onnx"):
            OnnxClassifier(path)


@pytest.mark.parametrize("kind", ["STRING", "INT4", "UINDEFINED"])
def test_types_without_a_size_are_refused(tmp_path: Path, kind: str) -> None:
    path = save(tmp_path)
    model = onnx.load(str(path), load_external_data=False)
    model.graph.initializer[0].data_type = getattr(onnx.TensorProto, kind, 999)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(CheckpointError, match=r"model\.onnx"):
        OnnxClassifier(path)
