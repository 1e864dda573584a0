"""ONNX models as classifiers, run by ONNX Runtime on the CPU."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothcert.classifiers.base import votes_from_logits
from smoothcert.errors import CheckpointError, InvalidArgumentError, import_extra, reading

__all__ = ["OnnxClassifier", "available_cores"]

_MAX_BYTES = 2**31 - 1  # a protobuf cannot be larger
_LEAST_VALUES = 1 << 14  # a smaller piece spends its time on the call
_USUAL_VALUES = 1 << 17  # larger ones gain nothing; 16 samples a piece cost 1.8 % more than 64 (ResNet-20)
_PIECES_PER_THREAD = 4  # with more than one, a thread that is held up leaves work to the others
_BATCH_WIDE = {"DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM"}


class OnnxClassifier:
    """An ONNX model that maps inputs in [0, 1] to logits.

    Parameters
    ----------
    model : str, path or bytes
        A ``.onnx`` file, or its bytes. It has one float32 input (b, *shape) with a free batch axis and one float32
        output (b, num_classes), and keeps its weights inside.
    num_classes : int
        Number of classes, at least 2.
    threads : int, optional
        Threads that a batch is spread over, by default one per core that this process may use.

    Attributes
    ----------
    model_bytes : bytes
        The model as it is run, to be written to a file and deployed.
    threads : int
        As given, or the number of cores.

    Raises
    ------
    MissingExtraError
        When onnx or onnxruntime is not installed: ``pip install 'smoothcert[onnx]'``.
    CheckpointError
        When `model` is not a regular file, is no ONNX model, keeps weights in other files, has other inputs or
        outputs than said above, or looks at its batch mates.
    InvalidArgumentError
        When `num_classes` is less than 2 or not what the model returns, or `threads` is less than 1.

    Notes
    -----
    A model with a dynamic quantization operator is refused: its scale depends on the whole batch, so that a vote
    would depend on other samples, and no certificate could be made from such votes.

    An integer model's votes do not depend on the batch or the number of threads, as sums of int8 products are
    exact. On processors without VNNI, whose 8-bit dot product saturates, a model may return other logits than
    elsewhere. The logits of the float32 models that were tried did not depend on them either, on a processor with
    AVX-512 (``experiments/determinism.py``), but ONNX Runtime does not promise that. On another processor their
    last bits differ, and so may a vote at a near tie.

    Examples
    --------
    >>> import numpy as np, onnx
    >>> from onnx import TensorProto, helper
    >>> graph = helper.make_graph(
    ...     [helper.make_node("Gemm", ["input", "weight"], ["logits"])], "linear",
    ...     [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 2])],
    ...     [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])],
    ...     [helper.make_tensor("weight", TensorProto.FLOAT, [2, 2], [1.0, 0.0, 0.0, 1.0])])
    >>> model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    >>> classifier = OnnxClassifier(model.SerializeToString(), num_classes=2)
    >>> classifier.classify(np.array([[0.9, 0.1], [0.2, 0.8]], np.float32))
    array([0, 1])
    """

    def __init__(
        self, model: str | os.PathLike[str] | bytes, num_classes: int, *, threads: int | None = None
    ) -> None:
        if num_classes < 2:
            raise InvalidArgumentError(f"num_classes is {num_classes}: a classifier has at least 2 classes")
        if threads is not None and threads < 1:
            raise InvalidArgumentError(f"threads is {threads}: give at least 1, or None for one per core")
        self._name = "the ONNX model" if isinstance(model, bytes) else str(model)
        self.model_bytes = model if isinstance(model, bytes) else _read(Path(model))
        self._num_classes = num_classes
        self._dtype = _check_graph(self._name, self.model_bytes)
        self._session = _open_session(self._name, self.model_bytes)
        self._input, self._shape = _check_signature(self._name, self._session, num_classes)
        self.threads = threads or available_cores()
        self._pool = ThreadPoolExecutor(self.threads)
        # The runtime's version is left out, as that of torch is: an upgrade does not make it another model.
        self._fingerprint = hashlib.sha256(b"onnxruntime cpu\n" + self.model_bytes).hexdigest()

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return self._num_classes

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the runtime's name and the model's bytes, in hexadecimal."""
        return self._fingerprint

    @property
    def description(self) -> dict[str, str]:
        """What is run: runtime, device, the dtypes of the model's constants."""
        version = import_extra("onnxruntime", "onnx").__version__
        return {
            "runtime": f"onnxruntime {version}",
            "device": "cpu",
            "dtype": self._dtype,
            "preprocess": "inside the model",
        }

    def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score a batch: float32 (b, *shape) to float32 (b, num_classes)."""
        pieces = self.pieces(batch)
        if len(pieces) == 1:
            return self._run(batch)
        return np.concatenate(list(self._pool.map(self._run, pieces)))

    def classify(self, batch: NDArray[np.float32]) -> NDArray[np.int64]:
        """Label a batch: float32 (b, *shape) to int64 (b,), -1 where the logits are not all finite."""
        return votes_from_logits(self.logits(batch))

    def pieces(self, batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Cut a batch, float32 (b, *shape), into pieces for the threads: as many for each, or one for all."""
        size = max(1, math.prod(batch.shape[1:]))
        count = 1
        if self.threads > 1 and len(batch) >= self.threads * max(1, _LEAST_VALUES // size):
            usual = self.threads * max(1, _USUAL_VALUES // size)
            count = self.threads * min(_PIECES_PER_THREAD, max(1, len(batch) // usual))
        return np.array_split(batch, count)

    def classify_piece(self, piece: NDArray[np.float32]) -> NDArray[np.int64]:
        """Label a piece of a batch in the calling thread alone, as `classify`."""
        return votes_from_logits(self._run(piece))

    def _run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        shape = batch.shape[1:]
        if len(shape) != len(self._shape) or any(
            want not in (None, have) for have, want in zip(shape, self._shape, strict=True)
        ):
            raise InvalidArgumentError(
                f"the batch has inputs of shape {shape}, but {self._name} takes {self._shape} (None is free)"
            )
        (scores,) = self._session.run(None, {self._input: batch})
        logits: NDArray[np.float32] = scores
        if logits.shape != (len(batch), self._num_classes):
            raise InvalidArgumentError(
                f"{self._name} returned logits of shape {logits.shape} for a batch of {len(batch)}, but "
                f"num_classes is {self._num_classes}: it should be ({len(batch)}, {self._num_classes})"
            )
        return logits


def available_cores() -> int:
    """Count the cores that this process may use; all of the machine's where the system does not say."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _read(path: Path) -> bytes:
    with reading(path, CheckpointError, "give the path of a .onnx file"):
        if not path.is_file():
            raise CheckpointError(f"{path} is not a regular file: give the path of a .onnx file")
        size = path.stat().st_size
        if size > _MAX_BYTES:
            raise CheckpointError(f"{path} has {size} bytes: an ONNX model has at most {_MAX_BYTES}")
        return path.read_bytes()


def _check_graph(name: str, data: bytes) -> str:
    """Refuse what a vote must not depend on; return the dtypes of the constants, such as ``"float32+int8"``."""
    onnx = import_extra("onnx", "onnx")
    with reading(name, CheckpointError, "it is not an ONNX model"):
        model = onnx.load_model_from_string(data)
        kinds = {onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type) for tensor in model.graph.initializer}
    for node in _nodes(model):
        if node.op_type in _BATCH_WIDE:
            raise CheckpointError(
                f"{name} has a {node.op_type} operator, whose scale depends on the whole batch, so that a vote "
                "would depend on other samples: quantize it statically"
            )
        if node.op_type == "BatchNormalization" and any(a.name == "training_mode" and a.i for a in node.attribute):
            raise CheckpointError(f"{name} has batch normalization in training mode: export it in evaluation mode")
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in _inside(model, onnx.TensorProto)):
        raise CheckpointError(f"{name} keeps weights in another file: save it again with all weights inside")
    return "+".join(sorted(str(kind) for kind in kinds)) or "none"


def _nodes(model: Any) -> Iterator[Any]:
    """Yield the nodes of a model, of its functions and of all graphs inside nodes."""
    pending = [*model.graph.node, *(node for function in model.functions for node in function.node)]
    while pending:
        node = pending.pop()
        yield node
        for attribute in node.attribute:
            pending += [inner for graph in (attribute.g, *attribute.graphs) for inner in graph.node]


def _inside(message: Any, kind: type) -> Iterator[Any]:
    """Yield all messages of a kind inside another, wherever they are."""
    pending = [message]
    while pending:
        found = pending.pop()
        if isinstance(found, kind):
            yield found
            continue
        for field, value in found.ListFields():
            if field.message_type is not None:
                pending += value if isinstance(value, Sequence) else [value]


def _open_session(name: str, data: bytes) -> Any:
    onnxruntime = import_extra("onnxruntime", "onnx")
    options = onnxruntime.SessionOptions()
    # Threads take pieces of a batch instead of sharing every layer: as fast on idle cores, and 1.35 times as fast
    # where another process had one of two cores, since nobody waits for the slower thread in each layer.
    options.intra_op_num_threads = 1
    options.log_severity_level = 3  # errors only: they are raised as well
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's errors have no common base of their own
        raise CheckpointError(f"{name} cannot be run by ONNX Runtime: {error}") from error


def _check_signature(name: str, session: Any, num_classes: int) -> tuple[str, tuple[int | None, ...]]:
    """Return the input's name and its shape without the batch axis, None where an axis is free."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or len(outputs) != 1:
        raise CheckpointError(f"{name} has {len(inputs)} inputs and {len(outputs)} outputs: it should have 1 each")
    source, target = inputs[0], outputs[0]
    if source.type != "tensor(float)" or target.type != "tensor(float)":
        raise CheckpointError(f"{name} maps {source.type} to {target.type}: it should map float32 to float32")
    if len(source.shape) < 2 or isinstance(source.shape[0], int):
        raise CheckpointError(f"{name} takes inputs of shape {source.shape}: the first axis should be free")
    fixed = isinstance(target.shape[-1], int) if target.shape else False  # where it is not, the first call tells
    if len(target.shape) not in (0, 2) or (fixed and target.shape[-1] != num_classes):
        raise InvalidArgumentError(
            f"{name} returns logits of shape {target.shape}, but num_classes is {num_classes}: it should be "
            f"(batch, {num_classes})"
        )
    return source.name, tuple(size if isinstance(size, int) else None for size in source.shape[1:])
