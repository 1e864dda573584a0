from __future__ import annotations

import errno
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import beta

import smoothcert as sc
from closed_form import disagreement, half_space, invalid_beyond
from smoothcert.errors import CacheError, CacheMismatchError, InvalidArgumentError
from smoothcert.procedures import Terms, recertificates
from smoothcert.procedures.incremental import GAMMA_GRID
from smoothcert.sampling.identity import probe_batch
from smoothcert.votes.store import CertificationCache, holdouts

RNG = np.random.default_rng(1)
X = RNG.random((30, 3), dtype=np.float32)
SIGMA, ALPHA, ALPHA_ZETA, N, N_P = 0.25, 0.001, 0.002, 4000, 600


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("incremental") / "cache"
    sc.certify(half_space(), X, sigma=SIGMA, n=N, alpha=ALPHA, seed=1, cache=folder)
    return folder


def recertify(cache: Path, candidate: sc.Classifier, x: object = X, **changes: object) -> sc.Recertification:
    call: dict[str, object] = {"cache": cache, "n_p": N_P, "alpha_zeta": ALPHA_ZETA, "bound": "irs", **changes}
    return sc.recertify(candidate, x, **call)  # type: ignore[arg-type]


def test_it_is_algorithms_2_and_3(cache: Path) -> None:
    """Line by line and input by input, with SciPy's quantiles and a certification of the candidate alone."""
    candidate = half_space(0.504)
    run = recertify(cache, candidate, bound=sc.Irs(gamma=0.95))
    base = sc.certify(half_space(), X, sigma=SIGMA, n=N, alpha=ALPHA, seed=1)
    store = CertificationCache(cache)
    alone = sc.certify(candidate, X, sigma=SIGMA, n=N_P, alpha=ALPHA, seed=1)
    branches = set()
    for i, key in enumerate(base.keys):
        c_A, k = base.certificates.top_class[i], int(base.certificates.count[i])
        p_A = float(beta.ppf(ALPHA, k, N - k + 1))
        n_delta = abs(
            int((store[key].votes[:N_P] == 1).sum()) - int(alone.tally.counts[i, 1])
        )  # a shift flips one way
        assert run.pairs.n_disagree[i] == n_delta
        if p_A < 0.95:
            p_lower = p_A - float(beta.ppf(1 - ALPHA_ZETA, n_delta + 1, N_P - n_delta))
        else:
            own = int(alone.tally.counts[i, c_A])
            p_lower = float(beta.ppf(ALPHA, own, N_P - own + 1))
        branches.add(str(run.certificates.branch[i]))  # type: ignore[index]
        assert run.certificates.p_lower[i] == pytest.approx(max(p_lower, 0), rel=1e-9, abs=1e-12)
        assert run.certificates.prediction[i] == (c_A if p_lower > 0.5 else -1)
        assert run.certificates.radius[i] == pytest.approx(SIGMA * ndtri(max(p_lower, 0.5)), abs=1e-9)
    assert branches == {"zeta", "direct"}
    assert run.certificates.alpha == ALPHA + ALPHA_ZETA


def test_the_cached_class_is_certified_even_where_the_candidate_prefers_another(cache: Path) -> None:
    """Far from f, f^p certifies nothing: never its own majority class."""
    run = recertify(cache, half_space(0.8), bound=sc.Irs(gamma=1.0))
    base = sc.certify(half_space(), X, sigma=SIGMA, n=N, alpha=ALPHA, seed=1).certificates
    certified = run.certificates.certified
    np.testing.assert_array_equal(run.certificates.prediction[certified], base.prediction[certified])
    between = (X[:, 0] > 0.5) & (X[:, 0] < 0.8)
    assert between.any()
    assert not certified[between].any()


def test_disagreement_is_the_known_probability(cache: Path) -> None:
    run = recertify(cache, half_space(0.55))
    truth = disagreement(X[:, 0], 0.5, 0.55, SIGMA)
    assert (np.asarray(run.certificates.zeta) >= truth).all()
    expected = truth.sum() * N_P
    assert abs(run.pairs.n_disagree.sum() - expected) < 5 * np.sqrt(expected)


def test_an_identical_candidate_is_reported(cache: Path) -> None:
    again = half_space(fingerprint="a second name for the same")
    assert recertify(cache, half_space()).identical
    assert recertify(cache, again, base=half_space()).identical
    assert not recertify(cache, half_space(0.504), base=half_space()).identical
    assert not recertify(cache, again).identical, "without the base only the fingerprint can tell"


