from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import smoothcert as sc
from smoothcert.errors import InvalidArgumentError

SIGMA = 0.25
X = np.linspace(0.05, 0.95, 12, dtype=np.float32)[:, None] * np.ones((1, 3), np.float32)


def linear(shift: float) -> sc.FunctionClassifier:
    def logits(batch: NDArray[np.float32]) -> NDArray[np.float64]:
        score = batch[:, 0].astype(np.float64) - 0.5 - shift
        return np.stack([-score, score], axis=1)

    return sc.FunctionClassifier(logits, num_classes=2, fingerprint=f"{shift}")


def certify(classifier: sc.Classifier, **changes: object) -> sc.CertificationRun:
    call: dict[str, object] = {"sigma": SIGMA, "n": 4000, "alpha": 0.002, "seed": 3, **changes}
    return sc.certify(classifier, X, **call)  # type: ignore[arg-type]


def test_it_certifies_the_classifier_and_not_the_proxy() -> None:
    """The proxy's boundary is far off, so its radii would be false for the classifier."""
    run = certify(linear(0.1), proxy=linear(0.0), n_p=1000)
    distance = np.abs(X[:, 0] - 0.6)
    assert (run.certificates.radius <= distance).all()
    assert certify(linear(0.0)).certificates.radius.sum() > run.certificates.radius.sum()
    assert run.certificates.method == "multilevel"
    assert run.certificates.alpha == 0.002
    assert run.timing.samples == len(X) * (100 + 4000 + 1000)


def test_it_beats_as_many_samples_of_the_classifier_alone() -> None:
    by_proxy = certify(linear(0.002), proxy=linear(0.0), n_p=400).certificates.radius
    alone = certify(linear(0.002), n=400).certificates.radius
    assert by_proxy.mean() > alone.mean() + 0.01


def test_it_goes_on_where_it_stopped(tmp_path: Path) -> None:
    first = certify(linear(0.002), proxy=linear(0.0), n_p=400, cache=tmp_path / "c")
    again = certify(linear(0.002), proxy=linear(0.0), n_p=400, cache=tmp_path / "c")
    assert again.timing.samples == 0
    np.testing.assert_array_equal(again.certificates.radius, first.certificates.radius)


def test_a_proxy_is_made_from_a_torch_module() -> None:
    torch.manual_seed(0)
    f = sc.TorchClassifier(torch.nn.Linear(3, 4), num_classes=4)
    run = certify(f, proxy="bf16")
    assert run.timing.samples == len(X) * (100 + 4000 + 400)
    assert run.certificates.certified.any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"proxy": linear(0.0)}, "the classifier itself"),
        ({"proxy": "int8"}, "give the proxy as a classifier"),
        ({"proxy": sc.FunctionClassifier(lambda b: b, num_classes=3, fingerprint="g")}, "has 3 classes"),
        ({"proxy": linear(0.1), "n_p": 4001}, "n_p is 4001"),
        ({"n_p": 100}, "there is no proxy"),
    ],
)
def test_bad_arguments_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        certify(linear(0.0), **change)
