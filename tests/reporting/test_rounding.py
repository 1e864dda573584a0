from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smoothcert.reporting.rounding import Kind, to_decimals, to_significant

numbers = st.floats(0, 1e6)


@given(numbers, st.integers(0, 12))
def test_decimals_move_only_outwards_and_less_than_a_unit(number: float, decimals: int) -> None:
    unit = Fraction(1, 10**decimals)
    down, near, up = (to_decimals(number, decimals, kind) for kind in ("lower", "value", "upper"))
    assert float(down) <= number <= float(up)
    # The decimal that is rounded is the shortest one, within half an ulp of the float64.
    shortest = Fraction(repr(number))
    assert 0 <= shortest - Fraction(down) < unit
    assert 0 <= Fraction(up) - shortest < unit
    assert abs(Fraction(near) - shortest) <= unit / 2


@given(numbers, st.integers(1, 17))
def test_significant_digits_move_only_outwards(number: float, digits: int) -> None:
    down, up = (to_significant(number, digits, kind) for kind in ("lower", "upper"))
    assert float(down) <= number <= float(up)
    assert float(down) >= number * (1 - 10.0 ** (1 - digits) * 1.0001)


@given(numbers, st.integers(1, 15), st.sampled_from(["lower", "value", "upper"]))
def test_what_was_written_does_not_move_again(number: float, digits: int, kind: Kind) -> None:
    text = to_significant(number, digits, kind)
    assert to_significant(float(text), digits, kind) == text
    fixed = to_decimals(number, digits, kind)
    if digits <= 8:
        assert to_decimals(float(fixed), digits, kind) == fixed


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0.0, "0.0"),
        (0.486, "0.486"),
        (0.48699, "0.486"),
        (1.3999, "1.39"),
        (0.0040399, "0.00403"),
        (12345.6, "12300.0"),
    ],
)
def test_radii_as_in_published_logs(number: float, expected: str) -> None:
    assert to_significant(number, 3, "lower") == expected


def test_negative_numbers_round_the_same_way() -> None:
    assert (to_decimals(-0.0012, 3, "lower"), to_decimals(-0.0018, 3, "upper")) == ("-0.002", "-0.001")
