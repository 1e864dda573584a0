"""Honest caches pass; ground seeds, changed votes and candidates that were fitted to the noise do not."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtr

import smoothcert as sc
from closed_form import by_heart, half_space
from smoothcert.errors import CacheMismatchError, InvalidArgumentError
from smoothcert.noise import input_keys
from smoothcert.procedures.audit import audit
from smoothcert.procedures.audit.consistency import compare_counts
from smoothcert.votes.store import CandidateRecord, CertificationCache, candidate_folder, write_candidate

X = np.random.default_rng(1).random((12, 3), dtype=np.float32)
SIGMA, N, N_P, SEED = 0.25, 2000, 400, 1


@pytest.fixture(scope="module")
def received(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audit") / "received"
    sc.certify(half_space(), X, sigma=SIGMA, n=N, seed=SEED, cache=folder)
    provide(folder, half_space(0.504), "shifted")
    return folder


def provide(folder: Path, candidate: sc.FunctionClassifier, name: str) -> sc.Recertification:
    run = sc.recertify(candidate, X, cache=folder, n_p=N_P, spread="even", out=candidate_folder(folder, name))
    record = CandidateRecord(
        spec=name, name=name, description=name, n_p=N_P, alpha_zeta=0.001, gamma=0.99, identical=False
    )
    write_candidate(folder, record)
    return run


def test_an_honest_cache_passes(received: Path, tmp_path: Path) -> None:
    before = sorted((p, p.stat().st_mtime_ns) for p in received.rglob("*"))
    found = audit(half_space(), half_space(0.504), X, cache=received, seed=77, n_p=N_P, out=tmp_path / "out")
    assert found.passed()
    assert found.findings() == []
    with pytest.raises(InvalidArgumentError, match="level is 0"):
        found.findings(level=0.0)
    assert found.candidate_votes is not None
    assert not found.changed.any()
    assert sorted((p, p.stat().st_mtime_ns) for p in received.rglob("*")) == before, "nothing is written there"
    certificates = found.candidate.certificates
    truth = ndtr(np.abs(X[:, 0] - 0.504) / SIGMA)
    assert (certificates.p_lower <= truth).all()
    assert certificates.certified.any()
    assert "before the auditor chose the seed 77" in certificates.premise


def test_its_certificates_are_those_of_the_auditors_noise(received: Path, tmp_path: Path) -> None:
    found = audit(
        half_space(), half_space(0.504), X, cache=received, seed=77, n_p=N_P, n=1000, out=tmp_path / "out"
    )
    own = sc.certify(half_space(), X, sigma=SIGMA, n=1000, seed=77, cache=tmp_path / "own")
    again = sc.recertify(half_space(0.504), X, cache=tmp_path / "own", n_p=N_P, spread="even")
    np.testing.assert_array_equal(found.base.tally.counts, own.tally.counts)
    np.testing.assert_array_equal(found.candidate.certificates.radius, again.certificates.radius)


def test_it_continues_where_it_was_interrupted(received: Path, tmp_path: Path) -> None:
    call = {"cache": received, "seed": 77, "n_p": N_P, "out": tmp_path / "out"}
    first = audit(half_space(), half_space(0.504), X, **call)  # type: ignore[arg-type]
    second = audit(half_space(), half_space(0.504), X, **call)  # type: ignore[arg-type]
    assert first.base.timing.samples > 0
    assert second.base.timing.samples == second.candidate.timing.samples == 0
    np.testing.assert_array_equal(first.candidate.certificates.p_lower, second.candidate.certificates.p_lower)


def test_a_candidate_fitted_to_the_cached_noise_is_exposed(received: Path, tmp_path: Path) -> None:
    """It gets full radii from the cache, by the cache's rules, and none from the auditor."""
    folder = Path(shutil.copytree(received, tmp_path / "received"))
    table = by_heart(half_space(), X, input_keys(X), CertificationCache(folder).manifest.noise(), N)
    believed = provide(folder, table, "table")
    assert believed.certificates.certified.any()
    found = audit(half_space(), table, X, cache=folder, seed=77, n_p=N_P, out=tmp_path / "out")
    assert not found.candidate.certificates.certified.any()
    assert [text for text in found.findings() if "of the candidate are better" in text]


