"""Keys of inputs: which noise belongs to which input."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["KEY_BYTES", "input_keys"]

KEY_BYTES = 32


def input_keys(inputs: Iterable[NDArray[np.float32]]) -> Iterator[bytes]:
    """Yield the key of each input: a hash of its content and of how often that content came before.

    The key does not depend on the other inputs or their order, so a subset of a run finds its noise and its
    votes again. The second copy of an input gets noise of its own, so that no two inputs share a stream.

    Parameters
    ----------
    inputs : iterable of ndarray of float32, each of shape (*shape)
        The inputs in the units of the data. -0.0 counts as 0.0.

    Yields
    ------
    bytes
        SHA-256, 32 bytes.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[0.0, 1.0], [0.0, 1.0], [-0.0, 1.0]], np.float32)
    >>> keys = list(input_keys(x))
    >>> len(set(keys)), keys[0] == next(input_keys(x[2:]))
    (3, True)
    """
    seen: Counter[bytes] = Counter()
    for x in inputs:
        folded = np.ascontiguousarray(x, dtype="<f4") + np.float32(0)  # -0.0 + 0.0 is 0.0
        content = hashlib.sha256(f"{folded.shape}".encode() + folded.tobytes()).digest()
        yield hashlib.sha256(content + seen[content].to_bytes(8, "little")).digest()
        seen[content] += 1
