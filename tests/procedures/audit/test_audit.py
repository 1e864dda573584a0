"""Honest caches pass; ground seeds, changed votes and candidates that were fitted to the noise do not."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtr

import smoothcert as sc
from smoothcert.errors import CacheMismatchError, InvalidArgumentError
from smoothcert.noise import Purpose, input_keys
from smoothcert.procedures.audit import audit
from smoothcert.procedures.audit.consistency import compare_counts
from smoothcert.votes.store import CandidateRecord, CertificationCache, candidate_folder, write_candidate

X = np.random.default_rng(1).random((12, 3), dtype=np.float32)
SIGMA, N, N_P, SEED = 0.25, 2000, 400, 1


def linear(shift: float = 0.0, name: str | None = None) -> sc.FunctionClassifier:
    def logits(batch: NDArray[np.float32]) -> NDArray[np.float64]:
        score = batch[:, 0].astype(np.float64) - 0.5 - shift
        return np.stack([-score, score], axis=1)

    return sc.FunctionClassifier(logits, num_classes=2, fingerprint=name or f"x0 > 1/2 + {shift}")


def fitted(cache: CertificationCache) -> sc.FunctionClassifier:
    """Agrees with f on all cached noise, and returns the other class elsewhere."""
    known: dict[bytes, int] = {}
    noise = cache.manifest.noise()
    for x, key in zip(X, input_keys(X), strict=True):
        batch = np.empty((N, *x.shape), np.float32)
        noise.perturb(x, key, Purpose.ESTIMATION, 0, batch)
        known |= {row.tobytes(): int(vote) for row, vote in zip(batch, cache[key].votes, strict=True)}

    def logits(batch: NDArray[np.float32]) -> NDArray[np.float64]:
        base = (batch[:, 0].astype(np.float64) > 0.5).astype(int)
        label = np.array([known.get(row.tobytes(), 1 - b) for row, b in zip(batch, base, strict=True)])
        return np.stack([label == 0, label == 1], axis=1).astype(np.float64)

    return sc.FunctionClassifier(logits, num_classes=2, fingerprint="a look-up table")


@pytest.fixture(scope="module")
def received(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audit") / "received"
    sc.certify(linear(), X, sigma=SIGMA, n=N, seed=SEED, cache=folder)
    provide(folder, linear(0.004), "shifted")
    return folder


def provide(folder: Path, candidate: sc.FunctionClassifier, name: str) -> sc.Recertification:
    run = sc.recertify(candidate, X, cache=folder, n_p=N_P, out=candidate_folder(folder, name))
    record = CandidateRecord(
        spec=name, name=name, description=name, n_p=N_P, alpha_zeta=0.001, gamma=0.99, identical=False
    )
    write_candidate(folder, record)
    return run


def test_an_honest_cache_passes(received: Path, tmp_path: Path) -> None:
    before = sorted((p, p.stat().st_mtime_ns) for p in received.rglob("*"))
    found = audit(linear(), linear(0.004), X, cache=received, seed=77, n_p=N_P, out=tmp_path / "out")
    assert found.passed
    assert found.findings == []
    assert found.candidate_votes is not None
    assert not found.changed.any()
    assert sorted((p, p.stat().st_mtime_ns) for p in received.rglob("*")) == before, "nothing is written there"
    certificates = found.candidate.certificates
    truth = ndtr(np.abs(X[:, 0] - 0.5 - 0.004) / SIGMA)
    assert (certificates.p_lower <= truth).all()
    assert certificates.certified.any()
    assert "before the auditor chose the seed 77" in certificates.premise


def test_its_certificates_are_those_of_the_auditors_noise(received: Path, tmp_path: Path) -> None:
    found = audit(linear(), linear(0.004), X, cache=received, seed=77, n_p=N_P, n=1000, out=tmp_path / "out")
    own = sc.certify(linear(), X, sigma=SIGMA, n=1000, seed=77, cache=tmp_path / "own")
    again = sc.recertify(linear(0.004), X, cache=tmp_path / "own", n_p=N_P)
    np.testing.assert_array_equal(found.base.tally.counts, own.tally.counts)
    np.testing.assert_array_equal(found.candidate.certificates.radius, again.certificates.radius)


def test_it_continues_where_it_was_interrupted(received: Path, tmp_path: Path) -> None:
    call = {"cache": received, "seed": 77, "n_p": N_P, "out": tmp_path / "out"}
    first = audit(linear(), linear(0.004), X, **call)  # type: ignore[arg-type]
    second = audit(linear(), linear(0.004), X, **call)  # type: ignore[arg-type]
    assert first.base.timing.samples > 0
    assert second.base.timing.samples == second.candidate.timing.samples == 0
    np.testing.assert_array_equal(first.candidate.certificates.p_lower, second.candidate.certificates.p_lower)


def test_a_candidate_fitted_to_the_cached_noise_is_exposed(received: Path, tmp_path: Path) -> None:
    """It gets full radii from the cache, by the cache's rules, and none from the auditor."""
    folder = Path(shutil.copytree(received, tmp_path / "received"))
    table = fitted(CertificationCache(folder))
    believed = provide(folder, table, "table")
    assert believed.certificates.certified.any()
    found = audit(linear(), table, X, cache=folder, seed=77, n_p=N_P, out=tmp_path / "out")
    assert not found.candidate.certificates.certified.any()
    assert [text for text in found.findings if "of the candidate are better" in text]


