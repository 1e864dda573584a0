"""A fitted surrogate, and its files."""

from __future__ import annotations

import copy
import dataclasses
import functools
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from smoothcert._files import read_regular, write_atomic
from smoothcert._folders import exists
from smoothcert._results import Brief
from smoothcert.classifiers import usable_device
from smoothcert.errors import CheckpointError, InvalidArgumentError, reading
from smoothcert.models import Normalization, build_model, format_safetensors, read_safetensors
from smoothcert.noise import KEY_BYTES
from smoothcert.sampling import as_inputs, default_batch_size
from smoothcert.surrogate.inputs import take_rows
from smoothcert.surrogate.prediction import ErrorScale, Prediction, predict_shares
from smoothcert.surrogate.record import SurrogateRecord

__all__ = ["Surrogate", "load_surrogate", "save_surrogate"]

RECORD_FILE, WEIGHTS_FILE = "surrogate.json", "surrogate.safetensors"

_MOST_BYTES = 1 << 31
_WEIGHT, _KEYS, _PROBIT = "model.", "fitted.keys", "held_out.probit"


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Surrogate(Brief):
    """A network h that predicts the votes of f under noise from the clean input.

    Attributes
    ----------
    module : torch.nn.Module
        Maps float32 (b, *shape) in [0, 1] to logits (b, outputs); in evaluation mode.
    record : SurrogateRecord
        What it was fitted to.
    keys : ndarray of uint8, shape (fitted, 32)
        Keys of the inputs it was fitted to, those held out included: none of them may calibrate it.
    held_out_probit : ndarray of float64, shape (held_out,)
        Its predictions for the inputs that were held out, sorted: groups of predicted radius are cut here.
    """

    module: nn.Module
    record: SurrogateRecord
    keys: NDArray[np.uint8]
    held_out_probit: NDArray[np.float64]

    @property
    def scale(self) -> ErrorScale:
        """The learned error of its predictions."""
        return ErrorScale(**{name: tuple(values) for name, values in self.record.scale.items()})

    def predict(self, x: Any, *, batch_size: int | None = None) -> Prediction:
        """Predict the votes of f around each input, by one forward pass each.

        Parameters
        ----------
        x : array, tensor, sequence, data set or loader, shape (m, *shape)
            Inputs in [0, 1].
        batch_size : int, optional
            Forward passes at once.

        Returns
        -------
        Prediction

        Raises
        ------
        InvalidArgumentError
            When the inputs have another shape than those it was fitted to, or its outputs are not finite.
        """
        inputs = as_inputs(x).inputs
        self.record.require("x", input_shape=inputs.shape[1:])
        size = batch_size or default_batch_size(int(np.prod(inputs.shape[1:])))
        logits = [
            surrogate_logits(self.module, take_rows(inputs, np.arange(i, min(i + size, len(inputs)))))
            for i in range(0, len(inputs), size)
        ]
        together = np.concatenate(logits)
        if together.shape[1] != self.record.outputs or not np.isfinite(together).all():
            raise InvalidArgumentError(
                f"the surrogate returned {together.shape[1]} scores, {self.record.outputs} expected, or some that "
                "are not finite: load it again"
            )
        return predict_shares(together, self.record.num_classes, self.scale)

    def was_fitted_to(self, keys: Iterable[bytes]) -> NDArray[np.bool_]:
        """Say which inputs it was fitted to, those held out included."""
        known = {row.tobytes() for row in self.keys}
        return np.array([key in known for key in keys], dtype=bool)


@torch.inference_mode()
def surrogate_logits(module: nn.Module, batch: NDArray[np.float32]) -> NDArray[np.float64]:
    """Score a batch of clean inputs: float32 (b, *shape) to float64 (b, outputs)."""
    parameter = next(module.parameters(), None)
    x = torch.from_numpy(batch).to(parameter.device if parameter is not None else "cpu")
    if x.ndim == 4:
        x = x.contiguous(memory_format=torch.channels_last)
    logits: NDArray[np.float64] = module(x).double().cpu().numpy()
    return logits


