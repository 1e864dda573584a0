"""A labelled dataset with lazy inputs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smoothcert.data.inputs import ArrayInputs, LazyInputs
from smoothcert.errors import DataError, InvalidArgumentError

__all__ = ["MAX_CLASSES", "Dataset", "require_limit_and_skip"]

MAX_CLASSES = 65534
"""More do not fit a vote of two bytes, which keeps a value for an invalid one."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled inputs, float32 in [0, 1], channels first.

    Attributes
    ----------
    name : str
        What it is called in reports, such as ``"cifar10/test"``.
    inputs : LazyInputs
        Lazy array (m, *shape): an int, a slice or an array of ints gives float32 arrays. A plain float array is
        wrapped.
    labels : ndarray of int64, shape (m,)
        Classes 0 .. num_classes - 1.
    classes : tuple of str
        Name of each class, at most 65,534.
    indices : ndarray of int64, shape (m,)
        Position of each input in the whole dataset; 0 .. m - 1 unless given.

    Raises
    ------
    DataError
        When lengths differ, or labels are not integers in range, or inputs are not in [0, 1], or there are too
        many classes.

    Examples
    --------
    >>> import numpy as np
    >>> inputs = np.linspace(0, 1, 12, dtype=np.float32).reshape(6, 2)
    >>> dataset = Dataset("toy", inputs, np.array([0, 1, 0, 1, 0, 1]), ("even", "odd"))
    >>> part = dataset.take(limit=2, skip=3)
    >>> part.indices, part.labels, part.inputs.shape
    (array([0, 3]), array([0, 1]), (2, 2))
    """

    name: str
    inputs: LazyInputs
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    indices: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

    def __post_init__(self) -> None:
        if not isinstance(self.inputs, LazyInputs):
            object.__setattr__(self, "inputs", ArrayInputs(np.asarray(self.inputs), self.name))
        if not len(self.indices):
            object.__setattr__(self, "indices", np.arange(len(self.inputs)))
        if len(self.classes) > MAX_CLASSES:
            raise DataError(f"{self.name} has {len(self.classes)} classes: at most {MAX_CLASSES} are counted")
        object.__setattr__(self, "labels", _checked_labels(self.labels, len(self.classes), self.name))
        for column in ("labels", "indices"):
            shape = getattr(self, column).shape
            if shape != (len(self.inputs),):
                raise DataError(
                    f"{self.name} has {len(self.inputs)} inputs but {column} of shape {shape}: give one each"
                )

    def __len__(self) -> int:
        """Return the number of inputs m."""
        return len(self.inputs)

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)

    def select(self, indices: ArrayLike) -> Dataset:
        """Return the inputs at these positions, without decoding them.

        Parameters
        ----------
        indices : array_like of int, shape (k,)
            Positions in this dataset; negative ones count from its end.

        Returns
        -------
        Dataset

        Raises
        ------
        InvalidArgumentError
            When a position is outside the dataset.
        """
        try:
            rows = np.arange(len(self))[np.asarray(indices, dtype=np.int64)]
        except IndexError as error:
            raise InvalidArgumentError(
                f"indices reach outside {self.name}, which has {len(self)}: {error}"
            ) from error
        return replace(self, inputs=self.inputs.select(rows), labels=self.labels[rows], indices=self.indices[rows])

    def take(self, limit: int | None = None, skip: int = 1) -> Dataset:
        """Return every `skip`-th input, at most `limit` of them, without decoding them.

        Parameters
        ----------
        limit : int, optional
            At most so many, at least 1; all when there are fewer.
        skip : int
            Step between inputs, at least 1.

        Returns
        -------
        Dataset

        Raises
        ------
        InvalidArgumentError
            When `limit` or `skip` is less than 1.
        """
        require_limit_and_skip(limit, skip)
        return self.select(np.arange(0, len(self), skip)[:limit])

    def in_memory(self) -> Dataset:
        """Decode all inputs once, unless they would fill the memory; images stay 8-bit."""
        return replace(self, inputs=self.inputs.in_memory())


def require_limit_and_skip(limit: int | None, skip: int) -> None:
    """Refuse a number of inputs, or a step between them, below 1."""
    if limit is not None and limit < 1:
        raise InvalidArgumentError(f"limit is {limit}: take at least 1 input, or None for all")
    if skip < 1:
        raise InvalidArgumentError(f"skip is {skip}: take every 1st input, every 2nd, …")


def _checked_labels(labels: NDArray[np.int64], num_classes: int, name: str) -> NDArray[np.int64]:
    values = np.asarray(labels)
    if values.dtype.kind not in "iu":
        raise DataError(f"{name} has labels of type {values.dtype}: give integers 0 .. {num_classes - 1}")
    wrong = np.flatnonzero((values < 0) | (values >= num_classes))
    if wrong.size:
        raise DataError(
            f"{name} has the label {values.flat[wrong[0]]} at position {wrong[0]}, but {num_classes} classes: "
            f"labels are 0 .. {num_classes - 1}"
        )
    return values.astype(np.int64)