def test_votes_of_another_model_do_not_repeat(tmp_path: Path) -> None:
    sc.certify(linear(0.2, name="f"), X, sigma=SIGMA, n=N, seed=SEED, cache=tmp_path / "received")
    found = audit(
        linear(name="f"), linear(0.004), X, cache=tmp_path / "received", seed=77, n_p=N_P, out=tmp_path / "out"
    )
    assert not found.passed
    assert "the base is not what made the cache" in found.findings[0]
    assert "do not repeat" in found.findings[1]
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
    order = {key: i for i, key in enumerate(sc.certify(linear(), X, sigma=SIGMA, n=100, seed=5).keys)}
    rows.sort(key=lambda row: order[row.key])
    fresh = sc.certify(linear(), X, sigma=SIGMA, n=N, seed=77)
    assert compare_counts(rows, fresh.tally.counts, N, seed=77).p_value < 1e-3


def test_honest_caches_are_rarely_accused() -> None:
    """A hundred honest pairs of runs: the smallest p-value is not too small."""
    p_values = []
    for seed in range(100):
        made = sc.certify(linear(), X, sigma=SIGMA, n=200, seed=seed)
        other = sc.certify(linear(), X, sigma=SIGMA, n=150, seed=10_000 + seed)
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
        ({"base": linear(0.3)}, CacheMismatchError, "give the model that made the cache"),
        ({"n_p": N + 1}, InvalidArgumentError, "n_p is 2001, but f gets n = 2000"),
        ({"n": 5, "n_p": 5}, InvalidArgumentError, "n is 5"),
        ({"bound": "best"}, InvalidArgumentError, "bound is 'best'"),
        ({"alpha_zeta": 0}, InvalidArgumentError, "alpha_zeta is 0"),
        ({"level": 0.0}, InvalidArgumentError, "level is 0"),
        ({"seed": -1}, InvalidArgumentError, "seed is -1"),
        ({"cache": Path("nowhere")}, CacheMismatchError, "holds no certification cache"),
        ({"x": X[:, :2]}, CacheMismatchError, r"x\[0\] is not in"),
    ],
)
def test_bad_arguments_are_refused(
    received: Path, tmp_path: Path, change: dict[str, object], error: type[Exception], message: str
) -> None:
    call: dict[str, object] = {
        "base": linear(),
        "candidate": linear(0.004),
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
