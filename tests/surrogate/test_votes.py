from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from closed_form_surrogate import SIGMA, classifier, inputs
from scipy.special import ndtr

import smoothcert as sc
from closed_form import invalid_beyond
from interruptions import halfway
from smoothcert.errors import CacheMismatchError, InvalidArgumentError
from smoothcert.surrogate import read_votes
from smoothcert.votes.store import CertificationCache


def test_shares_follow_the_known_probabilities_and_read_back(tmp_path: Path) -> None:
    x = inputs(40, 0)
    data = sc.collect_votes(classifier(), x, sigma=SIGMA, n=2000, cache=tmp_path)
    p = ndtr((x[:, 0].astype(np.float64) - 0.5) / SIGMA)
    np.testing.assert_allclose(data.shares()[:, 1], p, atol=5 * np.sqrt(0.25 / 2000))
    again = read_votes(tmp_path, x[::-1])
    np.testing.assert_array_equal(again.counts, data.counts[::-1])
    assert CertificationCache(tmp_path).manifest.n0 == 0


def test_votes_are_not_those_that_certify_counts(tmp_path: Path) -> None:
    """Under one seed too: each purpose has noise of its own. Those of a certification can be read all the same."""
    x = inputs(10, 0)
    data = sc.collect_votes(classifier(), x, sigma=SIGMA, n=300, cache=tmp_path / "votes")
    run = sc.certify(classifier(), x, sigma=SIGMA, n0=50, n=300, cache=tmp_path / "base")
    assert (data.counts != run.tally.counts).any()
    np.testing.assert_array_equal(read_votes(tmp_path / "base", x).counts, run.tally.counts)
    with pytest.raises(CacheMismatchError, match="votes to fit a surrogate to"):
        sc.recertify(classifier(), x, cache=tmp_path / "votes", n_p=100)


def test_votes_that_an_older_version_began_go_on_as_they_were(tmp_path: Path) -> None:
    x = inputs(4, 0)
    sc.collect_votes(classifier(), x[:2], sigma=SIGMA, n=300, cache=tmp_path / "new")
    old = replace(
        CertificationCache(tmp_path / "new").manifest, purpose="estimation", identity={}, format_version=2
    )
    with CertificationCache.writing(tmp_path / "votes", old):
        pass
    data = sc.collect_votes(classifier(), x, sigma=SIGMA, n=300, cache=tmp_path / "votes")
    np.testing.assert_array_equal(data.counts, sc.certify(classifier(), x, sigma=SIGMA, n=300).tally.counts)


def test_invalid_votes_take_a_share_of_their_own(tmp_path: Path) -> None:
    f = invalid_beyond(classifier(), 1, 0.9)
    x = inputs(20, 1)
    data = sc.collect_votes(f, x, sigma=SIGMA, n=2000, cache=tmp_path)
    shares = data.shares()
    assert shares.shape == (20, 3)
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
    p = ndtr((x[:, 1].astype(np.float64) - 0.9) / SIGMA)
    np.testing.assert_allclose(shares[:, 2], p, atol=5 * np.sqrt(0.25 / 2000))


def test_an_interrupted_call_continues(tmp_path: Path) -> None:
    x = inputs(400, 2)

    with pytest.raises(KeyboardInterrupt):
        sc.collect_votes(classifier(), x, sigma=SIGMA, n=1000, cache=tmp_path / "a", progress=halfway)
    done: list[int] = []
    sc.collect_votes(
        classifier(), x, sigma=SIGMA, n=1000, cache=tmp_path / "a", progress=lambda _, total: done.append(total)
    )
    whole = sc.collect_votes(classifier(), x, sigma=SIGMA, n=1000, cache=tmp_path / "b")
    np.testing.assert_array_equal(read_votes(tmp_path / "a", x).counts, whole.counts)
    assert CertificationCache(tmp_path / "a").digest == CertificationCache(tmp_path / "b").digest
    assert done[-1] < 400_000


def test_bad_calls_are_named(tmp_path: Path) -> None:
    x = inputs(10, 0)
    with pytest.raises(InvalidArgumentError, match="n is 0"):
        sc.collect_votes(classifier(), x, sigma=SIGMA, n=0, cache=tmp_path)
    sc.collect_votes(classifier(), x, sigma=SIGMA, n=10, cache=tmp_path)
    with pytest.raises(CacheMismatchError, match="not in"):
        read_votes(tmp_path, inputs(10, 3))
    with pytest.raises(CacheMismatchError, match="sigma"):
        sc.collect_votes(classifier(), x, sigma=0.5, n=10, cache=tmp_path)
    with pytest.raises(CacheMismatchError, match="no certification cache"):
        read_votes(tmp_path / "none", x)
