"""The gate between pairing and starting again: a threshold on the cached count, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from smoothcert.bounds import prefers_direct
from smoothcert.errors import InvalidArgumentError


@pytest.mark.parametrize("n", [1, 2, 999, 10_000])
def test_turns_once_as_the_count_grows(n: int) -> None:
    direct = prefers_direct(np.arange(n + 1), n)
    assert direct[-1]
    assert (np.diff(direct.astype(int)) >= 0).all()


def test_unanimous_votes_leave_nothing_to_pair_for() -> None:
    np.testing.assert_array_equal(
        prefers_direct([[5_000], [9_999], [10_000]], [10_000, 20_000]),
        [[False, False], [False, False], [True, False]],
    )


def test_refuses_what_is_out_of_range() -> None:
    with pytest.raises(InvalidArgumentError, match=r"count is 1001 and n is 1000"):
        prefers_direct(1001, 1000)
    with pytest.raises(InvalidArgumentError, match=r"shapes do not broadcast"):
        prefers_direct([1, 2], [3, 4, 5])
