"""ONNX models as classifiers, run by ONNX Runtime on the CPU."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothcert.classifiers.graph import GraphClassifier
from smoothcert.classifiers.onnx_graph import OnnxGraph, read_graph
from smoothcert.errors import CheckpointError, import_extra

__all__ = ["OnnxClassifier"]

_LEAST_VALUES = 1 << 14  # a smaller piece spends its time on the call
_USUAL_VALUES = 1 << 17  # larger ones gain nothing; 16 samples a piece cost 1.8 % more than 64 (ResNet-20)
_PIECES_PER_THREAD = 4  # with more than one, a thread that is held up leaves work to the others


class OnnxClassifier(GraphClassifier):
    """An ONNX model that maps inputs in [0, 1] to logits, run by ONNX Runtime.

    Parameters
    ----------
    model : str, path or bytes
        A ``.onnx`` file, or its bytes. It has one float32 input (b, *shape) with a free batch axis. A model that
        takes (b, d) gets inputs of any shape with d values, flattened in C order. Weights may lie in files in the
        model's own folder, when it is given by its path.
    num_classes : int, optional
        Number of classes, at least 2; by default what the model says.
    output : str, optional
        The output with the logits, float32 (b, num_classes); by default the only one of that type and shape.
    threads : int, optional
        Threads that a batch is spread over, by default one per core that this process may use.

    Attributes
    ----------
    model_bytes : bytes
        The model as it is run, with its weights inside, to be written to a file and deployed.
    threads : int
        As given, or the number of cores.

    Raises
    ------
    MissingExtraError
        When onnx or onnxruntime is not installed: ``pip install 'smoothcert[onnx]'``.
    CheckpointError
        When `model` is not a regular file, is no ONNX model, keeps weights elsewhere, has other inputs or outputs
        than said above, or looks at its batch mates.
    InvalidArgumentError
        When `num_classes` is less than 2, not what the model returns, or needed, or `threads` is less than 1.

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
    >>> classifier = OnnxClassifier(model.SerializeToString())
    >>> classifier.classify(np.array([[0.9, 0.1], [0.2, 0.8]], np.float32))
    array([0, 1])
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | bytes,
        num_classes: int | None = None,
        *,
        output: str | None = None,
        threads: int | None = None,
    ) -> None:
        graph = read_graph(model, num_classes, output)
        # The runtime's version is left out, as that of torch is: an upgrade does not make it another model.
        super().__init__(graph, graph.fingerprint("onnxruntime cpu"), threads)
        self._session = _open_session(graph)

    def pieces(self, batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Cut a batch, float32 (b, *shape), into pieces for the threads: as many for each, or one for all."""
        size = max(1, math.prod(batch.shape[1:]))
        count = 1
        if self.threads > 1 and len(batch) >= self.threads * max(1, _LEAST_VALUES // size):
            usual = self.threads * max(1, _USUAL_VALUES // size)
            count = self.threads * min(_PIECES_PER_THREAD, max(1, len(batch) // usual))
        return np.array_split(batch, count)

    def with_model(self, model: bytes) -> OnnxClassifier:
        """Run another model with the same classes and the same name of its output, in the same way."""
        return OnnxClassifier(model, self.num_classes, output=self.graph.output, threads=self.threads)

    @property
    def _runtime(self) -> str:
        return f"onnxruntime {import_extra('onnxruntime', 'onnx').__version__}"

    def _scores(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        scores: NDArray[np.float32]
        (scores,) = self._session.run([self.graph.output], {self.graph.input: batch})
        return scores


def _open_session(graph: OnnxGraph) -> Any:
    onnxruntime = import_extra("onnxruntime", "onnx")
    options = onnxruntime.SessionOptions()
    # Threads take pieces of a batch instead of sharing every layer: as fast on idle cores, and 1.35 times as fast
    # where another process had one of two cores, since nobody waits for the slower thread in each layer.
    options.intra_op_num_threads = 1
    options.log_severity_level = 3  # errors only: they are raised as well
    try:
        return onnxruntime.InferenceSession(graph.data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's errors have no common base of their own
        raise CheckpointError(f"{graph.name} cannot be run by ONNX Runtime: {error}") from error
