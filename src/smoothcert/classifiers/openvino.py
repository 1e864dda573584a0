"""ONNX models as classifiers, run by OpenVINO on the CPU."""

from __future__ import annotations

import functools
import math
import os
import sys
import threading
from dataclasses import replace
from queue import SimpleQueue
from types import ModuleType
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from smoothcert.classifiers.graph import GraphClassifier
from smoothcert.classifiers.onnx_graph import read_graph
from smoothcert.classifiers.quiet import in_one_line
from smoothcert.errors import CheckpointError, InvalidArgumentError, import_extra

__all__ = ["OpenVinoClassifier", "import_openvino", "openvino_core"]

_PIECE_VALUES = 1 << 16  # pieces of 8 and 16 images of CIFAR were fastest, 64 took 1.5 times as long (ResNet-20)
_LARGEST_PIECE = 64
# Two threads that use the bindings for the first time may wait for each other for ever: the first use is in one.
_COMPILING = threading.Lock()
_PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}


class OpenVinoClassifier(GraphClassifier):
    """An ONNX model that maps inputs in [0, 1] to logits, run by OpenVINO on the CPU.

    Parameters
    ----------
    model, num_classes, output, threads
        As for `OnnxClassifier`.
    precision : {"float32", "bfloat16"}, optional
        How products of float32 values are computed. Integer products of a quantized model stay integer ones.

    Attributes
    ----------
    model_bytes : bytes
        The model as it was given, with its weights inside.
    threads : int
        As given, or the number of cores.
    precision : str
        As given.

    Raises
    ------
    MissingExtraError
        When onnx or openvino is not installed: ``pip install 'smoothcert[openvino]'``.
    CheckpointError
        As for `OnnxClassifier`, or when OpenVINO cannot run the model.
    InvalidArgumentError
        As for `OnnxClassifier`, or when there is no such `precision`, or none on this processor.

    Notes
    -----
    The model is compiled for one number of inputs, to which every piece of a batch is filled up. So a vote depends
    on no batch mate and no thread by construction, up to the place in a piece, of which it did not depend in any
    model tried. Compiled for any number of inputs, OpenVINO 2026.4 computed something else from the int8 graph of
    a ResNet-20, without an error.

    OpenVINO rounds otherwise than ONNX Runtime, also in integer models. It is another classifier, with a
    fingerprint of its own.

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
    >>> classifier = OpenVinoClassifier(model.SerializeToString())
    >>> classifier.classify(np.array([[0.9, 0.1], [0.2, 0.8]], np.float32))
    array([0, 1])
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | bytes,
        num_classes: int | None = None,
        *,
        precision: Literal["float32", "bfloat16"] = "float32",
        output: str | None = None,
        threads: int | None = None,
    ) -> None:
        if precision not in _PRECISIONS:
            raise InvalidArgumentError(f"precision is {precision!r}: it should be one of {', '.join(_PRECISIONS)}")
        with _COMPILING:
            self._core = openvino_core()
        graph = read_graph(model, num_classes, output)
        if precision == "bfloat16":
            graph = replace(graph, dtype=graph.dtype.replace("float32", "bfloat16"))
        super().__init__(graph, graph.fingerprint(f"openvino cpu {precision}"), threads)
        self.precision: Literal["float32", "bfloat16"] = precision
        if precision == "bfloat16" and "BF16" not in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise InvalidArgumentError("precision is 'bfloat16', which this processor lacks: use 'float32'")
        self._requests: dict[tuple[int, ...], SimpleQueue[Any]] = {}
        fixed = tuple(size for size in graph.shape if size is not None)
        if len(fixed) == len(graph.shape):
            self._compiled(fixed)  # what cannot be run says so now

    def pieces(self, batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Cut a batch, float32 (b, *shape), into pieces of the size that the model is compiled for."""
        rows = _rows(batch.shape[1:])
        return [batch[start : start + rows] for start in range(0, max(1, len(batch)), rows)]

    def with_model(self, model: bytes) -> OpenVinoClassifier:
        """Run another model with the same classes and the same name of its output, in the same way."""
        return OpenVinoClassifier(
            model, self.num_classes, precision=self.precision, output=self.graph.output, threads=self.threads
        )

    @property
    def _runtime(self) -> str:
        version: str = import_openvino().__version__
        return f"openvino {version.partition('-')[0]}"

    def _scores(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        shape = batch.shape[1:]
        rows, requests = _rows(shape), self._compiled(shape)
        logits = np.empty((len(batch), self.num_classes), np.float32)
        request = requests.get()  # waits where more threads ask than there are requests
        try:
            for start in range(0, len(batch), rows):
                piece = batch[start : start + rows]
                request.infer({self.graph.input: _filled_up(piece, rows)}, share_inputs=True)
                scores = request.get_tensor(self.graph.output).data
                if scores.shape != (rows, self.num_classes):
                    return np.array(scores)  # refused by the caller
                logits[start : start + len(piece)] = scores[: len(piece)]
        finally:
            requests.put(request)
        return logits

    def _compiled(self, shape: tuple[int, ...]) -> SimpleQueue[Any]:
        """Return the requests, one per thread, of the model compiled for pieces of inputs of a shape."""
        with _COMPILING:
            if shape not in self._requests:
                self._requests[shape] = self._compile(shape)
            return self._requests[shape]

    def _compile(self, shape: tuple[int, ...]) -> SimpleQueue[Any]:
        settings = {
            # By default it is what the processor does fastest, bfloat16 on some.
            "INFERENCE_PRECISION_HINT": _PRECISIONS[self.precision],
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,  # whose scales would follow from the data
            "NUM_STREAMS": self.threads,  # a stream is a thread that runs whole pieces by itself
            "INFERENCE_NUM_THREADS": self.threads,
            "ENABLE_CPU_PINNING": False,  # other processes may be on a core
        }
        try:
            model = self._core.read_model(self.model_bytes)
            model.reshape({self.graph.input: [_rows(shape), *shape]})
            compiled = self._core.compile_model(model, "CPU", settings)
            requests: SimpleQueue[Any] = SimpleQueue()
            for _ in range(self.threads):
                requests.put(request := compiled.create_infer_request())
            request.infer({self.graph.input: np.zeros((_rows(shape), *shape), np.float32)})
            _ = request.get_tensor(self.graph.output).data
        except Exception as error:  # the runtime's errors have no common base of their own
            raise CheckpointError(
                f"{self.graph.name} cannot be run by OpenVINO ({in_one_line(error)}): use OnnxClassifier"
            ) from error
        return requests


def import_openvino() -> ModuleType:
    """Import OpenVINO without the message that its import would send over the network."""
    # It is sent by another package, which OpenVINO does without where that cannot be imported.
    telemetry, modules = "openvino_telemetry", cast("dict[str, ModuleType | None]", sys.modules)
    if "openvino" in modules or telemetry in modules:
        return import_extra("openvino", "openvino")
    modules[telemetry] = None
    try:
        return import_extra("openvino", "openvino")
    finally:
        del modules[telemetry]


@functools.cache
def openvino_core() -> Any:
    """Return the entry to OpenVINO, one for the process, which is never given back."""
    # OpenVINO gives the thread a stack for signals and takes it back at the end. Where two entries end in another
    # order than they began, what is left is a stack that was freed, on which Ctrl-C ends in a crash.
    return import_openvino().Core()


def _rows(shape: tuple[int, ...]) -> int:
    """Return the number of inputs of a shape that a piece has, a power of two."""
    fit = _PIECE_VALUES // max(1, math.prod(shape))
    return min(_LARGEST_PIECE, 1 << max(0, fit.bit_length() - 1))


def _filled_up(piece: NDArray[np.float32], rows: int) -> NDArray[np.float32]:
    """Return a piece with as many rows as the model is compiled for, in memory that may be shared."""
    if len(piece) == rows:
        return np.require(piece, np.float32, ["C", "W"])
    whole = np.zeros((rows, *piece.shape[1:]), np.float32)
    whole[: len(piece)] = piece
    return whole
