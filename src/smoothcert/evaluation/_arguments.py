"""The check of a confidence, which intervals, bounds and gates share."""

from __future__ import annotations

from smoothcert.errors import InvalidArgumentError

__all__ = ["require_confidence"]


def require_confidence(confidence: float) -> float:
    """Return a confidence in (0, 1)."""
    if not 0 < confidence < 1:
        raise InvalidArgumentError(f"confidence is {confidence}: give a value between 0 and 1, such as 0.99")
    return confidence
