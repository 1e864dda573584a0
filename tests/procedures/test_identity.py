"""What is certified is identified by what it computes: names, fingerprints and files may stay while it changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import smoothcert as sc
from closed_form import half_space, invalid
from smoothcert.errors import CacheMismatchError, InvalidArgumentError
from smoothcert.noise import GaussianNoise
from smoothcert.sampling import identify, identity
from smoothcert.votes.store import CertificationCache

X = np.random.default_rng(3).random((12, 3), dtype=np.float32)
CALL = {"sigma": 0.25, "n": 1000, "n0": 20, "seed": 5}
NOISE = GaussianNoise(0.25, seed=0)


class Threshold(torch.nn.Module):
    """x0 > t, where t is an attribute that no fingerprint sees."""

    def __init__(self, t: float) -> None:
        super().__init__()
        self.t = t
        self.register_buffer("sign", torch.tensor([-1.0, 1.0]))

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return (batch[:, :1] - self.t) * self.get_buffer("sign")


def function(t: float) -> sc.FunctionClassifier:
    return half_space(t, fingerprint="one name")


def by_attribute(t: float) -> sc.TorchClassifier:
    return sc.TorchClassifier(Threshold(t), num_classes=2)


def by_preprocessing(t: float) -> sc.TorchClassifier:
    return sc.TorchClassifier(Threshold(0.5), num_classes=2, preprocess=lambda batch: batch + (0.5 - t))


def by_weights_changed_later(t: float) -> sc.TorchClassifier:
    made = by_attribute(0.5)
    assert isinstance(made.module, Threshold)
    made.module.t = t
    return made


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("identity") / "base"
    sc.certify(half_space(fingerprint="base"), X, cache=folder, **CALL)  # type: ignore[arg-type]
    return folder


@pytest.mark.parametrize("made", [function, by_attribute, by_preprocessing, by_weights_changed_later])
def test_votes_of_a_candidate_do_not_serve_another_one(
    base: Path, tmp_path: Path, made: Callable[[float], sc.Classifier]
) -> None:
    """The other one never returns class 1; by its fingerprint alone it got all certificates of the first."""
    assert made(0.501).fingerprint == made(2.0).fingerprint
    first = sc.recertify(made(0.501), X, cache=base, n_p=200, out=tmp_path / "votes")
    with pytest.raises(CacheMismatchError, match="votes of another classifier under the fingerprint"):
        sc.recertify(made(2.0), X, cache=base, n_p=200, out=tmp_path / "votes")
    fresh = sc.recertify(made(2.0), X, cache=base, n_p=200, out=tmp_path / "others")
    assert (first.certificates.prediction == 1).sum() > 3
    assert not (fresh.certificates.prediction == 1).any()
    again = sc.recertify(made(0.501), X, cache=base, n_p=200, out=tmp_path / "votes")
    assert again.timing.samples == 0


def test_decisions_at_a_radius_do_not_mix_candidates(base: Path, tmp_path: Path) -> None:
    sc.recertify_at_radius(function(0.501), X, 0.1, cache=base, out=tmp_path / "votes")
    with pytest.raises(CacheMismatchError, match="votes of another classifier"):
        sc.recertify_at_radius(function(2.0), X, 0.1, cache=base, out=tmp_path / "votes")


def test_a_cache_is_not_continued_with_a_slightly_changed_model(tmp_path: Path) -> None:
    """1 % of the votes differ: of 64 repeated ones, usually none."""
    sc.certify(function(0.5), X[:6], cache=tmp_path / "c", **CALL)  # type: ignore[arg-type]
    with pytest.raises(CacheMismatchError, match=r"by up to 0\.00"):
        sc.certify(function(0.505), X, cache=tmp_path / "c", **CALL)  # type: ignore[arg-type]
    with pytest.raises(CacheMismatchError, match="votes of another classifier"):
        sc.certify(function(0.505), X, cache=tmp_path / "c", **{**CALL, "n": 1000})  # type: ignore[arg-type]
    with pytest.raises(CacheMismatchError, match="votes of another classifier"):
        sc.recertify(function(0.4), X[:6], cache=tmp_path / "c", n_p=100, base=function(0.505))


def test_a_journal_is_not_continued_with_another_model(tmp_path: Path) -> None:
    call = {**CALL, "radius": 0.1, "cache": tmp_path / "c"}
    sc.certify_at_radius(function(0.5), X, **call)  # type: ignore[arg-type]
    with pytest.raises(CacheMismatchError, match="votes of another classifier"):
        sc.certify_at_radius(function(0.505), X, **call)  # type: ignore[arg-type]


def test_a_held_out_range_serves_what_was_named_not_its_namesake(tmp_path: Path) -> None:
    base = tmp_path / "base"
    sc.certify(function(0.5), X, cache=base, **CALL)  # type: ignore[arg-type]
    sc.recertify(function(0.501), X, cache=base, n_p=range(400, 600))
    sc.recertify(function(0.501), X, cache=base, n_p=range(400, 600))
    with pytest.raises(InvalidArgumentError, match="looked at before"):
        sc.recertify(function(0.502), X, cache=base, n_p=range(400, 600))


def test_a_candidate_with_the_fingerprint_of_the_base_is_not_the_base(base: Path) -> None:
    other = half_space(0.5001, fingerprint="base")
    assert not sc.recertify(other, X, cache=base, n_p=50).identical


def test_caches_without_an_identity_are_continued(tmp_path: Path) -> None:
    """Those of older versions; their manifests keep their digests."""
    sc.certify(function(0.5), X[:6], cache=tmp_path / "c", **CALL)  # type: ignore[arg-type]
    old = replace(CertificationCache(tmp_path / "c").manifest, identity={}, format_version=2)
    assert old.digest != CertificationCache(tmp_path / "c").manifest.digest
    with CertificationCache.writing(tmp_path / "old", old):
        pass
    run = sc.certify(function(0.5), X, cache=tmp_path / "old", **CALL)  # type: ignore[arg-type]
    assert CertificationCache(tmp_path / "old").manifest.digest == old.digest
    assert run.certificates.certified.any()


def test_elsewhere_rounding_is_allowed_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def scaled(factor: float) -> sc.FunctionClassifier:
        return sc.FunctionClassifier(lambda x: function(0.5).function(x) * factor, 2, fingerprint="f")

    cpu = {"device": "cpu", "dtype": "float32"}
    here = identify(scaled(1), (3,), NOISE)
    assert "others, by up to" in here.difference(identify(scaled(1 + 1e-6), (3,), NOISE), cpu)
    monkeypatch.setattr(identity, "_instructions", lambda: "of another processor")
    assert here.difference(identify(scaled(1 + 1e-6), (3,), NOISE), cpu) == ""
    assert "of a spread of" in here.difference(identify(scaled(1.01), (3,), NOISE), cpu)
    assert here.difference(identify(scaled(1.01), (3,), NOISE), {"device": "cpu", "dtype": "int8"}) == ""


def test_logits_that_do_not_repeat_are_compared_up_to_rounding() -> None:
    rng = np.random.default_rng(0)
    f = sc.FunctionClassifier(lambda x: function(0.5).function(x) + 1e-6 * rng.random(), 2, fingerprint="f")
    first, again = identify(f, (3,), NOISE), identify(f, (3,), NOISE)
    assert first.digest == "" != first.logits
    assert first.difference(again, f.description) == ""
    assert first.difference(identify(function(0.6), (3,), NOISE), f.description)


def test_no_valid_logits_are_an_identity_too() -> None:
    nan = invalid()
    inf = sc.FunctionClassifier(lambda x: np.full((len(x), 2), np.inf), 2, fingerprint="f")
    a, b = identify(nan, (3,), NOISE), identify(inf, (3,), NOISE)
    assert a.difference(a, nan.description) == ""
    assert a.difference(b, nan.description)
    many = sc.FunctionClassifier(lambda x: np.zeros((len(x), 1000)), 1000, fingerprint="f")
    assert a.difference(identify(many, (3,), NOISE), nan.description) == "it returns another number of logits"


def test_a_candidate_is_identified_once(base: Path, tmp_path: Path) -> None:
    """By two passes over the probe, whether its votes are kept or not."""
    probed = 0
    batch = identity.probe_batch((3,), NOISE)

    def counting(x: NDArray[np.float32]) -> NDArray[np.floating]:
        nonlocal probed
        probed += np.array_equal(x, batch)
        return function(0.5).function(x)

    sc.recertify(sc.FunctionClassifier(counting, 2, "g"), X, cache=base, n_p=50, out=tmp_path / "votes")
    sc.recertify_at_radius(sc.FunctionClassifier(counting, 2, "g"), X, 0.05, cache=base, out=tmp_path / "at")
    assert probed == 4