def test_one_vote_that_differs_is_no_identity(cache: Path) -> None:
    """Though the outputs around the first input are the same."""
    order = np.argsort(X[:, 2])
    candidate = invalid_beyond(half_space(), 2, 1.4)  # which noise of 0.25 reaches from the last inputs
    run = recertify(cache, candidate, X[order], base=half_space(), bound="joint")
    assert run.pairs.n_disagree[0] == 0 < run.pairs.n_disagree.max()
    assert not run.identical
    assert recertify(cache, candidate, X[order[:1]], base=half_space(), bound="joint").identical


def test_another_base_is_refused(cache: Path) -> None:
    with pytest.raises(CacheMismatchError, match="votes of another classifier under the fingerprint"):
        recertify(cache, half_space(0.504), X[X[:, 0] < 0.6], base=half_space(1.0))


def test_a_base_that_votes_otherwise_is_refused(cache: Path) -> None:
    """Also where it computes the same for the fixed inputs by which classifiers are identified."""
    f, probe = half_space(), probe_batch((3,), CertificationCache(cache).manifest.noise())

    def unlike_elsewhere(batch: NDArray[np.float32]) -> NDArray[np.floating]:
        return f.function(batch) if np.isin(batch, probe).all() else -f.function(batch)

    liar = sc.FunctionClassifier(unlike_elsewhere, 2, f.fingerprint)
    with pytest.raises(CacheMismatchError, match="does not repeat: 64 of 64 cached votes"):
        recertify(cache, half_space(0.504), base=liar)


def test_subsets_and_order(cache: Path) -> None:
    whole = recertify(cache, half_space(0.504)).certificates
    part = recertify(cache, half_space(0.504), X[[7, 3, 20]]).certificates
    np.testing.assert_array_equal(part.radius, whole.radius[[7, 3, 20]])


def test_votes_are_kept_and_continued(cache: Path, tmp_path: Path) -> None:
    first = recertify(cache, half_space(0.504), X[:10], out=tmp_path / "out")
    second = recertify(cache, half_space(0.504), out=tmp_path / "out")
    assert (first.timing.samples, second.timing.samples) == (10 * N_P, 20 * N_P)
    np.testing.assert_array_equal(
        second.certificates.radius, recertify(cache, half_space(0.504)).certificates.radius
    )


def test_gamma_is_tuned_on_inputs_that_do_not_use_it(cache: Path) -> None:
    run = recertify(cache, half_space(0.504), bound=sc.Irs(gamma="auto"))
    assert run.gamma in GAMMA_GRID
    fixed, default = (
        recertify(cache, half_space(0.504), bound=sc.Irs(gamma=g)).certificates.radius for g in (run.gamma, 0.99)
    )
    np.testing.assert_array_equal(run.certificates.radius[3:], fixed[3:])
    np.testing.assert_array_equal(run.certificates.radius[:3], default[:3])


@pytest.mark.parametrize("gamma", [0.6, 0.95, 1.0])
def test_a_threshold_that_is_given_is_not_tuned(cache: Path, gamma: float) -> None:
    run = recertify(cache, half_space(0.504), bound=sc.Irs(gamma=gamma))
    assert run.gamma == gamma
    p_A = beta.ppf(ALPHA, run.pairs.count, N - run.pairs.count + 1)
    assert np.any(p_A > gamma) == (gamma < 1)
    np.testing.assert_array_equal(run.certificates.branch == "direct", p_A >= gamma)


def test_the_first_tenth_selects_what_is_best_for_it(cache: Path) -> None:
    """Confident inputs without a disagreement are better certified directly, which a lower threshold allows."""
    confident, manifest = np.argsort(-np.abs(X[:, 0] - 0.5)), CertificationCache(cache).manifest
    chosen = []
    for order in (confident, confident[::-1]):
        run = recertify(cache, half_space(0.5001), X[order], bound=sc.Irs(gamma="auto"))
        tried = [Terms(bound=sc.Irs(gamma=gamma), alpha_zeta=ALPHA_ZETA) for gamma in GAMMA_GRID]
        radii = [recertificates(run.pairs, manifest, terms)[0].radius[:3].mean() for terms in tried]
        assert run.gamma == GAMMA_GRID[int(np.argmax(radii))]
        chosen.append(run.gamma)
    assert chosen != [0.99, 0.99]


