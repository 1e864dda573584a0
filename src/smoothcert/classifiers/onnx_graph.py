"""ONNX models of others, read and checked: what a graph takes and returns, whatever runs it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smoothcert.classifiers.onnx_weights import MAX_BYTES, embed_weights, external_tensors
from smoothcert.errors import CheckpointError, InvalidArgumentError, import_extra, reading

__all__ = ["OnnxGraph", "read_graph"]

_BATCH_WIDE = {"DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM"}
_FREE_BATCH = (
    "by torch.onnx.export(..., dynamo=True, dynamic_shapes=({0: torch.export.Dim('batch')},)), in its older form "
    "with dynamic_axes={'input': {0: 'batch'}}, by skl2onnx with initial_types=[('input', "
    "FloatTensorType([None, d]))], by tf2onnx with tf.TensorSpec([None, ...])"
)
_FLOAT32_INPUT = (
    "export it with float32 inputs, in skl2onnx FloatTensorType, in torch module.float(); where a converter made "
    "it float16, with keep_io_types=True"
)


@dataclass(frozen=True)
class OnnxGraph:
    """A checked graph with one float32 input and one float32 output of logits.

    Attributes
    ----------
    name : str
        What messages call it.
    data : bytes
        The model, with all its weights inside.
    dtype : str
        The dtypes of its constants, such as ``"float32+int8"``.
    input : str
        Name of the input.
    shape : tuple of int or None
        The input's shape without the batch axis; None where an axis is free.
    output : str
        Name of the output that holds the logits.
    alone : bool
        Whether it is the only output.
    num_classes : int
        Number of classes.
    """

    name: str
    data: bytes
    dtype: str
    input: str
    shape: tuple[int | None, ...]
    output: str
    alone: bool
    num_classes: int

    def fingerprint(self, runtime: str) -> str:
        """Return SHA-256 over the runtime's name, the output where there are others, and the bytes."""
        chosen = "" if self.alone else f"output {self.output}\n"
        return hashlib.sha256(f"{runtime}\n{chosen}".encode() + self.data).hexdigest()


def read_graph(model: str | os.PathLike[str] | bytes, num_classes: int | None, output: str | None) -> OnnxGraph:
    """Read a model and check it; CheckpointError and InvalidArgumentError name what is wrong, and the remedy."""
    if num_classes is not None and num_classes < 2:
        raise InvalidArgumentError(f"num_classes is {num_classes}: a classifier has at least 2 classes")
    name = "the ONNX model" if isinstance(model, bytes) else str(model)
    data = model if isinstance(model, bytes) else _read(Path(model))
    onnx = import_extra("onnx", "onnx")
    with reading(name, CheckpointError, "it is not an ONNX model"):
        proto = onnx.load_model_from_string(data)
        kinds = {onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type) for tensor in proto.graph.initializer}
        for value in (*proto.graph.input, *proto.graph.output):
            _type(value)  # fails where there is no such type
    _refuse_batch_wide(name, proto)
    if tensors := external_tensors(proto):
        if isinstance(model, bytes):
            raise CheckpointError(f"{name} keeps weights in another file: give its path instead of its bytes")
        data = embed_weights(Path(model), proto, tensors)
    source, shape = _check_input(name, proto.graph)
    target, classes = _check_output(name, proto.graph, num_classes, output)
    dtype = "+".join(sorted(str(kind) for kind in kinds)) or "none"
    return OnnxGraph(name, data, dtype, source, shape, target, len(proto.graph.output) == 1, classes)


def _read(path: Path) -> bytes:
    with reading(path, CheckpointError, "give the path of a .onnx file"):
        if not path.is_file():
            raise CheckpointError(f"{path} is not a regular file: give the path of a .onnx file")
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise CheckpointError(f"{path} has {size} bytes: an ONNX model has at most {MAX_BYTES}")
        return path.read_bytes()


def _refuse_batch_wide(name: str, model: Any) -> None:
    """Refuse operators that make a vote depend on other samples."""
    for node in _nodes(model):
        if node.op_type in _BATCH_WIDE:
            raise CheckpointError(
                f"{name} has a {node.op_type} operator, whose scale depends on the whole batch, so that a vote "
                "would depend on other samples: quantize it statically"
            )
        if node.op_type == "BatchNormalization" and any(a.name == "training_mode" and a.i for a in node.attribute):
            raise CheckpointError(f"{name} has batch normalization in training mode: export it in evaluation mode")


def _nodes(model: Any) -> Iterator[Any]:
    """Yield the nodes of a model, of its functions and of all graphs inside nodes."""
    pending = [*model.graph.node, *(node for function in model.functions for node in function.node)]
    while pending:
        node = pending.pop()
        yield node
        for attribute in node.attribute:
            pending += [inner for graph in (attribute.g, *attribute.graphs) for inner in graph.node]


