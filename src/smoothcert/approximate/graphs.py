"""The ONNX graph of a base, and its weights, for a candidate to change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from smoothcert.classifiers import GraphClassifier, OnnxClassifier, TorchClassifier, export_onnx
from smoothcert.errors import InvalidArgumentError, import_extra

__all__ = ["PRODUCTS", "graph_of", "load_graph", "prune_graph", "round_graph"]

PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_FLOAT16_MAX = float(np.finfo(np.float16).max)


def graph_of(base: TorchClassifier | GraphClassifier, shape: tuple[int, ...]) -> OnnxClassifier:
    """Return the base's graph, run by ONNX Runtime; a torch module is exported for inputs of a shape."""
    if isinstance(base, TorchClassifier):
        return OnnxClassifier(export_onnx(base, shape), base.num_classes, threads=torch.get_num_threads())
    if isinstance(base, OnnxClassifier) and base.graph.alone:
        return base
    return OnnxClassifier(_serialized(load_graph(base)), base.num_classes, threads=base.threads)


def load_graph(base: GraphClassifier) -> Any:
    """Return the model of a graph, without what its other outputs alone need."""
    onnx = import_extra("onnx", "onnx")
    model = onnx.load_model_from_string(base.model_bytes)
    if base.graph.alone:
        return model
    return onnx.utils.Extractor(model).extract_model([base.graph.input], [base.graph.output])


def prune_graph(base: GraphClassifier, amount: float, *, together: bool) -> tuple[GraphClassifier, str]:
    """Zero the smallest weights of a graph, as `prune_layerwise` and `prune_global` do; say what was done."""
    model = load_graph(base)
    tensors = list(_weights(model, PRODUCTS, slice(0, 2)))
    if not tensors:
        raise InvalidArgumentError(
            "base has no convolution or matrix product with float32 weights of its own: there is nothing to prune"
        )
    arrays = [_values(tensor) for tensor in tensors]
    groups = [arrays] if together else [[array] for array in arrays]
    zeroed = sum(_zero_smallest(group, amount) for group in groups)
    for tensor, array in zip(tensors, arrays, strict=True):
        tensor.CopyFrom(_tensor(array, tensor.name))
    total = sum(array.size for array in arrays)
    where = f"over all {len(arrays)} weights together" if together else f"in each of {len(arrays)} weights"
    return _with(base, model), (
        f"the {100 * amount:g} % of the values that are smallest in magnitude {where} of convolutions and matrix "
        f"products set to zero ({zeroed} of {total})"
    )


def round_graph(base: GraphClassifier) -> tuple[GraphClassifier, str]:
    """Round the weights of a graph to float16, ties to even, and compute in float32; say what was done."""
    model = load_graph(base)
    tensors = list(_weights(model, (*PRODUCTS, "BatchNormalization"), slice(1, None)))
    if not tensors:
        raise InvalidArgumentError("base has no layers with float32 weights of its own: there is nothing to round")
    for tensor in tensors:
        array = _values(tensor)
        if (peak := float(np.abs(array).max(initial=0.0))) > _FLOAT16_MAX:
            raise InvalidArgumentError(
                f"base has |{tensor.name}| up to {peak:g}: float16 ends at {_FLOAT16_MAX:g}"
            )
        tensor.CopyFrom(_tensor(array.astype(np.float16).astype(np.float32), tensor.name))
    return _with(base, model), (
        "weights and biases of convolutions, matrix products and batch normalizations rounded to float16, "
        "arithmetic in float32"
    )


def _weights(model: Any, operators: tuple[str, ...], places: slice) -> Iterator[Any]:
    """Yield the stored float32 inputs of operators in the order of the graph, each shared one once."""
    onnx = import_extra("onnx", "onnx")
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        for name in node.input[places] if node.op_type in operators else ():
            tensor = stored.pop(name, None)
            if tensor is not None and tensor.data_type == onnx.TensorProto.FLOAT:
                yield tensor


def _zero_smallest(arrays: list[NDArray[np.float32]], amount: float) -> int:
    """Zero a fraction of the values of several arrays together; return how many."""
    magnitudes = np.concatenate([np.abs(array).ravel() for array in arrays])
    # Stable, so that the choice among equal magnitudes is the same on every machine.
    smallest = np.argsort(magnitudes, kind="stable")[: round(amount * len(magnitudes))]
    mask = np.zeros(len(magnitudes), bool)
    mask[smallest] = True
    ends = np.cumsum([array.size for array in arrays])[:-1]
    for array, part in zip(arrays, np.split(mask, ends), strict=True):
        array[part.reshape(array.shape)] = 0.0
    return len(smallest)


def _values(tensor: Any) -> NDArray[np.float32]:
    onnx = import_extra("onnx", "onnx")
    values: NDArray[np.float32] = onnx.numpy_helper.to_array(tensor).copy()
    return values


def _tensor(array: NDArray[np.float32], name: str) -> Any:
    return import_extra("onnx", "onnx").numpy_helper.from_array(array, name)


def _with(base: GraphClassifier, model: Any) -> GraphClassifier:
    return base.with_model(_serialized(model))


def _serialized(model: Any) -> bytes:
    data: bytes = model.SerializeToString(deterministic=True)
    return data
