"""PyTorch modules as classifiers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from smoothcert.classifiers.base import INVALID_VOTE
from smoothcert.classifiers.estimator import is_estimator
from smoothcert.errors import InvalidArgumentError

__all__ = ["TorchClassifier", "labels_of", "module_fingerprint"]


class TorchClassifier:
    """A PyTorch module that maps inputs in [0, 1] to logits.

    Parameters
    ----------
    module : torch.nn.Module
        Maps a float32 tensor (b, *shape) to logits (b, num_classes). It is put into evaluation mode: a module
        that looks at its batch mates would make a vote depend on other samples.
    num_classes : int
        Number of classes, at least 2.
    preprocess : callable, optional
        Applied to the noisy batch before `module`, such as a normalization. It stays behind the noise, so it is
        part of the classifier and changes no radius.
    device : str or torch.device, optional
        Where to run; by default where the module's parameters are.

    Raises
    ------
    InvalidArgumentError
        When `module` is no torch module, or `num_classes` is less than 2.

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
        parameter = next(module.parameters(), None)
        home = parameter.device if parameter is not None else torch.device("cpu")
        self.device = torch.device(device) if device is not None else home
        # channels_last is the layout of the CPU and GPU convolution kernels: 1.2 times as fast on CPU.
        self.module = module.eval().to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.preprocess = preprocess
        self._num_classes = num_classes
        self._fingerprint = module_fingerprint(module, preprocess)

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
        return {
            "runtime": f"torch {torch.__version__}",
            "device": self.device.type,
            "dtype": "+".join(sorted(dtypes)) or "none",
            "preprocess": _qualified_name(self.preprocess),
        } | (_tensor_cores() if self.device.type == "cuda" else {})

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
        logits: torch.Tensor = self.module(x)
        if logits.ndim != 2 or logits.shape[1] != self._num_classes:
            raise InvalidArgumentError(
                f"the module returned logits of shape {tuple(logits.shape)} for a batch of {len(batch)}, but "
                f"num_classes is {self._num_classes}: it should be ({len(batch)}, {self._num_classes})"
            )
        return logits


def labels_of(logits: torch.Tensor) -> torch.Tensor:
    """Return the first class with the largest score, int64 (b,), -1 where scores are not all finite."""
    return torch.where(torch.isfinite(logits).all(dim=1), logits.argmax(dim=1), INVALID_VOTE)


def module_fingerprint(
    module: torch.nn.Module, preprocess: Callable[[torch.Tensor], torch.Tensor] | None = None
) -> str:
    """Hash what a module computes: its structure, parameters, buffers and preprocessing.

    Parameters
    ----------
    module : torch.nn.Module
        The module; ``repr`` stands for its structure.
    preprocess : callable, optional
        Hashed by its qualified name, or like a module when it is one.

    Returns
    -------
    str
        SHA-256 in hexadecimal.

    Examples
    --------
    >>> import torch
    >>> a = torch.nn.Linear(2, 2)
    >>> module_fingerprint(a) == module_fingerprint(a), len(module_fingerprint(a))
    (True, 64)
    """
    digest = hashlib.sha256(f"{type(module).__qualname__}\n{module!r}\n".encode())
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    if isinstance(preprocess, torch.nn.Module):
        digest.update(module_fingerprint(preprocess).encode())
    else:
        digest.update(_qualified_name(preprocess).encode())
    return digest.hexdigest()


def _tensor_cores() -> dict[str, str]:
    """Say whether products of float32 keep 23 bits or TensorFloat-32's 10: PyTorch's default for convolutions."""
    try:
        convolutions = "tf32" if torch.backends.cudnn.allow_tf32 else "ieee"
    except RuntimeError:  # PyTorch 2.9 and later: set for each kind of layer by itself
        convolutions = "set by layer"
    return {"convolutions": convolutions, "matrix_products": torch.get_float32_matmul_precision()}


def _qualified_name(function: object) -> str:
    if function is None:
        return "none"
    if isinstance(function, torch.nn.Module):
        return repr(function)
    module = getattr(function, "__module__", "")
    return f"{module}.{getattr(function, '__qualname__', type(function).__qualname__)}"
