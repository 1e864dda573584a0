"""Which runtime an int8 or bfloat16 candidate gets on the CPU: OpenVINO, where it can run it.

On one core of a busy machine an int8 ResNet-20 ran 1.15 times as fast as by ONNX Runtime, on both 1.4 times; in
bfloat16 it ran 1.8 times as fast as by PyTorch on one. Votes differed from the base's about as often in int8,
half as often in bfloat16; float32 models gained nothing. Nothing is timed; ``benchmarks/openvino_choice.py`` measures.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from smoothcert.approximate.graphs import graph_of
from smoothcert.approximate.int8 import check_calibration, quantize_int8
from smoothcert.approximate.precision import bfloat16_arithmetic
from smoothcert.classifiers import (
    Classifier,
    GraphClassifier,
    OpenVinoClassifier,
    TorchClassifier,
    beyond_rounding,
)
from smoothcert.errors import CheckpointError, InvalidArgumentError, MissingExtraError

__all__ = ["bfloat16_candidate", "int8_candidate"]

_INT8 = "int8 weights scaled per output channel, uint8 activations with scales fixed by calibration, "
_COMPARED = 64  # calibration inputs on which two runtimes have to agree up to rounding

Base = TorchClassifier | GraphClassifier
Made = tuple[str, Classifier, str]
"""The name, the classifier and the description of a candidate."""


def int8_candidate(base: Base, runtime: str, calibration: NDArray[np.float32] | None) -> Made:
    """Quantize a base to int8, for ``"onnx"``, ``"openvino"``, or ``""`` for the faster one that can."""
    quantized = quantize_int8(base, calibration)

    def by_openvino() -> Made:
        made = _by_openvino(quantized, "float32", calibration, quantized, quantized.description)
        return "int8-openvino", made, f"{_INT8}int32 sums, batch normalization folded; OpenVINO on the CPU"

    if runtime == "openvino":
        return by_openvino()
    if runtime == "" and _on_cpu(base) and (made := _if_possible(by_openvino)):
        return made
    return (
        "int8",
        quantized,
        f"{_INT8}int32 sums, float32 logits, batch normalization folded; ONNX Runtime on the CPU",
    )


def bfloat16_candidate(base: Base, runtime: str, calibration: NDArray[np.float32] | None) -> Made:
    """Run a base in bfloat16, by ``"torch"``, ``"openvino"``, or ``""`` for the faster one that can."""

    def by_openvino() -> Made:
        batches = check_calibration("bf16:openvino", calibration)
        graph = graph_of(base, batches[0].shape[1:])
        made = _by_openvino(graph, "bfloat16", calibration, base, {"dtype": "bfloat16"})
        return "bf16-openvino", made, "products in bfloat16, logits returned as float32; OpenVINO on the CPU"

    if runtime == "openvino" or (runtime == "" and isinstance(base, GraphClassifier)):
        return by_openvino()
    if not isinstance(base, TorchClassifier):
        raise InvalidArgumentError(f"base is a {type(base).__qualname__}, which PyTorch cannot run: use 'bf16'")
    if runtime == "" and calibration is not None and _on_cpu(base) and (made := _if_possible(by_openvino)):
        return made
    around = "logits returned as float32; preprocessing and leading layers without parameters stay in float32"
    return "bf16", bfloat16_arithmetic(base), f"bfloat16 weights and arithmetic, {around}"


def _by_openvino(
    graph: GraphClassifier,
    precision: Literal["float32", "bfloat16"],
    calibration: NDArray[np.float32] | None,
    reference: Classifier,
    rounding: Mapping[str, str],
) -> OpenVinoClassifier:
    """Run a graph by OpenVINO; refuse it where logits differ from a reference by more than rounding explains."""
    made = OpenVinoClassifier(
        graph.model_bytes,
        graph.num_classes,
        precision=precision,
        output=graph.graph.output,
        threads=graph.threads,
    )
    batch = np.asarray(calibration)[:_COMPARED]
    if difference := beyond_rounding(reference.logits(batch), made.logits(batch), rounding):
        raise InvalidArgumentError(f"OpenVINO computes another function ({difference}): use another runtime")
    return made


def _on_cpu(base: Base) -> bool:
    return isinstance(base, GraphClassifier) or base.device == torch.device("cpu")


def _if_possible(make: Callable[[], Made]) -> Made | None:
    with contextlib.suppress(MissingExtraError, CheckpointError, InvalidArgumentError):
        return make()
    return None
