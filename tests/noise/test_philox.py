from __future__ import annotations

import numpy as np
import pytest

from smoothcert.noise.philox import philox_4x32_10

# Published with Random123 (Salmon et al., SC 2011): zeros, ones, and the digits of pi.
ZEROS = ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8")
ONES = ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd")
PI = ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1")


def words(text: str) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
    return np.array([int(word, 16) for word in text.split()], dtype=np.uint32)


@pytest.mark.parametrize(("counter", "key", "expected"), [ZEROS, ONES, PI])
def test_known_answers(counter: str, key: str, expected: str) -> None:
    np.testing.assert_array_equal(philox_4x32_10(words(counter), words(key)), words(expected))


def test_arrays_and_broadcasting() -> None:
    counters = np.stack([words(case[0]) for case in (ZEROS, ONES, PI)])
    keys = np.stack([words(case[1]) for case in (ZEROS, ONES, PI)])
    table = philox_4x32_10(counters[:, None], keys[None, :])
    assert table.shape == (3, 3, 4)
    assert table.dtype == np.uint32
    for i, case in enumerate((ZEROS, ONES, PI)):
        np.testing.assert_array_equal(table[i, i], words(case[2]))
