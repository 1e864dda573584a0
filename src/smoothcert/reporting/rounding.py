"""Decimals that never enlarge a claim: lower bounds are written rounded down, upper bounds rounded up.

The direction is kept for whoever reads the text back as float64: a lower bound that is read back is never above
the number that was written, and an upper bound never below it. Text that is written and read again does not move.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal
from typing import Literal

__all__ = ["Kind", "to_decimals", "to_significant"]

Kind = Literal["value", "lower", "upper"]
"""What a number claims: nothing in particular, a lower bound (radii too), or an upper bound."""

_ROUNDING = {"value": ROUND_HALF_EVEN, "lower": ROUND_FLOOR, "upper": ROUND_CEILING}


def to_decimals(number: float, decimals: int, kind: Kind = "value") -> str:
    """Write a finite number with a fixed number of digits after the point."""
    # repr is the shortest decimal that reads back as the number; rounding it keeps 0.486 where it is, although the
    # float64 nearest to 0.486 lies a little below it.
    shortest = Decimal(repr(float(number)))
    context = Context(prec=400, rounding=_ROUNDING[kind])
    return f"{shortest.quantize(Decimal(1).scaleb(-decimals), context=context):f}"


def to_significant(number: float, digits: int, kind: Kind = "value") -> str:
    """Write a finite number with a number of significant digits, without trailing zeros."""
    rounded = Context(prec=digits, rounding=_ROUNDING[kind]).create_decimal(repr(float(number)))
    return repr(float(rounded))
