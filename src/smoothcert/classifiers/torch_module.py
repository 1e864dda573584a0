"""PyTorch modules as classifiers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from smoothcert.classifiers.base import INVALID_VOTE
from smoothcert.classifiers.devices import usable_device
from smoothcert.classifiers.estimator import is_estimator
from smoothcert.classifiers.fingerprint import module_fingerprint, qualified_name
from smoothcert.classifiers.own_copy import evaluation_copy
from smoothcert.errors import InvalidArgumentError

__all__ = ["RUNTIMES", "RuntimeName", "TorchClassifier", "labels_of"]


RuntimeName = Literal["auto", "eager", "compile", "onnx", "openvino"]
"""What may run a torch module."""

_BATCH_WIDE = ".quantized.dynamic"  # in the names of torch's modules of such layers

RUNTIMES: tuple[RuntimeName, ...] = get_args(RuntimeName)


class TorchClassifier:
    """A PyTorch module that maps inputs in [0, 1] to logits.

    Parameters
    ----------
    module : torch.nn.Module
        Maps a tensor (b, *shape) to logits (b, num_classes), or to an object that has them as ``logits``. A copy
        of it is run, in evaluation mode: a module that looks at its batch mates would make a vote depend on other
        samples. Exported programs keep the mode that they were exported in.
    num_classes : int
        Number of classes, at least 2.
    preprocess : callable, optional
        Applied to the noisy batch in float32 before `module`, such as a normalization. It stays behind the noise,
        so it is part of the classifier and changes no radius.
    device : str or torch.device, optional
        Where to run; by default where the module's parameters are.
    input_dtype : torch.dtype, optional
        What the preprocessed batch is cast to before `module`; by default the dtype of the module's parameters
        where all of them have the same, else float32.
    runtime : {"auto", "eager", "compile", "onnx", "openvino"}
        What procedures run it with, see `with_runtime`. `logits` and `classify` themselves are PyTorch's.

    Raises
    ------
    InvalidArgumentError
        When `module` is no torch module, `num_classes` is less than 2, the device cannot be used, or the module
        cannot be copied, decides its quantization by the batch at hand, or was exported for batches of one size.

    Examples
    --------
    >>> import numpy as np, torch
    >>> module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 3))
    >>> classifier = TorchClassifier(module, num_classes=3)
    >>> classifier.classify(np.zeros((2, 1, 2, 2), np.float32)).shape
    (2,)
    """

    def __init__(
        self,
        module: torch.nn.Module,
        num_classes: int,
        preprocess: Callable[[torch.Tensor], torch.Tensor] | None = None,
        device: str | torch.device | None = None,
        *,
        input_dtype: torch.dtype | None = None,
        runtime: RuntimeName = "auto",
    ) -> None:
        if not isinstance(module, torch.nn.Module):
            remedy = (
                "use FunctionClassifier.from_estimator(estimator)"
                if is_estimator(module)
                else "give a torch.nn.Module, or use FunctionClassifier(function, num_classes, fingerprint=...)"
            )
            raise InvalidArgumentError(f"module is a {type(module).__name__}: {remedy}")
        if num_classes < 2:
            raise InvalidArgumentError(f"num_classes is {num_classes}: a classifier has at least 2 classes")
        if runtime not in RUNTIMES:
            raise InvalidArgumentError(f"runtime is {runtime!r}: it should be one of {', '.join(RUNTIMES)}")
        _refuse_batch_wide_scales(module)
        _refuse_fixed_batch(module)
        self.device = _device(module, device)
        self.module = evaluation_copy(module, self.device)
        self.preprocess = preprocess
        if isinstance(preprocess, torch.nn.Module):
            self.preprocess = evaluation_copy(preprocess, self.device)
        self.runtime = runtime
        self._num_classes = num_classes
        self.input_dtype = input_dtype or _common_dtype(self.module)
        self._fingerprint = module_fingerprint(self.module, self.preprocess)

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return self._num_classes

    @property
    def fingerprint(self) -> str:
        """SHA-256 over architecture, parameters, buffers and preprocessing, in hexadecimal."""
        return self._fingerprint

    @property
    def description(self) -> dict[str, str]:
        """What is run: runtime, device type, parameter dtype, preprocessing; on CUDA how float32 is multiplied."""
        dtypes = {str(p.dtype).removeprefix("torch.") for p in self.module.parameters()}
        return (
            {
                "runtime": f"torch {torch.__version__}",
                "device": self.device.type,
                "dtype": "+".join(sorted(dtypes)) or "none",
                "preprocess": qualified_name(self.preprocess),
            }
            | self._cast()
            | (_tensor_cores() if self.device.type == "cuda" else {})
        )

    def _cast(self) -> dict[str, str]:
        if self.input_dtype == torch.float32:
            return {}
        return {"input": f"float32, cast to {str(self.input_dtype).removeprefix('torch.')} before the module"}

    def run_by(self, runtime: RuntimeName) -> TorchClassifier:
        """Return the same classifier, around the same module, for procedures to run by another runtime."""
        other = copy.copy(self)
        other.runtime = runtime
        return other

    @torch.inference_mode()
    def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score a batch: float32 (b, *shape) to float32 (b, num_classes)."""
        x = torch.from_numpy(batch).to(self.device)
        scores: NDArray[np.float32] = self.scores(x).float().cpu().numpy()
        return scores

    def classify(self, batch: NDArray[np.float32]) -> NDArray[np.int64]:
        """Label a batch: float32 (b, *shape) to int64 (b,), -1 where the logits are not all finite."""
        labels: NDArray[np.int64] = self.vote(torch.from_numpy(batch).to(self.device)).cpu().numpy()
        return labels

    @torch.inference_mode()
    def vote(self, batch: torch.Tensor) -> torch.Tensor:
        """Label a batch on its device: float32 (b, *shape) to int64 (b,), as `classify`; nothing waits for it."""
        return labels_of(self.scores(batch))

    def scores(self, batch: torch.Tensor) -> torch.Tensor:
        """Score a batch on its device: float32 (b, *shape) to (b, num_classes) in the module's own dtype.

        Raises
        ------
        InvalidArgumentError
            When the module returns something of another shape.
        """
        x = batch.contiguous(memory_format=torch.channels_last) if batch.ndim == 4 else batch
        if self.preprocess is not None:
            x = self.preprocess(x)
        logits = self.module(x.to(self.input_dtype))
        if not isinstance(logits, torch.Tensor):
            logits = _logits_of(logits)
        if logits.ndim != 2 or logits.shape[1] != self._num_classes:
            raise InvalidArgumentError(
                f"the module returned logits of shape {tuple(logits.shape)} for a batch of {len(batch)}, but "
                f"num_classes is {self._num_classes}: it should be ({len(batch)}, {self._num_classes})"
            )
        return logits


