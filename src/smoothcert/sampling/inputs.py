"""What the sampler takes for inputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Inputs"]


class Inputs(Protocol):
    """An array of inputs (m, *shape), or anything that gives float32 rows on demand."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(m, *shape)."""
        ...

    def __len__(self) -> int:
        """Return m."""
        ...

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Yield the inputs one by one."""
        ...

    def __getitem__(self, index: int, /) -> NDArray[np.float32]:
        """Return one input, float32 of shape (*shape)."""
        ...
