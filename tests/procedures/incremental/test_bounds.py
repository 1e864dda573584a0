"""The bounds beyond the paper's, end to end on linear classifiers, where every probability is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import beta, binomtest

import smoothcert as sc
from closed_form import corners, disagreement, half_space
from smoothcert.bounds import lower_confidence_bound
from smoothcert.errors import CacheMismatchError, InvalidArgumentError
from smoothcert.evaluation import compare
from smoothcert.procedures import reserve_holdout, terms_of
from smoothcert.reporting.comparison import comparison_table, curve_table
from smoothcert.votes.store import (
    CandidateRecord,
    CertificationCache,
    candidate_folder,
    read_candidates,
    read_holdouts,
    write_candidate,
)

RNG = np.random.default_rng(2)
X = RNG.random((40, 3), dtype=np.float32)
X[3, 0], X[30, 0] = 0.999, 0.001  # unanimous votes
SIGMA, ALPHA, ALPHA_ZETA, N, M = 0.12, 0.001, 0.001, 4000, 400


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recertificates") / "cache"
    sc.certify(half_space(), X, sigma=SIGMA, n=N, alpha=ALPHA, seed=1, cache=folder)
    return folder


def recertify(cache: Path, shift: float = 0.003, **changes: object) -> sc.Recertification:
    call: dict[str, object] = {"cache": cache, "n_p": M, "spread": "even", "alpha_zeta": ALPHA_ZETA, **changes}
    return sc.recertify(half_space(0.5 + shift), X, **call)  # type: ignore[arg-type]


def test_pairs_count_what_the_candidate_loses_and_wins(cache: Path) -> None:
    """A boundary that moves right takes votes from class 1 and gives them to class 0, and no others."""
    run = recertify(cache, shift=0.02, bound="joint")
    top = run.pairs.top_class
    np.testing.assert_array_equal(run.pairs.n01[top == 1], 0)
    np.testing.assert_array_equal(run.pairs.n10[top == 0], 0)
    np.testing.assert_array_equal(run.pairs.n10 + run.pairs.n01, run.pairs.n_disagree)
    lost = disagreement(X[:, 0], 0.5, 0.52, SIGMA)[top == 1]
    assert binomtest(int(run.pairs.n10[top == 1].sum()), M * len(lost), float(lost.mean())).pvalue > 1e-4


def test_auto_starts_from_scratch_beyond_the_cache_where_votes_were_unanimous(cache: Path) -> None:
    run = recertify(cache, bound="auto")
    unanimous = run.pairs.count == N
    assert unanimous[[3, 30]].all()
    np.testing.assert_array_equal(run.pairs.fresh, unanimous)
    np.testing.assert_array_equal(run.certificates.branch == "direct", unanimous)
    # Samples N .. N + M - 1 of the candidate alone are the same noise.
    alone = sc.certify(half_space(0.503), X, sigma=SIGMA, n=N + M, seed=1, cache=cache.parent / "alone")
    store = CertificationCache(cache.parent / "alone")
    for i in np.flatnonzero(unanimous):
        votes = store[alone.keys[i]].votes[N:]
        own = int((votes == run.pairs.top_class[i]).sum())
        assert run.pairs.n_direct[i] == own
        assert run.certificates.p_lower[i] == lower_confidence_bound(own, M, ALPHA + ALPHA_ZETA)


@pytest.mark.parametrize(
    "changes", [{"n_p": 40}, {"shift": 0.6}, {"bound": sc.Joint(together=5)}, {"n_p": range(900, 1300)}]
)
def test_which_side_of_the_gate_follows_from_the_cache_alone(cache: Path, changes: dict[str, object]) -> None:
    """Neither how many samples are paired nor what the candidate does on other inputs may turn it."""
    folder = cache.parent / f"gate {changes}"
    sc.certify(half_space(), X, sigma=SIGMA, n=N, alpha=ALPHA, seed=1, cache=folder)
    run = recertify(folder, **changes)  # type: ignore[arg-type]
    np.testing.assert_array_equal(run.pairs.fresh, run.pairs.count == N)


def test_auto_is_continued_where_it_stopped(cache: Path, tmp_path: Path) -> None:
    whole = recertify(cache, bound="auto", out=tmp_path / "whole")
    sc.recertify(
        half_space(0.503), X[:20], cache=cache, n_p=M, spread="even", alpha_zeta=ALPHA_ZETA, out=tmp_path / "out"
    )
    again = recertify(cache, bound="auto", out=tmp_path / "out")
    assert again.timing.samples == 20 * M
    np.testing.assert_array_equal(again.certificates.radius, whole.certificates.radius)
    with pytest.raises(CacheMismatchError, match="needs votes on the cache's noise"):
        recertify(cache, bound="joint", out=tmp_path / "out")


@pytest.mark.parametrize("bound", ["joint", "auto"])
def test_bounds_stay_below_the_truth(cache: Path, bound: str) -> None:
    """40 inputs at a total of 0.002: a failure has probability 0.08 in all, and this seed has none."""
    run = recertify(cache, bound=bound)
    distance = np.abs(X[:, 0] - 0.503)
    found = run.certificates
    assert (found.radius <= distance).all()
    np.testing.assert_array_equal(found.prediction[found.certified], (X[:, 0] > 0.503)[found.certified])


def test_the_runner_up_certifies_what_others_share(tmp_path: Path) -> None:
    """At probability 0.48 of class 0 the others have at most 0.2 each: only the runner-up form sees it."""
    x = np.full((1, 2), 0.5, np.float32)
    x[0, 0] = 0.5 + SIGMA * ndtri(0.48)
    f = corners()
    plain = sc.certify(f, x, sigma=SIGMA, n=N, seed=1, cache=tmp_path / "c").certificates
    found = sc.certify(f, x, sigma=SIGMA, n=N, seed=1, runner_up=True).certificates
    assert plain.prediction[0] == -1
    assert found.prediction[0] == 0
    counts = sc.certify(f, x, sigma=SIGMA, n=N, seed=1).tally.counts[0]
    p_A = beta.ppf(0.0005, counts[0], N - counts[0] + 1)
    p_B = beta.ppf(1 - 0.0005, counts[1:].max() + 1, N - counts[1:].max())
    assert found.radius[0] == pytest.approx(SIGMA / 2 * (ndtri(p_A) - ndtri(p_B)), rel=1e-8)
    assert found.runner_up is not None
    assert found.runner_up[0] == pytest.approx(p_B, rel=1e-8)
    again = sc.recertify(f, x, cache=tmp_path / "c", n_p=3000, bound=sc.Joint(runner_up=True)).certificates
    assert again.prediction[0] == 0
    assert again.radius[0] > 0
    assert sc.recertify(f, x, cache=tmp_path / "c", n_p=3000).certificates.prediction[0] == -1


def test_with_two_classes_the_runner_up_is_the_rest(cache: Path) -> None:
    found = recertify(cache, bound=sc.Joint(afresh=False, runner_up=True)).certificates
    assert found.runner_up is not None
    np.testing.assert_array_equal(found.runner_up, np.nextafter(1 - found.p_lower, 2))
    plain = recertify(cache, bound="joint").certificates
    assert (found.radius <= plain.radius + 1e-9).all(), "half of alpha each, and nothing to gain"


def test_a_decision_takes_few_samples_and_claims_no_more_than_is_true(cache: Path, tmp_path: Path) -> None:
    run = sc.recertify_at_radius(half_space(0.503), X, 0.1, cache=cache, out=tmp_path / "votes")
    found = run.certificates
    distance = np.abs(X[:, 0] - 0.503)
    assert found.certified[distance > 0.14].all()
    assert not found.certified[distance <= 0.1].any()
    np.testing.assert_array_equal(found.radius, np.where(found.certified, 0.1, 0.0))
    assert run.timing.samples == found.n.sum() < N * len(X) / 20
    again = sc.recertify_at_radius(half_space(0.503), X, 0.1, cache=cache, out=tmp_path / "votes")
    assert again.timing.samples == 0
    np.testing.assert_array_equal(again.certificates.n, found.n)
    with pytest.raises(InvalidArgumentError, match="unanimous votes certify no more than"):
        sc.recertify_at_radius(half_space(0.503), X, 1.0, cache=cache)


def test_a_held_out_range_serves_once(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    sc.certify(half_space(), X, sigma=SIGMA, n=N, alpha=ALPHA, seed=1, cache=folder)
    run = recertify(folder, n_p=range(1000, 1500))
    assert "samples 1000 to 1500" in run.certificates.premise
    np.testing.assert_array_equal(
        recertify(folder, n_p=range(1000, 1500)).certificates.radius, run.certificates.radius
    )
    with pytest.raises(
        InvalidArgumentError, match=r"samples 1400 to 1599 .* samples 1000 to 1499 .* from 1500 on"
    ):
        recertify(folder, shift=0.004, n_p=range(1400, 1600))
    reserve_holdout(folder, range(1500, 1700), [half_space(0.504), half_space(0.505)])
    for shift in (0.004, 0.005):
        recertify(folder, shift=shift, n_p=range(1500, 1700))
    with pytest.raises(InvalidArgumentError, match="from 1700 on"):
        recertify(folder, shift=0.006, n_p=range(1500, 1700))
    assert [(h.start, h.stop) for h in read_holdouts(folder)] == [(1000, 1500), (1500, 1700)]


def test_held_out_votes_are_those_of_the_range(cache: Path, tmp_path: Path) -> None:
    folder = tmp_path / "c"
    sc.certify(half_space(), X, sigma=SIGMA, n=N, alpha=ALPHA, seed=1, cache=folder)
    run = recertify(folder, bound="joint", n_p=range(1000, 1500))
    store = CertificationCache(folder)
    base = sc.certify(half_space(), X, sigma=SIGMA, n=N, seed=1, cache=folder, alpha=ALPHA)
    k1 = [
        int((store[key].votes[1000:1500] == top).sum())
        for key, top in zip(base.keys, run.pairs.top_class, strict=True)
    ]
    np.testing.assert_array_equal(run.pairs.k1, k1)


def test_certificates_that_hold_together_cost_less_than_alpha_by_their_number(cache: Path) -> None:
    alone = recertify(cache, bound="joint").certificates.p_lower
    together = recertify(cache, bound=sc.Joint(afresh=False, together=10))
    found = together.certificates
    assert found.together == 10
    assert (found.p_lower <= alone + 1e-12).all()
    assert found.p_lower.mean() < alone.mean()
    assert "so were the other 9 of the 10" in found.premise
    with pytest.raises(InvalidArgumentError, match="together is 2, which is not proven with the runner-up"):
        sc.Joint(together=2, runner_up=True)
    with pytest.raises(InvalidArgumentError, match="together is 0"):
        sc.Joint(together=0)


@pytest.mark.parametrize(
    ("changes", "fixed"),
    [
        ({"bound": "irs"}, True),
        ({"bound": sc.Joint(runner_up=True)}, True),
        ({}, False),
        ({"bound": "joint"}, False),
    ],
)
def test_a_certificate_says_whether_n_p_had_to_be_fixed(
    cache: Path, changes: dict[str, object], fixed: bool
) -> None:
    premise = recertify(cache, **changes).certificates.premise  # type: ignore[arg-type]
    assert ("n_p was fixed without looking at the cached votes" in premise) == fixed


def record(**changes: object) -> CandidateRecord:
    fields: dict[str, object] = {
        "spec": "moved",
        "name": "moved",
        "description": "",
        "n_p": M,
        "alpha_zeta": ALPHA_ZETA,
        "gamma": 0.99,
        "identical": False,
        **changes,
    }
    return CandidateRecord(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(("bound", "together"), [("auto", 4), ("joint", 4), ("one-sided", 1), ("irs", 1)])
def test_a_record_of_a_group_that_is_not_proven_counts_for_itself(bound: str, together: int) -> None:
    assert terms_of(record(bound=bound, together=4)).together == together


@pytest.mark.parametrize("gamma", [0.95, 1, "auto"])
def test_a_record_keeps_the_threshold_that_was_used(gamma: float | str) -> None:
    assert terms_of(record(bound="irs", gamma=gamma)).bound == sc.Irs(gamma=gamma)  # type: ignore[arg-type]


def test_a_record_of_an_unknown_bound_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="bound of candidate 'moved' is 'two-sided': it must be one of"):
        terms_of(record(bound="two-sided"))


@pytest.mark.parametrize("runner_up", [False, True])
def test_a_candidate_of_the_removed_bound_is_compared_by_the_joint_one(tmp_path: Path, runner_up: bool) -> None:
    cache = tmp_path / "cache"
    sc.certify(half_space(), X, sigma=SIGMA, n=N, alpha=ALPHA, seed=1, cache=cache)
    votes = candidate_folder(cache, "moved")
    joint = recertify(cache, bound=sc.Joint(afresh=False, runner_up=runner_up), out=votes).certificates
    write_candidate(cache, record(bound="one-sided", runner_up=runner_up))
    assert [found.bound for found in read_candidates(cache)] == ["one-sided"]
    comparison = compare(cache, X, np.ones(len(X), np.int64))
    [result] = comparison.candidates
    np.testing.assert_array_equal(result.incremental.radius, joint.radius)
    assert result.incremental.alpha_split == joint.alpha_split
    assert comparison_table(comparison).rows[1][:2] == ["moved", "joint"]
    assert {row[1] for row in curve_table(comparison).rows} == {"joint", "scratch, expected"}


def test_votes_of_a_candidate_that_started_elsewhere_are_no_base(tmp_path: Path) -> None:
    """On them, sample i of the call would be paired with another sample than the i-th vote is of."""
    cache = tmp_path / "cache"
    sc.certify(half_space(), X, sigma=SIGMA, n=2000, n0=20, cache=cache)
    sc.recertify(half_space(0.504), X, cache=cache, n_p=range(1000, 1500), n0=20, out=tmp_path / "votes")
    with pytest.raises(CacheMismatchError, match="start at sample 1000, not at 0"):
        sc.recertify(half_space(0.505), X, cache=tmp_path / "votes", n_p=200, bound="joint")
