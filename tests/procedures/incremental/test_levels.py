"""How certificates from cached votes divide the failure probability, by SciPy's quantiles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import beta

import smoothcert as sc
from closed_form import constant, half_space, invalid
from smoothcert.bounds import joint_lower_bound
from smoothcert.errors import CacheMismatchError
from smoothcert.procedures import Bound, Terms, recertificates
from smoothcert.votes import PairedCounts
from smoothcert.votes.store import CertificationCache

X = np.random.default_rng(2).random((12, 3), dtype=np.float32)
X[[3, 7, 9], 0] = 0.999, 0.001, 0.998  # unanimous votes
SIGMA, ALPHA, ALPHA_ZETA, N, M = 0.12, 0.001, 0.001, 4000, 400


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("levels") / "cache"
    sc.certify(half_space(), X, sigma=SIGMA, n=N, alpha=ALPHA, seed=1, cache=folder)
    return folder


def recertify(cache: Path, bound: Bound) -> sc.Recertification:
    return sc.recertify(
        half_space(0.503), X, cache=cache, n_p=M, spread="even", alpha_zeta=ALPHA_ZETA, bound=bound
    )


@pytest.mark.parametrize("bound", ["auto", "joint", "irs", sc.Joint(runner_up=True), sc.Joint(together=7)])
def test_alpha_is_spent_once(cache: Path, bound: Bound) -> None:
    found = recertify(cache, bound).certificates
    assert found.alpha == ALPHA + ALPHA_ZETA
    assert sum(found.alpha_split.values()) == pytest.approx(ALPHA + ALPHA_ZETA, rel=1e-12)


@pytest.mark.parametrize("together", [1, 2, 7])
def test_the_premise_names_the_candidates_that_it_holds_together_with(cache: Path, together: int) -> None:
    found = recertify(cache, sc.Joint(together=together)).certificates
    assert found.together == together
    assert (f"so were the other {together - 1} of the {together} " in found.premise) == (together > 1)


def test_of_candidates_that_hold_together_each_fresh_start_has_its_share_of_alpha(cache: Path) -> None:
    """Votes of f that were unanimous say nothing more, so the union bound over the candidates is all there is."""
    run = recertify(cache, sc.Joint(together=10))
    fresh, own = run.pairs.fresh, run.pairs.n_direct
    assert fresh.sum() > 2
    expected = beta.ppf((ALPHA + ALPHA_ZETA) / 10, own[fresh], M - own[fresh] + 1)
    np.testing.assert_allclose(run.certificates.p_lower[fresh], expected, rtol=1e-9)


@pytest.mark.parametrize("afresh", [True, False])
def test_the_runner_up_is_bounded_on_each_side_of_the_gate(cache: Path, afresh: bool) -> None:
    """At half of alpha; where two sides could be taken, each at half of that half."""
    alpha = (ALPHA + ALPHA_ZETA) / 2
    level = alpha / 2 if afresh else alpha
    pairs = PairedCounts(
        top_class=np.array([0, 0]),
        counts=np.array([[2400, 1000, 600], [N, 0, 0]]),
        own=np.array([[240, 90, 70], [260, 90, 50]]),
        paired=np.array([[244, 92, 64], [0, 0, 0]]),
        lost=np.array([[8, 6, 1], [0, 0, 0]]),
        n_disagree=np.array([15, 0]),
        fresh=np.array([False, True]),
        n=N,
        m=np.array([M, M]),
    ).take(slice(2 if afresh else 1))
    terms = Terms(bound=sc.Joint(afresh=afresh, runner_up=True), alpha_zeta=ALPHA_ZETA)
    found, _ = recertificates(pairs, CertificationCache(cache).manifest, terms)
    # "Not 1": f voted for 0 or 2. Of these votes f^p lost own - paired + lost, and it won what 1 lost.
    others = [joint_lower_bound(N - 1000, N, M - 92, 90 - 92 + 6, 6, M, level)]
    others += [joint_lower_bound(N - 600, N, M - 64, 70 - 64 + 1, 1, M, level)]
    expected = [1 - float(min(np.ravel(bound)[0] for bound in others))]
    if afresh:
        expected.append(float(beta.ppf(1 - level, 91, M - 90)))
        assert found.p_lower[1] == pytest.approx(beta.ppf(alpha, 260, M - 259), rel=1e-9)
    assert found.runner_up is not None
    np.testing.assert_allclose(found.runner_up, expected, rtol=1e-9)


def test_votes_on_fresh_noise_serve_no_bound_that_pairs(cache: Path) -> None:
    """They agree with nothing, which is not to be taken for agreement."""
    run, manifest = recertify(cache, "auto"), CertificationCache(cache).manifest
    assert run.pairs.fresh.any()
    for bound in (sc.Irs(gamma=1.0), sc.Joint(afresh=False)):
        with pytest.raises(
            CacheMismatchError, match=f"but {run.pairs.fresh.sum()} inputs have votes on fresh noise"
        ):
            recertificates(run.pairs, manifest, Terms(bound=bound))
    found, _ = recertificates(run.pairs, manifest, Terms(bound=sc.Irs(gamma=0.9)))
    assert found.branch is not None
    assert set(found.branch[run.pairs.fresh]) == {"direct"}


@pytest.mark.parametrize("bound", ["auto", "joint", "irs", sc.Joint(runner_up=True)])
def test_an_input_without_a_class_is_not_certified(tmp_path: Path, bound: Bound) -> None:
    """Whatever the candidate votes: there is no class that the cache could speak of."""
    sc.certify(invalid(), X[:2], sigma=SIGMA, n=N, alpha=ALPHA, seed=1, cache=tmp_path / "c")
    found = sc.recertify(constant(1), X[:2], cache=tmp_path / "c", n_p=M, bound=bound).certificates
    assert set(found.reason) == {"no valid selection vote"}
    for name in ("prediction", "top_class"):
        assert getattr(found, name).tolist() == [-1, -1]
    for name in ("radius", "p_lower", "count"):
        assert getattr(found, name).tolist() == [0, 0]