def save_surrogate(folder: str | Path, surrogate: Surrogate) -> Surrogate:
    """Write a surrogate as ``surrogate.safetensors`` and ``surrogate.json``; nothing in them can run code.

    Parameters
    ----------
    folder : str or Path
        Where to; it exists.
    surrogate : Surrogate
        What to write.

    Returns
    -------
    Surrogate
        The same, with the hash of its weights in the record.

    Raises
    ------
    CheckpointError
        When a file cannot be written.
    """
    tensors = {_WEIGHT + name: tensor for name, tensor in surrogate.module.state_dict().items()}
    tensors[_KEYS] = torch.from_numpy(surrogate.keys.copy())
    tensors[_PROBIT] = torch.from_numpy(surrogate.held_out_probit.copy())
    data = format_safetensors(tensors, {})
    record = dataclasses.replace(surrogate.record, weights=hashlib.sha256(data).hexdigest())
    # The record comes last and names the weights: a crash between the two leaves a pair that does not fit.
    write_atomic(Path(folder), WEIGHTS_FILE, data, CheckpointError)
    record.write(Path(folder) / RECORD_FILE)
    return dataclasses.replace(surrogate, record=record)


def load_surrogate(
    folder: str | Path, *, module: nn.Module | None = None, device: str | torch.device | None = None
) -> Surrogate:
    """Load a surrogate.

    Parameters
    ----------
    folder : str or Path
        Where `fit_surrogate` wrote it.
    module : torch.nn.Module, optional
        The network, for one that was fitted with a module of your own: the file holds its weights alone. It is
        copied.
    device : str or torch.device, optional
        Where to run it; the CPU by default.

    Returns
    -------
    Surrogate

    Raises
    ------
    CheckpointError
        When a file is missing, damaged or does not fit the network.
    InvalidArgumentError
        When `module` is needed and missing, or given and not needed, or the device cannot be used.
    """
    folder = Path(folder)
    if not exists(folder, RECORD_FILE):
        raise CheckpointError(
            f"{folder} holds no finished surrogate: run smoothcert surrogate fit, or let it finish"
        )
    record = SurrogateRecord.from_file(folder / RECORD_FILE)
    path = folder / WEIGHTS_FILE
    data = read_regular(folder, WEIGHTS_FILE, at_most=_MOST_BYTES, error=CheckpointError)
    if hashlib.sha256(data).hexdigest() != record.weights:
        raise CheckpointError(f"{path} is not the file that {RECORD_FILE} names: restore both, or fit again")
    tensors, _ = read_safetensors(data, path)
    with reading(path, CheckpointError, f"it does not hold the weights of {record.arch or 'the module'}"):
        keys, probit = tensors[_KEYS].numpy(), tensors[_PROBIT].double().numpy()
        weights = {name.removeprefix(_WEIGHT): t for name, t in tensors.items() if name.startswith(_WEIGHT)}
        network = _network(record, weights, module)
        network.load_state_dict(weights, strict=True)
    if keys.shape[1:] != (KEY_BYTES,) or keys.dtype != np.uint8:
        raise CheckpointError(f"{path} holds keys of shape {keys.shape}: fit again")
    network = network.eval().to(usable_device(device or "cpu"))
    return Surrogate(module=network, record=record, keys=keys, held_out_probit=probit)


def _network(record: SurrogateRecord, weights: dict[str, torch.Tensor], module: nn.Module | None) -> nn.Module:
    if (record.arch == "") != (module is not None):
        wanted = "was fitted with a module of your own: give module" if record.arch == "" else "needs no module"
        raise InvalidArgumentError(f"the surrogate {wanted}")
    if module is not None:
        return copy.deepcopy(module)
    try:
        return _built(record, weights)
    except InvalidArgumentError as error:
        raise CheckpointError(
            f"{RECORD_FILE} of the surrogate describes no network: {error}; fit again"
        ) from error


def _built(record: SurrogateRecord, weights: dict[str, torch.Tensor]) -> nn.Module:
    channels, height, width = record.input_shape
    constants = Normalization(tuple(record.mean), tuple(record.std))
    build = functools.partial(build_model, record.arch, record.outputs, (channels, height, width), constants)
    with torch.device("meta"):  # where nothing is allocated, whatever sizes the record names
        expected = build().state_dict()
    if {n: t.shape for n, t in expected.items()} != {n: t.shape for n, t in weights.items()}:
        raise ValueError("the weights have other names or shapes")
    return build()