def test_votes_of_another_model_do_not_repeat(tmp_path: Path) -> None:
    sc.certify(half_space(0.7, fingerprint="f"), X, sigma=SIGMA, n=N, seed=SEED, cache=tmp_path / "received")
    found = audit(
        half_space(fingerprint="f"),
        half_space(0.504),
        X,
        cache=tmp_path / "received",
        seed=77,
        n_p=N_P,
        out=tmp_path / "out",
    )
    assert not found.passed()
    assert "the base is not what made the cache" in found.findings()[0]
    assert "do not repeat" in found.findings()[1]
    assert found.candidate_votes is None


def test_votes_that_were_improved_are_exposed(received: Path, tmp_path: Path) -> None:
    """Where f misses its top class, the provider turned a fifth of the misses into hits."""
    store = CertificationCache(received)
    rng = np.random.default_rng(0)
    rows = []
    for entry in store.entries:
        for row in store.read(entry):
            votes = row.votes.copy()
            missed = votes != row.top_class
            votes[missed & (rng.random(N) < 0.2)] = row.top_class
            rows.append(type(row)(**{**vars(row), "votes": votes, "counts": np.bincount(votes, minlength=2)}))
    order = {key: i for i, key in enumerate(sc.certify(half_space(), X, sigma=SIGMA, n=100, seed=5).keys)}
    rows.sort(key=lambda row: order[row.key])
    fresh = sc.certify(half_space(), X, sigma=SIGMA, n=N, seed=77)
    assert compare_counts(rows, fresh.tally.counts, N, seed=77).p_value < 1e-3


def test_honest_caches_are_rarely_accused() -> None:
    """A hundred honest pairs of runs: the smallest p-value is not too small."""
    p_values = []
    for seed in range(100):
        made = sc.certify(half_space(), X, sigma=SIGMA, n=200, seed=seed)
        other = sc.certify(half_space(), X, sigma=SIGMA, n=150, seed=10_000 + seed)
        rows = [
            _Row(int(top), counts, np.zeros(200))
            for top, counts in zip(made.certificates.top_class, made.tally.counts, strict=True)
        ]
        p_values.append(compare_counts(rows, other.tally.counts, 150, seed=seed).p_value)  # type: ignore[arg-type]
    assert (np.array(p_values) <= 0.05).sum() <= 13  # P(Bin(100, 0.05) > 13) = 3e-4


class _Row:
    def __init__(self, top_class: int, counts: NDArray[np.int64], votes: NDArray[np.float64]) -> None:
        self.top_class, self.counts, self.votes = top_class, counts, votes


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"base": None}, InvalidArgumentError, "base is None: on fresh noise f must be evaluated too"),
        ({"seed": SEED}, InvalidArgumentError, "seed is 1, which is the cache's"),
        ({"base": half_space(0.8)}, CacheMismatchError, "give the model that made the cache"),
        ({"n_p": N + 1}, InvalidArgumentError, "n_p is 2001, but f gets n = 2000"),
        ({"n": 5, "n_p": 5}, InvalidArgumentError, "n is 5"),
        ({"bound": "best"}, InvalidArgumentError, "bound is 'best'"),
        ({"alpha_zeta": 0}, InvalidArgumentError, "alpha_zeta is 0"),
        ({"seed": -1}, InvalidArgumentError, "seed is -1"),
        ({"cache": Path("nowhere")}, CacheMismatchError, "holds no certification cache"),
        ({"x": X[:, :2]}, CacheMismatchError, r"x\[0\] is not in"),
    ],
)
def test_bad_arguments_are_refused(
    received: Path, tmp_path: Path, change: dict[str, object], error: type[Exception], message: str
) -> None:
    call: dict[str, object] = {
        "base": half_space(),
        "candidate": half_space(0.504),
        "x": X,
        "cache": received,
        "seed": 77,
        "n_p": N_P,
        "out": tmp_path / "out",
        **change,
    }
    with pytest.raises(error, match=message):
        audit(call.pop("base"), call.pop("candidate"), call.pop("x"), **call)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()
