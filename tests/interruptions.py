"""Ctrl-C at a moment that a test chooses."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothcert import FunctionClassifier


def interrupted(f: FunctionClassifier, calls: int) -> FunctionClassifier:
    """f, but the call after the first `calls` is interrupted."""
    done = 0

    def logits(batch: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
        nonlocal done
        done += 1
        if done > calls:
            raise KeyboardInterrupt
        return f.function(batch)

    return FunctionClassifier(logits, f.num_classes, f.fingerprint)


def halfway(done: int, total: int) -> None:
    """Interrupt what reports its progress, when more than half of it is done."""
    if done > total / 2:
        raise KeyboardInterrupt
