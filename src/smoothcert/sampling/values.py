"""Whatever users hold numbers in, as float32 arrays."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothcert._unit_range import from_levels
from smoothcert.errors import InvalidArgumentError

__all__ = ["depth", "float_values", "is_image", "is_of", "is_sequence", "is_tensor", "plain_array"]


def is_of(value: Any, module: str, name: str) -> bool:
    """Whether a value is of a class of a library; what was never imported has no instances."""
    kind = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and isinstance(value, kind)


def is_tensor(value: Any) -> bool:
    """Whether a value is a torch tensor."""
    return is_of(value, "torch", "Tensor")


def is_image(value: Any) -> bool:
    """Whether a value is an image of Pillow's."""
    return is_of(value, "PIL.Image", "Image")


def is_sequence(value: Any) -> bool:
    """Whether a value is a list or a tuple."""
    return isinstance(value, list | tuple)


def depth(value: Any) -> int:
    """Return the number of axes of an array, of nested lists or of an image; 0 of anything else."""
    if is_image(value):
        return 3
    if is_sequence(value):
        return 1 + (depth(value[0]) if value else 0)
    return len(getattr(value, "shape", ()))


def plain_array(value: Any, name: str) -> NDArray[Any]:
    """Return numbers of any type as an array; images become float32 in [0, 1], channels first."""
    if is_image(value):
        return _pixels(value, name)
    if is_tensor(value):
        return _from_tensor(value, name)
    if not is_sequence(value):
        return np.asarray(value)
    if not _leaf_is_array(value):
        try:
            return np.asarray(value)
        except ValueError as error:
            raise InvalidArgumentError(f"{name} is ragged: give rows of one length") from error
    parts = [plain_array(part, f"{name}[{i}]") for i, part in enumerate(value)]
    for i, part in enumerate(parts):
        if part.shape != parts[0].shape:
            raise InvalidArgumentError(
                f"{name}[{i}] has shape {part.shape}, but {name}[0] {parts[0].shape}: inputs of one call have one "
                "shape"
            )
    return np.stack(parts)


def float_values(value: Any, name: str) -> NDArray[np.float32]:
    """Return floats of any precision as float32, and refuse what is no float."""
    array = plain_array(value, name)
    if array.dtype.kind != "f":
        raise InvalidArgumentError(f"{name} has dtype {array.dtype}{_remedy(value, array, name)}")
    with np.errstate(over="ignore"):  # an infinite value is named later on
        return array.astype(np.float32, copy=False)


def _leaf_is_array(value: Any) -> bool:
    while is_sequence(value) and value:
        value = value[0]
    return hasattr(value, "shape") or is_image(value)


def _from_tensor(tensor: Any, name: str) -> NDArray[Any]:
    torch = sys.modules["torch"]
    if tensor.layout is not torch.strided:
        raise InvalidArgumentError(f"{name} is a tensor of layout {tensor.layout}: give {name}.to_dense()")
    if tensor.is_floating_point() and tensor.element_size() < 4:
        tensor = tensor.float()  # exact; NumPy has no bfloat16
    array: NDArray[Any] = tensor.detach().cpu().resolve_conj().resolve_neg().numpy()
    return array


def _pixels(image: Any, name: str) -> NDArray[np.float32]:
    if image.mode not in ("RGB", "L"):
        other = "np.asarray(image) / 65535 as an array" if image.mode.startswith("I") else "image.convert('RGB')"
        raise InvalidArgumentError(f"{name} is an image of mode {image.mode!r}: give RGB or L, as {other}")
    levels = np.asarray(image, np.uint8)
    return from_levels(levels[None] if levels.ndim == 2 else levels.transpose(2, 0, 1))


def _remedy(value: Any, array: NDArray[Any], name: str) -> str:
    """Say how to make floats in [0, 1] of other numbers."""
    kind = array.dtype.kind
    if kind in "US":
        return ", which is text: give arrays of numbers; smoothcert.data.load_dataset reads files"
    if kind == "O":
        odd = next((type(each).__name__ for each in array.flat if not isinstance(each, int | float)), "number")
        return f" with a {odd} in it: give numbers alone"
    if kind == "c":
        return ": inputs are real; give their real and imaginary parts as coordinates"
    if kind not in "iub":
        return ": give float32 in [0, 1]"
    as_float = (
        f"{name}.float()"
        if is_tensor(value)
        else f"{name}.astype(np.float32)"
        if isinstance(value, np.ndarray)
        else f"np.asarray({name}, np.float32)"
    )
    high = int(array.max()) if array.size else 0
    if kind == "b" or (high <= 1 and array.dtype != np.uint8):
        return f": give {as_float}"
    if array.dtype == np.uint8 or high <= 255:
        return f", levels of 8 bits it seems: give {as_float} / 255"
    return f" and values up to {high}: give floats in [0, 1], as {as_float} / {high}"