def labels_of(logits: torch.Tensor) -> torch.Tensor:
    """Return the first class with the largest score, int64 (b,), -1 where scores are not all finite."""
    return torch.where(torch.isfinite(logits).all(dim=1), logits.argmax(dim=1), INVALID_VOTE)


def _device(module: torch.nn.Module, device: str | torch.device | None) -> torch.device:
    """Return the device asked for, if it is there, or the module's."""
    if device is None:
        parameter = next(module.parameters(), None)
        return parameter.device if parameter is not None else torch.device("cpu")
    return usable_device(device)


def _common_dtype(module: torch.nn.Module) -> torch.dtype:
    """Return the dtype that all parameters have, in which the module expects its input, else float32."""
    dtypes = {parameter.dtype for parameter in module.parameters() if parameter.is_floating_point()}
    return dtypes.pop() if len(dtypes) == 1 else torch.float32


def _refuse_batch_wide_scales(module: torch.nn.Module) -> None:
    for name, part in module.named_modules():
        if _BATCH_WIDE in type(part).__module__:
            raise InvalidArgumentError(
                f"module has the dynamically quantized layer {name!r}, whose scale depends on the whole batch, so "
                "that a vote would depend on other samples: quantize it statically, or by weights alone"
            )


def _refuse_fixed_batch(module: torch.nn.Module) -> None:
    """Refuse a program that ``torch.export`` made for batches of one size alone."""
    if not isinstance(module, torch.fx.GraphModule):
        return
    first = next((node for node in module.graph.nodes if node.op == "placeholder"), None)
    traced = None if first is None else first.meta.get("val")
    if first is not None and isinstance(traced, torch.Tensor) and traced.ndim and type(traced.shape[0]) is int:
        raise InvalidArgumentError(
            f"module is a program for batches of {traced.shape[0]} alone: export it with "
            f"dynamic_shapes={{{first.target!r}: {{0: torch.export.Dim.AUTO}}}} and an example of 2 or more inputs"
        )


def _logits_of(output: Any) -> torch.Tensor:
    """Take the logits out of what a module returned."""
    logits = output.get("logits") if isinstance(output, Mapping) else getattr(output, "logits", None)
    if not isinstance(logits, torch.Tensor):
        raise InvalidArgumentError(
            f"module returned a {type(output).__name__} without logits: wrap it, so that it returns a tensor "
            "(b, num_classes)"
        )
    return logits


def _tensor_cores() -> dict[str, str]:
    """Say whether products of float32 keep 23 bits or TensorFloat-32's 10: PyTorch's default for convolutions."""
    try:
        convolutions = "tf32" if torch.backends.cudnn.allow_tf32 else "ieee"
    except RuntimeError:  # PyTorch 2.9 and later: set for each kind of layer by itself
        convolutions = "set by layer"
    return {"convolutions": convolutions, "matrix_products": torch.get_float32_matmul_precision()}
