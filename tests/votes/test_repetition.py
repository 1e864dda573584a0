"""Votes that are repeated before others are added to them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from smoothcert.errors import CacheMismatchError
from smoothcert.votes.repetition import require_repeated


@pytest.mark.parametrize("size", [10, 60, 64])
def test_a_tenth_of_the_votes_may_fall_otherwise(size: int) -> None:
    """Near ties do on another machine; another model changes more."""
    cached = np.zeros(size, np.uint8)
    for changed in range(size + 1):
        votes = (np.arange(size) < changed).astype(np.uint8)
        if 10 * changed <= size:
            require_repeated(Path("cache"), 3, votes, cached)
        else:
            with pytest.raises(CacheMismatchError, match=f"{changed} of {size} cached votes of x.3. are others"):
                require_repeated(Path("cache"), 3, votes, cached)
