"""Which samples a candidate votes on, and for whom they are held out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import smoothcert as sc
from closed_form import half_space
from smoothcert.errors import InvalidArgumentError
from smoothcert.procedures.incremental import require_samples, reserve_holdout
from smoothcert.votes.store import read_holdouts


@pytest.mark.parametrize(
    ("n_p", "first", "last"),
    [(1, 0, 0), (70, 0, 69), (range(70), 0, 69), (range(5, 6), 5, 5), (range(9, 40), 9, 39)],
)
def test_they_are_the_first_or_those_of_a_range(n_p: int | range, first: int, last: int) -> None:
    samples = require_samples(n_p)
    assert (samples[0], samples[-1]) == (first, last)


@pytest.mark.parametrize(
    "n_p", [range(-5, 5), range(-1, 1), range(5, 5), range(9, 5), range(0, 9, 3), range(9, 5, -1)]
)
def test_other_ranges_are_refused(n_p: range) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^n_p is range.* give range\(start, stop\)"):
        require_samples(n_p)


def test_a_range_is_held_out_up_to_the_last_sample_and_for_classifiers(tmp_path: Path) -> None:
    sc.certify(half_space(), np.full((1, 2), 0.8), sigma=0.5, n=100, cache=tmp_path / "c")
    with pytest.raises(InvalidArgumentError, match=r"n_p is range\(60, 101\), but .* holds n = 100"):
        reserve_holdout(tmp_path / "c", range(60, 101), [half_space(0.6)])
    with pytest.raises(InvalidArgumentError, match="candidates is a function: give FunctionClassifier"):
        reserve_holdout(tmp_path / "c", range(60, 100), [half_space(0.6), lambda batch: batch])  # type: ignore[list-item]
    assert read_holdouts(tmp_path / "c") == []
    reserve_holdout(tmp_path / "c", range(60, 100), [half_space(0.6), half_space(0.7)])
    [held] = read_holdouts(tmp_path / "c")
    assert (held.start, held.stop, len(held.candidates)) == (60, 100, 2)