@pytest.mark.parametrize("gamma", [0.5, 1.1, float("nan"), "high"])
def test_a_threshold_out_of_range_is_refused(gamma: float) -> None:
    with pytest.raises(InvalidArgumentError, match=rf"gamma is {gamma!r}: it must be in \(1/2, 1\]"):
        sc.Irs(gamma=gamma)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"n_p": N + 1}, InvalidArgumentError, "n_p is 4001, but"),
        ({"n_p": 0}, InvalidArgumentError, "n_p is 0"),
        ({"alpha_zeta": 0.0}, InvalidArgumentError, "alpha_zeta is 0.0"),
        ({"bound": "best"}, InvalidArgumentError, "bound is 'best'"),
        ({"n_p": range(3500, 4001)}, InvalidArgumentError, "n_p is the samples 3500 to 4000, but the cache"),
        ({"n_p": range(5, 5)}, InvalidArgumentError, r"n_p is range\(5, 5\): give range\(start, stop\)"),
        ({"n_p": range(0, 90, 2)}, InvalidArgumentError, r"n_p is range\(0, 90, 2\)"),
        ({"n_p": (5, 9)}, InvalidArgumentError, r"n_p is \(5, 9\)"),
        ({"n0": -1}, InvalidArgumentError, "n0 is -1"),
        ({"batch_size": -1}, InvalidArgumentError, "batch_size is -1"),
        ({"x": X + np.float32(1e-3) * (X < 0.9)}, CacheMismatchError, r"x\[0\] is not in"),
        ({"x": X.reshape(30, 3, 1)}, CacheMismatchError, "input_shape"),
        ({"candidate": half_space(num_classes=3)}, CacheMismatchError, "num_classes"),
        ({"cache": "nowhere"}, CacheMismatchError, "holds no certification cache"),
    ],
)
def test_bad_arguments_are_refused(
    cache: Path, change: dict[str, object], error: type[Exception], message: str
) -> None:
    call: dict[str, object] = {"candidate": half_space(0.504), "x": X, **change}
    with pytest.raises(error, match=message):
        recertify(call.pop("cache", cache), call.pop("candidate"), call.pop("x"), **call)  # type: ignore[arg-type]


def test_noise_that_can_no_longer_be_drawn_is_refused(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smoothcert.noise.gaussian._law_digest", lambda: "0" * 64)
    with pytest.raises(CacheMismatchError, match="noise digest"):
        recertify(cache, half_space(0.504))


def test_what_was_looked_at_cannot_be_held_out_afterwards(tmp_path: Path) -> None:
    """By whichever call: certificates and decisions both show how a candidate does on the cached samples."""
    cache = tmp_path / "cache"
    sc.certify(half_space(), X[:4], sigma=SIGMA, n=N, alpha=ALPHA, seed=1, cache=cache)
    recertify(cache, half_space(0.504), X[:4])
    with pytest.raises(InvalidArgumentError, match=f"samples 0 to {N_P - 1} of .* take a range from {N_P} on"):
        sc.recertify(half_space(0.505), X[:4], cache=cache, n_p=range(N_P - 1, N_P + 100))
    sc.recertify_at_radius(half_space(0.504), X[:4], 0.01, cache=cache, n_p=1000)
    with pytest.raises(InvalidArgumentError, match="take a range from 1000 on"):
        sc.recertify(half_space(0.505), X[:4], cache=cache, n_p=range(900, 1100))
    sc.recertify(half_space(0.505), X[:4], cache=cache, n_p=range(1000, 1100))


def test_a_cache_that_cannot_be_written_is_looked_at_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    sc.certify(half_space(), X[:4], sigma=SIGMA, n=N, alpha=ALPHA, seed=1, cache=cache)

    error = errno.EROFS

    def refused(*_: object) -> NoReturn:
        raise CacheError("the disk cannot be written") from OSError(error, "read-only or broken")

    monkeypatch.setattr(holdouts, "locked", refused)
    with pytest.warns(UserWarning, match="could not be written down .*do not hold them out of a copy"):
        assert recertify(cache, half_space(0.504), X[:4]).certificates.certified.any()
    error = errno.EIO
    with pytest.raises(CacheError, match="the disk cannot be written"):
        recertify(cache, half_space(0.504), X[:4])
