"""A model's candidates: reduced precision, int8, pruning, user functions and files.

Torch is imported where it is used, so that ``import smoothcert`` stays fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smoothcert.approximate.candidate import SPECS, Candidate, make_candidate

__all__ = ["SPECS", "Candidate", "make_candidate"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from smoothcert.approximate import candidate

        return getattr(candidate, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
