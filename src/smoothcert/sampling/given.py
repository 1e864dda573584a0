"""What users give for inputs: arrays, lists, images, data sets and loaders, with labels or without."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothcert._unit_range import layout_problem
from smoothcert.errors import InvalidArgumentError, SmoothcertError
from smoothcert.sampling.inputs import Inputs
from smoothcert.sampling.labels import label_array
from smoothcert.sampling.rows import (
    RowsOnDemand,
    columns_of,
    is_row,
    length_of,
    parts_of_row,
    require_shape,
    require_unit_range,
)
from smoothcert.sampling.values import (
    depth,
    float_values,
    is_image,
    is_of,
    is_sequence,
    is_tensor,
)

__all__ = ["GivenInputs", "as_inputs"]

_FORMS = "an array or a tensor (m, *shape), a list of images, a data set or a data loader"


@dataclass(frozen=True, eq=False)
class GivenInputs:
    """Inputs, and labels where they came with them.

    Attributes
    ----------
    inputs : Inputs, shape (m, *shape)
        float32 in [0, 1].
    labels : ndarray of int64, shape (m,), or None
        Their classes.
    """

    inputs: Inputs
    labels: NDArray[np.int64] | None = None


def as_inputs(x: Any) -> GivenInputs:
    """Take inputs as they come, and check them.

    An input is the same float32 values whichever way it comes, and so gets the same noise and votes: floats are
    rounded to float32, levels k of 8-bit images become k / 255 by one division.

    Parameters
    ----------
    x : array, tensor, sequence, data set or loader
        m inputs, float values in [0, 1] with channels first:

        - an array or a torch tensor (m, *shape) of floats of any precision; whatever NumPy takes as one;
        - a list or tuple of such inputs, of nested numbers, or of Pillow images (RGB or L); one Pillow image;
        - a pair of inputs and integer labels (m,), a list of pairs of an input and its label, or a mapping or a
          list of mappings with columns for both (``"image"``, ``"img"``, ``"pixel_values"``, ``"x"``; ``"label"``,
          ``"labels"``, ``"fine_label"``, ``"y"``);
        - a map-style torch data set, a Hugging Face data set or one of its columns: items are read when they are
          needed, several times, so they must not change from one reading to the next;
        - a torch data loader: it is gone through once, in the order in which it yields, and all of its inputs are
          kept in memory. A shuffled loader, another order in each call, makes no difference to noise and votes;
        - a `smoothcert.data.Dataset`, or its lazy inputs.

    Returns
    -------
    GivenInputs
        Labels are None where none came with the inputs, and where all are -1, as in unlabelled data sets.

    Raises
    ------
    InvalidArgumentError
        When there is no input, or they are of another form, layout, type or range; it names the remedy.

    Examples
    --------
    >>> import numpy as np, torch
    >>> x, y = np.zeros((5, 1, 8, 8)), np.arange(5)
    >>> given = as_inputs(torch.utils.data.TensorDataset(torch.tensor(x), torch.tensor(y)))
    >>> given.inputs.shape, given.labels
    ((5, 1, 8, 8), array([0, 1, 2, 3, 4]))
    >>> as_inputs((x, y)).labels is None, as_inputs(x).labels is None
    (False, True)
    >>> as_inputs(np.full((2, 3), 255.0))
    Traceback (most recent call last):
        ...
    smoothcert.errors.InvalidArgumentError: x has values in [255, 255], but inputs are in [0, 1]: they look like
    8-bit levels, so divide by 255, and give sigma in the new units
    """
    if isinstance(x, GivenInputs):
        return x
    given = _gathered(x)
    if not isinstance(given.inputs, RowsOnDemand):  # which were checked when they were read
        _require_form(given.inputs, "x.permute" if is_tensor(x) else "x.transpose")
        require_unit_range(given.inputs)
    return given


def _gathered(x: Any) -> GivenInputs:
    """Recognise the form of x, and bring its inputs and labels into ours."""
    if isinstance(x, RowsOnDemand):
        return GivenInputs(x, x.labels)
    if x is None or isinstance(x, str | bytes | PurePath):
        raise InvalidArgumentError(f"x is {x!r:.60}: give {_FORMS}; smoothcert.data.load_dataset reads files")
    if is_image(x):
        return GivenInputs(float_values(x, "x")[None])
    if isinstance(x, Mapping):
        return _columns(x)
    if is_of(x, "torch.utils.data", "DataLoader"):
        return _batches(x)
    if is_of(x, "torch.utils.data", "TensorDataset"):
        return _labelled(*parts_of_row(x.tensors, "x"))
    if is_of(x, "torch.utils.data", "IterableDataset") or (
        hasattr(x, "__iter__") and not hasattr(x, "__getitem__")
    ):
        raise InvalidArgumentError(
            f"x is of type {type(x).__name__}, which is read only once: give list(itertools.islice(x, m))"
        )
    if is_of(x, "datasets", "Dataset") and x.format["type"] != "custom":
        return _rows(x.with_format(None))  # other formats give 8-bit levels for images, some with channels last
    if is_of(x, "torch.utils.data", "Dataset") or is_of(x, "datasets", "Dataset"):
        return _rows(x)
    if is_sequence(x):
        return _sequence(x)
    if hasattr(x, "inputs") and hasattr(x, "labels") and not hasattr(x, "__getitem__"):
        return _labelled(x.inputs, x.labels)  # smoothcert's own, whose room lies above this one
    if is_tensor(x) or isinstance(x, np.ndarray):
        return _array(x)
    if _gives_rows(x):
        return GivenInputs(x)
    if hasattr(x, "__array__"):
        return _array(np.asarray(x))
    if hasattr(x, "__getitem__") and hasattr(x, "__len__"):
        return _rows(x)
    raise InvalidArgumentError(f"x is of type {type(x).__name__}: give {_FORMS}")


def _require_form(inputs: Inputs, transpose: str) -> None:
    shape = tuple(inputs.shape)
    if len(shape) < 2 or 0 in shape:
        remedy = "give (m, *shape) with m >= 1 inputs"
        if len(shape) == 1 and shape[0] > 0:
            remedy += ": if it is one input, x[None]; if it is one number for each, x[:, None]"
        raise InvalidArgumentError(f"x has shape {shape}: {remedy}")
    if problem := layout_problem(shape, transpose):
        raise InvalidArgumentError(f"x has {problem}")


def _array(x: Any) -> GivenInputs:
    if isinstance(x, np.ndarray) and x.dtype.kind == "O" and x.ndim == 1:
        return _sequence(list(x))
    if len(x.shape) < 2 or 0 in x.shape:
        _require_form(x, "")
    return GivenInputs(float_values(x, "x"))


def _rows(items: Any) -> GivenInputs:
    rows = RowsOnDemand(items)
    return GivenInputs(rows, rows.labels)


def _sequence(x: Any) -> GivenInputs:
    """Take a pair of inputs and labels, rows with or without labels, or nested numbers."""
    length_of(x)
    if len(x) == 2 and _is_pair(*x):
        return _labelled(*x)
    return _rows(x) if is_row(x[0]) else _array(float_values(x, "x"))


def _is_pair(inputs: Any, labels: Any) -> bool:
    """Whether two things are inputs and their labels: two inputs would have as many axes as each other."""
    if isinstance(inputs, str | bytes | Mapping):
        return False
    if depth(inputs) == 0:  # a data set, or a column of one
        return hasattr(inputs, "__len__") and (depth(labels) == 1 or isinstance(labels, Sequence))
    if depth(inputs) == depth(labels) == 2:  # one label in each row of a table
        return _is_column(labels) and not _is_column(inputs)
    return depth(labels) < depth(inputs) > 1


def _is_column(value: Any) -> bool:
    return tuple(getattr(value, "shape", ()))[1:] == (1,)


def _labelled(inputs: Any, labels: Any) -> GivenInputs:
    """Put labels beside inputs; the label of one input makes that input a batch of one."""
    if labels is None:
        return _gathered(inputs)
    if isinstance(labels, str | int | float | np.generic) or getattr(labels, "shape", None) == ():
        return _rows([(inputs, labels)])
    given = _gathered(inputs)
    return GivenInputs(given.inputs, label_array(labels, len(given.inputs)))


def _columns(columns: Mapping[str, Any]) -> GivenInputs:
    splits = [key for key, value in columns.items() if hasattr(value, "column_names")]
    if splits:
        raise InvalidArgumentError(f"x has the splits {', '.join(splits)}: give one of them, x[{splits[0]!r}]")
    return _labelled(*columns_of(columns, "x"))


def _batches(loader: Any) -> GivenInputs:
    """Go through a loader once and keep what it yields."""
    arrays: list[NDArray[np.float32]] = []
    labels: list[NDArray[np.int64] | None] = []
    for batch in loader:
        # A data set without labels gives lists of one tensor.
        given = _gathered(batch[0] if is_sequence(batch) and len(batch) == 1 else batch)
        arrays.append(np.stack(list(given.inputs)))
        require_shape(arrays[-1].shape[1:], arrays[0].shape[1:], sum(map(len, arrays[:-1])))
        labels.append(given.labels)
    if not arrays:
        raise InvalidArgumentError("x is a data loader without a batch: give one of a data set with items")
    together = [each for each in labels if each is not None]
    return GivenInputs(np.concatenate(arrays), np.concatenate(together) if len(together) == len(labels) else None)


def _gives_rows(x: Any) -> bool:
    """Whether x is a lazy array already: float32 rows of the shape that it says."""
    shape: tuple[int, ...] = getattr(x, "shape", ())
    if len(shape) < 2 or shape[0] == 0:
        return False
    try:
        row = x[0]
    except SmoothcertError:
        raise
    except Exception:  # tables take names of columns, and raise what they like
        return False
    return isinstance(row, np.ndarray) and row.dtype == np.float32 and row.shape == tuple(shape[1:])
