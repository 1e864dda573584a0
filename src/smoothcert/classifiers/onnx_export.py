"""From a torch module to one ONNX model, quietly."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, cast

import torch

from smoothcert.classifiers.kept_graphs import computed_by, kept_graph, versions_of
from smoothcert.classifiers.onnx_file import OnnxClassifier
from smoothcert.classifiers.openvino import OpenVinoClassifier, import_openvino
from smoothcert.classifiers.own_copy import evaluation_copy
from smoothcert.classifiers.quiet import in_one_line, quiet
from smoothcert.classifiers.torch_module import TorchClassifier
from smoothcert.errors import InvalidArgumentError, MissingExtraError, require_extra

__all__ = ["INPUT", "OUTPUT", "ExportedClassifier", "ExportedToOpenVino", "export_onnx", "strip_metadata"]

INPUT, OUTPUT = "input", "logits"
"""The names of an exported model's input and output."""

_OPSET = 18


class _Exported:
    """What is run in the place of a torch classifier, described as that."""

    _source: TorchClassifier

    @property
    def description(self) -> dict[str, str]:
        """What is run; ``source`` is the fingerprint of the torch classifier that was exported."""
        described: dict[str, str] = super().description  # type: ignore[misc]
        return self._source.description | {"source": self._source.fingerprint, "runtime": described["runtime"]}


class ExportedClassifier(_Exported, OnnxClassifier):
    """A torch classifier exported to ONNX and run by ONNX Runtime in float32.

    Parameters
    ----------
    source : TorchClassifier
        On the CPU, with float32 parameters. Left as it is.
    shape : tuple of int
        Shape of one input.

    Raises
    ------
    MissingExtraError
        When onnx, onnxruntime or onnxscript is not installed: ``pip install 'smoothcert[onnx]'``.
    InvalidArgumentError
        When the module is on another device, has parameters that are not float32, or cannot be exported.
    """

    def __init__(self, source: TorchClassifier, shape: tuple[int, ...]) -> None:
        _require_float32("onnx", source)
        super().__init__(export_onnx(source, shape), source.num_classes, threads=torch.get_num_threads())
        self._source = source


class ExportedToOpenVino(_Exported, OpenVinoClassifier):
    """A torch classifier exported to ONNX and run by OpenVINO in float32.

    Parameters
    ----------
    source, shape
        As for `ExportedClassifier`.
    model : bytes, optional
        The export, where there is one already.

    Raises
    ------
    MissingExtraError
        Also when openvino is not installed: ``pip install 'smoothcert[openvino]'``.
    InvalidArgumentError
        As `ExportedClassifier`.
    """

    def __init__(self, source: TorchClassifier, shape: tuple[int, ...], model: bytes | None = None) -> None:
        _require_float32("openvino", source)
        import_openvino()
        model = model or export_onnx(source, shape)
        super().__init__(model, source.num_classes, threads=torch.get_num_threads())
        self._source = source


def _require_float32(runtime: str, source: TorchClassifier) -> None:
    tensors = (*source.module.parameters(), *source.module.buffers())
    dtypes = {tensor.dtype for tensor in tensors if tensor.is_floating_point()}
    if dtypes - {torch.float32} or source.device.type != "cpu":
        found = ", ".join(sorted(str(dtype).removeprefix("torch.") for dtype in dtypes))
        raise InvalidArgumentError(
            f"runtime {runtime!r} takes float32 modules on the CPU, but this one has {found or 'no parameters'} "
            f"on {source.device.type}: use 'eager'"
        )


def export_onnx(classifier: TorchClassifier, shape: tuple[int, ...]) -> bytes:
    """Export preprocessing and module to one ONNX model with a free batch axis and its weights inside.

    Parameters
    ----------
    classifier : TorchClassifier
        Left as it is.
    shape : tuple of int
        Shape of one input.

    Returns
    -------
    bytes
        Maps `INPUT`, float32 (batch, *shape), to `OUTPUT`, float32 (batch, num_classes). The same module gives the
        same bytes with the same versions of torch, onnx and onnxscript, on any machine.

    Raises
    ------
    MissingExtraError
        When onnx, onnxruntime or onnxscript is not installed: ``pip install 'smoothcert[onnx]'``.
    InvalidArgumentError
        When the module cannot be exported, or only for a fixed batch.

    Examples
    --------
    >>> from smoothcert.classifiers import OnnxClassifier
    >>> linear = TorchClassifier(torch.nn.Linear(4, 2), num_classes=2)
    >>> OnnxClassifier(export_onnx(linear, (4,)), num_classes=2).description["dtype"]
    'float32'
    """
    for package in ("onnx", "onnxruntime", "onnxscript"):
        require_extra(package, "onnx")
    try:
        what = f"export {_OPSET}, {versions_of('torch', 'onnx', 'onnxscript')}, {computed_by(classifier, shape)}"
        return kept_graph(what, lambda: _exported(classifier, shape))
    except MissingExtraError:
        raise
    except Exception as error:  # whatever the module raises, also on inputs of the wrong shape
        raise InvalidArgumentError(
            f"the module cannot be exported to ONNX for inputs of shape {shape}: {in_one_line(error)}"
        ) from error


def _exported(classifier: TorchClassifier, shape: tuple[int, ...]) -> bytes:
    with quiet():
        model = _export(_whole(classifier), shape)
        strip_metadata(model)
        data: bytes = model.SerializeToString(deterministic=True)
        OnnxClassifier(data, classifier.num_classes)  # refuses a batch axis that the module has fixed
    return data


def strip_metadata(model: Any) -> None:
    """Remove what the exporter noted: stack traces with paths of this machine, which differ between machines."""
    graph = model.graph
    for item in (model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del item.metadata_props[:]
        item.doc_string = ""


def _whole(classifier: TorchClassifier) -> torch.nn.Module:
    """Return a copy of preprocessing and module as one module on the CPU."""
    layers = [] if classifier.preprocess is None else [_Layer(copy.deepcopy(classifier.preprocess))]
    whole = torch.nn.Sequential(*layers, evaluation_copy(classifier.module, torch.device("cpu")))
    whole.training = (
        False  # of the Sequential alone: its parts are in their modes, which exported ones refuse to leave
    )
    return whole


def _export(module: torch.nn.Module, shape: tuple[int, ...]) -> Any:
    program = torch.onnx.export(
        module,
        (torch.zeros(2, *shape),),
        dynamo=True,
        opset_version=_OPSET,
        input_names=[INPUT],
        output_names=[OUTPUT],
        dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
        external_data=False,
        verbose=False,
    )
    return cast("torch.onnx.ONNXProgram", program).model_proto


class _Layer(torch.nn.Module):
    """A preprocessing function as a layer."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)
