"""A budget of samples of a changed classifier, spread over the inputs by the cached counts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import smoothcert as sc
from closed_form import half_space
from interruptions import halfway, interrupted
from smoothcert.bounds import allocate_paired, joint_lower_bound, lower_confidence_bound
from smoothcert.errors import CacheCorruptError, CacheMismatchError, InvalidArgumentError
from smoothcert.evaluation import compare
from smoothcert.procedures import CertificationRun
from smoothcert.votes.store import (
    CandidateRecord,
    CertificationCache,
    candidate_folder,
    read_holdouts,
    verify,
    write_candidate,
)

SIGMA, ALPHA, N, N_P = 0.12, 0.001, 4000, 300
X = np.random.default_rng(2).random((40, 3), dtype=np.float32)
X[3, 0], X[30, 0] = 0.999, 0.5  # unanimous votes, and a coin
G = half_space(0.503)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("spread") / "cache"
    certify(folder)
    return folder


def certify(folder: Path) -> CertificationRun:
    return sc.certify(half_space(), X, sigma=SIGMA, n=N, alpha=ALPHA, seed=1, cache=folder)


def recertify(cache: Path, **changes: object) -> sc.Recertification:
    call: dict[str, object] = {"cache": cache, "n_p": N_P, **changes}
    return sc.recertify(G, X, **call)  # type: ignore[arg-type]


def test_each_bound_is_that_of_its_own_number_of_samples(cache: Path, tmp_path: Path) -> None:
    """Counted again from the votes that are kept, with the numbers that follow from the cached counts alone."""
    run = recertify(cache, out=tmp_path / "votes")
    store, own = CertificationCache(cache), CertificationCache(tmp_path / "votes")
    keys = [key for entry in store.entries for key in entry.keys]
    count = np.array([store[key].count for key in keys])
    m = allocate_paired(count, N, N_P, 2 * ALPHA)
    assert (run.spread, run.certificates.n.tolist(), run.pairs.m.tolist()) == ("budget", m.tolist(), m.tolist())
    assert 0.98 * len(X) * N_P < run.timing.samples == m.sum() <= len(X) * N_P
    for i, key in enumerate(keys):
        f, g, c_A = store[key].votes, own[key].votes, store[key].top_class
        branch, bound = run.certificates.branch[i], run.certificates.p_lower[i]  # type: ignore[index]
        assert len(g) == m[i]
        if m[i] == 0:
            assert (branch, bound, run.certificates.prediction[i]) == ("not sampled", 0.0, -1)
            assert np.isnan(run.certificates.zeta[i])  # type: ignore[index]
        elif count[i] == N:
            assert (branch, own[key].start) == ("direct", N)
            assert bound == lower_confidence_bound(int((g == c_A).sum()), int(m[i]), 2 * ALPHA)
        else:
            X1, Y1 = f[: m[i]] == c_A, g == c_A
            expected = joint_lower_bound(
                count[i], N, X1.sum(), (X1 & ~Y1).sum(), (~X1 & Y1).sum(), m[i], 2 * ALPHA
            )
            assert branch == "paired"
            np.testing.assert_allclose(bound, expected, rtol=1e-12)
    assert (m == 0).any()
    assert (count == N).any()


def test_it_certifies_more_than_the_same_for_all(cache: Path) -> None:
    budget, even = (recertify(cache, spread=spread).certificates.radius.mean() for spread in ("budget", "even"))
    assert budget > 1.02 * even


@pytest.mark.parametrize("calls", [1, 3])
def test_an_interrupted_call_continues_to_the_same_bytes(cache: Path, tmp_path: Path, calls: int) -> None:
    call = {"cache": cache, "n_p": N_P, "batch_size": 1000}
    whole = sc.recertify(G, X, **call, out=tmp_path / "whole")  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        sc.recertify(interrupted(G, 2 + calls), X, **call, out=tmp_path / "part")  # type: ignore[arg-type]
    again = sc.recertify(G, X, **call, out=tmp_path / "part")  # type: ignore[arg-type]
    np.testing.assert_array_equal(again.certificates.radius, whole.certificates.radius)
    files = {p.name: p.read_bytes() for p in (tmp_path / "whole").rglob("*") if p.is_file()}
    continued = {p.name: p.read_bytes() for p in (tmp_path / "part").rglob("*") if p.is_file()}
    del files["timings.jsonl"], continued["timings.jsonl"]
    assert continued == files


def test_another_budget_or_spread_is_refused_and_nothing_is_lost(cache: Path, tmp_path: Path) -> None:
    first = recertify(cache, out=tmp_path / "votes")
    with pytest.raises(
        CacheMismatchError, match=r"n = 300, but the call has 400: use the same, or another folder"
    ):
        recertify(cache, n_p=400, out=tmp_path / "votes")
    with pytest.raises(CacheMismatchError, match=r"spread = 'budget', but the call has 'even'"):
        recertify(cache, spread="even", out=tmp_path / "votes")
    with pytest.raises(CacheMismatchError, match="made with other inputs"):
        sc.recertify(G, X[:20], cache=cache, n_p=N_P, out=tmp_path / "votes")
    again = recertify(cache, out=tmp_path / "votes")
    assert again.timing.samples == 0
    np.testing.assert_array_equal(again.certificates.radius, first.certificates.radius)
    recertify(cache, spread="even", out=tmp_path / "even")
    with pytest.raises(CacheMismatchError, match=r"spread = 'even', but the call has 'budget'"):
        recertify(cache, out=tmp_path / "even")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"spread": "odd"}, "spread is 'odd': it must be 'budget' or 'even'"),
        ({"spread": "budget", "bound": "irs"}, "bound 'irs' is proven for an n_p that was fixed"),
        ({"spread": "budget", "bound": sc.Joint(runner_up=True)}, "the runner-up's bound is proven for an n_p"),
        ({"spread": "budget", "n_p": range(100, 200)}, "n_p is a range"),
        ({"n_p": 1, "x": X[[5, 30]]}, r"n_p is 1 for 2 inputs, which certifies none of them .*: use n_p >= \d+"),
    ],
)
def test_what_cannot_be_is_said_before_it_is_begun(
    cache: Path, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    call: dict[str, object] = {"x": X, "cache": cache, "n_p": N_P, "out": tmp_path / "votes", **changes}
    with pytest.raises(InvalidArgumentError, match=message):
        sc.recertify(G, call.pop("x"), **call)  # type: ignore[arg-type]
    assert not (tmp_path / "votes").exists()


@pytest.mark.parametrize(
    "changes", [{"bound": "irs"}, {"bound": sc.Joint(runner_up=True)}, {"n_p": range(100, 400)}]
)
def test_what_needs_one_n_p_has_it(tmp_path: Path, changes: dict[str, object]) -> None:
    certify(tmp_path / "cache")
    run = recertify(tmp_path / "cache", **changes)
    assert (run.spread, set(run.certificates.n.tolist())) == ("even", {N_P})


def test_where_the_base_certifies_nothing_nothing_is_sampled(cache: Path) -> None:
    run = sc.recertify(G, X[[30]], cache=cache, n_p=N_P)
    assert (run.timing.samples, run.certificates.branch[0]) == (0, "not sampled")  # type: ignore[index]


def test_all_samples_that_were_looked_at_are_spent(tmp_path: Path) -> None:
    """Not only the first n_p: some inputs got more, and nobody may hold those out afterwards."""
    certify(tmp_path / "cache")
    run = recertify(tmp_path / "cache")
    last = int(run.pairs.m[~run.pairs.fresh].max())
    assert last > 1.5 * N_P
    assert [(look.start, look.stop) for look in read_holdouts(tmp_path / "cache")] == [(0, last)]
    with pytest.raises(InvalidArgumentError, match=f"samples 0 to {last - 1} of .* looked at before"):
        sc.recertify(half_space(0.51), X, cache=tmp_path / "cache", n_p=range(last - 1, last + 100))
    sc.recertify(half_space(0.51), X, cache=tmp_path / "cache", n_p=range(last, last + 100))


def test_candidates_are_compared_with_what_each_input_got(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    certify(cache)
    run = recertify(cache, out=candidate_folder(cache, "g"))
    record = CandidateRecord(
        spec="g", name="g", description="g", n_p=N_P, alpha_zeta=ALPHA, gamma=0.99, identical=False, bound="auto",
        spread="budget", looked_at=int(run.pairs.m[~run.pairs.fresh].max()),
    )  # fmt: skip
    write_candidate(cache, record)
    [result] = compare(cache, X, np.ones(len(X), np.int64)).candidates
    np.testing.assert_array_equal(result.incremental.radius, run.certificates.radius)
    np.testing.assert_array_equal(result.incremental.n, run.certificates.n)
    assert (result.scratch, result.cost.samples) == (None, run.timing.samples)
    assert all(not folder.damage for folder in verify(cache))
    numbers = candidate_folder(cache, "g") / "guided-plan.json"
    whole = numbers.read_text()
    numbers.write_text(whole.replace('"n": [', '"n": [1, ', 1))
    assert [str(numbers) in damage for folder in verify(cache) for damage in folder.damage] == [True]
    numbers.write_text(whole)
    for change in ({"spread": "even"}, {"n_p": N_P + 1}, {"looked_at": N + 1}):
        write_candidate(cache, replace(record, **change))
        with pytest.raises(CacheCorruptError):
            compare(cache, X, np.ones(len(X), np.int64))


def test_progress_counts_what_is_spent(cache: Path) -> None:
    seen: list[tuple[int, int]] = []
    run = recertify(cache, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (run.timing.samples, run.timing.samples)
    with pytest.raises(KeyboardInterrupt):
        recertify(cache, progress=halfway)