def _check_input(name: str, graph: Any) -> tuple[str, tuple[int | None, ...]]:
    """Return the input's name and its shape without the batch axis, None where an axis is free."""
    weights = {tensor.name for tensor in graph.initializer}  # old models list them among the inputs
    inputs = [each for each in graph.input if each.name not in weights]
    if len(inputs) != 1:
        raise CheckpointError(f"{name} has {len(inputs)} inputs ({_in_words(inputs)}): it should have one")
    (source,) = inputs
    sizes = _sizes(source)
    if _type(source) != "float32":
        raise CheckpointError(f"{name} takes {_type(source)}: {_FLOAT32_INPUT}")
    if sizes is None or len(sizes) < 2 or sizes[0] is not None:
        raise CheckpointError(
            f"{name} takes inputs of shape {_shape_in_words(source)}: the first axis should be free, for "
            f"batches of any size; export it {_FREE_BATCH}"
        )
    return source.name, sizes[1:]


def _check_output(name: str, graph: Any, num_classes: int | None, wanted: str | None) -> tuple[str, int]:
    """Return the name of the output that holds the logits, and the number of classes."""
    target = _choose_output(name, list(graph.output), num_classes, wanted)
    if _type(target) != "float32":
        raise CheckpointError(
            f"{name} returns {_in_words([target])}: its logits should be float32 (batch, num_classes)"
        )
    sizes = _sizes(target)
    declared = sizes[-1] if sizes else None  # where it is not, the first call tells
    if (sizes is not None and len(sizes) != 2) or (
        None not in (declared, num_classes) and declared != num_classes
    ):
        want = "num_classes" if num_classes is None else num_classes
        raise InvalidArgumentError(
            f"{name} returns logits of shape {_shape_in_words(target)}, but num_classes is {num_classes}: it "
            f"should be (batch, {want})"
        )
    classes = num_classes or declared
    if classes is None:
        raise InvalidArgumentError(
            f"{name} returns logits of shape {_shape_in_words(target)}, which does not say how many classes there "
            "are: give num_classes"
        )
    if classes < 2:
        raise InvalidArgumentError(f"{name} returns {classes} logit: a classifier has at least 2 classes")
    return target.name, classes


def _choose_output(name: str, outputs: list[Any], num_classes: int | None, wanted: str | None) -> Any:
    """Return the output named, the only one, or the only one that can hold the logits."""
    if wanted is not None:
        fitting = [each for each in outputs if each.name == wanted]
        remedy = f"none is called {wanted!r}: give output=... one of these names"
    elif len(outputs) == 1:
        fitting = outputs
        remedy = ""
    else:
        fitting = [each for each in outputs if _may_be_logits(each, num_classes)]
        shape = f"(batch, {'num_classes' if num_classes is None else num_classes})"
        remedy = f"{len(fitting) or 'none'} of them is float32 {shape}: give output=... the name of the logits"
    listed = f"{name} has {len(outputs)} output{'s' * (len(outputs) != 1)}, {_in_words(outputs)}"
    if any(each.type.WhichOneof("value") == "sequence_type" for each in fitting or outputs):
        raise CheckpointError(
            f"{listed}: logits are one tensor, which skl2onnx writes with options={{'zipmap': False}}"
        )
    if len(fitting) != 1:
        raise CheckpointError(f"{listed}; {remedy}")
    return fitting[0]


def _may_be_logits(output: Any, num_classes: int | None) -> bool:
    sizes = _sizes(output)
    if _type(output) != "float32" or sizes is None or len(sizes) != 2 or sizes[1] is None:
        return False
    return sizes[1] >= 2 if num_classes is None else sizes[1] == num_classes


def _type(value: Any) -> str:
    """Name the type of an input or output, such as ``"float32"``."""
    onnx = import_extra("onnx", "onnx")
    kind: str = value.type.WhichOneof("value") or "nothing"
    if kind != "tensor_type":
        return kind.removesuffix("_type")
    number = value.type.tensor_type.elem_type
    return "string" if number == onnx.TensorProto.STRING else str(onnx.helper.tensor_dtype_to_np_dtype(number))


def _sizes(value: Any) -> tuple[int | None, ...] | None:
    """Return the declared shape, None where an axis is free; None when nothing is declared."""
    if not value.type.tensor_type.HasField("shape"):
        return None
    axes = value.type.tensor_type.shape.dim
    return tuple(axis.dim_value if axis.dim_value > 0 else None for axis in axes)


def _shape_in_words(value: Any) -> str:
    if not value.type.tensor_type.HasField("shape"):
        return "(undeclared)"
    axes = value.type.tensor_type.shape.dim
    return (
        f"({', '.join(str(axis.dim_value) if axis.dim_value > 0 else axis.dim_param or 'free' for axis in axes)})"
    )


def _in_words(values: list[Any]) -> str:
    return ", ".join(f"{value.name!r} {_type(value)} {_shape_in_words(value)}" for value in values) or "none"
